"""OTLP's JSON as objects that read like OpenTelemetry's protobuf messages, so that one reader serves both encodings.

The encoding is OTLP's own (opentelemetry-proto, docs/specification.md, 'JSON Protobuf Encoding'): lowerCamelCase keys,
ids in hex, enums as whole numbers, 64-bit numbers as text or number, unknown keys ignored; `null` is what is absent.
Only what is read here is decoded; the rest are unknown keys.
"""

from __future__ import annotations

from functools import cache
from typing import Annotated, Any, Generic, TypeVar

import msgspec
from msgspec import Meta

T = TypeVar("T")
# A list keeps an object for each value: 16 MiB of `{},{},{}` would take a gigabyte.
MAX_VALUES = 2_000_000


class HexId:
    """An id in hex; `bytes()` of it are the id's bytes."""

    __slots__ = ("_bytes",)

    def __init__(self, text: str) -> None:
        self._bytes = bytes.fromhex(text)

    def __bytes__(self) -> bytes:
        return self._bytes


_NO_ID = HexId("")
# Half of what protobuf's fixed64 holds: as nanoseconds, until the year 2262.
U63 = Annotated[int, Meta(ge=0, le=2**63 - 1)]


class _Message(msgspec.Struct, rename="camel", kw_only=True):
    def HasField(self, name: str) -> bool:  # noqa: N802 - as protobuf's messages have it
        """Whether an optional field was given."""
        return getattr(self, name) is not None


class _Ignored(_Message):
    """Something that is not read; its keys are unknown ones."""


class AnyValue(_Message):
    """One value of an attribute."""

    string_value: str | None = None
    bool_value: bool | None = None
    int_value: int | None = None
    double_value: float | None = None
    array_value: Any = None
    kvlist_value: Any = None
    bytes_value: str | None = None

    def WhichOneof(self, _: str) -> str | None:  # noqa: N802 - as protobuf's messages have it
        """The name of the field that is given."""
        for name in self.__struct_fields__:
            if getattr(self, name) is not None:
                return name
        return None


class KeyValue(_Message):
    """An attribute."""

    key: str = ""
    value: AnyValue = msgspec.field(default_factory=AnyValue)


class Resource(_Message):
    """What sends."""

    attributes: list[KeyValue] = []


class Scope(_Message):
    """The library that measures."""

    name: str = ""
    version: str = ""
    attributes: list[KeyValue] = []


class NumberDataPoint(_Message):
    """A point of a sum or gauge."""

    attributes: list[KeyValue] = []
    start_time_unix_nano: U63 = 0
    time_unix_nano: U63 = 0
    as_double: float | None = None
    as_int: int | None = None
    flags: int = 0

    def WhichOneof(self, _: str) -> str | None:  # noqa: N802 - as protobuf's messages have it
        """The name of the field that is given."""
        if self.as_int is not None:
            return "as_int"
        return "as_double" if self.as_double is not None else None


class HistogramDataPoint(_Message):
    """A point of a histogram with explicit bounds."""

    attributes: list[KeyValue] = []
    start_time_unix_nano: U63 = 0
    time_unix_nano: U63 = 0
    count: U63 = 0
    sum: float | None = None
    bucket_counts: list[U63] = []
    explicit_bounds: list[float] = []
    flags: int = 0


class Buckets(_Message):
    """Counts of an exponential histogram on one side of zero."""

    offset: int = 0
    bucket_counts: list[U63] = []


class ExponentialHistogramDataPoint(_Message):
    """A point of an exponential histogram."""

    attributes: list[KeyValue] = []
    start_time_unix_nano: U63 = 0
    time_unix_nano: U63 = 0
    count: U63 = 0
    sum: float | None = None
    scale: int = 0
    zero_count: U63 = 0
    positive: Buckets = msgspec.field(default_factory=Buckets)
    negative: Buckets = msgspec.field(default_factory=Buckets)
    flags: int = 0


class _Points(_Message, Generic[T]):
    aggregation_temporality: int = 0
    is_monotonic: bool = False
    data_points: list[T] = []


class Metric(_Message):
    """One instrument of a scope."""

    name: str = ""
    unit: str = ""
    gauge: _Ignored | None = None
    sum: _Points[NumberDataPoint] | None = None
    histogram: _Points[HistogramDataPoint] | None = None
    exponential_histogram: _Points[ExponentialHistogramDataPoint] | None = None
    summary: _Ignored | None = None

    def WhichOneof(self, _: str) -> str | None:  # noqa: N802 - as protobuf's messages have it
        """The kind of its points."""
        for name in ("histogram", "sum", "exponential_histogram", "gauge", "summary"):
            if getattr(self, name) is not None:
                return name
        return None


class ScopeMetrics(_Message):
    """The metrics of a scope."""

    scope: Scope = msgspec.field(default_factory=Scope)
    metrics: list[Metric] = []


class ResourceMetrics(_Message):
    """The metrics of a resource."""

    resource: Resource = msgspec.field(default_factory=Resource)
    scope_metrics: list[ScopeMetrics] = []


class ExportMetrics(_Message):
    """ExportMetricsServiceRequest."""

    resource_metrics: list[ResourceMetrics] = []


class Status(_Message):
    """How a span ended."""

    code: int = 0


class Event(_Message):
    """Something that happened within a span."""

    name: str = ""
    time_unix_nano: U63 = 0


class Span(_Message):
    """One step of a trace."""

    trace_id: HexId = _NO_ID
    span_id: HexId = _NO_ID
    parent_span_id: HexId = _NO_ID
    name: str = ""
    kind: int = 0
    start_time_unix_nano: U63 = 0
    end_time_unix_nano: U63 = 0
    attributes: list[KeyValue] = []
    events: list[Event] = []
    status: Status = msgspec.field(default_factory=Status)


class ScopeSpans(_Message):
    """The spans of a scope."""

    scope: Scope = msgspec.field(default_factory=Scope)
    spans: list[Span] = []


class ResourceSpans(_Message):
    """The spans of a resource."""

    resource: Resource = msgspec.field(default_factory=Resource)
    scope_spans: list[ScopeSpans] = []


class ExportSpans(_Message):
    """ExportTraceServiceRequest."""

    resource_spans: list[ResourceSpans] = []


@cache
def _decoder(kind: type[Any]) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(kind, strict=False, dec_hook=_hook)


def _hook(kind: type[Any], value: Any) -> Any:
    if kind is HexId and isinstance(value, str):
        return HexId(value)
    raise ValueError("not an id in hex")


def decode(body: bytes, kind: type[T]) -> T:
    """The message in the body. Raises msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError."""
    if not body.strip():
        # An empty request is a request without anything in it.
        return kind()
    if body.count(b",") > MAX_VALUES:
        raise ValueError("not readable in one piece; send smaller batches")
    try:
        return _decoder(kind).decode(body)  # type: ignore[no-any-return,arg-type]
    except msgspec.ValidationError:
        if b"null" not in body:
            raise
        return msgspec.convert(_without_null(msgspec.json.decode(body)), kind, strict=False, dec_hook=_hook)


def _without_null(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_null(one) for key, one in value.items() if one is not None}
    if isinstance(value, list):
        return [_without_null(one) for one in value]
    return value

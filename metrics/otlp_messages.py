"""OTLP/HTTP's bodies: requests read in both encodings, and what they are answered with.

Source: opentelemetry-proto, docs/specification.md, OTLP/HTTP. A sentence about a body that cannot be read never quotes
it: bodies hold prompts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from struct import error as StructError  # noqa: N812 - as classes are called
from typing import Any, Protocol

import msgspec
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import DecodeError, Message
from google.rpc.code_pb2 import Code
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from metrics import otlp_wire
from metrics.format import Unreadable
from metrics.otlp import text_of_all
from metrics.otlp_json import ExportMetrics, ExportSpans, decode

PROTOBUF = "application/x-protobuf"
JSON = "application/json"
# Each message in a list is announced by a byte, and takes a hundred when it is decoded: 16 MiB of empty ones would take
# a gigabyte. A body of 50,000 points has half of this; who has more sends them in several.
MAX_MESSAGES = 2_000_000
# Fields 1, 2, 3, 7, 9, 11 and 13 that hold something of a length: resources, scopes, metrics, spans, points,
# attributes, events and links.
_ANNOUNCES = (b"\x0a", b"\x12", b"\x1a", b"\x3a", b"\x4a", b"\x5a", b"\x6a")
# Clients read at most 4 MiB of an answer, and people read less.
MAX_MESSAGE_CHARACTERS = 1_000


class Signal(StrEnum):
    """What a path takes: the last part of its address."""

    METRICS = "metrics"
    TRACES = "traces"
    LOGS = "logs"


_RESPONSES: dict[Signal, type[Message]] = {
    Signal.METRICS: ExportMetricsServiceResponse,
    Signal.TRACES: ExportTraceServiceResponse,
    Signal.LOGS: ExportLogsServiceResponse,
}
_REJECTED = {Signal.METRICS: "rejected_data_points", Signal.TRACES: "rejected_spans"}
# google.rpc.Code by HTTP status.
_CODES = {
    400: Code.INVALID_ARGUMENT,
    401: Code.UNAUTHENTICATED,
    403: Code.PERMISSION_DENIED,
    405: Code.UNIMPLEMENTED,
    413: Code.RESOURCE_EXHAUSTED,
    415: Code.INVALID_ARGUMENT,
    429: Code.RESOURCE_EXHAUSTED,
    503: Code.UNAVAILABLE,
}


# --- Requests


class MetricsRequest(Protocol):
    """An ExportMetricsServiceRequest, decoded as far as it is looked at. All of it raises Unreadable."""

    # Resources with their scopes and metrics.
    message: Any

    def data_of(self, metric: Any, kind: str) -> Any:
        """The metric's points, of this kind."""
        ...

    def key_of(self, point: Any) -> tuple[bytes, ...]:
        """What stands for all of a point's attributes, and for no others."""
        ...

    def attributes_of(self, point: Any) -> list[Any]:
        """The attributes of a point, as OTLP's KeyValue."""
        ...

    def buckets_of(self, point: Any) -> tuple[bytes, Sequence[int]]:
        """Bounds of an explicit histogram's point, as float64 in a row, and its counts."""
        ...


class ProtobufMetrics:
    """Raises DecodeError where the body is none."""

    def __init__(self, body: bytes) -> None:
        self.message = otlp_wire.export_of(body)

    def data_of(self, metric: Any, kind: str) -> Any:
        with _readable(Signal.METRICS):
            return otlp_wire.data_of(metric, kind)

    def key_of(self, point: Any) -> tuple[bytes, ...]:
        return tuple(point.attributes)

    def attributes_of(self, point: Any) -> list[Any]:
        with _readable(Signal.METRICS):
            return otlp_wire.attributes_of(point)

    def buckets_of(self, point: Any) -> tuple[bytes, Sequence[int]]:
        try:
            return otlp_wire.buckets_of(point)
        except (StructError, DecodeError):
            raise _malformed("Bounds or counts of a histogram are cut.") from None


class JsonMetrics:
    def __init__(self, message: ExportMetrics) -> None:
        self.message = message

    def data_of(self, metric: Any, kind: str) -> Any:
        return getattr(metric, kind)

    def key_of(self, point: Any) -> tuple[bytes, ...]:
        return (text_of_all(point.attributes),)

    def attributes_of(self, point: Any) -> list[Any]:
        return list(point.attributes)

    def buckets_of(self, point: Any) -> tuple[bytes, Sequence[int]]:
        return otlp_wire.packed(point.explicit_bounds), point.bucket_counts


def request_of(signal: Signal, body: bytes, content_type: str) -> Any:
    """The Export...ServiceRequest in the body: a protobuf message, or an object of `otlp_json` that reads like one.

    That of metrics is a MetricsRequest. An empty body is a request without anything in it. Raises Unreadable.
    """
    is_metrics = signal is Signal.METRICS
    if content_type == PROTOBUF:
        if len(body) > MAX_MESSAGES and sum(map(body.count, _ANNOUNCES)) > MAX_MESSAGES:
            raise _too_many()
        with _readable(signal):
            return ProtobufMetrics(body) if is_metrics else ExportTraceServiceRequest.FromString(body)
    try:
        return JsonMetrics(decode(body, ExportMetrics)) if is_metrics else decode(body, ExportSpans)
    except msgspec.ValidationError as error:
        # It names the place and the types, never the value.
        raise _malformed(f"The body is not OTLP's JSON: {str(error).replace('`', '')}.") from None
    except RecursionError:
        raise _malformed("The body is nested too deeply.") from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise _malformed("The body is not JSON in UTF-8, or was cut.") from None
    except ValueError:
        raise _too_many() from None


@contextmanager
def _readable(signal: Signal) -> Iterator[None]:
    try:
        yield
    except DecodeError:
        raise _malformed(f"The body is no Export{_name(signal)}ServiceRequest in protobuf, or was cut.") from None


# --- Answers


def response_of(signal: Signal, content_type: str, *, rejected: int = 0, message: str = "") -> bytes:
    """The Export...ServiceResponse of a request that was taken: what of it does not count, or is worth a word."""
    response = _RESPONSES[signal]()
    if rejected or message:
        partial: Any = response.partial_success  # type: ignore[attr-defined]
        setattr(partial, _REJECTED[signal], rejected)
        partial.error_message = message[:MAX_MESSAGE_CHARACTERS]
    return _encoded(response, content_type)


def status_of(content_type: str, status: int, message: str) -> bytes:
    """The google.rpc.Status of a request that was not taken."""
    code = _CODES.get(status, Code.UNKNOWN)
    return _encoded(Status(code=code, message=message[:MAX_MESSAGE_CHARACTERS]), content_type)


def _encoded(message: Message, content_type: str) -> bytes:
    if content_type == PROTOBUF:
        return message.SerializeToString()
    return msgspec.json.encode(MessageToDict(message))


def _malformed(sentence: str) -> Unreadable:
    return Unreadable(400, "malformed", sentence)


def _too_many() -> Unreadable:
    return Unreadable(413, "too_many_values", "Not readable in one piece; send smaller batches.")


def _name(signal: Signal) -> str:
    return "Metrics" if signal is Signal.METRICS else "Trace"

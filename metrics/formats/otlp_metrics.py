"""OpenTelemetry's GenAI metrics, both generations of names: points of streams, each with where it counts.

A stream is token + resource + scope + metric + attributes + start time. Nothing but the attributes named here and the
operator's labels leaves this module: all others are part of the stream's digest alone. docs/push.md has the table.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

import msgspec

from metrics.format import MAX_COUNT, MAX_DURATION_MS, Limits, Unreadable
from metrics.genai import OPERATIONS, provider_name, service_tier
from metrics.otlp import (
    MAX_ROADMAP_CHARACTERS,
    ROADMAP_ATTRIBUTE,
    BadAttribute,
    Values,
    first_of,
    resource_labels,
    text_of,
    time_of,
    wanted_values,
)
from metrics.otlp_buckets import Reading, explicit, exponential
from metrics.usage import STEP_OPERATIONS

DELTA, CUMULATIVE = 1, 2
SECOND_NS = 10**9
# A stream that started earlier, or does not say when, was counting before anybody here looked.
OLDEST_START_NS = 24 * 3600 * SECOND_NS
STATE_KEPT_NS = 35 * 24 * 3600 * SECOND_NS
MAX_POINTS = 50_000
MAX_ATTRIBUTES = 128
NO_MODEL = "no model"
NO_RECORDED_VALUE = 1

TOKENS, DURATION, FIRST, BETWEEN = "tokens", "duration", "time_to_first_token", "inter_token"


@dataclass(frozen=True, slots=True)
class Instrument:
    """What a metric counts. Generation 2 stands in for 1 where one scope sends both. `operation`: a fixed one."""

    measure: str
    is_server: bool = False
    generation: int = 0
    operation: str = ""


_USAGE = "gen_ai.client.inference.usage."
INSTRUMENTS = {
    "gen_ai.client.token.usage": Instrument(TOKENS, generation=1),
    f"{_USAGE}input_tokens": Instrument("input_tokens", generation=2),
    f"{_USAGE}output_tokens": Instrument("output_tokens", generation=2),
    f"{_USAGE}cache_read.input_tokens": Instrument("cached_input_tokens", generation=2),
    f"{_USAGE}cache_write.input_tokens": Instrument("cache_write_input_tokens", generation=2),
    "gen_ai.client.operation.duration": Instrument(DURATION, generation=1),
    "gen_ai.client.inference.duration": Instrument(DURATION, generation=2),
    "gen_ai.client.operation.time_to_first_chunk": Instrument(FIRST, generation=1),
    "gen_ai.client.inference.time_to_first_chunk": Instrument(FIRST, generation=2),
    "gen_ai.server.request.duration": Instrument(DURATION, is_server=True),
    "gen_ai.server.time_to_first_token": Instrument(FIRST, is_server=True),
    "gen_ai.server.time_per_output_token": Instrument(BETWEEN, is_server=True),
    "gen_ai.invoke_agent.duration": Instrument(DURATION, operation="invoke_agent"),
    "gen_ai.execute_tool.duration": Instrument(DURATION, operation="execute_tool"),
    "gen_ai.invoke_workflow.duration": Instrument(DURATION, operation="invoke_workflow"),
}
_TOKEN_TYPES = {
    "input": "input_tokens",
    "prompt": "input_tokens",
    "output": "output_tokens",
    "completion": "output_tokens",
}
_LATENCIES = (DURATION, FIRST, BETWEEN)
_UNITS = {"s": 1000.0, "": 1000.0, "ms": 1.0, "us": 0.001, "ns": 0.000001}
MODELS = ("gen_ai.response.model", "gen_ai.request.model")
PROVIDERS = ("gen_ai.provider.name", "gen_ai.system")
OPERATION_NAME, TOKEN_TYPE, ERROR_TYPE = "gen_ai.operation.name", "gen_ai.token.type", "error.type"
TIERS = ("openai.response.service_tier", "gen_ai.openai.response.service_tier")
READ = frozenset({*MODELS, *PROVIDERS, *TIERS, OPERATION_NAME, TOKEN_TYPE, ERROR_TYPE})


@dataclass(frozen=True, slots=True)
class Where:
    """The series that a point counts on, without backend and workload. `labels`: JSON text."""

    roadmap: str | None
    provider: str | None
    model: str
    operation: str
    service_tier: str | None
    labels: bytes
    is_server: bool


@dataclass(slots=True)
class Point:
    """One point. `reading` is what its stream counted since its start; `group`: streams that arrive together."""

    index: int
    where: Where
    measure: str
    is_error: bool
    is_cumulative: bool
    stream: bytes
    group: bytes
    start_ns: int
    time_ns: int
    reading: Reading
    duplicate_of_newer: bool = False


@dataclass(slots=True)
class Points:
    """The points of a request that are about inference; `bad`: (index, code, sentence) of those that cannot count."""

    points: list[Point] = field(default_factory=list)
    bad: list[tuple[int, str, str]] = field(default_factory=list)
    warnings: dict[tuple[str, str], int] = field(default_factory=dict)
    seen: int = 0


@dataclass(frozen=True, slots=True)
class _Source:
    roadmap: str | None
    labels: bytes
    digest: bytes
    problem: BadAttribute | None = None


def points_of(request: Any, limits: Limits, *, sender: str, takes_roadmap: bool, kept: frozenset[str]) -> Points:
    """The points of an ExportMetricsServiceRequest. `sender` tells whose streams they are. Raises Unreadable."""
    found = Points()
    for group in request.resource_metrics:
        scopes = [(one, [m for m in one.metrics if m.name in INSTRUMENTS]) for one in group.scope_metrics]
        if not any(metrics for _, metrics in scopes):
            continue
        source = _source(group.resource, sender, found, takes_roadmap=takes_roadmap, kept=kept)
        for scope, metrics in scopes:
            _read_scope(scope.scope, metrics, source, limits, found)
    return found


def _read_scope(scope: Any, metrics: list[Any], source: _Source, limits: Limits, found: Points) -> None:
    mine: list[tuple[Instrument, Point]] = []
    for metric in metrics:
        instrument = INSTRUMENTS[metric.name]
        prefix = b"\0".join((source.digest, scope.name.encode(), scope.version.encode(), metric.name.encode()))
        kind = metric.WhichOneof("data")
        data = getattr(metric, kind) if kind in ("histogram", "sum", "exponential_histogram") else None
        if data is None:
            continue
        temporality = data.aggregation_temporality
        for raw in data.data_points:
            index = found.seen
            found.seen += 1
            if found.seen > MAX_POINTS:
                raise Unreadable(413, "too_many_points", f"At most {MAX_POINTS:,} points a request; export fewer.")
            try:
                _check_kind(metric.name, kind, data)
                point = _point(index, metric, kind, instrument, raw, prefix, source, limits)
            except BadAttribute as bad:
                found.bad.append((index, bad.code, bad.detail))
                continue
            if point is not None:
                point.is_cumulative = temporality == CUMULATIVE
                mine.append((instrument, point))
    newer = {
        (_kind(instrument), point.where.operation)
        for instrument, point in mine
        if instrument.generation == 2  # noqa: PLR2004
    }
    for instrument, point in mine:
        point.duplicate_of_newer = instrument.generation == 1 and (_kind(instrument), point.where.operation) in newer
        found.points.append(point)


def _check_kind(name: str, kind: str, data: Any) -> None:
    if data.aggregation_temporality not in (DELTA, CUMULATIVE):
        raise BadAttribute("bad_temporality", f"{name}: the temporality is neither delta nor cumulative.")
    if kind == "sum" and not data.is_monotonic:
        raise BadAttribute("not_monotonic", f"{name}: a sum has to be monotonic to be counted.")


def _kind(instrument: Instrument) -> str:
    return instrument.measure if instrument.measure in _LATENCIES else TOKENS


def _point(
    index: int,
    metric: Any,
    kind: str,
    instrument: Instrument,
    raw: Any,
    prefix: bytes,
    source: _Source,
    limits: Limits,
) -> Point | None:
    if raw.flags & NO_RECORDED_VALUE:
        return None
    if source.problem is not None:
        raise source.problem
    if len(raw.attributes) > MAX_ATTRIBUTES:
        raise BadAttribute("too_many_attributes", f"{metric.name}: a point has at most {MAX_ATTRIBUTES} attributes.")
    values = wanted_values(raw.attributes, READ)
    operation = _operation(values, instrument)
    if operation is None:
        return None
    measure = instrument.measure
    if measure == TOKENS:
        token_type = text_of(values, (TOKEN_TYPE,), most=60)
        measure = _TOKEN_TYPES.get((token_type or "").lower(), "")
        if not measure:
            return None
    start, time = raw.start_time_unix_nano, raw.time_unix_nano
    _check_time(metric.name, start, time, limits)
    model = text_of(values, MODELS, most=200)
    is_error = first_of(values, (ERROR_TYPE,)) is not None
    if model is None:
        # An instrumentation may know nothing of a call that failed but that it failed.
        if operation not in STEP_OPERATIONS and not (is_error and measure == DURATION):
            raise BadAttribute("missing_model", f"{metric.name}: {MODELS[0]} is missing, and {MODELS[1]} too.")
        model = NO_MODEL
    provider = text_of(values, PROVIDERS, most=60)
    where = Where(
        roadmap=source.roadmap,
        provider=provider and provider_name(provider),
        model=model,
        operation=operation,
        service_tier=service_tier(text_of(values, TIERS, most=40) or ""),
        labels=source.labels,
        is_server=instrument.is_server,
    )
    if measure in _LATENCIES:
        reading = _latency(metric, kind, raw)
    else:
        reading = {"n": _total(metric.name, kind, raw)}
    return Point(
        index=index,
        where=where,
        measure=measure,
        is_error=is_error,
        is_cumulative=False,
        stream=_stream(prefix, raw.attributes, start),
        group=source.digest,
        start_ns=start,
        time_ns=time,
        reading=reading,
    )


def _operation(values: Values, instrument: Instrument) -> str | None:
    if instrument.operation:
        return instrument.operation
    name = text_of(values, (OPERATION_NAME,), most=100)
    return "chat" if name is None else OPERATIONS.get(name.lower())


def _check_time(name: str, start: int, time: int, limits: Limits) -> None:
    if not time:
        raise BadAttribute("missing_field", f"{name}: timeUnixNano is missing.")
    if time >= 2**63 or time_of(time) > limits.newest:
        raise BadAttribute(
            "timestamp_in_future", f"{name}: timeUnixNano is more than 5 minutes ahead; check the clock."
        )
    if time_of(time) < limits.oldest:
        raise BadAttribute("timestamp_too_old", f"{name}: timeUnixNano is too old to be kept.")
    if start > time:
        raise BadAttribute("ends_before_start", f"{name}: timeUnixNano lies before startTimeUnixNano.")


def _source(resource: Any, sender: str, found: Points, *, takes_roadmap: bool, kept: frozenset[str]) -> _Source:
    digest = blake2b(sender.encode() + b"\0" + _told(resource.attributes), digest_size=16).digest()
    if len(resource.attributes) > MAX_ATTRIBUTES:
        problem = BadAttribute("too_many_attributes", f"A resource has at most {MAX_ATTRIBUTES} attributes.")
        return _Source(None, b"", digest, problem)
    values = wanted_values(resource.attributes, {ROADMAP_ATTRIBUTE, *kept})
    labels, dropped = resource_labels(values, kept)
    for name in dropped:
        key = ("bad_labels", f"{name}: is no text of at most 200 characters; not kept as a label.")
        found.warnings[key] = found.warnings.get(key, 0) + 1
    if not takes_roadmap:
        return _Source(None, bytes(labels), digest)
    try:
        return _Source(text_of(values, (ROADMAP_ATTRIBUTE,), most=MAX_ROADMAP_CHARACTERS), bytes(labels), digest)
    except BadAttribute as bad:
        return _Source(None, b"", digest, bad)


# --- Who a stream is


def _stream(prefix: bytes, attributes: Any, start: int) -> bytes:
    return blake2b(b"%b\0%d\0%b" % (prefix, start, _told(attributes)), digest_size=16).digest()


def _told(attributes: Any) -> bytes:
    """All attributes in any order, as bytes that go into a digest and nowhere else."""
    return repr(sorted((one.key, _plain(one.value)) for one in attributes)).encode("utf-8", "surrogatepass")


def _plain(value: Any) -> str:
    text = value.string_value
    if text:
        return "s" + str(text)
    kind = value.WhichOneof("value")
    if kind is None:
        return ""
    if kind in ("array_value", "kvlist_value", "bytes_value"):
        if hasattr(value, "SerializeToString"):
            return kind + repr(value.SerializeToString(deterministic=True))
        return kind + repr(msgspec.json.encode(getattr(value, kind)))
    return f"{kind}{getattr(value, kind)!r}"


# --- What it counted


def _total(name: str, kind: str, raw: Any) -> int:
    if kind == "sum":
        which = raw.WhichOneof("value")
        number = getattr(raw, which) if which else None
    else:
        number = raw.sum if raw.HasField("sum") else None
    if number is None:
        raise BadAttribute("missing_sum", f"{name}: a point without a sum says nothing of tokens.")
    if not math.isfinite(number) or not 0 <= number <= MAX_COUNT:
        raise BadAttribute("out_of_range", f"{name}: a sum of tokens is a number from 0 to 10^12.")
    return round(number)


def _latency(metric: Any, kind: str, raw: Any) -> Reading:
    name = metric.name
    factor = _UNITS.get(metric.unit)
    if factor is None:
        raise BadAttribute("bad_unit", f"{name}: takes the unit s or ms.")
    if kind == "sum":
        raise BadAttribute("no_histogram", f"{name}: takes a histogram.")
    if not 0 <= raw.count <= MAX_COUNT:
        raise BadAttribute("out_of_range", f"{name}: count is a whole number from 0 to 10^12.")
    reading: Reading = {"n": raw.count}
    if raw.HasField("sum"):
        if not math.isfinite(raw.sum) or not 0 <= raw.sum * factor <= max(raw.count, 1) * MAX_DURATION_MS:
            raise BadAttribute("out_of_range", f"{name}: sum is a number from 0 to 24 hours a request.")
        reading["s"] = round(raw.sum * factor * 1_000_000)
    reading.update(explicit(name, raw, factor) if kind == "histogram" else exponential(name, raw, factor))
    return reading

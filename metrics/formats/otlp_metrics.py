"""OpenTelemetry's GenAI metrics, both generations of names: points of streams, each with where it counts.

A stream is token + resource + scope + metric + attributes + start time. Nothing but the attributes named in
`metrics.otlp_told` and the operator's labels leaves this module: all others are part of the stream's digest alone.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

from metrics.format import MAX_COUNT, MAX_DURATION_MS, Limits, Unreadable
from metrics.otlp import (
    EPOCH,
    MAX_ROADMAP_CHARACTERS,
    MICROSECOND,
    ROADMAP_ATTRIBUTE,
    BadAttribute,
    resource_labels,
    text_of,
    text_of_all,
    wanted_values,
)
from metrics.otlp_buckets import Reading, explicit, exponential
from metrics.otlp_messages import MetricsRequest
from metrics.otlp_told import INSTRUMENTS, LATENCIES, MAX_ATTRIBUTES, Instrument, Told, told_of

DELTA, CUMULATIVE = 1, 2
SECOND_NS = 10**9
# A stream that started earlier, or does not say when, was counting before anybody here looked.
OLDEST_START_NS = 24 * 3600 * SECOND_NS
STATE_KEPT_NS = 35 * 24 * 3600 * SECOND_NS
MAX_POINTS = 50_000
NO_RECORDED_VALUE = 1
_KINDS = ("histogram", "sum", "exponential_histogram")
_NEW = object()
_UNITS = {"s": 1000.0, "": 1000.0, "ms": 1.0, "us": 0.001, "ns": 0.000001}


@dataclass(frozen=True, slots=True, eq=False)
class Where:
    """The series that points count on, without backend and workload. `labels`: JSON text. One object each a request."""

    roadmap: str | None
    provider: str | None
    model: str
    operation: str
    service_tier: str | None
    labels: bytes
    is_server: bool


# Its time and its start in nanoseconds, its place in the request, and what its stream counted since its start.
Point = tuple[int, int, int, Reading]


@dataclass(slots=True, eq=False)
class Line:
    """The points of one metric with the same attributes: streams that differ in their start alone.

    `group`: streams that arrive together. `is_counted` False: they are followed and count nothing here, so that
    nothing of it comes back once they do.
    """

    where: Where
    measure: str
    is_error: bool
    is_cumulative: bool
    group: bytes
    prefix: bytes
    told: bytes
    points: list[Point] = field(default_factory=list)
    is_counted: bool = True

    def stream(self, start_ns: int) -> bytes:
        """The 16 bytes that the stream with this start is known by."""
        return blake2b(b"%b\0%d\0%b" % (self.prefix, start_ns, self.told), digest_size=16).digest()


@dataclass(slots=True)
class Points:
    """The points of a request that are about inference; `bad`: (index, code, sentence) of those that cannot count."""

    lines: list[Line] = field(default_factory=list)
    bad: list[tuple[int, str, str]] = field(default_factory=list)
    warnings: dict[tuple[str, str], int] = field(default_factory=dict)
    seen: int = 0


@dataclass(frozen=True, slots=True)
class _Source:
    roadmap: str | None
    labels: bytes
    digest: bytes
    problem: tuple[str, str] | None = None


def holds_usage(request: MetricsRequest) -> bool:
    """Whether any of its metrics are about inference."""
    return any(
        metric.name in INSTRUMENTS and metric.WhichOneof("data") in _KINDS
        for group in request.message.resource_metrics
        for scope in group.scope_metrics
        for metric in scope.metrics
    )


def points_of(
    request: MetricsRequest, limits: Limits, *, sender: str, takes_roadmap: bool, kept: frozenset[str]
) -> Points:
    """The points of an ExportMetricsServiceRequest. `sender` tells whose streams they are. Raises Unreadable."""
    reader = _Reader(request, limits)
    for group in request.message.resource_metrics:
        scopes = [(one, [m for m in one.metrics if m.name in INSTRUMENTS]) for one in group.scope_metrics]
        if not any(metrics for _, metrics in scopes):
            continue
        source = _source(group.resource, sender, reader.found, takes_roadmap=takes_roadmap, kept=kept)
        for scope, metrics in scopes:
            reader.read_scope(scope.scope, metrics, source)
    return reader.found


class _Reader:
    """Reads a request's metrics into lines, each made once."""

    def __init__(self, request: MetricsRequest, limits: Limits) -> None:
        self.found = Points()
        self._request = request
        self._oldest_ns = (limits.oldest - EPOCH) // MICROSECOND * 1_000
        # To the microsecond, as the limit is.
        self._newest_ns = (limits.newest - EPOCH) // MICROSECOND * 1_000 + 999
        # By prefix and temporality, then by what the attributes tell.
        self._lines: dict[tuple[bytes, bool], dict[bytes, Line]] = {}
        self._wheres: dict[tuple[Hashable, ...], Where] = {}

    def read_scope(self, scope: Any, metrics: list[Any], source: _Source) -> None:
        """Reads these metrics of a scope. Raises Unreadable."""
        mine: list[tuple[Instrument, Line]] = []
        for metric in metrics:
            kind = metric.WhichOneof("data")
            if kind not in _KINDS:
                continue
            instrument = INSTRUMENTS[metric.name]
            prefix = b"\0".join((source.digest, scope.name.encode(), scope.version.encode(), metric.name.encode()))
            lines = self._read_metric(metric, kind, instrument, prefix, source)
            mine.extend((instrument, line) for line in lines)
        newer = {
            (instrument.kind, line.where.operation)
            for instrument, line in mine
            if instrument.generation == 2  # noqa: PLR2004
        }
        for instrument, line in mine:
            if instrument.generation == 1 and (instrument.kind, line.where.operation) in newer:
                line.is_counted = False

    def _read_metric(
        self, metric: Any, kind: str, instrument: Instrument, prefix: bytes, source: _Source
    ) -> list[Line]:
        data = self._request.data_of(metric, kind)
        name, factor = metric.name, _UNITS.get(metric.unit)
        found, first = self.found, self.found.seen
        found.seen += len(data.data_points)
        if found.seen > MAX_POINTS:
            raise Unreadable(413, "too_many_points", f"At most {MAX_POINTS:,} points a request; export fewer.")
        problem = source.problem or _problem_of(name, kind, data)
        is_cumulative = data.aggregation_temporality == CUMULATIVE
        mine = self._lines.setdefault((prefix, is_cumulative), {})
        is_latency = instrument.measure in LATENCIES
        oldest, newest = self._oldest_ns, self._newest_ns
        key_of = self._request.key_of
        # By key: the line, or code and sentence of why its points cannot count, or None where they need not.
        lines: dict[tuple[bytes, ...], Any] = {}
        for index, raw in enumerate(data.data_points, start=first):
            if raw.flags & NO_RECORDED_VALUE:
                continue
            if problem is not None:
                found.bad.append((index, *problem))
                continue
            key = key_of(raw)
            line = lines.get(key, _NEW)
            if line is _NEW:
                told = told_of(name, key, lambda raw=raw: self._request.attributes_of(raw))  # type: ignore[misc]
                line = lines[key] = self._line(
                    told, mine, prefix, source, is_cumulative=is_cumulative, is_server=instrument.is_server
                )
            if line is None:
                continue
            if isinstance(line, tuple):
                found.bad.append((index, *line))
                continue
            start, time = raw.start_time_unix_nano, raw.time_unix_nano
            try:
                if not oldest <= time <= newest or start > time:
                    raise _bad_time(name, start, time, newest)
                reading = self._latency(name, kind, raw, factor) if is_latency else {"n": _total(name, kind, raw)}
            except BadAttribute as bad:
                found.bad.append((index, bad.code, bad.detail))
                continue
            line.points.append((time, start, index, reading))
        return [line for line in lines.values() if isinstance(line, Line)]

    def _line(
        self,
        told: Told,
        mine: dict[bytes, Line],
        prefix: bytes,
        source: _Source,
        *,
        is_cumulative: bool,
        is_server: bool,
    ) -> Line | tuple[str, str] | None:
        if told.problem is not None:
            return told.problem
        if not told.measure:
            return None
        known = mine.get(told.text)
        if known is not None:
            return known
        at = (source.roadmap, source.labels, is_server, told.series)
        where = self._wheres.get(at)
        if where is None:
            where = self._wheres[at] = Where(source.roadmap, *told.series, source.labels, is_server)
        line = Line(where, told.measure, told.is_error, is_cumulative, source.digest, prefix, told.text)
        mine[told.text] = line
        self.found.lines.append(line)
        return line

    def _latency(self, name: str, kind: str, raw: Any, factor: float | None) -> Reading:
        if factor is None:
            raise BadAttribute("bad_unit", f"{name}: takes the unit s or ms.")
        if kind == "sum":
            raise BadAttribute("no_histogram", f"{name}: takes a histogram.")
        count = raw.count
        if not 0 <= count <= MAX_COUNT:
            raise BadAttribute("out_of_range", f"{name}: count is a whole number from 0 to 10^12.")
        if kind == "histogram":
            reading = explicit(name, *self._request.buckets_of(raw), count, factor)
        else:
            reading = exponential(name, raw, factor)
        reading["n"] = count
        if raw.HasField("sum"):
            total = raw.sum * factor
            # What is no number is not between two.
            if not 0 <= total <= (count or 1) * MAX_DURATION_MS:
                raise BadAttribute("out_of_range", f"{name}: sum is a number from 0 to 24 hours a request.")
            reading["s"] = round(total * 1_000_000)
        return reading


def _problem_of(name: str, kind: str, data: Any) -> tuple[str, str] | None:
    if data.aggregation_temporality not in (DELTA, CUMULATIVE):
        return "bad_temporality", f"{name}: the temporality is neither delta nor cumulative."
    if kind == "sum" and not data.is_monotonic:
        return "not_monotonic", f"{name}: a sum has to be monotonic to be counted."
    return None


def _bad_time(name: str, start: int, time: int, newest: int) -> BadAttribute:
    if not time:
        return BadAttribute("missing_field", f"{name}: timeUnixNano is missing.")
    if time > newest:
        return BadAttribute(
            "timestamp_in_future", f"{name}: timeUnixNano is more than 5 minutes ahead; check the clock."
        )
    if start > time:
        return BadAttribute("ends_before_start", f"{name}: timeUnixNano lies before startTimeUnixNano.")
    return BadAttribute("timestamp_too_old", f"{name}: timeUnixNano is too old to be kept.")


def _source(resource: Any, sender: str, found: Points, *, takes_roadmap: bool, kept: frozenset[str]) -> _Source:
    digest = blake2b(sender.encode() + b"\0" + text_of_all(resource.attributes), digest_size=16).digest()
    if len(resource.attributes) > MAX_ATTRIBUTES:
        problem = ("too_many_attributes", f"A resource has at most {MAX_ATTRIBUTES} attributes.")
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
        return _Source(None, b"", digest, (bad.code, bad.detail))


# --- What it counted


def _total(name: str, kind: str, raw: Any) -> int:
    if kind == "sum":
        which = raw.WhichOneof("value")
        number = getattr(raw, which) if which else None
    else:
        number = raw.sum if raw.HasField("sum") else None
    if number is None:
        raise BadAttribute("missing_sum", f"{name}: a point without a sum says nothing of tokens.")
    # What is no number is not between two.
    if not 0 <= number <= MAX_COUNT:
        raise BadAttribute("out_of_range", f"{name}: a sum of tokens is a number from 0 to 10^12.")
    return round(number)

"""Counting exported metrics: differences of streams, folded into hours; streams move with what they post."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from operator import itemgetter
from typing import Any

from django.conf import settings

from accounts.access import Asker
from accounts.models import Token
from metrics import stream_state
from metrics.actions.cell_prices import TOKENS, price_cells
from metrics.actions.counts import MAX_LISTED, by_feed, limits_at, priced_by, series_of, through_of
from metrics.actions.otlp_signals import acknowledged
from metrics.arrivals import note_arrival
from metrics.exported import Exported
from metrics.fold import DEFAULTS, HOUR, Folded, FoldedCell, PlaceKey
from metrics.format import Batch, Unreadable
from metrics.formats.otlp_metrics import (
    OLDEST_START_NS,
    SECOND_NS,
    STATE_KEPT_NS,
    Line,
    Point,
    Points,
    Where,
    holds_usage,
    points_of,
)
from metrics.identity import SeriesIdentity
from metrics.labels import kept_labels
from metrics.models import Receipt
from metrics.new_series import made_with, within_allowance
from metrics.otlp import EPOCH, time_of
from metrics.otlp_buckets import Reading, difference, foreign_of
from metrics.otlp_messages import MetricsRequest, Signal
from metrics.otlp_told import DURATION
from metrics.push_places import Places, find_places
from metrics.stream_state import LastPoint
from metrics.usage import STEP_OPERATIONS, STEP_TOKEN_OPERATIONS, FeedKind, MeasuredAt, SeriesKey

BASELINE = (
    "baseline",
    "Started more than 24 hours before its first point here, or without a start: counted from now on.",
)
FELL = (
    "fell",
    "Counts fewer than before since the same start: two senders under one name? Give each a service.instance.id.",
)
TOO_OLD = ("too_old", "Cumulative points 35 days old and more cannot be told from repeats.")
OTHER_PLACE = (
    "measured_elsewhere",
    "Requests are counted from gen_ai.server.* where the token measures at the server, else from gen_ai.client.*.",
)


HOUR_NS = 3600 * SECOND_NS


@dataclass(slots=True)
class _Counted:
    """What counts of each line: (time in ns, difference). What streams said last, and how many points nothing new."""

    parts: list[tuple[Line, list[tuple[int, Reading]]]] = field(default_factory=list)
    states: dict[bytes, tuple[int, Reading]] = field(default_factory=dict)
    repeats: int = 0

    def times(self) -> list[int]:
        return [time for _, differences in self.parts for time, _ in differences]


def count_points(asker: Asker, token: Token, request: MetricsRequest, now: datetime) -> Exported:
    """Counts the GenAI points of an ExportMetricsServiceRequest; what it counted is still to be written.

    Call it in a transaction. Raises Unreadable. Those of a token that counts traces are acknowledged
    and followed, not counted.
    """
    exported = Exported()
    if not holds_usage(request):
        return exported
    if token.signal != Signal.METRICS:
        exported = acknowledged(token, Signal.METRICS, now)
        # Had its streams no last point when the token is switched to metrics, they would count whole.
        with suppress(Unreadable):
            exported.states = _differences(_points(token, request, now).lines, Exported(), now).states
        return exported
    found = _points(token, request, now)
    if not found.seen:
        return exported
    note_arrival(token, Signal.METRICS, now=now)
    places = find_places(asker, {_place_key(line.where) for line in found.lines})
    lines = _placed(found, places)
    exported.rejected = len(found.bad)
    for _, code, detail in found.bad:
        exported.note(code, detail)
    for (code, detail), number in found.warnings.items():
        exported.note(code, detail, number)
    _leave_uncounted(token, lines, exported)
    counted = _differences(lines, exported, now)
    if counted.parts:
        exported.receipt = _folded_receipt(asker, token, found, counted, places, exported, now)
    exported.states = counted.states
    return exported


def _points(token: Token, request: MetricsRequest, now: datetime) -> Points:
    return points_of(
        request,
        limits_at(now),
        sender=str(token.pk),
        takes_roadmap=token.workload_id is None,
        kept=frozenset(settings.KEPT_LABELS),
    )


def _place_key(where: Where) -> PlaceKey:
    return where.roadmap, where.provider or DEFAULTS["provider"], None


def _placed(found: Points, places: Places) -> list[Line]:
    if not places.refused:
        return found.lines
    kept = []
    for line in found.lines:
        problem = places.refused.get(_place_key(line.where))
        if problem is None:
            kept.append(line)
        else:
            found.bad.extend((index, *problem) for _, _, index, _ in line.points)
    return kept


def _leave_uncounted(token: Token, lines: Iterable[Line], exported: Exported) -> None:
    """Says of which lines this token counts nothing, whoever measures it (docs/adr, 'One vantage point a token')."""
    is_server = token.measured_at == MeasuredAt.SERVER
    for line in lines:
        if line.where.operation in STEP_OPERATIONS and line.measure in TOKENS and not token.counts_step_tokens:
            line.is_counted = False
        elif is_server and line.measure == DURATION and not line.where.is_server:
            exported.note(*OTHER_PLACE, number=len(line.points))
            line.is_counted = False


# --- Streams


def _differences(lines: list[Line], exported: Exported, now: datetime) -> _Counted:
    counted = _Counted()
    streams = {
        (line, start): line.stream(start)
        for line in lines
        if line.is_cumulative
        for start in {start for _, start, _, _ in line.points}
    }
    last: dict[bytes, LastPoint] = {}
    if streams:
        stream_state.hold({line.group for line, _ in streams})
        last = stream_state.last_points(streams.values(), now)
    oldest_ns = (now - EPOCH) // HOUR * HOUR_NS - STATE_KEPT_NS
    for line in lines:
        # Nobody is told what is wrong with points that count nothing.
        told = exported if line.is_counted else Exported()
        if not line.is_cumulative:
            differences = _deltas(line, counted)
        else:
            differences = []
            for point in sorted(line.points, key=itemgetter(0)):
                time, start, _, _ = point
                if time < oldest_ns:
                    told.note(*TOO_OLD)
                    told.rejected += 1
                    continue
                stream = streams[line, start]
                since = _since(stream, point, last.get(stream), counted, told)
                if since is not None and since["n"]:
                    differences.append((time, since))
        if differences and line.is_counted:
            counted.parts.append((line, differences))
    return counted


def _deltas(line: Line, counted: _Counted) -> list[tuple[int, Reading]]:
    seen: set[tuple[int, int]] = set()
    differences = []
    for time, start, _, reading in line.points:
        if (start, time) in seen:
            counted.repeats += 1
            continue
        seen.add((start, time))
        if reading["n"]:
            differences.append((time, reading))
    return differences


def _since(
    stream: bytes, point: Point, stored: LastPoint | None, counted: _Counted, exported: Exported
) -> Reading | None:
    """What the stream counted up to this point and is not counted yet; None where that is nothing."""
    time, start, _, reading = point
    here = counted.states.get(stream)
    before = here or ((stored.time_ns, stored.reading) if stored is not None else None)
    if before is None:
        counted.states[stream] = time, reading
        if time - start > OLDEST_START_NS:
            exported.note(*BASELINE)
            return None
        return reading
    if time <= before[0]:
        counted.repeats += 1
        return None
    since = difference(reading, before[1])
    if since is None and start == 0:
        # It does not say when it started: this may be a restart.
        counted.states[stream] = time, reading
        exported.note(*BASELINE)
    elif since is None:
        exported.note(*FELL)
        exported.rejected += 1
    elif since["n"] or (stored is not None and stored.is_due):
        counted.states[stream] = time, reading
    return since


# --- Hours


def _folded_receipt(
    asker: Asker,
    token: Token,
    found: Points,
    counted: _Counted,
    places: Places,
    exported: Exported,
    now: datetime,
) -> Receipt:
    # Holds the warnings; its records are points.
    batch = Batch([], [], frozenset())
    through = through_of(asker, token, batch, len(counted.times()))
    folded = _folded(token, counted, places, batch, through.pk if through is not None else None)
    is_new = within_allowance(made_with(token, now), folded, batch)
    price_cells(folded, batch)
    for (code, detail), number in batch.warnings.items():
        exported.note(code, detail, number)
    exported.new_at = {one.backend_id for one in folded.identities} if is_new else set()
    exported.batches = by_feed(folded.posted(series_of(folded, places)), places)
    return _receipt(asker, token, found, counted, folded, places, exported)


def _folded(token: Token, counted: _Counted, places: Places, batch: Batch, through_id: int | None) -> Folded:
    folded = Folded()
    identities: dict[tuple[Where, bool], SeriesIdentity] = {}
    cells: dict[tuple[Where, bool, int], FoldedCell] = {}
    for line, differences in counted.parts:
        is_tokens = line.measure in TOKENS
        by_hour: dict[int, list[Reading]] = {}
        for time, reading in differences:
            by_hour.setdefault(time // HOUR_NS, []).append(reading)
        for hour, readings in by_hour.items():
            cell = cells.get((line.where, is_tokens, hour))
            if cell is None:
                known = identities.get((line.where, is_tokens))
                if known is None:
                    known = _identity(token, line.where, places, batch, through_id, is_tokens=is_tokens)
                    identities[line.where, is_tokens] = known
                cell = cells[line.where, is_tokens, hour] = _cell(folded, known, hour)
            if is_tokens:
                cell.count(line.measure, sum([reading["n"] for reading in readings]))
            else:
                _add_latencies(cell, line, readings, counts_requests=_counts_requests(token, line))
    return folded


def _cell(folded: Folded, identity: SeriesIdentity, hour: int) -> FoldedCell:
    """The cell of this hour since 1970. Wheres that differ in what this token does not tell apart have one series."""
    at = EPOCH + hour * HOUR
    cell = folded.cells.get((identity, at, ""))
    if cell is None:
        cell = folded.cells[identity, at, ""] = FoldedCell(identity, at, "")
    return cell


def _counts_requests(token: Token, line: Line) -> bool:
    return line.measure == DURATION and line.where.is_server == (token.measured_at == MeasuredAt.SERVER)


def _identity(
    token: Token, where: Where, places: Places, batch: Batch, through_id: int | None, *, is_tokens: bool
) -> SeriesIdentity:
    place = places.found[_place_key(where)]
    operation = where.operation
    if is_tokens and operation in STEP_OPERATIONS:
        operation = STEP_TOKEN_OPERATIONS[operation]
    return SeriesIdentity(
        key=SeriesKey(
            provider=where.provider or DEFAULTS["provider"],
            model=where.model,
            operation=operation,
            service_tier=where.service_tier or DEFAULTS["service_tier"],
            labels=kept_labels(where.labels, batch, 1) if where.labels else (),
        ),
        backend_id=place.backend_id,
        is_pushed=True,
        workload_id=place.workload_id,
        measured_at=MeasuredAt.SERVER if where.is_server else MeasuredAt(token.measured_at),
        through_id=through_id,
    )


def _add_latencies(cell: FoldedCell, line: Line, readings: list[Reading], *, counts_requests: bool) -> None:
    if counts_requests:
        requests = sum([reading["n"] for reading in readings])
        cell.count("requests", requests)
        cell.count("errors", requests if line.is_error else 0)
    if line.is_error:
        # Errors are counted, not timed.
        return
    timed = [reading for reading in readings if "s" in reading]
    if timed:
        cell.count(f"{line.measure}_count", sum([reading["n"] for reading in timed]))
        name = f"{line.measure}_sum_ms"
        cell.micro[name] = cell.micro.get(name, 0) + sum([reading["s"] for reading in timed])
    by_bounds: dict[tuple[float, ...], list[Sequence[int]]] = {}
    first = readings[0].get("b")
    if first is not None and all(reading.get("b") is first for reading in readings):
        by_bounds[first.ms] = [reading["c"] for reading in readings]
    else:
        for reading in readings:
            foreign = foreign_of(reading)
            if foreign is not None:
                by_bounds.setdefault(foreign[0], []).append(foreign[1])
    for bounds, rows in by_bounds.items():
        there = cell.foreign.get((line.measure, bounds))
        if there is not None:
            rows.append(there)
        cell.foreign[line.measure, bounds] = (
            list(rows[0]) if len(rows) == 1 else list(map(sum, zip(*rows, strict=True)))
        )


def _receipt(
    asker: Asker,
    token: Token,
    found: Points,
    counted: _Counted,
    folded: Folded,
    places: Places,
    exported: Exported,
) -> Receipt:
    times = counted.times()
    backends = {one.backend_id for one in folded.identities}
    workload_ids = {one.workload_id for one in folded.identities}
    demo = [places.workloads[pk].is_demo if pk is not None else False for pk in workload_ids]
    return Receipt(
        kind=FeedKind.PUSH,
        token=token,
        user=asker.user,
        backend_id=backends.pop() if len(backends) == 1 else None,
        workload=places.workloads.get(workload_ids.pop() or 0) if len(workload_ids) == 1 else None,
        window_start=time_of(min(times)).astimezone(UTC),
        window_end=time_of(max(times)).astimezone(UTC),
        accepted=len(times),
        duplicates=counted.repeats,
        not_priced=folded.not_priced,
        rejected=[
            {"index": index, "code": code, "detail": detail} for index, code, detail in sorted(found.bad)[:MAX_LISTED]
        ],
        rejected_count=exported.rejected,
        warnings=_rows(exported.problems, {(code, detail) for _, code, detail in found.bad}),
        note=priced_by(folded.price_refs),
        is_demo=bool(demo) and all(demo),
    )


def _rows(problems: Mapping[tuple[str, str], int], but: set[tuple[str, str]]) -> list[dict[str, Any]]:
    return [
        {"code": code, "detail": detail, "records": number}
        for (code, detail), number in sorted(problems.items())[:MAX_LISTED]
        if (code, detail) not in but
    ]

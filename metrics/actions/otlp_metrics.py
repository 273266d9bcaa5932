"""Counting exported metrics: differences of streams, folded into hours; streams move with what they post."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from django.conf import settings

from accounts.access import Asker
from accounts.models import Token
from metrics import stream_state
from metrics.actions.otlp_signals import acknowledged
from metrics.actions.usage import MAX_LISTED, by_feed, limits_at, priced_by, series_of, through_of
from metrics.arrivals import note_arrival
from metrics.exported import Exported
from metrics.fold import DEFAULTS, HOUR, Folded, FoldedCell, PlaceKey
from metrics.format import Batch
from metrics.formats.otlp_metrics import (
    DURATION,
    OLDEST_START_NS,
    SECOND_NS,
    STATE_KEPT_NS,
    Point,
    Points,
    Where,
    points_of,
)
from metrics.identity import SeriesIdentity
from metrics.labels import kept_labels
from metrics.models import Receipt
from metrics.new_series import within_allowance
from metrics.otlp import EPOCH, time_of
from metrics.otlp_buckets import Reading, difference, foreign_of
from metrics.otlp_messages import Signal
from metrics.pricing import has_reserved_capacity, price_for
from metrics.push_places import Places, find_places
from metrics.stream_state import REFRESHED_AFTER, LastPoint
from metrics.usage import STEP_OPERATIONS, STEP_TOKEN_OPERATIONS, FeedKind, MeasuredAt, SeriesKey

_TOKENS = ("input_tokens", "cached_input_tokens", "cache_write_input_tokens", "output_tokens")
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


@dataclass(slots=True)
class _Counted:
    """Differences that count, what streams said last, and how many points said nothing new."""

    differences: list[tuple[Point, Reading]] = field(default_factory=list)
    states: dict[bytes, tuple[int, Reading]] = field(default_factory=dict)
    repeats: int = 0


def count_points(asker: Asker, token: Token, request: Any, now: datetime) -> Exported:
    """Counts the GenAI points of an ExportMetricsServiceRequest; what it counted is still to be written.

    Call it in a transaction. Raises Unreadable.

    Those of a token that counts traces are acknowledged, not counted.
    """
    found = points_of(
        request,
        limits_at(now),
        sender=str(token.pk),
        takes_roadmap=token.workload_id is None,
        kept=frozenset(settings.KEPT_LABELS),
    )
    exported = Exported()
    if not found.seen:
        return exported
    if token.signal != Signal.METRICS:
        return acknowledged(token, Signal.METRICS, now)
    note_arrival(token, Signal.METRICS, now=now)
    places = find_places(asker, {_place_key(point.where) for point in found.points})
    points = _placed(found, places)
    exported.rejected = len(found.bad)
    for _, code, detail in found.bad:
        exported.note(code, detail)
    for (code, detail), number in found.warnings.items():
        exported.note(code, detail, number)
    points = _counting(token, points, exported)
    counted = _differences(points, exported, now)
    if counted.differences:
        exported.receipt = _folded_receipt(asker, token, found, counted, places, exported, now)
    exported.states = counted.states
    return exported


def _place_key(where: Where) -> PlaceKey:
    return where.roadmap, where.provider or DEFAULTS["provider"], None


def _placed(found: Points, places: Places) -> list[Point]:
    kept = []
    for point in found.points:
        problem = places.refused.get(_place_key(point.where))
        if problem is None:
            kept.append(point)
        else:
            found.bad.append((point.index, *problem))
    return kept


def _counting(token: Token, points: Iterable[Point], exported: Exported) -> list[Point]:
    """Without what this token does not count, whoever measures it (docs/adr, 'One vantage point a token')."""
    is_server = token.measured_at == MeasuredAt.SERVER
    kept = []
    for point in points:
        if point.where.operation in STEP_OPERATIONS and point.measure in _TOKENS and not token.counts_step_tokens:
            continue
        if is_server and point.measure == DURATION and not point.where.is_server:
            exported.note(*OTHER_PLACE)
            continue
        kept.append(point)
    return kept


# --- Streams


def _differences(points: list[Point], exported: Exported, now: datetime) -> _Counted:
    cumulative = [point for point in points if point.is_cumulative]
    last: dict[bytes, LastPoint] = {}
    if cumulative:
        stream_state.hold({point.group for point in cumulative})
        last = stream_state.last_points({point.stream for point in cumulative})
    counted = _Counted()
    seen: set[tuple[bytes, int]] = set()
    oldest_ns = (now - EPOCH) // HOUR * 3600 * SECOND_NS - STATE_KEPT_NS
    for point in sorted(points, key=lambda one: one.time_ns):
        if not point.is_cumulative:
            if (point.stream, point.time_ns) in seen:
                counted.repeats += 1
            else:
                seen.add((point.stream, point.time_ns))
                _count(counted, point, point.reading)
        elif point.time_ns < oldest_ns:
            exported.note(*TOO_OLD)
            exported.rejected += 1
        else:
            _count_cumulative(counted, point, last.get(point.stream), exported, now)
    return counted


def _count_cumulative(
    counted: _Counted, point: Point, stored: LastPoint | None, exported: Exported, now: datetime
) -> None:
    here = counted.states.get(point.stream)
    before = here or ((stored.time_ns, stored.reading) if stored is not None else None)
    if before is None:
        counted.states[point.stream] = point.time_ns, point.reading
        if point.time_ns - point.start_ns > OLDEST_START_NS:
            exported.note(*BASELINE)
        else:
            _count(counted, point, point.reading)
        return
    if point.time_ns <= before[0]:
        counted.repeats += 1
        return
    since = difference(point.reading, before[1])
    if since is None and point.start_ns == 0:
        # It does not say when it started: this may be a restart.
        counted.states[point.stream] = point.time_ns, point.reading
        exported.note(*BASELINE)
    elif since is None:
        exported.note(*FELL)
        exported.rejected += 1
    elif since["n"]:
        counted.states[point.stream] = point.time_ns, point.reading
        _count(counted, point, since)
    elif stored is not None and now - stored.written_at > REFRESHED_AFTER:
        counted.states[point.stream] = point.time_ns, point.reading


def _count(counted: _Counted, point: Point, reading: Reading) -> None:
    if not point.duplicate_of_newer and reading["n"]:
        counted.differences.append((point, reading))


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
    through = through_of(asker, token, batch, len(counted.differences))
    folded = _folded(token, counted, places, batch, through.pk if through is not None else None)
    is_new = within_allowance(token, folded, batch, now=now)
    _price(folded, batch)
    for (code, detail), number in batch.warnings.items():
        exported.note(code, detail, number)
    exported.new_at = {one.backend_id for one in folded.identities} if is_new else set()
    exported.batches = by_feed(folded.posted(series_of(folded, places)), places)
    return _receipt(asker, token, found, counted, folded, places, exported)


def _folded(token: Token, counted: _Counted, places: Places, batch: Batch, through_id: int | None) -> Folded:
    folded = Folded()
    identities: dict[tuple[Where, bool], SeriesIdentity] = {}
    for point, reading in counted.differences:
        is_tokens = point.measure in _TOKENS
        known = identities.get((point.where, is_tokens))
        if known is None:
            known = _identity(token, point.where, places, batch, through_id, is_tokens=is_tokens)
            identities[point.where, is_tokens] = known
        hour = EPOCH + (point.time_ns // (3600 * SECOND_NS)) * HOUR
        cell = folded.cells.get((known, hour, ""))
        if cell is None:
            cell = folded.cells[known, hour, ""] = FoldedCell(known, hour, "")
        if is_tokens:
            cell.count(point.measure, reading["n"])
        else:
            _add_latency(cell, point, reading, counts_requests=_counts_requests(token, point))
    return folded


def _counts_requests(token: Token, point: Point) -> bool:
    return point.measure == DURATION and point.where.is_server == (token.measured_at == MeasuredAt.SERVER)


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


def _add_latency(cell: FoldedCell, point: Point, reading: Reading, *, counts_requests: bool) -> None:
    if counts_requests:
        cell.count("requests", reading["n"])
        cell.count("errors", reading["n"] if point.is_error else 0)
    if point.is_error:
        # Errors are counted, not timed.
        return
    if "s" in reading:
        cell.count(f"{point.measure}_count", reading["n"])
        name = f"{point.measure}_sum_ms"
        cell.micro[name] = cell.micro.get(name, 0) + reading["s"]
    foreign = foreign_of(reading)
    if foreign is not None:
        bounds, counts = foreign
        there = cell.foreign.get((point.measure, bounds))
        cell.foreign[point.measure, bounds] = (
            list(counts) if there is None else [one + two for one, two in zip(there, counts, strict=True)]
        )


def _price(folded: Folded, batch: Batch) -> None:
    """Tokens of an hour are priced as pushed sums are; a cell with money is a cell of its currency."""
    for key in list(folded.cells):
        identity, hour, _ = key
        cell = folded.cells[key]
        tokens = {name: cell.counts.get(name, 0) for name in _TOKENS}
        if not any(tokens.values()):
            continue
        on = hour.astimezone(settings.REPORTING_ZONE).date()
        if has_reserved_capacity(identity.backend_id, on, identity.key.model):
            continue
        one = identity.key
        price = price_for(one.provider, one.model, one.service_tier, hour.date(), backend_id=identity.backend_id)
        money = None
        if price is not None:
            money = price.cost(
                input_tokens=tokens["input_tokens"],
                cached=tokens["cached_input_tokens"],
                cache_write=tokens["cache_write_input_tokens"],
                output_tokens=tokens["output_tokens"],
            )
        if price is None or money is None:
            folded.not_priced += cell.counts.get("requests", 0) or 1
            continue
        if price.has_steps:
            batch.warn(
                "first_price_step", f"{price.ref}: the price depends on the size of a request; sums took the first."
            )
        folded.price_refs.add(price.ref)
        del folded.cells[key]
        cell.money, cell.currency = money, price.currency
        folded.cells[identity, hour, price.currency] = cell


def _receipt(
    asker: Asker,
    token: Token,
    found: Points,
    counted: _Counted,
    folded: Folded,
    places: Places,
    exported: Exported,
) -> Receipt:
    times = [point.time_ns for point, _ in counted.differences]
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
        accepted=len(counted.differences),
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

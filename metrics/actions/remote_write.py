"""Counting what a Prometheus writes: differences of its counters, which move in the transaction that posts them.

A request is not remembered as such: what it holds is known by the times of its samples, so that one that is sent again
counts nothing, whole or in parts.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

import msgspec
from django.db import IntegrityError, transaction
from django.utils import timezone

from accounts.access import Asker
from accounts.models import Token
from metrics import counting, identity, ledger, stream_state
from metrics.actions.cell_prices import price_cells
from metrics.actions.counts import MAX_LISTED, by_feed, limits_at, priced_by, series_of
from metrics.actions.usage import note_problem
from metrics.connectors.presets import Preset
from metrics.connectors.presets.catalogue import all_presets
from metrics.counters import usage_cells
from metrics.deadlocks import done_again
from metrics.errors import RuleViolation
from metrics.fold import Folded, FoldedCell, Place, PlaceKey
from metrics.format import Batch, Unreadable
from metrics.formats.remote_write import Written, read
from metrics.identity import SeriesGone, SeriesIdentity
from metrics.labels import kept_labels
from metrics.models import Receipt, UsageHour
from metrics.new_series import made_with, within_allowance
from metrics.push_places import Places, find_places
from metrics.remote_write_streams import Streams, TooManyHours
from metrics.sources import PUSH_ONLY
from metrics.together import together
from metrics.usage import COUNT_MEASURES, MONEY_MEASURES, FeedKind, MeasuredAt, SeriesKey, UsageCell
from metrics.words import N_

MILLION = 1_000_000
COUNTING_STARTS = N_("Counters have arrived. Counting starts here: what they count from now on is added.")
NOTHING_OF_IT = N_(
    "Series have arrived, and none that the preset in the address reads. Check both, and what write_relabel_configs "
    "keeps."
)


@dataclass(frozen=True, slots=True)
class Target:
    """What the address says: which servers, the name of their model where they tell none, the backend's slug."""

    preset: Preset
    model: str = ""
    backend: str | None = None

    @property
    def place(self) -> PlaceKey:
        return None, self.preset.provider, self.backend


def target_of(preset: str, model: str, backend: str) -> Target:
    """Check what an address says. Raises RuleViolation."""
    known = {one.name: one for one in all_presets()}
    found = known.get(preset)
    if found is None:
        names = ", ".join(sorted(known))
        raise RuleViolation("unknown_preset", f"Say in the address which servers write: ?preset= one of {names}.")
    model = " ".join(model.split())
    if found.needs_a_model_name and not model:
        raise RuleViolation("model_missing", f"{found.title} does not name its model: add &model= to the address.")
    if len(model) > 200 or "\0" in model + backend:
        raise RuleViolation("bad_model", "model: takes at most 200 characters, and no U+0000.")
    return Target(found, model or "unknown", backend or None)


def accept_write(
    asker: Asker, *, token: Token, target: Target, body: bytes, now: datetime | None = None
) -> Receipt | None:
    """Count a WriteRequest in one transaction. None where it moves no counter.

    Raises Unreadable; RuleViolation where the address names what it may not.
    """
    now = now or timezone.now()
    written = read(body, target.preset, limits_at(now))

    def accept() -> Receipt | None:
        with transaction.atomic():
            return _count(asker, token, target, written, now)

    try:
        receipt = done_again(accept)
    except (SeriesGone, IntegrityError):
        # A series or its backend was deleted between finding and posting it; the second time it is made anew.
        identity.forget()
        written = read(body, target.preset, limits_at(now))
        receipt = done_again(accept)
    except TooManyHours:
        raise Unreadable(
            413, "too_many_hours", "These samples reach over too many hours at once; lower max_samples_per_send."
        ) from None
    if receipt is None:
        _say_why(token, target, written)
    return receipt


def _count(asker: Asker, token: Token, target: Target, written: Written, now: datetime) -> Receipt | None:
    place, places = _place(asker, target)
    if not written.rows:
        return None
    # Counted anew where the transaction is done again.
    written = Written(written.rows, dict(written.problems))
    owner = f"{place.backend_id}/{place.workload_id}/{target.preset.name}".encode()
    streams = Streams(target.preset, owner, target.model, written)
    stream_state.hold([streams.group])
    last = stream_state.last_points(streams.digests(), now)
    streams.count({digest: (one.time_ns, one.reading) for digest, one in last.items()})
    receipt = _posted(asker, token, target, streams, place, places, now)
    stream_state.keep(streams.states, now)
    return receipt


def _place(asker: Asker, target: Target) -> tuple[Place, Places]:
    places = find_places(asker, {target.place})
    if target.place in places.refused:
        raise RuleViolation(*places.refused[target.place])
    place = places.found[target.place]
    backend = places.backends[place.backend_id]
    if backend.connector != PUSH_ONLY:
        raise RuleViolation(
            "backend_is_pulled",
            f"The backend '{backend.slug}' is not one that is pushed to: Phaseline reads it itself, or from files, and "
            f"its servers would count twice. Add one that is, and name it in the address: &backend=its-name.",
        )
    return place, places


def _posted(
    asker: Asker,
    token: Token,
    target: Target,
    streams: Streams,
    place: Place,
    places: Places,
    now: datetime,
) -> Receipt | None:
    """The receipt of what counted, posted; None where that is nothing."""
    # Holds the warnings.
    batch = Batch([], [], frozenset())
    folded = _folded(target.preset, usage_cells(streams.differences), place, batch)
    is_new = within_allowance(made_with(token, now), folded, batch)
    series = series_of(folded, places)
    _drop_known_zeros(folded, series)
    if not folded.cells:
        return None
    if not any(reading.currency for reading in target.preset.readings):
        price_cells(folded, batch)
    for (code, detail), number in batch.warnings.items():
        streams.written.note((code, detail), number)
    batches = by_feed(folded.posted(series), places)
    workload = places.workloads.get(place.workload_id or 0)
    receipt = Receipt(
        kind=FeedKind.PUSH,
        token=token,
        user=asker.user,
        backend_id=place.backend_id,
        workload=workload,
        window_start=min(one.start for one in streams.differences),
        window_end=max(one.end for one in streams.differences),
        accepted=streams.counted,
        duplicates=streams.repeats,
        not_priced=folded.not_priced,
        warnings=[
            {"code": code, "detail": detail, "records": number}
            for (code, detail), number in sorted(streams.written.problems.items())[:MAX_LISTED]
        ],
        note=priced_by(folded.price_refs),
        is_demo=workload is not None and workload.is_demo,
    )
    with together() as send:
        found = send("SELECT nextval(pg_get_serial_sequence('metrics_receipt', 'id'))")
    receipt.pk = found.fetchone()[0]  # type: ignore[index]
    ledger.post_push(receipt, batches)
    if is_new:
        counting.recount({place.backend_id})
    return receipt


def _folded(preset: Preset, cells: Iterable[UsageCell], place: Place, batch: Batch) -> Folded:
    folded = Folded()
    identities: dict[SeriesKey, SeriesIdentity] = {}
    for cell in cells:
        identity = identities.get(cell.key)
        if identity is None:
            identity = identities[cell.key] = _identity(preset, cell.key, place, batch)
        key = (identity, cell.hour, cell.currency)
        into = folded.cells.get(key)
        if into is None:
            into = folded.cells[key] = FoldedCell(identity, cell.hour, cell.currency)
        for name, value in cell.sums.items():
            if name in COUNT_MEASURES:
                into.count(name, int(value))
            elif name in MONEY_MEASURES:
                into.money = value if into.money is None else into.money + value  # type: ignore[assignment]
            else:
                into.micro[name] = into.micro.get(name, 0) + round(value * MILLION)
        for name, buckets in cell.histograms.items():
            if not any(buckets.counts):
                continue
            there = into.foreign.get((name, buckets.bounds_ms))
            counts = list(buckets.counts)
            into.foreign[name, buckets.bounds_ms] = (
                counts if there is None else [one + other for one, other in zip(there, counts, strict=True)]
            )
    # Buckets in which nothing has fallen are no news.
    folded.cells = {key: cell for key, cell in folded.cells.items() if _knows(cell)}
    return folded


def _identity(preset: Preset, key: SeriesKey, place: Place, batch: Batch) -> SeriesIdentity:
    labels = kept_labels(msgspec.json.encode(dict(key.labels)), batch, 1) if key.labels else ()
    return SeriesIdentity(
        key=SeriesKey(key.provider, key.model, key.operation, key.service_tier, labels),
        backend_id=place.backend_id,
        is_pushed=True,
        workload_id=place.workload_id,
        # Whatever the token says: the preset knows where its servers stand.
        measured_at=MeasuredAt(preset.measured_at),
    )


def _drop_known_zeros(folded: Folded, series: dict[SeriesIdentity, int]) -> None:
    """An idle server says zero four times a minute; once an hour is known to be zero there is nothing to add."""
    idle = {key: cell for key, cell in folded.cells.items() if not _moves(cell)}
    if not idle:
        return
    names = sorted({name for cell in idle.values() for name in (*cell.counts, *cell.micro)})
    rows = UsageHour.objects.filter(
        series__in={series[identity] for identity, _, _ in idle}, hour__in={hour for _, hour, _ in idle}
    ).values_list("series_id", "hour", *names)
    known: dict[tuple[int, datetime], set[str]] = {}
    for series_id, hour, *values in rows:
        there = known.setdefault((series_id, hour), set())
        there.update(name for name, value in zip(names, values, strict=True) if value is not None)
    for key, cell in idle.items():
        if {*cell.counts, *cell.micro} <= known.get((series[key[0]], key[1]), set()):
            del folded.cells[key]


def _knows(cell: FoldedCell) -> bool:
    return bool(cell.counts or cell.micro or cell.foreign or cell.money is not None)


def _moves(cell: FoldedCell) -> bool:
    return bool(any(cell.counts.values()) or any(cell.micro.values()) or cell.money or cell.foreign)


def _say_why(token: Token, target: Target, written: Written) -> None:
    """For who waits on Send data for the first figures of this token: nothing counted, and why."""
    if token.receipts.exists():
        return
    code, detail = "nothing_of_it", NOTHING_OF_IT
    if written.rows:
        code, detail = "baseline", COUNTING_STARTS
        others = [problem for problem in written.problems if problem[0] != "baseline"]
        if others:
            code, detail = max(others, key=lambda problem: written.problems[problem])
    note_problem(token, code=code, detail=detail)

"""From records to cells: what each series did in each UTC hour, priced, before anything is stored.

Speed matters here: whatever is done per record is a comprehension over one attribute, and only over attributes that
some record gives. Sums are whole numbers (millionths where a measure has decimals), so that any order and any batching
of the same records gives the same cells.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from itertools import repeat
from math import floor
from operator import attrgetter
from typing import Any, NamedTuple

from metrics.format import Batch, Record
from metrics.histogram import add, window_of_values
from metrics.identity import CACHE_SIZE, SeriesIdentity
from metrics.labels import kept_labels
from metrics.ledger import PostedCell
from metrics.pricing import rounded
from metrics.record_costs import Costs, estimated, stated
from metrics.usage import ForeignHistogram, MeasuredAt, SeriesKey

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
DEFAULTS = {"provider": "unknown", "operation": "chat", "service_tier": "standard"}

# Fields that tell series apart; `labels`, the currency of a cost and the hour come on top.
_KEY_FIELDS = ("roadmap", "provider", "backend", "model", "operation", "service_tier")
_COUNTS = (
    "input_tokens",
    "cached_input_tokens",
    "cache_write_input_tokens",
    "output_tokens",
    "blocked",
    "overridden",
    "false_alarms",
)
_AMOUNTS = ("units", "gpu_busy_seconds", "energy_wh")
_LATENCIES = {
    "duration": "duration_ms",
    "time_to_first_token": "time_to_first_token_ms",
    "inter_token": "inter_token_ms",
}
# Six decimals of everything but money.
_MICRO = 1_000_000


@dataclass(frozen=True, slots=True)
class Place:
    """Where records of one (roadmap, provider, backend) belong. `workload_id` None: unallocated."""

    backend_id: int
    workload_id: int | None


PlaceKey = tuple[str | None, str, str | None]


@dataclass(slots=True)
class FoldedCell:
    """Sums of one series, hour and currency. `micro`: millionths. `money` in the currency, not yet rounded."""

    identity: SeriesIdentity
    hour: datetime
    currency: str
    counts: dict[str, int] = field(default_factory=dict)
    micro: dict[str, int] = field(default_factory=dict)
    money: Decimal | None = None
    windows: dict[str, list[int]] = field(default_factory=dict)
    foreign: dict[tuple[str, tuple[float, ...]], list[int]] = field(default_factory=dict)

    def count(self, name: str, amount: int) -> None:
        self.counts[name] = self.counts.get(name, 0) + amount

    def sums(self) -> dict[str, int | Decimal]:
        """By names of ADDITIVE_MEASURES; what no record gave is absent."""
        sums: dict[str, int | Decimal] = dict(self.counts)
        sums.update((name, Decimal(amount).scaleb(-6)) for name, amount in self.micro.items())
        if self.money is not None:
            sums["estimated_cost"] = rounded(self.money)
        return sums


@dataclass(slots=True)
class Folded:
    """The cells of a batch. `not_priced`: records with work that no price is known for. `price_refs`: those used."""

    cells: dict[tuple[SeriesIdentity, datetime, str], FoldedCell] = field(default_factory=dict)
    not_priced: int = 0
    price_refs: set[str] = field(default_factory=set)

    @property
    def identities(self) -> set[SeriesIdentity]:
        return {identity for identity, _, _ in self.cells}

    def without_labels(self, identities: set[SeriesIdentity]) -> None:
        """Moves these series' cells onto the same series without labels."""
        for key in [key for key in self.cells if key[0] in identities]:
            cell = self.cells.pop(key)
            plain = unlabelled(cell.identity)
            _merge(
                self.cells.setdefault((plain, cell.hour, cell.currency), FoldedCell(plain, cell.hour, cell.currency)),
                cell,
            )

    def posted(self, series: Mapping[SeriesIdentity, int]) -> Iterator[tuple[int, PostedCell]]:
        """(backend id, cell) for the ledger, in (series, hour) order."""
        for cell in sorted(self.cells.values(), key=lambda cell: (series[cell.identity], cell.hour, cell.currency)):
            backend_id, series_id = cell.identity.backend_id, series[cell.identity]
            yield backend_id, PostedCell(series_id, cell.hour, cell.sums(), dict(cell.windows), cell.currency)
            for (measure, bounds), counts in sorted(cell.foreign.items()):
                histogram = ForeignHistogram(bounds, tuple(counts))
                yield backend_id, PostedCell(series_id, cell.hour, {}, {measure: histogram}, cell.currency)


def fold(
    batch: Batch,
    places: Mapping[PlaceKey, Place],
    *,
    measured_at: MeasuredAt = MeasuredAt.APPLICATION,
    through_id: int | None = None,
) -> Folded:
    """The batch as cells. `places` has each (roadmap, provider, backend) that a record of the batch names."""
    folded = Folded()
    seen_at = measured_at.value
    for key, records in group(batch):
        provider = key.provider or DEFAULTS["provider"]
        place = places[key.roadmap, provider, key.backend]
        identity = _identity(
            provider,
            key.model,
            key.operation or DEFAULTS["operation"],
            key.service_tier or DEFAULTS["service_tier"],
            kept_labels(key.labels, batch, len(records)) if key.labels else (),
            place.backend_id,
            place.workload_id,
            seen_at,
            through_id,
        )
        hour = EPOCH + key.hour * HOUR
        if key.currency:
            costs = Costs([(key.currency, stated(records), records)])
        else:
            costs = estimated(identity, hour, records, batch)
        folded.not_priced += costs.not_priced
        if costs.price_ref:
            folded.price_refs.add(costs.price_ref)
        for currency, money, members in costs.parts:
            cell = FoldedCell(identity, hour, currency, money=money)
            _add_up(cell, members, batch.fields)
            there = folded.cells.get((identity, hour, currency))
            if there is None:
                folded.cells[identity, hour, currency] = cell
            else:
                _merge(there, cell)
    return folded


@lru_cache(maxsize=CACHE_SIZE)
def _identity(
    provider: str,
    model: str,
    operation: str,
    service_tier: str,
    labels: tuple[tuple[str, str], ...],
    backend_id: int,
    workload_id: int | None,
    measured_at: str,
    through_id: int | None,
) -> SeriesIdentity:
    """The identity that pushed records have; the same object in each push, since making and comparing it takes long."""
    return SeriesIdentity(
        key=SeriesKey(provider, model, operation, service_tier, labels),
        backend_id=backend_id,
        is_pushed=True,
        workload_id=workload_id,
        measured_at=MeasuredAt(measured_at),
        through_id=through_id,
    )


def unlabelled(identity: SeriesIdentity) -> SeriesIdentity:
    """The same series without labels."""
    key = identity.key
    plain = SeriesKey(key.provider, key.model, key.operation, key.service_tier)
    return replace(identity, key=plain)


def place_keys(batch: Batch) -> set[PlaceKey]:
    """Each (roadmap, provider, backend) that a record names."""
    if batch.fields.isdisjoint(("roadmap", "provider", "backend")):
        return {(None, DEFAULTS["provider"], None)} if batch.records else set()
    if batch.fields.isdisjoint(("roadmap", "backend")):
        providers = set(map(attrgetter("provider"), batch.records))
        return {(None, provider or DEFAULTS["provider"], None) for provider in providers}
    found = set(map(attrgetter("roadmap", "provider", "backend"), batch.records))
    return {(roadmap, provider or DEFAULTS["provider"], backend) for roadmap, provider, backend in found}


# --- Groups


class GroupKey(NamedTuple):
    """What the records of a group have in common. `hour`: since 1970. `currency` None: no cost given."""

    roadmap: str | None
    provider: str | None
    backend: str | None
    model: str
    operation: str | None
    service_tier: str | None
    labels: bytes
    currency: str | None
    hour: int


def group(batch: Batch) -> list[tuple[GroupKey, list[Record]]]:
    """Records by what tells cells apart. Columns with one value throughout cost no more than finding that out."""
    records = batch.records
    if not records:
        return []
    constant: dict[str, object] = {"labels": b"", "currency": None, **dict.fromkeys(_KEY_FIELDS)}
    columns: dict[str, list[object]] = {}
    for name, column in _columns(batch):
        if len(set(column)) == 1:
            constant[name] = column[0]
        else:
            columns[name] = column
    if not columns:
        return [(GroupKey(**constant), records)]  # type: ignore[arg-type]
    grouped: dict[Any, list[Record]] = defaultdict(list)
    if len(columns) == 1:
        # Without a tuple for each record.
        ((only, keys),) = columns.items()
        for key, record in zip(keys, records, strict=True):
            grouped[key].append(record)
        varying = {only: list(grouped)}
    else:
        for key, record in zip(zip(*columns.values(), strict=True), records, strict=True):
            grouped[key].append(record)
        varying = dict(zip(columns, map(list, zip(*grouped, strict=True)), strict=True))
    parts = [varying.get(name) or repeat(constant[name], len(grouped)) for name in GroupKey._fields]
    return list(zip(map(GroupKey._make, zip(*parts, strict=True)), grouped.values(), strict=True))


def _columns(batch: Batch) -> Iterator[tuple[str, list[object]]]:
    records, fields = batch.records, batch.fields
    for name in _KEY_FIELDS:
        if name in fields:
            yield name, list(map(attrgetter(name), records))
    if "labels" in fields:
        yield "labels", [bytes(record.labels) for record in records]
    if "cost" in fields:
        yield "currency", [None if record.cost is None else record.currency for record in records]
    first, last = ((at - EPOCH) // HOUR for at in batch.span)
    if first == last:
        yield "hour", [first]
    else:
        yield "hour", [(record.timestamp - EPOCH) // HOUR for record in records]


# --- Sums


def _add_up(cell: FoldedCell, records: list[Record], fields: frozenset[str]) -> None:
    """Fills the cell with what the records give; `fields` says which attributes are worth a look."""
    count = len(records)
    cell.counts["requests"] = sum([record.requests or 1 for record in records]) if "requests" in fields else count
    has_errors = "errors" in fields or "error_type" in fields
    cell.counts["errors"] = sum([record.errors or 0 for record in records]) if has_errors else 0
    for name in _COUNTS:
        if name in fields:
            total = _total(attrgetter(name), records)
            if total is not None:
                cell.counts[name] = total
    for name in _AMOUNTS:
        if name in fields:
            amounts = [round(value * _MICRO) for value in map(attrgetter(name), records) if value is not None]
            if amounts:
                cell.micro[name] = sum(amounts)
    if not fields.isdisjoint(("quality", "quality_sum")):
        _add_quality(cell, records)
    for measure, name in _LATENCIES.items():
        if name in fields or measure == "inter_token":
            _add_latency(cell, measure, _latencies(records, measure, name, fields))
        if f"{measure}_histogram" in fields:
            _add_foreign(cell, measure, records)


def _total(get: Callable[[Record], int | None], records: list[Record]) -> int | None:
    """The sum of what the records give; None where none gives anything."""
    try:
        return sum(map(get, records))  # type: ignore[arg-type]
    except TypeError:
        # One of them gives nothing. Mostly all do, or the field is not asked for.
        values = [value for value in map(get, records) if value is not None]
        return sum(values) if values else None


def _add_quality(cell: FoldedCell, records: list[Record]) -> None:
    single = [round(record.quality * _MICRO) for record in records if record.quality is not None]
    summed = [record for record in records if record.quality_sum is not None]
    if not single and not summed:
        return
    cell.micro["quality_sum"] = sum(single) + sum(round((record.quality_sum or 0) * _MICRO) for record in summed)
    cell.counts["quality_count"] = len(single) + sum(record.quality_count or 0 for record in summed)


def _latencies(records: list[Record], measure: str, name: str, fields: frozenset[str]) -> list[float]:
    values = [value for value in map(attrgetter(name), records) if value is not None] if name in fields else []
    if measure != "inter_token" or not fields.issuperset(("duration_ms", "time_to_first_token_ms", "output_tokens")):
        return values
    # measures.md, Latency: (duration - time to first token) / (output tokens - 1), where it is not given.
    derived = [
        (record.duration_ms - record.time_to_first_token_ms) / (record.output_tokens - 1)
        for record in records
        if record.inter_token_ms is None
        and record.duration_ms is not None
        and record.time_to_first_token_ms is not None
        and record.output_tokens is not None
        and record.output_tokens > 1
    ]
    return values + [value for value in derived if value > 0]


def _add_latency(cell: FoldedCell, measure: str, values: list[float]) -> None:
    if not values:
        return
    cell.counts[f"{measure}_count"] = len(values)
    # `round` but for a half, and faster.
    cell.micro[f"{measure}_sum_ms"] = sum([floor(value * _MICRO + 0.5) for value in values])
    cell.windows[measure] = window_of_values(values)


def _add_foreign(cell: FoldedCell, measure: str, records: list[Record]) -> None:
    """Foreign buckets have counts and no sum of times: they join the histogram, not count and sum of the mean."""
    for record in records:
        histogram = getattr(record, f"{measure}_histogram")
        if histogram is not None:
            _add_counts(cell.foreign, (measure, tuple(histogram.bounds_ms)), histogram.counts)


def _add_counts(
    into: dict[tuple[str, tuple[float, ...]], list[int]], key: tuple[str, tuple[float, ...]], counts: Iterable[int]
) -> None:
    there = into.get(key)
    into[key] = list(counts) if there is None else [one + two for one, two in zip(there, counts, strict=True)]


def _merge(into: FoldedCell, cell: FoldedCell) -> None:
    for name, amount in cell.counts.items():
        into.counts[name] = into.counts.get(name, 0) + amount
    for name, amount in cell.micro.items():
        into.micro[name] = into.micro.get(name, 0) + amount
    if cell.money is not None:
        into.money = cell.money if into.money is None else into.money + cell.money
    for measure, window in cell.windows.items():
        into.windows[measure] = add(into.windows[measure], window) if measure in into.windows else window
    for key, counts in cell.foreign.items():
        _add_counts(into.foreign, key, counts)

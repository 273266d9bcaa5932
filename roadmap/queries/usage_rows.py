"""What usage did, by the dimensions of spend: counts, and latency from merged histograms, each place of measurement
apart."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from metrics import series
from metrics.figures import (
    LatencyRow,
    MergedHistogram,
    Sums,
    merged,
)
from metrics.histogram import Percentile
from metrics.usage import HISTOGRAM_MEASURES, SeriesKind
from roadmap.queries.readings import PERCENTS, PLACES, merged_histogram
from roadmap.queries.spend import SpendView
from roadmap.rules.spending import Key
from web.spreadsheets import Column, Value

COUNTS = (
    "requests",
    "errors",
    "input_tokens",
    "cached_input_tokens",
    "cache_write_input_tokens",
    "output_tokens",
    "units",
)
DEFAULT_USAGE_BY = ("month", "model")


@dataclass(frozen=True, slots=True)
class Timing:
    """One latency measure at one place. `percentiles` by percent; `mean_ms` where one source alone gives it."""

    measure: str
    measured_at: str
    count: Decimal
    percentiles: dict[int, Percentile]
    mean_ms: Decimal | None


@dataclass(frozen=True, slots=True)
class UsageTableRow:
    """One combination: counts (None: unknown), shares applied, and its latency."""

    members: Key
    counts: dict[str, Decimal | int | None]
    timings: Sequence[Timing]


def usage_table(view: SpendView) -> list[UsageTableRow]:
    """Every combination in order. Two queries, or four where unallocated usage is told apart."""
    by = view.filters.by
    held: dict[Key, list[Sums]] = {}
    grain: Any = "month" if "month" in by else None
    reader = view.reader
    for row in reader.usage_rows(by, grain=grain, measures=COUNTS, tells_unallocated=False):
        key = reader.members_of(row)
        if row.key["kind"] == SeriesKind.USAGE and reader.keeps(key):
            held.setdefault(tuple(key[name] for name in by), []).append(row.sums)
    timings: dict[Key, list[LatencyRow]] = {}
    for timed in _latency(view, grain):
        key = reader.members_of(timed)
        if reader.keeps(key):
            timings.setdefault(tuple(key[name] for name in by), []).append(timed)
    return [
        UsageTableRow(place, _counts(held.get(place, [])), _timings(timings.get(place, [])))
        for place in sorted(held.keys() | timings.keys())
    ]


def _counts(sums: Sequence[Sums]) -> dict[str, Decimal | int | None]:
    whole = merged(sums)
    return {name: whole.total(name) for name in COUNTS}


def _latency(view: SpendView, grain: Any) -> list[LatencyRow]:
    """Histograms by everything that is told apart; of unallocated usage what the workloads leave of the whole."""
    reader = view.reader
    scope = reader.scope()
    wanted = reader.dimensions(view.filters.by, scope, tells_unallocated=False)
    slices = view.plan.slices if "slice" in wanted else ()
    rows = series.latency(scope, measures=HISTOGRAM_MEASURES, by=wanted, grain=grain, slices=slices)
    if scope.workload_ids is not None or "workload" not in wanted:
        return rows
    others = tuple(name for name in wanted if name not in ("workload", "slice"))
    whole = series.latency(scope, measures=HISTOGRAM_MEASURES, by=others, grain=grain)
    return [*rows, *_left(whole, rows, [name for name in others if name != "measured_at"])]


def _left(whole: Iterable[LatencyRow], parts: Iterable[LatencyRow], names: Sequence[str]) -> list[LatencyRow]:
    """Counts that belong to no workload. Shares are whole parts of the counts, so that the difference is exact."""

    def place(row: LatencyRow) -> tuple[Any, ...]:
        found = [value for name, value in row.key.items() if not name.startswith(("workload", "slice"))]
        return (row.period, row.measure, *found)

    taken: dict[tuple[Any, ...], list[LatencyRow]] = {}
    for row in parts:
        taken.setdefault(place(row), []).append(row)
    found = []
    for row in whole:
        mine = taken.get(place(row), [])
        rest = _minus(row.histogram, merged_histogram(mine)) if mine else row.histogram
        if rest:
            key = row.key | {"workload": None, "workload_name": None, "workload_slug": None, "slice": None}
            mean = None if mine else row.mean_ms
            found.append(LatencyRow(row.period, key, row.measure, rest, mean, None))
    return found


def _minus(whole: MergedHistogram, part: MergedHistogram) -> MergedHistogram:
    def less(held: dict[int, int], away: dict[int, int]) -> dict[int, int]:
        left = {bucket: count - away.get(bucket, 0) for bucket, count in held.items()}
        return {bucket: count for bucket, count in left.items() if count > 0}

    foreign = {bounds: less(held, part.foreign.get(bounds, {})) for bounds, held in whole.foreign.items()}
    return MergedHistogram(less(whole.native, part.native), {bounds: held for bounds, held in foreign.items() if held})


def _timings(rows: Sequence[LatencyRow]) -> list[Timing]:
    """Each measure at each place, the place that counts first."""
    held: dict[tuple[int, int, str], list[LatencyRow]] = {}
    for row in rows:
        place = str(row.key["measured_at"])
        rank = PLACES.index(place) if place in PLACES else len(PLACES)
        held.setdefault((HISTOGRAM_MEASURES.index(row.measure), rank, place), []).append(row)
    found = []
    for members in (held[order] for order in sorted(held)):
        histogram = merged_histogram(members)
        percentiles = {percent: value for percent in PERCENTS if (value := histogram.percentile(percent)) is not None}
        mean = members[0].mean_ms if len(members) == 1 else None
        if percentiles or mean is not None:
            first = members[0]
            found.append(Timing(first.measure, first.key["measured_at"], histogram.count, percentiles, mean))
    return found


def usage_columns(by: Sequence[str]) -> list[Column]:
    """The columns of a usage file; of latency the place that counts, its upper end where only a bucket is known."""
    found = []
    for name in by:
        found += [Column(name), Column(f"{name}_name")] if name != "month" else [Column("month", "day")]
    found += [Column(name, "count") for name in COUNTS]
    for measure in HISTOGRAM_MEASURES:
        found += [Column(f"{measure}_p{percent}_ms", "count") for percent in PERCENTS]
        found += [Column(f"{measure}_mean_ms", "count"), Column(f"{measure}_measured_at")]
    return found


def usage_values(by: Sequence[str], row: UsageTableRow) -> list[Value]:
    """A row's cells in the order of `usage_columns`."""
    found: list[Value] = []
    for name, one in zip(by, row.members, strict=True):
        found += [date.fromisoformat(f"{one.id}-01")] if name == "month" else [one.value or "", one.name]
    found += [row.counts[name] for name in COUNTS]
    for measure in HISTOGRAM_MEASURES:
        timing = next((one for one in row.timings if one.measure == measure), None)
        for percent in PERCENTS:
            found.append(_upper(timing.percentiles.get(percent)) if timing else None)
        found += [timing.mean_ms if timing else None, timing.measured_at if timing else ""]
    return found


def _upper(value: Percentile | None) -> Decimal | None:
    ms = None if value is None else value.ms if value.ms is not None else value.high_ms
    return None if ms is None else Decimal(str(round(ms, 3)))

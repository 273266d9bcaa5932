"""What a roadmap did in a window, read through metrics.series and added up here: each window is asked for once.

A reading costs a few queries whatever it holds, so a page loads the days and the periods that it needs first, and takes
every other window of local days out of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Protocol
from zoneinfo import ZoneInfo

from django.conf import settings

from metrics import series
from metrics.figures import (
    Dimension,
    LatencyRow,
    MergedHistogram,
    Scope,
    Span,
    UsageRow,
    whole,
)
from metrics.usage import HISTOGRAM_MEASURES, STEP_OPERATIONS, SeriesKind
from metrics.windows import Window
from roadmap.charts.frame import Grain
from roadmap.kpi import LatencyFigures, PhaseFigures

PERCENTS = (50, 95, 99)
FEW_DAYS = 112
# Of the places that time the same request, the one that counts is shown first (measures.md, Counted once).
PLACES = ("gateway", "inner_gateway", "server", "pushed_server", "application")
DIMENSIONS: tuple[Dimension, ...] = ("backend", "provider", "model", "operation", "kind", "hardware")
DAY_DIMENSIONS: tuple[Dimension, ...] = ("backend", "provider", "model", "kind", "hardware")
TOTAL_DIMENSIONS: tuple[Dimension, ...] = ("backend", "provider", "model", "kind")


def window_seconds(start_on: date, end_on: date, now: datetime) -> int:
    """Seconds of the local days [start_on, end_on), cut at `now`: 23, 24 or 25 hours a day."""
    zone: ZoneInfo = settings.REPORTING_ZONE
    window = Window.of_days(start_on, end_on, zone)
    return max(0, int((min(window.end, now) - window.start).total_seconds()))


def pick_latency(rows: Iterable[LatencyRow], *, place: str | None = None) -> dict[str, LatencyFigures]:
    """Per measure the percentiles of the place that counts (or of `place`), periods merged, places never."""
    held: dict[tuple[str, str], list[LatencyRow]] = {}
    for row in rows:
        held.setdefault((row.measure, row.key["measured_at"]), []).append(row)
    found: dict[str, LatencyFigures] = {}
    for measure in HISTOGRAM_MEASURES:
        for at in (place,) if place else PLACES:
            members = held.get((measure, at))
            if not members:
                continue
            figures = latency_figures(at, merged_histogram(members), members)
            # A place that only has a mean does not hide one that has percentiles.
            if measure not in found or (not found[measure].percentiles and figures.percentiles):
                found[measure] = figures
    return found


def merged_histogram(rows: Sequence[LatencyRow]) -> MergedHistogram:
    """The counts of all rows in one histogram; a single row's own."""
    if len(rows) == 1:
        return rows[0].histogram
    merged = MergedHistogram()
    for row in rows:
        for bucket, count in row.histogram.native.items():
            merged.native[bucket] = merged.native.get(bucket, 0) + count
        for bounds, buckets in row.histogram.foreign.items():
            into = merged.foreign.setdefault(bounds, {})
            for bucket, count in buckets.items():
                into[bucket] = into.get(bucket, 0) + count
    return merged


def latency_figures(place: str, histogram: MergedHistogram, rows: Sequence[LatencyRow]) -> LatencyFigures:
    """Percentiles of a merged histogram; the mean only of a single row, since means are not added up."""
    percentiles = {percent: value for percent in PERCENTS if (value := histogram.percentile(percent)) is not None}
    mean = rows[0].mean_ms if len(rows) == 1 else None
    return LatencyFigures(
        measured_at=place,
        count=int(histogram.count),
        percentiles=percentiles,
        mean_ms=None if mean is None else float(mean),
    )


class FiguresReader(Protocol):
    """Where KPIs get the figures of a window from."""

    def figures(
        self, start_on: date, end_on: date, *, entered: Decimal | None = None, value_sum: Decimal | None = None
    ) -> PhaseFigures:
        """The figures of the local days [start_on, end_on)."""


@dataclass(slots=True)
class Readings:
    """The usage of some workloads, read once per window.

    `workload_ids` None reads the whole organisation, unallocated usage included. `now` cuts running windows.
    """

    workload_ids: tuple[int, ...] | None
    now: datetime
    include_demo: bool = True
    # Of HISTOGRAM_MEASURES those that are asked for; histograms are the dearest thing to read.
    latency_measures: tuple[str, ...] = HISTOGRAM_MEASURES
    _usage: dict[tuple[date, date, Grain | None], list[UsageRow]] = field(default_factory=dict)
    _steps: dict[tuple[date, date, Grain | None], list[UsageRow]] = field(default_factory=dict)
    _latency: dict[tuple[date, date, Grain | None, int | None, str | None], list[LatencyRow]] = field(
        default_factory=dict
    )

    def scope(self, start_on: date, end_on: date, *, backend_id: int | None = None, model: str | None = None) -> Scope:
        """The local days [start_on, end_on) of these workloads."""
        return Scope(start_on, end_on, self.workload_ids, backend_id, model, self.include_demo)

    def periods(self, start_on: date, end_on: date, grain: Grain) -> list[UsageRow]:
        """Usage by period and by everything that a page shows apart; without agents' steps."""
        return self._read(start_on, end_on, grain, DIMENSIONS)

    def steps(self, start_on: date, end_on: date, grain: Grain) -> list[UsageRow]:
        """What agents, tools and workflows did, which is in no other figure: their inference counts as its own."""
        self._read(start_on, end_on, grain, DIMENSIONS)
        return self._steps.get((start_on, end_on, grain), [])

    def days(self, start_on: date, end_on: date) -> list[UsageRow]:
        """Usage by day; asked for before `rows`, it spares every reading within it."""
        return self._read(start_on, end_on, "day", DAY_DIMENSIONS)

    def load_usage(self, days: tuple[date, date], windows: Iterable[tuple[date, date]]) -> list[UsageRow]:
        """The usage of `days` by day, and in the same query that of the windows which nothing read so far holds."""
        spans = [] if days[1] <= days[0] or (*days, "day") in self._usage else [Span(*days, "day")]
        for start_on, end_on in dict.fromkeys(windows):
            in_days = days[0] <= start_on and end_on <= days[1]
            if start_on < end_on and not in_days and self._held_rows(start_on, end_on) is None:
                spans.append(Span(start_on, end_on))
        if len(spans) > 1:
            found = series.usage_of_spans(self.workload_ids, spans, by=DAY_DIMENSIONS, include_demo=self.include_demo)
            for span, rows in zip(spans, found, strict=True):
                self._usage[span.start_on, span.end_on, span.grain] = rows
        return self.days(*days)

    def load_latency(self, spans: Iterable[Span]) -> None:
        """The latency of these spans as wholes, in one query for all that nothing read so far holds."""
        wanted = [
            span
            for span in dict.fromkeys(spans)
            if span.start_on < span.end_on
            and self._held_latency(span.start_on, span.end_on, None, span.backend_id, span.model) is None
        ]
        if len(wanted) < 2:
            # One alone is read when it is asked for.
            return
        first, last = min(span.start_on for span in wanted), max(span.end_on for span in wanted)
        sources = {(span.backend_id, span.model) for span in wanted}
        if len(sources) == 1 and (last - first).days <= FEW_DAYS:
            # So few days of one source are read faster than they are told apart by windows.
            backend_id, model = sources.pop()
            self.latency(first, last, grain="day", backend_id=backend_id, model=model)
            return
        found = series.latency_of_spans(
            self.workload_ids, wanted, measures=self.latency_measures, include_demo=self.include_demo
        )
        for span, rows in zip(wanted, found, strict=True):
            self._latency[span.start_on, span.end_on, None, span.backend_id, span.model] = rows

    def rows(self, start_on: date, end_on: date) -> list[UsageRow]:
        """The rows of a window, out of what was read already where that holds it whole."""
        if end_on <= start_on:
            return []
        held = self._held_rows(start_on, end_on)
        return self._read(start_on, end_on, None, TOTAL_DIMENSIONS) if held is None else held

    def _held_rows(self, start_on: date, end_on: date) -> list[UsageRow] | None:
        for (first, last, grain), rows in self._usage.items():
            if (first, last) == (start_on, end_on):
                return rows
            if grain == "day" and first <= start_on and end_on <= last:
                return [row for row in rows if row.period is not None and start_on <= row.period < end_on]
        return None

    def latency(
        self,
        start_on: date,
        end_on: date,
        *,
        grain: Grain | None = None,
        backend_id: int | None = None,
        model: str | None = None,
    ) -> list[LatencyRow]:
        """Histograms of `latency_measures` by place of measurement."""
        if end_on <= start_on:
            return []
        known = self._held_latency(start_on, end_on, grain, backend_id, model)
        if known is not None:
            return known
        rows = series.latency(
            self.scope(start_on, end_on, backend_id=backend_id, model=model),
            measures=self.latency_measures,
            by=("measured_at",),
            grain=grain,
        )
        self._latency[start_on, end_on, grain, backend_id, model] = rows
        return rows

    def _held_latency(
        self, start_on: date, end_on: date, grain: Grain | None, backend_id: int | None, model: str | None
    ) -> list[LatencyRow] | None:
        for (first, last, held, *source), rows in self._latency.items():
            if source != [backend_id, model] or grain not in (None, held):
                continue
            if (first, last) == (start_on, end_on):
                return rows
            if held == "day" and first <= start_on and end_on <= last:
                return [row for row in rows if row.period is not None and start_on <= row.period < end_on]
        return None

    def figures(
        self,
        start_on: date,
        end_on: date,
        *,
        entered: Decimal | None = None,
        value_sum: Decimal | None = None,
        keep: Callable[[UsageRow], bool] = lambda _: True,
        with_latency: bool = True,
        backend_id: int | None = None,
        model: str | None = None,
    ) -> PhaseFigures:
        """Everything that computed KPIs are made of, over the local days [start_on, end_on).

        `entered`: cost entries of the window in the reporting currency. `keep` narrows the usage, `backend_id` and
        `model` the latency; a page that filters gives both.
        """
        rows = [row for row in self.rows(start_on, end_on) if keep(row)]
        latency = self.latency(start_on, end_on, backend_id=backend_id, model=model) if with_latency else []
        return figures_of(
            rows,
            latency,
            start_on=start_on,
            end_on=end_on,
            now=self.now,
            entered=entered,
            value_sum=value_sum,
        )

    def _read(self, start_on: date, end_on: date, grain: Grain | None, by: tuple[Dimension, ...]) -> list[UsageRow]:
        key = (start_on, end_on, grain)
        if key not in self._usage:
            rows = [] if end_on <= start_on else series.usage(self.scope(start_on, end_on), by=by, grain=grain)
            self._usage[key] = [row for row in rows if not _is_step(row)]
            self._steps[key] = [row for row in rows if _is_step(row)]
        return self._usage[key]


def _is_step(row: UsageRow) -> bool:
    return row.key["kind"] == SeriesKind.USAGE and row.key.get("operation") in STEP_OPERATIONS


def figures_of(
    rows: Sequence[UsageRow],
    latency: Sequence[LatencyRow],
    *,
    start_on: date,
    end_on: date,
    now: datetime,
    entered: Decimal | None = None,
    value_sum: Decimal | None = None,
) -> PhaseFigures:
    """The figures of rows that were read; the rows need the dimensions 'provider' and 'kind'."""
    usage = whole(rows)
    idle = whole(rows, lambda row: row.key["kind"] == SeriesKind.IDLE)
    known = [amount for amount in (usage.spend, entered) if amount is not None]
    return PhaseFigures(
        start_on=start_on,
        end_on=end_on,
        seconds=window_seconds(start_on, end_on, now),
        currency=settings.REPORTING_CURRENCY,
        usage=usage,
        spend=sum(known, Decimal(0)) if known else None,
        idle_spend=idle.spend,
        spend_by_provider=_spend_by_provider(rows),
        latency=pick_latency(latency),
        value_sum=value_sum,
    )


def _spend_by_provider(rows: Sequence[UsageRow]) -> Mapping[str, Decimal]:
    spent: dict[str, Decimal] = {}
    for row in rows:
        spend = row.sums.spend
        if spend:
            spent[row.key["provider"]] = spent.get(row.key["provider"], Decimal(0)) + spend
    return spent

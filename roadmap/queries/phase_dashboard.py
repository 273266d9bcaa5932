"""The dashboard of a phase: everything that its page and `GET /api/v1/phases/<id>/dashboard` show, computed once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.utils import timezone
from django.utils.translation import gettext

from accounts.access import Asker
from metrics import series
from metrics.figures import (
    LatencyRow,
    Span,
    UsageRow,
    whole,
)
from metrics.stated import StatedLatency
from metrics.windows import local_day
from roadmap.charts.frame import grain_for
from roadmap.charts.stated import StatedData, grain_of, stated_chart
from roadmap.kpi import KpiStatus, KpiValue, PhaseFigures
from roadmap.models import Milestone
from roadmap.queries import phase_charts, phase_tiles
from roadmap.queries.dashboard_filters import Filters
from roadmap.queries.entered import Entered, rates_for
from roadmap.queries.kpi_values import computed_windows, kpi_values, latency_needed, phase_window
from roadmap.queries.phase_money import RECENT_DAYS, PhaseMoney, colors_of, day_spends_of, phase_money
from roadmap.queries.phase_rows import PhaseRows, phase_rows
from roadmap.queries.phase_tiles import Figure
from roadmap.queries.phase_view import Choice, PhaseDashboard
from roadmap.queries.readings import Readings, figures_of, pick_latency
from roadmap.rules import health
from web import wording
from web.pieces import Chart, Tile

DAY = timedelta(days=1)
TILE_DAYS = 28


def phase_dashboard(
    asker: Asker,
    *,
    slug: str | None = None,
    kind: str | None = None,
    phase_id: int | None = None,
    filters: Filters | None = None,
    now: datetime | None = None,
) -> PhaseDashboard:
    """The dashboard of the phase with this slug and kind, or this id. Raises Phase.DoesNotExist.

    The number of queries depends on what is asked for, never on how much usage, how many series or months there are.
    """
    rows = phase_rows(asker, slug=slug, kind=kind, phase_id=phase_id)
    return _Builder(rows, filters or Filters(), now or timezone.now()).build()


class _Builder:
    """Reads what the page needs in one go and hands it on."""

    def __init__(self, rows: PhaseRows, filters: Filters, now: datetime) -> None:
        self.rows, self.filters, self.now = rows, filters, now
        self.phase = rows.phase
        self.today = local_day(now, settings.REPORTING_ZONE)
        self.reader = Readings((rows.roadmap.workload_id,), now, latency_measures=latency_needed(rows.kpis))
        self.window = phase_window(self.phase, self.today)
        first = self.phase.started_on or self.today
        currencies = [entry.currency for entry in rows.costs] + [self.phase.budget_currency]
        self.entered = Entered(rows.costs, rates_for(currencies, first, self.today + DAY), self.today)

    def build(self) -> PhaseDashboard:
        if self.window is None:
            return self._not_started()
        self.filters, start_on, end_on = self.filters.within(*self.window)
        self.grain = grain_for(start_on, end_on)
        self.shown = (start_on, end_on)
        self.all_rows = self.reader.periods(*self.window, grain_for(*self.window))
        shown_rows = self.reader.periods(start_on, end_on, self.grain)
        self.kpi_windows = computed_windows(self.rows.kpis, self.phase, self.today)
        self.day_rows = self.reader.load_usage(
            (max(self.window[0], self.window[1] - (RECENT_DAYS + 1) * DAY), self.window[1]),
            [*self.kpi_windows, *self._days_before()],
        )
        self.freshness = series.freshness([self.rows.roadmap.workload_id])
        self._choose_source(shown_rows)
        self.rows_shown = [row for row in shown_rows if self.keep(row)]
        self.latency_rows = self.reader.latency(
            start_on, end_on, grain=self.grain, backend_id=self.backend_id, model=self.filters.model or None
        )
        self.now_window, self.before_window, self.window_words = self._tile_windows()
        self._load_latency()
        values = kpi_values(
            self.phase,
            kpis=self.rows.kpis,
            readings=self.rows.readings,
            entered=self.entered,
            reader=self.reader,
            now=self.now,
        )
        money = phase_money(
            self.phase,
            window=self.window,
            rows=self.all_rows,
            day_spends=day_spends_of(self.day_rows),
            entered=self.entered,
            freshness=self.freshness,
            today=self.today,
        )
        self.changes = series.changes(self.reader.scope(*self.shown))
        self.stated = self._stated_percentiles()
        figures, tiles = self._tiles(money)
        finding, rest = health.lede(self._health_money(money), self._schedule(), self._kpi_states(values))
        usage = whole(self.rows_shown)
        return PhaseDashboard(
            rows=self.rows,
            filters=self.filters,
            now=self.now,
            today=self.today,
            window=self.shown,
            grain=self.grain,
            finding=finding,
            rest=rest,
            money=money,
            figures=figures,
            tiles=tiles,
            charts=self._charts(money, figures),
            values=values,
            freshness=self.freshness,
            cross_checks=series.cross_checks(self.reader.scope(*self.shown)),
            backends=self.backends,
            models=self.models,
            not_priced_tokens=int(usage.tokens_without_cost),
            not_priced_requests=int(usage.requests_without_cost),
            stale_rates=usage.stale_rates,
            restated=[change for change in self.changes if change.kind == "restated"],
            stated_percentiles=self.stated,
        )

    def _not_started(self) -> PhaseDashboard:
        values = kpi_values(self.phase, kpis=self.rows.kpis, readings=self.rows.readings, entries=[], now=self.now)
        finding, rest = health.lede(
            health.Money(settings.REPORTING_CURRENCY, None, None, None), self._schedule(), self._kpi_states(values)
        )
        return PhaseDashboard(
            rows=self.rows,
            filters=self.filters,
            now=self.now,
            today=self.today,
            window=None,
            grain="day",
            finding=finding,
            rest=rest,
            money=None,
            figures=(),
            tiles=(),
            charts=(),
            values=values,
            freshness=(),
            cross_checks=(),
            backends=(),
            models=(),
            not_priced_tokens=0,
            not_priced_requests=0,
            stale_rates={},
            restated=(),
        )

    def _choose_source(self, shown_rows: Sequence[UsageRow]) -> None:
        """The backends and models there are, and the filters that name none of them taken back in words."""
        slugs = {row.key["backend_slug"]: row for row in (*self.all_rows, *shown_rows)}
        self.backends = [Choice(slug, row.key["backend_name"]) for slug, row in sorted(slugs.items())]
        models = {row.key["model"] for row in (*self.all_rows, *shown_rows) if row.key["model"]}
        self.models = [Choice(model, model) for model in sorted(models)]
        self.backend_id: int | None = None
        if self.filters.backend in slugs:
            self.backend_id = slugs[self.filters.backend].key["backend"]
        elif self.filters.backend:
            names = ", ".join(slugs) or gettext("none yet")
            self.filters = self.filters.without(
                "backend",
                gettext("No backend '%(backend)s' has usage here. There is: %(names)s.")
                % {"backend": self.filters.backend[:60], "names": names},
            )
        if self.filters.model and self.filters.model not in models:
            names = ", ".join(sorted(models)) or gettext("none yet")
            self.filters = self.filters.without(
                "model",
                gettext("No model '%(model)s' has usage here. There is: %(names)s.")
                % {"model": self.filters.model[:60], "names": names},
            )
        self.keep = phase_charts.keep_for(self.backend_id, self.filters.model)

    def _stated_percentiles(self) -> list[StatedLatency]:
        """Percentiles that sources state themselves, where one of the roadmap's does."""
        if not any(item.states_percentiles for item in self.freshness):
            return []
        scope = replace(self.reader.scope(*self.shown), backend_id=self.backend_id, model=self.filters.model or None)
        return series.stated_percentiles(scope, grain=grain_of(*self.shown))

    def _tile_windows(self) -> tuple[tuple[date, date], tuple[date, date] | None, str]:
        """The days of the tiles, those to compare with, and both in words."""
        first, last = self.window or self.shown
        if self.filters.has_days:
            before = next(iter(self._days_before()), None)
            return self.shown, before, wording.days(self.shown[0], self.shown[1] - DAY)
        complete_end = last - DAY if last > self.today else last
        start_on = max(first, complete_end - TILE_DAYS * DAY)
        if start_on >= complete_end or not self._has_traffic(start_on, complete_end):
            if last > self.today and self._has_traffic(self.today, last):
                return (max(first, last - TILE_DAYS * DAY), last), None, gettext("today so far")
            if start_on >= complete_end:
                return (first, last), None, gettext("today so far")
        before_start = max(first, start_on - TILE_DAYS * DAY)
        is_enough = (start_on - before_start).days >= phase_tiles.MINIMUM_BEFORE
        days = (complete_end - start_on).days
        return (
            (start_on, complete_end),
            (before_start, start_on) if is_enough else None,
            wording.plural(days, "day"),
        )

    def _days_before(self) -> list[tuple[date, date]]:
        """The days to compare the chosen ones with: as many before them, where the phase has so many."""
        start_on, end_on = self.shown
        before = start_on - (end_on - start_on)
        return [(before, start_on)] if self.filters.has_days and self.window and before >= self.window[0] else []

    def _load_latency(self) -> None:
        """The windows of tiles and KPIs in one reading, those aside that the chart's reading holds."""
        tiles = [self.now_window, *([self.before_window] if self.before_window else [])]
        self.reader.load_latency(
            [
                *(Span(*window, None, self.backend_id, self.filters.model or None) for window in tiles),
                *(Span(*window) for window in self.kpi_windows),
            ]
        )

    def _has_traffic(self, start_on: date, end_on: date) -> bool:
        return any(
            row.period is not None and start_on <= row.period < end_on and row.key["kind"] == "usage"
            for row in self.day_rows
        )

    def _figures(self, window: tuple[date, date]) -> PhaseFigures:
        return self.reader.figures(
            *window, keep=self.keep, backend_id=self.backend_id, model=self.filters.model or None
        )

    def _tiles(self, money: PhaseMoney) -> tuple[list[Figure], list[Tile]]:
        now = self._figures(self.now_window)
        before = self._figures(self.before_window) if self.before_window else None
        targets = phase_tiles.targets_of(self.rows.kpis)
        latency_by_period: dict[date, list[LatencyRow]] = {}
        for row in self.latency_rows:
            if row.period is not None:
                latency_by_period.setdefault(row.period, []).append(row)

        def of_period(period: date, members: Sequence[UsageRow]) -> PhaseFigures:
            found = latency_by_period.get(period, [])
            return figures_of(members, found, start_on=period, end_on=period + DAY, now=self.now)

        trend = phase_tiles.trend_figures(self.rows_shown, of_period)
        is_narrowed = self.filters.is_set
        spend = self._spend_figure(money, is_narrowed=is_narrowed)
        figures = [spend]
        figures += [
            phase_tiles.figure_of(
                name,
                now=now,
                before=before,
                targets=targets,
                trend=trend,
                window=self.window_words,
                freshness=self.freshness,
            )
            for name in phase_tiles.measures_for(self.rows.roadmap)
        ]
        tiles = [phase_tiles.spend_tile(spend, self._narrowed(money), is_narrowed=is_narrowed)]
        tiles += [phase_tiles.tile_of(figure) for figure in figures[1:]]
        return figures, tiles

    def _narrowed(self, money: PhaseMoney) -> PhaseMoney:
        """The money of what is shown: the phase's own, or that of the days and the source that were chosen."""
        if not self.filters.is_set:
            return money
        usage = whole(self.rows_shown)
        by_hand = None if self.filters.has_source else self.entered.amount(*self.shown)
        known = [amount for amount in (usage.spend, by_hand) if amount is not None]
        return PhaseMoney(
            currency=money.currency,
            start_on=self.shown[0],
            end_on=self.shown[1],
            usage=usage,
            entered=by_hand,
            spent=sum(known, Decimal(0)) if known else None,
            budget=None,
            forecast=None,
            passed_on=None,
            no_rate=usage.no_rate,
        )

    def _spend_figure(self, money: PhaseMoney, *, is_narrowed: bool) -> Figure:
        shown = self._narrowed(money)
        total = Decimal(0)
        trend: list[Decimal | None] = []
        by_period: dict[date, Decimal] = {}
        for row in self.rows_shown:
            if row.period is not None and row.sums.spend is not None:
                by_period[row.period] = by_period.get(row.period, Decimal(0)) + row.sums.spend
        hand = {} if self.filters.has_source else self.entered.by_day(*self.shown)
        for period in sorted({*by_period, *hand}):
            total += by_period.get(period, Decimal(0)) + hand.get(period, Decimal(0))
            trend.append(total)
        step = -(-len(trend) // phase_tiles.TREND_POINTS) or 1
        title = gettext("Spend") if is_narrowed else gettext("Spend, phase to date")
        words = wording.days(self.shown[0], self.shown[1] - DAY)
        return phase_tiles.spend_figure(shown, window=words, trend=trend[::-step][::-1], title=title)

    def _charts(self, money: PhaseMoney, figures: Sequence[Figure]) -> list[Chart]:
        events = phase_charts.events_of(self.rows, self.changes)
        colors: dict[Any, str] = colors_of(self.freshness)
        targets = phase_tiles.targets_of(self.rows.kpis)
        by_name = {figure.name: figure for figure in figures}
        main = pick_latency(self.latency_rows).get("duration")
        is_narrowed = self.filters.is_set
        last_on = self.shown[1] - DAY
        if not is_narrowed and money.forecast is not None:
            last_on = max(last_on, money.forecast.end_on)
        tile_rows = [row for row in self.reader.rows(*self.now_window) if self.keep(row)]
        work = figures[3].name
        shared: dict[str, Any] = {"window": self.shown, "grain": self.grain, "events": events}
        charts = [
            phase_charts.spend(
                self.rows_shown,
                money=money,
                entered=None if self.filters.has_source else self.entered,
                today=self.today,
                last_on=last_on,
                colors=colors,
                is_narrowed=is_narrowed,
                **shared,
            ),
            phase_charts.latency(
                self.latency_rows,
                today=self.today,
                place=main.measured_at if main else "",
                target=targets.get("duration_p95"),
                missing=by_name["duration_p95"].missing,
                **shared,
            ),
            phase_charts.efficiency(
                tile_rows,
                roadmap=self.rows.roadmap,
                window=self.window_words if self.filters.has_days else f"last {self.window_words}",
                target=targets.get(work),
                colors=colors,
            ),
            phase_charts.throughput(self.rows_shown, roadmap=self.rows.roadmap, now=self.now, **shared),
        ]
        words = wording.days(self.shown[0], self.shown[1] - DAY)
        steps = [row for row in self.reader.steps(*self.shown, self.grain) if self.keep(row)]
        by_operation = phase_charts.operations([*self.rows_shown, *steps], window=words)
        stated = stated_chart(StatedData(*self.shown, grain_of(*self.shown), settings.REPORTING_ZONE, self.stated))
        return charts + [chart for chart in (by_operation, stated) if chart is not None]

    def _health_money(self, money: PhaseMoney) -> health.Money:
        return health.Money(money.currency, money.spent, money.budget, money.forecast, money.passed_on)

    def _schedule(self) -> health.Schedule:
        gate = self.rows.gate
        late = [
            item.name
            for item in self.rows.milestones
            if item.state == Milestone.State.OPEN and item.due_on < self.today and self.phase.ended_on is None
        ]
        return health.Schedule(
            today=self.today,
            state=self.phase.state,
            start_on=self.phase.started_on or self.phase.planned_start_on,
            end_on=self.phase.ended_on or self.phase.planned_end_on,
            gate_due_on=gate.due_on if gate else None,
            late=late,
        )

    def _kpi_states(self, values: Mapping[int, KpiValue]) -> list[tuple[str, KpiStatus]]:
        return [
            (kpi.name, values[kpi.pk].judgement.status)
            for kpi in self.rows.kpis
            if kpi.pk in values and kpi.target is not None
        ]

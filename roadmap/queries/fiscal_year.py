"""The fiscal year of the portfolio, a programme or a roadmap: spend, plan, share of plan, forecast, from the ledger."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal

from django.conf import settings
from django.db import connection

from metrics import series
from metrics.figures import Scope, SourceFreshness
from metrics.windows import month_of
from roadmap.models import Programme, Report, Roadmap
from roadmap.queries.entered import Entered, rates_for
from roadmap.queries.fiscal_year_reading import Plans, Spents, YearReading, YearScope, scope_of_roadmaps
from roadmap.queries.phase_money import RECENT_DAYS, day_spends_of, of_today, rate_of
from roadmap.rules.fiscal_year import (
    FiscalYear,
    Held,
    MonthLine,
    Outlook,
    ProviderYear,
    Restated,
    RoadmapYear,
    Share,
    Spent,
    YearFacts,
    expected_by_month,
    fiscal_year_of,
    held_against,
    known_sum,
    share_of,
)
from roadmap.rules.forecast import Forecast, forecast
from roadmap.rules.phases import months_after

DAY = timedelta(days=1)
_CENT = Decimal("0.01")


def year_of_month(scope: YearScope, month: date) -> YearFacts:
    """The fiscal year that a month lies in, as it stood at the month's end: what the month's report says."""
    end_on = months_after(month, 1)
    return year_facts(scope, fiscal_year_of(month, settings.FISCAL_YEAR_START_MONTH), until=end_on, today=end_on)


def year_of_portfolio(month: date, *, is_demo: bool, programme: Programme | None = None) -> YearFacts:
    """The year of a month of all roadmaps (the demo's, or all others) or of a programme's, for their report."""
    roadmaps = Roadmap.objects.filter(workload__is_demo=is_demo).select_related("workload", "programme")
    if programme is not None:
        roadmaps = roadmaps.filter(programme=programme)
    scope = scope_of_roadmaps(list(roadmaps), with_unallocated=programme is None and not is_demo, include_demo=is_demo)
    return year_of_month(scope, month)


def year_facts(scope: YearScope, year: FiscalYear, *, until: date, today: date) -> YearFacts:
    """The year's figures. `until`: the day after the last that counts; `today`: the first day that is forecast.

    A page of a running day gives tomorrow and today; a closed month its next day twice. Six to nine queries, however
    many roadmaps, phases, entries, providers and months there are.
    """
    until = min(until, year.end_on)
    read = YearReading.of(scope, year, until=until, today=today)
    month = max(month_of(until - DAY), year.start_on)
    lines = [_month_line(read, one) for one in year.months]
    outlook, path = _outlook(read)
    expected = expected_by_month(
        year, path, {line.month: line.held.spent.total or Decimal(0) for line in lines} if path else {}
    )
    return YearFacts(
        year=year,
        until=until,
        month=month,
        months=[MonthLine(line.month, line.held, expected.get(line.month)) for line in lines],
        this_month=read.held(month, months_after(month, 1)),
        to_date=read.to_date,
        plan_of_year=known_sum(read.plans(year.start_on, year.end_on).values()),
        outlook=outlook,
        by_roadmap=_by_roadmap(read, month),
        by_provider=_by_provider(read, month),
        without_plan=[
            one.name
            for one in scope.roadmaps
            if read.plans(year.start_on, year.end_on)[one.workload_id] is None
            and read.spents(year.start_on, until).get(one.workload_id, Spent()).total is not None
        ],
        restated=_restated(read, month),
        no_rate=read.sums.no_rate | frozenset(read.entered_no_rate) | frozenset(read.no_rate_of_plans),
        stale_rates=read.sums.stale_rates,
    )


def _month_line(read: YearReading, month: date) -> MonthLine:
    return MonthLine(month, read.held(month, months_after(month, 1)), None)


# --- Forecast


def _outlook(read: YearReading) -> tuple[Outlook | None, Forecast | None]:
    """The forecast to the year's end, and its path; None for a year that is over or has not begun."""
    if read.until >= read.year.end_on or read.until <= read.year.start_on:
        return None, None
    spents = read.spents(read.year.start_on, read.until)
    ids = read.scope.workload_ids
    freshness = series.freshness(ids)
    whole = _forecast(read, ids, spents, freshness)
    if whole.total is None:
        return Outlook(None, None, None, whole.days_used, Share()), None
    plans = read.plans(read.year.start_on, read.year.end_on)
    plan = known_sum(plans.values())
    share = Share()
    if plan:
        with_plan = tuple(workload for workload, amount in plans.items() if workload is not None and amount is not None)
        # Where everything that the forecast rests on has a plan, the forecast of both is one. Early in the year the run
        # rate's days are not all in it, and anything may lie in those before.
        rests_on = set(spents)
        if _since(read) < read.year.start_on:
            rests_on |= {None} if ids is None else set(ids)
        is_same = rests_on <= set(with_plan)
        part = whole if is_same else _forecast(read, with_plan, spents, freshness)
        share = share_of(part.total, plan, whole.total)
    return Outlook(whole.total, whole.low, whole.high, whole.days_used, share), whole


def _forecast(
    read: YearReading,
    workload_ids: tuple[int, ...] | None,
    spents: Mapping[int | None, Spent],
    freshness: Sequence[SourceFreshness],
) -> Forecast:
    """As everywhere: the run rate of the last 28 complete days, and the cost entries of the days to come.

    On the year's first day nothing of it may be known yet; the forecast then starts from zero, as that of a phase.
    """
    chosen = None if workload_ids is None else set(workload_ids)
    known = known_sum(one.total for workload, one in spents.items() if chosen is None or workload in chosen)
    spent = known or Decimal(0)
    since = _since(read)
    rows = series.usage(
        Scope(since, read.until, workload_ids, include_demo=read.scope.include_demo),
        by=("backend",),
        grain="day",
        measures=(),
    )
    entered = Entered(
        [
            entry
            for workload, one in read.entered.items()
            if chosen is None or workload in chosen
            for entry in one.entries
        ],
        next((one.rates for one in read.entered.values()), rates_for((), read.today, read.today)),
        read.until - DAY,
    )
    day_spends = day_spends_of(rows)
    return forecast(
        spent=spent - of_today(day_spends, entered, read.today) if read.until > read.today else spent,
        rate=rate_of(day_spends, freshness, since=since, today=read.today),
        today=read.today,
        end_on=read.year.last_on,
        cost_entries=entered.by_day(read.today, read.year.end_on),
    )


def _since(read: YearReading) -> date:
    """The first of the days that the run rate is looked for in."""
    return read.today - (RECENT_DAYS + 1) * DAY


# --- Parts


def _by_roadmap(read: YearReading, month: date) -> list[RoadmapYear]:
    """Each roadmap with spend or a plan, the one that spent most first; what is no roadmap's last."""
    start_on, after = read.year.start_on, months_after(month, 1)
    months, dates = read.spents(month, after), read.spents(start_on, read.until)
    month_plans, date_plans = read.plans(month, after), read.plans(start_on, read.until)
    year_plans = read.plans(start_on, read.year.end_on)

    def line(workload: int | None, slug: str, name: str) -> RoadmapYear:
        return RoadmapYear(
            slug=slug,
            name=name,
            month=_held_of(months, month_plans, workload),
            to_date=_held_of(dates, date_plans, workload),
            plan_of_year=year_plans.get(workload),
            is_unallocated=workload is None,
        )

    own = {one.workload_id: one for one in read.scope.roadmaps}
    found = [
        line(workload, one.slug, one.name)
        for workload, one in own.items()
        if workload in dates or year_plans[workload] is not None
    ]
    found.sort(key=lambda one: (-(one.to_date.spent.total or Decimal(0)), one.name.lower()))
    others = sorted(workload for workload in dates if workload is not None and workload not in own)
    found += [line(workload, "", read.names[workload][1]) for workload in others]
    return [*found, *([line(None, "", "")] if None in dates else [])]


def _held_of(spents: Spents, plans: Plans, workload: int | None) -> Held:
    return held_against({workload: spents.get(workload, Spent())}, {workload: plans.get(workload)})


def _by_provider(read: YearReading, month: date) -> list[ProviderYear]:
    """Usage by provider, the largest first, then what was entered by hand."""
    found: dict[str, list[Decimal | None]] = {}
    for (_, provider, at), spent in read.usage.items():
        amounts = found.setdefault(provider or "unknown", [None, None])
        amounts[1] = known_sum((amounts[1], spent.total))
        if at == month:
            amounts[0] = known_sum((amounts[0], spent.total))
    lines = [ProviderYear(provider, *amounts) for provider, amounts in found.items()]
    lines.sort(key=lambda one: (-(one.to_date or Decimal(0)), one.provider))
    after = months_after(month, 1)
    entered = [
        known_sum(one.entered for one in read.spents(*window).values())
        for window in ((month, after), (read.year.start_on, read.until))
    ]
    return [*lines, *([ProviderYear("", *entered)] if entered[1] is not None else [])]


def _restated(read: YearReading, month: date) -> list[Restated]:
    """The earlier months of the year whose published reports say another total than the ledger does by now."""
    published = _published_totals([one.pk for one in read.scope.roadmaps], read.year.start_on, month)
    workloads = {one.pk: one.workload_id for one in read.scope.roadmaps}
    then: dict[date, Decimal] = {}
    now: dict[date, Decimal] = {}
    for roadmap, at, total in published:
        spent = read.spents(at, months_after(at, 1)).get(workloads[roadmap], Spent())
        then[at] = then.get(at, Decimal(0)) + total
        now[at] = now.get(at, Decimal(0)) + (spent.total or Decimal(0))
    return [
        Restated(at, then[at], now[at]) for at in sorted(then) if then[at].quantize(_CENT) != now[at].quantize(_CENT)
    ]


def _published_totals(roadmap_ids: Sequence[int], start_on: date, end_on: date) -> list[tuple[int, date, Decimal]]:
    """(roadmap, month, total) of the last published report of each, where its total is known. One query."""
    if not roadmap_ids or start_on >= end_on:
        return []
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT DISTINCT ON (roadmap_id, month) roadmap_id, month,
                jsonb_path_query_first(payload, '$.sections[*] ? (@.name == "money").value.total') #>> '{}'
            FROM roadmap_report
            WHERE scope = %s AND state = %s AND roadmap_id = ANY(%s) AND month >= %s AND month < %s
            ORDER BY roadmap_id, month, revision DESC
            """,
            [Report.Scope.ROADMAP, Report.State.PUBLISHED, list(roadmap_ids), start_on, end_on],
        )
        return [(roadmap, month, Decimal(total)) for roadmap, month, total in cursor.fetchall() if total is not None]

"""The organisation's money above the portfolio: this month, the fiscal year, its forecast, unallocated, not priced."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

from django.conf import settings
from django.utils.translation import gettext

from metrics import series
from metrics.figures import (
    Scope,
    SourceFreshness,
    Sums,
    UsageRow,
    whole,
)
from metrics.windows import next_month
from roadmap.models import Phase
from roadmap.queries.entered import Entered
from roadmap.queries.phase_money import RECENT_DAYS, day_spends_of, of_today, rate_of
from roadmap.queries.planned import Planned
from roadmap.rules.fiscal_year import fiscal_year_of
from roadmap.rules.forecast import Forecast, forecast
from web import wording

DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Total:
    """One of the totals: its figure apart from its unit, and what it is held against."""

    name: str
    title: str
    value: Decimal | None
    figure: str
    unit: str
    note: str
    start_on: date | None = None
    end_on: date | None = None

    @property
    def has_digits(self) -> bool:
        """False where words stand in the figure's place."""
        return any(letter.isdigit() for letter in self.figure)


@dataclass(frozen=True, slots=True)
class Totals:
    """The strip, and the year's forecast against its plan for the opening sentence."""

    strip: Sequence[Total]
    forecast: Forecast
    plan: Decimal | None


def fiscal_year(today: date) -> tuple[date, date]:
    """The first day of the fiscal year that holds `today`, and the day after its last."""
    year = fiscal_year_of(today, settings.FISCAL_YEAR_START_MONTH)
    return year.start_on, year.end_on


def totals_of(
    *,
    workload_ids: Sequence[int] | None,
    phases: Sequence[Phase],
    entered: Entered,
    freshness: Sequence[SourceFreshness],
    today: date,
    include_demo: bool,
) -> Totals:
    """The totals of some roadmaps; `workload_ids` None: of the whole organisation, what is unallocated included."""
    year_start, year_end = fiscal_year(today)
    ids = None if workload_ids is None else tuple(workload_ids)
    rows = series.usage(Scope(year_start, today + DAY, ids, include_demo=include_demo), by=("workload",), grain="month")
    day_scope = Scope(
        max(today - (RECENT_DAYS + 1) * DAY, date(2000, 1, 1)), today + DAY, ids, include_demo=include_demo
    )
    day_rows = series.usage(day_scope, by=("backend",), grain="day", measures=())
    month_start = today.replace(day=1)
    month = [row for row in rows if row.period is not None and row.period >= month_start]
    plan = Planned(phases, entered, today)
    year_spent = _with_entered(whole(rows), entered.amount(year_start, today + DAY))
    outlook = _outlook(year_spent, day_rows, entered, freshness, today=today, end_on=year_end - DAY)
    year_plan = plan.amount(year_start, year_end)
    strip = [
        _month_total(month, entered, plan, month_start, today),
        _year_total(year_spent, plan, year_start, today),
        _forecast_total(outlook, year_plan, today, year_end),
    ]
    if workload_ids is None:
        strip.append(_unallocated(month, month_start, today))
    strip.append(_not_priced(rows, year_start, today))
    return Totals(strip, outlook, year_plan)


def _with_entered(sums: Sums, entered: Decimal | None) -> Decimal | None:
    known = [amount for amount in (sums.spend, entered) if amount is not None]
    return sum(known, Decimal(0)) if known else None


def _figure(amount: Decimal | None) -> tuple[str, str]:
    if amount is None:
        return str(wording.NO_DATA), ""
    digits, letter = wording.scaled(amount)
    return digits, f"{letter} {settings.REPORTING_CURRENCY}".strip()


def _month_total(month: Sequence[UsageRow], entered: Entered, plan: Planned, month_start: date, today: date) -> Total:
    spent = _with_entered(whole(month), entered.amount(month_start, today + DAY))
    planned = plan.amount(month_start, next_month(month_start))
    note = (
        gettext("of %(planned)s planned for %(month)s")
        % {"planned": wording.short(planned), "month": wording.month(month_start).split()[0]}
        if planned
        else gettext("no plan")
    )
    title = gettext("Spend, %(days)s") % {"days": wording.days(month_start, today)}
    return Total("month", title, spent, *_figure(spent), note, month_start, today + DAY)


def _year_total(spent: Decimal | None, plan: Planned, start_on: date, today: date) -> Total:
    planned = plan.amount(start_on, today + DAY)
    note = gettext("no plan") if not planned or spent is None else _against(spent, planned)
    return Total("fiscal_year", gettext("Fiscal year to date"), spent, *_figure(spent), note, start_on, today + DAY)


def _forecast_total(outlook: Forecast, planned: Decimal | None, today: date, end_on: date) -> Total:
    title = gettext("Forecast to %(day)s") % {"day": wording.day_short(end_on - DAY)}
    if outlook.total is None:
        return Total(
            "forecast",
            title,
            None,
            str(wording.TOO_LITTLE_DATA),
            "",
            gettext("7 complete days are needed"),
            today,
            end_on,
        )
    note = _against(outlook.total, planned) if planned else gettext("no plan")
    if band := wording.band(outlook.low, outlook.high):
        note = gettext("%(note)s; band %(low)s to %(high)s") % {"note": note, **band}
    return Total("forecast", title, outlook.total, *_figure(outlook.total), note, today, end_on)


def _against(amount: Decimal, planned: Decimal) -> str:
    difference = amount - planned
    text = gettext("%(amount)s over plan") if difference > 0 else gettext("%(amount)s under plan")
    return text % {"amount": wording.short(abs(difference).quantize(Decimal(1)))}


def _unallocated(month: Sequence[UsageRow], start_on: date, today: date) -> Total:
    """The share of the month's usage spend that belongs to no roadmap."""
    all_spend = whole(month).spend
    left = whole(month, lambda row: row.key["workload"] is None).spend or Decimal(0)
    share = left / all_spend if all_spend else None
    figure = str(wording.NO_DATA) if share is None else wording.percent(share)
    note = gettext("%(amount)s in %(month)s") % {
        "amount": wording.money(left, settings.REPORTING_CURRENCY),
        "month": wording.month(start_on).split()[0],
    }
    return Total("unallocated", gettext("Unallocated"), share, figure, "", note, start_on, today + DAY)


def _not_priced(rows: Sequence[UsageRow], start_on: date, today: date) -> Total:
    sums = whole(rows)
    tokens, requests = sums.tokens_without_cost, sums.requests_without_cost
    amount, unit = (tokens, gettext("tokens")) if tokens or not requests else (requests, gettext("requests"))
    digits, letter = wording.scaled(Decimal(amount).quantize(Decimal(1)))
    note = gettext("this fiscal year") if amount else gettext("everything has a price")
    return Total(
        "not_priced",
        gettext("Not priced"),
        Decimal(amount),
        digits,
        f"{letter} {unit}".strip(),
        note,
        start_on,
        today + DAY,
    )


def _outlook(
    spent: Decimal | None,
    day_rows: Sequence[UsageRow],
    entered: Entered,
    freshness: Sequence[SourceFreshness],
    *,
    today: date,
    end_on: date,
) -> Forecast:
    """From the run rate. On the year's first day nothing of it may be known yet: it then starts from zero."""
    day_spends = day_spends_of(day_rows)
    since = today - (RECENT_DAYS + 1) * DAY
    rate = rate_of(day_spends, freshness, since=since, today=today)
    return forecast(
        spent=(spent or Decimal(0)) - of_today(day_spends, entered, today),
        rate=rate,
        today=today,
        end_on=end_on,
        cost_entries=entered.by_day(today, end_on + DAY),
    )

"""A phase's money: spend by source, budget, run rate and forecast, in the reporting currency."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.utils.translation import gettext, gettext_lazy

from metrics.figures import (
    DaySpend,
    SourceFreshness,
    Sums,
    UsageRow,
    whole,
)
from metrics.usage import SeriesKind
from metrics.windows import days, start_of_day
from roadmap.charts.frame import Grain, period_start, periods
from roadmap.charts.spend import Source
from roadmap.models import Phase
from roadmap.queries.entered import Entered
from roadmap.rules.forecast import Forecast, RunRate, complete_days, forecast, passed_on, run_rate
from web import wording

DAY = timedelta(days=1)
# How far back the 28 complete days of a run rate are looked for.
RECENT_DAYS = 56
BY_HAND = gettext_lazy("Entered by hand")


@dataclass(frozen=True, slots=True)
class PhaseMoney:
    """Spend of a phase to date. `usage`: its sums; `entered`: cost entries; either may be unknown (None).

    `budget`: in the reporting currency, None where none is set or there is no rate. `is_past_end`: still running after
    its planned end. `passed_on`: the day on which the budget was passed, None where it was not or lies further back.
    """

    currency: str
    start_on: date
    end_on: date
    usage: Sums
    entered: Decimal | None
    spent: Decimal | None
    budget: Decimal | None
    forecast: Forecast | None
    passed_on: date | None
    no_rate: frozenset[str]

    @property
    def basis(self) -> str:
        """'61% billed, 39% estimated', with what was entered by hand; empty without spend."""
        parts = [
            (self.usage.billed, "billed"),
            (self.usage.unsettled, "estimated"),
            (self.entered, gettext("entered by hand")),
        ]
        known = [(amount, word) for amount, word in parts if amount]
        total = sum((amount for amount, _ in known), Decimal(0))
        if not known or total <= 0:
            return ""
        if len(known) == 1:
            return f"all {known[0][1]}"
        return ", ".join(f"{wording.percent(amount / total)} {word}" for amount, word in known)

    @property
    def over(self) -> Decimal | None:
        """The forecast's share above (or below, negative) the budget; of what was spent where that is more already."""
        if self.budget is None or self.budget <= 0 or self.spent is None:
            return None
        if self.spent > self.budget or self.forecast is None or self.forecast.total is None:
            return self.spent / self.budget - 1
        return self.forecast.total / self.budget - 1


def phase_money(
    phase: Phase,
    *,
    window: tuple[date, date],
    rows: Sequence[UsageRow],
    day_spends: Sequence[DaySpend],
    entered: Entered,
    freshness: Sequence[SourceFreshness],
    today: date,
) -> PhaseMoney:
    """The money of a phase from its usage rows. `rows`: the whole window; `day_spends`: its last days, by day."""
    start_on, end_on = window
    usage = whole(rows)
    by_hand = entered.amount(start_on, end_on)
    known = [amount for amount in (usage.spend, by_hand) if amount is not None]
    spent = sum(known, Decimal(0)) if known else None
    budget = budget_of(phase, entered, today)
    plan = None
    if phase.ended_on is None:
        rate = rate_of(day_spends, freshness, since=start_on, today=today)
        plan = forecast(
            spent=(spent or Decimal(0)) - of_today(day_spends, entered, today),
            rate=rate,
            today=today,
            end_on=max(phase.planned_end_on, today - DAY),
            cost_entries=entered.by_day(today, max(phase.planned_end_on, today) + DAY),
            budget=budget,
            growth_percent_per_month=phase.growth_percent_per_month,
        )
    return PhaseMoney(
        currency=settings.REPORTING_CURRENCY,
        start_on=start_on,
        end_on=end_on,
        usage=usage,
        entered=by_hand,
        spent=spent,
        budget=budget,
        forecast=plan,
        passed_on=_passed_on(day_spends, entered, spent, budget, end_on),
        no_rate=usage.no_rate | frozenset(entered.no_rate),
    )


def budget_of(phase: Phase, entered: Entered, today: date) -> Decimal | None:
    """The phase's budget in the reporting currency, at today's rate or that of its last day."""
    if phase.budget_amount is None:
        return None
    on = min(phase.ended_on or today, today)
    return entered.rates.convert(phase.budget_amount, phase.budget_currency, on)


def day_spends_of(rows: Iterable[UsageRow]) -> list[DaySpend]:
    """What each backend cost on each day; the rows are by day and backend at least."""
    found: dict[tuple[date, Any], Decimal | None] = {}
    for row in rows:
        if row.period is None:
            continue
        key, spend = (row.period, row.key["backend"]), row.sums.spend
        held = found.get(key)
        found[key] = spend if held is None else held + (spend or 0)
    return [DaySpend(on, backend, spend) for (on, backend), spend in found.items()]


def rate_of(
    day_spends: Sequence[DaySpend], freshness: Sequence[SourceFreshness], *, since: date, today: date
) -> RunRate | None:
    """The run rate from spend by day and backend: over complete days of the phase in which every source has data."""
    covered = covered_days(day_spends, freshness, since=since, today=today)
    unknown = {item.day for item in day_spends if item.spend is None}
    spends = _by_day(day_spends)
    # A day with traffic whose cost nobody knows, and with no other, says nothing about the rate.
    unknown -= spends.keys()
    if not spends:
        return None
    return run_rate(spends, [on for on in complete_days(covered, before=today, since=since) if on not in unknown])


def _by_day(day_spends: Iterable[DaySpend]) -> dict[date, Decimal]:
    """The spend of each day that has any."""
    found: dict[date, Decimal] = {}
    for item in day_spends:
        if item.spend is not None:
            found[item.day] = found.get(item.day, Decimal(0)) + item.spend
    return found


def covered_days(
    day_spends: Iterable[DaySpend], freshness: Sequence[SourceFreshness], *, since: date, today: date
) -> dict[object, set[date]]:
    """For each backend that counted in the last 28 days, the local days for which its data is there.

    A pulled backend covers every day until its `data_until`; a pushed one the days on which something was received.
    """
    seen: dict[object, set[date]] = {}
    for item in day_spends:
        seen.setdefault(item.backend_id, set()).add(item.day)
    until = {item.backend_id: item.data_until for item in freshness if item.reports is not None}
    found: dict[object, set[date]] = {}
    for backend, on in seen.items():
        if max(on) < today - 28 * DAY:
            continue
        known_until = until.get(backend) if isinstance(backend, int) else None
        found[backend] = on | _days_until(max(min(on), since), today, known_until)
    return found


def _days_until(first: date, last: date, until: datetime | None) -> set[date]:
    if until is None:
        return set()
    return {on for on in days(first, last) if start_of_day(on + DAY, settings.REPORTING_ZONE) <= until}


def of_today(day_spends: Iterable[DaySpend], entered: Entered, today: date) -> Decimal:
    """What today has cost so far, so that the forecast can start at the end of yesterday."""
    usage = sum((item.spend for item in day_spends if item.day == today and item.spend is not None), Decimal(0))
    return usage + (entered.amount(today, today + DAY) or Decimal(0))


def _passed_on(
    day_spends: Sequence[DaySpend], entered: Entered, spent: Decimal | None, budget: Decimal | None, end_on: date
) -> date | None:
    """The day on which the budget was passed, looked for backwards from what is spent in all."""
    if spent is None or budget is None or spent <= budget:
        return None
    first = min((item.day for item in day_spends), default=end_on)
    by_day = _by_day(day_spends)
    hand = entered.by_day(first, end_on)
    each = [(on, by_day.get(on, Decimal(0)) + hand.get(on, Decimal(0))) for on in days(first, end_on)]
    before = spent - sum((amount for _, amount in each), Decimal(0))
    if before > budget:
        return None
    cumulated = []
    for on, amount in each:
        before += amount
        cumulated.append((on, before))
    return passed_on(cumulated, budget)


def colors_of(freshness: Sequence[SourceFreshness]) -> dict[Any, str]:
    """The colour of each backend: in the order in which they came, so that a source keeps its own on every page."""
    ids = sorted(item.backend_id for item in freshness)
    return {backend: f"$c{index % 6 + 1}" for index, backend in enumerate(ids)}


def sources_of(
    rows: Sequence[UsageRow],
    entered: Entered | None,
    *,
    start_on: date,
    end_on: date,
    grain: Grain,
    colors: dict[Any, str],
) -> list[Source]:
    """Spend by source and period: idle capacity, each backend, what was entered by hand."""
    starts = {period_start(start, grain): start for start, _ in periods(start_on, end_on, grain)}
    amounts: dict[tuple[bool, Any], dict[date, Decimal]] = {}
    names: dict[Any, str] = {}
    for row in rows:
        spend = row.sums.spend
        if spend is None or row.period is None:
            continue
        is_idle = row.key["kind"] == SeriesKind.IDLE
        backend = row.key["backend"]
        names[backend] = row.key.get("backend_name") or str(backend)
        on = starts.get(period_start(row.period, grain), start_on)
        into = amounts.setdefault((is_idle, None if is_idle else backend), {})
        into[on] = into.get(on, Decimal(0)) + spend
        if is_idle:
            amounts.setdefault((True, backend), {})
    idle = [backend for is_idle, backend in amounts if is_idle and backend is not None]
    found = []
    if (True, None) in amounts:
        name = gettext("%(name)s, idle") % {"name": names[idle[0]]} if len(idle) == 1 else gettext("Idle capacity")
        found.append(Source(name, "$idle", amounts[True, None]))
    ordered = sorted((backend for is_idle, backend in amounts if not is_idle), key=lambda item: colors.get(item, ""))
    for backend in ordered:
        name = gettext("%(name)s, busy") % {"name": names[backend]} if backend in idle else names[backend]
        found.append(Source(name, colors.get(backend, "$c1"), amounts[False, backend]))
    if entered is not None:
        by_hand = {
            start: amount
            for start, end in periods(start_on, end_on, grain)
            if (amount := entered.amount(start, end)) is not None
        }
        if by_hand:
            found.append(Source(str(BY_HAND), "$c8", by_hand))
    return found

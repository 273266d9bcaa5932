"""Whether the budget will last: run rate, band, planned growth, the day the money runs out.

Pure: no Django, no clock, no settings. Amounts are in one currency. Definitions: docs/measures.md, Forecast.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import ROUND_CEILING, Decimal

DAY = timedelta(days=1)
RUN_RATE_DAYS = 28
MINIMUM_DAYS = 7
BAND_DAYS = 14
BAND_SPAN = 7
# A mean month of the Gregorian calendar, so that growth a month turns into growth a day.
DAYS_A_MONTH = Decimal("30.436875")


@dataclass(frozen=True, slots=True)
class RunRate:
    """Mean usage spend a day. `low` and `high` span the 7-day means; None before 14 days."""

    amount: Decimal
    low: Decimal | None
    high: Decimal | None
    days: tuple[date, ...]


@dataclass(frozen=True, slots=True)
class Forecast:
    """Spend at the end of `end_on`, and the way there.

    `path`: (day, cumulated spend at the end of that day, low, high) from yesterday on; low and high None without band.
    `growth_path` and `growth_total`: the same with the planned growth, None where none is planned. `passes_on`: the
    first day on which the cumulated forecast passes the budget, None where it does not. `run_rate` None: too little
    data; `total` is then None as well.
    """

    spent: Decimal
    end_on: date
    run_rate: RunRate | None
    total: Decimal | None = None
    low: Decimal | None = None
    high: Decimal | None = None
    path: tuple[tuple[date, Decimal, Decimal | None, Decimal | None], ...] = ()
    growth_total: Decimal | None = None
    growth_path: tuple[tuple[date, Decimal], ...] = ()
    passes_on: date | None = None
    growth_passes_on: date | None = None

    @property
    def days_used(self) -> int:
        """How many days the run rate rests on."""
        return len(self.run_rate.days) if self.run_rate else 0


def complete_days(days_with_data: Mapping[object, set[date]], *, before: date, since: date) -> list[date]:
    """The local days in [since, before) on which every source has data, oldest first. No source: none.

    `days_with_data` holds, for each counting source, the days that it covers.
    """
    if not days_with_data:
        return []
    common = set.intersection(*days_with_data.values())
    return sorted(day for day in common if since <= day < before)


def run_rate(spend_by_day: Mapping[date, Decimal], days: Sequence[date]) -> RunRate | None:
    """The run rate of the last 28 of `days` (complete ones, oldest first); None with fewer than 7: too little data.

    A day without an entry in `spend_by_day` had no spend.
    """
    used = tuple(days)[-RUN_RATE_DAYS:]
    if len(used) < MINIMUM_DAYS:
        return None
    spends = [spend_by_day.get(day, Decimal(0)) for day in used]
    amount = sum(spends, Decimal(0)) / len(spends)
    if len(used) < BAND_DAYS:
        return RunRate(amount=amount, low=None, high=None, days=used)
    means = [
        sum(spends[start : start + BAND_SPAN], Decimal(0)) / BAND_SPAN for start in range(len(spends) - BAND_SPAN + 1)
    ]
    return RunRate(
        amount=amount,
        low=min(amount, nearest_rank(means, Decimal("0.1"))),
        high=max(amount, nearest_rank(means, Decimal("0.9"))),
        days=used,
    )


def nearest_rank(values: Sequence[Decimal], quantile: Decimal) -> Decimal:
    """The nearest-rank quantile: the smallest value with at least that share at or below it."""
    ordered = sorted(values)
    rank = int((quantile * len(ordered)).to_integral_value(rounding=ROUND_CEILING))
    return ordered[max(rank, 1) - 1]


def forecast(
    *,
    spent: Decimal,
    rate: RunRate | None,
    today: date,
    end_on: date,
    cost_entries: Mapping[date, Decimal] | None = None,
    budget: Decimal | None = None,
    growth_percent_per_month: Decimal | None = None,
) -> Forecast:
    """Spend to the end of yesterday (`spent`, entries included), carried on to the end of `end_on`.

    `cost_entries`: what is entered for each day from today on. Where the end has passed no day is left, and the
    forecast is what was spent.
    """
    if rate is None:
        return Forecast(spent=spent, end_on=end_on, run_rate=None)
    entries = cost_entries or {}
    has_band = rate.low is not None and rate.high is not None
    point = low = high = grown = spent
    path = [(today - DAY, point, low if has_band else None, high if has_band else None)]
    growth_path = [(today - DAY, grown)]
    factor = _growth_a_day(growth_percent_per_month)
    passes_on = growth_passes_on = None
    growing = rate.amount
    day = today
    while day <= end_on:
        entered = entries.get(day, Decimal(0))
        point += rate.amount + entered
        low += (rate.low or Decimal(0)) + entered
        high += (rate.high or Decimal(0)) + entered
        path.append((day, point, low if has_band else None, high if has_band else None))
        if passes_on is None and budget is not None and point > budget:
            passes_on = day
        if factor is not None:
            growing *= factor
            grown += growing + entered
            growth_path.append((day, grown))
            if growth_passes_on is None and budget is not None and grown > budget:
                growth_passes_on = day
        day += DAY
    return Forecast(
        spent=spent,
        end_on=end_on,
        run_rate=rate,
        total=point,
        low=low if has_band else None,
        high=high if has_band else None,
        path=tuple(path),
        growth_total=None if factor is None else grown,
        growth_path=() if factor is None else tuple(growth_path),
        passes_on=passes_on,
        growth_passes_on=growth_passes_on,
    )


def _growth_a_day(percent_per_month: Decimal | None) -> Decimal | None:
    """The factor by which spend grows each day, so that a mean month makes the stated percentage."""
    if percent_per_month is None:
        return None
    return (1 + percent_per_month / 100) ** (1 / DAYS_A_MONTH)


def passed_on(cumulated: Sequence[tuple[date, Decimal]], budget: Decimal) -> date | None:
    """The first day at whose end what was spent is above the budget; None while it is not. Days in order."""
    return next((day for day, amount in cumulated if amount > budget), None)

"""The fiscal year: its months, what was spent of what was planned, what is forecast to its end. Pure.

Amounts are in one currency. Definitions: docs/measures.md, 'Plan and fiscal year'.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal

from roadmap.rules.forecast import Forecast
from roadmap.rules.phases import months_after

DAY = timedelta(days=1)
MONTHS = 12
_HALF = Decimal("0.5")


@dataclass(frozen=True, slots=True)
class FiscalYear:
    """Local days [start_on, end_on)."""

    start_on: date
    end_on: date

    @property
    def months(self) -> list[date]:
        """The first day of each of its twelve months."""
        return [months_after(self.start_on, number) for number in range(MONTHS)]

    @property
    def last_on(self) -> date:
        return self.end_on - DAY

    @property
    def name(self) -> str:
        """'2026', or '2026/27' where it begins within a calendar year."""
        first = self.start_on.year
        return str(first) if self.start_on.month == 1 else f"{first}/{(first + 1) % 100:02}"


def fiscal_year_of(day: date, start_month: int) -> FiscalYear:
    """The fiscal year that holds `day`; `start_month` 1 to 12."""
    return fiscal_year_from(day.year if day.month >= start_month else day.year - 1, start_month)


def fiscal_year_from(year: int, start_month: int) -> FiscalYear:
    """The fiscal year that begins in the calendar year `year`."""
    return FiscalYear(date(year, start_month, 1), date(year + 1, start_month, 1))


@dataclass(frozen=True, slots=True)
class Spent:
    """What was spent and what it rests on; None is unknown. Not priced: requests and tokens that are in no amount."""

    billed: Decimal | None = None
    estimated: Decimal | None = None
    entered: Decimal | None = None
    not_priced_requests: Decimal = Decimal(0)
    not_priced_tokens: Decimal = Decimal(0)

    @property
    def total(self) -> Decimal | None:
        return known_sum((self.billed, self.estimated, self.entered))

    def __add__(self, other: Spent) -> Spent:
        return Spent(
            known_sum((self.billed, other.billed)),
            known_sum((self.estimated, other.estimated)),
            known_sum((self.entered, other.entered)),
            self.not_priced_requests + other.not_priced_requests,
            self.not_priced_tokens + other.not_priced_tokens,
        )


@dataclass(frozen=True, slots=True)
class Share:
    """Spend / plan, 0.8 for 80%. `coverage`: the share of the spend that has a plan; None where there is no spend.

    `spent`: that part of the spend, which is what is held against the plan.
    """

    value: Decimal | None = None
    coverage: Decimal | None = None
    spent: Decimal | None = None

    @property
    def is_whole(self) -> bool:
        """Whether all of the spend has a plan."""
        return self.coverage is None or self.coverage >= 1


@dataclass(frozen=True, slots=True)
class Held:
    """Spend against its plan over one window. `plan` None: no budget lies there, or none can be converted."""

    spent: Spent
    plan: Decimal | None
    share: Share


@dataclass(frozen=True, slots=True)
class MonthLine:
    """A month of the year. `forecast`: what it is expected to end at; None once it is over, or with too little data.

    `held.spent` is what was spent in it so far, unknown in a month that has not begun.
    """

    month: date
    held: Held
    forecast: Decimal | None


@dataclass(frozen=True, slots=True)
class Outlook:
    """The forecast to the year's end. `total` None: too little data. `share` is that of the year's plan."""

    total: Decimal | None
    low: Decimal | None
    high: Decimal | None
    days_used: int
    share: Share


@dataclass(frozen=True, slots=True)
class RoadmapYear:
    """A roadmap's part; without `slug` usage that no roadmap stands for: `is_unallocated`, or of other workloads."""

    slug: str
    name: str
    month: Held
    to_date: Held
    plan_of_year: Decimal | None
    is_unallocated: bool = False


@dataclass(frozen=True, slots=True)
class ProviderYear:
    """A provider's part of month and year to date; without `provider`: what was entered by hand."""

    provider: str
    month: Decimal | None
    to_date: Decimal | None


@dataclass(frozen=True, slots=True)
class Restated:
    """What the published reports of an earlier month add up to, and what the same roadmaps' month is by now."""

    month: date
    published: Decimal
    now: Decimal


@dataclass(frozen=True, slots=True)
class YearFacts:
    """A fiscal year of some roadmaps, as known when it was read. `until`: the day after the last one that counts.

    `month`: the month of the last such day; the year's first where none has come. `months`, `by_roadmap` and
    `by_provider` add up to the same totals. `without_plan`: the roadmaps without a budget in the year.
    """

    year: FiscalYear
    until: date
    month: date
    months: Sequence[MonthLine]
    this_month: Held
    to_date: Held
    plan_of_year: Decimal | None
    outlook: Outlook | None
    by_roadmap: Sequence[RoadmapYear]
    by_provider: Sequence[ProviderYear]
    without_plan: Sequence[str] = ()
    restated: Sequence[Restated] = ()
    no_rate: frozenset[str] = frozenset()
    stale_rates: Mapping[str, date] = field(default_factory=dict)

    @property
    def has_begun(self) -> bool:
        return self.until > self.year.start_on

    @property
    def is_over(self) -> bool:
        return self.until >= self.year.end_on


def known_sum(amounts: Iterable[Decimal | None]) -> Decimal | None:
    """The sum of what is known; None where nothing is."""
    known = [amount for amount in amounts if amount is not None]
    return sum(known, Decimal(0)) if known else None


def held_against(spents: Mapping[int | None, Spent], plans: Mapping[int | None, Decimal | None]) -> Held:
    """The spend of some members against their plans over the same window.

    The share is taken over the members that have a plan there. Where they hold under half of the spend it is unknown,
    as is any ratio that so little is known of.
    """
    whole = sum(spents.values(), Spent())
    plan = known_sum(plans.values())
    if whole.total is None or not plan or plan < 0:
        return Held(whole, plan, Share())
    planned = known_sum(spents[key].total for key, amount in plans.items() if amount is not None and key in spents)
    return Held(whole, plan, share_of(planned, plan, whole.total))


def share_of(planned: Decimal | None, plan: Decimal | None, whole: Decimal | None) -> Share:
    """`planned` / `plan`, where `planned` is the part of the spend `whole` that has a plan; under half: unknown."""
    if planned is None or whole is None or not plan or plan < 0:
        return Share()
    coverage = min(planned / whole, Decimal(1)) if whole > 0 and planned >= 0 else None
    if coverage is not None and coverage < _HALF:
        return Share(None, coverage, planned)
    return Share(planned / plan, coverage, planned)


def expected_by_month(year: FiscalYear, outlook: Forecast | None, spent: Mapping[date, Decimal]) -> dict[date, Decimal]:
    """What each month that is not over is expected to end at; with the months that are, they sum to the forecast.

    `spent`: by month, of those before the forecast's first day.
    """
    if outlook is None or outlook.total is None or not outlook.path:
        return {}
    at_end = {day: amount for day, amount, _, _ in outlook.path}
    today = outlook.path[0][0] + DAY
    found: dict[date, Decimal] = {}
    before = sum((amount for month, amount in spent.items() if months_after(month, 1) <= today), Decimal(0))
    for month in year.months:
        after = months_after(month, 1)
        if after <= today:
            continue
        if (end := at_end.get(after - DAY)) is not None:
            found[month] = end - before
            before = end
    return found

"""The facts of a roadmap's month, as its report takes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal

from metrics.figures import SourceFreshness
from roadmap.kpi import KpiValue, PhaseFigures
from roadmap.rules.forecast import Forecast
from roadmap.rules.health import Schedule
from roadmap.rules.moved import Change


@dataclass(frozen=True, slots=True)
class PhaseFacts:
    """The phase in which the month ended. Money in the reporting currency; `budget` None: none set, or no rate.

    `planned_*`: the budget, spread evenly over the planned days, for the month and to its end. `course`: what was spent
    by the end of each day from the phase's first to the month's last.
    """

    kind: str
    state: str
    started_on: date
    planned_end_on: date
    budget: Decimal | None
    spent: Decimal | None
    forecast: Forecast | None
    planned_for_month: Decimal | None
    planned_to_date: Decimal | None
    passed_on: date | None
    course: Sequence[tuple[date, Decimal]]
    schedule: Schedule

    @property
    def is_over_budget(self) -> bool:
        """Whether more was spent than the budget; without one, or with nothing known, it is not."""
        return bool(self.budget) and self.spent is not None and self.spent > (self.budget or 0)


@dataclass(frozen=True, slots=True)
class SourceSpend:
    """Usage spend of one backend in the month and in the one before; idle capacity apart."""

    name: str
    is_idle: bool
    spend: Decimal | None
    spend_before: Decimal | None


@dataclass(frozen=True, slots=True)
class KpiLine:
    """A KPI of the phase at the end of the month, and a month earlier."""

    name: str
    unit: str
    baseline: Decimal | None
    target: Decimal | None
    measure: str
    value: KpiValue
    value_before: KpiValue
    is_value: bool
    rate_amount: Decimal | None
    rate_currency: str
    rate_source: str


@dataclass(frozen=True, slots=True)
class MilestoneLine:
    """A milestone that was open in the month or done in it."""

    name: str
    phase: str
    state: str
    due_on: date
    baseline_due_on: date
    done_on: date | None
    owner: str


@dataclass(frozen=True, slots=True)
class GateLine:
    """A gate with its last decision, if one was taken by the end of the month."""

    phase: str
    due_on: date
    baseline_due_on: date
    met: int
    criteria: int
    outcome: str
    decided_on: date | None


@dataclass(frozen=True, slots=True)
class RiskLine:
    """An open risk."""

    name: str
    category: str
    score: int
    owner: str
    response: str
    due_on: date | None


@dataclass(frozen=True, slots=True)
class UpdateLine:
    """What the manager said last by the end of the month."""

    status: str
    sentence: str
    author: str
    on: date


@dataclass(frozen=True, slots=True)
class MonthFacts:
    """Everything that a roadmap's report says. Local days are half-open: [start_on, end_on)."""

    slug: str
    name: str
    owner: str
    programme: str
    business_unit: str
    unit_of_work: str
    start_on: date
    end_on: date
    before_on: date
    ends_at: datetime
    zone: str
    currency: str
    phase: PhaseFacts | None
    figures: PhaseFigures
    figures_before: PhaseFigures
    sources: Sequence[SourceSpend]
    entered: Mapping[str, Decimal]
    entered_before: Mapping[str, Decimal]
    change: Change
    kpis: Sequence[KpiLine]
    milestones: Sequence[MilestoneLine]
    gates: Sequence[GateLine]
    risks: Sequence[RiskLine]
    update: UpdateLine | None
    update_before: UpdateLine | None
    freshness: Sequence[SourceFreshness]
    no_rate: frozenset[str] = frozenset()
    stale_rates: Mapping[str, date] = field(default_factory=dict)
    is_demo: bool = False

"""What was planned to be spent: budgets, by the day, over the phases as they are planned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from roadmap.models import Phase
from roadmap.queries.entered import Entered
from roadmap.queries.phase_money import budget_of
from roadmap.rules.costs import CostSpan, amount_in


@dataclass(frozen=True, slots=True)
class Planned:
    """The plan of some phases in the reporting currency. `today`: whose exchange rate holds for what still runs."""

    phases: Sequence[Phase]
    entered: Entered
    today: date

    def amount(self, start_on: date, end_on: date) -> Decimal | None:
        """What is planned for the local days [start_on, end_on); None where no budget lies there."""
        found: Decimal | None = None
        for phase in self.phases:
            if phase.planned_start_on >= end_on or phase.planned_end_on < start_on:
                continue
            budget = budget_of(phase, self.entered, self.today)
            if budget is not None:
                part = amount_in(CostSpan(budget, phase.planned_start_on, phase.planned_end_on), start_on, end_on)
                found = (found or Decimal(0)) + part
        return found

    @property
    def no_rate(self) -> set[str]:
        """Currencies of budgets that cannot be converted."""
        return {
            phase.budget_currency
            for phase in self.phases
            if phase.budget_amount is not None and budget_of(phase, self.entered, self.today) is None
        }

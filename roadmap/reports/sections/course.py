"""How the phase's spend came about and where it goes, against its budget."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from roadmap.queries.month_facts import MonthFacts
from roadmap.reports.section import Json, text_of

# A line on paper has no use for more.
MOST_POINTS = 60
_T = TypeVar("_T")


class Course:
    """The phase's spend day by day to the month's end, then its forecast to the phase's."""

    name = "course"

    def build(self, facts: MonthFacts) -> Json | None:
        """`points` and `forecast`: cumulated amounts at the end of days, thinned to 60 each, the last ones kept."""
        phase = facts.phase
        if phase is None or not phase.course:
            return None
        ahead = phase.forecast.path if phase.forecast and phase.forecast.total is not None else ()
        return {
            "unit": facts.currency,
            "start_on": phase.started_on.isoformat(),
            "end_on": phase.planned_end_on.isoformat(),
            "budget": text_of(phase.budget),
            "points": [{"on": on.isoformat(), "spent": text_of(spent)} for on, spent in thinned(phase.course)],
            "forecast": [
                {"on": on.isoformat(), "spent": text_of(spent), "low": text_of(low), "high": text_of(high)}
                for on, spent, low, high in thinned(ahead)
            ],
        }


def thinned(items: Sequence[_T], most: int = MOST_POINTS) -> list[_T]:
    """Every n-th, so that at most `most` are left, counted from the last, which stays; the first stays too."""
    step = -(-len(items) // (most - 1)) if len(items) > most else 1
    kept = list(items[::-1][::step][::-1])
    return kept if not items or kept[0] == items[0] else [items[0], *kept]

"""The rows of the portfolio that this process has computed already, each for as long as nothing changes it rests on.

Computing a row takes milliseconds, finding out whether anything changed takes one query for all rows. Nothing is ever
out of date: a row is used only where the database says the same of the roadmap's plan and of its usage as when it was
computed. What the day changes is computed again each day, what the clock changes each minute.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime

from django.conf import settings
from django.utils.translation import get_language

from metrics.figures import SourceFreshness
from metrics.source_facts import UsageStates
from roadmap.queries.plan_states import PlanState
from roadmap.queries.portfolio_decisions import roadmap_decisions
from roadmap.queries.portfolio_rows import portfolio_rows
from roadmap.queries.portfolio_standing import PortfolioRow, Standing, row_of, standings_for
from roadmap.queries.portfolio_totals import Totals
from web.pieces import Decision

MOST_ROWS = 2_000
MOST_TOTALS = 64


@dataclass(frozen=True, slots=True)
class Known:
    """One roadmap's row, with what it was made of and what has to be decided."""

    workload_id: int
    row: PortfolioRow
    standing: Standing
    decisions: Sequence[Decision]


@dataclass(frozen=True, slots=True)
class _Kept:
    state: str
    minute: datetime
    known: Known


# By the language of their words; the totals by their state as well.
_rows: dict[tuple[int, str | None], _Kept] = {}
_totals: dict[tuple[str, str | None], Totals] = {}


def forget() -> None:
    """Empty this process's memory."""
    _rows.clear()
    _totals.clear()


def known_rows(
    plans: Sequence[PlanState],
    usage: UsageStates,
    *,
    now: datetime,
    today: date,
    freshness: Callable[[], Sequence[SourceFreshness]],
) -> list[Known]:
    """A row for each of the plans, in their order; `freshness` is asked only where a row has to be computed."""
    language = get_language()
    minute = now.replace(second=0, microsecond=0)
    states = {plan.roadmap_id: _state_of(plan, usage, today) for plan in plans}
    found = {}
    for plan in plans:
        kept, state = _rows.get((plan.roadmap_id, language)), states[plan.roadmap_id]
        if kept is None or state is None or kept.state != state:
            continue
        if not kept.known.standing.moves_with_clock or kept.minute == minute:
            found[plan.roadmap_id] = kept.known
    missing = [plan.roadmap_id for plan in plans if plan.roadmap_id not in found]
    if missing:
        if len(_rows) + len(missing) > MOST_ROWS:
            _rows.clear()
        for standing in standings_for(portfolio_rows(missing), freshness(), now=now, today=today):
            known = _known(standing, today)
            pk = standing.rows.roadmap.pk
            found[pk] = known
            if (state := states[pk]) is not None:
                _rows[pk, language] = _Kept(state, minute, known)
    # One that was deleted in between has no row.
    return [found[plan.roadmap_id] for plan in plans if plan.roadmap_id in found]


def known_totals(state: str | None, compute: Callable[[], Totals]) -> Totals:
    """Totals that rest on this state (None: it is not known), computed where they are not in memory."""
    if state is None:
        return compute()
    key = (state, get_language())
    if key not in _totals:
        if len(_totals) >= MOST_TOTALS:
            _totals.clear()
        _totals[key] = compute()
    return _totals[key]


def _state_of(plan: PlanState, usage: UsageStates, today: date) -> str | None:
    of_usage = usage.of.get(plan.workload_id)
    return None if of_usage is None else f"{today} {settings.REPORTING_CURRENCY} {plan.state} / {of_usage}"


def _known(standing: Standing, today: date) -> Known:
    """The row and its decisions; of the plan only what the totals are made of is kept."""
    row = row_of(standing, today)
    decisions = tuple(roadmap_decisions(standing, row, today))
    rows = replace(standing.rows, kpis=(), readings=(), milestones=(), criteria=())
    return Known(rows.workload_id, row, replace(standing, rows=rows, criteria=()), decisions)

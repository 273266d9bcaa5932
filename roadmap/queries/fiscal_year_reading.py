"""What a fiscal year is read from: usage by workload, provider and month, cost entries and plans by workload."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal

from metrics import series
from metrics.figures import Scope, Sums, UsageRow, merged
from roadmap.models import CostEntry, Phase, Roadmap
from roadmap.queries.entered import Entered, rates_for
from roadmap.queries.planned import Planned
from roadmap.queries.spend_plan import Plan
from roadmap.queries.together import read_together
from roadmap.rules.fiscal_year import FiscalYear, Held, Spent, held_against

DAY = timedelta(days=1)
# What usage is not priced by; the other counts are not read.
_MEASURES = ("requests", "input_tokens", "output_tokens")
_Key = tuple[int | None, str, date]
Spents = dict[int | None, Spent]
Plans = dict[int | None, Decimal | None]


@dataclass(frozen=True, slots=True)
class YearScope:
    """Whose year it is. `with_unallocated`: the whole organisation's, usage of no roadmap included."""

    roadmaps: Sequence[Roadmap]
    phases: Sequence[Phase]
    entries: Sequence[CostEntry]
    with_unallocated: bool
    include_demo: bool

    @property
    def workload_ids(self) -> tuple[int, ...] | None:
        """None: everybody's."""
        return None if self.with_unallocated else tuple(roadmap.workload_id for roadmap in self.roadmaps)


def scope_of_plan(plan: Plan, *, roadmap: str = "", programme: str = "") -> YearScope:
    """What an asker sees of a roadmap (its slug), a programme (its name), or of everything."""
    kept = [
        one
        for one in plan.roadmaps.values()
        if (not roadmap or one.slug == roadmap)
        and (not programme or (one.programme is not None and one.programme.name == programme))
    ]
    ids = {one.pk for one in kept}
    return YearScope(
        roadmaps=kept,
        phases=[phase for phase in plan.phases if phase.roadmap_id in ids],
        entries=[entry for entry in plan.entries if entry.roadmap_id in ids],
        with_unallocated=plan.sees_all and not roadmap and not programme,
        include_demo=plan.include_demo,
    )


def scope_of_roadmaps(roadmaps: Sequence[Roadmap], *, with_unallocated: bool, include_demo: bool) -> YearScope:
    """For a report, which is made for whoever may read it. One query."""
    if not roadmaps:
        return YearScope(roadmaps, [], [], with_unallocated, include_demo)
    ids = [roadmap.pk for roadmap in roadmaps]
    rows = read_together(
        {
            "phases": Phase.objects.filter(roadmap__in=ids).order_by("roadmap_id", "position"),
            "entries": CostEntry.objects.filter(roadmap__in=ids),
        }
    )
    return YearScope(roadmaps, rows["phases"], rows["entries"], with_unallocated, include_demo)


@dataclass(slots=True)
class YearReading:
    """What the year was read from: usage by workload, provider and month, entries and plans by workload."""

    scope: YearScope
    year: FiscalYear
    until: date
    today: date
    usage: Mapping[_Key, Spent]
    sums: Sums
    names: Mapping[int, tuple[str, str]]
    entered: Mapping[int, Entered]
    planned: Mapping[int, Planned]
    _spents: dict[tuple[date, date], Spents] = field(default_factory=dict)
    _plans: dict[tuple[date, date], Plans] = field(default_factory=dict)

    @classmethod
    def of(cls, scope: YearScope, year: FiscalYear, *, until: date, today: date) -> YearReading:
        rows: list[UsageRow] = []
        if until > year.start_on:
            rows = series.usage(
                Scope(year.start_on, until, scope.workload_ids, include_demo=scope.include_demo),
                by=("workload", "provider"),
                grain="month",
                measures=_MEASURES,
            )
        last_on = until - DAY
        # The plan of what was stopped is no longer one.
        stopped = {one.pk for one in scope.roadmaps if one.state == Roadmap.State.STOPPED}
        phases = [
            one
            for one in scope.phases
            if one.roadmap_id not in stopped
            and one.planned_start_on < year.end_on
            and one.planned_end_on >= year.start_on
        ]
        currencies = {one.currency for one in scope.entries} | {
            one.budget_currency for one in phases if one.budget_amount is not None
        }
        first = min([year.start_on, last_on, *(one.ended_on for one in phases if one.ended_on)])
        rates = rates_for(currencies, first, max(last_on, today) + DAY)
        entries_of: dict[int, list[CostEntry]] = {}
        for entry in scope.entries:
            entries_of.setdefault(entry.roadmap_id, []).append(entry)
        phases_of: dict[int, list[Phase]] = {}
        for phase in phases:
            phases_of.setdefault(phase.roadmap_id, []).append(phase)
        entered = {one.workload_id: Entered(entries_of.get(one.pk, []), rates, last_on) for one in scope.roadmaps}
        planned = {
            one.workload_id: Planned(phases_of.get(one.pk, []), entered[one.workload_id], today)
            for one in scope.roadmaps
        }
        usage: dict[_Key, Spent] = {}
        names: dict[int, tuple[str, str]] = {}
        for row in rows:
            workload = row.key["workload"]
            if workload is not None:
                names[workload] = (row.key["workload_slug"], row.key["workload_name"])
            key = (workload, row.key["provider"] or "", row.period or year.start_on)
            usage[key] = usage.get(key, Spent()) + _spent(row.sums)
        return cls(scope, year, until, today, usage, merged(row.sums for row in rows), names, entered, planned)

    def spents(self, start_on: date, end_on: date) -> Spents:
        """By workload the spend of whole months, as far as they count; None: what is unallocated."""
        held = self._spents.get((start_on, end_on))
        if held is None:
            held = {}
            for (workload, _, month), spent in self.usage.items():
                if start_on <= month < end_on:
                    held[workload] = held.get(workload, Spent()) + spent
            for workload, entered in self.entered.items():
                amount = entered.amount(start_on, min(end_on, self.until)) if start_on < self.until else None
                if amount is not None:
                    held[workload] = held.get(workload, Spent()) + Spent(entered=amount)
            self._spents[start_on, end_on] = held
        return held

    def plans(self, start_on: date, end_on: date) -> Plans:
        """By workload of a roadmap what is planned for the days."""
        held = self._plans.get((start_on, end_on))
        if held is None:
            held = {workload: planned.amount(start_on, end_on) for workload, planned in self.planned.items()}
            self._plans[start_on, end_on] = held
        return held

    def held(self, start_on: date, end_on: date) -> Held:
        """Spend against the plan of whole months."""
        return held_against(self.spents(start_on, end_on), self.plans(start_on, end_on))

    @property
    def to_date(self) -> Held:
        """Both up to the last day that counts."""
        return held_against(self.spents(self.year.start_on, self.until), self.plans(self.year.start_on, self.until))

    @property
    def entered_no_rate(self) -> set[str]:
        return {currency for one in self.entered.values() for currency in one.no_rate}

    @property
    def no_rate_of_plans(self) -> set[str]:
        return {currency for one in self.planned.values() for currency in one.no_rate}


def _spent(sums: Sums) -> Spent:
    return Spent(
        billed=sums.billed,
        estimated=sums.unsettled,
        not_priced_requests=Decimal(sums.requests_without_cost),
        not_priced_tokens=Decimal(sums.tokens_without_cost),
    )

"""The rows that a portfolio is made of, in two queries, and the figures of many roadmaps, each over its own windows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from django.db.models import Q

from accounts.models import User
from metrics import series
from metrics.figures import LatencyRow, UsageRow, WorkloadWindow
from roadmap.kpi import PhaseFigures
from roadmap.models import (
    ChecklistItem,
    CostEntry,
    Gate,
    GateCriterion,
    Kpi,
    Milestone,
    Phase,
    Reading,
    Roadmap,
    Update,
)
from roadmap.queries.readings import figures_of
from roadmap.queries.together import link, read_together

Window = tuple[date, date]


@dataclass(frozen=True, slots=True)
class RoadmapRows:
    """One roadmap with the rows of its plan. `criteria`: those of the present phase's gate. `milestones`: of each phase
    the next one that is open, by date.

    Whatever is added here is hashed in roadmap.queries.plan_states, too.
    """

    roadmap: Roadmap
    phases: Sequence[Phase]
    present: Phase | None
    gates: Mapping[int, Gate]
    criteria: Sequence[GateCriterion]
    kpis: Sequence[Kpi]
    readings: Sequence[Reading]
    milestones: Sequence[Milestone]
    costs: Sequence[CostEntry]
    update: Update | None

    @property
    def workload_id(self) -> int:
        return self.roadmap.workload_id

    @property
    def gate(self) -> Gate | None:
        """The present phase's gate."""
        return self.gates.get(self.present.pk) if self.present else None


def portfolio_rows(ids: Sequence[int]) -> list[RoadmapRows]:
    """These roadmaps, of which the asker may see each. Two queries, or none."""
    if not ids:
        return []
    roadmaps = list(Roadmap.objects.select_related("workload", "owner", "programme").filter(pk__in=ids))
    phases = Phase.objects.filter(roadmap__in=ids)
    active = Phase.objects.filter(roadmap__in=ids, state=Phase.State.ACTIVE)
    criteria = GateCriterion.objects.filter(gate__phase__in=active)
    asked = criteria.order_by()
    coming = Milestone.objects.filter(phase__in=phases, state=Milestone.State.OPEN)
    rows = read_together(
        {
            "phases": phases.order_by("roadmap_id", "position"),
            "gates": Gate.objects.filter(phase__in=phases),
            "criteria": criteria,
            "kpis": Kpi.objects.filter(phase__in=active),
            "readings": Reading.objects.filter(kpi__phase__in=active).order_by("at"),
            "checklist": ChecklistItem.objects.filter(pk__in=asked.values("checklist_item_id")),
            "milestones": coming.order_by("phase_id", "due_on", "pk").distinct("phase_id"),
            "asked": Milestone.objects.filter(pk__in=asked.values("milestone_id")),
            "costs": CostEntry.objects.filter(roadmap__in=ids),
            "updates": Update.objects.filter(roadmap__in=ids)
            .order_by("roadmap_id", "-created_at", "-pk")
            .distinct("roadmap_id"),
            "people": User.objects.defer("password").filter(
                Q(pk__in=Gate.objects.filter(phase__in=phases).values("gatekeeper_id"))
                | Q(pk__in=Update.objects.filter(roadmap__in=ids).order_by().values("author_id"))
                | Q(pk__in=phases.order_by().values("owner_id"))
            ),
        }
    )
    return _by_roadmap(roadmaps, rows)


def _by_roadmap(roadmaps: Sequence[Roadmap], rows: dict[str, list[Any]]) -> list[RoadmapRows]:
    people = {person.pk: person for person in rows["people"]}
    by_id = {roadmap.pk: roadmap for roadmap in roadmaps}
    phases = {phase.pk: phase for phase in rows["phases"]}
    gates = {gate.pk: gate for gate in rows["gates"]}
    link(rows["phases"], "roadmap", by_id)
    link(rows["phases"], "owner", people)
    link(rows["gates"], "phase", phases)
    link(rows["gates"], "gatekeeper", people)
    link(rows["updates"], "author", people)
    link(rows["kpis"], "phase", phases)
    link(rows["criteria"], "gate", gates)
    link(rows["criteria"], "kpi", {kpi.pk: kpi for kpi in rows["kpis"]})
    link(rows["criteria"], "milestone", {item.pk: item for item in rows["asked"]})
    link(rows["criteria"], "checklist_item", {item.pk: item for item in rows["checklist"]})
    kpi_roadmap = {kpi.pk: phases[kpi.phase_id].roadmap_id for kpi in rows["kpis"]}
    roadmap_of = {
        "phases": lambda row: row.roadmap_id,
        "gates": lambda row: phases[row.phase_id].roadmap_id,
        "criteria": lambda row: phases[gates[row.gate_id].phase_id].roadmap_id,
        "kpis": lambda row: kpi_roadmap[row.pk],
        "readings": lambda row: kpi_roadmap[row.kpi_id],
        "milestones": lambda row: phases[row.phase_id].roadmap_id,
        "costs": lambda row: row.roadmap_id,
        "updates": lambda row: row.roadmap_id,
    }
    held: dict[str, dict[int, list[Any]]] = {name: defaultdict(list) for name in roadmap_of}
    for name, of in roadmap_of.items():
        for row in rows[name]:
            held[name][of(row)].append(row)
    found = []
    for roadmap in roadmaps:
        mine = {name: held[name][roadmap.pk] for name in held}
        found.append(
            RoadmapRows(
                roadmap=roadmap,
                phases=mine["phases"],
                present=_present(mine["phases"]),
                gates={gate.phase_id: gate for gate in mine["gates"]},
                criteria=mine["criteria"],
                kpis=mine["kpis"],
                readings=mine["readings"],
                milestones=sorted(mine["milestones"], key=lambda mark: (mark.due_on, mark.pk)),
                costs=mine["costs"],
                update=mine["updates"][0] if mine["updates"] else None,
            )
        )
    return found


def _present(phases: Sequence[Phase]) -> Phase | None:
    """The running phase, else the last that was closed, else the first that is planned."""
    active = [phase for phase in phases if phase.state == Phase.State.ACTIVE]
    closed = [phase for phase in phases if phase.state == Phase.State.CLOSED]
    return next(iter(active or closed[-1:] or phases), None)


@dataclass(slots=True)
class ManyReadings:
    """The figures of many roadmaps over windows of their own, each read once: one query for usage, one for latency."""

    now: datetime
    _usage: dict[WorkloadWindow, list[UsageRow]] = field(default_factory=dict)
    _latency: dict[WorkloadWindow, list[LatencyRow]] = field(default_factory=dict)

    def load(
        self, windows: Iterable[WorkloadWindow], *, timed: Iterable[WorkloadWindow], measures: Sequence[str]
    ) -> None:
        """Read the usage of `windows`, and of the `timed` these latency measures."""
        wanted, slow = list(dict.fromkeys(windows)), list(dict.fromkeys(timed))
        self._usage = dict(zip(wanted, series.usage_of_windows(wanted, by=("provider", "kind")), strict=True))
        self._latency = dict(zip(slow, series.latency_of_windows(slow, measures=measures), strict=True))

    def rows(self, workload_id: int, window: Window) -> list[UsageRow]:
        """The usage rows of a window that was loaded."""
        return self._usage.get(WorkloadWindow(workload_id, *window), [])

    def of(self, workload_id: int) -> OneOfMany:
        """One roadmap's figures."""
        return OneOfMany(self, workload_id)

    def figures_of(
        self, workload_id: int, window: Window, *, entered: Decimal | None, value_sum: Decimal | None
    ) -> PhaseFigures:
        """The figures of a window that was loaded; nothing is known of another."""
        return figures_of(
            self.rows(workload_id, window),
            self._latency.get(WorkloadWindow(workload_id, *window), []),
            start_on=window[0],
            end_on=window[1],
            now=self.now,
            entered=entered,
            value_sum=value_sum,
        )


@dataclass(frozen=True, slots=True)
class OneOfMany:
    """The figures of one roadmap, for its KPIs."""

    many: ManyReadings
    workload_id: int

    def figures(
        self, start_on: date, end_on: date, *, entered: Decimal | None = None, value_sum: Decimal | None = None
    ) -> PhaseFigures:
        """The figures of the local days [start_on, end_on)."""
        return self.many.figures_of(self.workload_id, (start_on, end_on), entered=entered, value_sum=value_sum)

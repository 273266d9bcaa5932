"""The rows of a roadmap's plan that its phase page shows: two queries, whatever there is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from django.db.models import OuterRef, Q, Subquery

from accounts.access import Asker, visible_workloads
from accounts.models import Membership, Role, User
from roadmap.models import (
    Annotation,
    ChecklistItem,
    Comment,
    CostEntry,
    EvidenceFile,
    Gate,
    GateCriterion,
    GateDecision,
    Kpi,
    Milestone,
    Phase,
    Reading,
    Roadmap,
    Update,
)
from roadmap.queries.together import Prepared, link, prepare

# Stand-ins in the prepared statement; no row has such an id, no phase such a kind.
ROADMAP, PHASE, KIND = -1_000_000_001, -1_000_000_002, "stand-in"

Dependency = Milestone.depends_on.through

PEOPLE = {
    "phases": ("owner", "budget_owner", "growth_set_by"),
    "gates": ("gatekeeper",),
    "decisions": ("decided_by",),
    "milestones": ("owner",),
    "checklist": ("done_by",),
    "notes": ("author",),
    "updates": ("author",),
}


@dataclass(frozen=True, slots=True)
class PhaseRows:
    """A phase with the rows of its plan, people attached; `phases` and `gates` are the roadmap's, in order.

    `costs`: all cost entries of the roadmap. `criteria`: those of the phase's gate, with their subjects. `decisions`:
    of all gates, the last first, without their evidence. `update`: the last one.
    `waits_for`: by a milestone's id what has to be done before it, of any phase. `files`: by a milestone's id.
    """

    roadmap: Roadmap
    phase: Phase
    role: Role | None
    phases: Sequence[Phase]
    gates: Sequence[Gate]
    decisions: Sequence[GateDecision]
    criteria: Sequence[GateCriterion]
    kpis: Sequence[Kpi]
    readings: Sequence[Reading]
    milestones: Sequence[Milestone]
    waits_for: Mapping[int, Sequence[Milestone]]
    files: Mapping[int, Sequence[EvidenceFile]]
    checklist: Sequence[ChecklistItem]
    costs: Sequence[CostEntry]
    notes: Sequence[Annotation]
    # On the phase, its milestones and its gate, the newest first.
    comments: Sequence[Comment]
    update: Update | None

    @property
    def gate(self) -> Gate | None:
        """The gate at the end of the phase."""
        return next((gate for gate in self.gates if gate.phase_id == self.phase.pk), None)


def visible_roadmap(asker: Asker, **lookup: Any) -> Roadmap:
    """The roadmap with its workload, owner and programme, and the asker's membership as `my_role`. One query.

    Raises Roadmap.DoesNotExist where there is none that the asker may see.
    """
    mine = Membership.objects.filter(user=asker.user, workload=OuterRef("workload")).values("role")[:1]
    return (
        Roadmap.objects.select_related("workload", "owner", "programme")
        .filter(workload__in=visible_workloads(asker))
        .annotate(my_role=Subquery(mine))
        .get(**lookup)
    )


def phase_rows(
    asker: Asker, *, slug: str | None = None, kind: str | None = None, phase_id: int | None = None
) -> PhaseRows:
    """The rows of the phase with this slug and kind, or this id. Raises Phase.DoesNotExist where it may not be seen."""
    lookup: dict[str, Any] = {"workload__slug": slug} if phase_id is None else {"phases__pk": phase_id}
    try:
        roadmap = visible_roadmap(asker, **lookup)
    except Roadmap.DoesNotExist as error:
        raise Phase.DoesNotExist from error
    rows = _prepared(by_id=phase_id is not None).read({ROADMAP: roadmap.pk, KIND: kind, PHASE: phase_id})
    phase = next((item for item in rows["phases"] if item.pk == phase_id or item.kind == kind), None)
    if phase is None:
        raise Phase.DoesNotExist
    _link(rows, roadmap)
    return PhaseRows(
        roadmap=roadmap,
        phase=phase,
        role=_role(asker, roadmap),
        phases=rows["phases"],
        gates=rows["gates"],
        decisions=rows["decisions"],
        criteria=rows["criteria"],
        kpis=rows["kpis"],
        readings=rows["readings"],
        milestones=rows["milestones"],
        waits_for=_waits_for(rows),
        files=_by_milestone(rows["files"]),
        checklist=rows["checklist"],
        costs=rows["costs"],
        notes=rows["notes"],
        comments=rows["comments"],
        update=rows["updates"][0] if rows["updates"] else None,
    )


def _waits_for(rows: dict[str, list[Any]]) -> dict[int, list[Milestone]]:
    before = {item.pk: item for item in rows["before"]}
    found: dict[int, list[Milestone]] = {}
    for item in rows["dependencies"]:
        found.setdefault(item.from_milestone_id, []).append(before[item.to_milestone_id])
    return found


def _by_milestone(files: list[EvidenceFile]) -> dict[int, list[EvidenceFile]]:
    found: dict[int, list[EvidenceFile]] = {}
    for file in files:
        found.setdefault(file.milestone_id, []).append(file)
    return found


@cache
def _prepared(*, by_id: bool) -> Prepared:
    """The rows of the roadmap and the phase that the stand-ins stand for."""
    phases = Phase.objects.filter(roadmap_id=ROADMAP)
    wanted = phases.filter(pk=PHASE) if by_id else phases.filter(kind=KIND)
    updates = Update.objects.filter(roadmap_id=ROADMAP)
    return prepare(
        {
            "phases": phases.order_by("position"),
            "gates": Gate.objects.filter(phase__in=phases),
            "decisions": GateDecision.objects.filter(gate__phase__in=phases).defer("evidence"),
            "criteria": GateCriterion.objects.filter(gate__phase__in=wanted),
            "kpis": Kpi.objects.filter(phase__in=wanted),
            "readings": Reading.objects.filter(kpi__phase__in=wanted).order_by("at"),
            "milestones": Milestone.objects.filter(phase__in=wanted),
            "dependencies": Dependency.objects.filter(from_milestone__phase__in=wanted),
            "before": Milestone.objects.filter(
                pk__in=Dependency.objects.filter(from_milestone__phase__in=wanted).values("to_milestone_id")
            ),
            "files": EvidenceFile.objects.filter(milestone__phase__in=wanted),
            "checklist": ChecklistItem.objects.filter(phase__in=wanted),
            "costs": CostEntry.objects.filter(roadmap_id=ROADMAP),
            "notes": Annotation.objects.filter(phase__in=wanted),
            "comments": Comment.objects.filter(
                Q(phase__in=wanted) | Q(gate__phase__in=wanted) | Q(milestone__phase__in=wanted), roadmap_id=ROADMAP
            ).order_by("-pk"),
            "updates": updates[:1],
            "people": _people(phases, wanted, updates),
        }
    )


def _people(phases: Any, wanted: Any, updates: Any) -> Any:
    """Everybody who is named on the page."""
    ids = [
        phases.values("owner_id"),
        phases.values("budget_owner_id"),
        phases.values("growth_set_by_id"),
        Gate.objects.filter(phase__in=phases).values("gatekeeper_id"),
        GateDecision.objects.filter(gate__phase__in=phases).order_by().values("decided_by_id"),
        Milestone.objects.filter(phase__in=wanted).order_by().values("owner_id"),
        ChecklistItem.objects.filter(phase__in=wanted).order_by().values("done_by_id"),
        Annotation.objects.filter(phase__in=wanted).order_by().values("author_id"),
        updates.order_by().values("author_id"),
    ]
    named = ids[0].order_by().union(*[found.order_by() for found in ids[1:]])
    return User.objects.defer("password").filter(pk__in=named)


def _link(rows: dict[str, list[Any]], roadmap: Roadmap) -> None:
    people = {person.pk: person for person in rows["people"]}
    for name, fields in PEOPLE.items():
        for field in fields:
            link(rows[name], field, people)
    phases = {phase.pk: phase for phase in rows["phases"]}
    gates = {gate.pk: gate for gate in rows["gates"]}
    for phase in rows["phases"]:
        phase.roadmap = roadmap
    for name in ("gates", "kpis", "milestones", "checklist", "notes"):
        link(rows[name], "phase", phases)
    milestones = {item.pk: item for item in rows["milestones"]}
    for row in rows["comments"]:
        row.roadmap = roadmap
    for field, parts in (("phase", phases), ("gate", gates), ("milestone", milestones), ("risk", {})):
        link(rows["comments"], field, parts)
    link(rows["decisions"], "gate", gates)
    link(rows["criteria"], "gate", gates)
    link(rows["criteria"], "kpi", {kpi.pk: kpi for kpi in rows["kpis"]})
    link(rows["criteria"], "milestone", milestones)
    link(rows["criteria"], "checklist_item", {item.pk: item for item in rows["checklist"]})


def _role(asker: Asker, roadmap: Roadmap) -> Role | None:
    """As accounts.access.role_for, from the membership that was read with the roadmap."""
    if asker.user.is_admin:
        return Role.MANAGER
    held = getattr(roadmap, "my_role", None)
    if held is not None:
        return Role(held)
    return Role.VIEWER if asker.user.reads_all else None

"""Preparing a gate and deciding it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext

from accounts.access import Asker, can
from accounts.models import Role, User
from metrics import series
from metrics.errors import RuleViolation
from roadmap.actions.carry_over import carry_over
from roadmap.actions.changes import change, check, record, require, text_required, today
from roadmap.actions.late_costs import check_late, entries_after, settle_late
from roadmap.actions.phases import locked_phases, move_planned, open_phase
from roadmap.kpi import KpiValue
from roadmap.models import (
    ChecklistItem,
    EvidenceFile,
    Gate,
    GateCriterion,
    GateDecision,
    Kpi,
    Milestone,
    Phase,
    Roadmap,
)
from roadmap.queries.gate_state import CriterionState, criteria_of, evidence_document, standings_of
from roadmap.rules.gates import Outcome, check_outcome, plain, sha256_of
from roadmap.rules.phases import DAY, check_day

CHANGEABLE = frozenset({"due_on", "gatekeeper"})


@dataclass(frozen=True, slots=True)
class Condition:
    """What a conditional go asks for; it becomes a milestone."""

    name: str
    due_on: date
    owner: User | None


ValuesOf = Callable[[Phase], Mapping[int, KpiValue]]


def may_decide(asker: Asker, gate: Gate) -> bool:
    """The gatekeeper, any admin, and where no gatekeeper is named any manager; never the phase's owner."""
    if asker.user.pk == gate.phase.owner_id:
        return False
    workload = gate.phase.roadmap.workload
    if gate.gatekeeper_id is not None and asker.user.pk == gate.gatekeeper_id:
        return can(asker, Role.VIEWER, workload)
    if asker.user.is_admin or gate.gatekeeper_id is None:
        return can(asker, Role.MANAGER, workload)
    return False


@transaction.atomic
def change_gate(asker: Asker, gate: Gate, **changes: Any) -> Gate:
    """Changes due date and gatekeeper (a person or None)."""
    roadmap = gate.phase.roadmap
    require(asker, Role.MANAGER, roadmap)
    unknown = set(changes) - CHANGEABLE
    if unknown:
        raise TypeError(f"unknown fields: {sorted(unknown)}")
    gate = locked_gate(gate)
    if "due_on" in changes:
        check_day(changes["due_on"], field="due_on")
    keeper = changes.get("gatekeeper")
    if keeper is not None and keeper.pk == gate.phase.owner_id:
        raise RuleViolation("gatekeeper_is_owner", gettext("The gatekeeper is not the phase's owner."), "gatekeeper")
    before, after = change(gate, changes)
    gate.save()
    record(asker, "change_gate", gate, roadmap, before, after)
    return gate


@transaction.atomic
def add_criterion(
    asker: Asker,
    gate: Gate,
    *,
    subject: Kpi | Milestone | ChecklistItem,
    is_must: bool = True,
    needs: str = GateCriterion.Needs.ON_TARGET,
) -> GateCriterion:
    """Makes a KPI, milestone or checklist item of the phase a criterion of its gate."""
    roadmap = gate.phase.roadmap
    require(asker, Role.MANAGER, roadmap)
    gate = locked_gate(gate)
    if subject.phase_id != gate.phase_id:
        raise RuleViolation("other_phase", gettext("A gate asks for what belongs to its own phase."), "subject")
    name = {Kpi: "kpi", Milestone: "milestone", ChecklistItem: "checklist_item"}[type(subject)]
    if gate.criteria.filter(**{name: subject}).exists():
        raise RuleViolation(
            "already_criterion", gettext("The gate asks for '%(subject)s' already.") % {"subject": subject}, "subject"
        )
    last = gate.criteria.order_by("-position").values_list("position", flat=True).first()
    criterion = GateCriterion(
        gate=gate, is_must=is_must, needs=needs, position=0 if last is None else last + 1, **{name: subject}
    )
    check(criterion)
    criterion.save()
    record(asker, "add_criterion", criterion, roadmap, None, {"subject": subject, "is_must": is_must})
    return criterion


@transaction.atomic
def remove_criterion(asker: Asker, criterion: GateCriterion) -> None:
    """The gate no longer asks for it; what was decided on it stays in the evidence."""
    roadmap = criterion.gate.phase.roadmap
    require(asker, Role.MANAGER, roadmap)
    record(asker, "remove_criterion", criterion, roadmap, {"subject": criterion}, None)
    criterion.delete()


@transaction.atomic
def decide_gate(
    asker: Asker,
    gate: Gate,
    *,
    outcome: str,
    reason: str,
    values_of: ValuesOf,
    conditions: Sequence[Condition] = (),
    new_due_on: date | None = None,
    late_costs: Mapping[int, str] | None = None,
    link: str = "",
) -> GateDecision:
    """Decides on the evidence as it stands now, freezes it, and does what the outcome says.

    `values_of` gives the phase's KPI values inside this transaction. `new_due_on`: for a hold. `late_costs`: for a
    stop, one of LATE_COST_CHOICES for each cost entry with days after today. Refused when the phase is not running.
    """
    roadmap = Roadmap.objects.select_for_update(of=("self",)).select_related("workload").get(pk=gate.phase.roadmap_id)
    phases = locked_phases(roadmap)
    gate = locked_gate(gate)
    phase = next(item for item in phases if item.pk == gate.phase_id)
    phase.roadmap = roadmap
    gate.phase = phase
    check_may_decide(asker, gate)
    if phase.state != Phase.State.ACTIVE:
        said = (
            gettext("%(kind)s is decided already.")
            if phase.state == Phase.State.CLOSED
            else gettext("%(kind)s has not started.")
        )
        raise RuleViolation("already_decided", said % {"kind": phase.get_kind_display()}, "outcome")
    if outcome not in [item.value for item in Outcome]:
        raise RuleViolation("unknown_outcome", gettext("Choose go, conditional go, hold or stop."), "outcome")
    chosen, day = Outcome(outcome), today()
    reason = text_required(reason, field="reason", what=gettext("a reason"))
    criteria = criteria_of([gate], values={phase.pk: values_of(phase)}, today=day)[gate.pk]
    check_outcome(chosen, standings_of(criteria), condition_count=len(conditions), new_due_on=new_due_on, today=day)
    _check_conditions(conditions, day)
    late = entries_after(roadmap, day) if chosen == Outcome.STOP else []
    check_late(late, late_costs or {})
    decision = freeze(
        asker, gate, chosen, reason, criteria, conditions=conditions, new_due_on=new_due_on, day=day, link=link
    )
    if chosen == Outcome.HOLD:
        hold(gate, phase, phases, new_due_on or day)
    else:
        _close(phase, day)
    if chosen in (Outcome.GO, Outcome.CONDITIONAL):
        _go_on(roadmap, phase, phases, conditions, day)
    if chosen == Outcome.STOP:
        roadmap.state = Roadmap.State.STOPPED
        roadmap.save(update_fields=["state"])
        settle_late(late, late_costs or {}, day)
    record(
        asker,
        "decide_gate",
        decision,
        roadmap,
        {"phase": phase.kind, "state": "active"},
        {
            "outcome": chosen.value,
            "reason": reason,
            "evidence_sha256": decision.evidence_sha256,
            "conditions": "; ".join(item.name for item in conditions),
            "new_due_on": new_due_on,
            "late_costs": dict(late_costs or {}) if late else None,
        },
    )
    return decision


def _check_conditions(conditions: Sequence[Condition], day: date) -> None:
    for item in conditions:
        text_required(item.name, field="conditions", what=gettext("each condition a name"))
        check_day(item.due_on, field="conditions")
        if item.due_on < day:
            raise RuleViolation("condition_in_past", gettext("A condition is due today or later."), "conditions")
        if item.owner is None:
            raise RuleViolation(
                "condition_without_owner", gettext("Name an owner for '%(name)s'.") % {"name": item.name}, "conditions"
            )


def check_may_decide(asker: Asker, gate: Gate) -> None:
    if asker.user.pk == gate.phase.owner_id:
        raise PermissionDenied(gettext("The phase's owner does not decide its gate. Name another gatekeeper."))
    if not may_decide(asker, gate):
        raise PermissionDenied(gettext("Only the gatekeeper or an admin decides this gate."))


def freeze(
    asker: Asker,
    gate: Gate,
    outcome: Outcome,
    reason: str,
    criteria: Sequence[CriterionState],
    *,
    day: date,
    conditions: Sequence[Condition] = (),
    new_due_on: date | None = None,
    link: str = "",
    undoes: GateDecision | None = None,
) -> GateDecision:
    """The decision with its evidence as it stands now, saved. Part of decide_gate and undo_decision."""
    evidence = plain(
        evidence_document(
            gate,
            criteria,
            sources=series.freshness([gate.phase.roadmap.workload_id]),
            as_of=timezone.now(),
            outcome=outcome.value,
            reason=reason,
            decided_by=asker.user.display_name,
            decided_on=day,
            conditions=[
                {
                    "name": item.name,
                    "due_on": item.due_on,
                    "owner": item.owner.display_name if item.owner else None,
                }
                for item in conditions
            ],
            new_due_on=new_due_on,
            undoes=undoes,
            files=_files_of(criteria),
        )
    )
    decision = GateDecision(
        gate=gate,
        outcome=outcome.value,
        reason=reason,
        decided_by=asker.user,
        decided_by_name=asker.user.display_name,
        decided_on=day,
        link=link,
        evidence=evidence,
        evidence_sha256=sha256_of(evidence),
        undoes=undoes,
    )
    check(decision)
    decision.save()
    return decision


def _files_of(criteria: Sequence[CriterionState]) -> dict[int, list[dict[str, Any]]]:
    """The evidence files of the milestones among the criteria, by the milestone's id."""
    found: dict[int, list[dict[str, Any]]] = {}
    wanted = [item.subject_id for item in criteria if item.kind == "milestone"]
    for file in EvidenceFile.objects.filter(milestone__in=wanted):
        held = {"name": file.name, "kind": file.kind, "size": file.size, "sha256": file.sha256}
        found.setdefault(file.milestone_id, []).append(held)
    return found


def hold(gate: Gate, phase: Phase, phases: list[Phase], new_due_on: date) -> None:
    """The phase goes on until the new gate date; what is planned after it moves along."""
    gate.due_on = new_due_on
    gate.save(update_fields=["due_on"])
    late_by = (new_due_on - phase.planned_end_on).days
    if late_by > 0:
        phase.planned_end_on = new_due_on
        phase.save(update_fields=["planned_end_on"])
        move_planned(phases, after=phase, by_days=late_by)


def _close(phase: Phase, day: date) -> None:
    phase.state = Phase.State.CLOSED
    phase.ended_on = max(day, phase.started_on or day)
    phase.save(update_fields=["state", "ended_on"])


def _go_on(roadmap: Roadmap, phase: Phase, phases: list[Phase], conditions: Sequence[Condition], day: date) -> None:
    """Opens the next phase the day after and carries KPIs and conditions over; after the last the roadmap is live."""
    following = next((item for item in phases if item.position == phase.position + 1), None)
    if following is None:
        roadmap.state = Roadmap.State.LIVE
        roadmap.save(update_fields=["state"])
    else:
        planned_start = following.planned_start_on
        open_phase(following, on=(phase.ended_on or day) + DAY)
        delta = ((phase.ended_on or day) + DAY - planned_start).days
        move_planned(phases, after=following, by_days=delta)
        carry_over(phase, following)
    for item in conditions:
        milestone = Milestone(
            phase=following or phase,
            name=item.name.strip(),
            due_on=item.due_on,
            baseline_due_on=item.due_on,
            owner=item.owner,
            is_condition=True,
        )
        check(milestone)
        milestone.save()


def locked_gate(gate: Gate) -> Gate:
    return (
        Gate.objects.select_for_update(of=("self",))
        .select_related("phase__roadmap__workload", "gatekeeper")
        .get(pk=gate.pk)
    )

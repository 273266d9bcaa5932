"""Taking a gate's decision back: a new decision that reopens the phase. What was decided stays with its evidence."""

from __future__ import annotations

from datetime import date

from django.db import transaction
from django.utils.translation import gettext

from accounts.access import Asker
from metrics.errors import RuleViolation
from roadmap.actions.changes import record, text_required, today
from roadmap.actions.gates import ValuesOf, check_may_decide, freeze, hold, locked_gate
from roadmap.actions.phases import locked_phases, move_planned
from roadmap.models import Gate, GateDecision, Phase, Roadmap
from roadmap.queries.gate_state import criteria_of
from roadmap.rules.gates import Outcome, check_outcome
from roadmap.rules.phases import check_day


@transaction.atomic
def undo_decision(
    asker: Asker, gate: Gate, *, reason: str, new_due_on: date | None, values_of: ValuesOf
) -> GateDecision:
    """Takes the decision that closed the phase back: a hold that reopens it, with evidence and a new gate date.

    The phase after it is planned again; refused once that one has been decided. Conditions stay milestones there, and
    cost entries that a stop ended stay ended. Who may decide the gate may undo it.
    """
    roadmap = Roadmap.objects.select_for_update(of=("self",)).select_related("workload").get(pk=gate.phase.roadmap_id)
    phases = locked_phases(roadmap)
    gate = locked_gate(gate)
    phase = next(item for item in phases if item.pk == gate.phase_id)
    phase.roadmap, gate.phase = roadmap, phase
    check_may_decide(asker, gate)
    undone = _undoable(gate, phase)
    following = next((item for item in phases if item.position == phase.position + 1), None)
    if following is not None and following.state == Phase.State.CLOSED:
        raise RuleViolation(
            "next_decided",
            gettext("%(kind)s has been decided since. Take that back first.") % {"kind": following.get_kind_display()},
            "outcome",
        )
    day = today()
    reason = text_required(reason, field="reason", what=gettext("a reason"))
    if new_due_on is not None:
        check_day(new_due_on, field="new_due_on")
    check_outcome(Outcome.HOLD, (), condition_count=0, new_due_on=new_due_on, today=day)
    before = {"phase": phase.kind, "state": phase.state, "ended_on": phase.ended_on, "roadmap": roadmap.state}
    _reopen(roadmap, phase, following)
    hold(gate, phase, phases, new_due_on or day)
    overlap = (phase.planned_end_on - following.planned_start_on).days + 1 if following is not None else 0
    if overlap > 0:
        move_planned(phases, after=phase, by_days=overlap)
    criteria = criteria_of([gate], values={phase.pk: values_of(phase)}, today=day)[gate.pk]
    decision = freeze(asker, gate, Outcome.HOLD, reason, criteria, new_due_on=new_due_on, day=day, undoes=undone)
    after = {"state": phase.state, "reason": reason, "undoes": undone.uuid, "new_due_on": new_due_on}
    record(asker, "undo_decision", decision, roadmap, before, after)
    return decision


def _undoable(gate: Gate, phase: Phase) -> GateDecision:
    last = gate.decisions.first()
    if last is None or phase.state != Phase.State.CLOSED or last.outcome == Outcome.HOLD:
        raise RuleViolation(
            "nothing_to_undo", gettext("No decision that closed this phase is there to take back."), "outcome"
        )
    if last.is_recorded_later:
        raise RuleViolation(
            "recorded_later",
            gettext("This gate was passed before the roadmap was entered; it cannot be taken back."),
            "outcome",
        )
    return last


def _reopen(roadmap: Roadmap, phase: Phase, following: Phase | None) -> None:
    if following is not None and following.state == Phase.State.ACTIVE:
        # First, so that the windows never overlap.
        following.state, following.started_on = Phase.State.PLANNED, None
        following.save(update_fields=["state", "started_on"])
    phase.state, phase.ended_on = Phase.State.ACTIVE, None
    phase.save(update_fields=["state", "ended_on"])
    if roadmap.state in (Roadmap.State.STOPPED, Roadmap.State.LIVE):
        roadmap.state = Roadmap.State.ACTIVE
        roadmap.save(update_fields=["state"])

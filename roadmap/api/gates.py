"""Gates over REST: criteria as they stand, the decision, and its frozen evidence."""

from __future__ import annotations

from typing import Any

from django.utils import timezone
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse

from accounts.models import Role
from metrics.errors import RuleViolation
from roadmap.actions.gates import (
    Condition,
    add_criterion,
    change_gate,
    decide_gate,
    remove_criterion,
)
from roadmap.actions.late_costs import LATE_COST_CHOICES
from roadmap.actions.undoing import undo_decision
from roadmap.api.rows import Input, ListView, PlanView, check_people, described, person_field
from roadmap.models import ChecklistItem, Gate, GateCriterion, GateDecision, Kpi, Milestone, Phase
from roadmap.queries.gate_state import criteria_of, is_intact
from roadmap.queries.kpi_values import kpi_values
from roadmap.queries.since_then import since_then

SUBJECTS: dict[str, type[Kpi | Milestone | ChecklistItem]] = {
    "kpi": Kpi,
    "milestone": Milestone,
    "checklist_item": ChecklistItem,
}


class CriterionOut(serializers.Serializer[Any]):
    """A criterion as it stands now. For a KPI with value, window (local days, the end excluded) and sample."""

    id = serializers.IntegerField()
    kind = serializers.CharField()
    subject_id = serializers.IntegerField()
    name = serializers.CharField()
    is_must = serializers.BooleanField()
    needs = serializers.CharField()
    result = serializers.CharField()
    note = serializers.CharField()
    unit = serializers.CharField()
    value = serializers.DecimalField(source="value.value", default=None, max_digits=None, decimal_places=None)
    target = serializers.DecimalField(max_digits=None, decimal_places=None, allow_null=True)
    start_on = serializers.DateField(source="value.start_on", default=None)
    end_before = serializers.DateField(source="value.end_on", default=None)
    sample = serializers.IntegerField(source="value.sample", default=None)
    minimum_sample = serializers.IntegerField()
    coverage = serializers.DecimalField(source="value.coverage", default=None, max_digits=None, decimal_places=None)
    basis = serializers.CharField(source="value.basis", default="")
    due_on = serializers.DateField(allow_null=True)
    done_on = serializers.DateField(allow_null=True)


class DecisionOut(serializers.ModelSerializer[GateDecision]):
    """A decision with its evidence. `evidence_sha256` is over its canonical JSON (sorted keys, no spaces, UTF-8)."""

    id = serializers.UUIDField(source="uuid")
    decided_by = serializers.CharField(source="decided_by_name")
    undoes = serializers.UUIDField(source="undoes.uuid", default=None, help_text="The decision that this takes back.")
    is_intact = serializers.SerializerMethodField()

    class Meta:
        model = GateDecision
        fields = (
            "id",
            "outcome",
            "reason",
            "decided_by",
            "decided_on",
            "recorded_at",
            "is_recorded_later",
            "undoes",
            "link",
            "evidence",
            "evidence_sha256",
            "is_intact",
        )

    @extend_schema_field(serializers.BooleanField(allow_null=True))
    def get_is_intact(self, decision: GateDecision) -> bool | None:
        return is_intact(decision)


class GateOut(serializers.ModelSerializer[Gate]):
    """A gate in a list."""

    roadmap = serializers.CharField(source="phase.roadmap.slug")
    phase = serializers.IntegerField(source="phase_id")
    gatekeeper = serializers.CharField(source="gatekeeper.username", default=None)

    class Meta:
        model = Gate
        fields = ("id", "roadmap", "phase", "due_on", "baseline_due_on", "gatekeeper")


class SinceThenOut(serializers.Serializer[Any]):
    """A KPI of the last decision's evidence: its value then, and today over the same window."""

    subject_id = serializers.IntegerField()
    name = serializers.CharField()
    unit = serializers.CharField()
    then = serializers.DecimalField(max_digits=None, decimal_places=None, allow_null=True)
    now = serializers.DecimalField(max_digits=None, decimal_places=None, allow_null=True)
    is_changed = serializers.BooleanField()
    was_met = serializers.BooleanField(allow_null=True)
    is_met = serializers.BooleanField(allow_null=True)


class GateDetailOut(GateOut):
    """A gate with its criteria live and its decisions, the last first; `since_then` once its phase is closed."""

    criteria = serializers.SerializerMethodField()
    since_then = serializers.SerializerMethodField()
    decisions = DecisionOut(many=True)

    class Meta(GateOut.Meta):
        fields = (*GateOut.Meta.fields, "criteria", "since_then", "decisions")  # type: ignore[assignment]

    @extend_schema_field(CriterionOut(many=True))
    def get_criteria(self, gate: Gate) -> Any:
        values = {gate.phase_id: kpi_values(gate.phase)}
        states = criteria_of([gate], values=values, today=timezone.localdate())[gate.pk]
        return CriterionOut(states, many=True).data

    @extend_schema_field(SinceThenOut(many=True))
    def get_since_then(self, gate: Gate) -> Any:
        last = gate.decisions.first()
        if last is None or gate.phase.state != Phase.State.CLOSED:
            return []
        last.gate = gate
        return SinceThenOut(since_then(last), many=True).data


class GateView(PlanView):
    """Gates of the roadmaps that the asker sees."""

    model = Gate
    roadmap_path = "phase__roadmap"
    phase_path = "phase_id"
    related = ("gatekeeper", "phase__owner")
    serializer_class: Any = GateDetailOut


@described(GateOut, tag="gates", list="Gates")
class GateList(GateView, ListView):
    """Gates."""

    serializer_class = GateOut


class GateChange(Input):
    """Due date and gatekeeper (who is not the phase's owner)."""

    due_on = serializers.DateField(required=False)
    gatekeeper = person_field(required=False, allow_null=True)


@described(GateDetailOut, GateChange, tag="gates", get="One gate, its criteria live", patch="Change a gate")
class GateDetail(GateView):
    """One gate."""

    def get(self, request: Request, pk: int) -> Response:
        return self.answer(self.row(pk))

    def patch(self, request: Request, pk: int) -> Response:
        found = self.row(pk)
        self.allow(Role.MANAGER, found.phase.roadmap)
        data = self.read(GateChange, partial=True)
        check_people(found.phase.roadmap, data)
        change_gate(self.asker, found, **data)
        return self.answer(self.row(pk))


class CriterionIn(Input):
    """Exactly one of kpi, milestone and checklist_item, by id."""

    kpi = serializers.IntegerField(required=False)
    milestone = serializers.IntegerField(required=False)
    checklist_item = serializers.IntegerField(required=False)
    is_must = serializers.BooleanField(default=True)
    needs = serializers.ChoiceField(GateCriterion.Needs.choices, default=GateCriterion.Needs.ON_TARGET)


@described(GateDetailOut, CriterionIn, tag="gates", post="Add a criterion to a gate")
class CriterionList(GateView):
    """Criteria of a gate; read them with the gate."""

    def post(self, request: Request, pk: int) -> Response:
        found = self.row(pk)
        self.allow(Role.MANAGER, found.phase.roadmap)
        data = self.read(CriterionIn)
        named = [name for name in SUBJECTS if name in data]
        if len(named) != 1:
            raise RuleViolation("one_subject", "Give exactly one of kpi, milestone and checklist_item.")
        model: Any = SUBJECTS[named[0]]
        subject = model.objects.filter(pk=data[named[0]], phase=found.phase).first()
        if subject is None:
            raise RuleViolation("other_phase", "A gate asks for what belongs to its own phase.", named[0])
        add_criterion(self.asker, found, subject=subject, is_must=data["is_must"], needs=data["needs"])
        return self.answer(self.row(pk), 201)


@described(GateDetailOut, tag="gates", delete="Take a criterion out of its gate")
class CriterionDetail(PlanView):
    """One criterion."""

    model = GateCriterion
    roadmap_path = "gate__phase__roadmap"
    related = ("kpi", "milestone", "checklist_item")
    serializer_class = GateDetailOut

    def delete(self, request: Request, pk: int) -> Response:
        remove_criterion(self.asker, self.row(pk))
        return Response(status=204)


class UndoIn(Input):
    """Why, and when it is to be decided again."""

    reason = serializers.CharField(max_length=4000)
    new_due_on = serializers.DateField()


@described(DecisionOut, UndoIn, tag="gates", post="Take the decision that closed the phase back, with a new one")
class GateUndo(GateView):
    """Who may decide the gate may undo its last decision."""

    serializer_class = DecisionOut

    def post(self, request: Request, pk: int) -> Response:
        found = self.row(pk)
        decision = undo_decision(self.asker, found, values_of=kpi_values, **self.read(UndoIn))
        response = self.answer(decision, 201)
        response["Location"] = reverse("api_gate", args=[pk], request=request)
        return response


class ConditionIn(Input):
    """What a conditional go asks for."""

    name = serializers.CharField(max_length=200)
    due_on = serializers.DateField()
    owner = person_field()


class DecideIn(Input):
    """The outcome and what it asks for."""

    outcome = serializers.ChoiceField(GateDecision.Outcome.choices)
    reason = serializers.CharField()
    conditions = ConditionIn(many=True, default=list, help_text="For a conditional go.")
    new_due_on = serializers.DateField(required=False, allow_null=True, default=None, help_text="For a hold.")
    late_costs = serializers.DictField(
        child=serializers.ChoiceField([(item, item) for item in LATE_COST_CHOICES]),
        default=dict,
        help_text="For a stop: by id of each cost entry with days after today, what becomes of it.",
    )
    link = serializers.URLField(default="", allow_blank=True)


@described(DecisionOut, DecideIn, tag="gates", post="Decide a gate; its evidence is frozen")
class GateDecide(GateView):
    """Decides a gate: its gatekeeper or an admin, never the phase's owner."""

    serializer_class = DecisionOut

    def post(self, request: Request, pk: int) -> Response:
        found = self.row(pk)
        data = self.read(DecideIn)
        conditions = [Condition(**item) for item in data["conditions"]]
        for item in conditions:
            check_people(found.phase.roadmap, {"conditions": item.owner})
        if any(not str(key).isdigit() for key in data["late_costs"]):
            raise RuleViolation("invalid", "Name cost entries by their id.", "late_costs")
        decision = decide_gate(
            self.asker,
            found,
            outcome=data["outcome"],
            reason=data["reason"],
            values_of=kpi_values,
            conditions=conditions,
            new_due_on=data["new_due_on"],
            late_costs={int(key): choice for key, choice in data["late_costs"].items()},
            link=data["link"],
        )
        response = self.answer(decision, 201)
        response["Location"] = reverse("api_gate", args=[pk], request=request)
        return response

"""Milestones over REST."""

from __future__ import annotations

from typing import Any

from django.db.models import Prefetch, QuerySet
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse

from accounts.models import Role
from metrics.errors import RuleViolation
from roadmap.actions.milestones import (
    add_milestone,
    change_milestone,
    delete_milestone,
    drop_milestone,
    reopen_milestone,
    tick_milestone,
)
from roadmap.api.rows import Input, ListView, PlanView, check_people, described, person_field
from roadmap.models import Milestone, Phase
from roadmap.queries.schedule import successor_moves
from roadmap.rules.phases import check_day


def ids_field() -> Any:
    """What a milestone waits for."""
    return serializers.ListField(
        child=serializers.IntegerField(),
        required=False,
        max_length=100,
        help_text="Ids of the milestones it waits for.",
    )


@extend_schema_field(
    {
        "oneOf": [
            {"type": "string", "enum": ["all", "none"]},
            {"type": "array", "items": {"type": "integer"}, "maxItems": 1000},
        ]
    }
)
class MoveAlong(serializers.Field[Any, Any, Any, Any]):
    """`all`, `none`, or the ids of the successors that move along."""

    def to_internal_value(self, data: Any) -> Any:
        if data in ("all", "none"):
            return data
        if isinstance(data, list) and all(type(item) is int for item in data):
            return data
        raise serializers.ValidationError("Send all, none, or a list of milestones' ids.")

    def to_representation(self, value: Any) -> Any:
        return value


class MilestoneOut(serializers.ModelSerializer[Milestone]):
    """A milestone. `baseline_due_on` is the date first promised; `version` goes up with every change."""

    roadmap = serializers.CharField(source="phase.roadmap.slug")
    phase = serializers.IntegerField(source="phase_id")
    owner = serializers.CharField(source="owner.username", default=None)
    depends_on: Any = serializers.PrimaryKeyRelatedField(many=True, read_only=True)

    class Meta:
        model = Milestone
        fields = (
            "id",
            "roadmap",
            "phase",
            "name",
            "state",
            "due_on",
            "baseline_due_on",
            "done_on",
            "owner",
            "evidence_url",
            "outside_key",
            "depends_on",
            "dropped_reason",
            "is_condition",
            "version",
        )


class MilestoneChange(Input):
    """What can be changed; with the `version` last seen, a change in between answers 409 and says what it was."""

    name = serializers.CharField(max_length=200, required=False)
    due_on = serializers.DateField(required=False)
    owner = person_field(required=False, allow_null=True)
    evidence_url = serializers.URLField(required=False, allow_blank=True)
    outside_key = serializers.CharField(max_length=80, required=False, allow_blank=True)
    depends_on: Any = ids_field()
    move_successors = MoveAlong(required=False, help_text="With a new due date; `none` where not given.")
    version = serializers.IntegerField(required=False)


class MilestoneIn(Input):
    """A new milestone."""

    phase = serializers.IntegerField()
    name = serializers.CharField(max_length=200)
    due_on = serializers.DateField()
    owner = person_field(required=False, allow_null=True)
    evidence_url = serializers.URLField(required=False, allow_blank=True)
    outside_key = serializers.CharField(max_length=80, required=False, allow_blank=True)
    depends_on: Any = ids_field()


class MilestoneView(PlanView):
    """Milestones of the roadmaps that the asker sees."""

    model = Milestone
    roadmap_path = "phase__roadmap"
    phase_path = "phase_id"
    related = ("owner",)
    serializer_class = MilestoneOut

    def get_queryset(self) -> QuerySet[Any]:
        return super().get_queryset().prefetch_related(Prefetch("depends_on", Milestone.objects.only("pk")))

    def with_dependencies(self, phase: Phase, data: dict[str, Any]) -> dict[str, Any]:
        """The body with the milestones of this roadmap whose ids stand in `depends_on`."""
        if "depends_on" in data:
            wanted = set(data["depends_on"])
            found = list(Milestone.objects.filter(phase__roadmap=phase.roadmap_id, pk__in=wanted))
            if missing := wanted - {item.pk for item in found}:
                raise RuleViolation("unknown_milestone", f"This roadmap has no milestone {min(missing)}.", "depends_on")
            data["depends_on"] = found
        return data


@described(MilestoneOut, MilestoneIn, tag="milestones", list="Milestones", post="Add a milestone")
class MilestoneList(MilestoneView, ListView):
    """Also by `outside_key`."""

    def get_queryset(self) -> QuerySet[Any]:
        rows = super().get_queryset()
        key = self.request.query_params.get("outside_key") if self.request else None
        if key and "\0" in key:
            return rows.none()
        return rows.filter(outside_key=key) if key else rows

    def post(self, request: Request) -> Response:
        data = self.read(MilestoneIn)
        phase = self.phase(data.pop("phase"))
        self.allow(Role.MANAGER, phase.roadmap)
        check_people(phase.roadmap, data)
        made = add_milestone(self.asker, phase, **self.with_dependencies(phase, data))
        response = self.answer(self.row(made.pk), 201)
        response["Location"] = reverse("api_milestone", args=[made.pk], request=request)
        return response


@described(
    MilestoneOut,
    MilestoneChange,
    tag="milestones",
    get="One milestone",
    patch="Change a milestone",
    delete="Delete a milestone",
)
class MilestoneDetail(MilestoneView):
    """One milestone."""

    def get(self, request: Request, pk: int) -> Response:
        return self.answer(self.row(pk))

    def patch(self, request: Request, pk: int) -> Response:
        found = self.row(pk)
        self.allow(Role.MANAGER, found.phase.roadmap)
        data = self.read(MilestoneChange, partial=True)
        check_people(found.phase.roadmap, data)
        change_milestone(self.asker, found, **self.with_dependencies(found.phase, data))
        return self.answer(self.row(pk))

    def delete(self, request: Request, pk: int) -> Response:
        delete_milestone(self.asker, self.row(pk))
        return Response(status=204)


class MoveIn(Input):
    """A new due date, and who moves along; with `dry_run` nothing is changed."""

    due_on = serializers.DateField()
    move_successors = MoveAlong(default="none")
    dry_run = serializers.BooleanField(default=False)
    version = serializers.IntegerField(required=False)


class MoveRowOut(serializers.Serializer[Any]):
    """A successor: where it is due, where it would be, by how many days (negative: earlier)."""

    id = serializers.IntegerField()
    name = serializers.CharField()
    phase = serializers.IntegerField()
    due_on = serializers.DateField()
    new_due_on = serializers.DateField()
    days = serializers.IntegerField()
    days_beyond_phase = serializers.IntegerField(help_text="Days after the planned end of its phase.")
    moves_along = serializers.BooleanField(help_text="Whether `move_successors` names it.")


class MoveOut(serializers.Serializer[Any]):
    """What moves."""

    is_dry_run = serializers.BooleanField()
    milestone = MilestoneOut()
    successors = MoveRowOut(many=True)


@described(MoveOut, MoveIn, tag="milestones", post="Move a milestone and what waits for it, or see what would move")
class MilestoneMove(MilestoneView):
    """Moves a milestone; `dry_run` answers the same without changing anything."""

    def post(self, request: Request, pk: int) -> Response:
        found = self.row(pk)
        self.allow(Role.MANAGER, found.phase.roadmap)
        data = self.read(MoveIn)
        is_dry_run, along = data.pop("dry_run"), data["move_successors"]
        check_day(data["due_on"], field="due_on")
        rows = successor_moves(found, data["due_on"])
        if not is_dry_run:
            change_milestone(self.asker, found, **data)
        answer = {
            "is_dry_run": is_dry_run,
            "milestone": self.row(pk),
            "successors": [
                {
                    "id": row.milestone.pk,
                    "name": row.milestone.name,
                    "phase": row.milestone.phase_id,
                    "due_on": row.move.due_on,
                    "new_due_on": row.move.new_due_on,
                    "days": row.move.days,
                    "days_beyond_phase": row.beyond,
                    "moves_along": along == "all" or (along != "none" and row.milestone.pk in along),
                }
                for row in rows
            ],
        }
        return Response(MoveOut(answer).data)


class TickIn(Input):
    """Done on which day; today where none is given."""

    done_on = serializers.DateField(required=False, allow_null=True)
    version = serializers.IntegerField(required=False)


class ReopenIn(Input):
    """Nothing is needed."""

    version = serializers.IntegerField(required=False)


class DropIn(Input):
    """Why it is given up."""

    reason = serializers.CharField(max_length=300)
    version = serializers.IntegerField(required=False)


@described(MilestoneOut, TickIn, tag="milestones", post="Tick a milestone: done")
class MilestoneTick(MilestoneView):
    """Ticks a milestone."""

    def post(self, request: Request, pk: int) -> Response:
        found = self.row(pk)
        self.allow(Role.CONTRIBUTOR, found.phase.roadmap)
        tick_milestone(self.asker, found, **self.read(TickIn))
        return self.answer(self.row(pk))


@described(MilestoneOut, ReopenIn, tag="milestones", post="Open a milestone again")
class MilestoneReopen(MilestoneView):
    """Opens a done or dropped milestone again."""

    def post(self, request: Request, pk: int) -> Response:
        found = self.row(pk)
        self.allow(Role.CONTRIBUTOR, found.phase.roadmap)
        reopen_milestone(self.asker, found, **self.read(ReopenIn))
        return self.answer(self.row(pk))


@described(MilestoneOut, DropIn, tag="milestones", post="Drop a milestone, with a reason")
class MilestoneDrop(MilestoneView):
    """Gives a milestone up."""

    def post(self, request: Request, pk: int) -> Response:
        found = self.row(pk)
        self.allow(Role.MANAGER, found.phase.roadmap)
        drop_milestone(self.asker, found, **self.read(DropIn))
        return self.answer(self.row(pk))

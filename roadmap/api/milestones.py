"""Milestones and checklist items over REST."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse

from accounts.models import Role
from roadmap.actions.checklists import (
    add_checklist_item,
    change_checklist_item,
    delete_checklist_item,
    tick_checklist_item,
)
from roadmap.actions.milestones import (
    add_milestone,
    change_milestone,
    delete_milestone,
    drop_milestone,
    reopen_milestone,
    tick_milestone,
)
from roadmap.api.rows import Input, ListView, PlanView, check_people, described, person_field
from roadmap.models import ChecklistItem, Milestone


class MilestoneOut(serializers.ModelSerializer[Milestone]):
    """A milestone. `baseline_due_on` is the date first promised; `version` goes up with every change."""

    roadmap = serializers.CharField(source="phase.roadmap.slug")
    phase = serializers.IntegerField(source="phase_id")
    owner = serializers.CharField(source="owner.username", default=None)

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
    version = serializers.IntegerField(required=False)


class MilestoneIn(Input):
    """A new milestone."""

    phase = serializers.IntegerField()
    name = serializers.CharField(max_length=200)
    due_on = serializers.DateField()
    owner = person_field(required=False, allow_null=True)
    evidence_url = serializers.URLField(required=False, allow_blank=True)
    outside_key = serializers.CharField(max_length=80, required=False, allow_blank=True)


class MilestoneView(PlanView):
    """Milestones of the roadmaps that the asker sees."""

    model = Milestone
    roadmap_path = "phase__roadmap"
    phase_path = "phase_id"
    related = ("owner",)
    serializer_class = MilestoneOut


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
        made = add_milestone(self.asker, phase, **data)
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
        change_milestone(self.asker, found, **data)
        return self.answer(self.row(pk))

    def delete(self, request: Request, pk: int) -> Response:
        delete_milestone(self.asker, self.row(pk))
        return Response(status=204)


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


class ChecklistOut(serializers.ModelSerializer[ChecklistItem]):
    """An item of a phase's checklist."""

    roadmap = serializers.CharField(source="phase.roadmap.slug")
    phase = serializers.IntegerField(source="phase_id")
    done_by = serializers.CharField(source="done_by.username", default=None)

    class Meta:
        model = ChecklistItem
        fields = ("id", "roadmap", "phase", "category", "name", "is_done", "done_at", "done_by", "evidence_url")


class ChecklistIn(Input):
    """A new item."""

    phase = serializers.IntegerField()
    category = serializers.ChoiceField(ChecklistItem.Category.choices)
    name = serializers.CharField(max_length=200)
    evidence_url = serializers.URLField(required=False, allow_blank=True)


class ChecklistChange(Input):
    """What can be changed of an item."""

    category = serializers.ChoiceField(ChecklistItem.Category.choices, required=False)
    name = serializers.CharField(max_length=200, required=False)
    evidence_url = serializers.URLField(required=False, allow_blank=True)


class ChecklistTickIn(Input):
    """Ticked, or open again with `is_done` false."""

    is_done = serializers.BooleanField(default=True)
    evidence_url = serializers.URLField(required=False, allow_blank=True)


class ChecklistView(PlanView):
    """Checklist items of the roadmaps that the asker sees."""

    model = ChecklistItem
    roadmap_path = "phase__roadmap"
    phase_path = "phase_id"
    related = ("done_by",)
    serializer_class = ChecklistOut


@described(ChecklistOut, ChecklistIn, tag="checklist", list="Checklist items", post="Add a checklist item")
class ChecklistList(ChecklistView, ListView):
    """Checklist items."""

    def post(self, request: Request) -> Response:
        data = self.read(ChecklistIn)
        phase = self.phase(data.pop("phase"))
        made = add_checklist_item(self.asker, phase, **data)
        response = self.answer(self.row(made.pk), 201)
        response["Location"] = reverse("api_checklist_item", args=[made.pk], request=request)
        return response


@described(
    ChecklistOut, ChecklistChange, tag="checklist", get="One item", patch="Change an item", delete="Delete an item"
)
class ChecklistDetail(ChecklistView):
    """One item."""

    def get(self, request: Request, pk: int) -> Response:
        return self.answer(self.row(pk))

    def patch(self, request: Request, pk: int) -> Response:
        found = self.row(pk)
        self.allow(Role.MANAGER, found.phase.roadmap)
        change_checklist_item(self.asker, found, **self.read(ChecklistChange, partial=True))
        return self.answer(self.row(pk))

    def delete(self, request: Request, pk: int) -> Response:
        delete_checklist_item(self.asker, self.row(pk))
        return Response(status=204)


@described(ChecklistOut, ChecklistTickIn, tag="checklist", post="Tick an item, or take the tick away")
class ChecklistTick(ChecklistView):
    """Ticks an item."""

    def post(self, request: Request, pk: int) -> Response:
        found = self.row(pk)
        self.allow(Role.CONTRIBUTOR, found.phase.roadmap)
        tick_checklist_item(self.asker, found, **self.read(ChecklistTickIn))
        return self.answer(self.row(pk))

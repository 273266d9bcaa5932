"""Checklist items over REST."""

from __future__ import annotations

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
from roadmap.api.rows import Input, ListView, PlanView, described
from roadmap.models import ChecklistItem


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

"""Cost entries, risks, updates and annotations over REST."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse

from accounts.models import Role
from roadmap.actions.cost_entries import add_cost_entry, change_cost_entry, delete_cost_entry
from roadmap.actions.phases import annotate, delete_annotation
from roadmap.actions.risks import add_risk, change_risk, close_risk, reopen_risk
from roadmap.actions.updates import post_update
from roadmap.api.rows import Input, ListView, PlanView, check_people, described, person_field
from roadmap.models import Annotation, CostEntry, Risk, Update

MONEY: dict[str, Any] = {"max_digits": 20, "decimal_places": 2}


class CostEntryOut(serializers.ModelSerializer[CostEntry]):
    """Money a backend cannot report; on one day (`end_on` null) or spread by the day, both ends included."""

    roadmap = serializers.CharField(source="roadmap.slug")
    phase = serializers.IntegerField(source="phase_id", default=None)
    author = serializers.CharField(source="author.username", default=None)

    class Meta:
        model = CostEntry
        fields = (
            "id",
            "roadmap",
            "phase",
            "name",
            "category",
            "kind",
            "status",
            "amount",
            "currency",
            "start_on",
            "end_on",
            "outside_key",
            "author",
            "created_at",
        )


class CostEntryChange(Input):
    """What can be changed of a cost entry."""

    name = serializers.CharField(max_length=200, required=False)
    category = serializers.ChoiceField(CostEntry.Category.choices, required=False)
    kind = serializers.ChoiceField(CostEntry.Kind.choices, required=False)
    status = serializers.ChoiceField(CostEntry.Status.choices, required=False)
    amount = serializers.DecimalField(**MONEY, required=False)
    currency = serializers.CharField(max_length=3, required=False)
    start_on = serializers.DateField(required=False)
    end_on = serializers.DateField(required=False, allow_null=True)
    outside_key = serializers.CharField(max_length=80, required=False, allow_blank=True)


class CostEntryIn(CostEntryChange):
    """A new cost entry, entered from a phase."""

    phase = serializers.IntegerField()
    name = serializers.CharField(max_length=200)
    category = serializers.ChoiceField(CostEntry.Category.choices)
    amount = serializers.DecimalField(**MONEY)
    start_on = serializers.DateField()


class CostEntryView(PlanView):
    """Cost entries of the roadmaps that the asker sees."""

    model = CostEntry
    roadmap_path = "roadmap"
    phase_path = "phase_id"
    related = ("author",)
    serializer_class = CostEntryOut


@described(CostEntryOut, CostEntryIn, tag="cost entries", list="Cost entries", post="Add a cost entry")
class CostEntryList(CostEntryView, ListView):
    """Cost entries."""

    def post(self, request: Request) -> Response:
        data = self.read(CostEntryIn)
        phase = self.phase(data.pop("phase"))
        made = add_cost_entry(self.asker, phase, **data)
        response = self.answer(self.row(made.pk), 201)
        response["Location"] = reverse("api_cost_entry", args=[made.pk], request=request)
        return response


@described(
    CostEntryOut,
    CostEntryChange,
    tag="cost entries",
    get="One cost entry",
    patch="Change a cost entry",
    delete="Delete a cost entry",
)
class CostEntryDetail(CostEntryView):
    """One cost entry."""

    def get(self, request: Request, pk: int) -> Response:
        return self.answer(self.row(pk))

    def patch(self, request: Request, pk: int) -> Response:
        found = self.row(pk)
        self.allow(Role.CONTRIBUTOR, found.roadmap)
        change_cost_entry(self.asker, found, **self.read(CostEntryChange, partial=True))
        return self.answer(self.row(pk))

    def delete(self, request: Request, pk: int) -> Response:
        delete_cost_entry(self.asker, self.row(pk))
        return Response(status=204)


class RiskOut(serializers.ModelSerializer[Risk]):
    """A risk; `score` is likelihood x impact."""

    roadmap = serializers.CharField(source="roadmap.slug")
    owner = serializers.CharField(source="owner.username", default=None)
    score = serializers.IntegerField()

    class Meta:
        model = Risk
        fields = (
            "id",
            "roadmap",
            "name",
            "category",
            "likelihood",
            "impact",
            "score",
            "owner",
            "response",
            "due_on",
            "state",
            "created_at",
            "closed_at",
        )


class RiskChange(Input):
    """What can be changed of a risk."""

    name = serializers.CharField(max_length=200, required=False)
    category = serializers.ChoiceField(Risk.Category.choices, required=False)
    likelihood = serializers.IntegerField(min_value=1, max_value=5, required=False)
    impact = serializers.IntegerField(min_value=1, max_value=5, required=False)
    owner = person_field(required=False, allow_null=True)
    response = serializers.CharField(required=False, allow_blank=True)
    due_on = serializers.DateField(required=False, allow_null=True)


class RiskIn(RiskChange):
    """A new risk."""

    roadmap = serializers.CharField()
    name = serializers.CharField(max_length=200)
    category = serializers.ChoiceField(Risk.Category.choices)
    likelihood = serializers.IntegerField(min_value=1, max_value=5)
    impact = serializers.IntegerField(min_value=1, max_value=5)


class RiskView(PlanView):
    """Risks of the roadmaps that the asker sees."""

    model = Risk
    roadmap_path = "roadmap"
    related = ("owner",)
    serializer_class = RiskOut


@described(RiskOut, RiskIn, tag="risks", list="Risks", post="Add a risk")
class RiskList(RiskView, ListView):
    """Risks."""

    def post(self, request: Request) -> Response:
        data = self.read(RiskIn)
        found = self.roadmap(data.pop("roadmap"))
        self.allow(Role.MANAGER, found)
        check_people(found, data)
        made = add_risk(self.asker, found, **data)
        response = self.answer(self.row(made.pk), 201)
        response["Location"] = reverse("api_risk", args=[made.pk], request=request)
        return response


@described(RiskOut, RiskChange, tag="risks", get="One risk", patch="Change a risk")
class RiskDetail(RiskView):
    """One risk."""

    def get(self, request: Request, pk: int) -> Response:
        return self.answer(self.row(pk))

    def patch(self, request: Request, pk: int) -> Response:
        found = self.row(pk)
        self.allow(Role.MANAGER, found.roadmap)
        data = self.read(RiskChange, partial=True)
        check_people(found.roadmap, data)
        change_risk(self.asker, found, **data)
        return self.answer(self.row(pk))


@described(RiskOut, tag="risks", post="Close a risk")
class RiskClose(RiskView):
    """Closes a risk."""

    def post(self, request: Request, pk: int) -> Response:
        close_risk(self.asker, self.row(pk))
        return self.answer(self.row(pk))


@described(RiskOut, tag="risks", post="Open a risk again")
class RiskReopen(RiskView):
    """Opens a closed risk again."""

    def post(self, request: Request, pk: int) -> Response:
        reopen_risk(self.asker, self.row(pk))
        return self.answer(self.row(pk))


class UpdateOut(serializers.ModelSerializer[Update]):
    """The manager's status and sentence."""

    roadmap = serializers.CharField(source="roadmap.slug")
    author = serializers.CharField(source="author.username")

    class Meta:
        model = Update
        fields = ("id", "roadmap", "status", "sentence", "author", "created_at")


class UpdateIn(Input):
    """A new update."""

    roadmap = serializers.CharField()
    status = serializers.ChoiceField(Update.Status.choices)
    sentence = serializers.CharField(max_length=300)


@described(UpdateOut, UpdateIn, tag="updates", list="Updates, newest first", post="Post an update")
class UpdateList(ListView):
    """Updates of the roadmaps that the asker sees; never changed."""

    model = Update
    roadmap_path = "roadmap"
    related = ("author",)
    serializer_class = UpdateOut

    def post(self, request: Request) -> Response:
        data = self.read(UpdateIn)
        found = self.roadmap(data.pop("roadmap"))
        return self.answer(post_update(self.asker, found, **data), 201)


class AnnotationOut(serializers.ModelSerializer[Annotation]):
    """A note that marks a phase's charts on one day."""

    roadmap = serializers.CharField(source="phase.roadmap.slug")
    phase = serializers.IntegerField(source="phase_id")
    author = serializers.CharField(source="author.username")

    class Meta:
        model = Annotation
        fields = ("id", "roadmap", "phase", "on", "text", "author")


class AnnotationIn(Input):
    """A new note."""

    phase = serializers.IntegerField()
    on = serializers.DateField()
    text = serializers.CharField(max_length=120)


class AnnotationView(PlanView):
    """Notes of the roadmaps that the asker sees."""

    model = Annotation
    roadmap_path = "phase__roadmap"
    phase_path = "phase_id"
    related = ("author",)
    serializer_class = AnnotationOut


@described(AnnotationOut, AnnotationIn, tag="annotations", list="Notes on charts", post="Add a note")
class AnnotationList(AnnotationView, ListView):
    """Notes."""

    def post(self, request: Request) -> Response:
        data = self.read(AnnotationIn)
        phase = self.phase(data.pop("phase"))
        return self.answer(annotate(self.asker, phase, **data), 201)


@described(AnnotationOut, tag="annotations", get="One note", delete="Delete a note")
class AnnotationDetail(AnnotationView):
    """One note."""

    def get(self, request: Request, pk: int) -> Response:
        return self.answer(self.row(pk))

    def delete(self, request: Request, pk: int) -> Response:
        delete_annotation(self.asker, self.row(pk))
        return Response(status=204)

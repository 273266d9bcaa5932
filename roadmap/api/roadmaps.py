"""Roadmaps, their people and their phases over REST."""

from __future__ import annotations

from typing import Any

from django.http import Http404
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse

from accounts.access import visible_workloads
from accounts.models import Membership, Role, User
from metrics.errors import RuleViolation
from roadmap.actions.people import remove_membership, set_membership
from roadmap.actions.phases import change_phase, start_phase
from roadmap.actions.roadmaps import Middle, PassedPhase, change_roadmap, make_roadmap, set_state
from roadmap.api.rows import Input, ListView, PlanView, check_people, described, person_field
from roadmap.models import GateDecision, Phase, Roadmap
from roadmap.template import PHASE_KINDS

MONEY: dict[str, Any] = {"max_digits": 20, "decimal_places": 2}
TEXTS: dict[str, Any] = {"required": False, "allow_blank": True}


class PhaseOut(serializers.ModelSerializer[Phase]):
    """A phase. Days are local days, both ends included."""

    roadmap = serializers.CharField(source="roadmap.slug")
    owner = serializers.CharField(source="owner.username")
    budget_owner = serializers.CharField(source="budget_owner.username", default=None)
    gate = serializers.IntegerField(source="gate.pk", default=None)

    class Meta:
        model = Phase
        fields = (
            "id",
            "roadmap",
            "kind",
            "state",
            "owner",
            "planned_start_on",
            "planned_end_on",
            "baseline_start_on",
            "baseline_end_on",
            "started_on",
            "ended_on",
            "budget_amount",
            "budget_currency",
            "budget_owner",
            "growth_percent_per_month",
            "gate",
        )


class RoadmapOut(serializers.ModelSerializer[Roadmap]):
    """A roadmap; its address is its slug."""

    slug = serializers.CharField()
    name = serializers.CharField()
    owner = serializers.CharField(source="owner.username")
    sponsor = serializers.CharField(source="sponsor.username", default=None)
    programme = serializers.CharField(source="programme.name", default=None)
    is_demo = serializers.BooleanField(source="workload.is_demo")

    class Meta:
        model = Roadmap
        fields = (
            "slug",
            "name",
            "state",
            "summary",
            "owner",
            "sponsor",
            "programme",
            "industry",
            "business_unit",
            "cost_centre",
            "risk_class",
            "data_class",
            "unit_of_work",
            "is_demo",
        )


class RoadmapChange(Input):
    """What can be changed of a roadmap."""

    name = serializers.CharField(max_length=200, required=False)
    summary = serializers.CharField(**TEXTS)
    owner = person_field(required=False)
    sponsor = person_field(required=False, allow_null=True)
    programme = serializers.CharField(max_length=120, **TEXTS)
    industry = serializers.CharField(max_length=60, **TEXTS)
    business_unit = serializers.CharField(max_length=120, **TEXTS)
    cost_centre = serializers.CharField(max_length=60, **TEXTS)
    risk_class = serializers.ChoiceField(Roadmap.RiskClass.choices, required=False)
    data_class = serializers.ChoiceField(Roadmap.DataClass.choices, required=False)
    unit_of_work = serializers.ChoiceField(Roadmap.UnitOfWork.choices, required=False)


class PassedIn(Input):
    """A phase that ended before the roadmap was entered."""

    kind = serializers.ChoiceField(Phase.Kind.choices)
    start_on = serializers.DateField()
    end_on = serializers.DateField()
    outcome = serializers.ChoiceField(GateDecision.Outcome.choices, default="go")
    decided_by_name = serializers.CharField(max_length=200, default="", allow_blank=True)
    decided_on = serializers.DateField(required=False, allow_null=True, default=None)
    link = serializers.URLField(default="", allow_blank=True)


class MiddleIn(Input):
    """A start in the middle of its life."""

    kind = serializers.ChoiceField(Phase.Kind.choices)
    started_on = serializers.DateField()
    planned_end_on = serializers.DateField(required=False, allow_null=True, default=None)
    opening_amount = serializers.DecimalField(**MONEY, required=False, allow_null=True, default=None)
    passed = PassedIn(many=True, default=list)


class RoadmapIn(RoadmapChange):
    """A new roadmap: from `start_on`, or in the `middle`."""

    name = serializers.CharField(max_length=200)
    slug = serializers.CharField(max_length=80, **TEXTS)
    template = serializers.CharField(max_length=80, default="general")
    start_on = serializers.DateField(required=False)
    middle = MiddleIn(required=False)
    months = serializers.ListField(
        child=serializers.IntegerField(), min_length=3, max_length=3, required=False, help_text="Of the three phases."
    )
    example_targets = serializers.BooleanField(
        default=False, help_text="Begin with the template's examples as targets of the KPIs."
    )
    currency = serializers.CharField(max_length=3, required=False)
    budgets = serializers.DictField(
        child=serializers.DecimalField(**MONEY), required=False, help_text="Amounts by kind of phase."
    )


@described(RoadmapOut, RoadmapIn, tag="roadmaps", list="Roadmaps", post="Make a roadmap from a template")
class RoadmapList(ListView):
    """Roadmaps that the asker sees."""

    model = Roadmap
    related = ("owner", "sponsor", "programme")
    serializer_class = RoadmapOut

    def post(self, request: Request) -> Response:
        data = self.read(RoadmapIn)
        owner: User = data.pop("owner", request.user)
        if owner != request.user and not self.asker.user.is_admin:
            raise RuleViolation("unknown_person", "You can only make roadmaps of your own.", "owner")
        sponsor: User | None = data.get("sponsor")
        if sponsor is not None and not (sponsor.reads_all or self.asker.user.is_admin):
            raise RuleViolation(
                "unknown_person", f"{sponsor.username} is neither an executive nor an admin.", "sponsor"
            )
        if "middle" in data and "start_on" in data:
            raise RuleViolation("two_starts", "Give start_on or middle, not both.", "start_on")
        if unknown := set(data.get("budgets", {})) - set(PHASE_KINDS):
            raise RuleViolation("unknown_phase", f"There is no phase {sorted(unknown)[0]}.", "budgets")
        if "middle" in data:
            data["middle"] = _middle(data["middle"])
        made = make_roadmap(self.asker, owner=owner, **data)
        response = self.answer(made, 201)
        response["Location"] = reverse("api_roadmap", args=[made.slug], request=request)
        return response


def _middle(data: dict[str, Any]) -> Middle:
    passed = tuple(PassedPhase(**item) for item in data["passed"])
    return Middle(
        kind=data["kind"],
        started_on=data["started_on"],
        passed=passed,
        planned_end_on=data["planned_end_on"],
        opening_amount=data["opening_amount"],
    )


class OneRoadmap(PlanView):
    """Finds a roadmap by its slug."""

    model = Roadmap
    related = ("owner", "sponsor", "programme")
    serializer_class: Any = RoadmapOut

    def find(self, slug: str) -> Roadmap:
        """The roadmap, or 404."""
        found = self.get_queryset().filter(workload__slug=slug).first()
        if found is None:
            raise Http404
        return found


@described(RoadmapOut, RoadmapChange, tag="roadmaps", get="One roadmap", patch="Change a roadmap")
class RoadmapDetail(OneRoadmap):
    """One roadmap."""

    def get(self, request: Request, slug: str) -> Response:
        return self.answer(self.find(slug))

    def patch(self, request: Request, slug: str) -> Response:
        found = self.find(slug)
        self.allow(Role.MANAGER, found)
        data = self.read(RoadmapChange, partial=True)
        check_people(found, data)
        change_roadmap(self.asker, found, **data)
        return self.answer(self.find(slug))


class StateIn(Input):
    """Another state of the roadmap."""

    state = serializers.ChoiceField(Roadmap.State.choices)


@described(RoadmapOut, StateIn, tag="roadmaps", post="Pause a roadmap, or go on with it")
class RoadmapState(OneRoadmap):
    """Pauses and goes on; gates stop and take live."""

    def post(self, request: Request, slug: str) -> Response:
        found = self.find(slug)
        self.allow(Role.MANAGER, found)
        set_state(self.asker, found, **self.read(StateIn))
        return self.answer(self.find(slug))


class MemberOut(serializers.ModelSerializer[Membership]):
    """A person and their role."""

    person = serializers.CharField(source="user.username")
    name = serializers.CharField(source="user.display_name")

    class Meta:
        model = Membership
        fields = ("id", "person", "name", "role")


class MemberIn(Input):
    """A person by user name, and the role."""

    person = person_field()
    role = serializers.ChoiceField(Role.choices)


@described(MemberOut, MemberIn, tag="roadmaps", list="People of a roadmap", post="Give a person a role")
class RoadmapPeople(OneRoadmap):
    """People of a roadmap."""

    serializer_class = MemberOut

    def get(self, request: Request, slug: str) -> Response:
        members = self.find(slug).workload.memberships.select_related("user")
        rows = self.paginate_queryset(members)
        return self.get_paginated_response(MemberOut(rows, many=True).data)

    def post(self, request: Request, slug: str) -> Response:
        found = self.find(slug)
        self.allow(Role.MANAGER, found)
        data = self.read(MemberIn)
        return self.answer(set_membership(self.asker, found, user=data["person"], role=data["role"]), 201)


@described(MemberOut, tag="roadmaps", delete="Take a person out")
class RoadmapPerson(OneRoadmap):
    """One person of a roadmap."""

    serializer_class = MemberOut

    def delete(self, request: Request, slug: str, pk: int) -> Response:
        found = self.find(slug)
        membership = Membership.objects.select_related("user").filter(pk=pk, workload=found.workload).first()
        if membership is None or found.workload not in visible_workloads(self.asker):
            raise Http404
        remove_membership(self.asker, found, membership)
        return Response(status=204)


class PhaseChange(Input):
    """What can be changed of a phase."""

    owner = person_field(required=False)
    planned_start_on = serializers.DateField(required=False)
    planned_end_on = serializers.DateField(required=False)
    started_on = serializers.DateField(required=False)
    budget_amount = serializers.DecimalField(**MONEY, required=False, allow_null=True)
    budget_currency = serializers.CharField(max_length=3, required=False)
    budget_owner = person_field(required=False, allow_null=True)
    growth_percent_per_month = serializers.DecimalField(max_digits=6, decimal_places=2, required=False, allow_null=True)
    move_later = serializers.BooleanField(
        default=False, help_text="Move the phases after it by as much, where they have not started."
    )


@described(PhaseOut, tag="phases", list="Phases")
class PhaseList(ListView):
    """Phases of the roadmaps that the asker sees."""

    model = Phase
    roadmap_path = "roadmap"
    phase_path = "pk"
    related = ("owner", "budget_owner", "gate")
    serializer_class = PhaseOut


@described(PhaseOut, PhaseChange, tag="phases", get="One phase", patch="Change dates, owner and budget")
class PhaseDetail(PlanView):
    """One phase."""

    model = Phase
    roadmap_path = "roadmap"
    related = ("owner", "budget_owner", "gate")
    serializer_class = PhaseOut

    def get(self, request: Request, pk: int) -> Response:
        return self.answer(self.row(pk))

    def patch(self, request: Request, pk: int) -> Response:
        found = self.row(pk)
        self.allow(Role.MANAGER, found.roadmap)
        data = self.read(PhaseChange, partial=True)
        check_people(found.roadmap, data)
        change_phase(self.asker, found, **data)
        return self.answer(self.row(pk))


class StartIn(Input):
    """When it started."""

    on = serializers.DateField()


@described(PhaseOut, StartIn, tag="phases", post="Start a planned phase")
class PhaseStart(PhaseDetail):
    """Starts a phase whose predecessor is closed."""

    http_method_names = ["post", "options"]

    def post(self, request: Request, pk: int) -> Response:
        found = self.row(pk)
        self.allow(Role.MANAGER, found.roadmap)
        start_phase(self.asker, found, **self.read(StartIn))
        return self.answer(self.row(pk))

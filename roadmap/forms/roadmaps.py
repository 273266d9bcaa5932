"""A new roadmap, its settings and its people."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from django import forms
from django.conf import settings
from django.utils.translation import gettext, gettext_lazy

from accounts.access import Asker
from accounts.models import OrganisationRole, Role, User
from roadmap.actions.roadmaps import Middle, PassedPhase
from roadmap.forms.plan_form import PersonField, PlanForm, link_field, people_of
from roadmap.models import GateDecision, Phase, Programme, Roadmap
from roadmap.template import PHASE_KINDS, Template
from web.decimals import DecimalField
from web.forms import DateInput, Form

PASSED_OUTCOMES = [
    (GateDecision.Outcome.GO.value, GateDecision.Outcome.GO.label),
    (GateDecision.Outcome.CONDITIONAL.value, GateDecision.Outcome.CONDITIONAL.label),
]
DESCRIPTION = ("programme", "business_unit", "cost_centre", "industry", "risk_class", "data_class")


class RoadmapFields(Form):
    """What both ways of making a roadmap ask for."""

    name = forms.CharField(max_length=200)
    summary = forms.CharField(
        widget=forms.Textarea, required=False, help_text=gettext_lazy("What it is for, in a sentence or two.")
    )
    template = forms.ChoiceField(widget=forms.HiddenInput)
    example_targets = forms.BooleanField(
        required=False,
        label=gettext_lazy("Begin with the examples as targets"),
        help_text=gettext_lazy(
            "Examples of others, not promises of yours. Without a tick every KPI begins without a target."
        ),
    )
    unit_of_work = forms.ChoiceField(
        choices=Roadmap.UnitOfWork.choices, help_text=gettext_lazy("What its efficiency is measured in.")
    )
    owner = PersonField(empty_label=None)
    sponsor = PersonField(required=False)
    programme = forms.CharField(
        max_length=120,
        required=False,
        help_text=gettext_lazy("Roadmaps with the same programme are shown and reported together."),
    )
    business_unit = forms.CharField(max_length=120, required=False)
    cost_centre = forms.CharField(max_length=60, required=False)
    industry = forms.CharField(max_length=60, required=False)
    risk_class = forms.ChoiceField(
        choices=Roadmap.RiskClass.choices, initial=Roadmap.RiskClass.LIMITED, help_text=gettext_lazy("The EU AI Act's.")
    )
    data_class = forms.ChoiceField(
        choices=Roadmap.DataClass.choices,
        initial=Roadmap.DataClass.INTERNAL,
        help_text=gettext_lazy("The most sensitive data it handles."),
    )
    currency = forms.CharField(max_length=3, min_length=3, help_text=gettext_lazy("Of the budgets."))
    poc_budget = DecimalField(max_digits=20, decimal_places=2, required=False, label=gettext_lazy("Budget of the PoC"))
    scale_up_budget = DecimalField(
        max_digits=20, decimal_places=2, required=False, label=gettext_lazy("Budget of scale-up")
    )
    optimise_budget = DecimalField(
        max_digits=20, decimal_places=2, required=False, label=gettext_lazy("Budget of optimise")
    )
    poc_months = forms.IntegerField(min_value=1, max_value=60, label=gettext_lazy("Months of the PoC"))
    scale_up_months = forms.IntegerField(min_value=1, max_value=60, label=gettext_lazy("Months of scale-up"))
    optimise_months = forms.IntegerField(min_value=1, max_value=60, label=gettext_lazy("Months of optimise"))

    def __init__(
        self, *args: Any, asker: Asker, templates: Sequence[Template], chosen: Template, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.initial.setdefault("template", chosen.slug)
        for name in ("unit_of_work", "risk_class", "data_class", "industry"):
            if value := getattr(chosen, name):
                self.initial.setdefault(name, value)
        self.fields["template"].choices = [(item.slug, item.name) for item in templates]  # type: ignore[attr-defined]
        people = User.objects.filter(is_active=True).order_by("first_name", "last_name", "username")
        sponsors = people.filter(organisation_role__in=[OrganisationRole.ADMIN, OrganisationRole.EXECUTIVE])
        own = people.filter(pk=asker.user.pk)
        self.fields["owner"].queryset = people if asker.user.is_admin else own  # type: ignore[attr-defined]
        self.fields["sponsor"].queryset = people if asker.user.is_admin else sponsors  # type: ignore[attr-defined]
        self.initial.setdefault("owner", asker.user.pk)
        self.initial.setdefault("currency", settings.REPORTING_CURRENCY)
        for kind, months in zip(PHASE_KINDS, chosen.months, strict=True):
            self.initial.setdefault(f"{kind}_months", months)

    def facts(self) -> dict[str, Any]:
        """What make_roadmap takes, dates aside."""
        data = self.cleaned_data
        names = ["name", "summary", "template", "unit_of_work", "owner", "sponsor", "currency", "example_targets"]
        names += DESCRIPTION
        return {name: data[name] for name in names} | {
            "budgets": {kind: data[f"{kind}_budget"] for kind in PHASE_KINDS},
            "months": [data[f"{kind}_months"] for kind in PHASE_KINDS],
        }


class NewRoadmapForm(RoadmapFields):
    """From one start date."""

    start_on = forms.DateField(
        label=gettext_lazy("Starts on"), help_text=gettext_lazy("Every date of the plan follows from it.")
    )

    field_order = ("name", "summary", "template", "start_on", "unit_of_work", "owner", "sponsor")

    def facts(self) -> dict[str, Any]:
        return super().facts() | {"start_on": self.cleaned_data["start_on"]}


class MiddleRoadmapForm(RoadmapFields):
    """In the middle of its life: the phase it is in, what came before, what was spent until now."""

    kind = forms.ChoiceField(choices=Phase.Kind.choices, label=gettext_lazy("Phase it is in today"))
    started_on = forms.DateField(label=gettext_lazy("This phase started on"))
    planned_end_on = forms.DateField(
        required=False,
        label=gettext_lazy("And is planned to end on"),
        help_text=gettext_lazy("Empty: after the template's months."),
    )
    opening_amount = DecimalField(
        max_digits=20,
        decimal_places=2,
        required=False,
        label=gettext_lazy("Spent until now"),
        help_text=gettext_lazy(
            "One cost entry, 'Opening balance', spread by the day from the first start until yesterday. "
            "In the currency of the budgets. Leave out what a backend will report back to then."
        ),
    )
    field_order = ("name", "summary", "template", "unit_of_work", "owner", "sponsor", "kind", "started_on")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for kind in PHASE_KINDS[:-1]:
            title = Phase.Kind(kind).label
            self.fields[f"{kind}_start_on"] = forms.DateField(
                required=False, label=gettext("%(title)s started on") % {"title": title}, widget=DateInput
            )
            self.fields[f"{kind}_end_on"] = forms.DateField(
                required=False, label=gettext("%(title)s ended on") % {"title": title}, widget=DateInput
            )
            self.fields[f"{kind}_outcome"] = forms.ChoiceField(
                required=False, choices=PASSED_OUTCOMES, label=gettext("Outcome of its gate")
            )
            self.fields[f"{kind}_decided_by_name"] = forms.CharField(
                required=False, max_length=200, label=gettext("Decided by")
            )
            self.fields[f"{kind}_decided_on"] = forms.DateField(
                required=False, label=gettext("Decided on"), widget=DateInput
            )
            self.fields[f"{kind}_link"] = link_field(gettext("Link to the decision"), "")

    def passed_groups(self) -> list[tuple[str, list[forms.BoundField]]]:
        """The fields of each phase that may lie before, for the page."""
        return [
            (
                str(Phase.Kind(kind).label),
                [
                    self[name]
                    for name in self.fields
                    if name.startswith(f"{kind}_") and (name.removeprefix(f"{kind}_") not in ("budget", "months"))
                ],
            )
            for kind in PHASE_KINDS[:-1]
        ]

    def clean(self) -> dict[str, Any]:
        data = super().clean() or self.cleaned_data
        kind = data.get("kind")
        if kind not in PHASE_KINDS:
            return data
        for before in PHASE_KINDS[: PHASE_KINDS.index(kind)]:
            for part, words in (("start_on", "started"), ("end_on", "ended")):
                name = f"{before}_{part}"
                if name not in self.errors and not data.get(name):
                    self.add_error(
                        name,
                        gettext("%(label)s lies before: give the day it %(words)s.")
                        % {"label": Phase.Kind(before).label, "words": words},
                    )
        return data

    def facts(self) -> dict[str, Any]:
        data = self.cleaned_data
        before = PHASE_KINDS[: PHASE_KINDS.index(data["kind"])]
        passed = tuple(
            PassedPhase(
                kind=kind,
                start_on=data[f"{kind}_start_on"],
                end_on=data[f"{kind}_end_on"],
                outcome=data[f"{kind}_outcome"] or GateDecision.Outcome.GO.value,
                decided_by_name=data[f"{kind}_decided_by_name"],
                decided_on=data[f"{kind}_decided_on"],
                link=data[f"{kind}_link"],
            )
            for kind in before
        )
        amount: Decimal | None = data["opening_amount"]
        middle = Middle(
            kind=data["kind"],
            started_on=data["started_on"],
            passed=passed,
            planned_end_on=data["planned_end_on"],
            opening_amount=amount,
        )
        return super().facts() | {"middle": middle}


class RoadmapForm(PlanForm):
    """What can be changed of a roadmap later on."""

    name = forms.CharField(max_length=200)
    owner = PersonField(empty_label=None)
    sponsor = PersonField(required=False)
    programme = forms.CharField(max_length=120, required=False)

    class Meta:
        model = Roadmap
        fields = (
            "summary",
            "owner",
            "sponsor",
            "unit_of_work",
            "business_unit",
            "cost_centre",
            "industry",
            "risk_class",
            "data_class",
        )

    field_order = ("name", "summary", "owner", "sponsor", "programme")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        people = people_of(self.instance)
        self.fields["owner"].queryset = people  # type: ignore[attr-defined]
        self.fields["sponsor"].queryset = people  # type: ignore[attr-defined]
        self.initial["name"] = self.instance.name
        self.initial["programme"] = self.instance.programme.name if self.instance.programme else ""


class PhaseForm(PlanForm):
    """Dates, owner and budget of a phase."""

    owner = PersonField(empty_label=None)
    budget_owner = PersonField(required=False)
    move_later = forms.BooleanField(
        required=False,
        initial=True,
        label=gettext_lazy("Move the phases after it by as much, where they have not started"),
    )

    class Meta:
        model = Phase
        fields = (
            "owner",
            "planned_start_on",
            "planned_end_on",
            "started_on",
            "budget_amount",
            "budget_currency",
            "budget_owner",
            "growth_percent_per_month",
        )
        labels = {
            "planned_start_on": gettext_lazy("Planned start"),
            "planned_end_on": gettext_lazy("Planned end"),
            "started_on": gettext_lazy("Started on"),
            "budget_amount": gettext_lazy("Budget"),
            "growth_percent_per_month": gettext_lazy("Planned growth of usage, % a month"),
        }
        help_texts = {
            "planned_end_on": gettext_lazy("Open milestones stretch with the phase, and its gate goes along.")
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        people = people_of(self.instance.roadmap)
        self.fields["owner"].queryset = people  # type: ignore[attr-defined]
        self.fields["budget_owner"].queryset = people  # type: ignore[attr-defined]
        if self.instance.started_on is None:
            del self.fields["started_on"]
        if self.instance.state == Phase.State.CLOSED:
            for name in ("planned_start_on", "planned_end_on", "move_later"):
                del self.fields[name]


class StartForm(Form):
    """When a phase started."""

    on = forms.DateField(label=gettext_lazy("Started on"))


class MemberForm(Form):
    """A person by user name or e-mail, and the role."""

    person = forms.CharField(max_length=254, label=gettext_lazy("User name or e-mail"))
    role = forms.ChoiceField(choices=Role.choices, initial=Role.CONTRIBUTOR)

    def clean_person(self) -> User:
        """The active person with exactly this user name or e-mail."""
        text = self.cleaned_data["person"].strip()
        field = "email__iexact" if "@" in text else "username__iexact"
        found = list(User.objects.filter(is_active=True, **{field: text})[:2])
        if len(found) != 1:
            raise forms.ValidationError(gettext("Nobody here has this user name or e-mail. An admin can invite them."))
        return found[0]


class RoleForm(Form):
    """Another role."""

    role = forms.ChoiceField(choices=Role.choices)


def programmes() -> list[str]:
    """Names already in use, to choose from while typing."""
    return list(Programme.objects.values_list("name", flat=True))

"""Preparing and deciding a gate."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

from django import forms
from django.utils import timezone
from django.utils.translation import gettext, gettext_lazy

from accounts.models import User
from roadmap.actions.gates import Condition
from roadmap.forms.plan_form import PersonField, PlanForm, link_field, people_of
from roadmap.models import ChecklistItem, CostEntry, Gate, GateCriterion, GateDecision, Kpi, Milestone
from web.forms import DateInput, Form

CONDITION_ROWS = 3
LATE_COST_WORDS = [
    ("keep", gettext_lazy("Keep it")),
    ("end", gettext_lazy("End it today")),
    ("remove", gettext_lazy("Remove it")),
]


class GateForm(PlanForm):
    """Due date and gatekeeper."""

    gatekeeper = PersonField(required=False, help_text=gettext_lazy("Not the phase's owner."))

    class Meta:
        model = Gate
        fields = ("due_on", "gatekeeper")
        labels = {"due_on": gettext_lazy("Due")}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        phase = self.instance.phase
        people = people_of(phase.roadmap).exclude(pk=phase.owner_id)
        self.fields["gatekeeper"].queryset = people  # type: ignore[attr-defined]


class CriterionForm(Form):
    """A KPI, milestone or checklist item of the phase that the gate does not ask for yet."""

    subject = forms.ChoiceField(label=gettext_lazy("Asks for"))
    needs = forms.ChoiceField(
        choices=GateCriterion.Needs.choices,
        required=False,
        label=gettext_lazy("A KPI is"),
        help_text=gettext_lazy("The others are to be done."),
    )
    is_must = forms.BooleanField(required=False, initial=True, label=gettext_lazy("Must hold for a go"))

    def __init__(self, *args: Any, gate: Gate, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        phase = gate.phase
        taken = list(gate.criteria.values_list("kpi_id", "milestone_id", "checklist_item_id"))
        self.subjects: dict[str, Kpi | Milestone | ChecklistItem] = {}
        groups = []
        rows: Any
        for index, (title, rows) in enumerate(
            (
                (gettext("KPIs"), phase.kpis.all()),
                (gettext("Milestones"), phase.milestones.all()),
                (gettext("Checklist"), phase.checklist.all()),
            )
        ):
            held = {row[index] for row in taken}
            options = []
            for item in rows:
                if item.pk not in held:
                    key = f"{item._meta.model_name}-{item.pk}"
                    self.subjects[key] = item
                    options.append((key, str(item)))
            if options:
                groups.append((title, options))
        self.fields["subject"].choices = groups  # type: ignore[attr-defined]

    def clean_subject(self) -> Kpi | Milestone | ChecklistItem:
        """The row itself."""
        return self.subjects[self.cleaned_data["subject"]]


class UndoForm(Form):
    """Why a decision is taken back, and when the gate is to be decided again."""

    reason = forms.CharField(
        label=gettext_lazy("Why it is taken back"), widget=forms.Textarea(attrs={"rows": 2}), max_length=4000
    )
    new_due_on = forms.DateField(label=gettext_lazy("New gate date"), widget=DateInput)


class DecideForm(Form):
    """Outcome, reason, and what the outcome asks for: conditions, a new date, what becomes of later cost entries."""

    outcome = forms.ChoiceField(choices=GateDecision.Outcome.choices, widget=forms.RadioSelect)
    reason = forms.CharField(widget=forms.Textarea, help_text=gettext_lazy("It is frozen with the evidence."))
    new_due_on = forms.DateField(required=False, label=gettext_lazy("New gate date, for a hold"))
    link = link_field(gettext_lazy("Link to the minutes"), "")

    def __init__(self, *args: Any, gate: Gate, late: Sequence[CostEntry] = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.late = late
        people = people_of(gate.phase.roadmap)
        for row in range(1, CONDITION_ROWS + 1):
            self.fields[f"condition_{row}_name"] = forms.CharField(
                required=False, max_length=200, label=gettext("Condition %(row)s") % {"row": row}
            )
            self.fields[f"condition_{row}_owner"] = PersonField(required=False, queryset=people, label=gettext("Owner"))
            self.fields[f"condition_{row}_due_on"] = forms.DateField(
                required=False, label=gettext("Due"), widget=DateInput
            )
        for entry in late:
            self.fields[f"late_{entry.pk}"] = forms.ChoiceField(
                required=False, choices=[("", gettext("Choose")), *LATE_COST_WORDS], label=entry.name
            )

    def condition_rows(self) -> list[tuple[forms.BoundField, forms.BoundField, forms.BoundField]]:
        """Name, owner and due of each row, for the page."""
        return [
            (self[f"condition_{row}_name"], self[f"condition_{row}_owner"], self[f"condition_{row}_due_on"])
            for row in range(1, CONDITION_ROWS + 1)
        ]

    def late_rows(self) -> list[tuple[CostEntry, forms.BoundField]]:
        """Each later cost entry with its choice."""
        return [(entry, self[f"late_{entry.pk}"]) for entry in self.late]

    def clean(self) -> dict[str, Any]:
        data = super().clean() or self.cleaned_data
        if data.get("outcome") == GateDecision.Outcome.CONDITIONAL:
            for row in range(1, CONDITION_ROWS + 1):
                name, due_on = data.get(f"condition_{row}_name"), data.get(f"condition_{row}_due_on")
                if name and not due_on and f"condition_{row}_due_on" not in self.errors:
                    self.add_error(f"condition_{row}_due_on", gettext("Give a date."))
                if name and due_on and due_on < timezone.localdate():
                    self.add_error(f"condition_{row}_due_on", gettext("Give a date from today on."))
                if due_on and not name:
                    self.add_error(f"condition_{row}_name", gettext("Say what is to be done."))
                if name and not data.get(f"condition_{row}_owner"):
                    self.add_error(f"condition_{row}_owner", gettext("Name an owner."))
        return data

    def facts(self) -> dict[str, Any]:
        """What decide_gate takes."""
        data = self.cleaned_data
        outcome = data["outcome"]
        return {
            "outcome": outcome,
            "reason": data["reason"],
            "link": data["link"],
            "new_due_on": data["new_due_on"] if outcome == GateDecision.Outcome.HOLD else None,
            "conditions": self._conditions() if outcome == GateDecision.Outcome.CONDITIONAL else [],
            "late_costs": {entry.pk: data[f"late_{entry.pk}"] for entry in self.late},
        }

    def _conditions(self) -> list[Condition]:
        rows = []
        for row in range(1, CONDITION_ROWS + 1):
            name: str = self.cleaned_data[f"condition_{row}_name"]
            due_on: date | None = self.cleaned_data[f"condition_{row}_due_on"]
            owner: User | None = self.cleaned_data[f"condition_{row}_owner"]
            if name and due_on:
                rows.append(Condition(name, due_on, owner))
        return rows

"""Milestones and checklist items."""

from __future__ import annotations

from typing import Any

from django import forms

from roadmap.forms.plan_form import PersonField, PlanForm, link_field, people_of
from roadmap.models import ChecklistItem, Milestone, Roadmap
from web.forms import Form


class MilestoneForm(PlanForm):
    """A milestone; `version` is the state that the form was drawn from."""

    owner = PersonField(required=False)
    evidence_url = link_field()
    version = forms.IntegerField(widget=forms.HiddenInput, required=False)

    class Meta:
        model = Milestone
        fields = ("name", "due_on", "owner", "evidence_url", "outside_key")
        labels = {
            "due_on": "Due",
            "outside_key": "Outside key",
        }
        help_texts = {"outside_key": "A Jira key, for example."}

    def __init__(self, *args: Any, roadmap: Roadmap, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["owner"].queryset = people_of(roadmap)  # type: ignore[attr-defined]
        if self.instance.pk:
            self.initial["version"] = self.instance.version
        else:
            del self.fields["version"]


class DropForm(Form):
    """Why a milestone is given up."""

    reason = forms.CharField(max_length=300)
    version = forms.IntegerField(widget=forms.HiddenInput, required=False)


class TickForm(Form):
    """A tick from a row: nothing to type."""

    version = forms.IntegerField(required=False)
    done_on = forms.DateField(required=False)


class ChecklistForm(PlanForm):
    """A checklist item."""

    evidence_url = link_field()

    class Meta:
        model = ChecklistItem
        fields = ("category", "name", "evidence_url")
        labels = {"name": "Item"}

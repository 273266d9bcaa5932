"""Risks, updates and notes."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy

from roadmap.forms.plan_form import PersonField, PlanForm, people_of
from roadmap.models import Annotation, Risk, Roadmap, Update

SCORES = [(number, str(number)) for number in range(1, 6)]


class RiskForm(PlanForm):
    """Something that may go wrong."""

    owner = PersonField(required=False)
    likelihood = forms.TypedChoiceField(
        choices=SCORES, coerce=int, help_text=gettext_lazy("1 hardly, 5 nearly certain.")
    )
    impact = forms.TypedChoiceField(
        choices=SCORES, coerce=int, help_text=gettext_lazy("1 little, 5 stops the roadmap.")
    )

    class Meta:
        model = Risk
        fields = ("name", "category", "likelihood", "impact", "owner", "due_on", "response")
        labels = {"name": gettext_lazy("Risk"), "due_on": gettext_lazy("Respond by")}

    def __init__(self, *args: Any, roadmap: Roadmap, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["owner"].queryset = people_of(roadmap)  # type: ignore[attr-defined]
        self.fields["response"].widget.attrs["rows"] = "2"


class UpdateForm(PlanForm):
    """The manager's status and sentence."""

    class Meta:
        model = Update
        fields = ("status", "sentence")
        widgets = {"sentence": forms.Textarea(attrs={"rows": "2"})}


class NoteForm(PlanForm):
    """A note that marks the charts on one day."""

    class Meta:
        model = Annotation
        fields = ("on", "text")
        labels = {"text": gettext_lazy("Note")}
        help_texts = {
            "text": gettext_lazy("What changed: 'TensorRT build'. It marks every chart of the phase on this day.")
        }

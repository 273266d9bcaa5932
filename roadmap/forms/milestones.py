"""Milestones and checklist items."""

from __future__ import annotations

from datetime import date
from typing import Any

from django import forms
from django.http import QueryDict
from django.utils.dateparse import parse_date
from django.utils.translation import gettext, gettext_lazy, ngettext

from roadmap.forms.plan_form import PersonField, PlanForm, link_field, people_of
from roadmap.models import ChecklistItem, Milestone, Roadmap
from roadmap.queries.schedule import possible_dependencies, successor_moves
from web import wording
from web.forms import Form


def parse_day(text: str) -> date | None:
    """The day of an ISO text, None where it is none."""
    try:
        return parse_date(text)
    except ValueError:
        return None


class MilestoneField(forms.ModelMultipleChoiceField):
    """Milestones by name and phase, to tick."""

    widget = forms.CheckboxSelectMultiple

    def label_from_instance(self, obj: Any) -> str:
        return f"{obj.name} ({obj.phase.get_kind_display()}, {wording.day(obj.due_on)})"


class MovesSuccessors(forms.BaseForm):
    """Put before a form with `due_on`: a new date is first answered with what moves along, to be ticked, then saved.

    `previewed_for` is the date that the list was drawn for, so that another date is asked about again.
    """

    milestone: Milestone | None

    def add_move_fields(self, milestone: Milestone | None) -> None:
        """The field that remembers the preview, and the list where it was shown."""
        self.milestone = milestone
        self.asks_to_confirm = False
        if milestone is None:
            return
        self.fields["previewed_for"] = forms.DateField(required=False, widget=forms.HiddenInput)
        previewed = parse_day(self.data.get("previewed_for", "")) if self.is_bound else None
        if previewed is not None:
            self._list(milestone, previewed)

    def _list(self, milestone: Milestone, due_on: date) -> list[str]:
        choices = [(str(row.milestone.pk), row.words) for row in successor_moves(milestone, due_on)]
        held = self.fields.get("successors")
        if isinstance(held, forms.MultipleChoiceField):
            held.choices = choices
        elif choices:
            self.fields["successors"] = forms.MultipleChoiceField(
                choices=choices, widget=forms.CheckboxSelectMultiple, required=False, label=gettext("Move along")
            )
        return [value for value, _ in choices]

    def ask_about_moves(self) -> None:
        """Adds the question to a form whose new date moves others and was not asked about yet."""
        data = self.cleaned_data
        due_on = data.get("due_on")
        if self.milestone is None or due_on is None or due_on == self.milestone.due_on:
            return
        if data.get("previewed_for") == due_on:
            return
        listed = self._list(self.milestone, due_on)
        if not listed:
            return
        # Drawn again, the list is ticked throughout and stands for this date.
        filled = QueryDict(mutable=True)
        filled.update(self.data)
        filled["previewed_for"] = due_on.isoformat()
        filled.setlist("successors", listed)
        self.data = filled
        self.asks_to_confirm = True
        text = ngettext(
            "Nothing is saved yet: the new date moves %(count)s milestone that waits for this one. "
            "Tick what moves along, then save.",
            "Nothing is saved yet: the new date moves %(count)s milestones that wait for this one. "
            "Tick what moves along, then save.",
            len(listed),
        )
        self.add_error(None, text % {"count": len(listed)})

    def along(self) -> list[int]:
        """The ids of the milestones that were ticked."""
        return [int(value) for value in self.cleaned_data.get("successors", ())]


class MilestoneForm(MovesSuccessors, PlanForm):
    """A milestone; `version` is the state that the form was drawn from."""

    owner = PersonField(required=False)
    evidence_url = link_field()
    depends_on = MilestoneField(queryset=Milestone.objects.none(), required=False, label=gettext_lazy("Waits for"))
    version = forms.IntegerField(widget=forms.HiddenInput, required=False)

    class Meta:
        model = Milestone
        fields = ("name", "due_on", "owner", "evidence_url", "outside_key")
        labels = {
            "due_on": gettext_lazy("Due"),
            "outside_key": gettext_lazy("Outside key"),
        }
        help_texts = {"outside_key": gettext_lazy("A Jira key, for example.")}

    def __init__(self, *args: Any, roadmap: Roadmap, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["owner"].queryset = people_of(roadmap)  # type: ignore[attr-defined]
        present = self.instance if self.instance.pk else None
        others = possible_dependencies(roadmap, present)
        self.fields["depends_on"].queryset = others  # type: ignore[attr-defined]
        if present is None:
            del self.fields["version"]
        else:
            self.initial["version"] = present.version
            self.initial["depends_on"] = list(present.depends_on.values_list("pk", flat=True))
        self.add_move_fields(present)

    def clean(self) -> dict[str, Any]:
        data = super().clean() or self.cleaned_data
        self.ask_about_moves()
        return data


class DateForm(MovesSuccessors, Form):
    """The due date alone, from the timeline."""

    due_on = forms.DateField(label=gettext_lazy("Due"))
    version = forms.IntegerField(widget=forms.HiddenInput, required=False)

    def __init__(self, *args: Any, milestone: Milestone, **kwargs: Any) -> None:
        kwargs.setdefault("initial", {"due_on": milestone.due_on, "version": milestone.version})
        super().__init__(*args, **kwargs)
        self.add_move_fields(milestone)

    def clean(self) -> dict[str, Any]:
        data = super().clean() or self.cleaned_data
        self.ask_about_moves()
        return data


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
        labels = {"name": gettext_lazy("Item")}

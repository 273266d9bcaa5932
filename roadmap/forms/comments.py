"""A comment, and what it is about."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy

from roadmap.actions.comments import LONGEST
from roadmap.models import Gate, Milestone, Phase, Risk, Roadmap
from roadmap.queries.comments import find_part, part_choices
from web.forms import Form


class CommentTextForm(Form):
    """What a comment says."""

    text = forms.CharField(
        label=gettext_lazy("Comment"),
        max_length=LONGEST,
        widget=forms.Textarea(attrs={"rows": "3"}),
        help_text=gettext_lazy("Plain text. @ and a user name tells somebody, and shows it in their My week."),
    )


class CommentForm(CommentTextForm):
    """A new comment."""

    about = forms.ChoiceField(label=gettext_lazy("About"), required=False)

    def __init__(self, *args: Any, roadmap: Roadmap, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.roadmap = roadmap
        self.fields["about"].choices = part_choices(roadmap)  # type: ignore[attr-defined]

    def part(self) -> Phase | Milestone | Gate | Risk | None:
        """The chosen part; None: the roadmap."""
        kind, _, pk = self.cleaned_data["about"].partition("-")
        return find_part(self.roadmap, kind, int(pk)) if kind else None

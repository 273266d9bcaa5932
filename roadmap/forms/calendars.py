"""Which calendar an address is to be made for."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy

from accounts.access import Asker, visible_workloads
from roadmap.models import Roadmap
from web.forms import Form


class CalendarForm(Form):
    """One roadmap, or all that the person sees."""

    roadmap = forms.ModelChoiceField(
        label=gettext_lazy("What it shows"),
        queryset=Roadmap.objects.none(),
        required=False,
        empty_label=gettext_lazy("Every roadmap I see"),
    )

    def __init__(self, *args: Any, asker: Asker, chosen: str = "", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        seen = Roadmap.objects.filter(workload__in=visible_workloads(asker)).select_related("workload")
        self.fields["roadmap"].queryset = seen  # type: ignore[attr-defined]
        if chosen:
            self.initial["roadmap"] = next((roadmap.pk for roadmap in seen if roadmap.slug == chosen), None)

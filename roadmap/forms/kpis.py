"""KPIs and their readings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django import forms
from django.conf import settings
from django.utils import timezone
from django.utils.translation import gettext, gettext_lazy

from metrics.spoken import Speaking
from roadmap.forms.plan_form import PersonField, PlanForm, people_of
from roadmap.kpis import COMPUTED
from roadmap.models import Kpi, Reading, Roadmap
from roadmap.queries.phase_plan import example_of
from web import wording
from web.forms import Form

# A file or a paste at most; what reads it says so in a sentence.
MAX_BYTES = 5 * 1024 * 1024
WINDOWS = [
    ("7", gettext_lazy("7 days")),
    ("28", gettext_lazy("28 days")),
    ("phase", gettext_lazy("The phase to date")),
]


class KpiForm(PlanForm):
    """A KPI: read, computed where a measure is chosen, or by a formula where one is written."""

    measure = forms.ChoiceField(
        required=False,
        label=gettext_lazy("Computed from"),
        help_text=gettext_lazy("Nothing: its values are read by hand or sent over REST."),
    )
    window = forms.ChoiceField(choices=WINDOWS, label=gettext_lazy("Over"))
    rate_owner = PersonField(required=False, label=gettext_lazy("Rate's owner"))

    class Meta:
        model = Kpi
        fields = (
            "name",
            "measure",
            "formula",
            "unit",
            "direction",
            "window",
            "combine",
            "baseline",
            "target",
            "target_on",
            "minimum_sample",
            "is_value",
            "rate_amount",
            "rate_currency",
            "rate_source",
            "rate_owner",
        )
        labels = {
            "direction": gettext_lazy("Better is"),
            "combine": gettext_lazy("Readings combine as"),
            "target_on": gettext_lazy("Target by"),
            "minimum_sample": gettext_lazy("Minimum sample"),
            "is_value": gettext_lazy("This is the value KPI of the phase"),
            "rate_amount": gettext_lazy("Money per unit of it"),
            "rate_currency": gettext_lazy("Currency of the rate"),
            "rate_source": gettext_lazy("Source of the rate"),
        }
        help_texts = {
            "unit": gettext_lazy("A computed KPI has the unit of its measure."),
            "minimum_sample": gettext_lazy("With fewer requests a computed KPI is 'no data'."),
            "rate_amount": gettext_lazy("Only for the value KPI: what one hour saved or task automated is worth."),
        }

    def __init__(self, *args: Any, roadmap: Roadmap, keys: Sequence[str] = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        others = ", ".join(key for key in keys if key != self.instance.key)
        self.fields["formula"].help_text = gettext(
            "Over other KPIs of the phase, with + - * /, brackets, min, max, abs: hours_saved * 42.5 / spend. "
        ) + (
            gettext("There are: %(others)s.") % {"others": others} if others else gettext("There is no other KPI yet.")
        )
        currency = settings.REPORTING_CURRENCY
        choices = [(item.name, f"{item.title_in(currency)}, {item.unit_in(currency)}") for item in COMPUTED]
        self.fields["measure"].choices = [("", gettext("Nothing: it is read")), *choices]  # type: ignore[attr-defined]
        self.fields["rate_owner"].queryset = people_of(roadmap)  # type: ignore[attr-defined]
        if example := example_of(self.instance):
            self.fields["target"].help_text = gettext(
                "Example of the template: %(example)s. What others took, no promise of yours."
            ) % {"example": example}
        self.fields["direction"].required = False
        self.fields["minimum_sample"].required = False
        self.fields["rate_currency"].widget.attrs["size"] = 4
        for name in ("baseline", "target", "rate_amount"):
            # Six stored places are not six typed ones.
            value = self.initial.get(name)
            if value is not None:
                self.initial[name] = f"{value.normalize():f}"
        held = self.instance.window_days
        if self.instance.pk:
            key = "phase" if held is None else str(held)
            if key not in dict(WINDOWS):
                self.fields["window"].choices = [*WINDOWS, (key, wording.plural(int(key), "day"))]  # type: ignore[attr-defined]
            self.initial["window"] = key
        else:
            self.initial["window"] = "28"

    def clean_window(self) -> str:
        """'7', '28' or 'phase'."""
        return str(self.cleaned_data["window"])

    def clean(self) -> dict[str, Any]:
        """A measure and a formula at once say two things."""
        data = super().clean() or self.cleaned_data
        if data.get("measure") and data.get("formula"):
            self.add_error("formula", gettext("Choose a measure or write a formula, not both."))
        return data

    def facts(self) -> dict[str, Any]:
        """The fields as add_kpi and change_kpi take them."""
        data = dict(self.cleaned_data)
        window = data.pop("window")
        data["window_days"] = None if window == "phase" else int(window)
        data["minimum_sample"] = data["minimum_sample"] or 0
        data["source"] = (
            Kpi.Source.COMPUTED if data["measure"] else Kpi.Source.FORMULA if data["formula"] else Kpi.Source.READ
        )
        return data


class ReadingForm(PlanForm):
    """One value at one time, now unless another is given."""

    at = forms.DateTimeField(
        label=gettext_lazy("At"),
        required=False,
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
    )

    class Meta:
        model = Reading
        fields = ("value", "at", "note")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["at"].help_text = gettext("In %(time_zone)s; empty: now. The same time again replaces.") % {
            "time_zone": settings.TIME_ZONE
        }

    def clean_at(self) -> Any:
        """Now, to the second, where no time is given."""
        return self.cleaned_data.get("at") or timezone.now().replace(microsecond=0)


class ManyReadingsForm(Speaking, Form):
    """Readings as they are pasted, or a file of them."""

    text = forms.CharField(
        required=False,
        strip=False,
        label=gettext_lazy("Paste rows"),
        widget=forms.Textarea(attrs={"rows": "8", "spellcheck": "false"}),
        help_text=gettext_lazy(
            "With a header: day and value, and sample count, note and KPI (key or id) as you please."
        ),
    )
    file = forms.FileField(
        required=False,
        label=gettext_lazy("Or choose a file"),
        help_text=gettext_lazy("CSV, XLSX or one JSON object a line."),
    )

    def clean(self) -> dict[str, Any]:
        """One of the two."""
        data = super().clean() or self.cleaned_data
        if not self.errors and not (data.get("text") or "").strip() and data.get("file") is None:
            self.add_error("text", gettext("Paste some rows, or choose a file."))
        return data

    @property
    def content(self) -> bytes:
        """What was sent. Of a form that is valid."""
        file = self.cleaned_data.get("file")
        return bytes(file.read(MAX_BYTES + 1)) if file is not None else str(self.cleaned_data["text"]).encode()

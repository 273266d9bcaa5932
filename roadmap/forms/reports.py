"""Forms of the Reports pages."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

from django import forms
from django.db.models import QuerySet
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext_lazy

from roadmap.labels import CAUSES, label_of
from roadmap.models import Report, ReportWords
from roadmap.models.report_words import LONGEST_ACTION, LONGEST_WORDS
from web import wording
from web.forms import Form, MonthInput


class MonthField(forms.Field):
    """A month as browsers send it ('2026-10'), as its first day."""

    widget = MonthInput

    def to_python(self, value: Any) -> date | None:
        if value in self.empty_values:
            return None
        if isinstance(value, date):
            return value.replace(day=1)
        try:
            return datetime.strptime(str(value).strip(), "%Y-%m").date()  # noqa: DTZ007 (a month has no zone)
        except ValueError as error:
            raise forms.ValidationError(_("Write the month as 2026-10."), code="invalid") from error


class CloseMonthForm(Form):
    """Which month to close."""

    month = MonthField(label=gettext_lazy("Month"), help_text=gettext_lazy("A month that is over, such as 2026-10."))
    revise = forms.BooleanField(
        label=gettext_lazy("Revise published reports whose figures have changed"), required=False, initial=False
    )
    why = forms.CharField(
        label=gettext_lazy("Why it is revised"),
        max_length=500,
        required=False,
        help_text=gettext_lazy("Stands in the revision, for its readers."),
    )

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        if cleaned.get("revise") and not cleaned.get("why", "").strip():
            self.add_error("why", _("Say why the reports are revised."))
        return cleaned


class ReviseForm(Form):
    """Why a published report is corrected."""

    why = forms.CharField(
        label=gettext_lazy("Why"),
        max_length=500,
        widget=forms.Textarea(attrs={"rows": "2"}),
        help_text=gettext_lazy(
            "What readers of the first one should know, such as 'OpenAI corrected its usage of October'."
        ),
    )


class WordsForm(Form):
    """What the manager says of a month, and what is done next about each thing that moved."""

    text = forms.CharField(
        label=gettext_lazy("What an executive should know"),
        required=False,
        max_length=LONGEST_WORDS,
        widget=forms.Textarea(attrs={"rows": "8"}),
        help_text=gettext_lazy("Paragraphs with an empty line between them; 1,500 characters at most."),
    )
    is_ready = forms.BooleanField(label=gettext_lazy("Ready: the report may be shown as provisional"), required=False)
    version = forms.IntegerField(widget=forms.HiddenInput, min_value=0)

    def __init__(self, *args: Any, causes: Sequence[str], words: ReportWords | None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.causes = list(causes)
        for cause in self.causes:
            self.fields[f"next_{cause}"] = forms.CharField(
                label=_("Next action: %(cause)s") % {"cause": label_of(CAUSES, cause)},
                max_length=LONGEST_ACTION,
                required=False,
            )
        self.order_fields(["text", *(f"next_{cause}" for cause in self.causes), "is_ready", "version"])
        held = words or ReportWords()
        self.initial = {"text": held.text, "is_ready": held.is_ready, "version": held.version}
        for cause in self.causes:
            self.initial[f"next_{cause}"] = held.next_actions.get(cause, "")

    def next_actions(self) -> dict[str, str]:
        """{cause: sentence}."""
        return {cause: self.cleaned_data[f"next_{cause}"] for cause in self.causes}

    def put_version(self, version: int) -> None:
        """What is sent again changes this version, whatever was typed before."""
        self.data = {**self.data.dict(), "version": str(version)}  # type: ignore[attr-defined, assignment]


class ReportFilterForm(Form):
    """Which reports to list."""

    month = forms.TypedChoiceField(
        label=gettext_lazy("Month"), required=False, coerce=date.fromisoformat, empty_value=None
    )
    scope = forms.ChoiceField(
        label=gettext_lazy("About"),
        required=False,
        choices=[
            ("", gettext_lazy("Everything")),
            (Report.Scope.ROADMAP.value, gettext_lazy("Roadmaps")),
            (Report.Scope.PROGRAMME.value, gettext_lazy("Programmes")),
            (Report.Scope.PORTFOLIO.value, gettext_lazy("Portfolio")),
        ],
    )
    roadmap = forms.ChoiceField(label=gettext_lazy("Roadmap"), required=False)
    programme = forms.ChoiceField(label=gettext_lazy("Programme"), required=False)
    state = forms.ChoiceField(
        label=gettext_lazy("State"),
        required=False,
        choices=[
            ("", pgettext_lazy("states of reports", "All states")),
            (Report.State.DRAFT.value, gettext_lazy("Draft")),
            (Report.State.PROVISIONAL.value, gettext_lazy("Provisional")),
            (Report.State.PUBLISHED.value, gettext_lazy("Published")),
            ("failed", gettext_lazy("Not published: failed")),
        ],
    )

    def __init__(self, *args: Any, reports: QuerySet[Report], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        months = sorted(set(reports.order_by().values_list("month", flat=True)), reverse=True)
        self._choose("month", _("All months"), [(m.isoformat(), wording.month(m)) for m in months])
        names = reports.filter(roadmap__isnull=False).order_by("roadmap__workload__name")
        rows = dict.fromkeys(names.values_list("roadmap__workload__slug", "roadmap__workload__name"))
        self._choose("roadmap", _("All roadmaps"), list(rows))
        programmes = reports.filter(programme__isnull=False).order_by("programme__name")
        self._choose(
            "programme",
            _("All programmes"),
            [(str(pk), name) for pk, name in dict.fromkeys(programmes.values_list("programme_id", "programme__name"))],
        )

    def _choose(self, field: str, everything: str, rows: list[tuple[str, str]]) -> None:
        self.fields[field].choices = [("", everything), *rows]  # type: ignore[attr-defined]

    def apply(self, reports: QuerySet[Report]) -> QuerySet[Report]:
        """The reports that were asked for; all of them where what was asked is none of the choices."""
        if not (self.is_bound and self.is_valid()):
            return reports
        wanted = self.cleaned_data
        if wanted["month"]:
            reports = reports.filter(month=wanted["month"])
        if wanted["scope"]:
            reports = reports.filter(scope=wanted["scope"])
        if wanted["roadmap"]:
            reports = reports.filter(roadmap__workload__slug=wanted["roadmap"])
        if wanted["programme"]:
            reports = reports.filter(programme=wanted["programme"])
        if wanted["state"] == "failed":
            return reports.exclude(problem="")
        return reports.filter(state=wanted["state"]) if wanted["state"] else reports

"""Forms of the Reports page."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from django import forms
from django.db.models import QuerySet

from roadmap.models import Report
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
            raise forms.ValidationError("Write the month as 2026-10.", code="invalid") from error


class CloseMonthForm(Form):
    """Which month to close."""

    month = MonthField(label="Month", help_text="A month that is over, such as 2026-10.")
    revise = forms.BooleanField(
        label="Revise published reports whose figures have changed", required=False, initial=False
    )


class ReportFilterForm(Form):
    """Which reports to list."""

    month = forms.TypedChoiceField(label="Month", required=False, coerce=date.fromisoformat, empty_value=None)
    roadmap = forms.ChoiceField(label="Roadmap", required=False)

    def __init__(self, *args: Any, reports: QuerySet[Report], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        months = sorted(set(reports.order_by().values_list("month", flat=True)), reverse=True)
        self.fields["month"].choices = [("", "All months"), *((m.isoformat(), f"{m:%B %Y}") for m in months)]  # type: ignore[attr-defined]
        names = reports.filter(roadmap__isnull=False).order_by("roadmap__workload__name")
        rows = dict.fromkeys(names.values_list("roadmap__workload__slug", "roadmap__workload__name"))
        self.fields["roadmap"].choices = [("", "All roadmaps"), *rows]  # type: ignore[attr-defined]

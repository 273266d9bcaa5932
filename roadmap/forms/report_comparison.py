"""Which two reports are set against each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from roadmap.models import Report
from web import wording
from web.forms import Form


class ComparisonForm(Form):
    """Two of the reports of one thing; read from the address."""

    a = forms.ChoiceField(label=gettext_lazy("Compare"))
    b = forms.ChoiceField(label=gettext_lazy("with"))

    def __init__(self, *args: Any, reports: Sequence[Report], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        choices = [("", _("Choose a report")), *((str(report.uuid), report_name(report)) for report in reports)]
        for name in ("a", "b"):
            self.fields[name].choices = choices  # type: ignore[attr-defined]


def report_name(report: Report) -> str:
    """'October 2026, revision 2' of a report among those of one thing."""
    shown = {"month": wording.month(report.month), "number": report.revision}
    return _("%(month)s, revision %(number)s") % shown

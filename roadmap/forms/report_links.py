"""A private link to a report."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import Any

from django import forms
from django.conf import settings
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from metrics.errors import RuleViolation
from roadmap.actions.report_links import longest_said
from web.forms import Form


class ReportLinkForm(Form):
    """For whom it is, and its last day."""

    label = forms.CharField(
        label=_("For whom"), max_length=100, help_text=_("Such as 'the board'. Readers never see it.")
    )
    last_on = forms.DateField(label=_("Last day"))

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        today = timezone.localdate()
        self.initial.setdefault("last_on", today + timedelta(days=settings.REPORT_LINK_DAYS))
        most = today + timedelta(days=settings.REPORT_LINK_MAX_DAYS)
        self.fields["last_on"].widget.attrs |= {"min": today.isoformat(), "max": most.isoformat()}

    def expires_at(self) -> datetime:
        """The end of the last day, in the reporting zone."""
        day = self.cleaned_data["last_on"]
        return timezone.make_aware(datetime.combine(day + timedelta(days=1), time.min), settings.REPORTING_ZONE)

    def clean_last_on(self) -> date:
        day: date = self.cleaned_data["last_on"]
        if day > timezone.localdate() + timedelta(days=settings.REPORT_LINK_MAX_DAYS):
            raise forms.ValidationError(longest_said(), code="too_long")
        return day

    def add_violation(self, violation: Any) -> None:
        """The action's 'expires_at' is this form's last day."""
        if isinstance(violation, RuleViolation) and violation.field == "expires_at":
            violation.field = "last_on"
        super().add_violation(violation)

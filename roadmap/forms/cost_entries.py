"""Cost entries."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.utils.translation import gettext_lazy

from roadmap.forms.plan_form import PlanForm
from roadmap.models import CostEntry


class CostEntryForm(PlanForm):
    """Money a backend cannot report."""

    class Meta:
        model = CostEntry
        fields = ("name", "category", "amount", "currency", "start_on", "end_on", "kind", "status", "outside_key")
        labels = {
            "name": gettext_lazy("What for"),
            "start_on": gettext_lazy("On, or from"),
            "end_on": gettext_lazy("Until"),
            "kind": gettext_lazy("Booked as"),
            "outside_key": gettext_lazy("Outside key"),
        }
        help_texts = {
            "end_on": gettext_lazy("Empty: all on one day. Else spread evenly by the day."),
            "category": gettext_lazy("Hardware that a backend runs on belongs to its rate card."),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["currency"].widget.attrs |= {"size": 4, "autocapitalize": "characters"}
        if not self.instance.pk:
            self.initial.setdefault("currency", settings.REPORTING_CURRENCY)

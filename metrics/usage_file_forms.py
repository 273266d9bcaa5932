"""The form of a file of usage. Actions do the checking that counts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django import forms
from django.conf import settings
from django.utils.translation import gettext, gettext_lazy

from accounts.access import Asker
from accounts.models import Workload
from metrics.sources import BILLING_FILE
from metrics.spoken import Speaking
from metrics.visible import visible_backends
from web.forms import Form


class UsageFileForm(Speaking, Form):
    """The file, and what holds for rows that do not say it themselves."""

    file = forms.FileField(
        label=gettext_lazy("CSV file"),
        help_text=gettext_lazy("A header of field names, then one record a row; gzip too."),
    )
    workload = forms.ChoiceField(
        required=False, label=gettext_lazy("Roadmap"), help_text=gettext_lazy("Of rows without a column roadmap.")
    )
    backend = forms.ChoiceField(
        required=False, label=gettext_lazy("Backend"), help_text=gettext_lazy("Of rows without a column backend.")
    )
    zone = forms.ChoiceField(
        required=False, label=gettext_lazy("Times without a zone"), help_text=gettext_lazy("As in 2026-11-20 10:00.")
    )

    def __init__(self, *args: Any, asker: Asker, workloads: Sequence[Workload], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.workloads = {one.slug: one for one in workloads}
        workload, backend, zone = (self.fields[name] for name in ("workload", "backend", "zone"))
        assert isinstance(workload, forms.ChoiceField)  # noqa: S101 - declared above
        assert isinstance(backend, forms.ChoiceField)  # noqa: S101 - declared above
        assert isinstance(zone, forms.ChoiceField)  # noqa: S101 - declared above
        choices = [(one.slug, one.name) for one in workloads]
        # As `can_send_unallocated`: who contributes to some roadmap, and admins.
        if workloads or asker.user.is_admin:
            choices.append(("", gettext("none: rules may place it")))
        workload.choices = choices
        backends = visible_backends(asker).filter(is_demo=False, is_example=False).exclude(connector=BILLING_FILE)
        backend.choices = [
            ("", gettext("by its provider")),
            *((one.slug, one.name) for one in backends.order_by("name")),
        ]
        zones = dict.fromkeys(("UTC", settings.REPORTING_TIME_ZONE))
        zone.choices = [
            ("", gettext("are refused")),
            *((name, gettext("are %(zone)s") % {"zone": name}) for name in zones),
        ]

    def clean_workload(self) -> Workload | None:
        """The roadmap that was chosen, None for none."""
        return self.workloads.get(self.cleaned_data["workload"])

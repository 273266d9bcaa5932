"""Forms about prices: an own price for one backend or for all, and pricing usage again."""

from __future__ import annotations

from typing import Any

from django import forms
from django.conf import settings
from django.utils import timezone
from django.utils.translation import gettext, gettext_lazy

from metrics.forms import OwnPriceForm
from metrics.models import Backend
from web.forms import Form


class PriceForm(OwnPriceForm):
    """An own price; without a backend it holds for every one."""

    backend = forms.ModelChoiceField(
        Backend.objects.none(),
        label=gettext_lazy("Backend"),
        required=False,
        empty_label=gettext_lazy("every backend of the provider"),
        to_field_name="slug",
    )
    field_order = ("backend",)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["backend"].queryset = Backend.objects.filter(is_demo=False)  # type: ignore[attr-defined]
        self.fields["service_tier"].initial = "standard"
        self.fields["service_tier"].help_text = gettext("standard, batch, flex, priority, as the usage has it.")


class RepriceForm(Form):
    """Which usage is priced again."""

    from_on = forms.DateField(label=gettext_lazy("From"))
    until_on = forms.DateField(label=gettext_lazy("To, included"))
    backend = forms.ModelChoiceField(
        Backend.objects.none(),
        label=gettext_lazy("Backend"),
        required=False,
        empty_label=gettext_lazy("all"),
        to_field_name="slug",
    )
    model = forms.CharField(
        label=gettext_lazy("Model"),
        max_length=200,
        required=False,
        help_text=gettext_lazy("Exactly as the usage has it. Empty: all."),
    )
    note = forms.CharField(
        label=gettext_lazy("Note"), max_length=120, required=False, help_text=gettext_lazy("Why, for the receipt.")
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        today = timezone.now().astimezone(settings.REPORTING_ZONE).date()
        self.fields["from_on"].initial = today.replace(day=1)
        self.fields["until_on"].initial = today
        self.fields["backend"].queryset = Backend.objects.filter(is_demo=False)  # type: ignore[attr-defined]
        self.fields["model"].widget.attrs["autocomplete"] = "off"

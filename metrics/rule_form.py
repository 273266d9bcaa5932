"""The form of an allocation rule: what it matches, whose that is, from when on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy

from accounts.models import Workload
from metrics.actions.rules import MATCHED_BY, RuleFields
from metrics.models import AllocationRule, Backend
from web.decimals import DecimalField, DecimalInput
from web.forms import Form

# What an address may bring along, as it is called there and in the form.
PREFILLED = {
    "label": "label_name",
    "value": "label_value",
    "model": "model",
    "provider": "provider",
    "project": "project",
    "api_key": "api_key",
    "backend": "backend",
}


class RuleForm(Form):
    """A rule. Shares in percent, one field for each roadmap that there is."""

    label_name = forms.CharField(
        max_length=60,
        required=False,
        label=gettext_lazy("Label"),
        help_text=gettext_lazy("Its name, for example team."),
    )
    label_value = forms.CharField(
        max_length=200,
        required=False,
        label=gettext_lazy("Has the value"),
        help_text=gettext_lazy("Exact, or with * for any characters: claims*"),
    )
    api_key = forms.CharField(
        max_length=200, required=False, label=gettext_lazy("API key"), help_text=gettext_lazy("Its name at the source.")
    )
    project = forms.CharField(
        label=gettext_lazy("Project"),
        max_length=200,
        required=False,
        help_text=gettext_lazy("Project or workspace at the provider."),
    )
    model = forms.CharField(
        label=gettext_lazy("Model"), max_length=200, required=False, help_text=gettext_lazy("For example gpt-4o*")
    )
    provider = forms.CharField(
        label=gettext_lazy("Provider"),
        max_length=60,
        required=False,
        help_text=gettext_lazy("For example openai. A * matches all."),
    )
    backend = forms.ModelChoiceField(
        Backend.objects.none(),
        label=gettext_lazy("Backend"),
        required=False,
        empty_label=gettext_lazy("any"),
        to_field_name="slug",
    )
    valid_from_on = forms.DateField(
        required=False, label=gettext_lazy("From"), help_text=gettext_lazy("Empty: from the beginning.")
    )
    note = forms.CharField(
        label=gettext_lazy("Note"),
        max_length=200,
        required=False,
        help_text=gettext_lazy("Why, for those who come after you."),
    )

    def __init__(
        self, *args: Any, workloads: Iterable[Workload], rule: AllocationRule | None = None, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.fields["backend"].queryset = Backend.objects.all()  # type: ignore[attr-defined]
        shares = {} if rule is None else {one.workload_id: one.share_ratio for one in rule.shares.all()}
        if rule is not None:
            for name in (*MATCHED_BY, "valid_from_on", "note"):
                self.fields[name].initial = getattr(rule, name)
            self.fields["backend"].initial = rule.backend.slug if rule.backend else None
        self.workloads = list(workloads)
        for workload in self.workloads:
            share = shares.get(workload.pk)
            self.fields[f"share_{workload.pk}"] = DecimalField(
                label=workload.name,
                required=False,
                min_value=Decimal(0),
                max_value=Decimal(100),
                max_digits=11,
                decimal_places=8,
                initial=None if share is None else (share * 100).normalize(),
                widget=DecimalInput({"size": "6"}),
            )
        for name in (*MATCHED_BY, "note"):
            self.fields[name].widget.attrs["autocomplete"] = "off"

    @property
    def matched_by(self) -> list[forms.BoundField]:
        return [
            self[name] for name in ("label_name", "label_value", "api_key", "project", "model", "provider", "backend")
        ]

    @property
    def share_fields(self) -> list[forms.BoundField]:
        return [self[f"share_{workload.pk}"] for workload in self.workloads]

    @property
    def values(self) -> RuleFields:
        """What was entered; valid forms only."""
        given = self.cleaned_data
        shares = ((workload, given.get(f"share_{workload.pk}")) for workload in self.workloads)
        return RuleFields(
            shares=[(workload, percent / 100) for workload, percent in shares if percent],
            backend=given["backend"],
            valid_from_on=given["valid_from_on"],
            note=given["note"],
            **{name: given[name] for name in MATCHED_BY},
        )


def prefilled(query: Mapping[str, str]) -> dict[str, str]:
    """The form's first values from an address like `?label=team&value=claims` or `?backend=gpu-1&model=llama`."""
    return {
        field: str(query[name])[:200]
        for name, field in PREFILLED.items()
        if query.get(name) and "\0" not in str(query[name])
    }

"""Forms about billing files. Actions do the checking that counts and the saving."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django import forms
from django.utils.translation import gettext, gettext_lazy

from accounts.models import Workload
from metrics.actions.imports import Choices
from metrics.bills import Candidate, ServiceRow
from metrics.currency import CURRENCIES
from metrics.imports.mapped_layout import DATE_ORDERS, DECIMAL_MARKS, FIELDS, NEEDED
from metrics.models import BillingImport, BillingSource
from metrics.spoken import Speaking, spoken
from web.forms import Form

NONE_OF_THEM = "none"


class UploadForm(Speaking, Form):
    """The file, and whose bill it is."""

    file = forms.FileField(
        label=gettext_lazy("The file"),
        help_text=gettext_lazy("FOCUS in CSV or Parquet, or any CSV with a day and an amount a row."),
    )
    source = forms.ModelChoiceField(
        BillingSource.objects.none(),
        required=False,
        label=gettext_lazy("Bills of"),
        empty_label=gettext_lazy("work it out from the file"),
        help_text=gettext_lazy("A newer file of the same account and month replaces the older one."),
    )
    source_name = forms.CharField(
        max_length=200,
        required=False,
        label=gettext_lazy("Or call it"),
        help_text=gettext_lazy("A new name makes a new account of bills."),
    )
    workload = forms.ModelChoiceField(
        Workload.objects.none(),
        required=False,
        label=gettext_lazy("Its spend belongs to"),
        empty_label=gettext_lazy("no roadmap yet"),
        help_text=gettext_lazy("Where it is new. Each of its series can be given to others later, in shares."),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        source, workload = self.fields["source"], self.fields["workload"]
        assert isinstance(source, forms.ModelChoiceField)  # noqa: S101 - declared above
        assert isinstance(workload, forms.ModelChoiceField)  # noqa: S101 - declared above
        source.queryset = BillingSource.objects.select_related("backend").order_by("backend__name")
        source.label_from_instance = lambda one: one.backend.name  # type: ignore[assignment,method-assign]
        workload.queryset = Workload.objects.filter(is_demo=False).order_by("name")


class MappingForm(Speaking, Form):
    """Which column holds what, and how days and amounts are written."""

    def __init__(self, *args: Any, one: BillingImport, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        columns = [(name, name) for name in one.sample.get("names", [])]
        for name, label, _ in FIELDS:
            self.fields[name] = forms.ChoiceField(
                choices=[("", gettext("not in this file")), *columns], required=name in NEEDED, label=spoken(label)
            )
        self.fields["currency_code"] = forms.ChoiceField(
            choices=[("", gettext("the column above")), *((code, code) for code in sorted(CURRENCIES))],
            required=False,
            label=gettext_lazy("Currency of all rows"),
        )
        self.fields["provider_name"] = forms.CharField(
            max_length=60,
            required=False,
            label=gettext_lazy("Provider of all rows"),
            help_text=gettext_lazy("For example openai. Where no column says."),
        )
        self.fields["date_order"] = forms.ChoiceField(
            choices=[(value, gettext("as in %(example)s") % {"example": text}) for value, text in DATE_ORDERS.items()],
            label=gettext_lazy("Days are written"),
        )
        self.fields["decimal_mark"] = forms.ChoiceField(
            choices=[
                (value, gettext("as in %(example)s") % {"example": text}) for value, text in DECIMAL_MARKS.items()
            ],
            label=gettext_lazy("Amounts are written"),
        )

    @staticmethod
    def initial_of(mapping: dict[str, Any]) -> dict[str, Any]:
        """The form's values for a mapping."""
        return {
            **mapping.get("columns", {}),
            "currency_code": "" if "currency" in mapping.get("columns", {}) else mapping.get("currency", ""),
            "provider_name": mapping.get("provider", ""),
            "date_order": mapping.get("date_order", "ymd"),
            "decimal_mark": mapping.get("decimal_mark", "."),
        }

    @property
    def mapping(self) -> dict[str, Any]:
        """What was said, as the actions take it. Of a form that is valid."""
        data = self.cleaned_data
        return {
            "columns": {name: data[name] for name, _, _ in FIELDS if data.get(name)},
            "currency": data["currency_code"],
            "provider": data["provider_name"],
            "date_order": data["date_order"],
            "decimal_mark": data["decimal_mark"],
        }


class PaysForForm(Speaking, Form):
    """Which backends' traffic a bill pays for."""

    pays_for = forms.MultipleChoiceField(
        required=False, widget=forms.CheckboxSelectMultiple, label=gettext_lazy("It pays for")
    )

    def __init__(self, *args: Any, candidates: Sequence[Candidate], is_decided: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.candidates = list(candidates)
        field = self.fields["pays_for"]
        assert isinstance(field, forms.MultipleChoiceField)  # noqa: S101 - declared above
        field.choices = [
            *(
                (
                    str(one.backend.pk),
                    gettext("%(name)s, of the same provider") % {"name": one.backend.name}
                    if one.is_likely
                    else one.backend.name,
                )
                for one in candidates
            ),
            (NONE_OF_THEM, gettext("None of these: nothing here counts this traffic yet")),
        ]
        chosen = [str(one.backend.pk) for one in candidates if one.is_chosen]
        field.initial = chosen or ([NONE_OF_THEM] if is_decided else [])

    def clean_pays_for(self) -> list[str]:
        said = list(self.cleaned_data["pays_for"])
        if NONE_OF_THEM in said and len(said) > 1:
            raise forms.ValidationError(gettext("Tick the backends that it pays for, or 'None of these'."))
        return said

    def backends(self) -> list[Any] | None:
        """The backends that were ticked, empty for none of them, None where nothing was said."""
        said = self.cleaned_data.get("pays_for")
        if not said:
            return None
        return [one.backend for one in self.candidates if str(one.backend.pk) in said]


class ConfirmForm(PaysForForm):
    """What of a file counts, and how it stands to earlier ones."""

    services = forms.MultipleChoiceField(
        required=False, widget=forms.CheckboxSelectMultiple, label=gettext_lazy("Services that count")
    )
    mode = forms.ChoiceField(
        choices=[
            ("replace", gettext_lazy("A newer file of the same months: it replaces them")),
            ("add", gettext_lazy("Another part of the same export: it adds to them")),
        ],
        label=gettext_lazy("Earlier files of this account"),
    )
    cost = forms.ChoiceField(
        choices=[
            ("billed", gettext_lazy("BilledCost, as invoiced")),
            ("effective", gettext_lazy("EffectiveCost, commitments spread over their use")),
        ],
        label=gettext_lazy("The cost that counts"),
    )

    def __init__(self, *args: Any, one: BillingImport, services: Sequence[ServiceRow], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["services"]
        assert isinstance(field, forms.MultipleChoiceField)  # noqa: S101 - declared above
        field.choices = [(row.service, row.service or gettext("without a service")) for row in services]
        field.initial = [row.service for row in services if row.is_chosen]
        self.fields["mode"].initial, self.fields["cost"].initial = one.mode, one.cost
        if not self.candidates:
            del self.fields["pays_for"]
        # One service is no choice.
        if len(services) < 2:
            del self.fields["services"]
        if not one.has_effective:
            del self.fields["cost"]

    @property
    def choices(self) -> Choices:
        """What was said, as the action takes it. Of a form that is valid."""
        data = self.cleaned_data
        return Choices(
            services=data.get("services") if "services" in self.fields else None,
            mode=data["mode"],
            cost=data.get("cost"),
            pays_for=self.backends(),
        )

"""Forms as every page has them: native date fields, figures for phones, mistakes of an action beside their field."""

from typing import Any, Protocol

from django import forms
from django.forms.utils import pretty_name
from django.utils.translation import gettext_lazy, override

from web.decimals import DecimalField, DecimalInput

# What fields are called that are given no label of their own.
with override("en-gb"):
    NAMES = {
        str(name): name
        for name in (
            gettext_lazy("Amount"),
            gettext_lazy("Baseline"),
            gettext_lazy("Budget currency"),
            gettext_lazy("Budget owner"),
            gettext_lazy("Business unit"),
            gettext_lazy("Category"),
            gettext_lazy("Cost centre"),
            gettext_lazy("Currency"),
            gettext_lazy("Data class"),
            gettext_lazy("Days like 03/04/2026"),
            gettext_lazy("Done on"),
            gettext_lazy("Encoding"),
            gettext_lazy("Formula"),
            gettext_lazy("Gatekeeper"),
            gettext_lazy("Impact"),
            gettext_lazy("Industry"),
            gettext_lazy("It holds"),
            gettext_lazy("Likelihood"),
            gettext_lazy("Name"),
            gettext_lazy("Note"),
            gettext_lazy("Numbers like 1.234"),
            gettext_lazy("On"),
            gettext_lazy("Outcome"),
            gettext_lazy("Owner"),
            gettext_lazy("Programme"),
            gettext_lazy("Reason"),
            gettext_lazy("Response"),
            gettext_lazy("Risk class"),
            gettext_lazy("Role"),
            gettext_lazy("Sentence"),
            gettext_lazy("Sponsor"),
            gettext_lazy("Spreadsheet"),
            gettext_lazy("Status"),
            gettext_lazy("Summary"),
            gettext_lazy("Target"),
            gettext_lazy("Unit"),
            gettext_lazy("Unit of work"),
            gettext_lazy("Value"),
            gettext_lazy("Version"),
        )
    }


class Violation(Protocol):
    """A person's mistake that an action reports: a stable code, a sentence, and the field where there is one."""

    code: str
    message: str
    field: str | None


class DateInput(forms.DateInput):
    """The browser's own date field; its value is ISO, whatever the reader's language shows."""

    input_type = "date"

    def __init__(self, attrs: dict[str, Any] | None = None) -> None:
        super().__init__(attrs=attrs, format="%Y-%m-%d")


class MonthInput(forms.TextInput):
    """The browser's own month field, '2026-10'."""

    input_type = "month"


class LookMixin:
    """Put before forms.Form or forms.ModelForm: sets what the look needs on each widget."""

    fields: dict[str, forms.Field]
    # Set where an action refused what is hardly meant and would take it once confirmed.
    asks_to_confirm = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, field in self.fields.items():
            said = field.label or pretty_name(name)
            if said in NAMES:
                field.label = NAMES[said]
            if isinstance(field, forms.DateField) and type(field.widget) is forms.DateInput:
                field.widget = DateInput(attrs=field.widget.attrs)
                field.widget.is_required = field.required
            if isinstance(field.widget, forms.Textarea):
                # Django's own default is 10 rows of 40 columns.
                if field.widget.attrs.get("rows") == "10":
                    field.widget.attrs["rows"] = "3"
                field.widget.attrs.pop("cols", None)
            if type(field) is forms.DecimalField:
                _take_decimals(field)

    def add_violation(self, violation: Violation) -> None:
        """Shows an action's refusal at its field, or above the form."""
        name = violation.field if violation.field in self.fields else None
        self.asks_to_confirm = self.asks_to_confirm or bool(getattr(violation, "can_be_confirmed", False))
        error = forms.ValidationError(violation.message, code=violation.code)
        self.add_error(name, error)  # type: ignore[attr-defined]


def _take_decimals(field: forms.DecimalField) -> None:
    """Makes a model's decimal field one that takes decimals as the reader writes them."""
    field.__class__ = DecimalField
    field.error_messages["invalid"] = DecimalField.default_error_messages["invalid"]
    if not field.widget.is_hidden:
        attrs = {key: value for key, value in field.widget.attrs.items() if key not in ("step", "min", "max")}
        field.widget = DecimalInput(attrs)
        field.widget.is_required = field.required


class Form(LookMixin, forms.Form):
    """A form in the look."""


class ModelForm(LookMixin, forms.ModelForm):
    """A model's form in the look. It checks input only; an action of the app does the saving."""

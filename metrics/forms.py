"""Forms about backends. What a connector asks for is drawn from its own declaration; actions do the saving."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from decimal import Decimal
from typing import Any

from django import forms
from django.conf import settings
from django.utils import timezone
from django.utils.translation import gettext, gettext_lazy

from accounts.models import Workload
from metrics.actions.backends import PULL_INTERVALS, READING_BOUNDS, pull_interval_of
from metrics.actions.backfills import can_be_read_back, earliest_day, history_of
from metrics.connector import Connector, CounterConnector, StatementConnector
from metrics.errors import RuleViolation
from metrics.models import Backend, OwnPrice, RateCard
from metrics.parameter import Parameter, ParameterKind
from metrics.spoken import Speaking, spoken
from metrics.usage import MeasuredAt
from web import wording
from web.decimals import DecimalField, DecimalInput
from web.forms import Form, ModelForm

BACKFILL_DAYS = 30
INTERVAL_NAMES = {
    1: gettext_lazy("minute"),
    5: gettext_lazy("5 minutes"),
    15: gettext_lazy("15 minutes"),
    60: gettext_lazy("hour"),
    360: gettext_lazy("6 hours"),
    1440: gettext_lazy("day"),
}
STORED = gettext_lazy("Stored. Leave empty to keep it.")
COUNTS_ANEW = gettext_lazy(
    "A changed address starts its counters anew: what was counted stays, the first reading is a baseline."
)
READING_WORDS = {
    "trailing_hours": (
        gettext_lazy("Read again at each pull, hours"),
        gettext_lazy("Providers change what they said of the last days."),
    ),
    "daily_trailing_hours": (
        gettext_lazy("Read again once a day, hours"),
        gettext_lazy("Where bills move for longer than usage does. 0: never."),
    ),
    "settling_hours": (
        gettext_lazy("A bill is final after, hours"),
        gettext_lazy("Until then the day counts as estimated."),
    ),
}


class SecretLines(forms.Textarea):
    """Several lines of secrets: like a password, never drawn filled, also where the form is shown again."""

    def format_value(self, value: Any) -> None:
        return None


class BackendForm(Speaking, Form):
    """The parameters of one connector, and what every backend has. `backend`: the one to change."""

    def __init__(
        self, *args: Any, connector: type[Connector] | None, backend: Backend | None = None, **kwargs: Any
    ) -> None:
        self.connector, self.backend = connector, backend
        super().__init__(*args, **kwargs)
        self.parameters = connector.parameters if connector else ()
        self.fields["name"] = forms.CharField(
            label=gettext_lazy("Name"), max_length=200, help_text=gettext_lazy("As people here call it.")
        )
        for parameter in self.parameters:
            self.fields[parameter.name] = _field_of(parameter, is_stored=self._is_stored(parameter))
            if parameter.is_secret and not parameter.required and self._is_stored(parameter):
                self.fields[f"clear_{parameter.name}"] = forms.BooleanField(
                    required=False,
                    label=gettext("Remove the stored %(what)s") % {"what": spoken(parameter.label).lower()},
                )
        self.fields["default_workload"] = forms.ModelChoiceField(
            Workload.objects.all(),
            required=False,
            label=gettext_lazy("Its usage belongs to"),
            empty_label=gettext_lazy("no roadmap yet"),
            help_text=gettext_lazy(
                "For series that are new; each can be given to others, in shares, on the backend's page."
            ),
        )
        self.fields["hardware"] = forms.CharField(
            label=gettext_lazy("Hardware"),
            max_length=100,
            required=False,
            help_text=gettext_lazy("For example 2 x H100. Empty for an API."),
        )
        places = [("server", gettext("At the server or provider")), ("gateway", gettext("At a gateway in front of it"))]
        has_kinds = any(parameter.name == "preset" for parameter in self.parameters)
        self.fields["measured_at"] = forms.ChoiceField(
            # A kind of server knows it: LiteLLM is a gateway, vLLM is not.
            choices=[("", gettext("As its kind usually does")), *places] if has_kinds and backend is None else places,
            required=not has_kinds,
            label=gettext_lazy("Where it sees requests"),
            initial=str(connector.measured_at) if connector and not has_kinds else "" if has_kinds else "server",
        )
        if connector is not None:
            self.fields["pull_every_minutes"] = forms.TypedChoiceField(
                choices=[(minutes, INTERVAL_NAMES[minutes]) for minutes in PULL_INTERVALS],
                coerce=int,
                label=gettext_lazy("Pull every"),
                initial=pull_interval_of(connector),
            )
            if backend is None and can_be_read_back(connector.kind):
                today = timezone.now().astimezone(settings.REPORTING_ZONE).date()
                self.fields["backfill_from_on"] = forms.DateField(
                    required=False,
                    label=gettext_lazy("Read back to"),
                    initial=today - timedelta(days=BACKFILL_DAYS),
                    help_text=gettext_lazy("What it knows of the time before, read step by step. Empty: from now on."),
                )
            if issubclass(connector, StatementConnector):
                self._ask_for_reading(connector)
        if backend is not None:
            self._fill(backend)
        self._look()

    def _ask_for_reading(self, connector: type[StatementConnector]) -> None:
        """How much is read again, where this source differs from others of its kind."""
        for name, lowest, highest in READING_BOUNDS:
            if name == "settling_hours" and "billed_cost" not in connector.reports:
                continue
            label, why = READING_WORDS[name]
            self.fields[name] = forms.IntegerField(
                label=label,
                required=False,
                min_value=lowest,
                max_value=highest,
                help_text=gettext("%(why)s Empty: %(hours)s.") % {"why": why, "hours": getattr(connector, name)},
            )

    def _is_stored(self, parameter: Parameter) -> bool:
        return parameter.is_secret and self.backend is not None and bool(self.backend.secrets)

    def _fill(self, backend: Backend) -> None:
        reading = [name for name, *_ in READING_BOUNDS]
        for name in ("name", "hardware", "measured_at", "pull_every_minutes", "default_workload", *reading):
            if name in self.fields:
                self.fields[name].initial = getattr(backend, name)
        for parameter in self.parameters:
            is_address = parameter.kind in (ParameterKind.URL, ParameterKind.URLS)
            if is_address and self.connector is not None and issubclass(self.connector, CounterConnector):
                self.fields[parameter.name].help_text = f"{spoken(parameter.help)} {COUNTS_ANEW}".strip()
            value = backend.parameters.get(parameter.name)
            if not parameter.is_secret and value is not None:
                self.fields[parameter.name].initial = "\n".join(value) if isinstance(value, list) else value

    def _look(self) -> None:
        """Fields that were added after LookMixin has run get the same widgets."""
        for name, field in self.fields.items():
            if isinstance(field, forms.DateField):
                field.widget.input_type = "date"
                field.widget.format = "%Y-%m-%d"
            if name in ("name", "hardware"):
                field.widget.attrs["autocomplete"] = "off"

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        for parameter in self.parameters:
            if parameter.name not in cleaned:
                continue
            value = cleaned[parameter.name]
            if not value and self._is_stored(parameter):
                continue
            try:
                parameter.clean(value)
            except RuleViolation as violation:
                self.add_violation(violation)
        return cleaned

    @property
    def more(self) -> list[forms.BoundField]:
        """What few need: optional parameters that are no secret, and how much is read again."""
        rare = [p.name for p in self.parameters if not p.required and not p.is_secret]
        return [self[name] for name in (*rare, *(name for name, *_ in READING_BOUNDS)) if name in self.fields]

    @property
    def most(self) -> list[forms.BoundField]:
        """The others, in order."""
        rare = {bound.name for bound in self.more}
        return [bound for bound in self if bound.name not in rare]

    @property
    def is_more_used(self) -> bool:
        """Whether something rare is filled or wrong, so that it stands open."""
        return any(bound.errors or bound.value() not in (None, "", bound.field.initial) for bound in self.more) or any(
            self.backend is not None and self.backend.parameters.get(bound.name) for bound in self.more
        )

    @property
    def values(self) -> dict[str, Any]:
        """What was entered for the connector's parameters."""
        return {parameter.name: self.cleaned_data.get(parameter.name) for parameter in self.parameters}

    @property
    def rest(self) -> dict[str, Any]:
        """What was entered besides, as the actions' keywords."""
        names = ("name", "measured_at", "hardware", "default_workload", "pull_every_minutes", "backfill_from_on")
        found = {name: self.cleaned_data[name] for name in names if name in self.cleaned_data}
        reading = {name: self.cleaned_data[name] for name, *_ in READING_BOUNDS if name in self.cleaned_data}
        return {**found, "reading": reading} if reading else found

    @property
    def cleared(self) -> frozenset[str]:
        return frozenset(p.name for p in self.parameters if self.cleaned_data.get(f"clear_{p.name}"))


def _field_of(parameter: Parameter, *, is_stored: bool) -> forms.Field:
    attrs = {"placeholder": parameter.placeholder} if parameter.placeholder else {}
    common: dict[str, Any] = {
        "label": spoken(parameter.label),
        "required": parameter.required and not is_stored,
        "help_text": f"{spoken(parameter.help)} {STORED}".strip() if is_stored else spoken(parameter.help),
        "initial": parameter.default,
    }
    if parameter.kind is ParameterKind.CHOICE:
        return forms.ChoiceField(choices=[(value, spoken(label)) for value, label in parameter.choices], **common)
    if parameter.kind is ParameterKind.INTEGER:
        return forms.IntegerField(min_value=parameter.minimum, max_value=parameter.maximum, **common)
    if parameter.is_list:
        rows = {"rows": "3", "spellcheck": "false", "autocomplete": "off"}
        widget_type = SecretLines if parameter.is_secret else forms.Textarea
        return forms.CharField(widget=widget_type(attrs={**attrs, **rows}), max_length=20_000, **common)
    if parameter.is_secret:
        widget = forms.PasswordInput(attrs={**attrs, "autocomplete": "new-password"}, render_value=False)
        return forms.CharField(widget=widget, max_length=4_000, **common)
    if parameter.kind is ParameterKind.URL:
        attrs |= {"inputmode": "url", "spellcheck": "false"}
    return forms.CharField(widget=forms.TextInput(attrs=attrs), max_length=2_000, **common)


class AllocationForm(Form):
    """Shares in percent, one field for each roadmap that the asker may see."""

    from_on = forms.DateField(
        label=gettext_lazy("From"), required=False, help_text=gettext_lazy("Empty: from the beginning.")
    )

    def __init__(self, *args: Any, workloads: Iterable[Workload], shares: dict[int, Decimal], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
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

    @property
    def shares(self) -> list[tuple[Workload, Decimal]]:
        """(workload, share as a ratio) of those above zero."""
        found = ((workload, self.cleaned_data.get(f"share_{workload.pk}")) for workload in self.workloads)
        return [(workload, percent / 100) for workload, percent in found if percent]


class PushedBackendForm(Form):
    """A backend that cannot be asked."""

    name = forms.CharField(
        label=gettext_lazy("Name"), max_length=200, help_text=gettext_lazy("As people here call it.")
    )
    hardware = forms.CharField(
        label=gettext_lazy("Hardware"),
        max_length=100,
        required=False,
        help_text=gettext_lazy("For example 2 x L40S."),
    )
    provider = forms.CharField(
        label=gettext_lazy("Provider"),
        max_length=60,
        required=False,
        help_text=gettext_lazy("The serving software, as records name it: vllm, llamacpp ... Empty: self-hosted."),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in ("name", "hardware", "provider"):
            self.fields[name].widget.attrs["autocomplete"] = "off"


class LinkForm(Form):
    """Which gateway a backend stands behind."""

    gateway = forms.ModelChoiceField(
        Backend.objects.none(),
        required=False,
        label=gettext_lazy("Stands behind"),
        empty_label=gettext_lazy("nothing: it counts by itself"),
    )
    from_on = forms.DateField(
        required=False,
        label=gettext_lazy("From"),
        help_text=gettext_lazy("From this day on the gateway counts. Empty: today."),
    )

    def __init__(self, *args: Any, backend: Backend, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["gateway"].queryset = Backend.objects.exclude(pk=backend.pk)  # type: ignore[attr-defined]
        self.fields["gateway"].initial = backend.behind
        self.fields["from_on"].initial = backend.behind_from_on


class ThroughForm(Form):
    """Which backend the traffic of a push goes through."""

    backend = forms.ModelChoiceField(
        Backend.objects.all(), required=False, label=gettext_lazy("Goes through"), empty_label=gettext_lazy("not known")
    )


class BackfillForm(Form):
    """How far back to read. `backend` says how far its source goes."""

    from_on = forms.DateField(label=gettext_lazy("Read back to"))

    def __init__(self, *args: Any, backend: Backend, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        first = earliest_day(history_of(backend))
        self.fields["from_on"].help_text = gettext("%(day)s at the earliest.") % {"day": wording.day(first)}
        self.fields["from_on"].widget.attrs["min"] = first.isoformat()


class RateCardForm(ModelForm):
    """What capacity costs; the action checks what is plausible."""

    class Meta:
        model = RateCard
        fields = (
            "kind",
            "units",
            "unit_name",
            "model",
            "minimum_term_months",
            "currency",
            "rate_per_unit_hour",
            "purchase_amount",
            "purchased_on",
            "amortisation_months",
            "rated_watts",
            "pue",
            "price_per_kwh",
            "while_up",
            "valid_from_on",
            "valid_until_on",
        )
        labels = {  # noqa: RUF012 - Django's own way
            "kind": gettext_lazy("Kind"),
            "currency": gettext_lazy("Currency"),
            "purchased_on": gettext_lazy("Purchased on"),
            "units": gettext_lazy("How many"),
            "unit_name": gettext_lazy("Of what"),
            "model": gettext_lazy("Serves the model"),
            "minimum_term_months": gettext_lazy("Months of minimum term"),
            "rate_per_unit_hour": gettext_lazy("Rate for one and hour"),
            "purchase_amount": gettext_lazy("Purchase, all together"),
            "amortisation_months": gettext_lazy("Months of amortisation"),
            "rated_watts": gettext_lazy("Watts of one"),
            "pue": gettext_lazy("PUE"),
            "price_per_kwh": gettext_lazy("Price per kWh"),
            "while_up": gettext_lazy("Costs only while the server is up"),
            "valid_from_on": gettext_lazy("From"),
            "valid_until_on": gettext_lazy("Until"),
        }
        help_texts = {  # noqa: RUF012
            "unit_name": gettext_lazy("GPU, PTU, model unit, ..."),
            "model": gettext_lazy("Reserved: empty for every model of this backend."),
            "minimum_term_months": gettext_lazy("Reserved: it costs until then."),
            "rate_per_unit_hour": gettext_lazy(
                "Rented and reserved: in currency for one unit and one hour, without tax. "
                "A price by the month is divided by 730."
            ),
            "purchase_amount": gettext_lazy("Owned: what all of them cost."),
            "valid_until_on": gettext_lazy("The day after its last. Empty: until another card begins."),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["currency"].initial = settings.REPORTING_CURRENCY
        self.fields["kind"].initial = RateCard.Kind.RENTED
        self.fields["valid_from_on"].initial = timezone.now().astimezone(settings.REPORTING_ZONE).date()

    def clean_currency(self) -> str:
        return str(self.cleaned_data["currency"]).upper()

    def _post_clean(self) -> None:
        """The action fills the row: a form that was refused must not have changed it."""


class OwnPriceForm(ModelForm):
    """A negotiated price per million tokens."""

    class Meta:
        model = OwnPrice
        fields = (
            "provider",
            "model",
            "service_tier",
            "currency",
            "input_per_million",
            "cached_input_per_million",
            "cache_write_input_per_million",
            "output_per_million",
            "valid_from_on",
        )
        labels = {  # noqa: RUF012 - Django's own way
            "provider": gettext_lazy("Provider"),
            "model": gettext_lazy("Model"),
            "service_tier": gettext_lazy("Service tier"),
            "currency": gettext_lazy("Currency"),
            "input_per_million": gettext_lazy("Input, per million tokens"),
            "cached_input_per_million": gettext_lazy("Cached input, per million"),
            "cache_write_input_per_million": gettext_lazy("Cache write, per million"),
            "output_per_million": gettext_lazy("Output, per million"),
            "valid_from_on": gettext_lazy("From"),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["currency"].initial = settings.REPORTING_CURRENCY
        self.fields["valid_from_on"].initial = timezone.now().astimezone(settings.REPORTING_ZONE).date()

    def clean_currency(self) -> str:
        return str(self.cleaned_data["currency"]).upper()

    def _post_clean(self) -> None:
        """As of RateCardForm."""


__all__ = [
    "AllocationForm",
    "BackendForm",
    "BackfillForm",
    "LinkForm",
    "MeasuredAt",
    "OwnPriceForm",
    "RateCardForm",
    "ThroughForm",
]

"""How much there was."""

from decimal import Decimal

from django.utils.translation import gettext_lazy as _

from roadmap.kpi import ComputedKpi, KpiValue, PhaseFigures, no_data
from roadmap.sayings import say


def _total(figures: PhaseFigures, measure: str) -> KpiValue:
    total = figures.usage.total(measure)
    if total is None:
        return no_data("", "")
    return KpiValue(value=Decimal(total), unit="", coverage=figures.usage.coverage(measure), coverage_of="requests")


def _requests(figures: PhaseFigures) -> KpiValue:
    total = figures.usage.total("requests")
    return no_data("", "") if total is None else KpiValue(value=Decimal(total), unit="")


def _tokens(figures: PhaseFigures) -> KpiValue:
    return _total(figures, "tokens")


def _units(figures: PhaseFigures) -> KpiValue:
    return _total(figures, "units")


def _providers(figures: PhaseFigures) -> KpiValue:
    if not figures.spend_by_provider:
        return no_data("", "")
    return KpiValue(value=Decimal(len(figures.spend_by_provider)), unit="", basis=say("providers_with_spend"))


REQUESTS = ComputedKpi(
    "requests",
    _("Requests"),
    _("requests"),
    "higher",
    _requests,
    definition=_("Requests of the window, errors included"),
)
TOKENS = ComputedKpi(
    "tokens",
    _("Tokens, input and output"),
    _("tokens"),
    "higher",
    _tokens,
    definition=_("Input + output tokens of the window; input includes cached and cache-write tokens"),
)
UNITS = ComputedKpi(
    "units",
    _("Units of work"),
    _("units"),
    "higher",
    _units,
    needs="needs_units",
    definition=_("Units of work of the window"),
)
PROVIDERS = ComputedKpi(
    "providers",
    _("Providers used"),
    _("providers"),
    "higher",
    _providers,
    definition=_("Number of providers with spend in the window"),
)

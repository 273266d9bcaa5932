"""How much there was."""

from decimal import Decimal

from roadmap.kpi import ComputedKpi, KpiValue, PhaseFigures, no_data


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
    return KpiValue(value=Decimal(len(figures.spend_by_provider)), unit="", basis="providers with spend")


REQUESTS = ComputedKpi(
    "requests",
    "Requests",
    "requests",
    "higher",
    _requests,
    definition="Requests of the window, errors included",
)
TOKENS = ComputedKpi(
    "tokens",
    "Tokens, input and output",
    "tokens",
    "higher",
    _tokens,
    definition="Input + output tokens of the window; input includes cached and cache-write tokens",
)
UNITS = ComputedKpi(
    "units",
    "Units of work",
    "units",
    "higher",
    _units,
    source="Push 'units' with each record.",
    definition="Units of work of the window",
)
PROVIDERS = ComputedKpi(
    "providers",
    "Providers used",
    "providers",
    "higher",
    _providers,
    definition="Number of providers with spend in the window",
)

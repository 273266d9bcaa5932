"""What it cost, and per what. Spend is billed where a statement says so, else estimated."""

from decimal import Decimal

from django.utils.translation import gettext_lazy as _

from roadmap.kpi import ComputedKpi, KpiValue, PhaseFigures, no_data, of_ratio
from roadmap.sayings import say


def _spend(figures: PhaseFigures) -> KpiValue:
    if figures.spend is None:
        return no_data("", "")
    return KpiValue(value=figures.spend, unit="", basis=say("usage_and_entries"))


def _per_million_tokens(figures: PhaseFigures) -> KpiValue:
    return of_ratio(figures.usage.ratio("spend", "tokens"), times=10**6)


def _per_1000_requests(figures: PhaseFigures) -> KpiValue:
    return of_ratio(figures.usage.ratio("spend", "successful_requests"), times=1000)


def _per_1000_units(figures: PhaseFigures) -> KpiValue:
    return of_ratio(figures.usage.ratio("spend", "units"), times=1000)


def _idle_share(figures: PhaseFigures) -> KpiValue:
    usage_spend = figures.usage.spend
    if not usage_spend:
        return no_data("", "")
    if figures.idle_spend is None:
        return no_data("", say("no_rate_card"))
    return KpiValue(value=figures.idle_spend / usage_spend * 100, unit="", basis=say("idle_of_usage"))


def _provider_concentration(figures: PhaseFigures) -> KpiValue:
    total = sum(figures.spend_by_provider.values(), Decimal(0))
    if total <= 0:
        return no_data("", "")
    squares = sum(((amount / total) ** 2 for amount in figures.spend_by_provider.values()), Decimal(0))
    return KpiValue(value=squares, unit="", basis=say("providers", count=len(figures.spend_by_provider)))


SPEND = ComputedKpi(
    "spend",
    _("Spend"),
    "{currency}",
    "lower",
    _spend,
    needs="needs_backend_or_entry",
    definition=_("usage spend (billed where stated, else estimated) + the parts of cost entries in the window"),
)
COST_PER_MILLION_TOKENS = ComputedKpi(
    "cost_per_million_tokens",
    _("Cost per million tokens"),
    "{currency}",
    "lower",
    _per_million_tokens,
    needs="needs_tokens_and_price",
    definition=_("usage spend / (input + output tokens) x 1,000,000"),
)
COST_PER_1000_REQUESTS = ComputedKpi(
    "cost_per_1000_requests",
    _("Cost per 1,000 requests"),
    "{currency}",
    "lower",
    _per_1000_requests,
    needs="needs_requests_and_price",
    definition=_("usage spend / (requests - errors) x 1,000"),
)
COST_PER_1000_UNITS = ComputedKpi(
    "cost_per_1000_units",
    _("Cost per 1,000 units of work"),
    "{currency}",
    "lower",
    _per_1000_units,
    needs="needs_units_and_cost",
    definition=_("usage spend / units of work x 1,000"),
)
IDLE_SHARE = ComputedKpi(
    "idle_share",
    _("Idle share of usage spend"),
    "%",
    "lower",
    _idle_share,
    needs="needs_gpu_with_rate_card",
    definition=_("spend on capacity held and not used / usage spend x 100"),
)
PROVIDER_CONCENTRATION = ComputedKpi(
    "provider_concentration",
    _("Provider concentration"),
    "0-1",
    "lower",
    _provider_concentration,
    definition=_("sum over providers of (share of usage spend)^2; 1 is one provider"),
)

"""What we got per second, per amount of money and per kilowatt-hour. The '$' of a name is the reporting currency."""

from decimal import Decimal

from django.utils.translation import gettext_lazy as _

from roadmap.kpi import ComputedKpi, KpiValue, PhaseFigures, no_data, of_ratio
from roadmap.sayings import say


def _throughput(figures: PhaseFigures) -> KpiValue:
    tokens = figures.usage.total("output_tokens")
    if tokens is None or figures.seconds <= 0:
        return no_data("", "")
    coverage = figures.usage.coverage("output_tokens")
    if coverage is not None and coverage < Decimal("0.5"):
        return no_data("", say("known_for_only", share=coverage, of="requests"))
    return KpiValue(
        value=Decimal(tokens) / figures.seconds,
        unit="",
        coverage=coverage,
        coverage_of="requests",
        basis=say("output_tokens"),
    )


def _per_second_per_money(figures: PhaseFigures, measure: str) -> KpiValue:
    value = of_ratio(figures.usage.ratio(measure, "spend"))
    if value.value is None:
        return value
    # Per second and per (money per hour): the hours cancel, 3600 seconds an hour stay.
    return KpiValue(
        value=value.value / 3600,
        unit="",
        coverage=value.coverage,
        coverage_of=value.coverage_of,
        basis=say("reserved_basis"),
    )


def _units_per_money(figures: PhaseFigures) -> KpiValue:
    return of_ratio(figures.usage.ratio("units", "spend"))


def _cache_hit_ratio(figures: PhaseFigures) -> KpiValue:
    ratio = figures.usage.ratio("cached_input_tokens", "input_tokens", weight="input_tokens")
    return of_ratio(ratio, times=100, coverage_of="input tokens")


def _utilisation(figures: PhaseFigures) -> KpiValue:
    ratio = figures.usage.ratio("gpu_busy_seconds", "gpu_held_seconds", weight="gpu_held_seconds")
    return of_ratio(ratio, times=100, coverage_of="GPU hours held")


def _energy(figures: PhaseFigures) -> KpiValue:
    # Wh per token x 1000 tokens / 1000 Wh per kWh: the figure is the same.
    return of_ratio(figures.usage.ratio("energy_wh", "tokens", weight="tokens"), coverage_of="tokens")


THROUGHPUT = ComputedKpi(
    "throughput",
    _("Throughput"),
    _("tokens/s"),
    "higher",
    _throughput,
    needs="needs_output_tokens",
    definition=_("output tokens / seconds of the window"),
)
TOKENS_PER_SECOND_PER_DOLLAR = ComputedKpi(
    "tokens_per_second_per_dollar",
    _("Tokens per second per {currency}"),
    _("tokens/s per {currency}/h"),
    "higher",
    lambda figures: _per_second_per_money(figures, "output_tokens"),
    needs="needs_output_tokens_and_price",
    definition=_("output tokens / (3600 x usage spend), idle included"),
)
REQUESTS_PER_SECOND_PER_DOLLAR = ComputedKpi(
    "requests_per_second_per_dollar",
    _("Requests per second per {currency}"),
    _("requests/s per {currency}/h"),
    "higher",
    lambda figures: _per_second_per_money(figures, "successful_requests"),
    needs="needs_requests_and_price",
    definition=_("(requests - errors) / (3600 x usage spend), idle included"),
)
UNITS_PER_DOLLAR = ComputedKpi(
    "units_per_dollar",
    _("Units of work per {currency}"),
    _("units per {currency}"),
    "higher",
    _units_per_money,
    needs="needs_units_and_cost",
    definition=_("units of work / usage spend"),
)
CACHE_HIT_RATIO = ComputedKpi(
    "cache_hit_ratio",
    _("Cache hit ratio"),
    "%",
    "higher",
    _cache_hit_ratio,
    needs="needs_cached_tokens",
    definition=_("cached input tokens / input tokens x 100"),
)
UTILISATION = ComputedKpi(
    "utilisation",
    _("GPU utilisation"),
    "%",
    "higher",
    _utilisation,
    needs="needs_busy_seconds",
    definition=_("GPU seconds busy / GPU seconds held x 100"),
)
ENERGY_PER_1000_TOKENS = ComputedKpi(
    "energy_per_1000_tokens",
    _("Energy per 1,000 tokens"),
    "kWh",
    "lower",
    _energy,
    needs="needs_energy",
    definition=_("kWh / (input + output tokens) x 1,000"),
)

"""What we got per second, per amount of money and per kilowatt-hour. The '$' of a name is the reporting currency."""

from decimal import Decimal

from roadmap.kpi import ComputedKpi, KpiValue, PhaseFigures, no_data, of_ratio


def _throughput(figures: PhaseFigures) -> KpiValue:
    tokens = figures.usage.total("output_tokens")
    if tokens is None or figures.seconds <= 0:
        return no_data("", "")
    coverage = figures.usage.coverage("output_tokens")
    if coverage is not None and coverage < Decimal("0.5"):
        return no_data("", f"known for {coverage * 100:.0f}% of requests only")
    return KpiValue(
        value=Decimal(tokens) / figures.seconds,
        unit="",
        coverage=coverage,
        coverage_of="requests",
        basis="output tokens",
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
        basis="reserved basis, idle included",
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
    "Throughput",
    "tokens/s",
    "higher",
    _throughput,
    source="Needs a source of output tokens.",
    definition="output tokens / seconds of the window",
)
TOKENS_PER_SECOND_PER_DOLLAR = ComputedKpi(
    "tokens_per_second_per_dollar",
    "Tokens per second per {currency}",
    "tokens/s per {currency}/h",
    "higher",
    lambda figures: _per_second_per_money(figures, "output_tokens"),
    source="Needs output tokens, and a price, a rate card or a provider's statement.",
    definition="output tokens / (3600 x usage spend), idle included",
)
REQUESTS_PER_SECOND_PER_DOLLAR = ComputedKpi(
    "requests_per_second_per_dollar",
    "Requests per second per {currency}",
    "requests/s per {currency}/h",
    "higher",
    lambda figures: _per_second_per_money(figures, "successful_requests"),
    source="Needs requests, and a price, a rate card or a provider's statement.",
    definition="(requests - errors) / (3600 x usage spend), idle included",
)
UNITS_PER_DOLLAR = ComputedKpi(
    "units_per_dollar",
    "Units of work per {currency}",
    "units per {currency}",
    "higher",
    _units_per_money,
    source="Push 'units' with each record, and its 'cost' or connect the backend.",
    definition="units of work / usage spend",
)
CACHE_HIT_RATIO = ComputedKpi(
    "cache_hit_ratio",
    "Cache hit ratio",
    "%",
    "higher",
    _cache_hit_ratio,
    source="Needs a source of cached input tokens.",
    definition="cached input tokens / input tokens x 100",
)
UTILISATION = ComputedKpi(
    "utilisation",
    "GPU utilisation",
    "%",
    "higher",
    _utilisation,
    source="Needs GPU busy seconds: connect Prometheus with DCGM, or push 'gpu_busy_seconds'; and a rate card.",
    definition="GPU seconds busy / GPU seconds held x 100",
)
ENERGY_PER_1000_TOKENS = ComputedKpi(
    "energy_per_1000_tokens",
    "Energy per 1,000 tokens",
    "kWh",
    "lower",
    _energy,
    source="Push 'energy_wh', or connect a source that reports it.",
    definition="kWh / (input + output tokens) x 1,000",
)

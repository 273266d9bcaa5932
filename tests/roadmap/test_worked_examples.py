"""The worked examples of docs/measures.md (KPIs and efficiency), figure by figure."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from metrics.figures import Part, Percentile, Sums
from metrics.usage import KNOWN_BIT
from roadmap.kpi import LatencyFigures, PhaseFigures
from roadmap.kpis import BY_NAME, COMPUTED

D = Decimal


def part(kind="usage", hours=1, **values) -> Part:
    """Hours in which exactly these measures are known; `spend` is an estimate that no statement covers."""
    held = {name: value for name, value in values.items() if name != "spend"}
    if "spend" in values:
        held["estimated_cost"] = held["unsettled_cost"] = D(values["spend"])
    mask = sum(KNOWN_BIT[name] for name in held if name in KNOWN_BIT)
    return Part(kind, mask, hours, held)


def figures(*parts: Part, **fields) -> PhaseFigures:
    defaults = {"start_on": date(2026, 3, 1), "end_on": date(2026, 3, 29), "seconds": 28 * 86_400, "currency": "EUR"}
    return PhaseFigures(**(defaults | fields), usage=Sums(list(parts)))


# The example of docs/measures.md: an API and a GPU server over 28 days.
API = part(
    requests=10_000,
    errors=100,
    input_tokens=8_400_000,
    cached_input_tokens=2_100_000,
    output_tokens=1_600_000,
    spend="31.80",
)
GPU = part(
    requests=5_000,
    errors=0,
    input_tokens=4_000_000,
    output_tokens=1_000_000,
    gpu_busy_seconds=D(604_800),
    spend="50.00",
)
HELD = part("idle", gpu_held_seconds=D(1_814_400), spend="100.00")


def value(name: str, *parts: Part, **fields):
    return BY_NAME[name].of(figures(*parts, **fields))


def test_cost_per_million_tokens():
    """31.80 / (8.4 M + 1.6 M) x 10^6 = 3.18."""
    found = value("cost_per_million_tokens", API)
    assert (found.value, found.coverage, found.unit) == (D("3.18"), 1, "EUR")


def test_idle_capacity_is_part_of_what_tokens_cost():
    """(50 + 100) / 5 M x 10^6 = 30: the idle hours' spend counts, their tokens are a known zero."""
    assert value("cost_per_million_tokens", GPU, HELD).value == 30


def test_cost_per_1000_requests_counts_successful_ones():
    """31.80 / 9,900 x 1000."""
    assert value("cost_per_1000_requests", API).value == D("31.80") / 9_900 * 1000


def test_cost_per_1000_units():
    """12 EUR for 480 images: 25 per 1,000."""
    assert value("cost_per_1000_units", part(requests=480, units=D(480), spend="12")).value == 25


def test_throughput_is_output_tokens_over_the_seconds_of_the_window():
    """1.6 M in 28 days of 86,400 s: 0.66 tokens/s."""
    assert value("throughput", API).value == D(1_600_000) / 2_419_200


def test_tokens_per_second_per_money():
    """1.6 M / (3600 x 31.80) = 13.98 tokens/s per EUR/h."""
    found = value("tokens_per_second_per_dollar", API)
    assert found.value == D(1_600_000) / D("31.80") / 3600
    assert round(found.value, 2) == D("13.98")
    assert found.unit == "tokens/s per EUR/h"


def test_it_equals_tokens_per_second_over_spend_per_hour():
    """(output tokens / seconds) / (spend / hours) is the same figure."""
    hours = D(28 * 24)
    other = (D(1_600_000) / (hours * 3600)) / (D("31.80") / hours)
    assert value("tokens_per_second_per_dollar", API).value == pytest.approx(other, rel=D("1e-20"))


def test_on_reserved_basis_idle_is_included():
    """1 M / (3600 x 150) = 1.85; without idle it would be 5.56."""
    found = value("tokens_per_second_per_dollar", GPU, HELD)
    assert round(found.value, 2) == D("1.85")
    used = figures(GPU, HELD).usage.ratio("output_tokens", "spend", basis="used").value / 3600
    assert round(used, 2) == D("5.56")


def test_requests_per_second_per_money():
    """9,900 / (3600 x 31.80)."""
    assert value("requests_per_second_per_dollar", API).value == D(9_900) / D("31.80") / 3600


def test_error_rate_and_cache_hit_ratio():
    """100 / 10,000 = 1%; 2.1 M / 8.4 M = 25%."""
    assert value("error_rate", API).value == 1
    assert value("cache_hit_ratio", API).value == 25


def test_utilisation_is_busy_over_held():
    """168 h busy of 504 h held: 33.3%, where both are known for the same hours."""
    both = part(requests=1, gpu_busy_seconds=D(604_800), gpu_held_seconds=D(1_814_400))
    assert round(value("utilisation", both).value, 1) == D("33.3")


def test_energy_per_1000_tokens():
    """2,500 Wh for 10 M tokens: 2.5 kWh / 10^7 x 1000 = 0.00025 kWh."""
    found = value("energy_per_1000_tokens", part(input_tokens=9_000_000, output_tokens=1_000_000, energy_wh=D(2500)))
    assert found.value == D("0.00025")


@pytest.mark.parametrize(("scored", "known"), [(29, None), (30, D("0.9"))])
def test_quality_needs_thirty_scores(scored, known):
    found = value("quality", part(requests=1000, quality_sum=D(scored) * D("0.9"), quality_count=scored))
    assert (found.value, found.sample) == (known, scored)


def test_guardrail_rates_are_per_1000_requests():
    """21 blocked, 5 overridden, 2 false alarms of 10,000."""
    sums = part(requests=10_000, blocked=21, overridden=5, false_alarms=2)
    rates = [value(name, sums).value for name in ("block_rate", "override_rate", "false_alarm_rate")]
    assert rates == [D("2.1"), D("0.5"), D("0.2")]


def test_provider_concentration():
    """Three quarters and one quarter: 0.5625 + 0.0625 = 0.625."""
    found = value("provider_concentration", API, spend_by_provider={"openai": D(75), "vllm": D(25)})
    assert found.value == D("0.625")


def test_idle_share():
    """100 of 150."""
    found = value("idle_share", GPU, HELD, idle_spend=D(100))
    assert round(found.value, 1) == D("66.7")


def test_cost_per_unit_of_value():
    """Spend of 900, entries included, for 450 tasks: 2 each."""
    assert value("cost_per_unit_of_value", API, spend=D(900), value_sum=D(450)).value == 2
    assert value("cost_per_unit_of_value", API, spend=D(900)).value is None


def test_latency_percentiles_are_of_one_place():
    found = value("duration_p95", API, latency={"duration": LatencyFigures("gateway", 9_900, {95: Percentile(1840.0)})})
    assert (found.value, found.unit, found.sample, found.basis) == (D("1.84"), "s", 9_900, "at the gateway")


def test_a_percentile_in_foreign_buckets_is_an_interval_with_its_upper_end_as_value():
    latency = {"duration": LatencyFigures("server", 500, {95: Percentile(None, 2000.0, 2500.0)})}
    found = value("duration_p95", API, latency=latency)
    assert (found.low, found.high, found.value) == (2, D("2.5"), D("2.5"))


# --- Unknown is not zero


def test_under_half_covered_there_is_no_figure_and_from_half_on_it_says_how_much():
    """Tokens are known for 31.80 of 81.80 EUR: 38.9%, no data. With 31.80 of 50.00: 63.6%, said."""
    blind = part(requests=1, spend="50.00")
    found = value("cost_per_million_tokens", API, blind)
    assert (found.value, round(found.coverage, 3)) == (None, D("0.389"))
    assert found.reason == "known for 39% of spend only"
    some = value("cost_per_million_tokens", API, part(requests=1, spend="18.20"))
    assert (some.value, some.coverage) == (D("3.18"), D("0.636"))


def test_traffic_without_a_price_is_no_free_traffic():
    """10,000 requests at 31.80 and 10,000 not priced: cost per 1,000 comes from the first alone."""
    free = part(requests=10_000, errors=0)
    assert value("cost_per_1000_requests", API, free).value == D("31.80") / 9_900 * 1000


@pytest.mark.parametrize("measure", [item for item in COMPUTED if item.name not in ("requests", "providers")])
def test_nothing_known_is_no_data_for_every_measure(measure):
    found = measure.of(figures())
    assert found.value is None
    assert found.reason


def test_a_zero_divisor_is_no_data():
    assert value("cost_per_million_tokens", part(input_tokens=0, output_tokens=0, requests=0, spend="5")).value is None
    assert value("error_rate", part(requests=0, errors=0)).value is None


def test_no_errors_are_an_error_rate_of_zero():
    assert value("error_rate", part(requests=10, errors=0)).value == 0

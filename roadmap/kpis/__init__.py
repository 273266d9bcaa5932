"""Computed KPIs. To add one: a file (or a line in one) here, and one line in COMPUTED. Pure."""

from roadmap.kpi import ComputedKpi
from roadmap.kpis import cost, efficiency, guardrails, latency, traffic, value

COMPUTED: tuple[ComputedKpi, ...] = (
    cost.SPEND,
    cost.COST_PER_MILLION_TOKENS,
    cost.COST_PER_1000_REQUESTS,
    cost.COST_PER_1000_UNITS,
    cost.IDLE_SHARE,
    cost.PROVIDER_CONCENTRATION,
    latency.DURATION_P50,
    latency.DURATION_P95,
    latency.DURATION_P99,
    latency.TIME_TO_FIRST_TOKEN_P95,
    latency.INTER_TOKEN_P95,
    efficiency.THROUGHPUT,
    efficiency.TOKENS_PER_SECOND_PER_DOLLAR,
    efficiency.REQUESTS_PER_SECOND_PER_DOLLAR,
    efficiency.UNITS_PER_DOLLAR,
    efficiency.CACHE_HIT_RATIO,
    efficiency.UTILISATION,
    efficiency.ENERGY_PER_1000_TOKENS,
    traffic.REQUESTS,
    traffic.TOKENS,
    traffic.UNITS,
    traffic.PROVIDERS,
    guardrails.ERROR_RATE,
    guardrails.QUALITY,
    guardrails.BLOCK_RATE,
    guardrails.OVERRIDE_RATE,
    guardrails.FALSE_ALARM_RATE,
    value.COST_PER_UNIT_OF_VALUE,
)

BY_NAME = {measure.name: measure for measure in COMPUTED}

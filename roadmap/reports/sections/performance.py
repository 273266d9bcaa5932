"""How fast it was, and what it gave for the money."""

from __future__ import annotations

from roadmap.kpis import BY_NAME
from roadmap.queries.month_facts import MonthFacts
from roadmap.reports.section import Json, text_of

_ALWAYS = (
    "requests",
    "duration_p50",
    "duration_p95",
    "duration_p99",
    "time_to_first_token_p95",
    "error_rate",
    "quality",
)
_TOKENS = ("tokens", "throughput", "tokens_per_second_per_dollar", "cost_per_million_tokens", "cache_hit_ratio")
_OTHERS = ("units", "requests_per_second_per_dollar", "cost_per_1000_requests", "cost_per_1000_units")
_CAPACITY = ("utilisation", "energy_per_1000_tokens")


class Performance:
    """Measured figures beside those of the month before; measures that no source offers are left out of a roadmap's
    own unit only."""

    name = "performance"
    title = "Performance and efficiency"

    def build(self, facts: MonthFacts) -> Json | None:
        """`rows` of name, unit, value, before, low, high, coverage, reason."""
        names = (*_ALWAYS, *(_TOKENS if facts.unit_of_work == "token" else _OTHERS), *_CAPACITY)
        rows = []
        for name in names:
            measure = BY_NAME[name]
            now, before = measure.of(facts.figures), measure.of(facts.figures_before)
            if now.value is None and before.value is None and name in _CAPACITY:
                continue
            rows.append(
                {
                    "measure": name,
                    "name": measure.title_in(facts.currency),
                    "unit": measure.unit_in(facts.currency),
                    "value": text_of(now.value),
                    "low": text_of(now.low),
                    "high": text_of(now.high),
                    "before": text_of(before.value),
                    "coverage": text_of(now.coverage),
                    "coverage_of": now.coverage_of,
                    "basis": now.basis,
                    "reason": now.reason,
                }
            )
        return {"rows": rows}

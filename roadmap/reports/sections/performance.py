"""How fast it was, and what it gave for the money."""

from __future__ import annotations

from roadmap.kpis import BY_NAME
from roadmap.queries.month_facts import MonthFacts
from roadmap.reports.section import Json, covered, fresh, kept, text_of, window_json

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
# Named only where something reports them.
_WHERE_KNOWN = ("utilisation", "energy_per_1000_tokens", "block_rate", "override_rate", "false_alarm_rate")


class Performance:
    """Measured figures beside those of the month before; those of the roadmap's own unit of work."""

    name = "performance"

    def build(self, facts: MonthFacts) -> Json | None:
        """`rows` of measure, unit, value, before, low, high, coverage, basis, reason; window and freshness of all."""
        names = (*_ALWAYS, *(_TOKENS if facts.unit_of_work == "token" else _OTHERS), *_WHERE_KNOWN)
        rows = []
        for name in names:
            measure = BY_NAME[name]
            now, before = measure.of(facts.figures), measure.of(facts.figures_before)
            if now.value is None and before.value is None and name in _WHERE_KNOWN:
                continue
            rows.append(
                {
                    "measure": name,
                    "currency": facts.currency,
                    "value": text_of(now.value),
                    "low": text_of(now.low),
                    "high": text_of(now.high),
                    "before": text_of(before.value),
                    "coverage": covered(now),
                    "basis": kept(now.basis),
                    "reason": kept(now.reason),
                }
            )
        return {"window": window_json((facts.start_on, facts.end_on)), "freshness": fresh(facts), "rows": rows}

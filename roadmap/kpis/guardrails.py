"""Errors, quality, and what guardrails did."""

from dataclasses import replace

from roadmap.kpi import ComputedKpi, KpiValue, PhaseFigures, no_data, of_ratio

# A mean score of fewer says little (measures.md, Efficiency).
MINIMUM_SCORED = 30


def _error_rate(figures: PhaseFigures) -> KpiValue:
    return of_ratio(figures.usage.ratio("errors", "requests", weight="requests"), times=100, coverage_of="requests")


def _per_1000(figures: PhaseFigures, measure: str) -> KpiValue:
    return of_ratio(figures.usage.ratio(measure, "requests", weight="requests"), times=1000, coverage_of="requests")


def _quality(figures: PhaseFigures) -> KpiValue:
    scored = figures.usage.total("quality_count")
    if scored is None:
        return no_data("", "")
    if scored < MINIMUM_SCORED:
        return replace(no_data("", f"{scored:,} scored, at least {MINIMUM_SCORED} are needed"), sample=int(scored))
    value = of_ratio(figures.usage.ratio("quality_sum", "quality_count", weight="quality_count"), coverage_of="scores")
    return replace(value, coverage=None, sample=int(scored), basis=f"{scored:,} scored")


ERROR_RATE = ComputedKpi(
    "error_rate",
    "Error rate",
    "%",
    "lower",
    _error_rate,
    source="Needs a source of errors.",
    definition="errors / requests x 100",
)
QUALITY = ComputedKpi(
    "quality",
    "Quality",
    "0-1",
    "higher",
    _quality,
    source="Push 'quality' scores of an evaluation with the records.",
    definition="sum of scores / scored requests; no data under 30 scored",
)
_GUARDRAIL_SOURCE = "Push the guardrail's counts with the records: 'blocked', 'overridden', 'false_alarms'."
BLOCK_RATE = ComputedKpi(
    "block_rate",
    "Blocked requests",
    "per 1,000 requests",
    "lower",
    lambda figures: _per_1000(figures, "blocked"),
    source=_GUARDRAIL_SOURCE,
    definition="requests stopped by a guardrail / requests x 1,000",
)
OVERRIDE_RATE = ComputedKpi(
    "override_rate",
    "Overridden blocks",
    "per 1,000 requests",
    "lower",
    lambda figures: _per_1000(figures, "overridden"),
    source=_GUARDRAIL_SOURCE,
    definition="blocks that a person let through / requests x 1,000",
)
FALSE_ALARM_RATE = ComputedKpi(
    "false_alarm_rate",
    "False alarms",
    "per 1,000 requests",
    "lower",
    lambda figures: _per_1000(figures, "false_alarms"),
    source=_GUARDRAIL_SOURCE,
    definition="requests stopped wrongly / requests x 1,000",
)

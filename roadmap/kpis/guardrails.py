"""Errors, quality, and what guardrails did."""

from dataclasses import replace

from django.utils.translation import gettext_lazy as _

from roadmap.kpi import ComputedKpi, KpiValue, PhaseFigures, no_data, of_ratio
from roadmap.sayings import say

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
        return replace(no_data("", say("scored_too_few", count=int(scored), least=MINIMUM_SCORED)), sample=int(scored))
    value = of_ratio(figures.usage.ratio("quality_sum", "quality_count", weight="quality_count"), coverage_of="scores")
    return replace(value, coverage=None, sample=int(scored), basis=say("scored", count=int(scored)))


ERROR_RATE = ComputedKpi(
    "error_rate",
    _("Error rate"),
    "%",
    "lower",
    _error_rate,
    needs="needs_errors",
    definition=_("errors / requests x 100"),
)
QUALITY = ComputedKpi(
    "quality",
    _("Quality"),
    "0-1",
    "higher",
    _quality,
    needs="needs_quality",
    definition=_("sum of scores / scored requests; no data under 30 scored"),
)
BLOCK_RATE = ComputedKpi(
    "block_rate",
    _("Blocked requests"),
    _("per 1,000 requests"),
    "lower",
    lambda figures: _per_1000(figures, "blocked"),
    needs="needs_guardrails",
    definition=_("requests stopped by a guardrail / requests x 1,000"),
)
OVERRIDE_RATE = ComputedKpi(
    "override_rate",
    _("Overridden blocks"),
    _("per 1,000 requests"),
    "lower",
    lambda figures: _per_1000(figures, "overridden"),
    needs="needs_guardrails",
    definition=_("blocks that a person let through / requests x 1,000"),
)
FALSE_ALARM_RATE = ComputedKpi(
    "false_alarm_rate",
    _("False alarms"),
    _("per 1,000 requests"),
    "lower",
    lambda figures: _per_1000(figures, "false_alarms"),
    needs="needs_guardrails",
    definition=_("requests stopped wrongly / requests x 1,000"),
)

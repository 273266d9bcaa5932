"""How fast it is: percentiles of merged histograms, never a mean of percentiles. At the source that counts."""

from decimal import Decimal

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from roadmap.kpi import ComputedKpi, KpiValue, PhaseFigures, no_data
from roadmap.sayings import say


def percentile_of(figures: PhaseFigures, measure: str, percent: int, *, divisor: int) -> KpiValue:
    """The percentile of a latency measure, milliseconds / `divisor`; an interval where it is in foreign buckets."""
    found = figures.latency.get(measure)
    if found is None:
        return no_data("", "")
    percentile = found.percentiles.get(percent)
    if percentile is None:
        return no_data("", say("only_a_mean"))

    def scaled(milliseconds: float | None) -> Decimal | None:
        return None if milliseconds is None else Decimal(str(round(milliseconds, 4))) / divisor

    low, high = scaled(percentile.low_ms), scaled(percentile.high_ms)
    ends = [scaled(percentile.ms), high, low]
    return KpiValue(
        value=next((end for end in ends if end is not None), None),
        unit="",
        low=low,
        high=high,
        sample=found.count,
        basis=say("measured_at", place=found.measured_at),
    )


_DEFINITIONS = {
    50: _(
        "50th percentile (nearest rank) of all requests' merged histograms, errors not timed; "
        "gateway's timing first, else the server's, else the application's"
    ),
    95: _(
        "95th percentile (nearest rank) of all requests' merged histograms, errors not timed; "
        "gateway's timing first, else the server's, else the application's"
    ),
    99: _(
        "99th percentile (nearest rank) of all requests' merged histograms, errors not timed; "
        "gateway's timing first, else the server's, else the application's"
    ),
}


def _measure(name: str, title: Promise, unit: str, measure: str, percent: int, divisor: int) -> ComputedKpi:
    return ComputedKpi(
        name,
        title,
        unit,
        "lower",
        lambda figures: percentile_of(figures, measure, percent, divisor=divisor),
        needs="needs_latency",
        definition=_DEFINITIONS[percent],
    )


DURATION_P50 = _measure("duration_p50", _("p50 latency"), "s", "duration", 50, 1000)
DURATION_P95 = _measure("duration_p95", _("p95 latency"), "s", "duration", 95, 1000)
DURATION_P99 = _measure("duration_p99", _("p99 latency"), "s", "duration", 99, 1000)
TIME_TO_FIRST_TOKEN_P95 = _measure(
    "time_to_first_token_p95", _("p95 time to first token"), "s", "time_to_first_token", 95, 1000
)
INTER_TOKEN_P95 = _measure("inter_token_p95", _("p95 inter-token latency"), "ms", "inter_token", 95, 1)

"""What the latency chart says: a percentile in foreign buckets is printed as its bucket, never as its end."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from django.utils import translation

from metrics.figures import Percentile
from roadmap.charts.latency import LatencyData, LatencyPoint, latency_chart, title_of
from web.wording import NBSP


def points(*p95: Percentile) -> list[LatencyPoint]:
    return [LatencyPoint(date(2026, 11, 1 + n), "server", 10, {95: value}) for n, value in enumerate(p95)]


def exactly(ms: float) -> Percentile:
    return Percentile(ms=ms, low_ms=None, high_ms=None)


def between(low: float | None, high: float | None) -> Percentile:
    return Percentile(ms=None, low_ms=low, high_ms=high)


def said(*p95: Percentile, target: int | None = None) -> str:
    return title_of(points(*p95), None if target is None else Decimal(target)).replace(NBSP, " ")


def test_a_bucket_is_printed_as_the_bucket():
    assert said(between(5000, 10_000)) == "p95 is 5.00 to 10 s"
    assert said(exactly(800), between(None, 300)) == "p95 is under 300 ms"


def test_a_bucket_around_the_target_is_neither_above_nor_under():
    assert said(between(2000, 2500), target=2200) == "p95 is 2.00 to 2.50 s: its target lies in that bucket"
    assert said(between(2000, 2500), target=2500) == "p95 is under its target"
    assert said(between(2000, 2500), target=1000) == "p95 is above its target: 2.00 to 2.50 s"


def test_a_figure_is_compared():
    assert said(exactly(2000), exactly(1000)) == "p95 is 50% lower than at the start"
    assert said(exactly(2000), exactly(2200), target=2000) == "p95 is 10% above its target"


def test_a_bucket_at_the_end_of_its_line_is_a_bucket_in_each_language():
    shown = LatencyData(
        start_on=date(2026, 11, 1),
        end_on=date(2026, 11, 3),
        today=date(2026, 11, 3),
        grain="day",
        points=points(exactly(900), between(2000, 2500)),
        measured_at="server",
        events=(),
    )
    for language, label in (("en-gb", "p95 2.00 to 2.50 s"), ("nl", "p95 2,00 tot 2,50 s")):
        with translation.override(language):
            assert label in str(latency_chart(shown).spec).replace(NBSP, " ").replace("\\xa0", " ")

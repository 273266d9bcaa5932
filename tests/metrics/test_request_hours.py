"""Single requests folded into hours: sums, our own buckets, and costs that are unknown."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from metrics.histogram import MergedHistogram, count_of
from metrics.request_hours import RequestHours
from metrics.usage import SeriesKey

AT = datetime(2026, 11, 20, 9, 59, 59, 999_999, tzinfo=UTC)
KEY = SeriesKey("openai", "gpt-x")


def test_requests_add_up_by_series_and_hour():
    found = RequestHours()
    found.add(KEY, AT, {"requests": 1, "output_tokens": 5}, cost=Decimal("0.1"), currency="USD")
    found.add(KEY, AT.replace(minute=0), {"requests": 1}, cost=Decimal("0.2"), currency="USD")
    found.add(KEY, AT + timedelta(microseconds=1), {"requests": 3})
    first, second = found.cells()
    assert first.sums == {"requests": 2, "output_tokens": 5, "estimated_cost": Decimal("0.3")}
    assert (first.hour.hour, first.currency) == (9, "USD")
    assert (second.hour.hour, second.sums, second.currency) == (10, {"requests": 3}, "")


def test_percentiles_of_a_thousand_requests_are_within_two_and_a_half_percent():
    found = RequestHours()
    values = [10.0 * 1.005**number for number in range(1000)]
    for value in values:
        found.add(KEY, AT, {"requests": 1}, latencies_ms={"duration": value})
    (cell,) = found.cells()
    assert count_of(cell.windows["duration"]) == cell.sums["duration_count"] == 1000
    merged = MergedHistogram()
    merged.add_window(cell.windows["duration"])
    for percent in (50, 95, 99):
        exact = values[percent * 10 - 1]
        assert abs(merged.percentile(percent).ms / exact - 1) < 0.025


def test_zero_beside_tokens_without_a_price_is_unknown():
    found = RequestHours()
    found.add(KEY, AT, {"requests": 1, "input_tokens": 5}, cost=Decimal(0), currency="USD")
    assert next(found.cells()).sums["estimated_cost"] == 0
    found.add(KEY, AT, {"requests": 1, "input_tokens": 5})
    assert "estimated_cost" not in next(found.cells()).sums
    found.add(KEY, AT, {"requests": 1, "input_tokens": 5}, cost=Decimal(2), currency="USD")
    assert next(found.cells()).sums["estimated_cost"] == 2

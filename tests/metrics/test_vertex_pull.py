"""Pulls of Google Vertex AI against a double: the hand-made sum, and percentiles out of Google's own buckets."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from metrics import series
from metrics.figures import Scope
from tests.contracts.pull_suite import SECRET, PullSuite
from tests.doubles.google_project import (
    DURATION,
    REQUESTS,
    TOKENS,
    GoogleProject,
    distribution,
    google_project,
    service_account_key,
)

D = Decimal
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
PAST, LATER = datetime(2026, 11, 20, 11, tzinfo=UTC), datetime(2026, 11, 22, 8, tzinfo=UTC)
FLASH, PRO = "gemini-2.5-flash", "gemini-2.5-pro"
SHARED = {"model": FLASH, "request_type": "shared"}


def a_project() -> GoogleProject:
    project = GoogleProject(page_size=2)
    project.usage(PAST, model=FLASH, requests=10, tokens_in=1000, tokens_out=200)
    project.usage(PAST + HOUR, model=FLASH, requests=30, tokens_in=3000, tokens_out=600)
    project.usage(LATER, model=FLASH, requests=5, tokens_in=50, tokens_out=7)
    project.usage(PAST, model=PRO, requests=4, tokens_in=400, tokens_out=80)
    project.put(REQUESTS, PAST, 3, **SHARED, response_code="429")
    return project


class TestPulls(PullSuite):
    kind = "vertex"
    expected = {
        FLASH: {
            "requests": 48,
            "errors": 3,
            "input_tokens": 4050,
            "output_tokens": 807,
            "duration_count": 45,
            "duration_sum_ms": D(22_500),
            "time_to_first_token_count": 45,
            "time_to_first_token_sum_ms": D(2_250),
        },
        PRO: {
            "requests": 4,
            "errors": 0,
            "input_tokens": 400,
            "output_tokens": 80,
            "duration_count": 4,
            "duration_sum_ms": D(2_000),
            "time_to_first_token_count": 4,
            "time_to_first_token_sum_ms": D(200),
        },
    }
    restated = {FLASH: {"requests": 2, "output_tokens": 20}}
    dropped = {
        PRO: {
            "requests": -4,
            "input_tokens": -400,
            "output_tokens": -80,
            "duration_count": -4,
            "duration_sum_ms": D(-2_000),
            "time_to_first_token_count": -4,
            "time_to_first_token_sum_ms": D(-200),
        }
    }

    def double(self):
        return google_project(a_project())

    def parameters(self, url):
        return {
            "service_account_key": service_account_key(SECRET),
            "address": url,
            "token_address": f"{url}/token",
        }

    def restate(self, source):
        source.put(REQUESTS, PAST, 12, **SHARED, response_code="200")
        source.put(TOKENS, PAST, 220, **SHARED, type="output")

    def drop(self, source):
        for key in [key for key in source.points if PRO in str(key)]:
            del source.points[key]

    def test_percentiles_are_printed_as_googles_buckets(self, source, backend):
        """45 requests between 100 ms and 1 s, then 5 of them above 10 s: p95 is the 43rd of 45."""
        self.pull(backend)
        scope = Scope(PAST.date(), LATER.date() + DAY, None, model=FLASH)
        (before,) = series.latency(scope)
        p95 = before.histogram.percentile(95)
        assert (before.histogram.count, p95.low_ms, p95.high_ms) == (45, 100, 1000)
        assert before.mean_ms == 500
        source.put(DURATION, LATER, distribution(20_000, [0, 0, 0, 5]), **SHARED, latency_type="model")
        self.pull(backend, after=timedelta(minutes=5))
        (after,) = series.latency(scope)
        assert after.histogram.percentile(95).low_ms == 10_000
        assert after.histogram.percentile(95).high_ms is None
        assert after.mean_ms == D(40 * 500 + 5 * 20_000) / 45

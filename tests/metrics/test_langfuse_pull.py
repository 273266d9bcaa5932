"""Pulls of a Langfuse project: hand-made sums by environment, scores as quality, percentiles as Langfuse's own."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from metrics.connectors.langfuse import Langfuse
from metrics.models import HistogramHour, StatedPercentile
from tests.contracts.pull_suite import SECRET, PullSuite, running
from tests.doubles.langfuse_project import LangfuseProject, Observation, Score

NINE = datetime(2026, 11, 19, 9, tzinfo=UTC)
LATER = datetime(2026, 11, 21, 23, 59, tzinfo=UTC)


def project() -> LangfuseProject:
    """Two environments, a model without a price, an error, scores of an answer and of a whole trace."""
    return LangfuseProject(
        [
            Observation(NINE, latency_ms=1000, first_ms=300),
            Observation(NINE + timedelta(minutes=59), latency_ms=2000, first_ms=500),
            Observation(NINE, level="ERROR", output_tokens=0, cost=0.0, latency_ms=60_000),
            Observation(NINE, model="llama", cost=None, environment="staging"),
            Observation(LATER, cost=0.25, trace="other"),
            Observation(NINE, type="TOOL", model=None),
        ],
        [
            Score(NINE, value=1.0),
            Score(NINE, value=0.5),
            Score(LATER, value=0.25, model=None),
            Score(NINE, "length", 99),
        ],
        keys=("pk-lf-1", SECRET),
    )


class TestPull(PullSuite):
    kind = "langfuse"
    by = ("model", "label:environment")
    without = frozenset()
    expected = {
        ("gpt-x", "production"): {
            "requests": 4,
            "errors": 1,
            "input_tokens": 400,
            "output_tokens": 60,
            "estimated_cost": Decimal("0.27"),
            "duration_count": 3,
            "duration_sum_ms": Decimal(4000),
            "time_to_first_token_count": 2,
            "time_to_first_token_sum_ms": Decimal(800),
            "quality_sum": Decimal("1.5"),
            "quality_count": 2,
        },
        ("llama", "staging"): {
            "requests": 1,
            "errors": 0,
            "input_tokens": 100,
            "output_tokens": 20,
            "duration_count": 1,
            "duration_sum_ms": Decimal(1000),
        },
        ("unknown", "production"): {"quality_sum": Decimal("0.25"), "quality_count": 1},
    }
    restated = {("gpt-x", "production"): {"estimated_cost": Decimal("0.02"), "output_tokens": 3}}
    dropped = {
        ("llama", "staging"): {
            "requests": -1,
            "input_tokens": -100,
            "output_tokens": -20,
            "duration_count": -1,
            "duration_sum_ms": Decimal(-1000),
        }
    }

    @pytest.fixture(autouse=True)
    def _far_back(self, monkeypatch):
        """A correction is listed once an hour is three days old, further back than a pull of Langfuse usually reads."""
        monkeypatch.setattr(Langfuse, "trailing_hours", 96)

    def double(self):
        return running(project())

    def parameters(self, url):
        return {"address": url, "public_key": "pk-lf-1", "secret_key": SECRET, "scores": "correctness"}

    def restate(self, source):
        source.observations[0].cost, source.observations[0].output_tokens = 0.03, 23

    def drop(self, source):
        source.observations = [one for one in source.observations if one.model != "llama"]

    def test_percentiles_are_kept_as_langfuses_own(self, backend):
        self.pull(backend)
        held = StatedPercentile.objects.filter(series__model="gpt-x", start=NINE, measure=1)
        assert {(row.percent, row.value_ms, row.count) for row in held} == {
            (Decimal(50), Decimal(1000), 2),
            (Decimal(95), Decimal(2000), 2),
            (Decimal(99), Decimal(2000), 2),
        }
        assert not HistogramHour.objects.filter(series__backend=backend).exists()

"""Pulls of a LiteLLM proxy: hand-made sums of teams and keys, percentiles of its requests, a day without logs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from metrics.connectors.litellm import LiteLLM
from metrics.histogram import bucket_of, buckets_of
from metrics.models import HistogramHour
from tests.contracts.pull_suite import SECRET, PullSuite, running
from tests.doubles.litellm_proxy import LiteLLMProxy, Request

NINE = datetime(2026, 11, 19, 9, tzinfo=UTC)
LATER = datetime(2026, 11, 21, 23, 59, 59, 900_000, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def proxy() -> LiteLLMProxy:
    """Two teams; one key with two models, one without a price; a request in the last moment of a day."""
    claims = {"team": "claims", "key_alias": "claims-key"}
    return LiteLLMProxy(
        [
            *(Request(f"a{n}", NINE + n * SECOND, duration_ms=900 + 100 * n, **claims) for n in range(3)),
            Request("b", NINE, model="openai/gpt-x", spend=0.02, prompt_tokens=300, first_ms=100, **claims),
            Request("c", NINE, model="hosted_vllm/llama", provider="hosted_vllm", spend=0, **claims),
            Request("d", NINE, status="failure", spend=0, prompt_tokens=0, completion_tokens=0, **claims),
            Request("e", NINE, team="support", key_alias="support-key", spend=0.005, cached_tokens=40),
            Request("f", LATER, team="support", key_alias="support-key", spend=0.005),
        ],
        key=SECRET,
    )


class TestPull(PullSuite):
    kind = "litellm"
    by = ("model", "provider", "label:team")
    without = frozenset()
    expected = {
        ("gpt-x-mini", "openai", "claims"): {
            "requests": 4,
            "errors": 1,
            "input_tokens": 300,
            "output_tokens": 60,
            "estimated_cost": Decimal("0.003"),
            "duration_count": 3,
            "duration_sum_ms": Decimal(3000),
        },
        ("gpt-x", "openai", "claims"): {
            "requests": 1,
            "errors": 0,
            "input_tokens": 300,
            "output_tokens": 20,
            "estimated_cost": Decimal("0.02"),
            "duration_count": 1,
            "duration_sum_ms": Decimal(800),
            "time_to_first_token_count": 1,
            "time_to_first_token_sum_ms": Decimal(100),
            "inter_token_count": 1,
            "inter_token_sum_ms": Decimal("36.842105"),
        },
        # Tokens without a price: no cost at all, never zero.
        ("llama", "hosted_vllm", "claims"): {
            "requests": 1,
            "errors": 0,
            "input_tokens": 100,
            "output_tokens": 20,
            "duration_count": 1,
            "duration_sum_ms": Decimal(800),
        },
        ("gpt-x-mini", "openai", "support"): {
            "requests": 2,
            "errors": 0,
            "input_tokens": 200,
            "cached_input_tokens": 40,
            "output_tokens": 40,
            "estimated_cost": Decimal("0.01"),
            "duration_count": 2,
            "duration_sum_ms": Decimal(1600),
        },
    }
    restated = {
        ("gpt-x", "openai", "claims"): {
            "output_tokens": 5,
            "estimated_cost": Decimal("0.001"),
            # 700 ms over 24 tokens and not over 19.
            "inter_token_sum_ms": Decimal("-7.675438"),
        }
    }
    dropped = {
        ("llama", "hosted_vllm", "claims"): {
            "requests": -1,
            "input_tokens": -100,
            "output_tokens": -20,
            "duration_count": -1,
            "duration_sum_ms": Decimal(-800),
        }
    }

    @pytest.fixture(autouse=True)
    def _far_back(self, monkeypatch):
        """A correction is listed once an hour is three days old, further back than a pull of LiteLLM usually reads."""
        monkeypatch.setattr(LiteLLM, "trailing_hours", 96)

    def double(self):
        return running(proxy())

    def parameters(self, url):
        return {"address": url, "key": SECRET}

    def restate(self, source):
        request = source.requests[3]
        request.completion_tokens, request.spend = 25, 0.021

    def drop(self, source):
        source.requests = [request for request in source.requests if request.request_id != "c"]

    def test_percentiles_are_those_of_the_requests(self, backend):
        self.pull(backend)
        row = HistogramHour.objects.get(
            series__model="gpt-x-mini", series__labels__team="claims", measure=1, bounds__isnull=True
        )
        assert buckets_of(row.window) == {bucket_of(ms): 1 for ms in (900, 1000, 1100)}

    def test_a_day_whose_logs_were_deleted_before_it_was_read_has_its_totals(self, source, backend):
        for request in source.requests:
            request.is_logged = False
        self.pull(backend)
        counted = self.sums(backend)
        for key, sums in self.expected.items():
            assert counted[key]["requests"] == sums["requests"]
            assert counted[key].get("estimated_cost") == sums.get("estimated_cost")
        self.assert_ledger_is_right()

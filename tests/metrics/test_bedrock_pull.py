"""Pulls of Amazon Bedrock against a double: the hand-made sum, percentiles, and costs asked for once a day."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from metrics import series
from metrics.figures import Scope
from metrics.models import LedgerEntry, StatedPercentile
from tests.contracts.pull_suite import SECRET, PullSuite, difference
from tests.doubles.aws_bedrock import BedrockAccount, bedrock_account

D = Decimal
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
SONNET, NOVA = "anthropic.claude-3-5-sonnet-20240620-v1:0", "amazon.nova-lite-v1:0"
# The last day that has settled at the first pull, and a later one.
SETTLED = datetime(2026, 11, 19, 11, tzinfo=UTC)
LATER = datetime(2026, 11, 22, 8, tzinfo=UTC)


def an_account() -> BedrockAccount:
    account = BedrockAccount(page_size=3)
    account.invocations(SETTLED, model=SONNET, requests=10, tokens_in=1000, tokens_out=200)
    account.invocations(SETTLED + HOUR, model=SONNET, requests=30, tokens_in=3000, tokens_out=600)
    account.invocations(LATER, model=SONNET, requests=5, tokens_in=50, tokens_out=7)
    account.invocations(SETTLED, model=f"eu.{NOVA}", requests=4, tokens_in=400, tokens_out=80)
    account.put("InvocationServerErrors", SETTLED, model=SONNET, Sum=3)
    account.put("CacheReadInputTokens", SETTLED, model=SONNET, Sum=500)
    day = SETTLED.date()
    account.charge(day, "EUC1-Claude3.5Sonnet-input-tokens", "7.00")
    account.charge(day, "EUC1-Claude3.5Sonnet-output-tokens", "1.00")
    account.charge(day, "EUC1-NovaLite-input-tokens", "0.30")
    account.charge(day, "Credits", "-2.5", record_type="Credit")
    account.charge(day, "Tax", "1.9", record_type="Tax")
    # Has not settled yet.
    account.charge(LATER.date(), "EUC1-NovaLite-input-tokens", "99")
    return account


class TestPulls(PullSuite):
    kind = "bedrock"
    expected = {
        SONNET: {
            "requests": 45,
            "errors": 3,
            # 1,000 + 3,000 + 50, and 500 read from the cache.
            "input_tokens": 4550,
            "cached_input_tokens": 500,
            "output_tokens": 807,
            "duration_count": 45,
            "duration_sum_ms": D(45_000),
            "time_to_first_token_count": 45,
            "time_to_first_token_sum_ms": D(22_500),
            "billed_cost": D("8.00"),
        },
        NOVA: {
            "requests": 4,
            "errors": 0,
            "input_tokens": 400,
            "output_tokens": 80,
            "duration_count": 4,
            "duration_sum_ms": D(4_000),
            "time_to_first_token_count": 4,
            "time_to_first_token_sum_ms": D(2_000),
            "billed_cost": D("0.30"),
        },
        "Credit": {"billed_cost": D("-2.5")},
    }
    restated = {SONNET: {"requests": 2, "output_tokens": 20}}
    dropped = {
        NOVA: {
            "requests": -4,
            "input_tokens": -400,
            "output_tokens": -80,
            "duration_count": -4,
            "duration_sum_ms": D(-4_000),
            "time_to_first_token_count": -4,
            "time_to_first_token_sum_ms": D(-2_000),
        }
    }

    def double(self):
        return bedrock_account(an_account())

    def parameters(self, url):
        return {
            "access_key_id": "AKIAEXAMPLE",
            "secret_access_key": SECRET,
            "regions": ["eu-central-1"],
            "cloudwatch_address": url,
            "cost_explorer_address": url,
        }

    def restate(self, source):
        source.put("Invocations", SETTLED, model=SONNET, Sum=12)
        source.put("OutputTokenCount", SETTLED, model=SONNET, Sum=220)

    def drop(self, source):
        for key in [key for key in source.metrics if NOVA in str(key)]:
            del source.metrics[key]

    # --- Percentiles

    def test_percentiles_are_kept_as_stated_and_restated_ones_replaced(self, source, backend):
        self.pull(backend)
        stated = StatedPercentile.objects.filter(measure=1, percent=95, series__model=SONNET).order_by("start")
        assert [(row.start, row.value_ms) for row in stated] == [
            (SETTLED, D("1800.5")),
            (SETTLED + HOUR, D("1800.5")),
            (LATER, D("1800.5")),
        ]
        source.put("InvocationLatency", SETTLED, model=SONNET, p95=4000)
        self.pull(backend, after=timedelta(minutes=5))
        (found,) = [
            one
            for one in series.stated_percentiles(Scope(SETTLED.date(), LATER.date() + DAY, None, model=SONNET))
            if (one.measure, one.percent) == ("duration", 95)
        ]
        assert (found.worst.start, found.worst.value_ms) == (SETTLED, 4000)
        assert (found.latest.start, found.latest.value_ms) == (LATER, D("1800.5"))
        entries = LedgerEntry.objects.count()
        assert self.pull(backend, after=timedelta(minutes=10)).receipt is None
        assert LedgerEntry.objects.count() == entries

    # --- Costs

    def test_costs_are_asked_for_once_a_day(self, source, backend):
        self.pull(backend)
        assert source.questions.count("GetCostAndUsage") >= 2
        source.questions.clear()
        for hours in range(1, 13):
            self.pull(backend, after=hours * HOUR)
        assert "GetCostAndUsage" not in source.questions
        assert "GetDimensionValues" not in source.questions
        assert self.sums(backend) == self.expected
        self.pull(backend, after=14 * HOUR)
        assert source.questions.count("GetDimensionValues") == 1

    def test_a_bill_that_moved_is_the_difference_on_the_next_day(self, source, backend):
        self.pull(backend)
        source.charge(SETTLED.date(), "EUC1-Claude3.5Sonnet-input-tokens", "0.75")
        corrected = self.pull(backend, after=5 * HOUR)
        assert corrected.receipt is None
        corrected = self.pull(backend, after=14 * HOUR)
        assert difference(self.sums(backend), self.expected) == {SONNET: {"billed_cost": D("0.75")}}
        self.assert_listed(backend, corrected.receipt, {SONNET: {"billed_cost": D("0.75")}})
        self.assert_ledger_is_right()

    def test_a_pull_in_which_costs_failed_is_no_pull_and_asks_again(self, source, backend):
        real = source._GetCostAndUsage
        source._GetCostAndUsage = lambda question: {"ResultsByTime": None}
        with pytest.raises(AssertionError, match="Cost Explorer's answer cannot be used"):
            self.pull(backend)
        assert self.sums(backend) == {}
        source._GetCostAndUsage = real
        self.pull(backend, after=timedelta(minutes=5))
        assert self.sums(backend) == self.expected

"""Pulls of Azure OpenAI against a double: the hand-made sum, in the currency of the bill, costs once a day."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from tests.contracts.pull_suite import SECRET, PullSuite, difference
from tests.doubles.azure_tenant import GENERATED, REQUESTS, RESOURCE, TENANT, AzureTenant, azure_tenant

D = Decimal
HOUR = timedelta(hours=1)
# The last day that has settled at the first pull, and a later one.
SETTLED = datetime(2026, 11, 19, 11, tzinfo=UTC)
LATER = datetime(2026, 11, 22, 8, tzinfo=UTC)
GPT = {"deployment": "chat-prod", "model": "gpt-4o"}
MINI = {"deployment": "chat-mini", "model": "gpt-4o-mini"}


def a_tenant() -> AzureTenant:
    tenant = AzureTenant(SECRET, page_size=1)
    tenant.usage(SETTLED, **GPT, requests=10, tokens_in=1000, tokens_out=200)
    tenant.usage(SETTLED + HOUR, **GPT, requests=30, tokens_in=3000, tokens_out=600)
    tenant.usage(LATER, **GPT, requests=5, tokens_in=50, tokens_out=7)
    tenant.usage(SETTLED, **MINI, requests=4, tokens_in=400, tokens_out=80)
    tenant.put(REQUESTS, SETTLED, **GPT, status="500", total=3)
    day = SETTLED.date()
    tenant.charge(day, "gpt 4o 0806 Inp glbl Tokens", "7.00")
    tenant.charge(day, "gpt 4o 0806 Outp glbl Tokens", "1.00")
    tenant.charge(day, "gpt 4o mini 0718 Inp glbl Tokens", "0.30")
    tenant.charge(day, "gpt 4o 0806 Inp glbl Tokens", "-2.5", charge_type="Refund")
    tenant.charge(LATER.date(), "gpt 4o 0806 Inp glbl Tokens", "99")
    return tenant


class TestPulls(PullSuite):
    kind = "azure_openai"
    expected = {
        "gpt-4o": {
            "requests": 48,
            "errors": 3,
            "input_tokens": 4050,
            "output_tokens": 807,
            # Means of 1,500 and 400 ms over the 45 that succeeded.
            "duration_count": 45,
            "duration_sum_ms": D(67_500),
            "time_to_first_token_count": 45,
            "time_to_first_token_sum_ms": D(18_000),
            "billed_cost EUR": D("8.00"),
        },
        "gpt-4o-mini": {
            "requests": 4,
            "errors": 0,
            "input_tokens": 400,
            "output_tokens": 80,
            "duration_count": 4,
            "duration_sum_ms": D(6_000),
            "time_to_first_token_count": 4,
            "time_to_first_token_sum_ms": D(1_600),
            "billed_cost EUR": D("0.30"),
        },
        "Adjustment": {"billed_cost EUR": D("-2.5")},
    }
    restated = {"gpt-4o": {"requests": 2, "output_tokens": 20}}
    dropped = {
        "gpt-4o-mini": {
            "requests": -4,
            "input_tokens": -400,
            "output_tokens": -80,
            "duration_count": -4,
            "duration_sum_ms": D(-6_000),
            "time_to_first_token_count": -4,
            "time_to_first_token_sum_ms": D(-1_600),
        }
    }

    def double(self):
        return azure_tenant(a_tenant())

    def parameters(self, url):
        return {
            "tenant_id": TENANT,
            "client_id": "99999999-8888-7777-6666-555555555555",
            "client_secret": SECRET,
            "resources": [RESOURCE],
            "address": url,
            "login_address": url,
        }

    def restate(self, source):
        source.put(REQUESTS, SETTLED, **GPT, status="200", total=12)
        source.put(GENERATED, SETTLED, **GPT, total=220)

    def drop(self, source):
        for key in [key for key in source.points if MINI["deployment"] in str(key)]:
            del source.points[key]

    def test_a_bill_that_moved_is_the_difference_on_the_next_day(self, source, backend):
        self.pull(backend)
        source.charge(SETTLED.date(), "gpt 4o 0806 Inp glbl Tokens", "0.75")
        source.questions.clear()
        assert self.pull(backend, after=5 * HOUR).receipt is None
        assert "costs" not in source.questions
        corrected = self.pull(backend, after=14 * HOUR)
        changed = {"gpt-4o": {"billed_cost EUR": D("0.75")}}
        assert difference(self.sums(backend), self.expected) == changed
        self.assert_listed(backend, corrected.receipt, changed)

"""The Amazon Bedrock connector passes the conformance suite."""

from __future__ import annotations

import json

import pytest

from metrics.connectors.bedrock import Bedrock
from tests.contracts.connector_suite import SECRET, START, StatementConnectorSuite
from tests.doubles.aws_bedrock import BedrockAccount
from tests.doubles.source_server import Asked, Reply
from tests.metrics.bedrock.asking import DAY, HOUR, SONNET, parameters


def account_of(*, factor: int = 1) -> BedrockAccount:
    account = BedrockAccount()
    for hour in range(-2, 5):
        account.invocations(START + hour * HOUR, model=SONNET, requests=10 * factor, tokens_in=1000, tokens_out=200)
    # The first of these days has settled when the suite pulls.
    for day in (START.date() + DAY * n for n in (-2, 0, 1)):
        account.charge(day, "EUC1-Claude3.5Sonnet-input-tokens", "1.25")
        account.charge(day, "EUC1-Claude3.5Sonnet-output-tokens", "3.5")
        account.charge(day, "Tax", "0.9", record_type="Tax")
    return account


class TestSuite(StatementConnectorSuite):
    kind = "bedrock"
    count, amount, currency = "Values", "Amount", "Unit"
    amount_is_text = True
    not_applicable = {"more but not where": "A page of AWS without a cursor is the last one."}

    @pytest.fixture(autouse=True)
    def _costs_at_each_pull(self, monkeypatch):
        """So that a second pull asks for them as well; that it does not is tested in test_bedrock_pull.py."""
        monkeypatch.setattr(Bedrock, "asks_costs_once_a_day", False)

    def altered(self, field, value):
        if field != self.count:
            return super().altered(field, value)

        def change(row):
            if row.get("Values"):
                row["Values"] = [value] * len(row["Values"])

        return self._with(change)

    def repeated(self):
        def change(row):
            for name in ("Metrics", "MetricDataResults", "ResultsByTime"):
                if isinstance(row.get(name), list):
                    row[name] = row[name] * 2

        return self._with(change)

    def emptied(self):
        def change(row):
            for name in ("Metrics", "MetricDataResults", "ResultsByTime"):
                if isinstance(row.get(name), list):
                    row[name] = []

        return self._with(change)

    def endless(self, cursor):
        def change(row):
            if "MetricDataResults" in row:
                row["NextToken"] = cursor()

        return self._with(change)

    def parameters(self, url):
        return parameters(url)

    def good(self, asked):
        return account_of().play(asked)

    def restated(self, asked):
        return account_of(factor=2).play(asked)

    def many_pages(self):
        account = account_of()
        account.page_size = 1
        return account.play

    def test_no_secret_comes_back_when_the_source_repeats_it(self, source, connect):
        """The secret signs and is never sent; where somebody repeats it all the same it is taken out."""

        def play(asked: Asked) -> Reply:
            assert SECRET not in str(asked.headers) + asked.body
            return Reply(status=403, body=json.dumps({"message": f"key {SECRET} may not read this"}))

        source.play = play
        error = self.failure(connect())
        assert "may not read this" in error.message
        assert SECRET not in str(connect().test().lines)

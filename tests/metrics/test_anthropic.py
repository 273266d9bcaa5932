"""The Anthropic connector: the conformance suite for both generations of reports, and what is asked for."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from metrics.connector import CostStatement, NotStated
from metrics.connectors import connector_for
from metrics.usage import UsageCell
from metrics.windows import DAY, Window
from tests.contracts.connector_suite import HOUR, SECRET, START, StatementConnectorSuite
from tests.contracts.pull_suite import running
from tests.doubles.anthropic_organization import BETA, AnthropicOrganization
from tests.doubles.source_server import Asked, Reply


def organization() -> AnthropicOrganization:
    """Usage in every hour and a cost of every day of the week before."""
    source = AnthropicOrganization(key=SECRET)
    demo = {"model": "claude-demo-4", "workspace_id": "wrkspc_01X", "service_tier": "standard"}
    counts = {"uncached_input_tokens": 100, "cache_read_input_tokens": 30, "output_tokens": 20, "requests": 2}
    for hour in range(-170, 4):
        source.use(START + hour * HOUR, dict(counts), **demo, api_key_id="apikey_1")
    for day in range(-8, 2):
        source.charge(START.replace(hour=0) + day * DAY, "250", cost_type="tokens", description="Tokens", **demo)
    return source


class Suite(StatementConnectorSuite):
    """Either generation."""

    kind = "anthropic"
    count, amount, currency = "uncached_input_tokens", "amount", "currency"
    amount_is_text = True

    def parameters(self, url):
        return {"admin_key": SECRET, "address": url}

    @pytest.fixture(autouse=True)
    def _organization(self):
        with running(organization()) as self.told:
            yield

    def good(self, asked: Asked) -> Reply:
        return self.told.answer(asked)

    def restated(self, asked: Asked) -> Reply:
        for row in self.told.used:
            row.counts["output_tokens"] = 21
        return self.told.answer(asked)

    def many_pages(self):
        self.told.items_a_page = 1
        return self.told.answer


class TestSuite(Suite):
    def test_the_question_is_what_the_documentation_asks_for(self, source, connect):
        list(connect(workspaces="wrkspc_01X").fetch(self.window))
        usage, cost = source.asked
        assert usage.path == "/v1/organizations/usage_report/messages"
        assert cost.path == "/v1/organizations/cost_report"
        headers = {name.lower(): value for name, value in usage.headers.items()}
        assert headers["x-api-key"] == SECRET
        assert headers["anthropic-version"] == "2023-06-01"
        assert "anthropic-beta" not in headers
        assert usage.value("starting_at") == "2026-11-20T22:00:00Z"
        assert (usage.value("bucket_width"), usage.value("limit")) == ("1h", "168")
        groups = [value for name, value in usage.values if name == "group_by[]"]
        assert groups == ["model", "workspace_id", "service_tier"]
        assert [value for name, value in usage.values if name == "workspace_ids[]"] == ["wrkspc_01X"]
        assert (cost.value("starting_at"), cost.value("ending_at")) == ("2026-11-20T00:00:00Z", "2026-11-22T00:00:00Z")

    def test_only_the_workspaces_asked_for_are_charged(self, source, connect):
        self.told.charge(START.replace(hour=0), "999", cost_type="tokens", model="claude-demo-4", workspace_id="other")
        found = list(connect(workspaces="wrkspc_01X").fetch(self.window))
        assert {item.project for item in found if isinstance(item, CostStatement)} == {"wrkspc_01X"}
        found = list(connect(workspaces="default").fetch(self.window))
        assert found == []

    @pytest.mark.parametrize(
        ("said", "covers"),
        [
            ({"cost_type": "tokens", "model": "claude-demo-4"}, "claude-demo-4"),
            ({"cost_type": "tokens"}, None),
            ({"cost_type": "web_search"}, "web search"),
            ({"cost_type": "code_execution"}, "code execution"),
            ({"cost_type": "session_usage"}, "session usage"),
            ({"cost_type": "something_new"}, "something new"),
            ({}, None),
        ],
    )
    def test_a_cost_says_what_it_covers(self, source, connect, said, covers):
        self.told.charged = []
        self.told.charge(START.replace(hour=0), "1.5", description="Described", workspace_id="w", **said)
        found = [item for item in self.read(connect()) if isinstance(item, CostStatement)]
        assert [(item.model, str(item.amount), item.currency) for item in found] == [(covers, "0.015", "USD")]

    def test_a_key_of_a_workspace_is_told_what_to_do(self, source, connect):
        self.told.key = "another"
        error = self.failure(connect())
        assert error.permanent
        assert "invalid x-api-key" in error.message
        assert "Admin key" in error.hint

    def test_classic_reports_offer_no_requests(self):
        kind = connector_for("anthropic")
        reports, not_offered = kind.offer({"reports": "classic"})
        assert "requests" in not_offered
        reports, not_offered = kind.offer({"reports": "analytics"})
        assert "requests" in reports
        assert "requests" not in not_offered


class TestAnalyticsSuite(Suite):
    def parameters(self, url):
        return {"admin_key": SECRET, "address": url, "reports": "analytics"}

    def repeated(self):
        def play(asked: Asked) -> Reply:
            reply = self.usual(asked)
            document = json.loads(reply.body)
            document["data"] *= 2
            return replace(reply, body=json.dumps(document))

        return play

    def emptied(self):
        def play(asked: Asked) -> Reply:
            reply = self.usual(asked)
            return replace(reply, body=json.dumps({**json.loads(reply.body), "data": []}))

        return play

    def test_the_beta_is_named(self, source, connect):
        self.read(connect())
        assert {asked.path for asked in source.asked} == {
            "/v1/organizations/analytics/usage",
            "/v1/organizations/analytics/cost",
        }
        for asked in source.asked:
            sent = {name.lower(): value for name, value in asked.headers.items()}
            assert (sent["anthropic-beta"], sent["anthropic-version"]) == (BETA, "2026-10-21")
            assert sent["authorization"] == f"Bearer {SECRET}"
            assert "x-api-key" not in sent

    def test_the_sum_of_the_types_of_cost_is_not_added_to_them(self, source, connect):
        def play(asked: Asked) -> Reply:
            reply = self.told.answer(asked)
            if not asked.path.endswith("/cost"):
                return reply
            document = json.loads(reply.body)
            for row in list(document["data"]):
                document["data"].append({**row, "group": {**row["group"], "cost_type": None}})
            return replace(reply, body=json.dumps(document))

        expected = self.read(connect())
        source.play = play
        assert self.read(connect()) == expected

    def test_a_year_is_kept_and_nothing_before_2026(self, source, connect):
        connector = connect()
        start = datetime(2025, 12, 30, tzinfo=UTC)
        found = list(connector.fetch(Window(start, start + 3 * DAY)))
        assert found == [NotStated(start, datetime(2026, 1, 1, tzinfo=UTC))]
        connector.clock = lambda: datetime(2027, 3, 1, 10, 30, tzinfo=UTC)
        start = datetime(2026, 3, 1, tzinfo=UTC)
        asked = len(source.asked)
        found = list(connector.fetch(Window(start, start + 2 * DAY)))
        assert found[0] == NotStated(start, datetime(2026, 3, 1, 11, tzinfo=UTC))
        assert source.asked[asked].value("starting_at") == "2026-03-02T00:00:00Z"

    def test_more_than_a_month_is_asked_for_in_parts(self, source, connect):
        connector = connect()
        connector.clock = lambda: datetime(2026, 12, 20, tzinfo=UTC)
        found = list(connector.fetch(Window(START - 60 * DAY, START)))
        spans = [
            datetime.fromisoformat(asked.value("ending_at")) - datetime.fromisoformat(asked.value("starting_at"))
            for asked in source.asked
        ]
        assert max(spans) <= timedelta(days=31)
        assert len([item for item in found if isinstance(item, UsageCell)]) == 170

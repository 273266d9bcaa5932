"""The OpenAI connector: the conformance suite, paging guards, groupings that an organization refuses, amounts."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from metrics.connector import CostStatement
from metrics.usage import SeriesKey, UsageCell
from metrics.windows import Window
from tests.contracts.connector_suite import SECRET, START, StatementConnectorSuite
from tests.doubles.source_server import Asked, Reply

HOUR = 3600


def page(buckets, **more):
    return Reply(json.dumps({"object": "page", "data": buckets, "has_more": False, "next_page": None, **more}))


def bucket(start, width, results):
    return {"object": "bucket", "start_time": start, "end_time": start + width, "results": results}


def usage_row(**fields):
    return {
        "object": "organization.usage.completions.result",
        "model": "gpt-x-mini",
        "project_id": "proj_a1",
        "batch": False,
        "service_tier": "default",
        "input_tokens": 1000,
        "input_cached_tokens": 400,
        "output_tokens": 200,
        "num_model_requests": 10,
        **fields,
    }


def cost_row(**fields):
    return {
        "object": "organization.costs.result",
        "amount": {"value": 3.2175, "currency": "usd"},
        "line_item": "gpt-x-mini, input_tokens",
        "project_id": "proj_a1",
        **fields,
    }


def organization(asked: Asked, *, row=None, cost=None) -> Reply:
    """Usage in every hour asked for and a cost in every day."""
    if asked.path.endswith("/projects"):
        return Reply(json.dumps({"object": "list", "data": [], "has_more": False}))
    start, end = int(asked.value("start_time") or 0), int(asked.value("end_time") or 0)
    width = {"1h": HOUR, "1d": 24 * HOUR}[asked.value("bucket_width") or ""]
    if asked.path.endswith("/costs"):
        results = [cost or cost_row()]
    else:
        results = [row or usage_row()] if asked.path.endswith("/completions") else []
    return page([bucket(at, width, results) for at in range(start, end, width)])


class TestSuite(StatementConnectorSuite):
    kind = "openai"
    count, amount, currency = "input_tokens", "value", "currency"

    def parameters(self, url):
        return {"admin_key": SECRET, "address": f"{url}/v1"}

    def good(self, asked: Asked) -> Reply:
        return organization(asked)

    def restated(self, asked: Asked) -> Reply:
        return organization(asked, row=usage_row(output_tokens=201))

    def many_pages(self):
        """One bucket a page."""

        def play(asked: Asked) -> Reply:
            whole = json.loads(organization(asked).body)["data"]
            at = int(asked.value("page") or 0)
            is_last = at + 1 >= len(whole)
            return page(whole[at : at + 1], has_more=not is_last, next_page=None if is_last else str(at + 1))

        return play

    def test_input_is_not_added_to_its_cached_part(self, connect):
        cells = [item for item in self.read(connect()) if isinstance(item, UsageCell)]
        assert cells[0].key == SeriesKey("openai", "gpt-x-mini", labels=(("project", "proj_a1"),))
        assert cells[0].sums == {
            "requests": 10,
            "input_tokens": 1000,
            "cached_input_tokens": 400,
            "output_tokens": 200,
        }

    def test_costs_are_exact_and_name_what_they_cover(self, connect):
        statements = [item for item in self.read(connect()) if isinstance(item, CostStatement)]
        # The window runs over midnight: two days.
        assert [statement.start.day for statement in statements] == [20, 21]
        assert statements[0].amount == Decimal("3.2175")
        assert statements[0].end - statements[0].start == timedelta(days=1)
        assert (statements[0].currency, statements[0].model, statements[0].project) == ("USD", "gpt-x-mini", "proj_a1")

    @pytest.mark.parametrize(
        ("value", "amount", "category"),
        [("0.1", "0.1", "Usage"), (7, "7", "Usage"), (-1.5, "-1.5", "Credit"), ("1e-7", "1E-7", "Usage")],
    )
    def test_an_amount_may_be_a_number_or_text(self, source, connect, value, amount, category):
        source.play = lambda asked: organization(asked, cost=cost_row(amount={"value": value, "currency": "eur"}))
        found = [item for item in self.read(connect()) if isinstance(item, CostStatement)][0]
        assert (found.amount, found.charge_category, found.currency) == (Decimal(amount), category, "EUR")

    @pytest.mark.parametrize("value", ["NaN", "Infinity", "ten", True, [1]])
    def test_an_amount_that_is_none_is_refused(self, source, connect, value):
        source.play = lambda asked: organization(asked, cost=cost_row(amount={"value": value}))
        assert "amount" in self.failure(connect()).message

    @pytest.mark.parametrize("tokens", [-1, 1.5, "12", True, [3]])
    def test_a_token_count_that_is_none_is_refused(self, source, connect, tokens):
        source.play = lambda asked: organization(asked, row=usage_row(input_tokens=tokens))
        assert "input_tokens" in self.failure(connect()).message

    def test_nan_in_the_document_is_refused(self, source, connect):
        source.play = lambda asked: Reply('{"data": [{"start_time": NaN, "end_time": 1, "results": []}]}')
        assert "JSON" in self.failure(connect()).message

    def test_what_was_not_reported_stays_unknown(self, source, connect):
        source.play = lambda asked: organization(asked, row=usage_row(input_cached_tokens=None))
        cell = next(item for item in self.read(connect()) if isinstance(item, UsageCell))
        assert "cached_input_tokens" not in cell.sums
        assert "cache_write_input_tokens" not in cell.sums

    @pytest.mark.parametrize(
        ("fields", "tier"),
        [
            ({"service_tier": None}, "standard"),
            ({"service_tier": "flex"}, "flex"),
            ({"batch": True}, "batch"),
        ],
    )
    def test_batch_and_tiers_are_series_of_their_own(self, source, connect, fields, tier):
        source.play = lambda asked: organization(asked, row=usage_row(**fields))
        cell = next(item for item in self.read(connect()) if isinstance(item, UsageCell))
        assert cell.key.service_tier == tier

    @pytest.mark.parametrize(
        ("line_item", "covers"),
        [
            ("gpt-x-mini, input_tokens", "gpt-x-mini"),
            ("ft:gpt-x:acme::a1, cached input", "ft:gpt-x:acme::a1"),
            ("embed-x", "embed-x"),
            ("web search tool calls", "web search"),
            ("file search | tool calls", "file search"),
            ("assistants api | vector store storage", "vector stores"),
            ("code-interpreter sessions", "code interpreter"),
            ("Priority support fee, monthly", None),
            (None, None),
        ],
    )
    def test_a_line_item_says_what_it_covers(self, source, connect, line_item, covers):
        source.play = lambda asked: organization(asked, cost=cost_row(line_item=line_item))
        found = [item for item in self.read(connect()) if isinstance(item, CostStatement)][0]
        assert found.model == covers
        assert found.description == (line_item or "")

    def test_a_cursor_that_repeats_ends_in_an_error(self, source, connect):
        source.play = lambda asked: page([], has_more=True, next_page="again")
        assert "same page" in self.failure(connect()).message
        assert len(source.asked) == 2

    def test_more_without_a_cursor_is_an_error(self, source, connect):
        source.play = lambda asked: page([], has_more=True)
        assert "more" in self.failure(connect()).message

    def test_pages_without_end_are_cut_off(self, source, connect, monkeypatch):
        monkeypatch.setattr("metrics.answers.MOST_PAGES", 5)
        source.play = lambda asked: page([], has_more=True, next_page=str(len(source.asked)))
        assert "more than 5 pages" in self.failure(connect()).message
        assert len(source.asked) == 5

    def test_a_grouping_that_is_refused_is_followed_by_a_coarser_one(self, source, connect):
        def play(asked: Asked) -> Reply:
            if ("group_by[]", "project_id") in asked.values:
                return Reply(status=400, body='{"error": {"message": "unsupported combination of group_by"}}')
            return organization(asked, row=usage_row(project_id=None), cost=cost_row(project_id=None))

        source.play = play
        found = self.read(connect())
        assert {item.key.labels for item in found if isinstance(item, UsageCell)} == {()}
        assert {item.project for item in found if isinstance(item, CostStatement)} == {None}
        source.play = lambda asked: Reply(status=400)
        assert self.failure(connect()).permanent

    def test_an_endpoint_that_an_organization_has_not_is_left_out(self, source, connect):
        def play(asked: Asked) -> Reply:
            return Reply(status=404) if asked.path.endswith("/images") else organization(asked)

        source.play = play
        assert self.read(connect())

    def test_embeddings_are_another_operation(self, source, connect):
        def play(asked: Asked) -> Reply:
            if asked.path.endswith("/embeddings"):
                row = {"model": "embed-x", "input_tokens": 70, "num_model_requests": 3}
                return page([bucket(int(START.timestamp()), HOUR, [row])])
            return organization(asked)

        source.play = play
        cell = next(c for c in self.read(connect()) if isinstance(c, UsageCell) and c.key.operation == "embeddings")
        assert cell.sums == {"requests": 3, "input_tokens": 70}

    def test_the_question_is_what_the_specification_asks_for(self, source, connect):
        list(connect(projects="proj_a1\nproj_b2").fetch(self.window))
        asked = source.asked[0]
        assert asked.path == "/v1/organization/usage/completions"
        assert asked.headers["Authorization"] == f"Bearer {SECRET}"
        assert asked.value("start_time") == str(int(self.window.start.timestamp()))
        assert asked.value("end_time") == str(int(self.window.end.timestamp()))
        assert [value for name, value in asked.values if name == "project_ids[]"] == ["proj_a1", "proj_b2"]
        widths = Counter(a.value("bucket_width") for a in source.asked)
        assert widths == {"1h": 11, "1d": 1}

    def test_a_project_key_is_told_what_to_do(self, source, connect):
        source.play = lambda asked: Reply(status=401, body='{"error": {"message": "Missing scopes: api.usage.read"}}')
        error = self.failure(connect())
        assert "Missing scopes" in error.message
        assert "admin key" in error.hint

    def test_buckets_outside_the_window_are_left_out(self, source, connect):
        late = int(datetime(2026, 11, 25, tzinfo=UTC).timestamp())
        source.play = lambda asked: page([bucket(late, HOUR, [usage_row()])])
        assert [item for item in self.read(connect()) if isinstance(item, UsageCell)] == []

    def test_a_window_on_one_day_reads_the_cost_of_that_day_only(self, connect):
        start = datetime(2026, 11, 20, tzinfo=UTC)
        found = connect().fetch(Window(start, start + timedelta(days=1)))
        assert [item.start for item in found if isinstance(item, CostStatement)] == [start]

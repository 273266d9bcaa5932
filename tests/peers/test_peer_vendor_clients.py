"""The vendors' own clients read what our doubles say, so that the doubles are honest; and the figures are ours.

Each client asks the double as its vendor's documentation says, and what it reads is compared with what a pull counted.
"""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from metrics.connector import CostStatement
from metrics.connectors import connector_for
from metrics.http import HttpClient, OutboundPolicy, parse_networks
from metrics.usage import UsageCell
from metrics.windows import Window
from tests.contracts.pull_suite import SECRET, running
from tests.doubles.openai_organization import COUNTS
from tests.metrics import test_anthropic_pull, test_openai_pull, test_openrouter

DAY = timedelta(days=1)
FIRST = datetime(2026, 11, 18, tzinfo=UTC)
NOW = datetime(2026, 11, 22, 10, 30, tzinfo=UTC)


@pytest.fixture
def read():
    """`read(kind, days=..., **parameters)`: (cells, statements) of a connector over those days from 18 November on."""
    http = HttpClient(OutboundPolicy(allow=parse_networks(["127.0.0.0/8"])))

    def _read(kind: str, *, days: int = 4, **parameters):
        connector = connector_for(kind)
        made = connector(connector.clean_parameters(parameters), http, lambda: NOW)
        found = list(made.fetch(Window(FIRST, FIRST + days * DAY)))
        cells = [item for item in found if isinstance(item, UsageCell)]
        return cells, [item for item in found if isinstance(item, CostStatement)]

    yield _read
    http.close()


def total(cells, measure, **key) -> Decimal | int:
    return sum(
        cell.sums.get(measure, 0) for cell in cells if all(getattr(cell.key, k) == value for k, value in key.items())
    )


class TestOpenAI:
    @pytest.fixture
    def source(self):
        with running(test_openai_pull.organization()) as source:
            yield source

    @pytest.fixture
    def usage(self, source):
        openai = pytest.importorskip("openai")
        client = openai.OpenAI(admin_api_key=SECRET, base_url=f"{source.url}/v1", max_retries=0)
        return client.admin.organization.usage

    def pages(self, ask, **params):
        """Every result of every page, as the client's types."""
        start, end = int(FIRST.timestamp()), int((FIRST + 4 * DAY).timestamp())
        page = None
        while True:
            more = {"page": page} if page else {}
            answer = ask(start_time=start, end_time=end, **params, **more)
            assert answer.object == "page"
            for bucket in answer.data:
                assert bucket.object == "bucket"
                assert bucket.start_time < bucket.end_time
                yield from bucket.results
            if not answer.has_more:
                return
            page = answer.next_page

    @pytest.mark.parametrize(
        ("kind", "field", "operation", "measure", "group_by"),
        [
            ("completions", "input_tokens", "chat", "input_tokens", ["model", "project_id", "batch", "service_tier"]),
            ("decisions", "output_tokens", "decision", "output_tokens", ["model", "project_id"]),
            ("embeddings", "input_tokens", "embeddings", "input_tokens", ["model"]),
            ("moderations", "num_model_requests", "moderation", "requests", ["model"]),
            ("images", "images", "image_generation", "units", ["model", "size"]),
            ("audio_speeches", "characters", "text_to_speech", "units", ["model"]),
            ("audio_transcriptions", "seconds", "transcription", "units", ["model"]),
            ("code_interpreter_sessions", "num_sessions", "code_interpreter", "units", ["project_id"]),
            ("file_search_calls", "num_requests", "file_search", "units", ["project_id"]),
            ("web_search_calls", "num_requests", "web_search", "units", ["project_id", "context_level"]),
        ],
    )
    def test_usage(self, source, usage, read, kind, field, operation, measure, group_by):
        results = list(self.pages(getattr(usage, kind), bucket_width="1h", limit=168, group_by=group_by))
        assert results
        for result in results:
            # The client has picked the type by the object's name, so every field of the type is there.
            assert type(result).__name__.lower().startswith("data")
            assert all(isinstance(getattr(result, name), int) for name in COUNTS[kind])
            assert set(result.model_fields_set) >= {"object", *COUNTS[kind]}
            assert not result.model_extra, result.model_extra
        cells, _ = read("openai", admin_key=SECRET, address=f"{source.url}/v1")
        assert sum(getattr(result, field) for result in results) == total(cells, measure, operation=operation) > 0

    def test_vector_stores_in_gibibyte_hours(self, source, usage, read):
        results = list(self.pages(usage.vector_stores, bucket_width="1h", limit=168, group_by=["project_id"]))
        cells, _ = read("openai", admin_key=SECRET, address=f"{source.url}/v1")
        stored = Decimal(sum(result.usage_bytes for result in results)) / 1024**3
        assert stored == total(cells, "units", operation="vector_store") == 3

    def test_costs(self, source, usage, read):
        results = list(self.pages(usage.costs, bucket_width="1d", limit=180, group_by=["project_id", "line_item"]))
        assert {result.object for result in results} == {"organization.costs.result"}
        theirs = Counter()
        for result in results:
            assert not result.model_extra
            theirs[result.line_item] += Decimal(str(result.amount.value))
        _, statements = read("openai", admin_key=SECRET, address=f"{source.url}/v1")
        ours = Counter()
        for statement in statements:
            ours[statement.description] += statement.amount
        assert ours == theirs

    def test_a_grouping_that_is_refused_is_a_bad_request(self, source, usage):
        openai = pytest.importorskip("openai")
        source.refused.add(frozenset({"model", "project_id"}))
        with pytest.raises(openai.BadRequestError):
            list(self.pages(usage.completions, group_by=["model", "project_id"]))

    def test_projects(self, source):
        openai = pytest.importorskip("openai")
        client = openai.OpenAI(admin_api_key=SECRET, base_url=f"{source.url}/v1", max_retries=0)
        projects = {project.id: project.name for project in client.admin.organization.projects.list(limit=1)}
        assert projects == source.projects


class TestAnthropic:
    """The classic reports have no client; the analytics reports' client reads ours."""

    @pytest.fixture
    def source(self):
        with running(test_anthropic_pull.organization()) as source:
            source.refreshed_at = NOW
            yield source

    @pytest.fixture
    def analytics(self, source):
        anthropic = pytest.importorskip("anthropic")
        client = anthropic.Anthropic(api_key=SECRET, base_url=source.url, max_retries=0)
        return client.beta.organization.analytics

    def test_usage(self, source, analytics, read):
        page = analytics.usage.list(
            starting_at=FIRST,
            ending_at=FIRST + 4 * DAY,
            time_bucket_width="1h",
            limit=1000,
            group_by=["model", "workspace_id", "service_tier"],
            betas=["analytics-usage-cost-2026-08-24"],
        )
        assert page.data_refreshed_at == NOW.replace(second=0)
        rows = list(page)
        assert rows
        for row in rows:
            assert not row.model_extra
            assert row.usage.server_tool_use.web_search_requests >= 0
        cells, _ = read("anthropic", admin_key=SECRET, address=source.url, reports="analytics")
        parts = sum(
            row.usage.uncached_input_tokens
            + row.usage.cache_read_input_tokens
            + row.usage.cache_creation.ephemeral_1h_input_tokens
            + row.usage.cache_creation.ephemeral_5m_input_tokens
            for row in rows
        )
        assert parts == total(cells, "input_tokens") == 11_540
        assert sum(row.usage.requests for row in rows) == total(cells, "requests") == 18
        assert sum(row.usage.output_tokens for row in rows) == total(cells, "output_tokens") == 2510

    def test_costs(self, source, analytics, read):
        rows = list(
            analytics.cost.list(
                starting_at=FIRST,
                ending_at=FIRST + 4 * DAY,
                time_bucket_width="1d",
                limit=1000,
                group_by=["model", "workspace_id", "service_tier", "cost_type"],
                betas=["analytics-usage-cost-2026-08-24"],
            )
        )
        assert not any(row.model_extra or row.cost.model_extra for row in rows)
        _, statements = read("anthropic", admin_key=SECRET, address=source.url, reports="analytics")
        theirs = sum(Decimal(row.cost.amount) for row in rows) / 100
        assert theirs == sum(statement.amount for statement in statements)
        # And the classic report says the same.
        _, classic = read("anthropic", admin_key=SECRET, address=source.url)
        assert sum(statement.amount for statement in classic) == theirs


class TestOpenRouter:
    def test_activity(self, read):
        openrouter = pytest.importorskip("openrouter")
        with running(test_openrouter.account()) as source:
            client = openrouter.OpenRouter(api_key=SECRET, server_url=f"{source.url}/api/v1")
            rows = client.analytics.get_user_activity(request={"group_by": "workspace"}).data
            one_day = client.analytics.get_user_activity(request={"date_": date(2026, 11, 19).isoformat()}).data
            cells, statements = read(
                "openrouter", management_key=SECRET, address=f"{source.url}/api/v1", own_keys="counted"
            )
        assert {row.workspace_id for row in rows} == {"ws-claims", "ws-default"}
        assert {row.date_ for row in one_day} == {"2026-11-19"}
        assert sum(row.requests for row in rows) == total(cells, "requests") == 132
        assert sum(row.prompt_tokens for row in rows) == total(cells, "input_tokens")
        assert sum(row.completion_tokens for row in rows) == total(cells, "output_tokens")
        theirs = sum(Decimal(str(row.usage)) + Decimal(str(row.byok_usage_inference)) for row in rows)
        assert theirs == sum(statement.amount for statement in statements) == Decimal("11.0625")

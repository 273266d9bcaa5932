"""The LiteLLM connector: the conformance suite, who sees what, prices, latency, days whose logs are gone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from metrics.connectors import connector_for
from metrics.histogram import window_of_values
from metrics.usage import MeasuredAt, SeriesKey
from metrics.windows import Window
from tests.contracts.connector_suite import SECRET, START, StatementConnectorSuite
from tests.doubles.litellm_proxy import LiteLLMProxy, Request, answer
from tests.doubles.source_server import Asked, Reply

DATA = Path(__file__).resolve().parent.parent / "data"
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)


def requests() -> list[Request]:
    """Two teams in each of three hours."""
    found = []
    for number in range(3):
        at = START + number * HOUR + 5 * MINUTE
        found.append(Request(f"a{number}", at, duration_ms=1000, first_ms=200, completion_tokens=21))
        found.append(Request(f"b{number}", at + MINUTE, team="support", key_alias="support-key", spend=0.002))
    return found


class TestSuite(StatementConnectorSuite):
    kind = "litellm"
    rows = "data"
    count = "prompt_tokens"
    amount = "spend"
    cursor = "page"
    not_applicable = {
        "currency never seen": "LiteLLM's spend is in USD, without a currency beside it.",
        "currency that is none": "LiteLLM's spend is in USD, without a currency beside it.",
    }

    def parameters(self, url):
        return {"address": url, "key": SECRET}

    def good(self, asked: Asked) -> Reply:
        return answer(asked, requests())

    def restated(self, asked: Asked) -> Reply:
        found = requests()
        found[0].spend = 0.0011
        return answer(asked, found)

    def many_pages(self):
        one_a_page = LiteLLMProxy(requests())
        one_a_page.close()
        one_a_page.rows_a_page = 1
        return one_a_page.answer

    def emptied(self):
        return lambda asked: answer(asked, [])

    def _negative_amount(self, pulled, monkeypatch):
        """No request earns money."""
        self.fails(pulled, self.altered("spend", -1.5))

    @pytest.fixture
    def proxy(self, source):
        """Answers from a list that a test may change."""
        proxy = LiteLLMProxy()
        proxy.close()
        source.play = proxy.answer
        return proxy

    def test_a_gateway_says_where_it_measures(self, connect):
        assert connect().measured_at == MeasuredAt.GATEWAY

    def test_each_team_and_key_is_a_series_and_no_person_is(self, connect):
        cells = self.read(connect())
        assert {cell.key for cell in cells} == {
            SeriesKey("openai", "gpt-x-mini", labels=(("api_key_name", "claims-key"), ("team", "claims"))),
            SeriesKey("openai", "gpt-x-mini", labels=(("api_key_name", "support-key"), ("team", "support"))),
        }
        assert "person@example.com" not in repr(cells)
        assert "203.0.113.7" not in repr(cells)

    def test_sums_and_latencies_are_those_of_the_requests(self, connect):
        cell = self.read(connect())[0]
        assert cell.sums == {
            "requests": 1,
            "errors": 0,
            "input_tokens": 100,
            "output_tokens": 21,
            "estimated_cost": Decimal("0.001"),
            "duration_count": 1,
            "duration_sum_ms": Decimal(1000),
            "time_to_first_token_count": 1,
            "time_to_first_token_sum_ms": Decimal(200),
            "inter_token_count": 1,
            "inter_token_sum_ms": Decimal(40),
        }
        assert cell.currency == "USD"
        assert cell.windows == {
            "duration": window_of_values([1000]),
            "time_to_first_token": window_of_values([200]),
            "inter_token": window_of_values([40]),
        }

    @pytest.mark.parametrize("gap_ms", [0, 1, 5])
    def test_an_answer_in_one_piece_has_no_first_token(self, proxy, connect, gap_ms):
        proxy.requests = [Request("a", START, duration_ms=300, first_ms=300 - gap_ms)]
        assert set(self.read(connect())[0].windows) == {"duration"}

    def test_an_error_is_counted_and_not_timed(self, proxy, connect):
        proxy.requests = [
            Request(
                "a",
                START,
                status="failure",
                spend=0,
                prompt_tokens=0,
                completion_tokens=0,
                model="unknown-model",
                provider="",
            )
        ]
        cell = self.read(connect())[0]
        assert (cell.sums["requests"], cell.sums["errors"], cell.windows) == (1, 1, {})
        assert (cell.key.provider, cell.key.model) == ("unknown", "unknown-model")

    def test_zero_spend_for_tokens_is_no_price_and_never_zero(self, proxy, connect):
        proxy.requests = [Request("a", START, spend=0)]
        assert "estimated_cost" not in self.read(connect())[0].sums

    def test_what_the_proxys_own_cache_answered_cost_nothing(self, proxy, connect):
        proxy.requests = [Request("a", START, spend=0, cache_hit="True")]
        assert self.read(connect())[0].sums["estimated_cost"] == 0
        proxy.requests.append(Request("b", START, spend=0))
        assert "estimated_cost" not in self.read(connect())[0].sums

    def test_cached_tokens_are_inside_input(self, proxy, connect):
        proxy.requests = [Request("a", START, prompt_tokens=100, cached_tokens=60)]
        sums = self.read(connect())[0].sums
        assert (sums["input_tokens"], sums["cached_input_tokens"]) == (100, 60)
        # A version that did not include them.
        proxy.requests = [Request("a", START, prompt_tokens=10, cached_tokens=60)]
        assert self.read(connect())[0].sums["input_tokens"] == 70

    @pytest.mark.parametrize(
        ("call_type", "operation"),
        [
            ("acompletion", "chat"),
            ("aresponses", "chat"),
            ("anthropic_messages", "chat"),
            ("aembedding", "embeddings"),
            ("embedding", "embeddings"),
            ("arerank", "rerank"),
            ("something_new", "something_new"),
            ("", "chat"),
        ],
    )
    def test_call_types_are_operations(self, proxy, connect, call_type, operation):
        proxy.requests = [Request("a", START, call_type=call_type)]
        assert self.read(connect())[0].key.operation == operation

    def test_tags_are_kept_where_they_are_asked_for(self, proxy, connect):
        proxy.requests = [Request("a", START, tags=("User-Agent: x", "project-claims", "x@example.com"))]
        assert "tag" not in dict(self.read(connect())[0].key.labels)
        assert dict(self.read(connect(tags="project-*\nother"))[0].key.labels)["tag"] == "project-claims"
        assert "tag" not in dict(self.read(connect(tags="*@*"))[0].key.labels)

    def test_a_key_named_like_a_person_is_named_by_its_number(self, proxy, connect):
        proxy.requests = [Request("a", START, key_alias="alice@example.com")]
        number = proxy.requests[0].api_key[:8]
        assert dict(self.read(connect())[0].key.labels)["api_key_name"] == f"key {number}"

    def test_a_key_that_sees_only_itself_is_refused_in_words(self, proxy, connect):
        proxy.requests = requests()
        proxy.is_admin = False
        error = self.failure(connect())
        assert error.permanent
        assert "proxy_admin_viewer" in error.hint
        assert not connect().test().ok

    @pytest.mark.parametrize(
        "said",
        ['{"detail": {"error": "Database not connected. Connect one"}}', '{"error": {"message": "No connected db."}}'],
    )
    def test_a_proxy_without_a_database_says_what_to_read_instead(self, source, connect, said):
        source.play = lambda asked: Reply(status=500, body=said)
        error = self.failure(connect())
        assert error.permanent
        assert "/metrics" in error.hint

    def test_more_than_it_counts_is_asked_for_in_parts(self, proxy, connect):
        proxy.requests = [Request(f"r{n}", START + n * MINUTE, team="") for n in range(120)]
        proxy.count_cap = 10
        cells = self.read(connect())
        assert sum(cell.sums["requests"] for cell in cells) == 120
        assert sum(cell.sums["estimated_cost"] for cell in cells) == Decimal("0.12")

    def test_pages_that_repeat_rows_are_read_in_smaller_parts(self, source, proxy, connect):
        """Rows of the same moment have no order: a page may give one of them again and leave out another."""
        proxy.requests = [Request(f"r{n}", START + n * MINUTE, team="") for n in range(6)]
        proxy.rows_a_page = 4

        def play(asked: Asked) -> Reply:
            if asked.path == "/spend/logs/v2" and asked.value("page") == "2":
                twisted = [*asked.values]
                twisted[twisted.index(("page", "2"))] = ("page", "1")
                return proxy.answer(Asked(asked.method, asked.path, twisted, asked.headers))
            return proxy.answer(asked)

        source.play = play
        assert sum(cell.sums["requests"] for cell in self.read(connect())) == 6

    def test_a_day_whose_logs_are_gone_is_read_from_its_totals(self, proxy, connect):
        proxy.requests = requests()
        day = START.replace(hour=0)
        whole = Window(day, day + 24 * HOUR)
        by_hour = list(connect().fetch(whole))
        for request in proxy.requests:
            request.is_logged = False
        cells = list(connect().fetch(whole))
        assert {cell.hour for cell in cells} == {day + 12 * HOUR}
        assert all(cell.windows == {} for cell in cells)
        for measure in ("requests", "input_tokens", "output_tokens", "estimated_cost", "duration_sum_ms"):
            assert sum(c.sums[measure] for c in cells) == sum(c.sums[measure] for c in by_hour)
        assert {cell.key for cell in cells} == {cell.key for cell in by_hour}
        # Noon does not lie in these hours.
        assert list(connect().fetch(Window(START, START + 2 * HOUR))) == []
        assert any("read from the totals" in text for _, text in connect().test().lines)

    def test_totals_of_days_have_a_mean_and_no_percentiles(self, proxy, connect):
        proxy.requests = requests()
        connector = connect(read="days")
        day = START.replace(hour=0)
        cells = list(connector.fetch(Window(day, day + 48 * HOUR)))
        assert {cell.hour for cell in cells} == {day + 12 * HOUR, day + 36 * HOUR}
        assert sum(cell.sums["duration_count"] for cell in cells) == 6
        assert connector.reports.isdisjoint({"duration", "time_to_first_token"})
        assert "percentiles" in connector.not_offered["duration"]

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("spend", "NaN"),
            ("spend", -1),
            ("spend", True),
            ("prompt_tokens", -5),
            ("prompt_tokens", 1.5),
            ("prompt_tokens", 10**17),
            ("startTime", "yesterday"),
            ("startTime", None),
            ("endTime", 12),
            ("request_id", ""),
            ("metadata", "text"),
        ],
    )
    def test_a_row_that_cannot_be_true_ends_the_pull(self, source, connect, field, value):
        class Broken(Request):
            def row(self):
                return {**super().row(), field: value}

        source.play = lambda asked: answer(asked, [Broken("a", START)])
        assert "Nothing was taken" in self.failure(connect()).message

    def test_times_without_a_zone_are_utc_and_text_amounts_are_read(self, source, connect):
        class Older(Request):
            def row(self):
                row = super().row()
                return {**row, "startTime": row["startTime"].removesuffix("+00:00"), "spend": "0.25"}

        source.play = lambda asked: answer(asked, [Older("a", START + MINUTE)])
        cell = self.read(connect())[0]
        assert (cell.hour, cell.sums["estimated_cost"]) == (START, Decimal("0.25"))

    def test_the_address_may_be_that_of_the_api(self, source, connect):
        assert self.read(connect(f"{source.url}/v1/")) == self.read(connect())

    def test_it_reads_what_a_real_proxy_said(self, source, connect):
        """Recorded: tests/data/README.md."""
        recorded = {
            "/spend/logs/v2": (DATA / "litellm_spend_logs.json").read_text(),
            "/user/daily/activity": '{"results": [], "metadata": {"page": 1, "total_pages": 1, "has_more": false}}',
            "/v2/team/list": '{"teams": [], "total": 0, "page": 1, "page_size": 100, "total_pages": 1}',
        }
        source.play = lambda asked: Reply(recorded[asked.path])
        one = datetime(2026, 11, 26, 1, tzinfo=UTC)
        cells = list(connect(tags="proj-*").fetch(Window(one, one + HOUR)))
        assert sum(cell.sums["requests"] for cell in cells) == 10
        assert sum(cell.sums["errors"] for cell in cells) == 2
        assert sum(cell.sums.get("estimated_cost", 0) for cell in cells) == Decimal("0.000516")
        assert {dict(cell.key.labels)["tag"] for cell in cells} == {"proj-claims", "proj-support"}
        streamed = [cell for cell in cells if "time_to_first_token" in cell.windows]
        assert {cell.key.model for cell in streamed} == {"gpt-4o-mini"}
        assert sum(cell.sums["time_to_first_token_count"] for cell in streamed) == 2
        recorded["/user/daily/activity"] = (DATA / "litellm_daily_activity.json").read_text()
        day = one.replace(hour=0)
        totals = list(connect(read="days").fetch(Window(day, day + 24 * HOUR)))
        assert sum(cell.sums["requests"] for cell in totals) == 23
        assert sum(cell.sums["errors"] for cell in totals) == 4


def test_it_is_offered():
    assert connector_for("litellm").group == "gateway"

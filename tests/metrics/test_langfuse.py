"""The Langfuse connector: the conformance suite, answers that are full, counts as text, scores, the cloud's limits."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from metrics.connector import PercentileStatement
from metrics.connectors import connector_for
from metrics.http import HttpClient, OutboundPolicy
from metrics.usage import MeasuredAt, SeriesKey, UsageCell
from metrics.windows import Window
from tests.contracts.connector_suite import SECRET, START, StatementConnectorSuite
from tests.doubles.langfuse_project import Observation, Score, answer
from tests.doubles.source_server import Asked, Reply

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
KEY = SeriesKey("openai", "gpt-x", labels=(("environment", "production"),))


def observations() -> list[Observation]:
    """In each of three hours: two answers and an error."""
    found = []
    for number in range(3):
        at = START + number * HOUR + 5 * MINUTE
        found.append(Observation(at, first_ms=200))
        found.append(Observation(at, latency_ms=3000))
        found.append(Observation(at, level="ERROR", output_tokens=0, cost=0.0, latency_ms=50_000))
    return found


def scores() -> list[Score]:
    at = START + 10 * MINUTE
    return [Score(at, value=1), Score(at, value=0.25), Score(at, name="length", value=812)]


NO_PAGES = "Langfuse's answers have no pages: one that is full is asked for in halves."
IN_USD = "Langfuse's cost is in USD, without a currency beside it."


class TestSuite(StatementConnectorSuite):
    kind = "langfuse"
    rows = "data"
    count = "count_count"
    amount = "sum_totalCost"
    not_applicable = {
        **dict.fromkeys(("cursor repeats", "more for ever", "more but not where"), NO_PAGES),
        **dict.fromkeys(("currency never seen", "currency that is none"), IN_USD),
    }

    def parameters(self, url):
        return {
            "address": url,
            "public_key": "pk-lf-1",
            "secret_key": SECRET,
            "scores": "correctness",
            "provider": "openai",
        }

    def is_signed(self, asked):
        return b64decode(asked.headers["Authorization"].removeprefix("Basic ")).decode() == f"pk-lf-1:{SECRET}"

    def good(self, asked: Asked) -> Reply:
        return answer(asked, observations(), scores())

    def restated(self, asked: Asked) -> Reply:
        found = observations()
        found[0].cost = 0.011
        return answer(asked, found, scores())

    def many_pages(self):
        """As many rows as an answer holds, unless an hour is asked for by itself."""

        def play(asked: Asked) -> Reply:
            whole = json.loads(self.good(asked).body)
            query = json.loads(asked.value("query") or "")
            if _hours(query) > 1:
                whole["data"] = (whole["data"] * 1000)[:1000] or [{"time_dimension": "x"}] * 1000
            return Reply(json.dumps(whole))

        return play

    def _negative_amount(self, pulled, monkeypatch):
        """No generation earns money."""
        self.fails(pulled, self.altered("sum_totalCost", -1.5))

    def cells(self, connector) -> list[UsageCell]:
        return [item for item in self.read(connector) if isinstance(item, UsageCell)]

    def test_sums_are_those_of_the_generations(self, connect):
        connector = connect()
        assert connector.measured_at == MeasuredAt.GATEWAY
        cell = self.cells(connector)[0]
        assert cell.key == KEY
        assert cell.sums == {
            "requests": 3,
            "errors": 1,
            "input_tokens": 300,
            "output_tokens": 40,
            "estimated_cost": Decimal("0.02"),
            # Errors are not timed.
            "duration_count": 2,
            "duration_sum_ms": Decimal(4000),
            "time_to_first_token_count": 1,
            "time_to_first_token_sum_ms": Decimal(200),
            "quality_count": 2,
            "quality_sum": Decimal("1.25"),
        }

    def test_percentiles_are_langfuses_own(self, connect):
        found = [item for item in self.read(connect()) if isinstance(item, PercentileStatement)]
        assert found[0] == PercentileStatement(KEY, START, START + HOUR, "duration", Decimal(50), Decimal(1000), 2)
        assert {(one.measure, str(one.percent)) for one in found} == {
            (measure, percent) for measure in ("duration", "time_to_first_token") for percent in ("50", "95", "99")
        }
        assert all(cell.windows == {} for cell in self.cells(connect()))

    def test_only_generations_and_embeddings_are_requests(self, source, connect):
        at = START + MINUTE
        held = [Observation(at), Observation(at, type="SPAN"), Observation(at, type="EMBEDDING", model="embed-x")]
        source.play = lambda asked: answer(asked, held, [])
        assert {(cell.key.model, cell.key.operation): cell.sums["requests"] for cell in self.cells(connect())} == {
            ("gpt-x", "chat"): 1,
            ("embed-x", "embeddings"): 1,
        }

    def test_a_model_without_a_price_has_no_cost(self, source, connect):
        source.play = lambda asked: answer(asked, [Observation(START, cost=None)], [])
        assert "estimated_cost" not in self.cells(connect())[0].sums

    def test_teams_are_told_apart_by_what_was_chosen(self, source, connect):
        held = [Observation(START), Observation(START, trace="other"), Observation(START, environment="staging")]
        source.play = lambda asked: answer(asked, held, [])
        assert len(self.cells(connect(split_by="nothing"))) == 1
        assert len(self.cells(connect(split_by="environment"))) == 2
        labels = {cell.key.labels for cell in self.cells(connect(split_by="trace"))}
        assert (("environment", "production"), ("trace", "other")) in labels
        assert len(labels) == 3

    def test_an_hour_that_fills_an_answer_is_an_error_in_words(self, source, connect):
        held = [Observation(START, trace=f"trace-{number}") for number in range(1000)]
        source.play = lambda asked: answer(asked, held, [])
        error = self.failure(connect(split_by="trace"))
        assert error.permanent
        assert error.hint == "Choose less to split by."
        assert sum(cell.sums["requests"] for cell in self.cells(connect())) == 1000

    def test_scores_are_read_where_they_are_named(self, source, connect):
        assert self.read(connect(scores="")) != self.read(connect())
        assert not any("quality_count" in cell.sums for cell in self.cells(connect(scores="")))
        error = self.failure(connect(scores="length"))
        assert error.permanent
        assert "812" in error.message

    def test_a_score_of_a_trace_has_no_model(self, source, connect):
        source.play = lambda asked: answer(asked, [], [Score(START, model=None)])
        (cell,) = self.cells(connect())
        assert (cell.key.model, cell.sums) == ("unknown", {"quality_count": 1, "quality_sum": Decimal("0.5")})

    def test_the_connection_test_lists_scores(self, source, connect):
        held = [Score(START + HOUR, value=0.5), Score(START + HOUR, name="length", value=812), Score(START, "tone", 1)]
        source.play = lambda asked: answer(asked, observations(), held)
        result = connect(scores="correctness\nmissing").test()
        lines = " ".join(text for _, text in result.lines)
        assert result.ok
        assert "Score correctness is read as quality." in lines
        assert "Score tone lies between 0 and 1" in lines
        assert "missing was not given" in lines
        assert "length" not in lines
        assert not connect(scores="length").test().ok

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("count_count", None),
            ("count_count", "many"),
            ("count_count", -1),
            ("sum_inputTokens", "1.5"),
            ("sum_inputTokens", True),
            ("sum_totalCost", "NaN"),
            ("sum_totalCost", -0.5),
            ("time_dimension", "noon"),
            ("time_dimension", None),
            ("time_dimension", "2026-11-20T22:30:00.000Z"),
        ],
    )
    def test_a_row_that_cannot_be_true_ends_the_pull(self, source, connect, field, value):
        def play(asked: Asked) -> Reply:
            document = json.loads(self.good(asked).body)
            return Reply(json.dumps({"data": [{**row, field: value} for row in document["data"]]}))

        source.play = play
        assert "Nothing was taken" in self.failure(connect()).message

    def test_times_and_counts_may_be_written_as_clickhouse_does(self, source, connect):
        def play(asked: Asked) -> Reply:
            text = self.good(asked).body.replace("T22:00:00.000Z", " 22:00:00").replace('"300"', "300.0")
            return Reply(text)

        expected = self.read(connect())
        source.play = play
        assert self.read(connect()) == expected

    def test_rows_of_one_series_have_no_percentile_together(self, source, connect):
        held = [Observation(START), Observation(START, environment=None), Observation(START, environment="")]
        source.play = lambda asked: answer(asked, held, [])
        found = [item for item in self.read(connect()) if isinstance(item, PercentileStatement)]
        assert {one.key.labels for one in found} == {(("environment", "production"),)}

    def test_the_secret_is_redacted_in_the_form_in_which_it_is_sent(self, source, connect):
        sent = b64encode(f"pk-lf-1:{SECRET}".encode()).decode()
        source.play = lambda asked: Reply(status=403, body=json.dumps({"message": f"Basic {sent} may not"}))
        assert sent not in str(self.failure(connect()))


def _hours(query) -> int:
    start, end = (query[name] for name in ("fromTimestamp", "toTimestamp"))
    return round((datetime.fromisoformat(end) - datetime.fromisoformat(start)) / HOUR)


def made(**values):
    kind = connector_for("langfuse")
    cleaned = kind.clean_parameters({"public_key": "pk", "secret_key": SECRET, **values})
    with HttpClient(OutboundPolicy()) as http:
        return kind(cleaned, http, lambda: START)


def test_the_clouds_limits_hold_and_an_own_server_has_none():
    assert made().pace.requests_a_day == 100
    assert made(plan="pro", address="https://us.cloud.langfuse.com").pace.requests_a_day == 2000
    assert made(address="https://langfuse.example.com").pace.requests_a_day is None
    assert made(address="https://langfuse.com.example.org").pace.requests_a_day is None


def test_an_empty_window_asks_nothing():
    assert list(made().fetch(Window(START, START))) == []

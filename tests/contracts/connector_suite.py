"""What every connector has to stand: inherit StatementConnectorSuite or CounterConnectorSuite in the connector's test.

A subclass gives `kind`, `parameters(url)` with SECRET in its secret, and `good` (a play of the double that answers as
the source would). It is then asked good and bad questions over real HTTP.
"""

from __future__ import annotations

import gzip
import traceback
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from metrics.connector import Connector, CostStatement, CounterConnector, Group, StatementConnector
from metrics.connectors import REGISTRY, connector_for
from metrics.counters import counter_differences, usage_cells
from metrics.errors import ConnectorError, RuleViolation
from metrics.http import HttpClient, Limits, OutboundPolicy, parse_networks
from metrics.usage import ADDITIVE_MEASURES, COUNT_MEASURES, HISTOGRAM_MEASURES, SeriesKind, UsageCell
from metrics.windows import DAY, Window
from tests.contracts.bad_counters import BadCounters
from tests.contracts.bad_input import BadInput
from tests.contracts.cases import cases_of
from tests.doubles.source_server import Asked, Play, Reply, SourceServer, source_server

SECRET = "s3cret+/key-0123456789"
HOUR = timedelta(hours=1)
START = datetime(2026, 11, 20, 22, tzinfo=UTC)
# A machine that is busy answers late, and a request that is sent again would be counted.
QUICK = Limits(
    connect_seconds=2, read_seconds=5, total_seconds=10, attempts=2, first_wait_seconds=0.01, max_bytes=200_000
)
HASTY = replace(QUICK, read_seconds=0.4, total_seconds=2)
HTML = "<!doctype html><html><body>Sign in</body></html>"

BAD_ANSWERS = {
    "html": Reply(HTML, headers={"Content-Type": "text/html"}),
    "empty": Reply(""),
    "truncated": Reply('{"status":"success","data":{"resultType":"mat'),
    "text that is no data": Reply("hello world of numbers"),
    "not utf-8": Reply('{"data": "é"} vllm:é{x="é"} 1'.encode("latin-1")),
    "another document": Reply('[1, 2, {"data": null}]'),
    "a bare null": Reply("null"),
    "deeply nested": Reply("[" * 60_000),
    "broken gzip": Reply(b"\x1f\x8b\x08garbage", headers={"Content-Encoding": "gzip"}),
    "huge": Reply(b" " * 400_000),
    "huge when unpacked": Reply(gzip.compress(b"0" * 30_000_000), headers={"Content-Encoding": "gzip"}),
    "cut off": Reply('{"data": []}' + " " * 100, cut_after=20),
}
PERMANENT = {401, 403, 404, 301, 302, 307}
STATUSES = (301, 302, 307, 400, 401, 403, 404, 429, 500, 502, 503, 504)


class ConnectorSuite(BadInput):
    """What both kinds have to stand."""

    kind: str
    secret = SECRET
    pulled_at = START + 3 * HOUR

    def parameters(self, url: str) -> dict[str, Any]:
        raise NotImplementedError

    def good(self, asked: Asked) -> Reply:
        raise NotImplementedError

    def read(self, connector: Any) -> list[Any]:
        raise NotImplementedError

    def is_signed(self, asked: Asked) -> bool:
        """Whether the secret was sent; a source that wants it in another form overrides this."""
        return SECRET in str(asked.headers)

    @pytest.fixture
    def source(self):
        with source_server() as server:
            server.play = self.good
            yield server

    @pytest.fixture
    def connect(self, source: SourceServer):
        clients = []

        def _connect(url: str = source.url, limits: Limits = QUICK, **changes: Any) -> Connector:
            http = HttpClient(OutboundPolicy(allow=parse_networks(["127.0.0.0/8"])), limits=limits)
            clients.append(http)
            connector = connector_for(self.kind)
            values = connector.clean_parameters({**self.parameters(url), **changes})
            made = connector(values, http, lambda: START + 3 * HOUR)
            made.http = made.http.with_limits(max_bytes=QUICK.max_bytes)
            return made

        yield _connect
        for http in clients:
            http.close()

    def failure(self, connector: Connector) -> ConnectorError:
        with pytest.raises(ConnectorError) as caught:
            self.read(connector)
        shown = "".join(traceback.format_exception(caught.value)) + repr(caught.value.__dict__)
        assert SECRET not in shown
        return caught.value

    def test_it_declares_what_the_form_and_the_pages_draw_on(self):
        connector = connector_for(self.kind)
        assert connector in REGISTRY
        assert all((connector.title, connector.summary, connector.needs, connector.who_gives, connector.shows))
        assert connector.group in set(Group) - {Group.NONE}
        assert connector.reports
        assert connector.reports <= {*ADDITIVE_MEASURES, *HISTOGRAM_MEASURES}
        assert not connector.reports & set(connector.not_offered)
        assert all(text.endswith(".") for text in connector.not_offered.values())
        names = [parameter.name for parameter in connector.parameters]
        assert len(set(names)) == len(names)
        assert any(parameter.is_secret for parameter in connector.parameters)

    def test_it_refuses_parameters_that_are_missing_or_unknown(self):
        connector = connector_for(self.kind)
        with pytest.raises(RuleViolation) as caught:
            connector.clean_parameters({})
        assert caught.value.field in {parameter.name for parameter in connector.parameters}
        with pytest.raises(RuleViolation):
            connector.clean_parameters({**self.parameters("http://127.0.0.1:1"), "surprise": "1"})

    def test_it_tells_apart_what_is_permanent(self, source, connect):
        for status in STATUSES:
            source.play = lambda asked, status=status: Reply(
                status=status, headers={"Location": f"/elsewhere?key={SECRET}"}
            )
            error = self.failure(connect())
            if status != 400:
                assert error.permanent is (status in PERMANENT), status
            if status in PERMANENT:
                assert error.hint, status

    def test_a_redirect_is_not_followed(self, source, connect):
        with source_server() as elsewhere:
            source.play = lambda asked: Reply(status=302, headers={"Location": f"{elsewhere.url}/metrics"})
            error = self.failure(connect())
            assert "redirects" in error.message
            assert elsewhere.asked == []

    def test_it_waits_when_throttled_and_goes_on(self, source, connect):
        expected = self.read(connect())
        throttled = set()

        def play(asked: Asked) -> Reply:
            question = repr((asked.path, asked.values))
            if question not in throttled:
                throttled.add(question)
                return Reply(status=429, headers={"Retry-After": "0"})
            return self.good(asked)

        source.play = play
        assert self.read(connect()) == expected
        assert throttled

    def test_it_leaves_a_long_rest_to_the_schedule(self, source, connect):
        source.play = lambda asked: Reply(status=429, headers={"Retry-After": "120"})
        error = self.failure(connect())
        assert not error.permanent
        assert error.retry_after_seconds == 120

    @pytest.mark.parametrize("answer", BAD_ANSWERS)
    def test_a_bad_answer_is_an_error_in_words(self, source, connect, answer):
        source.play = lambda asked: BAD_ANSWERS[answer]
        error = self.failure(connect())
        assert error.message.endswith(".")
        result = connect().test()
        assert not result.ok
        assert SECRET not in str(result.lines)

    def test_a_source_that_does_not_answer_or_is_not_there_is_transient(self, source, connect):
        source.play = lambda asked: Reply(wait_seconds=0.8)
        assert not self.failure(connect(limits=HASTY)).permanent
        assert not self.failure(connect("http://127.0.0.1:1")).permanent
        error = self.failure(connect("https://no-such-host.invalid"))
        assert "no-such-host.invalid" in error.message
        assert not error.permanent

    def test_no_secret_comes_back_when_the_source_repeats_it(self, source, connect):
        def play(asked: Asked) -> Reply:
            assert self.is_signed(asked)
            return Reply(status=403, body=f'{{"error": {{"message": "key {SECRET} may not read this"}}}}')

        source.play = play
        error = self.failure(connect())
        assert "may not read this" in error.message
        assert SECRET not in str(connect().test().lines)

    def test_the_connection_test_says_what_works(self, connect):
        result = connect().test()
        assert result.ok
        assert any(tone == "ok" for tone, _ in result.lines)
        assert all(text.strip().endswith(".") for _, text in result.lines)

    def assert_cells_are_clean(self, cells: list[UsageCell]) -> None:
        for cell in cells:
            assert cell.key.model or cell.key.kind is SeriesKind.GPU
            assert set(cell.sums) <= set(ADDITIVE_MEASURES)
            for measure, value in cell.sums.items():
                assert not isinstance(value, float)
                assert value >= 0
                if measure in COUNT_MEASURES:
                    assert isinstance(value, int)
            for histogram in cell.histograms.values():
                assert len(histogram.counts) == len(histogram.bounds_ms) + 1
                assert list(histogram.bounds_ms) == sorted(histogram.bounds_ms)
                assert min(histogram.counts) >= 0
            assert set(cell.windows) <= set(HISTOGRAM_MEASURES)
            for measure, (_, *counts) in cell.windows.items():
                assert min(counts) >= 0
                assert sum(counts) == cell.sums[f"{measure}_count"]
                assert f"{measure}_sum_ms" in cell.sums


class StatementConnectorSuite(ConnectorSuite):
    """A source that states what happened in a window.

    `good` has usage in each of the hours of `window`; `restated` is the same source after it changed its mind.

    Where the source knows days only, the hours are the noons of a window of two days.
    """

    style = "statement"

    @pytest.mark.parametrize("case", cases_of("statement"))
    def test_bad_input_leaves_the_ledger_right(self, case, pulled, monkeypatch):
        self.run_case(case, pulled, monkeypatch)

    @property
    def window(self) -> Window:
        if connector_for(self.kind).finest_grain == "day":
            return Window(START.replace(hour=0) - DAY, START.replace(hour=0) + DAY)
        return Window(START, START + 3 * HOUR)

    def restated(self, asked: Asked) -> Reply:
        raise NotImplementedError

    def many_pages(self) -> Play:
        """The same contents as `good`, in as many pieces as the source can make of it."""
        raise NotImplementedError

    def read(self, connector: StatementConnector) -> list[UsageCell | CostStatement]:
        return list(connector.fetch(self.window))

    def test_an_empty_window_asks_nothing(self, source, connect):
        assert list(connect().fetch(Window(START, START))) == []
        assert source.asked == []

    def test_what_it_yields_is_clean_and_lies_in_the_window(self, connect):
        found = self.read(connect())
        cells = [item for item in found if isinstance(item, UsageCell)]
        self.assert_cells_are_clean(cells)
        is_daily = connector_for(self.kind).finest_grain == "day"
        assert {cell.hour for cell in cells} == set(self.window.noons() if is_daily else self.window.hours())
        statements = [item for item in found if isinstance(item, CostStatement)]
        keys = [
            (s.start, s.model, s.project, s.service_tier, s.charge_category, s.description, s.currency)
            for s in statements
        ]
        assert len(set(keys)) == len(keys)
        for statement in statements:
            assert statement.start < statement.end
            assert statement.amount.is_finite()
            assert statement.currency == statement.currency.upper()

    def test_it_can_be_resumed_hour_by_hour(self, connect):
        whole = [item for item in self.read(connect()) if isinstance(item, UsageCell)]
        parts = [
            item
            for hour in self.window.hours()
            for item in connect().fetch(Window(hour, hour + HOUR))
            if isinstance(item, UsageCell)
        ]
        order = lambda cell: (cell.hour, repr(cell.key), repr(cell.sums))  # noqa: E731
        assert sorted(parts, key=order) == sorted(whole, key=order)

    def test_pages_are_read_to_the_end(self, source, connect):
        expected = self.read(connect())
        source.play = self.many_pages()
        asked = len(source.asked)
        assert self.read(connect()) == expected
        assert len(source.asked) - asked > asked

    def test_a_failure_half_way_is_a_failure(self, source, connect):
        self.read(connect())
        last = len(source.asked)
        source.asked.clear()
        source.play = lambda asked: self.good(asked) if len(source.asked) < last else Reply(status=500)
        assert not self.failure(connect()).permanent

    def test_a_restatement_is_seen_at_the_next_fetch(self, source, connect):
        connector = connect()
        first = self.read(connector)
        assert self.read(connector) == first
        source.play = self.restated
        assert self.read(connector) != first


class CounterConnectorSuite(BadCounters, ConnectorSuite):
    """`good` shows counters; `later` shows them some time later, in another order of lines and labels."""

    style = "counter"
    # So that the pulls of a case lie in one hour.
    pulled_at = START + timedelta(hours=3, minutes=20)

    @pytest.mark.parametrize("case", cases_of("counter"))
    def test_bad_input_leaves_the_ledger_right(self, case, pulled, monkeypatch):
        self.run_case(case, pulled, monkeypatch)

    def later(self, asked: Asked) -> Reply:
        raise NotImplementedError

    def read(self, connector: CounterConnector) -> list[Any]:
        return [(p.stream, p.key, p.measure, p.value, p.started_at, p.process) for p in connector.sample().points]

    def test_streams_are_stable_and_unique(self, source, connect):
        first = connect().sample()
        source.play = self.later
        second = connect().sample()
        streams = [point.stream for point in first.points]
        assert len(set(streams)) == len(streams)
        assert set(streams) <= {point.stream for point in second.points}

    def test_the_same_counters_twice_add_nothing(self, connect):
        connector = connect()
        first = connector.sample()
        ticking = connector.clock
        connector.clock = lambda: ticking() + HOUR
        cells = usage_cells(counter_differences(first, connector.sample()))
        assert all(value == 0 for cell in cells for value in cell.sums.values())

    def test_growth_is_what_grew(self, source, connect):
        connector = connect()
        first = connector.sample()
        assert usage_cells(counter_differences(None, first)) == []
        source.play = self.later
        connector.clock = lambda: START + 3 * HOUR + timedelta(minutes=5)
        cells = usage_cells(counter_differences(first, connector.sample()))
        self.assert_cells_are_clean(cells)
        assert any(value > 0 for cell in cells for value in cell.sums.values())
        assert all(point.measure in {*ADDITIVE_MEASURES, *HISTOGRAM_MEASURES} for point in first.points)

"""The Prometheus connector against a real Prometheus: known history, a page that it scrapes, a llama.cpp server."""

from __future__ import annotations

import math
from collections import Counter as Tally
from datetime import UTC, datetime, timedelta

import prometheus_client
import pytest

from metrics.connectors import connector_for
from metrics.http import HttpClient, OutboundPolicy, parse_networks
from metrics.windows import Window
from tests.peers.cells import cells_of

HOUR = timedelta(hours=1)
FIRST = datetime(2026, 11, 20, 6, tzinfo=UTC)


@pytest.fixture
def connect(prometheus_server):
    http = HttpClient(OutboundPolicy(allow=parse_networks(["127.0.0.0/8"])))

    def _connect(**values):
        kind = connector_for("prometheus")
        parameters = kind.clean_parameters({"address": prometheus_server.url, **values})
        return kind(parameters, http, lambda: datetime.now(UTC))

    yield _connect
    http.close()


def _totals(cells):
    totals = Tally()
    for cell in cells:
        for measure, value in cell.sums.items():
            totals[cell.hour, cell.key.model, measure] += value
    return totals


class History:
    """Counters of replicas with known contents, written as OpenMetrics with times. `truth`: tokens by (hour, model)."""

    def __init__(self):
        self.lines: list[str] = []
        self.histogram: list[str] = []
        self.truth = Tally()

    def replica(self, instance, model, *, seconds=15, hours=3, restart_at=None, start=0):
        """Some tokens in each of its scrapes; a restart sets its counters to zero."""
        labels = f'instance="{instance}",job="vllm",engine="0",model_name="{model}"'
        value = scraped = 0
        for second in range(start, hours * 3600 + 1, seconds):
            at = FIRST + timedelta(seconds=second)
            if restart_at is not None and second >= restart_at:
                value, scraped, restart_at = 0, 0, None
            value += 5 + second % 7
            if second > start:
                hour = FIRST + HOUR * (math.ceil(second / 3600) - 1)
                self.truth[hour, model] += value - scraped
            scraped = value
            self.lines.append(f"vllm:generation_tokens_total{{{labels}}} {value} {at.timestamp()}")
            for bound, share in (("0.5", 1), ("2.0", 3), ("+Inf", 4)):
                self.histogram.append(
                    f'vllm:e2e_request_latency_seconds_bucket{{{labels},le="{bound}"}} {value * share} {at.timestamp()}'
                )
        return self

    def text(self):
        return "\n".join(
            [
                "# TYPE vllm:generation_tokens counter",
                *self.lines,
                "# TYPE vllm:e2e_request_latency_seconds histogram",
                *self.histogram,
                "# EOF\n",
            ]
        )


def test_hours_add_up_to_the_counter_over_replicas_and_restarts(prometheus_server, connect):
    history = History().replica("a:8000", "demo-8b").replica("b:8000", "demo-8b", restart_at=4000, seconds=20)
    history.replica("c:8000", "demo-70b", start=1800)
    prometheus_server.load(history.text())
    prometheus_server.start()
    cells = cells_of(connect().fetch(Window(FIRST, FIRST + 3 * HOUR)))
    totals = _totals(cells)
    measured = {key[:2]: value for key, value in totals.items() if key[2] == "output_tokens"}
    assert measured == dict(history.truth)
    for cell in cells:
        for histogram in cell.histograms.values():
            assert histogram.bounds_ms == (500.0, 2000.0)
            first, second, over = histogram.counts
            assert second == 2 * first
            assert over == first
    # The same hours asked for one by one are the same hours.
    one_by_one = Tally()
    for number in range(3):
        one_by_one.update(
            _totals(cells_of(connect().fetch(Window(FIRST + number * HOUR, FIRST + (number + 1) * HOUR))))
        )
    assert one_by_one == totals
    only_large = _totals(cells_of(connect(selector='model_name="demo-70b"').fetch(Window(FIRST, FIRST + 3 * HOUR))))
    assert {key[1] for key in only_large} == {"demo-70b"}


def test_it_reads_a_page_that_is_really_scraped_under_either_spelling(prometheus_server, connect):
    registry = prometheus_client.CollectorRegistry()
    labels = ["model_name", "engine"]
    prompt = prometheus_client.Counter("vllm:prompt_tokens", "x", labels, registry=registry)
    done = prometheus_client.Counter("vllm:request_success", "x", [*labels, "finished_reason"], registry=registry)
    time_taken = prometheus_client.Histogram("vllm:e2e_request_latency_seconds", "x", labels, registry=registry)
    prompt.labels("demo-8b", "0").inc(1000)
    done.labels("demo-8b", "0", "stop").inc(10)
    time_taken.labels("demo-8b", "0").observe(0.3)
    page, thread = prometheus_client.start_http_server(0, "127.0.0.1", registry)
    try:
        prometheus_server.start(targets={"vllm": [f"127.0.0.1:{page.server_port}"]})
        prometheus_server.wait_for('{__name__=~"vllm[:_]prompt_tokens_total"} == 1000')
        begun = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
        prompt.labels("demo-8b", "0").inc(234)
        done.labels("demo-8b", "0", "stop").inc(3)
        done.labels("demo-8b", "0", "error").inc(2)
        time_taken.labels("demo-8b", "0").observe(0.3)
        prometheus_server.wait_for('{__name__=~"vllm[:_]request_success_total", finished_reason="error"} == 2')
        cells = cells_of(connect().fetch(Window(begun, begun + 2 * HOUR)))
        totals = Tally()
        for (_, _, measure), value in _totals(cells).items():
            totals[measure] += value
        assert totals["input_tokens"] == 234
        # The label value 'error' appeared later: it has counted from zero.
        assert totals["requests"] == 5
        assert totals["errors"] == 2
        assert totals["duration_count"] == 1
        assert connect().test().ok
        found = connect().discover()
        assert [candidate.name for candidate in found] == ["demo-8b"]
        assert found[0].parameters["selector"] == 'job="vllm",model_name="demo-8b"'
        adopted = connect(selector=found[0].parameters["selector"])
        assert (
            sum(cell.sums.get("input_tokens", 0) for cell in cells_of(adopted.fetch(Window(begun, begun + 2 * HOUR))))
            == 234
        )
        nothing = connect(selector='job="elsewhere"')
        assert not nothing.test().ok
        assert cells_of(nothing.fetch(Window(begun, begun + HOUR))) == []
    finally:
        page.shutdown()
        thread.join()


def test_it_agrees_with_a_real_llama_server_within_a_thousandth_over_a_restart(
    prometheus_server, llama_server, connect
):
    prometheus_server.start(targets={"llama": [f"127.0.0.1:{llama_server.port}"]})
    prometheus_server.wait_for("{__name__=~'llamacpp[:_]tokens_predicted_total'}")
    begun = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    tokens = [llama_server.chat(f"Count to {number}", max_tokens=16)["completion_tokens"] for number in range(4)]
    prometheus_server.wait_for(f"{{__name__=~'llamacpp[:_]tokens_predicted_total'}} == {sum(tokens)}")
    llama_server.restart()
    again = [llama_server.chat("Once more", max_tokens=16)["completion_tokens"]]
    prometheus_server.wait_for(f"{{__name__=~'llamacpp[:_]tokens_predicted_total'}} == {sum(again)}")
    connector = connect(preset="llamacpp", model="gemma", selector='job="llama"')
    cells = cells_of(connector.fetch(Window(begun, begun + 2 * HOUR)))
    assert sum(cell.sums.get("output_tokens", 0) for cell in cells) == sum(tokens) + sum(again)

"""The /metrics connector against a real llama.cpp server with a real language model."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from metrics.connectors import connector_for
from metrics.counters import counter_differences, usage_cells
from metrics.http import HttpClient, OutboundPolicy, parse_networks


@pytest.fixture
def connector(llama_server):
    kind = connector_for("metrics_endpoint")
    parameters = kind.clean_parameters({"addresses": llama_server.url, "preset": "llamacpp"})
    policy = OutboundPolicy(allow=parse_networks(["127.0.0.0/8"]))
    with HttpClient(policy) as http:
        yield kind(parameters, http, lambda: datetime.now(UTC))


def _counted(previous, current, measure):
    cells = usage_cells(counter_differences(previous, current))
    return sum(cell.sums.get(measure, 0) for cell in cells)


def test_differences_equal_what_the_server_and_the_requests_say(llama_server, connector):
    llama_server.chat("before the first pull")
    before = connector.sample()
    used = [llama_server.chat(f"Name {number} rivers") for number in ("two", "three", "three")]
    after = connector.sample()
    assert _counted(before, after, "input_tokens") == sum(use["prompt_tokens"] for use in used)
    assert _counted(before, after, "output_tokens") == sum(use["completion_tokens"] for use in used)
    assert _counted(before, after, "cached_input_tokens") > 0
    assert _counted(before, after, "inter_token_sum_ms") > 0
    shown = llama_server.metrics()
    total = _counted(None, after, "output_tokens") + {p.measure: p.value for p in after.points}["output_tokens"]
    assert total == shown["llamacpp:tokens_predicted_total"]


def test_it_counts_on_after_a_restart_and_names_the_model(llama_server, connector):
    llama_server.chat("a long answer please", max_tokens=40)
    before = connector.sample()
    assert {point.key.model for point in before.points} == {"gemma-3-270m"}
    llama_server.restart()
    used = [llama_server.chat("one"), llama_server.chat("two")]
    after = connector.sample()
    assert _counted(before, after, "output_tokens") == sum(use["completion_tokens"] for use in used)
    assert _counted(before, after, "input_tokens") == sum(use["prompt_tokens"] for use in used)
    assert _counted(after, after, "output_tokens") == 0


def test_the_connection_test_says_that_latency_is_missing(connector):
    result = connector.test()
    assert result.ok
    assert any("gemma-3-270m" in text for _, text in result.lines)
    assert any("Latency is not available" in text for _, text in result.lines)

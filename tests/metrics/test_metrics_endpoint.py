"""The /metrics connector: the conformance suite with vLLM's metrics, recorded pages, the operator's own mapping."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import prometheus_client
import pytest
from prometheus_client.exposition import generate_latest

from metrics.connector import Sample
from metrics.connectors.presets import own_preset
from metrics.connectors.presets.catalogue import PRESETS
from metrics.connectors.presets.page import points_of, read_page
from metrics.counters import counter_differences, usage_cells
from metrics.errors import ConnectorError, RuleViolation
from metrics.usage import ForeignHistogram
from tests.contracts.connector_suite import SECRET, CounterConnectorSuite
from tests.doubles.source_server import Asked, Reply, source_server

DATA = Path(__file__).parents[1] / "data"
AT = datetime(2026, 11, 22, 12, tzinfo=UTC)
VLLM = next(preset for preset in PRESETS if preset.name == "vllm")
LLAMACPP = next(preset for preset in PRESETS if preset.name == "llamacpp")


class VllmPage:
    """A page with vLLM's own metric names, drawn by the client library that vLLM uses."""

    def __init__(self, model="demo-8b"):
        self.registry = prometheus_client.CollectorRegistry()
        labels = ["model_name", "engine"]
        self.labels = (model, "0")
        self.prompt = prometheus_client.Counter("vllm:prompt_tokens", "x", labels, registry=self.registry)
        self.output = prometheus_client.Counter("vllm:generation_tokens", "x", labels, registry=self.registry)
        self.done = prometheus_client.Counter(
            "vllm:request_success", "x", [*labels, "finished_reason"], registry=self.registry
        )
        self.taken = prometheus_client.Histogram(
            "vllm:e2e_request_latency_seconds", "x", labels, buckets=(0.3, 0.5, 2.5), registry=self.registry
        )

    def serve(self, *, prompt, output, seconds, reason="stop"):
        self.prompt.labels(*self.labels).inc(prompt)
        self.output.labels(*self.labels).inc(output)
        self.done.labels(*self.labels, reason).inc()
        self.taken.labels(*self.labels).observe(seconds)
        return self

    def text(self):
        return generate_latest(self.registry).decode()


class TestSuite(CounterConnectorSuite):
    kind = "metrics_endpoint"
    counter = "vllm:prompt_tokens_total"
    page = VllmPage().serve(prompt=100, output=40, seconds=0.4).text()

    def parameters(self, url):
        return {"addresses": url, "preset": "vllm", "token": SECRET}

    def good(self, asked: Asked) -> Reply:
        return Reply(self.page)

    def later(self, asked: Asked) -> Reply:
        """The same process an hour later: higher counts, lines and labels in another order."""
        lines = [line for line in self.page.splitlines() if line and not line.startswith("#")]
        grown = []
        for line in reversed(lines):
            name, value = line.rsplit(" ", 1)
            if "{" in name and "_created" not in name:
                metric, labels = name[:-1].split("{", 1)
                name = f"{metric}{{{','.join(reversed(labels.split(',')))}}}"
                value = str(float(value) * 2)
            grown.append(f"{name} {value}")
        return Reply("\n".join(grown) + "\n")

    def test_the_token_is_sent_and_text_format_is_asked_for(self, source, connect):
        connect().sample()
        assert source.asked[0].path == "/metrics"
        assert source.asked[0].headers["Authorization"] == f"Bearer {SECRET}"
        assert source.asked[0].headers["Accept"] == "text/plain;version=0.0.4"

    def test_replicas_are_added_up_and_one_that_is_down_is_said(self, source, connect):
        with source_server() as second:
            second.play = self.good
            connector = connect(addresses=[source.url, f"{second.url}/metrics"])
            sample = connector.sample()
            assert sum(point.value for point in sample.points if point.measure == "input_tokens") == 200
            second.play = lambda asked: Reply(status=503)
            partial = connector.sample()
            assert len(partial.points) == len(sample.points) / 2
            assert "503" in partial.problems[0]
            assert not connector.test().ok
            # The one that was down counts on from its last point, none of its counters is lost or added again.
            second.play = self.later
            connector.clock = lambda: AT + timedelta(days=1)
            last = {point.stream: point for point in (*sample.points, *partial.points)}
            cells = usage_cells(counter_differences(last, connector.sample()))
            assert sum(cell.sums.get("input_tokens", 0) for cell in cells) == 100

    def test_another_kind_of_server_is_named(self, source, connect):
        source.play = lambda asked: Reply((DATA / "llamacpp_metrics.txt").read_text())
        error = self.failure(connect())
        assert error.permanent
        assert "llama.cpp" in error.hint

    def test_an_idle_page_without_any_counter_is_no_permanent_error(self, source, connect):
        source.play = lambda asked: Reply("# TYPE up gauge\nup 1\n")
        assert not self.failure(connect()).permanent

    def test_llamacpp_is_asked_for_its_model(self, source, connect):
        page = (DATA / "llamacpp_metrics.txt").read_text()
        models = '{"object":"list","data":[{"id":"/models/gemma-3-270m.gguf"}]}'
        source.play = lambda asked: Reply(models if asked.path == "/v1/models" else page)
        points = connect(preset="llamacpp").sample().points
        assert {point.key.model for point in points} == {"gemma-3-270m.gguf"}
        asked = len(source.asked)
        points = connect(preset="llamacpp", model="gemma").sample().points
        assert {point.key.model for point in points} == {"gemma"}
        assert len(source.asked) == asked + 1
        source.play = lambda asked: Reply(status=404) if asked.path == "/v1/models" else Reply(page)
        error = self.failure(connect(preset="llamacpp"))
        assert error.permanent
        assert "enter the model's name" in error.hint.lower()


def _points(text, preset=VLLM):
    return list(points_of(read_page(text, address="http://x", source="http://x"), preset, at=AT, model="m"))


def _by_measure(points):
    return {point.measure: point.value for point in points}


def test_a_recorded_vllm_page_is_read():
    points = _points((DATA / "vllm_metrics.txt").read_text())
    values = _by_measure(points)
    assert (values["requests"], values["input_tokens"], values["output_tokens"]) == (1, 5, 7)
    assert "errors" not in values  # the only reason that ever ended a request is 'length'
    assert values["time_to_first_token"].counts == (0,) * 9 + (1,) + (0,) * 7
    assert values["time_to_first_token"].bounds_ms[:2] == (1.0, 5.0)
    assert values["time_to_first_token_sum_ms"] == Decimal("313.26723098754883")
    # 0.33 calls it inter_token_latency_seconds; this older server time_per_output_token_seconds.
    assert values["inter_token_count"] == 6
    assert values["duration"].bounds_ms[0] == 1000.0
    assert {point.key.model for point in points} == {"facebook/opt-125m"}
    assert {point.started_at for point in points} == {datetime.fromtimestamp(1718140558.3, UTC)}


def test_a_recorded_llamacpp_page_is_read_with_cached_tokens_inside_the_input():
    points = _points((DATA / "llamacpp_metrics.txt").read_text(), LLAMACPP)
    sums = {}
    for point in points:
        sums[point.measure] = sums.get(point.measure, 0) + point.value
    assert sums["input_tokens"] == 27 + 27 + 28
    assert sums["cached_input_tokens"] == 2
    assert sums["output_tokens"] == 36
    assert sums["inter_token_count"] == 36
    assert sums["inter_token_sum_ms"] > 0
    assert "requests" not in sums
    assert "duration_count" not in sums


def test_both_spellings_are_the_same_stream():
    text = VllmPage().serve(prompt=1, output=1, seconds=1).text()
    assert _points(text) == _points(text.replace("vllm:", "vllm_"))


def test_errors_are_the_requests_that_ended_in_error_or_abort():
    page = VllmPage()
    for reason in ("stop", "stop", "length", "error", "abort"):
        page.serve(prompt=1, output=1, seconds=1, reason=reason)
    points = _points(page.text())
    assert sum(point.value for point in points if point.measure == "requests") == 5
    assert sum(point.value for point in points if point.measure == "errors") == 2


def test_created_series_say_when_a_counter_started():
    page = VllmPage().serve(prompt=1, output=1, seconds=1)
    before = datetime.now(UTC)
    at = before + timedelta(seconds=1)
    points = list(points_of(read_page(page.text(), address="x", source="x"), VLLM, at=at, model="m"))
    assert all(abs((point.started_at - before).total_seconds()) < 30 for point in points)


def test_a_restart_is_counted_from_zero_even_where_the_new_count_is_higher():
    page = VllmPage().serve(prompt=10, output=10, seconds=1)
    before = _started_at(page.text(), AT - timedelta(hours=1))
    after = _started_at(page.serve(prompt=5, output=5, seconds=1).text(), AT + timedelta(minutes=1))
    later = AT + timedelta(minutes=5)
    points = points_of(read_page(after, address="x", source="http://x"), VLLM, at=later, model="m")
    differences = list(counter_differences(Sample(AT, tuple(_points(before))), Sample(later, tuple(points))))
    assert all(difference.is_reset for difference in differences)
    cells = usage_cells(differences)
    assert cells[0].sums["input_tokens"] == 15
    assert cells[0].histograms["duration"].counts == (0, 0, 2, 0)


def _started_at(text, moment):
    return "\n".join(
        f"{line.rsplit(' ', 1)[0]} {moment.timestamp()}" if "_created{" in line else line for line in text.splitlines()
    )


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ('vllm:prompt_tokens_total{model_name="m"} NaN', "not a number"),
        ('vllm:prompt_tokens_total{model_name="m"} +Inf', "not a number"),
        ('vllm:prompt_tokens_total{model_name="m"} -5', "negative"),
        ('vllm:prompt_tokens_total{model_name="m"} 0.5', "whole"),
        ('vllm:prompt_tokens_total{model_name="m"} 1\nvllm:prompt_tokens_total{model_name="m"} 2', "twice"),
        ('vllm:e2e_request_latency_seconds_bucket{le="1",model_name="m"} 2', "+Inf"),
        ('vllm:e2e_request_latency_seconds_bucket{model_name="m"} 2', "bound"),
        (
            'vllm:e2e_request_latency_seconds_bucket{le="1"} 5\nvllm:e2e_request_latency_seconds_bucket{le="+Inf"} 2',
            "falls",
        ),
        ("vllm:prompt_tokens_total{model_name=", "not a metrics page"),
        ('vllm:prompt_tokens_total{model_name="m"} many', "not a metrics page"),
    ],
)
def test_a_counter_that_cannot_be_one_is_refused(line, says):
    with pytest.raises(ConnectorError, match=says.replace("+", r"\+")):
        _points(line + "\n")


def test_an_own_mapping_is_read_with_units_from_the_names():
    preset = own_preset(
        [
            "requests = http_requests_total",
            'errors = http_requests_total{code=~"5..|429"}',
            "duration = http_request_duration_milliseconds",
            "energy_wh = gpu_energy_joules_total",
        ],
        provider="sglang",
        model_label="model",
        field="mapping",
    )
    text = """
http_requests_total{model="a",code="200"} 90
http_requests_total{model="a",code="503"} 7
http_requests_total{model="a",code="429"} 3
http_request_duration_milliseconds_bucket{model="a",le="250"} 60
http_request_duration_milliseconds_bucket{model="a",le="+Inf"} 100
gpu_energy_joules_total{model="a"} 7200
"""
    points = _points(text, preset)
    assert sum(point.value for point in points if point.measure == "requests") == 100
    assert sum(point.value for point in points if point.measure == "errors") == 10
    values = _by_measure(points)
    assert values["duration"] == ForeignHistogram((250.0,), (60, 40))
    assert round(values["energy_wh"], 6) == 2
    assert {(point.key.provider, point.key.model) for point in points} == {("sglang", "a")}


@pytest.mark.parametrize(
    "mapping",
    ["", "requests", "speed = my_speed", "requests = a\nrequests = b", 'errors = a{code=~"("}', "errors = a{code}"],
)
def test_a_mapping_that_cannot_be_read_is_refused_at_its_field(mapping):
    from metrics.connectors import connector_for

    with pytest.raises(RuleViolation) as caught:
        connector_for("metrics_endpoint").clean_parameters(
            {"addresses": "http://10.0.0.5", "preset": "plain", "mapping": mapping}
        )
    assert caught.value.field == "mapping"

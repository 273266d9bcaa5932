"""Each snippet of the Send data page does what it says when it is run as it is printed."""

from __future__ import annotations

import gzip
import html
import json
import os
import re
import shutil
import subprocess
import sys
import time
import urllib.request

import pytest
import yaml
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from metrics.models import UsageHour

pytestmark = pytest.mark.django_db(transaction=True)

# A program that is instrumented and knows nothing of where it exports to.
PROGRAM = """
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader

provider = MeterProvider([PeriodicExportingMetricReader(OTLPMetricExporter())])
meter = provider.get_meter("a program")
names = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-4o-mini",
    "gen_ai.response.model": "gpt-4o-mini",
}
tokens = meter.create_histogram("gen_ai.client.token.usage", "{token}")
tokens.record(812, {**names, "gen_ai.token.type": "input"})
tokens.record(164, {**names, "gen_ai.token.type": "output"})
meter.create_histogram("gen_ai.client.operation.duration", "s").record(1.84, names)
provider.shutdown()
"""
# What the documentation of the Collector's OTLP/HTTP exporter lists, as far as a snippet may need it.
EXPORTER_SETTINGS = {"endpoint", "headers", "compression", "encoding", "timeout", "retry_on_failure", "sending_queue"}


@pytest.fixture
def snippets(sign_in, alice, claims, live_server, settings) -> dict[str, str]:
    """What the page prints after Make a token was pressed, by the title of its tab."""
    settings.ALLOWED_HOSTS = ["*"]
    browser = sign_in(alice)
    page = browser.post("/send/token/", {"roadmap": "claims"}, headers={"host": live_server.url.split("//")[1]}).text
    titles = re.findall(r"<summary>\s*<strong>(.*?)</strong>", page)
    texts = [html.unescape(text) for text in re.findall(r"<code>(.*?)</code>", page, re.S) if live_server.url in text]
    assert len(titles) >= len(texts) == 8
    return dict(zip(titles, texts, strict=False))


def _run(command: list[str], folder, **more) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=False, **more)
    assert done.returncode == 0, done.stderr
    return done.stdout


def _counted() -> tuple[int, int, int]:
    rows = list(UsageHour.objects.all())
    return tuple(sum(getattr(row, name) or 0 for row in rows) for name in ("requests", "input_tokens", "output_tokens"))


def test_curl(snippets, tmp_path):
    assert '"accepted":1' in _run(["sh", "-c", snippets["curl"]], tmp_path)
    assert _counted() == (1, 812, 164)


def test_python(snippets, tmp_path):
    assert '"accepted":1' in _run([sys.executable, "-c", snippets["Python"]], tmp_path)
    assert _counted() == (1, 812, 164)


def test_node(snippets, tmp_path):
    if shutil.which("node") is None:
        pytest.skip("node is not installed (Debian's package nodejs)")
    assert "201" in _run(["node", "-e", snippets["Node"]], tmp_path)
    assert _counted() == (1, 812, 164)


def test_csv(snippets, tmp_path):
    assert '"accepted":1' in _run(["sh", "-c", snippets["CSV"]], tmp_path)
    assert _counted() == (1200, 960_000, 210_000)


def test_prometheus(snippets, tmp_path):
    """As printed it is run against a real one in tests/peers/test_peer_remote_write.py."""
    written = yaml.safe_load(snippets["Prometheus"])["remote_write"]
    assert [list(one) for one in written] == [["url", "authorization", "write_relabel_configs", "queue_config"]]
    if shutil.which("promtool") is None:
        pytest.skip("promtool is not installed (Debian's package prometheus)")
    (tmp_path / "prometheus.yml").write_text(snippets["Prometheus"])
    assert "SUCCESS" in _run(["promtool", "check", "config", "prometheus.yml"], tmp_path)


def test_opentelemetry_variables(snippets, tmp_path):
    (tmp_path / "program.py").write_text(PROGRAM)
    clean = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    _run(["sh", "-c", f"{snippets['OpenTelemetry']}\n{sys.executable} program.py"], tmp_path, env=clean)
    assert _counted() == (1, 812, 164)


def test_the_collector_s_exporter(snippets):
    """No package brings a whole Collector: its settings are checked by name, and used as its exporter uses them."""
    told = yaml.safe_load(snippets["OpenTelemetry Collector"])
    [(name, exporter)] = told["exporters"].items()
    assert name.startswith("otlphttp/")
    assert exporter.keys() <= EXPORTER_SETTINGS
    for pipeline in told["service"]["pipelines"].values():
        assert pipeline["exporters"] == [name]
        assert set(pipeline["receivers"]) <= told["receivers"].keys()
    assert told["service"]["pipelines"].keys() == {"metrics", "traces"}
    for signal in told["service"]["pipelines"]:
        request = urllib.request.Request(
            f"{exporter['endpoint']}/v1/{signal}",
            gzip.compress(ExportMetricsServiceRequest().SerializeToString()),
            {**exporter["headers"], "Content-Type": "application/x-protobuf", "Content-Encoding": "gzip"},
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            assert answer.status == 200


def test_litellm(snippets):
    """As far as it goes without a proxy; tests/peers runs one with exactly this."""
    told = yaml.safe_load(snippets["LiteLLM"])
    [name] = told["litellm_settings"]["callbacks"]
    callback = told["callback_settings"][name]
    event = {"id": "a", "startTime": time.time() - 1, "endTime": time.time(), "model": "openai/gpt-x"}
    request = urllib.request.Request(
        callback["endpoint"],
        json.dumps([event]).encode(),
        {**callback["headers"], "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        assert b'"accepted":1' in answer.read()

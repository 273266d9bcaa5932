"""A real Prometheus with SGLang's and the DCGM exporter's metrics: what the dashboard says is what PromQL computes."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import prometheus_client
import pytest

from accounts.access import Asker
from metrics import capacity, identity, series
from metrics import pull as pulling
from metrics.connectors import connector_for
from metrics.figures import Scope
from metrics.http import HttpClient, OutboundPolicy, parse_networks
from metrics.models import Backend, UsageHour
from metrics.windows import Window
from roadmap.actions.roadmaps import make_roadmap
from tests.peers.cells import cells_of
from tests.peers.programs import PrometheusServer
from web.wording import NBSP

pytestmark = pytest.mark.django_db

HOUR = timedelta(hours=1)
STEP = timedelta(seconds=60)
# SGLang's own bounds, the lower end of them.
BOUNDS = (0.1, 0.2, 0.4, 0.6, 0.8, 1, 2, 4, 6, 8, 10)
E2E = '{__name__=~"sglang[:_]e2e_request_latency_seconds_bucket"}'
GPUS = 'Hostname="n1"'


@pytest.fixture(autouse=True)
def _settings(settings):
    settings.OUTBOUND_ALLOW = ["127.0.0.0/8"]
    settings.ENCRYPTION_KEYS = ["MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="]
    identity.forget()


def _history(start: datetime, end: datetime) -> str:
    """A minute's scrapes: one SGLang server, and two GPUs on its host beside one elsewhere."""
    chance = random.Random(7)  # noqa: S311 - the same figures in every run
    served = 'instance="s:30000",job="sglang",model_name="demo-8b"'
    counts, total, tokens = [0] * (len(BOUNDS) + 1), 0.0, 0
    rows: dict[str, list[str]] = {"tokens": [], "latency": [], "use": [], "energy": []}
    at = start
    while at <= end:
        now, passed = at.timestamp(), 0
        for bound, count in zip((*BOUNDS, "+Inf"), counts, strict=True):
            passed += count
            rows["latency"].append(f'sglang:e2e_request_latency_seconds_bucket{{{served},le="{bound}"}} {passed} {now}')
        rows["latency"].append(f"sglang:e2e_request_latency_seconds_count{{{served}}} {passed} {now}")
        rows["latency"].append(f"sglang:e2e_request_latency_seconds_sum{{{served}}} {total} {now}")
        rows["tokens"].append(f"sglang:generation_tokens_total{{{served}}} {tokens} {now}")
        for gpu, host in ((0, "n1"), (1, "n1"), (2, "n2")):
            labels = f'instance="{host}:9400",job="dcgm",gpu="{gpu}",UUID="GPU-{gpu}",Hostname="{host}"'
            use = 50 + 40 * gpu - 50 * (at.minute % 2) * (gpu == 0)
            rows["use"].append(f"DCGM_FI_DEV_GPU_UTIL{{{labels}}} {use} {now}")
            millijoules = 300_000 * (gpu + 1) * int((at - start).total_seconds())
            rows["energy"].append(f"DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION{{{labels}}} {millijoules} {now}")
        for _ in range(chance.randint(1, 6)):
            seconds = chance.lognormvariate(-0.2, 0.7)
            counts[sum(1 for bound in BOUNDS if bound < seconds)] += 1
            total += seconds
            tokens += chance.randint(20, 200)
        at += STEP
    types = {
        "tokens": "sglang:generation_tokens counter",
        "latency": "sglang:e2e_request_latency_seconds histogram",
        "use": "DCGM_FI_DEV_GPU_UTIL gauge",
        "energy": "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION gauge",
    }
    lines = [line for name, told in types.items() for line in (f"# TYPE {told}", *_in_order(rows[name]))]
    return "\n".join([*lines, "# EOF\n"])


def _in_order(lines: list[str]) -> list[str]:
    """OpenMetrics wants the samples of one series together."""
    return sorted(lines, key=lambda line: line.rsplit(" ", 2)[0].split('le="')[0])


def _value(prometheus: PrometheusServer, query: str, at: datetime) -> float:
    (row,) = prometheus.ask(f"{query} @ {at.timestamp()}" if "@" not in query else query)
    return float(row["value"][1])  # type: ignore[index]


def test_the_dashboards_percentile_lies_in_the_bucket_of_histogram_quantile(prometheus_server, client, adam, alice):
    now = datetime.now(UTC)
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    yesterday = today - timedelta(days=1)
    prometheus_server.load(_history(yesterday - 2 * HOUR, now.replace(second=0, microsecond=0)))
    prometheus_server.start()
    roadmap = make_roadmap(
        Asker(adam), name="Edge", owner=alice, start_on=(today - timedelta(days=30)).date(), currency="EUR"
    )
    client.force_login(adam)
    form = {
        "name": "SGLang",
        "address": prometheus_server.url,
        "preset": "sglang",
        "gpu_selector": GPUS,
        "measured_at": "",
        "pull_every_minutes": "60",
        "default_workload": roadmap.workload.pk,
        "backfill_from_on": "",
    }
    tested = client.post("/backends/new/prometheus/", {**form, "do": "test"}, headers={"HX-Request": "true"})
    assert "Joined with 2 GPUs: n1/0, n1/1." in tested.text
    added = client.post("/backends/new/prometheus/", form)
    assert added.status_code == 303, added.text
    backend = Backend.objects.get()
    Backend.objects.update(data_until=yesterday)
    for _ in range(3):
        pulling.pull(backend.pk)
    capacity.post_capacity(now)
    # What the page says.
    scope = Scope(yesterday.date(), today.date(), (roadmap.workload.pk,), backend.pk)
    (row,) = series.latency(scope)
    percentile = row.histogram.percentile(95)
    quantile = 1000 * _value(
        prometheus_server,
        f"histogram_quantile(0.95, sum by (le) (increase({E2E}[24h] @ {today.timestamp()})))",
        today,
    )
    assert percentile.low_ms <= quantile <= percentile.high_ms
    bounds_ms = [1000 * bound for bound in BOUNDS]
    assert (percentile.low_ms, percentile.high_ms) in list(zip(bounds_ms, bounds_ms[1:], strict=False))
    page = client.get("/roadmaps/edge/poc/").text.replace(NBSP, " ").replace("&nbsp;", " ")
    low, high = percentile.low_ms / 1000, percentile.high_ms / 1000
    assert f"{low:.2f} to {high:.2f} s" in page
    # And the GPUs: what PromQL computes of the same samples.
    (usage,) = series.usage(scope)
    energy = _value(
        prometheus_server,
        f"sum(increase(DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION{{{GPUS}}}[24h] @ {today.timestamp()})) / 3.6e6",
        today,
    )
    assert float(usage.sums.total("energy_wh")) == pytest.approx(energy, rel=0.002)
    use = _value(
        prometheus_server, f"avg(avg_over_time(DCGM_FI_DEV_GPU_UTIL{{{GPUS}}}[24h] @ {today.timestamp()}))", today
    )
    found = usage.sums.ratio("gpu_busy_seconds", "gpu_held_seconds", weight="gpu_held_seconds")
    # PromQL takes the mean of samples; ours is weighted with time, each hour by itself.
    assert 100 * float(found.value) == pytest.approx(use, rel=0.005)
    assert found.coverage == 1
    # Of the server's hours every one is served and of the exporter's series nothing is left.
    left = UsageHour.objects.filter(series__kind="gpu")
    assert not any(hour.energy_wh or hour.gpu_busy_seconds for hour in left)


def test_pages_that_are_really_scraped(prometheus_server):
    """SGLang's names with a colon, of which this Prometheus makes an underscore, and an exporter's gauges."""
    registry, gpus = prometheus_client.CollectorRegistry(), prometheus_client.CollectorRegistry()
    tokens = prometheus_client.Counter("sglang:generation_tokens", "x", ["model_name"], registry=registry)
    taken = prometheus_client.Histogram(
        "sglang:e2e_request_latency_seconds", "x", ["model_name"], registry=registry, buckets=BOUNDS
    )
    use = prometheus_client.Gauge("DCGM_FI_DEV_GPU_UTIL", "x", ["gpu", "UUID", "Hostname"], registry=gpus)
    tokens.labels("demo-8b").inc(100)
    taken.labels("demo-8b").observe(0.3)
    use.labels("0", "GPU-0", "n1").set(50)
    pages = [prometheus_client.start_http_server(0, "127.0.0.1", one) for one in (registry, gpus)]
    try:
        served, exporter = (f"127.0.0.1:{page.server_port}" for page, _ in pages)
        prometheus_server.start(targets={"sglang": [served], "dcgm": [exporter]})
        prometheus_server.wait_for('{__name__=~"sglang[:_]generation_tokens_total"} == 100')
        begun = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
        tokens.labels("demo-8b").inc(23)
        taken.labels("demo-8b").observe(0.5)
        prometheus_server.wait_for('{__name__=~"sglang[:_]generation_tokens_total"} == 123')
        prometheus_server.wait_for("count_over_time(DCGM_FI_DEV_GPU_UTIL[1m]) > 2")
        with HttpClient(OutboundPolicy(allow=parse_networks(["127.0.0.0/8"]))) as http:
            connector = connector_for("prometheus")
            values = {"address": prometheus_server.url, "preset": "sglang", "gpu_selector": GPUS}
            made = connector(connector.clean_parameters(values), http, lambda: datetime.now(UTC))
            cells = cells_of(made.fetch(Window(begun, begun + 2 * HOUR)))
            assert made.test().ok
        sums: dict[str, float] = {}
        for cell in cells:
            for name, value in cell.sums.items():
                sums[name] = sums.get(name, 0) + float(value)
        assert (sums["output_tokens"], sums["duration_count"]) == (23, 1)
        # Of an hour that has just begun to be seen only the seconds that were seen are known.
        assert 0 < sums["gpu_held_seconds"] < 600
        assert sums["gpu_busy_seconds"] == pytest.approx(sums["gpu_held_seconds"] / 2)
    finally:
        for page, thread in pages:
            page.shutdown()
            thread.join()

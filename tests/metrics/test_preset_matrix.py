"""Every preset through both connectors over real HTTP: the same growth, by hand, whichever way it is read."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import Any

import pytest

from metrics.connector import Connector
from metrics.connectors import connector_for
from metrics.connectors.presets.page import read_page
from metrics.counters import counter_differences, usage_cells
from metrics.http import HttpClient, Limits, OutboundPolicy, parse_networks
from metrics.usage import ADDITIVE_MEASURES, COUNT_MEASURES, UsageCell
from metrics.windows import Window
from tests.contracts.connector_suite import START
from tests.doubles.source_server import Reply, source_server
from tests.metrics.preset_pages import PAGES, Shown
from tests.metrics.test_prometheus_server import Samples

HOUR = timedelta(hours=1)
DCGM_PAGE = (
    'DCGM_FI_DEV_GPU_UTIL{gpu="0",UUID="GPU-a",Hostname="n1",modelName="H100"} 50\n'
    'DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION{gpu="0",UUID="GPU-a",Hostname="n1",modelName="H100"} 7200000\n'
    'DCGM_FI_DEV_GPU_UTIL{gpu="0",UUID="GPU-b",Hostname="n2",modelName="H100"} 90\n'
)
# Of a gauge both ways see another length of time.
OF_TIME = ("gpu_busy_seconds", "gpu_held_seconds")
each = pytest.mark.parametrize("shown", PAGES, ids=lambda shown: shown.preset)


@pytest.fixture
def http():
    policy = OutboundPolicy(allow=parse_networks(["127.0.0.0/8"]))
    with HttpClient(policy, limits=Limits(connect_seconds=1, read_seconds=2, total_seconds=5, attempts=1)) as client:
        yield client


@pytest.fixture
def source():
    with source_server() as server:
        yield server


def connect(kind: str, http: HttpClient, shown: Shown, **values: Any) -> Any:
    connector = connector_for(kind)
    told = {"model": "told"} if shown.model == "told" else {}
    cleaned = connector.clean_parameters({"preset": shown.preset, **told, **values})
    return connector(cleaned, http, lambda: START + 2 * HOUR)


def summed(cells: list[UsageCell]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for cell in cells:
        for name, value in cell.sums.items():
            assert name in ADDITIVE_MEASURES
            assert isinstance(value, int) is (name in COUNT_MEASURES)
            found[name] = found.get(name, 0) + value
    return found


def scraped(shown: Shown) -> Samples:
    """A Prometheus that scraped page 1 until the hour began, and page 2 and 3 in it, every 15 seconds."""
    samples = Samples()
    steps = [(-15, 1), *((at, 1) for at in range(0, 900, 15)), *((at, 2) for at in range(900, 1800, 15))]
    steps += [(at, 3) for at in range(1800, 3601, 15)]
    rows: dict[Any, list[tuple[float, str]]] = {}
    for at, n in steps:
        for name, values in read_page(shown.page(n), address="x", source="x").samples.items():
            for labels, value in values:
                rows.setdefault((name, labels), []).append((at, repr(value)))
    for (name, labels), values in rows.items():
        samples.add(name, values, **{"model_name": "", **dict(labels)})
    return samples


@each
def test_a_metrics_page_gives_what_grew(shown, source, http):
    connector = connect("metrics_endpoint", http, shown, addresses=source.url)
    source.play = lambda asked: Reply(shown.page(1))
    first = connector.sample()
    source.play = lambda asked: Reply(shown.page(2))
    connector.clock = lambda: START + 2 * HOUR + timedelta(minutes=10)
    cells = usage_cells(counter_differences(first, connector.sample()))
    assert summed(cells) == shown.growth
    assert {cell.currency for cell in cells if "estimated_cost" in cell.sums} <= {"USD"}


@each
def test_a_prometheus_gives_the_same_twice_over(shown, source, http):
    """Between page 1 and page 3 lies twice the growth; what is weighted with time fills the hour."""
    source.play = scraped(shown)
    connector = connect("prometheus", http, shown, address=source.url)
    cells = list(connector.fetch(Window(START, START + HOUR)))
    found = summed(cells)
    expected = {name: 2 * value for name, value in shown.growth.items() if name not in OF_TIME}
    assert {name: value for name, value in found.items() if name not in OF_TIME} == expected
    if "gpu_busy_seconds" in shown.growth:
        assert (found["gpu_busy_seconds"], found["gpu_held_seconds"]) == (1800, 3600)
    for cell in cells:
        for histogram in cell.histograms.values():
            assert math.inf not in histogram.bounds_ms


@each
def test_a_window_in_parts_gives_the_same(shown, source, http):
    source.play = scraped(shown)
    connector = connect("prometheus", http, shown, address=source.url)
    told = lambda window: sorted(repr(cell) for cell in connector.fetch(window) if getattr(cell, "sums", None))  # noqa: E731
    whole = told(Window(START - HOUR, START + HOUR))
    assert whole == sorted(told(Window(START - HOUR, START)) + told(Window(START, START + HOUR)))


@each
@pytest.mark.parametrize("kind", ["metrics_endpoint", "prometheus"])
def test_the_connection_test_says_what_is_not_offered_and_what_to_do(shown, kind, source, http):
    given = {"addresses": source.url} if kind == "metrics_endpoint" else {"address": source.url}
    connector: Connector = connect(kind, http, shown, **given)
    source.play = scraped(shown) if kind == "prometheus" else lambda asked: Reply(shown.page(1))
    connector.clock = lambda: START + HOUR
    result = connector.test()
    assert result.ok, result.lines
    told = " ".join(text for _, text in result.lines)
    assert all(text.endswith(".") for _, text in result.lines)
    for measure in ("requests", "input_tokens", "duration", "time_to_first_token"):
        if measure in connector.not_offered:
            assert connector.not_offered[measure] in told
    assert not set(connector.reports) & set(connector.not_offered)


def test_the_exporter_beside_a_server_is_read_for_its_gpus_alone(source, http):
    shown = PAGES[0]
    values = {
        "addresses": f"{source.url}/metrics",
        "gpu_addresses": f"{source.url}/gpu",
        "token": "for-the-server-only",
    }
    connector = connect("metrics_endpoint", http, shown, **values, gpu_selector='Hostname="n1"')
    source.play = lambda asked: Reply(DCGM_PAGE if asked.path == "/gpu" else shown.page(1))
    first = connector.sample()
    asked = next(one for one in source.asked if one.path == "/gpu")
    assert "for-the-server-only" not in str(asked.headers)
    connector.clock = lambda: START + 2 * HOUR + timedelta(minutes=10)
    found = summed(usage_cells(counter_differences(first, connector.sample())))
    assert (found["gpu_busy_seconds"], found["gpu_held_seconds"], found["energy_wh"]) == (300, 600, 0)
    assert "H100 n1/0" in " ".join(text for _, text in connector.test().lines)
    assert {"gpu_busy_seconds", "energy_wh"} <= connector.reports


def test_an_exporter_that_does_not_answer_does_not_keep_the_servers_figures_back(source, http):
    shown = PAGES[0]
    connector = connect("metrics_endpoint", http, shown, addresses=source.url, gpu_addresses=f"{source.url}/gpu")
    source.play = lambda asked: Reply(status=503) if asked.path == "/gpu" else Reply(shown.page(1))
    sample = connector.sample()
    assert sample.points
    assert len(sample.problems) == 1
    assert not connector.test().ok


def test_a_prometheus_joins_the_gpus_that_the_selector_names(source, http):
    shown = PAGES[0]
    samples = scraped(shown)
    for host, use in (("n1", 50), ("n2", 90)):
        gpu = {"model_name": "", "job": "dcgm", "instance": f"{host}:9400", "gpu": "0", "UUID": host, "Hostname": host}
        samples.add("DCGM_FI_DEV_GPU_UTIL", [(at, use) for at in range(-15, 3601, 15)], **gpu)
        energy = [(at, 1_000_000 + at * 300_000) for at in range(0, 3601, 15)]
        samples.add("DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION", energy, **gpu)
    source.play = samples
    connector = connect("prometheus", http, shown, address=source.url, gpu_selector='Hostname="n1"')
    found = summed(list(connector.fetch(Window(START, START + HOUR))))
    # 300 W for an hour; the exporter's counter began with the hour's first scrape.
    assert (found["gpu_busy_seconds"], found["gpu_held_seconds"], found["energy_wh"]) == (1800, 3600, 300)
    without = connect("prometheus", http, shown, address=source.url)
    assert "gpu_busy_seconds" not in summed(list(without.fetch(Window(START, START + HOUR))))
    without.clock = lambda: START + HOUR
    assert "This Prometheus knows 2 GPUs" in " ".join(text for _, text in without.test().lines)

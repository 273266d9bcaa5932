"""A real Prometheus with what Send data prints: it scrapes a page with vLLM's names, and writes to gunicorn."""

from __future__ import annotations

import html
import re
import time
from contextlib import contextmanager

import prometheus_client
import pytest
import yaml
from django.db import connection
from django.db.models import Sum

from metrics import checking
from metrics.models import CounterState, LedgerHistogram, Receipt, Series, UsageHour
from tests.flows.web_process import running_product

pytestmark = pytest.mark.django_db(transaction=True)
WITHIN_SECONDS = 90.0
LABELS = ["model_name", "engine"]


class Server:
    """A /metrics page with vLLM's counters. `truth` is what it has counted since `begin`, over all its restarts."""

    def __init__(self):
        self.port = 0
        self.truth = {"requests": 0, "errors": 0, "input_tokens": 0, "output_tokens": 0, "duration_count": 0}
        self.start()

    def start(self):
        self.registry = prometheus_client.CollectorRegistry()
        self.prompt = prometheus_client.Counter("vllm:prompt_tokens", "x", LABELS, registry=self.registry)
        self.generated = prometheus_client.Counter("vllm:generation_tokens", "x", LABELS, registry=self.registry)
        self.done = prometheus_client.Counter(
            "vllm:request_success", "x", [*LABELS, "finished_reason"], registry=self.registry
        )
        self.latency = prometheus_client.Histogram(
            "vllm:e2e_request_latency_seconds", "x", LABELS, buckets=[0.3, 0.5, 1, 2.5, 10], registry=self.registry
        )
        self.noise = prometheus_client.Gauge("python_secret_things", "x", ["prompt"], registry=self.registry)
        self.noise.labels("zebra-contract-4711").set(1)
        # vLLM makes them all when it starts.
        for reason in ("stop", "length", "abort", "error"):
            self.done.labels("demo-8b", "0", reason)
        self.page, self.thread = prometheus_client.start_http_server(self.port, "127.0.0.1", self.registry)
        self.port = self.page.server_port

    def stop(self):
        self.page.shutdown()
        self.page.server_close()
        self.thread.join()

    def serve(self, requests, *, is_counted=True):
        for number in range(requests):
            is_error = number % 5 == 4
            self.prompt.labels("demo-8b", "0").inc(100 + number)
            self.generated.labels("demo-8b", "0").inc(20)
            self.done.labels("demo-8b", "0", "error" if is_error else "stop").inc()
            self.latency.labels("demo-8b", "0").observe(0.2 + 0.4 * number)
            if is_counted:
                added = {"requests": 1, "errors": is_error, "input_tokens": 100 + number, "output_tokens": 20}
                for name, value in {**added, "duration_count": 1}.items():
                    self.truth[name] += value


@pytest.fixture
def server():
    made = Server()
    yield made
    made.stop()


@pytest.fixture
def product(tmp_path):
    with running_product(tmp_path) as made:
        yield made


@pytest.fixture
def printed(sign_in, alice, claims, product, settings):
    """The configuration that the page prints after Make a token was pressed."""
    settings.ALLOWED_HOSTS = ["*"]
    page = sign_in(alice).post("/send/token/", {"roadmap": "claims"}, headers={"host": product.url.split("//")[1]})
    return yaml.safe_load(html.unescape(re.search(r"<code>(remote_write:.*?)</code>", page.text, re.S)[1]))


def totals(names):
    found = UsageHour.objects.aggregate(**{name: Sum(name) for name in names})
    return {name: value or 0 for name, value in found.items()}


def wait_for(what, told):
    deadline = time.monotonic() + WITHIN_SECONDS
    while time.monotonic() < deadline:
        if what():
            return
        time.sleep(0.5)
    raise AssertionError(told())


def wait_for_truth(server, product):
    wait_for(
        lambda: totals(server.truth) == server.truth,
        lambda: f"{totals(server.truth)} is not {server.truth}: {product.logs()[-2000:]}",
    )
    # Nothing more comes of what was written already.
    time.sleep(3)
    assert totals(server.truth) == server.truth


@contextmanager
def away(product):
    """The server is stopped meanwhile, and starts again at its address."""
    product.stop()
    product.processes.clear()
    yield
    address = f"127.0.0.1:{product.port}"
    product.run("web", "gunicorn", "config.wsgi:application", "--bind", address, "--threads", "4")
    product.wait()


@pytest.mark.parametrize("shards", [1, 4])
def test_what_the_page_counted_arrives_once_whoever_restarts(server, product, printed, prometheus_server, shards):
    printed["remote_write"][0]["queue_config"] |= {"min_shards": shards, "max_shards": shards}
    config = {"targets": {"vllm": [f"127.0.0.1:{server.port}"]}, **printed}
    server.serve(7, is_counted=False)
    prometheus_server.start(**config)
    wait_for(lambda: CounterState.objects.count() >= 8, product.logs)
    # The last series of the first scrape may be in a request of its own.
    time.sleep(31)
    server.serve(11)
    wait_for_truth(server, product)

    prometheus_server.stop()
    server.serve(5)
    prometheus_server.start(**config)
    server.serve(3)
    wait_for_truth(server, product)

    with away(product):
        for _ in range(8):
            server.serve(2)
            time.sleep(1)
    server.serve(4)
    wait_for_truth(server, product)

    server.stop()
    server.start()
    server.serve(6)
    wait_for_truth(server, product)

    in_buckets = sum(sum(row.window[1:]) for row in LedgerHistogram.objects.all())
    assert in_buckets == server.truth["duration_count"]
    assert checking.check() == []
    series = Series.objects.get()
    assert (series.model, series.measured_at, series.workload.slug) == ("demo-8b", "server", "claims")
    assert "zebra" not in product.logs()
    with connection.cursor() as cursor:
        cursor.execute("SELECT string_agg(state::text, '') FROM metrics_counterstate")
        assert "demo-8b" not in cursor.fetchone()[0]
    assert Receipt.objects.exists()

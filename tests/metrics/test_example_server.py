"""The example server: a function of the clock, consistent with itself, on loopback alone."""

from __future__ import annotations

import re
import threading
import urllib.request

import pytest

from metrics import demo
from metrics.example_server import EPOCH, MODEL, make_server, metrics_text, requests_until
from metrics.models import Backend

NOW = EPOCH + 20 * 86_400 + 12_345


def _values(text: str) -> dict[str, float]:
    return {m[1]: float(m[2]) for m in re.finditer(r"^([^#\s]\S*) (\S+)$", text, re.MULTILINE)}


def test_the_same_moment_gives_the_same_page():
    assert metrics_text(NOW) == metrics_text(NOW)


def test_counters_only_grow_and_soon():
    earlier, later = _values(metrics_text(NOW)), _values(metrics_text(NOW + 20))
    counters = [name for name in earlier if "num_requests_running" not in name and "process_start" not in name]
    assert all(later[name] >= earlier[name] for name in counters)
    assert requests_until(NOW + 20) > requests_until(NOW)
    nights = [requests_until(EPOCH + hour * 3600 + 20) - requests_until(EPOCH + hour * 3600) for hour in range(24 * 7)]
    assert min(nights) > 0


def test_counts_tokens_and_histograms_describe_the_same_requests():
    text = metrics_text(NOW)
    values = _values(text)
    requests = sum(value for name, value in values.items() if name.startswith("vllm:request_success_total"))
    assert requests == requests_until(NOW)
    labels = f'{{engine="0",model_name="{MODEL}"}}'
    assert values[f"vllm:e2e_request_latency_seconds_count{labels}"] == requests
    tokens = values[f"vllm:generation_tokens_total{labels}"]
    assert values[f"vllm:inter_token_latency_seconds_count{labels}"] == tokens - requests
    assert text.count("(example)") == text.count("# HELP")


def test_it_listens_on_loopback_and_answers():
    server = make_server(0)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        host, port = server.server_address[:2]
        assert host == "127.0.0.1"
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
            assert b"vllm:prompt_tokens_total" in answer.read()
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.django_db
def test_what_was_made_of_it_is_pulled_no_more_once_the_demo_is_gone(make_series, adam, sign_in):

    used = Backend.objects.create(
        slug="example",
        name="Example",
        connector="metrics_endpoint",
        parameters={"preset": "vllm"},
        is_example=True,
        problem="It does not answer.",
    )
    Backend.objects.create(slug="unused", name="Unused", connector="metrics_endpoint", is_example=True)
    make_series("llama", on=used)
    demo.remove()
    assert [one.slug for one in Backend.objects.filter(is_example=True)] == ["example"]
    page = sign_in(adam).get("/backends/example/").text
    assert "The example server went with the demo. What it has counted stays." in page
    assert "does not answer" not in page

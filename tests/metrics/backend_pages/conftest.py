"""A source, and what is enqueued while its pages are used."""

from __future__ import annotations

import pytest

from metrics.actions.backends import add_backend
from metrics.models import Backend
from tests.doubles.source_server import Reply, source_server
from tests.metrics.pulling import SECRET, Provider, registered, vllm_text


@pytest.fixture(autouse=True)
def _settings(settings, monkeypatch):
    settings.OUTBOUND_ALLOW = ["127.0.0.0/8"]
    settings.ENCRYPTION_KEYS = ["MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="]
    started: list[tuple] = []
    for place in ("views.backends", "tasks", "api.backends"):
        monkeypatch.setattr(
            f"metrics.{place}.enqueue_on_commit", lambda task, *args: started.append((task.name, *args))
        )
    return started


@pytest.fixture
def started(_settings):
    return _settings


@pytest.fixture
def server():
    with source_server() as running:
        running.play = lambda asked: Reply(vllm_text(requests=10, tokens_in=1000, tokens_out=100))
        yield running


@pytest.fixture
def provider(monkeypatch):
    told = Provider()
    with registered(monkeypatch, told):
        monkeypatch.setattr("metrics.views.backends.connector_for", __import__("metrics.sources").sources.connector_for)
        yield told


@pytest.fixture
def source(provider, adam, asker, claims) -> Backend:
    return add_backend(
        asker(adam),
        kind="double",
        name="Source",
        values={"address": "https://example.org", "key": SECRET},
        default_workload=claims,
    )

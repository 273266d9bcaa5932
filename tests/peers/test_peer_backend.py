"""A real llama.cpp server as a backend: added through the form, pulled by Celery, equal to its own counters."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest
from celery.contrib.testing.worker import start_worker
from django.db.models import Sum

from config.celery import app
from metrics import counting, identity, series, sources
from metrics import pull as pulling
from metrics.connector import Sample
from metrics.connectors.metrics_endpoint import MetricsEndpoint
from metrics.figures import Scope
from metrics.models import Backend, LookAlike, UsageHour

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _settings(settings):
    settings.OUTBOUND_ALLOW = ["127.0.0.0/8"]
    settings.ENCRYPTION_KEYS = ["MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="]
    identity.forget()


@pytest.fixture
def worker() -> Iterator[None]:
    """A Celery worker on the real broker, its queue empty at first."""
    app.control.purge()
    with start_worker(app, perform_ping_check=False, pool="solo", shutdown_timeout=30):
        yield


def _wait(until: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not until():
        assert time.monotonic() < end, "nothing happened"
        time.sleep(0.2)


def _add(client, llama_server, adam, claims) -> Backend:
    client.force_login(adam)
    answer = client.post(
        "/backends/new/metrics_endpoint/",
        {
            "name": "llama.cpp",
            "addresses": llama_server.url,
            "preset": "llamacpp",
            "measured_at": "server",
            "pull_every_minutes": "1",
            "default_workload": claims.pk,
        },
    )
    assert answer.status_code == 303, answer.text
    return Backend.objects.get()


def _counted(backend: Backend) -> tuple[int, int]:
    found = UsageHour.objects.filter(series__backend=backend, series__is_pushed=False).aggregate(
        a=Sum("input_tokens"), b=Sum("output_tokens")
    )
    return found["a"] or 0, found["b"] or 0


def _used(*answers: dict[str, int]) -> tuple[int, int]:
    return sum(one["prompt_tokens"] for one in answers), sum(one["completion_tokens"] for one in answers)


def test_a_real_server_added_through_the_form_is_pulled_by_celery(llama_server, worker, client, adam, claims):
    llama_server.chat("before it was added")
    backend = _add(client, llama_server, adam, claims)
    _wait(lambda: backend.pulls.filter(ended_at__isnull=False).exists())
    answers = [llama_server.chat(f"Name {number} rivers") for number in ("two", "three")]
    client.post(f"/backends/{backend.slug}/pull/")
    _wait(lambda: _counted(backend) != (0, 0))
    assert _counted(backend) == _used(*answers)
    # After a restart its counters begin again at zero.
    llama_server.restart()
    answers.append(llama_server.chat("Name a lake"))
    pulls = backend.pulls.filter(ended_at__isnull=False).count()
    client.post(f"/backends/{backend.slug}/pull/")
    _wait(lambda: backend.pulls.filter(ended_at__isnull=False).count() > pulls)
    assert _counted(backend) == _used(*answers)
    today = datetime.now(UTC).date()
    rows = series.usage(Scope(today - timedelta(days=1), today + timedelta(days=1), (claims.pk,)))
    assert rows[0].sums.total("tokens") == sum(_used(*answers))


def test_the_same_scrape_counts_once(llama_server, client, adam, claims, monkeypatch):
    backend = _add(client, llama_server, adam, claims)
    pulling.pull(backend.pk)
    answer = llama_server.chat("Name two rivers")
    original = MetricsEndpoint.sample
    taken: list[Sample] = []

    def once(self: MetricsEndpoint) -> Sample:
        if not taken:
            taken.append(original(self))
        return taken[0]

    monkeypatch.setattr(MetricsEndpoint, "sample", once)
    for _ in range(3):
        pulling.pull(backend.pk)
    assert _counted(backend) == _used(answer)


def test_what_the_application_pushes_too_is_asked_about_and_counted_once(
    llama_server, client, adam, alice, claims, api
):
    backend = _add(client, llama_server, adam, claims)
    pulling.pull(backend.pk)
    answers = [llama_server.chat(text) for text in ("Name two rivers", "Name five lakes", "Name three hills")]
    pulling.pull(backend.pk)
    model = backend.series.get().model
    push = api(alice, scopes=["push"], workload=claims)
    sent = push.post(
        "/api/v1/usage",
        {
            "records": [
                {
                    "timestamp": sources.now().isoformat(),
                    "provider": backend.provider,
                    "model": model,
                    "input_tokens": one["prompt_tokens"],
                    "output_tokens": one["completion_tokens"],
                }
                for one in answers
            ]
        },
    )
    assert sent.status_code == 201, sent.content
    today = datetime.now(UTC).date()
    scope = Scope(today - timedelta(days=1), today + timedelta(days=1), (claims.pk,))

    def tokens() -> int:
        return int(series.usage(scope)[0].sums.total("tokens"))

    once = sum(_used(*answers))
    assert tokens() == 2 * once
    assert counting.find_look_alikes(today) == 1
    assert "Link them?" in client.get("/backends/").text
    client.post(f"/look-alikes/{LookAlike.objects.get().pk}/", {"decision": "linked"})
    assert tokens() == once
    check = series.cross_checks(scope)[0]
    assert (check.counted_tokens, check.other_tokens) == (once, once)
    assert "Link them?" not in client.get("/backends/").text

"""A real Prometheus as a source: found, ticked, pulled twice; hours add up to the counters of what it scraped."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from metrics import identity
from metrics import pull as pulling
from metrics.models import Backend, LedgerEntry, UsageHour

pytestmark = pytest.mark.django_db

HOUR = timedelta(hours=1)
STEP = timedelta(seconds=15)


@pytest.fixture(autouse=True)
def _settings(settings):
    settings.OUTBOUND_ALLOW = ["127.0.0.0/8"]
    settings.ENCRYPTION_KEYS = ["MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="]
    identity.forget()


def _history(start: datetime, end: datetime) -> tuple[str, dict[tuple[str, datetime], int]]:
    """Two models on two replicas each, scraped every 15 seconds; the output tokens of each model and hour."""
    lines, truth = ["# TYPE vllm:generation_tokens counter"], {}
    for place, (model, replica) in enumerate((m, r) for m in ("small-8b", "large-70b") for r in ("a", "b")):
        at, value = start, 1000 * place
        labels = f'instance="{replica}-{model}:8000",job="vllm",engine="0",model_name="{model}"'
        while at <= end:
            lines.append(f"vllm:generation_tokens_total{{{labels}}} {value} {at.timestamp()}")
            more = 3 + place + at.second % 4
            at += STEP
            if at <= end:
                # Counted in (hour, hour + 1]: what a scrape on the edge shows was counted before it.
                hour = (at - timedelta(microseconds=1)).replace(minute=0, second=0, microsecond=0)
                truth[model, hour] = truth.get((model, hour), 0) + more
                value += more
    return "\n".join([*lines, "# EOF\n"]), truth


def test_servers_are_found_ticked_and_pulled_exactly(prometheus_server, client, adam, claims):
    now = datetime.now(UTC)
    end = now.replace(minute=0, second=0, microsecond=0)
    start = end - 3 * HOUR
    text, truth = _history(start, now.replace(second=0, microsecond=0))
    prometheus_server.load(text)
    prometheus_server.start()
    client.force_login(adam)
    form = {
        "address": prometheus_server.url,
        "preset": "vllm",
        "measured_at": "server",
        "pull_every_minutes": "60",
        "default_workload": claims.pk,
        "backfill_from_on": "",
    }
    url = "/backends/new/prometheus/"
    found = client.post(url, {**form, "do": "discover"}, headers={"HX-Request": "true"})
    ticks = [line.split('"')[1] for line in found.text.split("value=")[1:]]
    models = [tick for tick in ticks if "8b" in tick or "70b" in tick]
    assert len(models) == 2, found.text
    assert client.post(url, {**form, "do": "add_ticked", "candidate": models}).status_code == 303
    assert Backend.objects.count() == 2
    for backend in Backend.objects.all():
        pulling.pull(backend.pk)
    entries = LedgerEntry.objects.count()
    for backend in Backend.objects.all():
        pulling.pull(backend.pk)
    assert LedgerEntry.objects.count() == entries
    counted = {
        (hour.series.model, hour.hour): hour.output_tokens
        for hour in UsageHour.objects.select_related("series")
        if start <= hour.hour < end
    }
    assert counted == {key: value for key, value in truth.items() if key[1] < end}

"""How fresh a backend is, in words: on the list, on its page, over REST, and where it needs somebody."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from metrics import series
from metrics.freshness import freshness_of
from metrics.models import Backend, Pull
from tests.metrics.pulling import backend_of

NOW = datetime(2026, 11, 22, 14, 25, tzinfo=UTC)
MINUTES, HOURS, DAYS = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


def _backend(**fields) -> Backend:
    return Backend(name="GPU", connector="openai", created_at=NOW - 30 * DAYS, **fields)


@pytest.mark.parametrize(
    ("fields", "says", "is_late"),
    [
        (
            {"data_until": NOW - 25 * MINUTES, "next_pull_at": NOW + 35 * MINUTES},
            "Data until 14:00 UTC, 25 minutes ago; next pull in 35 minutes",
            False,
        ),
        (
            {"data_until": NOW - 3 * HOURS, "next_pull_at": NOW - 1 * MINUTES},
            "Data until 11:25 UTC, 3 hours ago; next pull within two minutes",
            False,
        ),
        (
            {"data_until": NOW - 3 * DAYS, "next_pull_at": NOW - 3 * DAYS},
            "Late: last data 3 days ago; the next pull is overdue",
            True,
        ),
        (
            {"data_until": NOW - 15 * HOURS, "next_pull_at": NOW, "pull_every_minutes": 1440},
            "Data until 21 Nov 2026, 23:25 UTC, 15 hours ago; next pull within two minutes",
            False,
        ),
        (
            {"data_until": NOW - HOURS, "next_pull_at": NOW, "resting_until": NOW + 95 * MINUTES},
            "Data until 13:25 UTC, 60 minutes ago; the source asked to be left alone until 16:00 UTC",
            False,
        ),
        ({"next_pull_at": NOW}, "No data yet; next pull within two minutes", True),
        ({"is_enabled": False, "data_until": NOW - 3 * DAYS}, "Data until 19 Nov 2026, 14:25 UTC", False),
        ({"is_demo": True, "data_until": NOW}, "", False),
    ],
)
def test_it_is_said_in_words(fields, says, is_late):
    found = freshness_of(_backend(**fields), NOW)
    assert (found.text.replace("\xa0", " "), found.is_late) == (says, is_late)


@pytest.fixture
def late(db) -> Backend:
    return backend_of("openai", data_until=datetime.now(UTC) - 3 * DAYS, next_pull_at=datetime.now(UTC) - 3 * DAYS)


def test_who_is_late_needs_a_decision_and_says_so_everywhere(late, adam, sign_in, api):
    client = sign_in(adam)
    for url in ("/backends/", f"/backends/{late.slug}/"):
        assert "Late: last data 3 days ago" in client.get(url).text
    assert "has brought nothing for a while" in client.get("/backends/").text
    (item,) = series.attention(None)
    assert (item.code, item.subject) == ("backend_late", "Source")
    assert item.detail == "Last data 3 days ago: do worker and beat run?"
    row = api(adam, scopes=["read"]).get(f"/api/v1/backends/{late.slug}/").json()
    assert row["is_late"] is True
    assert row["freshness"].startswith("Late: last data 3 days ago")


def test_the_lists_queries_do_not_grow_with_backends(db, adam, sign_in, django_assert_num_queries):
    def count(client) -> int:
        with CaptureQueriesContext(connection) as caught:
            client.get("/backends/")
        return len(caught)

    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    client = sign_in(adam)
    backend_of("openai")
    before = count(client)
    for number in range(20):
        backend_of("openai", slug=f"b{number}", name=f"b{number}", data_until=datetime.now(UTC) - number * DAYS)
    assert count(client) == before


def test_a_pull_that_was_killed_is_closed_by_the_schedule(late, monkeypatch):
    from metrics import tasks

    monkeypatch.setattr(tasks.pull_backend, "apply_async", lambda **kwargs: None)
    Pull.objects.create(backend=late)
    Pull.objects.update(started_at=datetime.now(UTC) - HOURS)
    tasks.pull_due_backends()
    assert late.pulls.get().outcome == Pull.Outcome.TRANSIENT

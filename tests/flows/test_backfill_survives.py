"""A worker that is killed in the middle of a backfill: another goes on, and the ledger is as if nothing had been."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import redis
from celery import current_app
from django.conf import settings
from django.core.management import call_command
from django.db import connection
from django.db.models import Sum

from metrics import backfill, ledger, pull
from metrics.models import Backend, LedgerEntry, Pull, UsageHour
from metrics.secrets import seal
from metrics.tasks import pull_due_backends
from metrics.usage import FeedKind
from tests.doubles.openai_double import OpenAIDouble
from tests.doubles.source_server import source_server
from tests.flows.database_address import database_url

DAYS = 100
KEY = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
PATIENCE_SECONDS = 60


class Worker:
    """A Celery worker as `bin/up` starts it, in a process group of its own."""

    def __init__(self, broker: str, log: Path) -> None:
        self.broker, self.log = broker, log
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        environment = {
            **os.environ,
            "DATABASE_URL": database_url(),
            "CELERY_BROKER_URL": self.broker,
            "OUTBOUND_ALLOW": "127.0.0.0/8",
            "PHASELINE_ENCRYPTION_KEYS": KEY,
            "PLAIN_STATIC": "1",
        }
        environment.setdefault("SECRET_KEY", "for this test alone")
        command = [sys.executable, "-m", "celery", "--app", "config", "worker", "--concurrency", "2"]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*command, "--loglevel", "WARNING", "--without-gossip", "--without-mingle", "--without-heartbeat"],
                cwd=settings.BASE_DIR,
                env=environment,
                start_new_session=True,
                stdout=log,
                stderr=log,
            )

    def kill(self) -> None:
        """As a power cut would, for every process of it."""
        if self.process is not None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(10)
            self.process = None


@pytest.fixture
def worker(transactional_db, tmp_path, settings, monkeypatch):
    settings.OUTBOUND_ALLOW = ["127.0.0.0/8"]
    settings.ENCRYPTION_KEYS = [KEY]
    # A database of the broker's that nobody else uses.
    base, _, query = settings.CELERY_BROKER_URL.partition("?")
    broker = f"{base}?virtual_host=9" if base.startswith("redis+socket") else f"{base.rpartition('/')[0]}/9"
    store = (
        redis.Redis(unix_socket_path=base.removeprefix("redis+socket://"), db=9)
        if base.startswith("redis+socket")
        else redis.Redis.from_url(broker)
    )
    store.flushdb()
    monkeypatch.setattr(current_app.conf, "broker_url", broker)
    one = Worker(broker, tmp_path / "worker.log")
    yield one
    one.kill()
    store.flushdb()
    store.close()


def until(done: Callable[[], object], worker: Worker) -> None:
    limit = time.monotonic() + PATIENCE_SECONDS
    while not done():
        assert time.monotonic() < limit, worker.log.read_text()[-3000:]
        time.sleep(0.05)


def organization(slug: str, address: str) -> Backend:
    now = datetime.now(UTC)
    cursor = now.replace(minute=0, second=0, microsecond=0)
    return Backend.objects.create(
        slug=slug,
        name=slug,
        connector="openai",
        provider="openai",
        parameters={"address": address, "projects": []},
        secrets=seal({"admin_key": "sk-admin"}),
        next_pull_at=now,
        backfill_from=cursor.replace(hour=0) - timedelta(days=DAYS),
        backfill_cursor=cursor,
        backfill_until=cursor,
    )


def beat(broker: str) -> None:
    """What Celery beat does every minute."""
    with current_app.connection_for_write(url=broker) as link:
        pull_due_backends.apply_async(connection=link)


@contextmanager
def feed_held(backend: Backend):
    """Nobody posts to the backend's usage meanwhile."""
    feed = ledger.feed(FeedKind.USAGE, backend)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s, %s)", [ledger.FEED_LOCK, feed.pk])
        yield feed
        cursor.execute("SELECT pg_advisory_unlock(%s, %s)", [ledger.FEED_LOCK, feed.pk])


def is_waited_for() -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database "
            "WHERE l.locktype = 'advisory' AND NOT l.granted AND d.datname = current_database()"
        )
        return bool(cursor.fetchone()[0])


def sums(model, backend: Backend) -> dict:
    rows = model.objects.filter(series__backend=backend).values("series__model", "hour", "currency")
    names = ("requests", "input_tokens", "output_tokens", "estimated_cost", "billed_cost")
    found = rows.annotate(**{f"all_{name}": Sum(name) for name in names})
    return {
        (row["series__model"], row["hour"], row["currency"]): values
        for row in found
        if any(values := tuple(row[f"all_{name}"] for name in names))
    }


def test_killed_in_the_middle_it_is_resumed_and_the_ledger_is_that_of_an_undisturbed_run(worker):
    double = OpenAIDouble(start=datetime.now(UTC).replace(hour=0) - timedelta(days=DAYS + 2), every_hours=7)
    with source_server() as source:
        source.play = double.play
        killed, undisturbed = (organization(slug, source.url) for slug in ("killed", "undisturbed"))
        Backend.objects.filter(pk=undisturbed.pk).update(is_enabled=False)

        def cursor() -> datetime | None:
            return Backend.objects.values_list("backfill_cursor", flat=True).get(pk=killed.pk)

        worker.start()
        beat(worker.broker)
        until(lambda: cursor() != killed.backfill_cursor, worker)
        with feed_held(killed):
            # The next step has been read and stands before its posting.
            until(is_waited_for, worker)
            at = cursor()
            worker.kill()
        assert at is not None
        assert Pull.objects.filter(backend=killed, outcome=Pull.Outcome.RUNNING, is_backfill=True).count() == 1
        read = len(sums(LedgerEntry, killed))
        worker.start()
        # Its claim runs out, which takes six minutes; the next minute's beat hands it out.
        Backend.objects.filter(pk=killed.pk).update(backfill_claimed_until=datetime.now(UTC))
        Pull.objects.filter(backend=killed).update(started_at=datetime.now(UTC) - timedelta(minutes=11))
        beat(worker.broker)
        until(lambda: cursor() is None, worker)
        worker.kill()
        assert len(sums(LedgerEntry, killed)) > read

        Backend.objects.filter(pk=undisturbed.pk).update(is_enabled=True)
        pull.pull(undisturbed.pk)
        while backfill.step(undisturbed.pk):
            pass
    assert Pull.objects.filter(backend=killed, message__startswith="Stopped half-way").exists()
    for model in (LedgerEntry, UsageHour):
        assert sums(model, killed) == sums(model, undisturbed)
    assert sum(values[0] or 0 for values in sums(LedgerEntry, killed).values()) == double.requests_until_now(DAYS)
    call_command("check_ledger")

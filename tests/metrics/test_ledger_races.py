"""Pushes to the same hours, readings and rebuild_usage at once: no deadlock, no lost update."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta

import pytest
from django.db import connections

from metrics import checking, ledger, series
from metrics.figures import Scope
from metrics.ledger import PostedCell
from metrics.models import Receipt
from metrics.usage import FeedKind

START = datetime(2026, 3, 4, 20, tzinfo=UTC)
HOURS = 6
PUSHES = 12
CLIENTS = 3


@pytest.mark.django_db(transaction=True)
def test_pushes_readings_and_a_rebuild_do_not_disturb_one_another(backend, make_series):
    ids = [make_series(f"m{number}") for number in range(3)]
    feed = ledger.feed(FeedKind.PUSH, backend)
    scope = Scope(date(2026, 3, 4), date(2026, 3, 6), None)
    receipts = []

    def push(seed):
        order = random.Random(seed)
        for _ in range(PUSHES):
            cells = [
                PostedCell(
                    one, START + timedelta(hours=hour), {"requests": 1, "errors": 0}, {"duration": [hour + 1, 1]}
                )
                for one in ids
                for hour in range(HOURS)
            ]
            order.shuffle(cells)
            receipts.append(ledger.post(Receipt(kind=FeedKind.PUSH, backend=backend), feed, cells))

    def read(_):
        seen = 0
        for _ in range(PUSHES):
            rows = series.usage(scope)
            found = rows[0].sums.total("requests") if rows else 0
            # Each push is seen as a whole, and never less than before.
            assert found % (len(ids) * HOURS) == 0
            assert found >= seen
            seen = found

    def rebuild(_):
        for _ in range(4):
            checking.rebuild(ids)

    def take_back(_):
        for _ in range(3):
            if receipts:
                taken.append(ledger.reverse(receipts.pop(0)))

    taken = []
    with ThreadPoolExecutor(CLIENTS + 2) as pool:
        jobs = [pool.submit(_apart, push, seed) for seed in range(CLIENTS)]
        jobs += [pool.submit(_apart, read, 0), pool.submit(_apart, rebuild, 0)]
        for job in jobs:
            job.result(timeout=120)
    assert checking.check() == []
    pushed = CLIENTS * PUSHES
    assert series.usage(scope)[0].sums.total("requests") == pushed * len(ids) * HOURS
    with ThreadPoolExecutor(3) as pool:
        jobs = [pool.submit(_apart, work, 9) for work in (push, take_back, rebuild)]
        for job in jobs:
            job.result(timeout=120)
    assert checking.check() == []
    left = pushed + PUSHES - len(taken)
    assert series.usage(scope)[0].sums.total("requests") == left * len(ids) * HOURS
    assert series.latency(scope)[0].histogram.count == left * len(ids) * HOURS


def _apart(work, *args):
    """Run in a thread, with its own connection."""
    try:
        return work(*args)
    finally:
        connections.close_all()

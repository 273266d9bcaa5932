"""Merging and dropping what is old: the sums stay, what is young stays, and a kill at any point loses nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import uuid
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone

from accounts.models import Membership, Role, User, Workload
from accounts.tokens import make_token
from config.checks import check_settings
from metrics import checking, ledger, pricing, repricing, retention, tasks
from metrics.errors import RuleViolation
from metrics.ledger import PostedCell
from metrics.models import (
    CounterState,
    LedgerEntry,
    LedgerHistogram,
    OwnPrice,
    PushProblem,
    Receipt,
    Restatement,
    RetentionJob,
    SeriesAllowance,
    UsageHour,
)
from metrics.usage import FeedKind
from metrics.windows import Window

HOUR = datetime(2026, 3, 2, 9, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture
def token(db):
    owner = User.objects.create_user(username="anna")
    workload = Workload.objects.create(slug="support", name="Support")
    Membership.objects.create(user=owner, workload=workload, role=Role.MANAGER)
    return make_token(name="app", owner=owner, scopes=["push"], workload=workload)[0]


@pytest.fixture
def push(backend):
    """`push(series, days_old=40, hour=HOUR, **sums)`: a pushed receipt of that age."""

    def _push(series, days_old=40.0, hour=HOUR, histogram=None, currency="USD", note="", token=None, **sums):
        receipt = Receipt(kind=FeedKind.PUSH, backend=backend, token=token, accepted=sums.get("requests", 0), note=note)
        histograms = {"duration": histogram} if histogram else {}
        ledger.post(
            receipt,
            ledger.feed(FeedKind.PUSH, backend),
            [PostedCell(series, hour, sums, histograms, currency if "estimated_cost" in sums else "")],
        )
        age(receipt, days_old)
        return receipt

    return _push


def age(receipt, days):
    Receipt.objects.filter(pk=receipt.pk).update(created_at=timezone.now() - timedelta(days=days))
    receipt.refresh_from_db()


def run(*names):
    found = retention.run(timezone.now(), names=names)
    assert [one.problem for one in found] == [""] * len(found)
    return {one.name: one.removed for one in found}


def entries_of(series):
    return list(LedgerEntry.objects.filter(series=series).order_by("hour", "currency", "pk"))


def test_old_entries_of_an_hour_become_one_and_the_sums_stay(push, make_series):
    series = make_series("m1")
    for number in range(5):
        push(series, requests=10 + number, estimated_cost=Decimal("0.1"), histogram=[100 + number, 1, 2])
    push(series, hour=HOUR + timedelta(hours=1), requests=7)
    before = UsageHour.objects.get(series=series, hour=HOUR)
    assert run("ledger_entries") == {"ledger_entries": 4}
    first, second = entries_of(series)
    assert (first.requests, first.estimated_cost, first.postings) == (60, Decimal("0.5"), 5)
    assert first.errors is None
    assert (second.requests, second.postings) == (7, 1)
    assert LedgerHistogram.objects.get(entry=first).window == [100, 1, 3, 3, 3, 3, 2]
    after = UsageHour.objects.get(series=series, hour=HOUR)
    assert (after.requests, after.estimated_cost) == (before.requests, before.estimated_cost)
    assert checking.check() == []
    assert run("ledger_entries") == {"ledger_entries": 0}


def test_a_merged_entry_belongs_to_the_newest_of_its_receipts(push, make_series):
    series = make_series("m1")
    receipts = [push(series, requests=1) for _ in range(3)]
    run("ledger_entries")
    assert [entry.receipt_id for entry in entries_of(series)] == [receipts[-1].pk]


def test_what_can_be_taken_back_is_left_and_can_be_taken_back(push, make_series):
    series = make_series("m1")
    push(series, requests=1)
    push(series, requests=2)
    young = [push(series, days_old=34.9, requests=4), push(series, days_old=35.5, requests=8)]
    assert run("ledger_entries") == {"ledger_entries": 1}
    assert sorted(entry.requests for entry in entries_of(series)) == [3, 4, 8]
    ledger.reverse(young[0])
    assert UsageHour.objects.get(series=series).requests == 11
    with pytest.raises(RuleViolation, match="35 days"):
        ledger.reverse(young[1])
    assert checking.check() == []


def test_receipts_that_were_taken_back_keep_their_entries_and_stay_void(push, make_series):
    series = make_series("m1")
    push(series, requests=1)
    taken = push(series, days_old=1, requests=50)
    opposite = ledger.reverse(taken)
    push(series, requests=2)
    age(taken, 60)
    age(opposite, 59)
    run("ledger_entries")
    assert UsageHour.objects.get(series=series).requests == 3
    assert LedgerEntry.objects.filter(receipt__in=[taken, opposite]).count() == 2
    assert checking.check() == []


def test_what_is_known_and_the_currency_are_told_apart(push, make_series):
    series = make_series("m1")
    push(series, requests=1)
    push(series, requests=2)
    push(series, requests=1, output_tokens=5)
    push(series, requests=1, estimated_cost=Decimal(1))
    push(series, requests=1, estimated_cost=Decimal(1), currency="EUR")
    push(series, requests=1, estimated_cost=Decimal(1), note="Priced by list")
    assert run("ledger_entries") == {"ledger_entries": 1}
    assert len(entries_of(series)) == 5
    assert checking.check() == []


def test_a_pull_compares_with_what_its_feed_holds_as_before(backend, make_series):
    series = make_series("m1")
    feed = ledger.feed(FeedKind.USAGE, backend)
    window = Window(HOUR, HOUR + 2 * timedelta(hours=1))

    def state(requests, minutes):
        return ledger.post_statement(
            receipt=Receipt(kind=FeedKind.USAGE, backend=backend),
            feed=feed,
            window=window,
            cells=[PostedCell(series, HOUR, {"requests": requests}, {"duration": [100, requests]})],
            as_of=HOUR + timedelta(hours=2, minutes=minutes),
        )

    for minutes, requests in enumerate((5, 9, 12)):
        age(state(requests, minutes), 60)
    assert run("ledger_entries") == {"ledger_entries": 2}
    assert state(12, 10) is None
    state(10, 20)
    assert UsageHour.objects.get(series=series).requests == 10
    assert [entry.requests for entry in entries_of(series)] == [12, -2]
    assert checking.check() == []


def test_a_correction_of_settled_hours_keeps_its_entries(backend, make_series, push):
    series = make_series("m1")
    first, second, correction = (push(series, requests=count) for count in (5, 6, 1))
    Restatement.objects.create(receipt=correction, series_id=series, first_hour=HOUR, last_hour=HOUR)
    assert run("ledger_entries") == {"ledger_entries": 1}
    left = {(entry.receipt_id, entry.requests) for entry in entries_of(series)}
    assert left == {(correction.pk, 1), (second.pk, 11)}
    assert first.pk < second.pk


@pytest.fixture
def prices():
    """Own prices that this test alone has: each process remembers them for a while."""
    pricing.forget_prices()
    yield OwnPrice.objects
    pricing.forget_prices()


def test_pricing_again_finds_what_it_found_before(prices, backend, make_series, push):
    series = make_series("m1", is_pushed=True)
    prices.create(
        provider="vllm",
        model="m1",
        currency="USD",
        input_per_million=Decimal(3),
        output_per_million=Decimal(9),
        valid_from_on=date(2026, 1, 1),
    )
    # Each batch was rounded up by half of the tenth place: no difference, however many there were.
    for _ in range(20):
        push(
            series,
            input_tokens=1,
            output_tokens=1,
            estimated_cost=Decimal("0.0000120001"),
            note="Priced by own price",
        )
    window = Window(HOUR, HOUR + timedelta(hours=1))
    before = repricing.reprice(backend, window, is_trial=True)
    assert run("ledger_entries") == {"ledger_entries": 19}
    after = repricing.reprice(backend, window, is_trial=True)
    assert (after.hours, after.amounts, after.left) == (before.hours, before.amounts, before.left) == (0, {}, {})


def test_a_receipt_larger_than_a_step_is_merged_in_parts(push, make_series, backend, monkeypatch):
    from metrics import compaction

    monkeypatch.setattr(compaction, "ENTRIES_AT_ONCE", 4)
    series = make_series("m1")
    hours = [HOUR + number * timedelta(hours=1) for number in range(10)]
    for _ in range(2):
        receipt = Receipt(kind=FeedKind.PUSH, backend=backend)
        ledger.post(
            receipt, ledger.feed(FeedKind.PUSH, backend), [PostedCell(series, hour, {"requests": 1}) for hour in hours]
        )
        age(receipt, 50)
    assert run("ledger_entries") == {"ledger_entries": 10}
    assert [entry.requests for entry in entries_of(series)] == [2] * 10
    assert checking.check() == []


def test_a_run_that_is_out_of_time_goes_on_where_it_ended(push, make_series, monkeypatch):
    from metrics import compaction

    monkeypatch.setattr(compaction, "RECEIPTS_AT_ONCE", 2)
    series = make_series("m1")
    for hour in (HOUR, HOUR + DAY):
        for _ in range(3):
            push(series, hour=hour, requests=1)
    [first] = retention.run(timezone.now(), names=["ledger_entries"], seconds=0)
    assert (first.removed, first.steps, first.is_done) == (2, 1, False)
    assert len(entries_of(series)) == 4
    run("ledger_entries")
    assert [(left.requests, left.postings) for left in entries_of(series)] == [(3, 3), (3, 3)]


def test_receipts_of_a_day_are_thinned_and_their_numbers_kept(push, make_series, token):
    series = make_series("m1")
    receipts = [push(series, days_old=120, requests=count, token=token) for count in (1, 2, 3, 4)]
    Receipt.objects.filter(pk=receipts[0].pk).update(duplicates=5, rejected_count=1, window_start=HOUR - DAY)
    others = push(series, days_old=120, requests=9)
    young = push(series, days_old=80, requests=1, token=token)
    run("ledger_entries")
    assert run("receipts") == {"receipts": 3}
    left = Receipt.objects.get(pk=receipts[-1].pk)
    assert (left.accepted, left.duplicates, left.rejected_count, left.stands_for) == (10, 5, 1, 4)
    assert left.window_start == HOUR - DAY
    assert set(Receipt.objects.values_list("pk", flat=True)) == {left.pk, others.pk, young.pk}
    assert run("receipts") == {"receipts": 0}
    assert checking.check() == []


def test_what_is_kept_for_a_time_goes_with_it(token, backend):
    now = timezone.now()
    for days in (1, 3):
        SeriesAllowance.objects.create(token=token, day=(now - timedelta(days=days)).date(), made=1)
    PushProblem.objects.create(token=token, at=now - timedelta(days=36), code="x", detail="x")
    for where, days in ((backend, 50), (None, 36), (None, 34)):
        CounterState.objects.create(
            backend=where, stream_digest=uuid.uuid4().bytes, state={}, sampled_at=now - timedelta(days=days)
        )
    found = run()
    assert found["series_allowances"] == 1
    assert found["push_problems"] == 1
    assert found["pushed_streams"] == 1
    assert set(CounterState.objects.values_list("backend__slug", flat=True)) == {"gpu-1", None}


def test_the_command_says_what_it_did_and_what_was_done_last(push, make_series):
    series = make_series("m1")
    push(series, requests=1)
    push(series, requests=2)
    out = StringIO()
    call_command("retain", "--show", stdout=out)
    assert "ledger_entries: never ran" in out.getvalue()
    out = StringIO()
    call_command("retain", stdout=out)
    assert "ledger_entries: 1 rows taken away" in out.getvalue()
    out = StringIO()
    call_command("retain", "--show", stdout=out)
    assert "1 rows, 1 in all" in out.getvalue()
    with pytest.raises(CommandError, match="There is no job dust. There are: series_allowances"):
        call_command("retain", "dust")


def test_one_job_that_fails_says_so_and_stops_no_other(push, make_series, monkeypatch):
    series = make_series("m1")
    push(series, requests=1)
    push(series, requests=2)

    def fail(_cursor, _now):
        raise ValueError("secret words")

    monkeypatch.setitem(retention.JOBS, "push_problems", fail)
    found = {one.name: one for one in retention.run(timezone.now())}
    assert found["push_problems"].problem == "ValueError; the worker's log says more."
    assert RetentionJob.objects.get(name="push_problems").problem == found["push_problems"].problem
    assert found["ledger_entries"].removed == 1


def test_the_task_goes_on_until_nothing_is_left(push, make_series, monkeypatch):
    asked = []
    monkeypatch.setattr(tasks.retain, "apply_async", lambda **given: asked.append(given))
    tasks.retain()
    assert asked == []
    series = make_series("m1")
    for _ in range(2):
        push(series, requests=1)
    monkeypatch.setattr("metrics.retention.run.__kwdefaults__", {"names": ["ledger_entries"], "seconds": 0})
    tasks.retain()
    assert asked == [{"countdown": 5, "expires": 600}]


@pytest.mark.parametrize("name", ["COMPACT_AFTER_DAYS", "RECEIPTS_KEPT_DAYS"])
def test_nothing_that_can_be_taken_back_may_be_set_to_be_merged(name, settings):
    setattr(settings, name, 35)
    [error] = [one for one in check_settings(None) if one.msg.startswith(name)]
    assert "from 36" in error.hint


@pytest.mark.django_db(transaction=True)
def test_a_kill_in_the_middle_loses_nothing(push, make_series, backend):
    series = [make_series(f"m{number}") for number in range(4)]
    hours = [HOUR + number * timedelta(hours=1) for number in range(48)]
    feed = ledger.feed(FeedKind.PUSH, backend)
    for _ in range(12):
        receipt = Receipt(kind=FeedKind.PUSH, backend=backend)
        cells = [PostedCell(one, hour, {"requests": 1}, {"duration": [100, 1]}) for one in series for hour in hours]
        ledger.post(receipt, feed, cells)
        age(receipt, 50)
    every = len(hours) * len(series)
    at = connection.settings_dict
    program = (
        "import django; django.setup()\n"
        "from django.db import connection\n"
        f"connection.settings_dict['NAME'] = {at['NAME']!r}\n"
        "from django.utils import timezone\n"
        "from metrics import compaction, retention\n"
        "compaction.ENTRIES_AT_ONCE = 40\n"
        "print('begun', flush=True)\n"
        "retention.run(timezone.now(), names=['ledger_entries'])\n"
    )
    kills = 0
    while kills < 20:
        begun = subprocess.Popen(
            [sys.executable, "-c", program],
            env={**os.environ, "DJANGO_SETTINGS_MODULE": "config.settings"},
            stdout=subprocess.PIPE,
        )
        assert begun.stdout is not None
        assert begun.stdout.readline() == b"begun\n"
        time.sleep(0.03 + 0.02 * kills)
        if begun.poll() is not None:
            break
        begun.send_signal(signal.SIGKILL)
        begun.wait()
        kills += 1
        assert checking.check() == []
        done = RetentionJob.objects.filter(name="ledger_entries", done_at__isnull=False)
        if done.exists():
            break
        if kills >= 3 and LedgerEntry.objects.count() < every * 12:
            break
    assert kills
    assert LedgerEntry.objects.count() < every * 12
    run("ledger_entries")
    assert LedgerEntry.objects.count() == every
    assert set(UsageHour.objects.values_list("requests", flat=True)) == {12}
    assert checking.check() == []

"""The ledger adds, compares and takes back; the hours are its sums."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.db import DatabaseError, connection, transaction
from django.utils import timezone

from metrics import identity, ledger, posting
from metrics.errors import RuleViolation
from metrics.ledger import PostedCell, SeriesGone
from metrics.models import (
    Allocation,
    HistogramBounds,
    HistogramHour,
    LedgerEntry,
    Receipt,
    Series,
    StaleDay,
    UsageHour,
)
from metrics.usage import FeedKind, ForeignHistogram
from metrics.windows import Window

HOUR = datetime(2026, 3, 4, 10, tzinfo=UTC)
NEXT = HOUR + timedelta(hours=1)
DAY = Window(HOUR.replace(hour=0), HOUR.replace(hour=0) + timedelta(days=1))


def push(backend, series_id, sums, *, hour=HOUR, currency="", histograms=None):
    return ledger.post(
        Receipt(kind=FeedKind.PUSH, backend=backend),
        ledger.feed(FeedKind.PUSH, backend),
        [PostedCell(series_id, hour, sums, histograms or {}, currency)],
    )


def state(backend, cells, *, as_of, window=DAY, kind=FeedKind.USAGE):
    return ledger.post_statement(
        receipt=Receipt(kind=kind, backend=backend),
        feed=ledger.feed(kind, backend),
        window=window,
        cells=cells,
        as_of=as_of,
    )


def test_it_adds_pushes_up(backend, make_series):
    series = make_series("m1")
    push(backend, series, {"requests": 2, "output_tokens": 10})
    push(backend, series, {"requests": 3, "errors": 1})
    hour = UsageHour.objects.get()
    assert (hour.requests, hour.errors, hour.output_tokens) == (5, 1, 10)
    assert hour.input_tokens is None
    assert LedgerEntry.objects.count() == 2
    assert StaleDay.objects.get().day == HOUR.date()


def test_it_adds_up_cells_of_one_posting(backend, make_series):
    first, second = make_series("m1"), make_series("m2")
    cells = [
        PostedCell(second, HOUR, {"requests": 1}, {"duration": [100, 1]}),
        PostedCell(first, NEXT, {"requests": 1, "estimated_cost": Decimal("0.5")}, currency="USD"),
        PostedCell(second, HOUR, {"requests": 4}, {"duration": [99, 2, 1]}),
    ]
    ledger.post(Receipt(kind=FeedKind.PUSH), ledger.feed(FeedKind.PUSH, backend), cells)
    assert list(UsageHour.objects.order_by("series").values_list("series", "requests", "currency")) == [
        (first, 1, "USD"),
        (second, 5, ""),
    ]
    assert HistogramHour.objects.get().window == [99, 2, 2]


@pytest.mark.parametrize(
    "cell",
    [
        {"sums": {"reqests": 1}},
        {"sums": {"billed_cost": Decimal(1)}},
        {"sums": {"requests": 1}, "hour": HOUR + timedelta(minutes=1)},
        {"sums": {"requests": 1}, "hour": HOUR.replace(tzinfo=None)},
    ],
)
def test_it_refuses_a_cell_that_cannot_be(backend, make_series, cell):
    fields = {"hour": HOUR, **cell}
    with pytest.raises(ValueError):
        ledger.post(
            Receipt(kind=FeedKind.PUSH),
            ledger.feed(FeedKind.PUSH, backend),
            [PostedCell(series_id=make_series("m1"), **fields)],
        )
    assert Receipt.objects.count() == 0


def test_it_says_when_a_series_is_gone(backend, make_series):
    series = make_series("m1")
    Allocation.objects.all().delete()
    Series.objects.filter(pk=series).delete()
    with pytest.raises(SeriesGone), transaction.atomic():
        push(backend, series, {"requests": 1})
    assert LedgerEntry.objects.count() == 0


def test_it_posts_a_statement_once(backend, make_series):
    series = make_series("m1")
    cells = [PostedCell(series, HOUR, {"requests": 7, "gpu_busy_seconds": Decimal("1.23456789")})]
    assert state(backend, cells, as_of=NEXT) is not None
    assert state(backend, cells, as_of=NEXT + timedelta(hours=1)) is None
    assert LedgerEntry.objects.count() == 1


def test_it_posts_a_restatement_as_the_difference(backend, make_series):
    series = make_series("m1")
    state(backend, [PostedCell(series, HOUR, {"requests": 7}, {"duration": [50, 7]})], as_of=NEXT)
    receipt = state(backend, [PostedCell(series, HOUR, {"requests": 5}, {"duration": [50, 4, 1]})], as_of=NEXT)
    entry = LedgerEntry.objects.get(receipt=receipt)
    assert entry.requests == -2
    assert entry.histograms.get().window == [50, -3, 1]
    assert UsageHour.objects.get().requests == 5
    assert HistogramHour.objects.get().window == [50, 4, 1]


def test_it_takes_back_hours_that_a_statement_no_longer_names(backend, make_series):
    series = make_series("m1")
    state(
        backend,
        [PostedCell(series, HOUR, {"requests": 7}), PostedCell(series, NEXT, {"requests": 1})],
        as_of=NEXT,
    )
    state(backend, [PostedCell(series, HOUR, {"requests": 7})], as_of=NEXT + timedelta(hours=1))
    assert UsageHour.objects.get(hour=NEXT).requests == 0
    assert UsageHour.objects.get(hour=HOUR).requests == 7


def test_it_leaves_hours_outside_the_window_and_other_feeds_alone(backend, make_series):
    series = make_series("m1")
    push(backend, series, {"requests": 100})
    state(backend, [PostedCell(series, HOUR, {"requests": 7})], as_of=NEXT)
    state(backend, [], as_of=NEXT, window=Window(NEXT, NEXT + timedelta(hours=1)))
    state(backend, [], as_of=NEXT, kind=FeedKind.STATEMENT)
    assert UsageHour.objects.get().requests == 107


def test_it_changes_nothing_for_an_older_answer_that_arrives_late(backend, make_series):
    series = make_series("m1")
    state(backend, [PostedCell(series, HOUR, {"requests": 7})], as_of=NEXT)
    # Stated again without a change: that counts as stated, too.
    assert state(backend, [PostedCell(series, HOUR, {"requests": 7})], as_of=NEXT + timedelta(hours=3)) is None
    late = [PostedCell(series, HOUR, {"requests": 3}), PostedCell(series, NEXT, {"requests": 1})]
    assert state(backend, late, as_of=NEXT + timedelta(hours=2)) is None
    assert UsageHour.objects.get().requests == 7


def test_it_refuses_a_cell_outside_the_window(backend, make_series):
    with pytest.raises(ValueError):
        state(backend, [PostedCell(make_series("m1"), DAY.end, {"requests": 1})], as_of=NEXT)


def test_it_tells_a_stated_zero_from_an_unknown(backend, make_series):
    series = make_series("m1")
    state(backend, [PostedCell(series, HOUR, {"requests": 0})], as_of=NEXT)
    hour = UsageHour.objects.get()
    assert hour.requests == 0
    assert hour.errors is None


def test_it_takes_a_push_back_and_makes_nothing_known(backend, make_series, alice, asker):
    series = make_series("m1")
    push(backend, series, {"requests": 5, "input_tokens": 9}, histograms={"duration": [10, 1, 2]})
    wrong = push(
        backend,
        series,
        {"requests": 70, "output_tokens": 10, "estimated_cost": Decimal(3)},
        currency="USD",
        histograms={"duration": [9, 4], "inter_token": ForeignHistogram((10.0, 20.0), (1, 2, 3))},
    )
    opposite = ledger.reverse(wrong, by=asker(alice))
    hour = UsageHour.objects.get()
    assert (hour.requests, hour.input_tokens, hour.output_tokens, hour.estimated_cost) == (5, 9, None, None)
    assert HistogramHour.objects.get().window == [10, 1, 2]
    assert opposite.user == alice
    entry = opposite.entries.get()
    assert (entry.requests, entry.estimated_cost) == (-70, Decimal(-3))
    assert sorted(sum(h.window[1:]) for h in entry.histograms.all()) == [-6, -4]


def test_it_takes_a_push_back_once_and_only_while_young(backend, make_series):
    series = make_series("m1")
    receipt = push(backend, series, {"requests": 5})
    ledger.reverse(receipt)
    with pytest.raises(RuleViolation) as again:
        ledger.reverse(receipt)
    assert again.value.code == "already_reversed"
    old = push(backend, series, {"requests": 5})
    Receipt.objects.filter(pk=old.pk).update(created_at=timezone.now() - timedelta(days=36))
    with pytest.raises(RuleViolation) as too_old:
        ledger.reverse(old)
    assert too_old.value.code == "too_old_to_reverse"
    pulled = state(backend, [PostedCell(series, HOUR, {"requests": 7})], as_of=NEXT)
    with pytest.raises(RuleViolation) as not_reversible:
        ledger.reverse(pulled)
    assert not_reversible.value.code == "not_reversible"


@pytest.mark.parametrize(
    "statement", ["UPDATE metrics_ledgerentry SET requests = 0", "DELETE FROM metrics_ledgerentry"]
)
def test_the_database_refuses_to_change_the_ledger(backend, make_series, statement):
    push(backend, make_series("m1"), {"requests": 5})
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL phaseline.allow_ledger_delete = 'on'")
        cursor.execute("DELETE FROM metrics_ledgerentry")
    assert LedgerEntry.objects.count() == 0


def test_a_posting_costs_the_same_number_of_queries_for_any_number_of_cells(
    backend, make_series, django_assert_num_queries
):
    feed = ledger.feed(FeedKind.PUSH, backend)
    one = [PostedCell(make_series("m0"), HOUR, {"requests": 1}, {"duration": [1, 1]})]
    many = [
        PostedCell(make_series(f"m{s}"), HOUR + timedelta(hours=h), {"requests": 1}, {"duration": [1, 1]})
        for s in range(10)
        for h in range(10)
    ]
    for cells in (one, many):
        # Receipt, all else; whether capacity is to be shared out again, since these hours are old.
        with django_assert_num_queries(3):
            ledger.post(Receipt(kind=FeedKind.PUSH), feed, cells)


@pytest.mark.django_db(transaction=True)
def test_a_sender_of_ever_other_bounds_does_not_fill_the_process(backend, make_series, monkeypatch):
    monkeypatch.setattr(posting, "MAX_BOUNDS_REMEMBERED", 3)
    series = make_series("m1")
    for bound in range(10):
        for _ in range(2):
            push(backend, series, {}, histograms={"duration": ForeignHistogram((float(100 + bound),), (1, 0))})
    assert len(posting._bounds) <= 3
    assert HistogramHour.objects.count() == HistogramBounds.objects.count() == 10
    assert {sum(one.window[1:]) for one in HistogramHour.objects.all()} == {2}


def test_a_series_is_found_whatever_the_order_of_its_labels(backend, make_identity):
    first = make_identity("m1", labels=(("team", "a"), ("project", "b")))
    second = make_identity("m1", labels=(("project", "b"), ("team", "a")))
    assert identity.series_ids([first])[first] == identity.series_ids([second])[second]
    assert Series.objects.count() == 1


def test_a_pushed_series_belongs_to_its_workload_and_a_pulled_one_to_the_default(backend, claims, other, make_identity):
    backend.default_workload = other
    backend.save()
    pushed = make_identity("m1", is_pushed=True, workload_id=claims.pk)
    pulled = make_identity("m1")
    nobodys = make_identity("m1", is_pushed=True)
    ids = identity.series_ids([pushed, pulled, nobodys])
    assert Allocation.objects.get(series_id=ids[pushed]).workload == claims
    assert Allocation.objects.get(series_id=ids[pulled]).workload == other
    assert not Allocation.objects.filter(series_id=ids[nobodys]).exists()

"""The ledger has no foreign keys, and still points to nothing that is not there (ADR 0016)."""

from __future__ import annotations

import threading
from datetime import UTC, datetime

import pytest
from django.db import IntegrityError, connection, connections, transaction

from metrics import checking, ledger
from metrics.ledger import PostedCell, SeriesGone
from metrics.models import Allocation, Feed, LedgerEntry, LedgerHistogram, Receipt, Series, StaleDay, UsageHour
from metrics.rows import ADDITIVE_MEASURES, MEASURE_TYPE
from metrics.usage import FeedKind

HOUR = datetime(2026, 3, 4, 10, tzinfo=UTC)


@pytest.fixture
def posted(backend, make_series) -> Receipt:
    cell = PostedCell(make_series("m1"), HOUR, {"requests": 5}, {"duration": [100, 5]})
    return ledger.post(Receipt(kind=FeedKind.PUSH), ledger.feed(FeedKind.PUSH, backend), [cell])


def test_the_function_of_the_database_takes_every_measure(db):
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_get_function_arguments('metrics_post'::regproc)")
        taken = cursor.fetchone()[0]
    for name in ADDITIVE_MEASURES:
        assert f"p_{name} {MEASURE_TYPE[name]}[]" in taken


def _delete(tables: list[str]) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL phaseline.allow_ledger_delete = 'on'")
        for table in tables:
            cursor.execute(f"DELETE FROM metrics_{table}")
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")


@pytest.mark.parametrize(
    ("table", "beside"),
    [
        ("series", ["allocation", "usagehour", "histogramhour", "staleday"]),
        ("feed", []),
        ("receipt", []),
        ("ledgerentry", []),
    ],
)
def test_nothing_goes_that_the_ledger_points_to(posted, table, beside):
    with pytest.raises(IntegrityError, match="ledger still points"), transaction.atomic():
        _delete([*beside, table])
    assert checking.check() == []


def test_all_of_it_may_go_together(posted):
    # Looked at when all are gone, whatever their order.
    _delete(["receipt", "feed", "ledgerentry", "ledgerhistogram"])
    assert not LedgerEntry.objects.exists()


@pytest.mark.parametrize("column", ["receipt_id", "feed_id", "series_id"])
def test_check_ledger_finds_an_entry_that_points_to_nothing(posted, column):
    entry = LedgerEntry.objects.get()
    own = {"receipt_id": entry.receipt_id, "feed_id": entry.feed_id, "series_id": entry.series_id, column: 2**40}
    LedgerEntry.objects.create(**own, hour=HOUR)
    assert checking.check()[0].what == "rows of the ledger that point to nothing"


def test_check_ledger_finds_a_histogram_that_points_to_nothing(posted):
    LedgerHistogram.objects.create(entry_id=2**40, measure=1, window=[1, 1])
    (finding,) = checking.check()
    assert finding.count == 1
    assert "of entry 1099511627776" in finding.examples[0]


def test_it_says_when_the_feed_is_gone(backend, make_series):
    series, feed = make_series("m1"), ledger.feed(FeedKind.PUSH, backend)
    Feed.objects.all().delete()
    with pytest.raises(SeriesGone), transaction.atomic():
        ledger.post(Receipt(kind=FeedKind.PUSH), feed, [PostedCell(series, HOUR, {"requests": 1})])
    assert not LedgerEntry.objects.exists()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("is_first", [True, False])
def test_of_a_posting_and_a_deletion_of_its_series_one_fails(backend, make_series, is_first):
    """The posting looks while the series is there, before the deletion begins or while it is under way."""
    series, feed = make_series("m1"), ledger.feed(FeedKind.PUSH, backend)
    errors: list[BaseException] = []
    cell = PostedCell(series, HOUR, {"requests": 1})

    def apart(work):
        try:
            work()
        except (IntegrityError, SeriesGone) as error:
            errors.append(error)
        finally:
            connections.close_all()

    def delete():
        with transaction.atomic():
            Allocation.objects.all().delete()
            for model in (UsageHour, StaleDay):
                model.objects.all().delete()
            Series.objects.filter(pk=series).delete()

    def post():
        ledger.post(Receipt(kind=FeedKind.PUSH), feed, [cell])

    here, there = (delete, post) if is_first else (post, delete)
    thread = threading.Thread(target=apart, args=[there])
    try:
        with transaction.atomic():
            here()
            thread.start()
            thread.join(0.3)
    except IntegrityError as error:
        errors.append(error)
    thread.join(20)
    assert len(errors) == 1
    assert LedgerEntry.objects.exists() == Series.objects.exists()
    assert checking.check() == []

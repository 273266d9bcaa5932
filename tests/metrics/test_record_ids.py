"""Ids of records lie in a partition a UTC day, that is made when it is needed and dropped as a whole."""

from __future__ import annotations

import threading
from datetime import UTC, date, datetime, timedelta

import pytest
from django.db import DatabaseError, connection, transaction

from metrics import record_ids
from metrics.models import RecordId

DAY = date(2026, 3, 5)
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _clean():
    yield
    record_ids.drop_before(date(2999, 1, 1))


def digest(number: int) -> bytes:
    return number.to_bytes(16)


def keep(*numbers: int, receipt_id: int = 1, day: date = DAY):
    with transaction.atomic():
        return record_ids.keep({day: {digest(number) for number in numbers}}, receipt_id)


def test_new_ids_are_kept_and_a_repeat_is_told():
    assert keep(1, 2) is None
    assert keep(2, 3, receipt_id=2) == {DAY: {digest(3)}}
    held = RecordId.objects.order_by("digest").values_list("day", "digest", "receipt_id")
    assert [(day, one.int, receipt) for day, one, receipt in held] == [(DAY, 1, 1), (DAY, 2, 1), (DAY, 3, 2)]


def test_the_same_id_on_another_day_is_another():
    assert keep(1) is None
    assert keep(1, day=DAY + timedelta(days=1)) is None
    assert record_ids.days_kept() == [DAY, DAY + timedelta(days=1)]


def test_a_partition_that_went_is_made_again():
    assert keep(1) is None
    with connection.cursor() as cursor:
        cursor.execute(f"DROP TABLE {record_ids.partition_of(DAY)}")
    assert keep(1, 2) is None
    assert RecordId.objects.count() == 2


def test_old_days_are_dropped_as_a_whole():
    keep(1)
    keep(1, day=DAY + timedelta(days=1))
    assert record_ids.drop_before(DAY + timedelta(days=1)) == 1
    assert record_ids.days_kept() == [DAY + timedelta(days=1)]
    assert keep(1) is None


def test_partitions_are_made_ahead():
    record_ids.make_partitions(datetime(2026, 3, 5, 23, tzinfo=UTC))
    assert record_ids.days_kept() == [DAY + timedelta(days=ahead) for ahead in range(4)]


def test_a_receipt_that_is_taken_back_forgets_its_own_ids_only():
    keep(1)
    keep(2, receipt_id=2)
    record_ids.forget(1, DAY, DAY)
    assert keep(1, 2, receipt_id=3) == {DAY: {digest(1)}}


def test_many_pushes_may_need_the_same_new_partition_at_once():
    days = [DAY + timedelta(days=ahead) for ahead in range(10)]
    gate, failures = threading.Barrier(4), []

    def run(number: int) -> None:
        try:
            for day in days:
                gate.wait(20)
                keep(number, receipt_id=number, day=day)
        except (DatabaseError, threading.BrokenBarrierError) as error:
            failures.append(error)
            gate.abort()
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not failures
    assert RecordId.objects.count() == 40

"""The ids of pushed records, so that each counts once: 16 bytes a record, in one partition a UTC day.

A random key among those of all days is slower the more there are; among those of one day it is not. Partitions are made
ahead by a task, and by a push that finds none. An old one is dropped as a whole.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

from django.db import DatabaseError, IntegrityError, connection, transaction
from psycopg.errors import UndefinedTable

from metrics.identity import caches

TABLE = "metrics_recordid"
# First key of the two-key advisory locks on days; the second is the day's number.
PARTITION_LOCK = 7303
MADE_AHEAD = timedelta(days=3)
# COPY's binary format: a signature, flags and no extension; two bytes of -1 at the end.
_HEAD, _TAIL = b"PGCOPY\n\xff\r\n\0" + bytes(8), b"\xff\xff"
_PG_EPOCH = date(2000, 1, 1)

# Days whose partition this process has seen.
_known: dict[date, date] = {}
caches.append(_known)


def keep(digests: Mapping[date, Collection[bytes]], receipt_id: int) -> dict[date, set[bytes]] | None:
    """Keep these ids for the receipt; returns those of each day that were new, None for all of them.

    Inserts in one order, so that two pushes cannot wait for each other. Waits for a push in flight that holds one of
    the same ids. Call it in a transaction.
    """
    new: dict[date, set[bytes]] = {}
    has_repeats = False
    for day, some in sorted(digests.items()):
        ordered = sorted(some)
        kept = _keep_of_day(day, ordered, receipt_id)
        has_repeats = has_repeats or len(kept) < len(ordered)
        new[day] = set(kept)
    return new if has_repeats else None


def _keep_of_day(day: date, ordered: list[bytes], receipt_id: int) -> list[bytes]:
    make_partition(day)
    try:
        with transaction.atomic():
            _copy(day, ordered, receipt_id)
    except IntegrityError:
        # One of them is there: row by row, which says which.
        return _insert(day, ordered, receipt_id)
    except DatabaseError as error:
        if not isinstance(error.__cause__, UndefinedTable):
            raise
        # The partition went since this process saw it.
        _known.pop(day, None)
        make_partition(day)
        return _insert(day, ordered, receipt_id)
    return ordered


def _copy(day: date, ordered: list[bytes], receipt_id: int) -> None:
    # A row: three columns, each its length and its bytes. Only the digest differs, so that rows are one join.
    before = b"\0\3" + _column((day - _PG_EPOCH).days.to_bytes(4, signed=True)) + (16).to_bytes(4)
    after = _column(receipt_id.to_bytes(8))
    statement = f"COPY {partition_of(day)} (day, digest, receipt_id) FROM STDIN (FORMAT BINARY)"
    with connection.wrap_database_errors, connection.cursor() as cursor, cursor.copy(statement) as copy:
        copy.write(b"".join([_HEAD, before, (after + before).join(ordered), after, _TAIL]))


def _column(value: bytes) -> bytes:
    return len(value).to_bytes(4) + value


def _insert(day: date, ordered: list[bytes], receipt_id: int) -> list[bytes]:
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {partition_of(day)} (day, digest, receipt_id) "  # noqa: S608 - a date
            "SELECT %s::date, digest, %s::bigint FROM unnest(%s::uuid[]) AS named (digest) "
            "ON CONFLICT DO NOTHING RETURNING digest",
            [day, receipt_id, "{" + ",".join(digest.hex() for digest in ordered) + "}"],
        )
        return [row[0].bytes for row in cursor.fetchall()]


def forget(receipt_id: int, first_on: date, last_on: date) -> None:
    """Forget the ids of a receipt, whose records lie on these UTC days."""
    with connection.cursor() as cursor:
        # Taking a push back is rare; an index for it would cost each push as much as its ids do.
        cursor.execute(
            "DELETE FROM metrics_recordid WHERE receipt_id = %s AND day BETWEEN %s AND %s",
            [receipt_id, first_on, last_on],
        )


# --- Partitions


def partition_of(day: date) -> str:
    """The table that holds the ids of a UTC day."""
    return f"{TABLE}_{day:%Y%m%d}"


def make_partition(day: date) -> None:
    """Make the partition of a UTC day where there is none. Other days' ids can be kept meanwhile."""
    if day in _known:
        return
    table = partition_of(day)
    with transaction.atomic(), connection.cursor() as cursor:
        if not _exists(cursor, table):
            cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", [PARTITION_LOCK, day.toordinal()])
            if not _exists(cursor, table):
                # Made first and attached then, which waits for nobody; made as a partition it would wait for all.
                cursor.execute(f"CREATE TABLE {table} (LIKE {TABLE} INCLUDING ALL)")
                cursor.execute(
                    f"ALTER TABLE {TABLE} ATTACH PARTITION {table} "
                    f"FOR VALUES FROM ('{day}') TO ('{day + timedelta(days=1)}')"
                )
        transaction.on_commit(lambda: _known.update({day: day}))


def _exists(cursor: Any, table: str) -> bool:
    # Not `to_regclass`: it answers from a cache that waiting for the lock does not renew.
    cursor.execute(
        "SELECT EXISTS (SELECT 1 FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid "
        "WHERE i.inhparent = %s::regclass AND c.relname = %s)",
        [TABLE, table],
    )
    return bool(cursor.fetchone()[0])


def make_partitions(now: datetime) -> None:
    """Make those of today and the days to come, ahead of the first push that needs them."""
    today = now.astimezone(UTC).date()
    for ahead in range(MADE_AHEAD.days + 1):
        make_partition(today + timedelta(days=ahead))


def days_kept() -> list[date]:
    """The UTC days that have a partition."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = %s::regclass", [TABLE])
        names = [row[0].rpartition("_")[2] for row in cursor.fetchall()]
    return sorted(datetime.strptime(name, "%Y%m%d").replace(tzinfo=UTC).date() for name in names)


def drop_before(first_on: date) -> int:
    """Drop the partitions of the UTC days before this one; returns how many."""
    old = [day for day in days_kept() if day < first_on]
    for day in old:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(f"DROP TABLE IF EXISTS {partition_of(day)}")
        _known.pop(day, None)
    return len(old)

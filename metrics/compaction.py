"""Old ledger entries merged per feed, series and hour, and old receipts of pushes thinned to those that still say more.

An entry may be merged once its receipt can no longer be taken back. Entries become one only where they say the same
kind of thing: the same measures known, the same currency, priced by us or not (`metrics.repricing` and ADR 0001 tell
these apart); what corrected settled hours keeps its own entries, since pages explain it (`Restatement`). A merged entry
belongs to the newest of its receipts, so that what asks for the latest posting of an hour finds the same one. Sums,
histograms and what is known stay as they were, so no hour changes, and nothing but old entries is locked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import connection

from metrics.days import KNOWN_MASK
from metrics.ledger import REVERSIBLE_FOR
from metrics.rows import ADDITIVE_MEASURES, columns, literal, summed, times

# A day more than a receipt can be taken back, so that nobody is under way with it.
YOUNGEST = REVERSIBLE_FOR + timedelta(days=1)
# One transaction looks at so many receipts, entries and cells at most: about a second.
RECEIPTS_AT_ONCE = 2_000
ENTRIES_AT_ONCE = 20_000

# feed, hour, series.
Cell = tuple[int, datetime, int]


@dataclass(frozen=True, slots=True)
class Step:
    """What a step did: where the next one begins, how many rows went, whether all that is due is done."""

    cursor: dict[str, Any]
    removed: int
    is_done: bool


def merge_step(cursor: dict[str, Any], now: datetime) -> Step:
    """Merge the entries of the receipts after the cursor that are old enough. Call it in a transaction.

    The cursor: `after`, the last receipt that is done; `upto` and `cell` where a part of the next ones is done.
    """
    before = now - max(YOUNGEST, timedelta(days=settings.COMPACT_AFTER_DAYS))
    after = int(cursor.get("after", 0))
    receipts = _receipts(after, before, cursor.get("upto"))
    if not receipts:
        return Step({"after": after}, 0, is_done=True)
    cells = _cells(receipts, cursor.get("cell"))
    removed = _merge(cells, before)
    if len(cells) == ENTRIES_AT_ONCE:
        feed, hour, series = cells[-1]
        return Step(
            {"after": after, "upto": receipts[-1], "cell": [feed, hour.isoformat(), series]}, removed, is_done=False
        )
    return Step({"after": receipts[-1]}, removed, is_done=False)


def _receipts(after: int, before: datetime, upto: int | None) -> list[int]:
    """The next receipts, up to the first that is too young: of about ENTRIES_AT_ONCE entries, one at least."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT r.id, r.created_at, (SELECT count(*) FROM metrics_ledgerentry e WHERE e.receipt_id = r.id) "
            "FROM metrics_receipt r WHERE r.id > %s AND r.id <= COALESCE(%s::bigint, r.id) ORDER BY r.id LIMIT %s",
            [after, upto, RECEIPTS_AT_ONCE],
        )
        found: list[int] = []
        entries = 0
        for receipt, created_at, count in cursor.fetchall():
            if created_at >= before or (found and upto is None and entries + count > ENTRIES_AT_ONCE):
                break
            found.append(receipt)
            entries += count
    return found


def _cells(receipts: Sequence[int], after: Sequence[Any] | None) -> list[Cell]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT DISTINCT feed_id, hour, series_id FROM metrics_ledgerentry WHERE receipt_id = ANY(%s::bigint[]) "
            + ("AND (feed_id, hour, series_id) > (%s, %s::timestamptz, %s) " if after else "")
            + "ORDER BY 1, 2, 3 LIMIT %s",
            [literal(receipts), *(after or ()), ENTRIES_AT_ONCE],
        )
        return cursor.fetchall()


def _merge(cells: Sequence[Cell], before: datetime) -> int:
    """Merge what may be merged in these cells; how many entries are fewer."""
    groups = _groups(cells, before)
    if not groups:
        return 0
    ids = sorted(entry for group in groups for entry in group)
    with connection.cursor() as cursor:
        # What somebody else deletes meanwhile (the demo's removal) is merged another time.
        cursor.execute(
            "SELECT id FROM metrics_ledgerentry WHERE id = ANY(%s::bigint[]) ORDER BY id FOR UPDATE", [literal(ids)]
        )
        if len(cursor.fetchall()) < len(ids):
            there = _groups(cells, before)
            groups = [group for group in groups if group in there]
            if not groups:
                return 0
            ids = sorted(entry for group in groups for entry in group)
        cursor.execute(
            "SELECT nextval(pg_get_serial_sequence('metrics_ledgerentry', 'id')) FROM generate_series(1, %s)",
            [len(groups)],
        )
        new = [row[0] for row in cursor.fetchall()]
        members = [
            literal(entry for group in groups for entry in group),
            literal(pk for pk, group in zip(new, groups, strict=True) for _ in group),
        ]
        relation = "unnest(%s::bigint[], %s::bigint[]) AS m (id, new_id)"
        cursor.execute(
            "INSERT INTO metrics_ledgerentry "
            f"(id, receipt_id, feed_id, series_id, hour, currency, postings{columns(ADDITIVE_MEASURES)}) "
            "SELECT m.new_id, max(e.receipt_id), e.feed_id, e.series_id, e.hour, e.currency, sum(e.postings)"
            f"{summed(ADDITIVE_MEASURES, 'e.')} FROM {relation} JOIN metrics_ledgerentry e ON e.id = m.id "
            "GROUP BY m.new_id, e.feed_id, e.series_id, e.hour, e.currency",
            members,
        )
        cursor.execute(
            'INSERT INTO metrics_ledgerhistogram (entry_id, measure, bounds_id, "window") '
            'SELECT m.new_id, g.measure, g.bounds_id, histogram_sum(g."window") '
            f"FROM {relation} JOIN metrics_ledgerhistogram g ON g.entry_id = m.id "
            "GROUP BY 1, 2, 3 HAVING histogram_sum(g.\"window\") <> '{}'",
            members,
        )
        cursor.execute("SET LOCAL phaseline.allow_ledger_delete = 'on'")
        cursor.execute("DELETE FROM metrics_ledgerhistogram WHERE entry_id = ANY(%s::bigint[])", [literal(ids)])
        cursor.execute("DELETE FROM metrics_ledgerentry WHERE id = ANY(%s::bigint[])", [literal(ids)])
        cursor.execute("SET LOCAL phaseline.allow_ledger_delete = 'off'")
    return len(ids) - len(groups)


def _groups(cells: Sequence[Cell], before: datetime) -> list[list[int]]:
    """Ids of entries that become one, each group of two at least."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT array_agg(e.id ORDER BY e.id) FROM unnest(%s::bigint[], %s::timestamptz[], %s::bigint[]) "
            "AS c (feed_id, hour, series_id) JOIN metrics_ledgerentry e "
            "ON e.feed_id = c.feed_id AND e.hour = c.hour AND e.series_id = c.series_id "
            "JOIN metrics_receipt r ON r.id = e.receipt_id AND NOT r.is_void AND r.created_at < %s "
            "WHERE NOT EXISTS (SELECT 1 FROM metrics_restatement x WHERE x.receipt_id = r.id) "
            # Its histograms are still to be folded by receipt (metrics.behind).
            "AND NOT EXISTS (SELECT 1 FROM metrics_pendinghistograms p WHERE p.receipt_id = r.id) "
            f"GROUP BY e.feed_id, e.series_id, e.hour, e.currency, {KNOWN_MASK.format('e.')}, {PRICED_BY_US}, "
            "r.is_demo HAVING count(*) > 1 ORDER BY 1",
            [
                literal(feed for feed, _, _ in cells),
                times(hour for _, hour, _ in cells),
                literal(series for _, _, series in cells),
                before,
            ],
        )
        return [row[0] for row in cursor.fetchall()]


# As `metrics.repricing` tells what it may price again.
PRICED_BY_US = "(r.note LIKE 'Priced by%%' AND r.stated_costs = 0)"

# --- Receipts ---------------------------------------------------------------------------------------------------------

_COUNTED = ("accepted", "duplicates", "not_priced", "stated_costs", "rejected_count", "stands_for")
_OF_ONE_KIND = f"r.token_id, r.user_id, r.backend_id, r.workload_id, r.is_demo, {PRICED_BY_US}"


def thin_step(cursor: dict[str, Any], now: datetime) -> Step:
    """Thin the pushes' receipts of the next UTC day that is old enough. Call it in a transaction.

    Of each sender, roadmap and backend the day's last one stays, with the numbers of those that went, and so does
    every one that has entries, a correction or a reversal. The cursor: `day`, the last that is done.
    """
    last = (now - max(YOUNGEST, timedelta(days=settings.RECEIPTS_KEPT_DAYS))).astimezone(UTC).date() - timedelta(days=1)
    with connection.cursor() as found:
        done = cursor.get("day")
        after = _start(date.fromisoformat(done) + timedelta(days=1)) if done else datetime(1970, 1, 1, tzinfo=UTC)
        found.execute(
            "SELECT created_at FROM metrics_receipt WHERE created_at >= %s AND created_at < %s ORDER BY created_at "
            "LIMIT 1",
            [after, _start(last + timedelta(days=1))],
        )
        row = found.fetchone()
    if row is None:
        return Step(cursor, 0, is_done=True)
    day = row[0].astimezone(UTC).date()
    return Step({"day": day.isoformat()}, _thin(day), is_done=False)


def _thin(day: date) -> int:
    window = [_start(day), _start(day + timedelta(days=1))]
    sums = ", ".join(f"sum({name}) AS {name}" for name in _COUNTED)
    with connection.cursor() as cursor:
        cursor.execute(
            "WITH keyed AS MATERIALIZED (SELECT r.id, "
            f"max(r.id) OVER (PARTITION BY {_OF_ONE_KIND}) AS keeper, "
            "EXISTS (SELECT 1 FROM metrics_ledgerentry e WHERE e.receipt_id = r.id) "
            "OR EXISTS (SELECT 1 FROM metrics_restatement x WHERE x.receipt_id = r.id) AS says_more "
            "FROM metrics_receipt r WHERE r.created_at >= %s AND r.created_at < %s AND r.kind = 'push' "
            "AND NOT r.is_void), "
            "gone AS (SELECT r.*, k.keeper FROM keyed k JOIN metrics_receipt r ON r.id = k.id "
            "WHERE k.id <> k.keeper AND NOT k.says_more), "
            f"sums AS (SELECT keeper, {sums}, min(window_start) AS window_start, max(window_end) AS window_end "
            "FROM gone GROUP BY keeper), "
            "kept AS (UPDATE metrics_receipt r SET "
            + "".join(f"{name} = r.{name} + s.{name}, " for name in _COUNTED)
            + "window_start = least(r.window_start, s.window_start), "
            "window_end = greatest(r.window_end, s.window_end) FROM sums s WHERE r.id = s.keeper) "
            "DELETE FROM metrics_receipt WHERE id IN (SELECT id FROM gone)",
            window,
        )
        return int(cursor.rowcount)


def _start(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)

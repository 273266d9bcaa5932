"""The hours: sums of the ledger, added to in the transaction that posts, and summed again when something is in doubt.

Every writer touches rows in the same order: hours, stale days, histograms of hours, each by series and time. So two
writers wait for one another and never lock up.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime

from django.conf import settings
from django.db import connection
from django.db.backends.utils import CursorWrapper
from django.utils import timezone

from metrics import rows
from metrics.rows import ADDITIVE_MEASURES
from metrics.together import together
from metrics.windows import local_day

# (series, hour, measure number, id of the bounds or None for native counts).
HistogramKey = tuple[int, datetime, int, int | None]


def histogram_order(key: HistogramKey) -> tuple[int, datetime, int, int]:
    """Writers' order of histogram rows."""
    return key[0], key[1], key[2], key[3] or 0


def mark_stale(touched: Iterable[tuple[int, datetime]]) -> None:
    """Have the caches of these (series, hour) built again. Locks the rows until the transaction ends.

    The lock is what keeps a reader from building a day while a posting to it is under way and then calling it fresh.
    """
    ordered = local_days(touched)
    with together() as send:
        send(
            "INSERT INTO metrics_staleday (series_id, day, touched_at) "
            "SELECT series_id, day, %s::timestamptz FROM unnest(%s::bigint[], %s::date[]) AS touched (series_id, day) "
            "ON CONFLICT (series_id, day) DO UPDATE SET touched_at = EXCLUDED.touched_at",
            [timezone.now(), rows.literal(s for s, _ in ordered), rows.literal(d for _, d in ordered)],
        )


def local_days(touched: Iterable[tuple[int, datetime]]) -> list[tuple[int, date]]:
    """The distinct (series, local day) of these (series, hour), in the writers' order."""
    zone = settings.REPORTING_ZONE
    day_of: dict[datetime, date] = {}
    pairs: set[tuple[int, date]] = set()
    for series_id, hour in touched:
        day = day_of.get(hour)
        if day is None:
            day = day_of[hour] = local_day(hour, zone)
        pairs.add((series_id, day))
    return sorted(pairs)


def add_histograms(windows: Mapping[HistogramKey, str]) -> None:
    """Add to the histograms of hours; the windows as `rows.window` writes them."""
    keys = sorted(windows, key=histogram_order)
    with together() as send:
        send(
            'INSERT INTO metrics_histogramhour AS h (series_id, hour, measure, bounds_id, "window") '
            "SELECT series_id, hour, measure, bounds_id, held::bigint[] FROM unnest("
            "%s::bigint[], %s::timestamptz[], %s::smallint[], %s::bigint[], %s::text[]) "
            "AS i (series_id, hour, measure, bounds_id, held) "
            "ON CONFLICT (series_id, hour, measure, bounds_id) "
            'DO UPDATE SET "window" = histogram_add(h."window", EXCLUDED."window")',
            [
                rows.literal(key[0] for key in keys),
                rows.times(key[1] for key in keys),
                rows.literal(key[2] for key in keys),
                rows.literal(key[3] for key in keys),
                rows.windows(windows[key] for key in keys),
            ],
        )


# --- Summing again ----------------------------------------------------------------------------------------------------

_NAMES = ", ".join(ADDITIVE_MEASURES)
_FROM_SUMS = ", ".join(f"t.{name}" for name in ADDITIVE_MEASURES)
_SUMS = ", ".join(f"SUM(e.{name}) AS {name}" for name in ADDITIVE_MEASURES)
_ALL_UNKNOWN = " AND ".join(f"{name} IS NULL" for name in ADDITIVE_MEASURES)
# Histograms that wait are added when they are folded (metrics.behind).
FOLDED = "NOT EXISTS (SELECT 1 FROM metrics_pendinghistograms p WHERE p.receipt_id = r.id)"
_VALID_ENTRIES = "metrics_ledgerentry e JOIN metrics_receipt r ON r.id = e.receipt_id AND NOT r.is_void"


def sum_again(series_hours: Iterable[tuple[int, datetime]]) -> None:
    """Make these hours and their histograms the sums of the ledger's entries that are not void.

    Runs beside pushes: the rows are locked first, in the writers' order, and summed after. What a push adds later it
    adds to the new sum. An hour without entries is deleted. Call it in a transaction.
    """
    ordered = sorted(set(series_hours))
    if not ordered:
        return
    wanted = [rows.literal(s for s, _ in ordered), rows.times(h for _, h in ordered)]
    with connection.cursor() as cursor:
        ids = _lock_hours(cursor, wanted)
        cursor.execute(
            f"UPDATE metrics_usagehour h SET ({_NAMES}) = ROW({_FROM_SUMS}) FROM ("
            f"SELECT k.id, {_SUMS} FROM metrics_usagehour k LEFT JOIN ({_VALID_ENTRIES}) "
            "ON e.series_id = k.series_id AND e.hour = k.hour AND e.currency = k.currency "
            "WHERE k.id = ANY(%s::bigint[]) GROUP BY k.id) t WHERE t.id = h.id",
            [ids],
        )
        cursor.execute(
            f"DELETE FROM metrics_usagehour WHERE id = ANY(%s::bigint[]) AND {_ALL_UNKNOWN}",
            [ids],
        )
        mark_stale(ordered)
        ids = _lock_histograms(cursor, wanted)
        cursor.execute(
            'UPDATE metrics_histogramhour h SET "window" = t.held FROM ('
            'SELECT k.id, COALESCE(histogram_sum(g."window") FILTER (WHERE NOT r.is_void '
            f"AND {FOLDED}), '{{}}') AS held "
            "FROM metrics_histogramhour k "
            "LEFT JOIN metrics_ledgerentry e ON e.series_id = k.series_id AND e.hour = k.hour "
            "LEFT JOIN metrics_receipt r ON r.id = e.receipt_id "
            "LEFT JOIN metrics_ledgerhistogram g ON g.entry_id = e.id AND g.measure = k.measure "
            "AND g.bounds_id IS NOT DISTINCT FROM k.bounds_id "
            "WHERE k.id = ANY(%s::bigint[]) GROUP BY k.id) t WHERE t.id = h.id",
            [ids],
        )
        cursor.execute("DELETE FROM metrics_histogramhour WHERE id = ANY(%s::bigint[]) AND \"window\" = '{}'", [ids])


def _lock_hours(cursor: CursorWrapper, wanted: Sequence[str]) -> str:
    """Make rows that the ledger has and the hours lack, lock all, and return their ids as an array literal."""
    cursor.execute(
        "INSERT INTO metrics_usagehour (series_id, hour, currency) "
        "SELECT DISTINCT e.series_id, e.hour, e.currency FROM unnest(%s::bigint[], %s::timestamptz[]) AS i (s, t) "
        f"JOIN ({_VALID_ENTRIES}) ON e.series_id = i.s AND e.hour = i.t ORDER BY 1, 2, 3 ON CONFLICT DO NOTHING",
        wanted,
    )
    cursor.execute(
        "SELECT h.id FROM metrics_usagehour h "
        "JOIN unnest(%s::bigint[], %s::timestamptz[]) AS i (s, t) ON h.series_id = i.s AND h.hour = i.t "
        "ORDER BY h.series_id, h.hour, h.currency FOR UPDATE OF h",
        wanted,
    )
    return rows.literal(row[0] for row in cursor.fetchall())


def _lock_histograms(cursor: CursorWrapper, wanted: Sequence[str]) -> str:
    cursor.execute(
        'INSERT INTO metrics_histogramhour (series_id, hour, measure, bounds_id, "window") '
        "SELECT DISTINCT e.series_id, e.hour, g.measure, g.bounds_id, '{}'::bigint[] "
        "FROM unnest(%s::bigint[], %s::timestamptz[]) AS i (s, t) "
        f"JOIN ({_VALID_ENTRIES}) ON e.series_id = i.s AND e.hour = i.t "
        "JOIN metrics_ledgerhistogram g ON g.entry_id = e.id ORDER BY 1, 2, 3, 4 NULLS FIRST ON CONFLICT DO NOTHING",
        wanted,
    )
    cursor.execute(
        "SELECT h.id FROM metrics_histogramhour h "
        "JOIN unnest(%s::bigint[], %s::timestamptz[]) AS i (s, t) ON h.series_id = i.s AND h.hour = i.t "
        "ORDER BY h.series_id, h.hour, h.measure, h.bounds_id NULLS FIRST FOR UPDATE OF h",
        wanted,
    )
    return rows.literal(row[0] for row in cursor.fetchall())

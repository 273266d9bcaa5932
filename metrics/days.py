"""The days: caches over the hours in local days of the reporting zone, built again where something was posted.

A stale day is marked, and its mark locked, by whoever posts to it (metrics.hours). Building claims marks that nobody
holds, deletes them and sums the hours again, in one transaction. A mark that a posting holds is left: its hours are
not visible yet. One process builds at a time; readers that find it busy sum the hours themselves (metrics.reads).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal

from django.conf import settings
from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper

from metrics import rows
from metrics.rows import ADDITIVE_MEASURES
from metrics.usage import KNOWN_BIT
from metrics.windows import month_of, week_of

# Key of the advisory lock of the one process that builds.
BUILD_LOCK = 7302
CLAIMED_AT_ONCE = 4_000
# A page waits this long at most for days to be built; what is left is summed from the hours.
PATIENCE_SECONDS = 6.0

Pair = tuple[int, date]


@dataclass(frozen=True, slots=True)
class HistogramSpan:
    """A cache of the days' histograms, merged. `unit` is PostgreSQL's word for it, and its table's column."""

    unit: Literal["week", "month"]
    table: str
    start_of: Callable[[date], date]


WEEKS = HistogramSpan("week", "metrics_histogramweek", week_of)
MONTHS = HistogramSpan("month", "metrics_histogrammonth", month_of)
HISTOGRAM_SPANS = (WEEKS, MONTHS)

KNOWN_MASK = " | ".join(
    f"CASE WHEN {{0}}{name} IS NULL THEN 0::bigint ELSE {bit}::bigint END" for name, bit in KNOWN_BIT.items()
)
_DAY_COLUMNS = f"series_id, day, currency, known_mask, hours{rows.columns(ADDITIVE_MEASURES)}, unsettled_cost"

MONTH_COLUMNS = _DAY_COLUMNS.replace(" day,", " month,")


def hours_as_days(pairs: str) -> str:
    """SQL that sums the hours of `pairs` (a relation of series_id, day) as rows of the days. Takes the zone 3 times.

    An hour belongs to the local day in which it starts. `known_mask` is over all currencies of the hour.
    """
    return (
        "SELECT series_id, day, currency, known_mask, count(*)::smallint AS hours"
        f"{''.join(f', SUM({name}) AS {name}' for name in ADDITIVE_MEASURES)}, "
        f"SUM(estimated_cost) FILTER (WHERE known_mask & {KNOWN_BIT['billed_cost']} = 0) AS unsettled_cost "
        f"FROM (SELECT h.series_id, p.day, h.currency{rows.columns(ADDITIVE_MEASURES, 'h.')}, "
        f"bit_or({KNOWN_MASK.format('h.')}) OVER (PARTITION BY h.series_id, h.hour) AS known_mask "
        f"FROM {pairs} p JOIN metrics_usagehour h ON h.series_id = p.series_id AND {_in_day('h.hour')}) masked "
        "GROUP BY series_id, day, currency, known_mask"
    )


def histogram_hours_as_days(pairs: str, condition: str = "TRUE") -> str:
    """SQL that merges the histograms of the hours of `pairs` as rows of the days. Takes the zone 3 times."""
    return (
        'SELECT h.series_id, p.day, h.measure, h.bounds_id, histogram_sum(h."window") AS "window" '
        f"FROM {pairs} p JOIN metrics_histogramhour h ON h.series_id = p.series_id AND {_in_day('h.hour')} "
        f"WHERE {condition} GROUP BY 1, 2, 3, 4"
    )


def _in_day(hour: str) -> str:
    # The range is for the index, and wide enough for any change of the clock; the last term decides.
    return (
        f"{hour} >= (p.day::timestamp AT TIME ZONE %s) - interval '3 hours' "
        f"AND {hour} < ((p.day + 1)::timestamp AT TIME ZONE %s) + interval '3 hours' "
        f"AND ({hour} AT TIME ZONE %s)::date = p.day"
    )


def zone_name() -> str:
    """The reporting zone's name, as the database knows it."""
    return str(settings.REPORTING_ZONE.key)


def refresh(start_on: date | None = None, end_on: date | None = None, *, patience: float = PATIENCE_SECONDS) -> bool:
    """Build the stale days of [start_on, end_on) (None: all). Whether none is left that could be built.

    False where another process is building, or patience ran out: then read with the hours of stale days summed.
    """
    deadline = time.monotonic() + patience
    while True:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [BUILD_LOCK])
            if not cursor.fetchone()[0]:
                return False
            _follow_zone(cursor)
            pairs = _claim(cursor, start_on, end_on)
            if pairs:
                _build(cursor, pairs)
        if len(pairs) < CLAIMED_AT_ONCE:
            return True
        if time.monotonic() > deadline:
            return False


def rebuild() -> None:
    """Build every stale day, for as long as it takes. For after a bulk posting."""
    while not refresh(patience=600):
        time.sleep(0.2)


def drop() -> None:
    """Mark every day that has hours as stale, and forget the days that have none. Call it in a transaction."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [BUILD_LOCK])
        _drop(cursor)


def _drop(cursor: CursorWrapper) -> None:
    tables = (
        "metrics_usageday",
        "metrics_usagemonth",
        "metrics_histogramday",
        *(span.table for span in HISTOGRAM_SPANS),
    )
    emptied = ", ".join(f"emptied_{number} AS (DELETE FROM {table})" for number, table in enumerate(tables))
    cursor.execute(f"WITH {emptied} UPDATE metrics_seriesbuild SET number = number + 1")
    cursor.execute(
        "INSERT INTO metrics_staleday (series_id, day, touched_at) "
        "SELECT DISTINCT series_id, (hour AT TIME ZONE %s)::date, now() FROM metrics_usagehour ORDER BY 1, 2 "
        "ON CONFLICT DO NOTHING",
        [zone_name()],
    )


def _follow_zone(cursor: CursorWrapper) -> None:
    """Drop the caches where they were built in another zone than that of the settings."""
    cursor.execute("SELECT zone FROM metrics_dayzone")
    held = cursor.fetchone()
    if held is not None and held[0] == zone_name():
        return
    cursor.execute(
        "INSERT INTO metrics_dayzone (id, zone) VALUES (1, %s) ON CONFLICT (id) DO UPDATE SET zone = EXCLUDED.zone",
        [zone_name()],
    )
    _drop(cursor)


def _claim(cursor: CursorWrapper, start_on: date | None, end_on: date | None) -> list[Pair]:
    """Lock marks that nobody holds. What their postings wrote is visible to the next statement, not to this one."""
    cursor.execute(
        "SELECT series_id, day FROM metrics_staleday "
        "WHERE day >= COALESCE(%s::date, '-infinity') AND day < COALESCE(%s::date, 'infinity') "
        "ORDER BY series_id, day LIMIT %s FOR UPDATE SKIP LOCKED",
        [start_on, end_on, CLAIMED_AT_ONCE],
    )
    return list(cursor.fetchall())


def _build(cursor: CursorWrapper, pairs: Sequence[Pair]) -> None:
    named = [rows.literal(series for series, _ in pairs), rows.literal(day for _, day in pairs)]
    source = "unnest(%s::bigint[], %s::date[])"
    zones = [zone_name()] * 3
    for table in ("metrics_staleday", "metrics_usageday", "metrics_histogramday"):
        cursor.execute(
            f"DELETE FROM {table} d USING {source} AS p (series_id, day) "
            "WHERE d.series_id = p.series_id AND d.day = p.day",
            named,
        )
    relation = f"(SELECT * FROM {source} AS p (series_id, day))"
    cursor.execute(f"INSERT INTO metrics_usageday ({_DAY_COLUMNS}) {hours_as_days(relation)}", [*named, *zones])
    cursor.execute(
        'INSERT INTO metrics_histogramday (series_id, day, measure, bounds_id, "window") '
        f"SELECT * FROM ({histogram_hours_as_days(relation)}) built WHERE \"window\" <> '{{}}'",
        [*named, *zones],
    )
    _build_months(cursor, pairs)
    for span in HISTOGRAM_SPANS:
        _build_spans(cursor, span, pairs)
    cursor.execute(
        "INSERT INTO metrics_seriesbuild AS b (series_id, number) SELECT DISTINCT series_id, 1 "
        "FROM unnest(%s::bigint[]) AS p (series_id) ON CONFLICT (series_id) DO UPDATE SET number = b.number + 1",
        named[:1],
    )


def days_as_months(days: str) -> str:
    """SQL that sums rows of the days (a relation like theirs) as rows of the months."""
    summed = ", ".join(f"SUM({name}) AS {name}" for name in ("hours", *ADDITIVE_MEASURES, "unsettled_cost"))
    return (
        "SELECT series_id, date_trunc('month', day::timestamp)::date AS month, currency, known_mask, "
        f"{summed} FROM {days} GROUP BY 1, 2, 3, 4"
    )


def _build_months(cursor: CursorWrapper, pairs: Sequence[Pair]) -> None:
    starts = sorted({(series, month_of(day)) for series, day in pairs})
    named = [rows.literal(series for series, _ in starts), rows.literal(start for _, start in starts)]
    source = "unnest(%s::bigint[], %s::date[]) AS p (series_id, start)"
    cursor.execute(
        f"DELETE FROM metrics_usagemonth m USING {source} WHERE m.series_id = p.series_id AND m.month = p.start", named
    )
    days = (
        f"(SELECT d.* FROM {source} JOIN metrics_usageday d ON d.series_id = p.series_id "
        "AND d.day >= p.start AND d.day < p.start + interval '1 month') days"
    )
    cursor.execute(f"INSERT INTO metrics_usagemonth ({MONTH_COLUMNS}) {days_as_months(days)}", named)


def _build_spans(cursor: CursorWrapper, span: HistogramSpan, pairs: Sequence[Pair]) -> None:
    starts = sorted({(series, span.start_of(day)) for series, day in pairs})
    named = [rows.literal(series for series, _ in starts), rows.literal(start for _, start in starts)]
    cursor.execute(
        f"DELETE FROM {span.table} d USING unnest(%s::bigint[], %s::date[]) AS p (series_id, start) "
        f"WHERE d.series_id = p.series_id AND d.{span.unit} = p.start",
        named,
    )
    cursor.execute(
        f'INSERT INTO {span.table} (series_id, {span.unit}, measure, bounds_id, "window") '
        'SELECT d.series_id, p.start, d.measure, d.bounds_id, histogram_sum(d."window") '
        "FROM unnest(%s::bigint[], %s::date[]) AS p (series_id, start) JOIN metrics_histogramday d "
        f"ON d.series_id = p.series_id AND d.day >= p.start AND d.day < p.start + interval '1 {span.unit}' "
        "GROUP BY 1, 2, 3, 4",
        named,
    )

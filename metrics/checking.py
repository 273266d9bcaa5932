"""Proof that hours and days are the ledger's sums, in one snapshot; and summing all of them again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import connection, transaction

from metrics import days, hours
from metrics.days import HistogramSpan, histogram_hours_as_days, hours_as_days, zone_name
from metrics.models import Series
from metrics.rows import ADDITIVE_MEASURES

SHOWN = 50
HOURS_AT_ONCE = 2_000

_VALID = "metrics_ledgerentry e JOIN metrics_receipt r ON r.id = e.receipt_id AND NOT r.is_void"
_SUMMED = ", ".join(f"SUM(e.{name}) AS {name}" for name in ADDITIVE_MEASURES)
_NAMES = ", ".join(ADDITIVE_MEASURES)
_ANY_KNOWN = f"COALESCE({', '.join(f't.{name}::numeric' for name in ADDITIVE_MEASURES)}) IS NOT NULL"


@dataclass(frozen=True, slots=True)
class Finding:
    """What one comparison found: `count` rows that differ, the first of them told in `examples`."""

    what: str
    count: int
    examples: tuple[str, ...]


def check() -> list[Finding]:
    """Compare hours, histograms, days and months with what they are sums of; an empty list where all are right.

    Reads one REPEATABLE READ snapshot, beside pushes. Days that are marked stale are not compared: they are built
    before they are read.
    """
    with transaction.atomic():
        with connection.cursor() as cursor:
            # Inside another transaction the snapshot is the caller's choice.
            if not connection.savepoint_ids:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            cursor.execute("SELECT EXISTS (SELECT 1 FROM metrics_dayzone WHERE zone = %s)", [zone_name()])
            days_are_of_this_zone = cursor.fetchone()[0]
        found = [_references(), _hours(), _histograms(), _reversals()]
        if days_are_of_this_zone:
            found += [_days(), _months(), _histogram_days(), *map(_histogram_spans, days.HISTOGRAM_SPANS)]
    return [finding for finding in found if finding.count]


def _compare(
    what: str, held: str, right: str, keys: Sequence[str], values: Sequence[str], params: Sequence[str] = ()
) -> Finding:
    """Find keys in one relation only, and keys whose values differ. Keys are never NULL in either relation."""
    differs = " OR ".join(f"held.{name} IS DISTINCT FROM summed.{name}" for name in values)
    told = ", ".join(f"'{key} ' || {key}::text" for key in keys)
    changes = ", ".join(
        f"CASE WHEN held.{name} IS DISTINCT FROM summed.{name} THEN '{name} is ' || "
        f"COALESCE(held.{name}::text, 'unknown') || ', should be ' || COALESCE(summed.{name}::text, 'unknown') END"
        for name in values
    )
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT count(*) OVER (), concat_ws(' ', {told}) || ': ' || CASE "
            "WHEN held.is_there IS NULL THEN 'missing' WHEN summed.is_there IS NULL THEN 'should not be there' "
            f"ELSE concat_ws('; ', {changes}) END "
            f"FROM (SELECT *, TRUE AS is_there FROM ({held}) h) held "
            f"FULL JOIN (SELECT *, TRUE AS is_there FROM ({right}) s) summed USING ({', '.join(keys)}) "
            f"WHERE held.is_there IS NULL OR summed.is_there IS NULL OR {differs} LIMIT {SHOWN}",
            list(params),
        )
        found = cursor.fetchall()
    return Finding(what, found[0][0] if found else 0, tuple(row[1] for row in found))


def _references() -> Finding:
    """Ledger rows have no foreign keys (ADR 0016). What points to nothing cannot be summed: only a backup has it."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) OVER (), told FROM ("
            "SELECT 'entry ' || e.id || ' of series_id ' || e.series_id || ', feed ' || e.feed_id || ', receipt ' "
            "|| e.receipt_id AS told FROM metrics_ledgerentry e LEFT JOIN metrics_series s ON s.id = e.series_id "
            "LEFT JOIN metrics_feed f ON f.id = e.feed_id LEFT JOIN metrics_receipt r ON r.id = e.receipt_id "
            "WHERE s.id IS NULL OR f.id IS NULL OR r.id IS NULL UNION ALL "
            "SELECT 'histogram ' || g.id || ' of entry ' || g.entry_id FROM metrics_ledgerhistogram g "
            f"LEFT JOIN metrics_ledgerentry e ON e.id = g.entry_id WHERE e.id IS NULL) t LIMIT {SHOWN}"
        )
        found = cursor.fetchall()
    return Finding("rows of the ledger that point to nothing", found[0][0] if found else 0, tuple(r[1] for r in found))


def _hours() -> Finding:
    return _compare(
        "hours that are not the sum of their ledger entries",
        f"SELECT series_id, hour, currency, {_NAMES} FROM metrics_usagehour",
        f"SELECT * FROM (SELECT e.series_id, e.hour, e.currency, {_SUMMED} FROM {_VALID} GROUP BY 1, 2, 3) t "
        f"WHERE {_ANY_KNOWN}",
        ("series_id", "hour", "currency"),
        ADDITIVE_MEASURES,
    )


def _histograms() -> Finding:
    return _compare(
        "histograms of hours that are not the sum of their ledger entries' histograms",
        "SELECT series_id, hour, measure, COALESCE(bounds_id, 0) AS bounds_id, "
        'histogram_trim("window") AS counts FROM metrics_histogramhour WHERE histogram_trim("window") <> \'{}\'',
        "SELECT e.series_id, e.hour, g.measure, COALESCE(g.bounds_id, 0) AS bounds_id, "
        f'histogram_sum(g."window") AS counts FROM {_VALID} JOIN metrics_ledgerhistogram g ON g.entry_id = e.id '
        f"WHERE {hours.FOLDED} "
        "GROUP BY 1, 2, 3, 4 HAVING histogram_sum(g.\"window\") <> '{}'",
        ("series_id", "hour", "measure", "bounds_id"),
        ("counts",),
    )


def _reversals() -> Finding:
    """A receipt that was taken back and the one that took it back cancel out, hour by hour."""
    summed = ", ".join(f"COALESCE(SUM(e.{name}), 0) AS {name}" for name in ADDITIVE_MEASURES)
    zero = ", ".join(f"0 AS {name}" for name in ADDITIVE_MEASURES)
    of = "COALESCE(r.reverses_id, r.id)"
    entries = "metrics_ledgerentry e JOIN metrics_receipt r ON r.id = e.receipt_id AND r.is_void"
    keys = f"{of} AS receipt_id, e.feed_id, e.series_id, e.hour, e.currency"
    return _compare(
        "receipts taken back that do not cancel out",
        f"SELECT {keys}, {summed} FROM {entries} GROUP BY 1, 2, 3, 4, 5",
        f"SELECT DISTINCT {keys}, {zero} FROM {entries}",
        ("receipt_id", "feed_id", "series_id", "hour", "currency"),
        ADDITIVE_MEASURES,
    )


_FRESH = "NOT EXISTS (SELECT 1 FROM metrics_staleday t WHERE t.series_id = {0}.series_id AND t.day = {0}.day)"


def _days_of(table: str) -> str:
    """The fresh (series, day) pairs that have hours."""
    return (
        f"(SELECT DISTINCT series_id, (hour AT TIME ZONE %s)::date AS day FROM {table} h WHERE NOT EXISTS ("
        "SELECT 1 FROM metrics_staleday t WHERE t.series_id = h.series_id AND t.day = (h.hour AT TIME ZONE %s)::date))"
    )


def _days() -> Finding:
    values = (*ADDITIVE_MEASURES, "hours", "unsettled_cost")
    return _compare(
        "days that are not the sum of their hours",
        f"SELECT series_id, day, currency, known_mask, {', '.join(values)} FROM metrics_usageday d "
        f"WHERE {_FRESH.format('d')}",
        hours_as_days(_days_of("metrics_usagehour")),
        ("series_id", "day", "currency", "known_mask"),
        values,
        [zone_name()] * 5,
    )


def _months() -> Finding:
    start = "date_trunc('month', t.day::timestamp)::date"
    fresh = f"NOT EXISTS (SELECT 1 FROM metrics_staleday t WHERE t.series_id = m.series_id AND {start} = m.month)"
    values = ("hours", *ADDITIVE_MEASURES, "unsettled_cost")
    columns = f"series_id, month, currency, known_mask, {', '.join(values)}"
    return _compare(
        "months that are not the sum of their days",
        f"SELECT {columns} FROM metrics_usagemonth m WHERE {fresh}",
        f"SELECT {columns} FROM ({days.days_as_months('metrics_usageday')}) m WHERE {fresh}",
        ("series_id", "month", "currency", "known_mask"),
        values,
    )


def _histogram_days() -> Finding:
    return _compare(
        "histograms of days that are not the sum of their hours",
        'SELECT series_id, day, measure, COALESCE(bounds_id, 0) AS bounds_id, "window" AS counts '
        f"FROM metrics_histogramday d WHERE {_FRESH.format('d')}",
        'SELECT series_id, day, measure, COALESCE(bounds_id, 0) AS bounds_id, "window" AS counts FROM ('
        f"{histogram_hours_as_days(_days_of('metrics_histogramhour'))}) merged WHERE \"window\" <> '{{}}'",
        ("series_id", "day", "measure", "bounds_id"),
        ("counts",),
        [zone_name()] * 5,
    )


def _histogram_spans(span: HistogramSpan) -> Finding:
    start = f"date_trunc('{span.unit}', {{0}}::timestamp)::date"
    fresh = (
        "NOT EXISTS (SELECT 1 FROM metrics_staleday t WHERE t.series_id = {0}.series_id "
        f"AND {start.format('t.day')} = {{1}})"
    )
    of_day = start.format("d.day")
    return _compare(
        f"histograms of {span.unit}s that are not the sum of their days",
        f'SELECT series_id, {span.unit}, measure, COALESCE(bounds_id, 0) AS bounds_id, "window" AS counts '
        f"FROM {span.table} m WHERE {fresh.format('m', f'm.{span.unit}')}",
        f"SELECT series_id, {of_day} AS {span.unit}, measure, COALESCE(bounds_id, 0) AS bounds_id, "
        f'histogram_sum("window") AS counts FROM metrics_histogramday d WHERE {fresh.format("d", of_day)} '
        "GROUP BY 1, 2, 3, 4",
        ("series_id", span.unit, "measure", "bounds_id"),
        ("counts",),
    )


def rebuild(series_ids: Sequence[int] | None = None, *, tell: Callable[[str], None] = lambda _: None) -> int:
    """Sum every hour of these series (None: all) again, series by series, and build the days; the number of hours.

    Runs beside pushes, in the writers' order of locks, a few thousand hours a transaction.
    """
    ids = list(Series.objects.order_by("pk").values_list("pk", flat=True)) if series_ids is None else list(series_ids)
    summed = 0
    for position, series_id in enumerate(ids, start=1):
        for some in _hours_of(series_id):
            with transaction.atomic():
                hours.sum_again((series_id, hour) for hour in some)
            summed += len(some)
        tell(f"{position} of {len(ids)} series")
    if series_ids is None:
        with transaction.atomic():
            days.drop()
    days.rebuild()
    return summed


def _hours_of(series_id: int) -> Iterator[list[datetime]]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT hour FROM metrics_usagehour WHERE series_id = %s UNION "
            "SELECT hour FROM metrics_histogramhour WHERE series_id = %s UNION "
            "SELECT hour FROM metrics_ledgerentry WHERE series_id = %s ORDER BY 1",
            [series_id] * 3,
        )
        found = [row[0] for row in cursor.fetchall()]
    for first in range(0, len(found), HOURS_AT_ONCE):
        yield found[first : first + HOURS_AT_ONCE]

"""The days of a reading as relations: days, with stale ones summed from their hours where need be, and whole months.

A month is read as a whole where it lies in the window and nothing in it is told apart by day: no share changes, the
series counts on all of its days or on none, and its money needs no day's exchange rate.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date

from metrics import rows
from metrics.days import hours_as_days, zone_name
from metrics.figures import Grain, Scope, WorkloadWindow
from metrics.reads.door import STALE, Sql, currency
from metrics.usage import ADDITIVE_MEASURES
from metrics.windows import days as days_between
from metrics.windows import month_of, next_month

_SUMS = f"currency, known_mask, hours{rows.columns(ADDITIVE_MEASURES)}, unsettled_cost"
_DAYS = f"series_id, day, {_SUMS}"


@dataclass(frozen=True, slots=True)
class Piece:
    """Days [start_on, end_on) of the window of this number."""

    number: int
    workload_id: int
    start_on: date
    end_on: date


@dataclass(frozen=True, slots=True)
class Source:
    """Rows like those of the days, and the pieces of windows (None: there are none) that take their part of them."""

    days: Sql
    windows: Sequence[Piece] | None


def pieces_of(windows: Sequence[WorkloadWindow] | None) -> list[Piece] | None:
    """Each window as one piece."""
    if windows is None:
        return None
    return [Piece(number, one.workload_id, one.start_on, one.end_on) for number, one in enumerate(windows)]


def day_rows(start_on: date, end_on: date, *, with_hours: bool) -> Sql:
    """The days of a window as a relation; stale ones summed from their hours where asked to."""
    sql = Sql()
    sql.add(f"SELECT {_DAYS} FROM metrics_usageday d WHERE d.day >= %s AND d.day < %s", start_on, end_on)
    if with_hours:
        sql.add(f" AND NOT {STALE} UNION ALL SELECT {_DAYS} FROM (")
        stale = "(SELECT series_id, day FROM metrics_staleday WHERE day >= %s AND day < %s)"
        sql.add(hours_as_days(stale), start_on, end_on, *[zone_name()] * 3).add(") summed")
    return sql


def together(parts: Sequence[Sql]) -> Sql:
    """Several readings with the same columns as one."""
    if len(parts) == 1:
        return parts[0]
    text = " UNION ALL ".join(f"({part.text})" for part in parts)
    return Sql(text, [value for part in parts for value in part.params])


def month_sources(scope: Scope, grain: Grain | None, windows: Sequence[Piece] | None) -> list[Source] | None:
    """What to read instead of all days of the scope: whole months, the days around them, and the days of months that
    cannot be read as a whole. None where there is no whole month, or days or weeks are told apart."""
    if grain not in (None, "month"):
        return None
    own = [Piece(0, 0, scope.start_on, scope.end_on)] if windows is None else windows
    inner = [(window, whole) for window in own if (whole := whole_months(window.start_on, window.end_on))]
    if not inner:
        return None
    first, last = min(whole[0] for _, whole in inner), max(whole[1] for _, whole in inner)
    edges = [piece for window in own for piece in _edges(window)]
    months = None if windows is None else [replace(one, start_on=whole[0], end_on=whole[1]) for one, whole in inner]
    return [
        Source(_months(first, last), months),
        Source(_days_of_months(first, last), months),
        Source(_edge_days(edges), None if windows is None else edges),
    ]


def whole_months(start_on: date, end_on: date) -> tuple[date, date] | None:
    """The months [first, last) that lie in the days as a whole, None where there is none."""
    first, last = month_of(start_on), month_of(end_on)
    if first < start_on:
        first = next_month(first)
    return (first, last) if first < last else None


def edge_days(windows: Iterable[Piece]) -> list[date]:
    """The days of these windows that lie in none of their whole months."""
    edges = [edge for window in windows for edge in _edges(window)]
    return sorted({day for edge in edges for day in days_between(edge.start_on, edge.end_on)})


def _edges(window: Piece) -> list[Piece]:
    whole = whole_months(window.start_on, window.end_on)
    if whole is None:
        return [window]
    spans = ((window.start_on, whole[0]), (whole[1], window.end_on))
    return [replace(window, start_on=start, end_on=end) for start, end in spans if start < end]


def _edge_days(edges: Sequence[Piece]) -> Sql:
    return Sql(f"SELECT {_DAYS} FROM metrics_usageday WHERE day = ANY(%s::date[])", [rows.literal(edge_days(edges))])


# Months of a series that are read by their days, with the parameters of _of_days.
_BY_DAYS = (
    "SELECT c.series_id, date_trunc('month', c.on_day::timestamp)::date AS month FROM ("
    "SELECT series_id, valid_from_on AS on_day FROM metrics_allocation UNION ALL "
    "SELECT series_id, valid_until_on FROM metrics_allocation UNION ALL "
    "SELECT id, uncounted_from_on FROM metrics_series) c WHERE c.on_day > %s AND c.on_day < %s "
    "AND c.on_day <> date_trunc('month', c.on_day::timestamp)::date "
    "UNION SELECT series_id, month FROM metrics_usagemonth WHERE month >= %s AND month < %s "
    "AND currency NOT IN ('', %s)"
)


def _of_days(first: date, last: date) -> list[object]:
    return [first, last, first, last, currency()]


def _months(first: date, last: date) -> Sql:
    sql = Sql(f"SELECT series_id, month AS day, {_SUMS} FROM metrics_usagemonth m ")
    sql.add("WHERE m.month >= %s AND m.month < %s ", first, last)
    return sql.add(f"AND (m.series_id, m.month) NOT IN ({_BY_DAYS})", *_of_days(first, last))


def _days_of_months(first: date, last: date) -> Sql:
    columns = ", ".join(f"d.{name.strip()}" for name in _DAYS.split(","))
    sql = Sql(f"SELECT {columns} FROM ({_BY_DAYS}) v ", _of_days(first, last))
    return sql.add(
        "JOIN metrics_usageday d ON d.series_id = v.series_id AND d.day >= v.month "
        "AND d.day < (v.month + interval '1 month')::date"
    )

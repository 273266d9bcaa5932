"""Sums of the series that count, by period and dimension, in the reporting currency, shares applied."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any

from metrics import rows
from metrics.figures import (
    ASIDE,
    SENT_BY_ANYBODY,
    Dimension,
    Grain,
    Number,
    Part,
    Scope,
    Slice,
    Span,
    Sums,
    UsageRow,
    WorkloadWindow,
    merged,
)
from metrics.money import FACTOR_STEP, OLDEST_RATE, QUIET_RATE_AGE
from metrics.reads.door import (
    PERIODS,
    Sql,
    allocated,
    currency,
    joined,
    key_columns,
    narrowed,
    ordered,
    read,
)
from metrics.reads.periods import Piece, Source, day_rows, month_sources, pieces_of, together
from metrics.usage import ADDITIVE_MEASURES, COUNT_MEASURES, MONEY_MEASURES

_MONEY = (*MONEY_MEASURES, "unsettled_cost")
_COUNTED = tuple(name for name in ADDITIVE_MEASURES if name not in MONEY_MEASURES)
_PLACES = -int(FACTOR_STEP.as_tuple().exponent)
_COUNTS = "(s.uncounted_from_on IS NULL OR d.day < s.uncounted_from_on)"
# Of a source that does not count: what quality and guardrails did is counted of whoever sends it.
_SENT = " OR ".join(f"d.{name} IS NOT NULL" for name in sorted(SENT_BY_ANYBODY - {"quality_sum"}))
# Beside money converted, money as stated; where rows are told apart by currency.
_STATED = ("stated_billed_cost", "stated_unsettled_cost")

_RATE = (
    "(SELECT 1::numeric AS per_euro, d.day AS \"on\" WHERE {currency} = 'EUR' UNION ALL "
    '(SELECT x.per_euro, x."on" FROM metrics_exchangerate x WHERE x.currency = {currency} '
    f'AND x."on" <= d.day AND x."on" >= d.day - {OLDEST_RATE.days} ORDER BY x."on" DESC LIMIT 1) LIMIT 1)'
)


def usage(
    scope: Scope,
    by: Sequence[Dimension],
    grain: Grain | None,
    *,
    slices: Sequence[Slice] = (),
    measures: Sequence[str] | None = None,
) -> list[UsageRow]:
    """See metrics.series.usage."""
    counted = _COUNTED if measures is None else tuple(name for name in _COUNTED if name in measures)
    names, _ = key_columns(by)
    found = read(
        scope.start_on,
        scope.end_on,
        lambda *, with_hours: figures(scope, by, grain, with_hours=with_hours, slices=slices, counted=counted),
    )
    shared = _rows(names, found, counted=counted)
    if scope.workload_ids is not None or "workload" not in by:
        return shared
    rest = unallocated(scope, by, grain, measures=measures)
    return sorted([*shared, *rest], key=lambda row: ordered([row.period, *row.key.values()])) if rest else shared


def unallocated(
    scope: Scope, by: Sequence[Dimension], grain: Grain | None, *, measures: Sequence[str] | None
) -> list[UsageRow]:
    """See metrics.series.unallocated."""
    if scope.workload_ids is not None:
        return []
    counted = _COUNTED if measures is None else tuple(name for name in _COUNTED if name in measures)
    names, _ = key_columns(by)
    others = tuple(dimension for dimension in by if dimension not in ("workload", "slice"))
    found = read(
        scope.start_on,
        scope.end_on,
        lambda *, with_hours: figures(scope, others, grain, with_hours=with_hours, counted=counted, left_over=True),
    )
    rows = _rows(key_columns(others)[0], found, counted=counted)
    return [UsageRow(row.period, {name: row.key.get(name) for name in names}, row.sums) for row in rows]


def workloads_usage(
    windows: Mapping[int, tuple[date, date]],
    by: Sequence[Dimension],
    *,
    include_demo: bool,
) -> list[UsageRow]:
    """See metrics.series.workloads_usage."""
    own = [WorkloadWindow(workload, *window) for workload, window in windows.items()]
    return _of_windows(own, ("workload", *by), include_demo=include_demo)


def usage_of_windows(
    windows: Sequence[WorkloadWindow], by: Sequence[Dimension], *, include_demo: bool
) -> list[list[UsageRow]]:
    """See metrics.series.usage_of_windows."""
    of_windows: list[list[UsageRow]] = [[] for _ in windows]
    for row in _of_windows(windows, ("span", *by), include_demo=include_demo):
        number = row.key.pop("span")
        of_windows[number].append(row)
    return of_windows


def _of_windows(windows: Sequence[WorkloadWindow], by: Sequence[Dimension], *, include_demo: bool) -> list[UsageRow]:
    if not windows:
        return []
    scope = scope_of(windows, include_demo=include_demo)
    found = read(
        scope.start_on,
        scope.end_on,
        lambda *, with_hours: figures(scope, by, None, with_hours=with_hours, windows=pieces_of(windows)),
    )
    return _rows(key_columns(by)[0], found)


def scope_of(windows: Sequence[WorkloadWindow], *, include_demo: bool) -> Scope:
    """The days and the workloads of all of them."""
    start_on, end_on = spanned((one.start_on, one.end_on) for one in windows)
    ids = tuple(dict.fromkeys(one.workload_id for one in windows))
    return Scope(start_on, end_on, ids, include_demo=include_demo)


def workloads_spend(windows: Mapping[int, tuple[date, date]], *, include_demo: bool) -> dict[int, Sums]:
    """See metrics.series.workloads_spend."""
    spent = {row.key["workload"]: row.sums for row in workloads_usage(windows, (), include_demo=include_demo)}
    return {workload: spent.get(workload, Sums()) for workload in windows}


def usage_of_spans(scope: Scope, spans: Sequence[Span], by: Sequence[Dimension]) -> list[list[UsageRow]]:
    """See metrics.series.usage_of_spans."""
    by = ("span", *by)
    found = read(
        scope.start_on,
        scope.end_on,
        lambda *, with_hours: figures(scope, by, None, with_hours=with_hours, spans=spans),
    )
    of_spans: list[list[UsageRow]] = [[] for _ in spans]
    for row in _rows(key_columns(by)[0], found):
        number = row.key.pop("span")
        of_spans[number].append(row)
    return of_spans


def spanned(windows: Iterable[tuple[date, date]]) -> tuple[date, date]:
    """The days from the first start to the last end."""
    held = list(windows)
    return min(start for start, _ in held), max(end for _, end in held)


def join_windows(sql: Sql, windows: Sequence[Piece] | None) -> None:
    """Give each window the days of its workload that are its own; windows may share days."""
    if windows is None:
        return
    sql.add(
        " JOIN unnest(%s::int[], %s::bigint[], %s::date[], %s::date[]) AS w (number, workload_id, start_on, end_on) "
        "ON w.workload_id = a.workload_id AND d.day >= w.start_on AND d.day < w.end_on",
        rows.literal(one.number for one in windows),
        rows.literal(one.workload_id for one in windows),
        rows.literal(one.start_on for one in windows),
        rows.literal(one.end_on for one in windows),
    )


SPAN_PERIOD = (
    "CASE w.grain WHEN '' THEN NULL WHEN 'day' THEN d.day ELSE date_trunc(w.grain, d.day::timestamp)::date END"
)


def join_spans(sql: Sql, spans: Sequence[Span]) -> None:
    """Give each span the days that are its own; spans may share days."""
    if not spans:
        return
    sql.add(
        " JOIN unnest(%s::int[], %s::date[], %s::date[], %s::text[], %s::bigint[], %s::text[]) "
        "AS w (number, start_on, end_on, grain, backend_id, model) ON d.day >= w.start_on AND d.day < w.end_on "
        "AND (w.backend_id IS NULL OR w.backend_id = s.backend_id) AND (w.model IS NULL OR w.model = s.model)",
        list(range(len(spans))),
        [span.start_on for span in spans],
        [span.end_on for span in spans],
        [span.grain or "" for span in spans],
        [span.backend_id for span in spans],
        [span.model for span in spans],
    )


def join_slices(sql: Sql, slices: Sequence[Slice]) -> None:
    """Name the slice that holds the day; days in none have no name."""
    sql.add(
        " LEFT JOIN unnest(%s::bigint[], %s::date[], %s::date[], %s::text[]) AS w (workload_id, start_on, end_on, name)"
        " ON w.workload_id = a.workload_id AND d.day >= w.start_on AND d.day < w.end_on",
        rows.literal(one.workload_id for one in slices),
        rows.literal(one.start_on for one in slices),
        rows.literal(one.end_on for one in slices),
        rows.literal(one.name for one in slices),
    )


def figures(
    scope: Scope,
    by: Sequence[Dimension],
    grain: Grain | None,
    *,
    with_hours: bool,
    windows: Sequence[Piece] | None = None,
    slices: Sequence[Slice] = (),
    spans: Sequence[Span] = (),
    counted: Sequence[str] = _COUNTED,
    left_over: bool = False,
) -> Sql:
    """The figures of days; of whole months at once where nothing in them is told apart by day."""
    sources = None
    if not with_hours and not spans and "slice" not in by:
        sources = month_sources(scope, grain, windows)
    if sources is None:
        sources = [Source(day_rows(scope.start_on, scope.end_on, with_hours=with_hours), windows)]
    parts = [
        _summed(
            scope,
            by,
            grain,
            days=source.days,
            windows=source.windows,
            slices=slices,
            spans=spans,
            counted=counted,
            left_over=left_over,
        )
        for source in sources
    ]
    return together(parts)


def _summed(
    scope: Scope,
    by: Sequence[Dimension],
    grain: Grain | None,
    *,
    days: Sql,
    windows: Sequence[Piece] | None,
    slices: Sequence[Slice],
    spans: Sequence[Span],
    counted: Sequence[str],
    left_over: bool,
) -> Sql:
    """Columns: period, keys, kind, known mask, share, hours, measures, money, currencies without and with old rates.

    Told apart by currency, money as it was stated stands behind the converted.

    Days are added up by currency first, those in foreign currencies by day as well; so few rows meet the rates.
    """
    _, keys = key_columns(by)
    is_shared = left_over or allocated(scope.workload_ids, by)
    is_aside = not SENT_BY_ANYBODY.isdisjoint(counted)
    kind = f"CASE WHEN {_COUNTS} THEN s.kind ELSE '{ASIDE}' END" if is_aside else "s.kind"
    period = SPAN_PERIOD if spans else PERIODS[grain]
    grouped = [period, *keys, kind, "d.known_mask", "a.share_ratio" if is_shared else "1::numeric"]
    names = [f"k{place}" for place in range(len(grouped))]
    sql = Sql("WITH summed AS MATERIALIZED (SELECT ")
    sql.add(", ".join(f"{expression} AS {name}" for expression, name in zip(grouped, names, strict=True)))
    sql.add(", d.currency, CASE WHEN d.currency IN ('', %s) THEN NULL ELSE d.day END AS rate_day", currency())
    sql.add("".join(f", SUM(d.{name}) AS {name}" for name in ("hours", *counted, *_MONEY)) + " FROM (")
    sql.add(days.text, *days.params)
    joined(sql.add(") d"), scope, by, left_over=left_over)
    join_windows(sql, windows)
    join_spans(sql, spans)
    if "slice" in by:
        join_slices(sql, slices)
    sql.add(f" WHERE ({_COUNTS} OR (s.kind = 'usage' AND ({_SENT})))" if is_aside else f" WHERE {_COUNTS}")
    if scope.workload_ids is not None:
        sql.add(" AND a.workload_id = ANY(%s::bigint[])", rows.literal(scope.workload_ids))
    narrowed(sql, scope, by)
    sql.add(f" GROUP BY {', '.join(str(place) for place in range(1, len(grouped) + 3))}")
    sql.add(
        "), fx AS (SELECT d.currency, d.day, "
        f'round(t.per_euro / f.per_euro, {_PLACES}) AS factor, least(t."on", f."on") AS rate_on '
        "FROM (SELECT DISTINCT currency, rate_day AS day FROM summed WHERE rate_day IS NOT NULL) d, "
        f"LATERAL {_RATE.format(currency='d.currency')} f, LATERAL {_RATE.format(currency='%s')} t)",
        currency(),
        currency(),
    )
    sql.add(f" SELECT {', '.join(names)}" + "".join(f", SUM({name})" for name in ("hours", *counted)))
    sql.add("".join(f", SUM(CASE WHEN rate_day IS NULL THEN {name} ELSE {name} * fx.factor END)" for name in _MONEY))
    if "currency" in by:
        sql.add("".join(f", SUM({name.removeprefix('stated_')})" for name in _STATED))
    sql.add(
        ", array_agg(DISTINCT g.currency) FILTER (WHERE rate_day IS NOT NULL AND fx.factor IS NULL)"
        ", array_agg(DISTINCT g.currency || fx.rate_on::text) "
        f"FILTER (WHERE fx.rate_on < rate_day - {QUIET_RATE_AGE.days}), TRUE "
        "FROM summed g LEFT JOIN fx ON fx.currency = g.currency AND fx.day = g.rate_day"
    )
    return sql.add(f" GROUP BY {', '.join(names)}")


def _rows(
    names: Sequence[str], found: Iterable[tuple[Any, ...]], *, counted: Sequence[str] = _COUNTED
) -> list[UsageRow]:
    """Rows of the query as rows of figures: shares applied, the parts of one period and key put together."""
    groups: dict[tuple[Any, ...], list[Sums]] = {}
    first = 1 + len(names)
    money = (*_MONEY, *(_STATED if "currency" in names else ()))
    for row in found:
        groups.setdefault(row[:first], []).append(_sums_of(row[first:], counted, money))
    return [
        UsageRow(
            group[0],
            dict(zip(names, group[1:], strict=True)),
            groups[group][0] if len(groups[group]) == 1 else merged(groups[group]),
        )
        for group in sorted(groups, key=ordered)
    ]


def _sums_of(row: Sequence[Any], counted: Sequence[str], money: Sequence[str]) -> Sums:
    """One part: hours of one kind, mask and share."""
    kind, mask, share, hours, *values = row
    share = 1 if share == 1 else share
    held: dict[str, Number | None] = {}
    for name, value in zip(counted, values[: len(counted)], strict=True):
        if value is not None:
            number = int(value) if name in COUNT_MEASURES else value
            held[name] = number if share == 1 else number * share
    if kind == ASIDE:
        return Sums([Part(kind, mask, int(hours) * share, held)])
    no_rate, stale = values[-3], values[-2]
    for name, value in zip(money, values[len(counted) : len(counted) + len(money)], strict=True):
        held[name] = value if value is None or share == 1 else value * share
    return Sums(
        [Part(kind, mask, int(hours) * share, held)],
        frozenset(no_rate or ()),
        _latest(stale or ()),
    )


def _latest(told: Iterable[str]) -> dict[str, date]:
    """Currency and date of old rates, as the query tells them ('USD2026-10-30'): the latest of each currency."""
    found: dict[str, date] = {}
    for text in told:
        code, on = text[:3], date.fromisoformat(text[3:])
        found[code] = max(on, found.get(code, on))
    return found

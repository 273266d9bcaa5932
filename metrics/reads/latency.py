"""Histograms and means of every source, by period and dimension. Places of measurement are never merged."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from metrics import rows
from metrics.days import MONTHS, WEEKS, HistogramSpan, histogram_hours_as_days, zone_name
from metrics.figures import (
    Dimension,
    Grain,
    LatencyRow,
    MergedHistogram,
    Number,
    Scope,
    Slice,
    Span,
    WorkloadWindow,
)
from metrics.models import HistogramBounds
from metrics.reads.door import PERIODS, STALE, Sql, allocated, joined, key_columns, narrowed, ordered, read
from metrics.reads.periods import Piece, Source, day_rows, edge_days, month_sources, pieces_of, together
from metrics.reads.usage import join_slices, join_spans, join_windows, scope_of
from metrics.rows import HISTOGRAM_NAME, HISTOGRAM_NUMBER
from metrics.windows import month_of, next_month

_bounds: dict[int, tuple[float, ...]] = {}


Windows = Sequence[Piece]


def workloads_latency(
    windows: Mapping[int, tuple[date, date]], measures: Sequence[str], *, include_demo: bool
) -> list[LatencyRow]:
    """See metrics.series.workloads_latency."""
    if not windows:
        return []
    own = [WorkloadWindow(workload, *window) for workload, window in windows.items()]
    return latency(scope_of(own, include_demo=include_demo), measures, ("workload",), None, windows=pieces_of(own))


def latency_of_windows(
    windows: Sequence[WorkloadWindow], measures: Sequence[str], *, include_demo: bool
) -> list[list[LatencyRow]]:
    """See metrics.series.latency_of_windows."""
    of_windows: list[list[LatencyRow]] = [[] for _ in windows]
    if windows and measures:
        scope = scope_of(windows, include_demo=include_demo)
        for row in latency(scope, measures, ("span",), None, windows=pieces_of(windows)):
            number = row.key.pop("span")
            of_windows[number].append(row)
    return of_windows


def latency_of_spans(
    scope: Scope, spans: Sequence[Span], measures: Sequence[str], by: Sequence[Dimension]
) -> list[list[LatencyRow]]:
    """See metrics.series.latency_of_spans."""
    of_spans: list[list[LatencyRow]] = [[] for _ in spans]
    for row in latency(scope, measures, ("span", *by), None, spans=spans):
        number = row.key.pop("span")
        of_spans[number].append(row)
    return of_spans


def latency(
    scope: Scope,
    measures: Sequence[str],
    by: Sequence[Dimension],
    grain: Grain | None,
    *,
    windows: Windows | None = None,
    slices: Sequence[Slice] = (),
    spans: Sequence[Span] = (),
) -> list[LatencyRow]:
    """See metrics.series.latency. `windows`: of each workload only the days of its own window."""
    by = (*(dimension for dimension in by if dimension != "measured_at"), "seen_at")
    names, _ = key_columns(by)
    numbers = [HISTOGRAM_NUMBER[measure] for measure in measures]
    merged: dict[tuple[Any, ...], MergedHistogram] = defaultdict(MergedHistogram)

    def figures(*, with_hours: bool) -> Sql:
        """Counts and means in one query: rows of counts have no sums, the row of sums of a group has no measure."""
        counts = _histograms(
            scope, numbers, by, grain, with_hours=with_hours, windows=windows, slices=slices, spans=spans
        )
        sums = _means(scope, measures, by, grain, with_hours=with_hours, windows=windows, slices=slices, spans=spans)
        return Sql(f"({counts.text}) UNION ALL ({sums.text})", [*counts.params, *sums.params])

    found = read(scope.start_on, scope.end_on, figures)
    counts = [row[:-2] for row in found if row[-2] is None]
    bounds_of = _bounds_of({row[-3] for row in counts} - {None})
    for *group, number, bounds, share, window in counts:
        place = (*group, HISTOGRAM_NAME[number])
        merged[place].add_window(
            window, bounds_ms=None if bounds is None else bounds_of[bounds], share=1 if share == 1 else share
        )
    means = _means_of([(row[:-6], row[-2]) for row in found if row[-2] is not None], measures)
    return [
        LatencyRow(
            period=place[0],
            key=dict(zip(names, place[1:-1], strict=True)),
            measure=place[-1],
            histogram=merged.get(place, MergedHistogram()),
            mean_ms=means[place][0] if place in means else None,
            mean_coverage=means[place][1] if place in means else None,
        )
        for place in sorted(merged.keys() | means.keys(), key=ordered)
    ]


def _histograms(
    scope: Scope,
    numbers: Sequence[int],
    by: Sequence[Dimension],
    grain: Grain | None,
    *,
    with_hours: bool,
    windows: Windows | None,
    slices: Sequence[Slice],
    spans: Sequence[Span],
) -> Sql:
    """Columns: period, keys, measure, bounds, share, window, no sums, TRUE."""
    _, keys = key_columns(by)
    is_shared = allocated(scope.workload_ids, by)
    grouped = [PERIODS[grain], *keys, "d.measure", "d.bounds_id", "a.share_ratio" if is_shared else "1::numeric"]
    sql = Sql("SELECT " + ", ".join(grouped) + ', histogram_sum(d."window"), NULL::numeric[], TRUE FROM (')
    by_windows = (windows is not None or bool(spans)) and not with_hours
    held = _counts_of_windows(scope, numbers, windows) if by_windows else None
    if held is None:
        # A slice may begin within a week or a month.
        cut = "day" if windows is not None or spans or "slice" in by else grain
        held = _counts(scope, numbers, cut, is_shared=is_shared, with_hours=with_hours)
    sql.add(held.text, *held.params)
    joined(sql.add(") d"), scope, by)
    join_windows(sql, windows)
    join_spans(sql, spans)
    if "slice" in by:
        join_slices(sql, slices)
    sql.add(" WHERE TRUE")
    if by_windows:
        sql.add(_IN_WINDOW)
    if scope.workload_ids is not None:
        sql.add(" AND a.workload_id = ANY(%s::bigint[])", rows.literal(scope.workload_ids))
    narrowed(sql, scope, by)
    return sql.add(" GROUP BY " + ", ".join(str(place) for place in range(1, len(grouped) + 1)))


_MONTH_OF_DAY = "date_trunc('month', d.day::timestamp)"
# Of each workload's own window: months that lie in it as a whole, and days of those that do not.
_IN_WINDOW = (
    " AND d.until <= w.end_on AND (d.is_whole "
    f"OR {_MONTH_OF_DAY} < w.start_on OR {_MONTH_OF_DAY} + interval '1 month' > w.end_on)"
)
# Spans in which a share changes: these are read by their days.
_DIVIDED = (
    "WITH divided AS MATERIALIZED (SELECT DISTINCT c.series_id, date_trunc('{0}', c.day::timestamp)::date "
    "AS start FROM (SELECT series_id, valid_from_on AS day FROM metrics_allocation UNION ALL "
    "SELECT series_id, valid_until_on FROM metrics_allocation) c "
    "WHERE c.day > %s AND c.day < %s AND c.day <> date_trunc('{0}', c.day::timestamp)::date) "
)
_IS_DIVIDED = "EXISTS (SELECT 1 FROM divided v WHERE v.series_id = d.series_id AND v.start = {0})"


def _counts_of_windows(scope: Scope, numbers: Sequence[int], windows: Windows | None) -> Sql:
    """The histograms of months and of days; which of them count, each workload's window decides (_IN_WINDOW)."""
    wanted = rows.literal(numbers)
    columns = 'd.measure, d.bounds_id, d."window"'
    sql = Sql(_DIVIDED.format("month"), [scope.start_on, scope.end_on])
    sql.add(
        "SELECT d.series_id, d.month AS day, (d.month + interval '1 month')::date AS until, TRUE AS is_whole, "
        f"{columns} FROM metrics_histogrammonth d WHERE d.measure = ANY(%s::smallint[]) "
        "AND d.month >= %s AND d.month < %s "
        f"AND NOT {_IS_DIVIDED.format('d.month')}",
        wanted,
        month_of(scope.start_on),
        scope.end_on,
    )
    day = "SELECT d.series_id, d.day, d.day + 1, {0}, " + columns + " FROM metrics_histogramday d "
    is_divided = _IS_DIVIDED.format(f"{_MONTH_OF_DAY}::date")
    chosen = "WHERE d.measure = ANY(%s::smallint[]) AND d.day >= %s AND d.day < %s"
    sql.add(f" UNION ALL {day.format(is_divided)}")
    if windows is None:
        return sql.add(chosen, wanted, scope.start_on, scope.end_on)
    # Of days in the middle of every window only those of divided months are asked for.
    edges = rows.literal(edge_days(windows))
    sql.add(f"{chosen} AND d.day = ANY(%s::date[])", wanted, scope.start_on, scope.end_on, edges)
    sql.add(f" UNION ALL {day.format('TRUE')} JOIN divided v ON v.series_id = d.series_id ")
    sql.add("AND d.day >= v.start AND d.day < v.start + interval '1 month' ")
    return sql.add(f"{chosen} AND NOT d.day = ANY(%s::date[])", wanted, scope.start_on, scope.end_on, edges)


def _counts(scope: Scope, numbers: Sequence[int], grain: Grain | None, *, is_shared: bool, with_hours: bool) -> Sql:
    """The histograms of the window's days; whole weeks or months at once where no finer grain is asked for."""
    whole = None if with_hours else _whole_spans(scope, grain)
    wanted = rows.literal(numbers)
    columns = 'd.series_id, {0} AS day, d.measure, d.bounds_id, d."window"'
    by_day = f"SELECT {columns.format('d.day')} FROM metrics_histogramday d "
    chosen = "WHERE d.measure = ANY(%s::smallint[]) AND d.{0} >= %s AND d.{0} < %s"
    sql = Sql()
    if whole is None:
        sql.add(by_day + chosen.format("day"), wanted, scope.start_on, scope.end_on)
        if with_hours:
            stale = "(SELECT series_id, day FROM metrics_staleday WHERE day >= %s AND day < %s)"
            sql.add(
                f" AND NOT {STALE} UNION ALL " + histogram_hours_as_days(stale, "h.measure = ANY(%s::smallint[])"),
                scope.start_on,
                scope.end_on,
                *[zone_name()] * 3,
                wanted,
            )
        return sql
    span, start, end = whole
    by_span = f"SELECT {columns.format(f'd.{span.unit}')} FROM {span.table} d "
    if is_shared:
        sql.add(_DIVIDED.format(span.unit), start, end)
    sql.add(by_span + chosen.format(span.unit), wanted, start, end)
    if is_shared:
        sql.add(" AND NOT " + _IS_DIVIDED.format(f"d.{span.unit}"))
        sql.add(f" UNION ALL {by_day} JOIN divided v ON v.series_id = d.series_id ")
        sql.add(f"AND d.day >= v.start AND d.day < v.start + interval '1 {span.unit}' ")
        sql.add(chosen.format("day"), wanted, start, end)
    for first, last in ((scope.start_on, start), (end, scope.end_on)):
        if first < last:
            sql.add(f" UNION ALL {by_day} {chosen.format('day')}", wanted, first, last)
    return sql


def _whole_spans(scope: Scope, grain: Grain | None) -> tuple[HistogramSpan, date, date] | None:
    """The longest spans that serve the grain and lie in the scope as a whole, [first, end); None: there is none."""
    if grain == "day":
        return None
    span = WEEKS if grain == "week" else MONTHS
    first, end = span.start_of(scope.start_on), span.start_of(scope.end_on)
    if first < scope.start_on:
        first = first + timedelta(days=7) if span is WEEKS else next_month(first)
    return (span, first, end) if first < end else None


def _bounds_of(ids: set[int]) -> dict[int, tuple[float, ...]]:
    missing = ids - _bounds.keys()
    if missing:
        for pk, bounds_ms in HistogramBounds.objects.filter(pk__in=missing).values_list("pk", "bounds_ms"):
            _bounds[pk] = tuple(bounds_ms)
    return {pk: _bounds[pk] for pk in ids}


def _means(
    scope: Scope,
    measures: Sequence[str],
    by: Sequence[Dimension],
    grain: Grain | None,
    *,
    with_hours: bool,
    windows: Windows | None,
    slices: Sequence[Slice],
    spans: Sequence[Span],
) -> Sql:
    """Columns as _histograms has them; the sums are milliseconds, count and requests of each measure, then requests."""
    _, keys = key_columns(by)
    is_shared = allocated(scope.workload_ids, by)
    share = "a.share_ratio" if is_shared else "1"
    sums = []
    for measure in measures:
        timed = f"d.{measure}_count IS NOT NULL AND d.{measure}_sum_ms IS NOT NULL"
        for value in (f"d.{measure}_sum_ms", f"d.{measure}_count", "d.requests"):
            sums.append(f"(SUM({value} * {share}) FILTER (WHERE {timed}))::numeric")
    sums.append(f"SUM(d.requests * {share})::numeric")
    sources = None
    if not with_hours and not spans and "slice" not in by:
        sources = month_sources(scope, grain, windows)
    if sources is None:
        sources = [Source(day_rows(scope.start_on, scope.end_on, with_hours=with_hours), windows)]
    parts = []
    for source in sources:
        sql = Sql("SELECT " + ", ".join([PERIODS[grain], *keys]))
        sql.add(
            ", NULL::smallint, NULL::bigint, NULL::numeric, NULL::bigint[], ARRAY[" + ", ".join(sums) + "], TRUE FROM ("
        )
        sql.add(source.days.text, *source.days.params)
        joined(sql.add(") d"), scope, by)
        join_windows(sql, source.windows)
        join_spans(sql, spans)
        if "slice" in by:
            join_slices(sql, slices)
        sql.add(" WHERE s.kind = 'usage'")
        if scope.workload_ids is not None:
            sql.add(" AND a.workload_id = ANY(%s::bigint[])", rows.literal(scope.workload_ids))
        narrowed(sql, scope, by)
        parts.append(sql.add(" GROUP BY " + ", ".join(str(place) for place in range(1, len(keys) + 2))))
    return together(parts)


def _means_of(
    sums: Iterable[tuple[tuple[Any, ...], Sequence[Number | None]]], measures: Sequence[str]
) -> dict[tuple[Any, ...], tuple[Decimal | None, Decimal | None]]:
    """Mean and coverage of each period, key and measure that anything was timed for."""
    added: dict[tuple[Any, ...], list[Number | None]] = {}
    for group, values in sums:
        held = added.get(group)
        added[group] = (
            list(values) if held is None else [_plus(one, two) for one, two in zip(held, values, strict=True)]
        )
    found: dict[tuple[Any, ...], tuple[Decimal | None, Decimal | None]] = {}
    for group, values in added.items():
        requests = values[-1]
        for place, measure in enumerate(measures):
            milliseconds, count, covered = values[3 * place : 3 * place + 3]
            if count:
                coverage = _ratio(covered, requests) if requests else None
                found[*group, measure] = (_ratio(milliseconds, count), coverage)
    return found


def _plus(one: Number | None, two: Number | None) -> Number | None:
    """The sum of what is known."""
    return two if one is None else one if two is None else one + two


def _ratio(above: Number | None, below: Number) -> Decimal:
    return Decimal(above or 0) / Decimal(below)

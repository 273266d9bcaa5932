"""Percentiles as their sources state them: one query, each value with the period that it was stated of."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from django.db import connection

from metrics import rows
from metrics.days import zone_name
from metrics.figures import Grain, Scope
from metrics.reads.door import PERIODS, Sql, narrowed
from metrics.rows import HISTOGRAM_NAME, HISTOGRAM_NUMBER
from metrics.stated import StatedLatency, StatedValue


def stated_percentiles(scope: Scope, measures: Sequence[str], grain: Grain | None) -> list[StatedLatency]:
    """See metrics.series.stated_percentiles."""
    zone = zone_name()
    # A period belongs to the local day in which it starts, as an hour does.
    sql = Sql("WITH d AS (SELECT p.*, (p.start AT TIME ZONE %s)::date AS day FROM metrics_statedpercentile p", [zone])
    sql.add(
        " WHERE p.measure = ANY(%s::smallint[]) AND p.start >= %s::timestamp AT TIME ZONE %s"
        " AND p.start < %s::timestamp AT TIME ZONE %s",
        rows.literal(HISTOGRAM_NUMBER[measure] for measure in measures),
        scope.start_on,
        zone,
        scope.end_on,
        zone,
    )
    if scope.workload_ids is not None:
        # A share of a series has no percentile of its own: whoever has a part of it sees what is stated of the whole.
        sql.add(
            " AND EXISTS (SELECT 1 FROM metrics_allocation a WHERE a.series_id = p.series_id"
            " AND a.workload_id = ANY(%s::bigint[]) AND (p.start AT TIME ZONE %s)::date >= a.valid_from_on"
            " AND (a.valid_until_on IS NULL OR (p.start AT TIME ZONE %s)::date < a.valid_until_on))",
            rows.literal(scope.workload_ids),
            zone,
            zone,
        )
    period = "d.day" if grain is None else PERIODS[grain]
    worst = "ORDER BY d.value_ms DESC, d.start"
    sql.add(
        "), ranked AS (SELECT d.series_id, d.measure, d.percent, d.start, d.end, d.value_ms, d.count, "
        f"{period} AS period, count(*) OVER one AS periods, row_number() OVER (one {worst}) AS worst, "
        "row_number() OVER (one ORDER BY d.start DESC, d.end) AS latest, "
        f"row_number() OVER (PARTITION BY d.series_id, d.measure, d.percent, {period} {worst}) AS worst_of_period "
        "FROM d JOIN metrics_series s ON s.id = d.series_id WHERE TRUE"
    )
    narrowed(sql, scope, ("series",))
    sql.add(
        " WINDOW one AS (PARTITION BY d.series_id, d.measure, d.percent)) "
        "SELECT r.series_id, b.name, b.slug, s.model, s.operation, s.service_tier, s.labels::text, r.measure, "
        'r.percent, r.period, r.periods, r.worst, r.latest, r.worst_of_period, r.start, r."end", r.value_ms, r.count '
        "FROM ranked r JOIN metrics_series s ON s.id = r.series_id JOIN metrics_backend b ON b.id = s.backend_id"
    )
    if grain is not None:
        sql.add(" WHERE r.latest = 1 OR r.worst_of_period = 1")
    sql.add(" ORDER BY b.name, s.model, r.series_id, r.measure, r.percent, r.start")
    with connection.cursor() as cursor:
        cursor.execute(sql.text, sql.params)
        found = cursor.fetchall()
    groups: dict[tuple[int, int, Any], list[tuple[Any, ...]]] = {}
    for row in found:
        groups.setdefault((row[0], row[7], row[8]), []).append(row)
    return [_stated(members, is_every=grain is None) for members in groups.values()]


def _stated(members: Sequence[tuple[Any, ...]], *, is_every: bool) -> StatedLatency:
    series_id, backend, slug, model, operation, tier, labels, measure, percent, _, periods, *_ = members[0]
    return StatedLatency(
        series_id=series_id,
        backend_name=backend,
        backend_slug=slug,
        model=model,
        operation=operation,
        service_tier=tier,
        labels=json.loads(labels),
        measure=HISTOGRAM_NAME[measure],
        percent=percent,
        latest=next(_value(row) for row in members if row[12] == 1),
        worst=next(_value(row) for row in members if row[11] == 1),
        periods=periods,
        values=tuple((row[9], _value(row)) for row in members if is_every or row[13] == 1),
    )


def _value(row: Sequence[Any]) -> StatedValue:
    return StatedValue(*row[14:18])

"""The names that series go by: what a page offers to filter by. One query."""

from __future__ import annotations

from collections.abc import Sequence

from django.db import connection

from metrics import rows
from metrics.reads.door import Sql
from metrics.source_facts import SeriesNames


def names(workload_ids: Sequence[int] | None, *, include_demo: bool) -> list[SeriesNames]:
    """See metrics.series.names."""
    sql = Sql(
        "SELECT DISTINCT s.provider, b.id, b.slug, b.name, s.model, COALESCE(s.labels->>'team', '') "
        "FROM metrics_series s JOIN metrics_backend b ON b.id = s.backend_id WHERE TRUE"
    )
    if workload_ids is not None:
        sql.add(
            " AND EXISTS (SELECT 1 FROM metrics_allocation a WHERE a.series_id = s.id "
            "AND a.workload_id = ANY(%s::bigint[]))",
            rows.literal(workload_ids),
        )
    if not include_demo:
        sql.add(" AND NOT s.is_demo")
    with connection.cursor() as cursor:
        cursor.execute(sql.text, sql.params)
        return [SeriesNames(*row) for row in cursor.fetchall()]

"""What the readings share: the dimensions, the scope as SQL, and reading days that may be stale.

A reading asks for figures and for whether a day of its window is stale in one query. Where none is, that was it. Else
the days are built (metrics.days) and asked again; where that cannot be, the hours of stale days are summed in place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from django.conf import settings
from django.db import connection

from metrics import days
from metrics.figures import Dimension, Grain, Scope
from metrics.rows import literal
from metrics.usage import STEP_OPERATIONS

Rows = list[tuple[Any, ...]]

# Each dimension as (name in the key, expression).
DIMENSIONS: dict[str, tuple[tuple[str, str], ...]] = {
    "series": (("series", "s.id"),),
    "backend": (("backend", "s.backend_id"), ("backend_name", "b.name"), ("backend_slug", "b.slug")),
    "provider": (("provider", "s.provider"),),
    "model": (("model", "s.model"),),
    "operation": (("operation", "s.operation"),),
    "kind": (("kind", "s.kind"),),
    "measured_at": (("measured_at", "s.measured_at"),),
    # As measured_at, but what another source of the same place counts for has a name of its own.
    "seen_at": (
        (
            "measured_at",
            "CASE WHEN s.uncounted_from_on IS NOT NULL AND s.measured_at = 'gateway' THEN 'inner_gateway' "
            "WHEN s.uncounted_from_on IS NOT NULL AND s.measured_at = 'server' AND s.through_id IS NOT NULL "
            "THEN 'pushed_server' ELSE s.measured_at END",
        ),
    ),
    "service_tier": (("service_tier", "s.service_tier"),),
    "hardware": (("hardware", "b.hardware"),),
    "team": (("team", "COALESCE(s.labels->>'team', '')"),),
    "labels": (("labels", "s.labels::text"),),
    # What other charges are, in FOCUS's word; of traffic nothing.
    "charge_category": (
        ("charge_category", "CASE WHEN s.kind = 'other_charges' THEN COALESCE(s.labels->>'charge_category', '') END"),
    ),
    "currency": (("currency", "d.currency"),),
    "slice": (("slice", "w.name"),),
    "span": (("span", "w.number"),),
    "workload": (("workload", "a.workload_id"), ("workload_name", "l.name"), ("workload_slug", "l.slug")),
}
PERIODS: dict[Grain | None, str] = {
    None: "NULL::date",
    "day": "d.day",
    "week": "date_trunc('week', d.day::timestamp)::date",
    "month": "date_trunc('month', d.day::timestamp)::date",
}
STALE = "EXISTS (SELECT 1 FROM metrics_staleday t WHERE t.series_id = d.series_id AND t.day = d.day)"


@dataclass(slots=True)
class Sql:
    """A piece of SQL with its parameters, put together in order."""

    text: str = ""
    params: list[Any] = field(default_factory=list)

    def add(self, text: str, *params: Any) -> Sql:
        self.text += text
        self.params += params
        return self


def key_columns(by: Sequence[Dimension]) -> tuple[list[str], list[str]]:
    """The names and the expressions of the dimensions asked for. Raises KeyError for one that is none."""
    pairs = [pair for dimension in dict.fromkeys(by) for pair in DIMENSIONS[dimension]]
    return [name for name, _ in pairs], [expression for _, expression in pairs]


def allocated(scope_ids: Sequence[int] | None, by: Sequence[Dimension]) -> bool:
    """Whether shares are needed: for some workloads, or for each."""
    return scope_ids is not None or "workload" in by


ALLOCATIONS = (
    " JOIN metrics_allocation a ON a.series_id = d.series_id AND d.day >= a.valid_from_on"
    " AND (a.valid_until_on IS NULL OR d.day < a.valid_until_on)"
)


# What allocations leave of a series, by the days between which they change; what leaves nothing is not there.
LEFT_OVER = (
    " JOIN (SELECT c.series_id, c.on, lead(c.on) OVER (PARTITION BY c.series_id ORDER BY c.on) AS until, "
    "1 - COALESCE((SELECT SUM(o.share_ratio) FROM metrics_allocation o WHERE o.series_id = c.series_id "
    "AND o.valid_from_on <= c.on AND (o.valid_until_on IS NULL OR o.valid_until_on > c.on)), 0) AS share_ratio "
    "FROM (SELECT id AS series_id, '-infinity'::date AS \"on\" FROM metrics_series UNION "
    "SELECT series_id, valid_from_on FROM metrics_allocation UNION "
    "SELECT series_id, valid_until_on FROM metrics_allocation WHERE valid_until_on IS NOT NULL) c) a "
    "ON a.series_id = d.series_id AND d.day >= a.on AND (a.until IS NULL OR d.day < a.until) AND a.share_ratio > 0"
)


def joined(sql: Sql, scope: Scope, by: Sequence[Dimension], *, left_over: bool = False) -> Sql:
    """Join the days `d` with their series, and with what the scope and the dimensions need beside.

    `left_over`: instead of the workloads' shares what these leave.
    """
    sql.add(" JOIN metrics_series s ON s.id = d.series_id")
    _, expressions = key_columns(by)
    if any(expression.startswith("b.") for expression in expressions):
        sql.add(" JOIN metrics_backend b ON b.id = s.backend_id")
    if left_over:
        sql.add(LEFT_OVER)
    elif allocated(scope.workload_ids, by):
        sql.add(ALLOCATIONS)
    if "workload" in by:
        sql.add(" JOIN accounts_workload l ON l.id = a.workload_id")
    return sql


def narrowed(sql: Sql, scope: Scope, by: Sequence[Dimension]) -> Sql:
    """Add the conditions of the scope that are about the series.

    Agents, tools and workflows repeat what the inference below them did, so they are read only where operations (or
    single series) are told apart.
    """
    if "operation" not in by and "series" not in by:
        sql.add(" AND NOT (s.kind = 'usage' AND s.operation = ANY(%s::text[]))", literal(sorted(STEP_OPERATIONS)))
    if scope.backend_id is not None:
        sql.add(" AND s.backend_id = %s", scope.backend_id)
    if scope.model is not None:
        sql.add(" AND s.model = %s", scope.model)
    if not scope.include_demo:
        sql.add(" AND NOT s.is_demo")
    return sql


def read(start_on: date, end_on: date, figures: Callable[..., Sql]) -> Rows:
    """Ask for figures of local days. `figures(with_hours=True)` is the query that sums stale days' hours itself."""
    for _ in range(2):
        found = _ask(start_on, end_on, figures(with_hours=False))
        if found is not None:
            return found
        if not days.refresh(start_on, end_on):
            break
    sql = figures(with_hours=True)
    with connection.cursor() as cursor:
        cursor.execute(sql.text, sql.params)
        return cursor.fetchall()


def _ask(start_on: date, end_on: date, sql: Sql) -> Rows | None:
    """The rows, or None where a day of the window is stale or the caches are those of another zone."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT is_fresh, found.* FROM (SELECT NOT EXISTS (SELECT 1 FROM metrics_staleday "
            "WHERE day >= %s AND day < %s) AND EXISTS (SELECT 1 FROM metrics_dayzone WHERE zone = %s) AS is_fresh"
            f") state LEFT JOIN ({sql.text}) found ON is_fresh",
            [start_on, end_on, days.zone_name(), *sql.params],
        )
        rows = cursor.fetchall()
    if not rows[0][0]:
        return None
    # The last column of every reading is never NULL in a row that was found.
    return [row[1:] for row in rows if row[-1] is not None]


def currency() -> str:
    """The reporting currency."""
    return str(settings.REPORTING_CURRENCY)


def ordered(values: Iterable[Any]) -> tuple[tuple[bool, Any], ...]:
    """A key to sort by in which None comes first."""
    return tuple((value is not None, 0 if value is None else value) for value in values)

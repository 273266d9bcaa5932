"""Spend by workload, backend and day, of many of them: added up by the database, as `figures.Sums.spend` adds up."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import Decimal

from metrics.figures import (
    MONEY_BITS,
    DaySpend,
    Dimension,
    Scope,
)
from metrics.reads.door import Sql, key_columns, read
from metrics.reads.usage import figures

_BY: tuple[Dimension, ...] = ("workload", "backend")


def spend_days(workload_ids: Sequence[int], start_on: date, end_on: date) -> dict[int, list[DaySpend]]:
    """See metrics.series.spend_days."""
    found: dict[int, list[DaySpend]] = {workload: [] for workload in workload_ids}
    if not found:
        return found
    scope = Scope(start_on, end_on, tuple(workload_ids))
    # By share in the last place: a day on which one changes is two rows.
    rows = sorted(read(start_on, end_on, lambda *, with_hours: _spends(scope, with_hours=with_hours)))
    for day, workload, backend, share, spend, _ in rows:
        own = None if spend is None else Decimal(spend) if share == 1 else spend * share
        of_workload = found[workload]
        last = of_workload[-1] if of_workload else None
        if last is None or (last.day, last.backend_id) != (day, backend):
            of_workload.append(DaySpend(day, backend, own))
        elif own is not None:
            of_workload[-1] = DaySpend(day, backend, own + (last.spend or 0))
    return found


def _spends(scope: Scope, *, with_hours: bool) -> Sql:
    """Columns: day, workload, backend, share, spend, TRUE."""
    names, _ = key_columns(_BY)
    inner = figures(scope, _BY, "day", with_hours=with_hours, counted=())
    keys = ", ".join(["day", *names, "kind", "mask", "share"])
    # Kinds and masks of one day are added up; where neither part of the money is known, nothing is.
    return Sql(
        "SELECT day, workload, backend, share, SUM(CASE WHEN mask & %s <> 0 "
        "AND (billed IS NOT NULL OR unsettled IS NOT NULL) "
        "THEN COALESCE(billed, 0) + COALESCE(unsettled, 0) END), TRUE FROM (",
        [MONEY_BITS, *inner.params],
    ).add(f"{inner.text}) f ({keys}, hours, estimated, billed, unsettled, no_rate, stale, is_row) GROUP BY 1, 2, 3, 4")

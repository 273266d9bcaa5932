"""What the figures of each workload rest on, as a short text: the same text, the same figures.

Whoever computed something out of many readings may keep it until the text is another one. It changes with every day
that is built, and with everything beside the days that a reading joins: series, backends, shares, exchange rates.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.db import connection

from metrics import days, rows
from metrics.reads.door import Sql, currency
from metrics.source_facts import UsageStates

# Rows are hashed by the database, 64 bits each, and hashes added up: order does not matter, every row does. The
# transaction that wrote a row is its hash's seed, so that no state ever comes back.
_SERIES = (
    "WITH stale AS MATERIALIZED (SELECT DISTINCT series_id FROM metrics_staleday), "
    "backends AS MATERIALIZED (SELECT b.id, b.is_demo, hash_record_extended(b, b.xmin::text::bigint)::numeric AS hash "
    "FROM metrics_backend b), "
    "held AS MATERIALIZED (SELECT s.id, t.series_id IS NOT NULL AS is_stale, "
    "NOT s.is_demo AND NOT b.is_demo AS is_real, "
    "b.hash + hash_record_extended(s, s.xmin::text::bigint) + hashint8extended(COALESCE(n.number, 0), s.id) AS hash "
    "FROM metrics_series s JOIN backends b ON b.id = s.backend_id "
    "LEFT JOIN metrics_seriesbuild n ON n.series_id = s.id LEFT JOIN stale t ON t.series_id = s.id), "
    "shares AS MATERIALIZED (SELECT a.workload_id, h.is_stale, "
    "h.hash + hash_record_extended(a, a.xmin::text::bigint) AS hash "
    "FROM metrics_allocation a JOIN held h ON h.id = a.series_id) "
)


def usage_states(workload_ids: Sequence[int]) -> UsageStates:
    """See metrics.series.usage_states."""
    found = _ask(workload_ids)
    if not found.is_fresh:
        days.refresh()
        found = _ask(workload_ids)
    told = f"{currency()} {days.zone_name()} {found.rates}"
    return UsageStates(
        everything=f"{told} {found.everything}" if found.is_fresh else None,
        # Of a workload without usage nothing but its first share could change.
        of={
            workload: None if workload in found.stale or not found.is_zone else f"{told} {found.of.get(workload, '')}"
            for workload in workload_ids
        },
        has_real_usage=found.has_real_usage,
    )


@dataclass(frozen=True, slots=True)
class _Found:
    """What the database says. `stale`: workloads with days that are to be built; `is_zone`: days are of this zone."""

    is_zone: bool
    is_fresh: bool
    has_real_usage: bool
    everything: str
    rates: str
    of: dict[int, str]
    stale: set[int]


def _ask(workload_ids: Sequence[int]) -> _Found:
    sql = Sql(_SERIES)
    sql.add(
        "SELECT NULL::bigint, COALESCE(bool_or(h.is_stale), FALSE), "
        "concat_ws(' ', count(*), sum(h.hash), (SELECT sum(hash) FROM shares)), COALESCE(bool_or(h.is_real), FALSE), "
        "EXISTS (SELECT 1 FROM metrics_dayzone WHERE zone = %s), (SELECT concat_ws(' ', count(*), "
        "sum(hash_record_extended(x, x.xmin::text::bigint))) FROM metrics_exchangerate x) FROM held h",
        days.zone_name(),
    )
    sql.add(
        " UNION ALL SELECT workload_id, bool_or(is_stale), concat_ws(' ', count(*), sum(hash)), NULL, NULL, NULL "
        "FROM shares WHERE workload_id = ANY(%s::bigint[]) GROUP BY 1",
        rows.literal(workload_ids),
    )
    with connection.cursor() as cursor:
        cursor.execute(sql.text, sql.params)
        (_, is_stale, everything, is_real, is_zone, rates), *own = cursor.fetchall()
    return _Found(
        is_zone=is_zone,
        is_fresh=is_zone and not is_stale,
        has_real_usage=is_real,
        everything=everything,
        rates=rates,
        of={row[0]: row[2] for row in own},
        stale={row[0] for row in own if row[1]},
    )

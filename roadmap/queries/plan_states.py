"""What each roadmap's row in the portfolio rests on beside usage, as a short text: the same text, the same row.

Rows are hashed by the database and their hashes added up, so that nobody has to remember to say what was changed: what
the portfolio reads (roadmap.queries.portfolio_rows) is hashed here, and a row more is only computed once too often. The
transaction that wrote a row is part of its hash (its seed), so that no state ever comes back: what was read while
something changed and changed back is not taken for what is there now.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.core.exceptions import EmptyResultSet
from django.db import connection

from accounts.access import Asker, visible_workloads
from roadmap.models import Roadmap


@dataclass(frozen=True, slots=True)
class PlanState:
    """A roadmap, and what its plan is made of just now."""

    roadmap_id: int
    workload_id: int
    state: str


_BEFORE = """
WITH seen AS MATERIALIZED (
    SELECT r.id, r.workload_id, w.name, hash_record_extended(r, r.xmin::text::bigint)::numeric
        + hash_record_extended(w, w.xmin::text::bigint)
        + COALESCE(hash_record_extended(g, g.xmin::text::bigint), 0) AS hash
    FROM roadmap_roadmap r JOIN accounts_workload w ON w.id = r.workload_id
    LEFT JOIN roadmap_programme g ON g.id = r.programme_id WHERE r.id IN ("""
_AFTER = """)
), phases AS MATERIALIZED (
    SELECT p.id, p.roadmap_id, p.state = 'active' AS is_active, hash_record_extended(p, p.xmin::text::bigint) AS hash
    FROM roadmap_phase p JOIN seen ON seen.id = p.roadmap_id
), gates AS MATERIALIZED (
    SELECT g.id, p.roadmap_id, p.is_active, hash_record_extended(g, g.xmin::text::bigint) AS hash
    FROM roadmap_gate g JOIN phases p ON p.id = g.phase_id
), criteria AS MATERIALIZED (
    SELECT g.roadmap_id, c.milestone_id, c.checklist_item_id, hash_record_extended(c, c.xmin::text::bigint) AS hash
    FROM roadmap_gatecriterion c JOIN gates g ON g.id = c.gate_id WHERE g.is_active
), kpis AS MATERIALIZED (
    SELECT k.id, p.roadmap_id, hash_record_extended(k, k.xmin::text::bigint) AS hash
    FROM roadmap_kpi k JOIN phases p ON p.id = k.phase_id WHERE p.is_active
), parts AS (
    SELECT id AS roadmap_id, hash FROM seen
    UNION ALL SELECT roadmap_id, hash FROM phases
    UNION ALL SELECT roadmap_id, hash FROM gates
    UNION ALL SELECT roadmap_id, hash FROM criteria
    UNION ALL SELECT roadmap_id, hash FROM kpis
    UNION ALL SELECT k.roadmap_id, hash_record_extended(r, r.xmin::text::bigint)
        FROM kpis k JOIN roadmap_reading r ON r.kpi_id = k.id WHERE r.at <= %s
    UNION ALL SELECT p.roadmap_id, hash_record_extended(m, m.xmin::text::bigint)
        FROM phases p JOIN roadmap_milestone m ON m.phase_id = p.id WHERE m.state = 'open'
    UNION ALL SELECT c.roadmap_id, hash_record_extended(m, m.xmin::text::bigint)
        FROM criteria c JOIN roadmap_milestone m ON m.id = c.milestone_id
    UNION ALL SELECT c.roadmap_id, hash_record_extended(i, i.xmin::text::bigint)
        FROM criteria c JOIN roadmap_checklistitem i ON i.id = c.checklist_item_id
    UNION ALL SELECT e.roadmap_id, hash_record_extended(e, e.xmin::text::bigint)
        FROM roadmap_costentry e JOIN seen ON seen.id = e.roadmap_id
    UNION ALL SELECT u.roadmap_id, hash_record_extended(u, u.xmin::text::bigint)
        FROM roadmap_update u JOIN seen ON seen.id = u.roadmap_id
), people AS MATERIALIZED (
    -- Names alone: whoever signs in has their row written.
    SELECT sum(hash_record_extended(ROW(id, username, first_name, last_name), 0)) AS hash FROM accounts_user
)
SELECT s.id, s.workload_id, concat_ws(' ', t.count, t.hash, (SELECT hash FROM people))
FROM seen s
JOIN (SELECT roadmap_id, count(*) AS count, sum(hash) AS hash FROM parts GROUP BY roadmap_id) t ON t.roadmap_id = s.id
ORDER BY s.name, s.id
"""


def plan_states(asker: Asker, *, now: datetime) -> list[PlanState]:
    """The roadmaps that the asker may see, by name, with what their plans are made of at `now`. One query."""
    visible = Roadmap.objects.filter(workload__in=visible_workloads(asker)).order_by().values("pk")
    try:
        chosen, given = visible.query.sql_with_params()
    except EmptyResultSet:
        return []
    with connection.cursor() as cursor:
        # The SQL in between is Django's own, with its parameters apart.
        cursor.execute(_BEFORE + chosen + _AFTER, [*given, now])
        return [PlanState(*row) for row in cursor.fetchall()]

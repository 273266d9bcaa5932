"""The activity of a roadmap, from the audit trail."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Q

from accounts.access import Asker, visible_workloads
from accounts.models import AuditEvent
from roadmap.models import Roadmap
from roadmap.rules.activity import sentence

SHOWN = 8
# The page of the activity; older changes are on the audit trail.
LONGEST = 200
# What is told to everybody who sees the roadmap: its plan and its people, not tokens, prices and addresses.
SUBJECTS = ("roadmap.", "accounts.membership")


@dataclass(frozen=True, slots=True)
class Happened:
    """'Sanne Visser' 'moved "Pilot" from 3 to 17 Nov 2026', and when."""

    at: datetime
    who: str
    what: str


@dataclass(frozen=True, slots=True)
class Activity:
    """What happened last, the newest first. `has_more`: the rest is on the activity's own page."""

    lines: Sequence[Happened]
    has_more: bool


def activity(asker: Asker, roadmap: Roadmap, *, limit: int = SHOWN) -> Activity:
    """What happened on a roadmap, in one query; nothing for who does not see it."""
    plan, people = SUBJECTS
    told = AuditEvent.objects.filter(
        Q(subject_type__startswith=plan) | Q(subject_type=people),
        workload_id=roadmap.workload_id,
        workload__in=visible_workloads(asker),
    )
    rows = list(told.order_by("-at", "-id")[: limit + 1])
    lines = [
        Happened(row.at, row.actor_name, sentence(row.action, row.subject_name, row.before, row.after))
        for row in rows[:limit]
    ]
    return Activity(lines, has_more=len(rows) > limit)

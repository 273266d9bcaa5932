"""The demo's past on the audit trail: what its people did to make its rows what they are, on the days they say."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from django.db.models import Model

from accounts import audit
from accounts.access import Asker
from accounts.models import AuditEvent, User
from roadmap.models import Annotation, GateDecision, Milestone, Roadmap

DAY = timedelta(days=1)
# A due date was moved this long before the day it was moved to, and never in the future.
MOVED_BEFORE = 20 * DAY


def write_trail(roadmap: Roadmap, people: Mapping[str, User], *, now: datetime) -> None:
    """One row for each update, milestone done or moved, note, cost entry, tick and gate of the roadmap."""
    # What the seed itself has written happened at the moment of the seed.
    AuditEvent.objects.filter(workload=roadmap.workload, is_demo=True).delete()
    sanne, joris, femke = (Asker(people[name]) for name in ("sanne", "joris", "femke"))
    rows: list[tuple[datetime, Asker, str, Model, dict[str, Any] | None, dict[str, Any] | None]] = []
    begun = _at(roadmap.phases.get(position=1).planned_start_on, 9)
    rows.append((begun, Asker(people["admin"]), "make_roadmap", roadmap, None, {"slug": roadmap.slug}))
    for update in roadmap.updates.all():
        after = {"status": update.status, "sentence": update.sentence}
        rows.append((update.created_at, sanne, "post_update", update, None, after))
    for milestone in Milestone.objects.filter(phase__roadmap=roadmap):
        if milestone.done_on:
            state = {"state": "done", "done_on": milestone.done_on}
            rows.append((_at(milestone.done_on, 16), joris, "tick_milestone", milestone, {"state": "open"}, state))
        if milestone.due_on != milestone.baseline_due_on and not milestone.done_on:
            moved = min(_at(milestone.due_on, 10) - MOVED_BEFORE, now - 3 * DAY)
            dates = {"due_on": milestone.baseline_due_on}, {"due_on": milestone.due_on}
            rows.append((moved, sanne, "change_milestone", milestone, *dates))
    for note in Annotation.objects.filter(phase__roadmap=roadmap):
        rows.append((_at(note.on, 14), joris, "annotate", note, None, {"on": note.on, "text": note.text}))
    for entry in roadmap.cost_entries.all():
        entered = min(_at(entry.start_on, 11), now - DAY)
        money = {"amount": entry.amount, "currency": entry.currency, "start_on": entry.start_on}
        rows.append((entered, sanne, "add_cost_entry", entry, None, money))
    for decision in GateDecision.objects.filter(gate__phase__roadmap=roadmap).select_related("gate__phase"):
        decided = {"outcome": decision.outcome, "reason": decision.reason}
        before = {"phase": decision.gate.phase.kind, "state": "active"}
        rows.append((_at(decision.decided_on, 15), femke, "decide_gate", decision, before, decided))
    for at, who, action, subject, was, became in sorted(rows, key=lambda row: row[0]):
        if at <= now:
            audit.record(
                who, action=action, subject=subject, workload=roadmap.workload, before=was, after=became, at=at
            )


def _at(day: date, hour: int) -> datetime:
    return datetime.combine(day, time(hour), tzinfo=UTC)

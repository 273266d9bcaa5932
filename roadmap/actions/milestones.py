"""What is to be done: adding, changing, ticking, dropping and deleting milestones."""

from __future__ import annotations

from datetime import date
from typing import Any

from django.db import transaction

from accounts.access import Asker
from accounts.models import AuditEvent, Role
from metrics.errors import RuleViolation
from roadmap.actions.changes import change, check, record, require, text_required, today
from roadmap.models import Milestone, Phase
from roadmap.rules.phases import check_day

CHANGEABLE = frozenset({"name", "due_on", "owner", "evidence_url", "outside_key"})
LABELS = {
    "name": "name",
    "due_on": "due date",
    "owner": "owner",
    "evidence_url": "evidence",
    "outside_key": "outside key",
    "state": "state",
    "done_on": "done on",
    "dropped_reason": "reason",
}


@transaction.atomic
def add_milestone(asker: Asker, phase: Phase, *, name: str, due_on: date, **fields: Any) -> Milestone:
    """A new milestone; its due date is the date first promised. `fields`: owner, evidence_url, outside_key."""
    require(asker, Role.MANAGER, phase.roadmap)
    check_day(due_on, field="due_on")
    milestone = Milestone(
        phase=phase,
        name=text_required(name, field="name", what="the milestone a name"),
        due_on=due_on,
        baseline_due_on=due_on,
        **_known(fields),
    )
    check(milestone)
    _check_key(milestone)
    milestone.save()
    record(asker, "add_milestone", milestone, phase.roadmap, None, {"name": milestone.name, "due_on": due_on})
    return milestone


@transaction.atomic
def change_milestone(asker: Asker, milestone: Milestone, *, version: int | None = None, **changes: Any) -> Milestone:
    """Changes the fields of CHANGEABLE. Where `version` is an old one, says what changed instead."""
    require(asker, Role.MANAGER, milestone.phase.roadmap)
    milestone = _locked(milestone, version)
    if "name" in changes:
        changes["name"] = text_required(changes["name"], field="name", what="the milestone a name")
    if "due_on" in changes:
        check_day(changes["due_on"], field="due_on")
    before, after = change(milestone, _known(changes))
    _check_key(milestone)
    return _save(asker, "change_milestone", milestone, before, after)


@transaction.atomic
def tick_milestone(
    asker: Asker, milestone: Milestone, *, done_on: date | None = None, version: int | None = None
) -> Milestone:
    """Done, today unless a day is given. A milestone done already keeps its day when none is given."""
    require(asker, Role.CONTRIBUTOR, milestone.phase.roadmap)
    milestone = _locked(milestone, version)
    day = done_on or milestone.done_on or today()
    check_day(day, field="done_on")
    if day > today():
        raise RuleViolation("done_in_future", "A milestone is done today or was done earlier.", "done_on")
    before, after = change(milestone, {"state": Milestone.State.DONE, "done_on": day, "dropped_reason": ""})
    return _save(asker, "tick_milestone", milestone, before, after)


@transaction.atomic
def reopen_milestone(asker: Asker, milestone: Milestone, *, version: int | None = None) -> Milestone:
    """Open again, after it was ticked or dropped."""
    require(asker, Role.CONTRIBUTOR, milestone.phase.roadmap)
    milestone = _locked(milestone, version)
    before, after = change(milestone, {"state": Milestone.State.OPEN, "done_on": None, "dropped_reason": ""})
    return _save(asker, "reopen_milestone", milestone, before, after)


@transaction.atomic
def drop_milestone(asker: Asker, milestone: Milestone, *, reason: str, version: int | None = None) -> Milestone:
    """Given up, with a reason; it stays readable."""
    require(asker, Role.MANAGER, milestone.phase.roadmap)
    milestone = _locked(milestone, version)
    reason = text_required(reason, field="reason", what="a reason for dropping it")
    if len(reason) > 300:
        raise RuleViolation("too_long", "The reason has at most 300 characters.", "reason")
    before, after = change(milestone, {"state": Milestone.State.DROPPED, "dropped_reason": reason, "done_on": None})
    return _save(asker, "drop_milestone", milestone, before, after)


@transaction.atomic
def delete_milestone(asker: Asker, milestone: Milestone) -> None:
    """Gone, as if it had been a mistake. One that a gate asks for is dropped instead, or leaves the gate first."""
    roadmap = milestone.phase.roadmap
    require(asker, Role.MANAGER, roadmap)
    milestone = _locked(milestone, None)
    if milestone.criteria.exists():
        raise RuleViolation(
            "in_use", f"The gate asks for '{milestone.name}'. Take it out of the gate first, or drop it with a reason."
        )
    record(asker, "delete_milestone", milestone, roadmap, {"name": milestone.name, "due_on": milestone.due_on}, None)
    milestone.delete()


def _known(fields: dict[str, Any]) -> dict[str, Any]:
    unknown = set(fields) - CHANGEABLE
    if unknown:
        raise TypeError(f"unknown fields: {sorted(unknown)}")
    return fields


def _locked(milestone: Milestone, version: int | None) -> Milestone:
    """The row, locked; refused with the other's change in words when it is not the version the asker saw."""
    row = (
        Milestone.objects.select_for_update(of=("self",))
        .select_related("phase__roadmap__workload", "owner")
        .get(pk=milestone.pk)
    )
    if version is not None and version != row.version:
        raise RuleViolation("conflict_changed_meanwhile", f"{_last_change(row)} Your change is not saved.")
    return row


def _last_change(milestone: Milestone) -> str:
    """'Bob Builder changed this meanwhile: due date 2026-12-03 (was 2026-12-01).'"""
    event = (
        AuditEvent.objects.filter(subject_type="roadmap.milestone", subject_id=str(milestone.pk))
        .order_by("-id")
        .first()
    )
    if event is None or not event.after:
        return "The plan of its phase moved this milestone meanwhile."
    before = event.before or {}
    parts = [
        f"{LABELS.get(name, name)} {value or 'none'} (was {before.get(name) or 'none'})"
        for name, value in event.after.items()
    ]
    return f"{event.actor_name} changed this milestone meanwhile: {', '.join(parts)}."


def _check_key(milestone: Milestone) -> None:
    if not milestone.outside_key:
        return
    others = Milestone.objects.filter(phase=milestone.phase, outside_key=milestone.outside_key)
    if others.exclude(pk=milestone.pk).exists():
        raise RuleViolation(
            "already_key_taken", f"Another milestone of this phase has the key {milestone.outside_key}.", "outside_key"
        )


def _save(asker: Asker, action: str, milestone: Milestone, before: dict[str, Any], after: dict[str, Any]) -> Milestone:
    if after:
        milestone.version += 1
    milestone.save()
    record(asker, action, milestone, milestone.phase.roadmap, before, after)
    return milestone

"""What is to be done: adding, changing, ticking, dropping and deleting milestones."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import date
from typing import Any, Literal

from django.db import transaction
from django.utils.translation import gettext, gettext_lazy

from accounts.access import Asker
from accounts.models import AuditEvent, Role
from metrics.errors import RuleViolation
from roadmap.actions.changes import change, check, record, require, text_required, today
from roadmap.actions.evidence import is_frozen
from roadmap.actions.phases import locked_phases
from roadmap.models import EvidenceFile, Milestone, Phase
from roadmap.queries.schedule import dependencies_of, successor_moves
from roadmap.rules.phases import check_day
from roadmap.rules.schedule import ring_through

CHANGEABLE = frozenset({"name", "due_on", "owner", "evidence_url", "outside_key"})
LABELS = {
    "name": "name",
    "due_on": gettext_lazy("due date"),
    "owner": "owner",
    "evidence_url": "evidence",
    "outside_key": gettext_lazy("outside key"),
    "state": "state",
    "done_on": gettext_lazy("done on"),
    "dropped_reason": "reason",
    "depends_on": gettext_lazy("depends on"),
}
# All, none, or the ids of those that move along.
Along = Literal["all", "none"] | Collection[int]


@transaction.atomic
def add_milestone(asker: Asker, phase: Phase, *, name: str, due_on: date, **fields: Any) -> Milestone:
    """A new milestone; its due date is the date first promised. `fields`: owner, evidence_url, outside_key, depends_on.

    `depends_on` are other milestones of the same roadmap.
    """
    require(asker, Role.MANAGER, phase.roadmap)
    depends_on: Collection[Milestone] = fields.pop("depends_on", ())
    check_day(due_on, field="due_on")
    milestone = Milestone(
        phase=phase,
        name=text_required(name, field="name", what=gettext("the milestone a name")),
        due_on=due_on,
        baseline_due_on=due_on,
        **_known(fields),
    )
    check(milestone)
    _check_key(milestone)
    milestone.save()
    _, after = _depend(milestone, depends_on, is_new=True) if depends_on else ({}, {})
    facts = {"name": milestone.name, "due_on": due_on} | ({"owner": milestone.owner} if milestone.owner else {})
    record(asker, "add_milestone", milestone, phase.roadmap, None, facts | after)
    return milestone


@transaction.atomic
def change_milestone(
    asker: Asker,
    milestone: Milestone,
    *,
    version: int | None = None,
    move_successors: Along = "none",
    **changes: Any,
) -> Milestone:
    """Changes the fields of CHANGEABLE and `depends_on`. Where `version` is an old one, says what changed instead.

    With a new due date `move_successors` says which of those that wait for it move along, as
    `roadmap.queries.schedule.successor_moves` shows beforehand.
    """
    roadmap = milestone.phase.roadmap
    require(asker, Role.MANAGER, roadmap)
    # Dates and dependencies of one roadmap change one after the other, so that two people cannot close a ring.
    locked_phases(roadmap)
    milestone = _locked(milestone, version)
    depends_on: Collection[Milestone] | None = changes.pop("depends_on", None)
    if "name" in changes:
        changes["name"] = text_required(changes["name"], field="name", what=gettext("the milestone a name"))
    if "due_on" in changes:
        check_day(changes["due_on"], field="due_on")
    was, now = ({}, {}) if depends_on is None else _depend(milestone, depends_on)
    along = _move_along(milestone, changes.get("due_on", milestone.due_on), move_successors)
    before, after = change(milestone, _known(changes))
    _check_key(milestone)
    return _save(asker, "change_milestone", milestone, before | was | along[0], after | now | along[1])


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
        raise RuleViolation("done_in_future", gettext("A milestone is done today or was done earlier."), "done_on")
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
    reason = text_required(reason, field="reason", what=gettext("a reason for dropping it"))
    if len(reason) > 300:
        raise RuleViolation("too_long", gettext("The reason has at most 300 characters."), "reason")
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
            "in_use",
            gettext("The gate asks for '%(name)s'. Take it out of the gate first, or drop it with a reason.")
            % {"name": milestone.name},
        )
    files = EvidenceFile.objects.filter(milestone=milestone).select_related("milestone__phase")
    if any(is_frozen(file) for file in files):
        raise RuleViolation("conflict_frozen", gettext("A decision rests on files of this milestone: drop it instead."))
    record(asker, "delete_milestone", milestone, roadmap, {"name": milestone.name, "due_on": milestone.due_on}, None)
    milestone.delete()


def _depend(
    milestone: Milestone, wanted: Iterable[Milestone], *, is_new: bool = False
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Sets what a milestone waits for; refuses one of another roadmap and every ring, which it names."""
    roadmap = milestone.phase.roadmap
    chosen = {item.pk: item for item in wanted}
    if milestone.pk in chosen:
        raise RuleViolation(
            "depends_on_itself", gettext("'%(name)s' cannot wait for itself.") % {"name": milestone.name}, "depends_on"
        )
    names = dict(Milestone.objects.filter(phase__roadmap=roadmap).values_list("pk", "name"))
    if strange := [item.name for pk, item in chosen.items() if pk not in names]:
        raise RuleViolation(
            "other_roadmap",
            gettext("'%(name)s' is a milestone of another roadmap.") % {"name": strange[0]},
            "depends_on",
        )
    # Nothing waits for a new one yet, so that it closes no ring.
    waits_for = {} if is_new else dependencies_of(roadmap)
    held = waits_for.get(milestone.pk, set())
    if held == set(chosen):
        return {}, {}
    waits_for[milestone.pk] = set(chosen)
    if ring := ring_through(milestone.pk, waits_for):
        words = gettext(" waits for ").join(f"'{names[pk]}'" for pk in ring)
        raise RuleViolation(
            "dependency_ring",
            gettext("That would be a ring: %(words)s. Take one of these out.") % {"words": words},
            "depends_on",
        )
    if is_new:
        milestone.depends_on.add(*chosen.values())
    else:
        milestone.depends_on.set(chosen.values())
    return {"depends_on": _listed(names, held)}, {"depends_on": _listed(names, chosen)}


def _listed(names: dict[int, str], ids: Iterable[int]) -> str | None:
    return ", ".join(f"#{pk} {names[pk]}" for pk in sorted(ids)) or None


def _move_along(milestone: Milestone, due_on: date, along: Along) -> tuple[dict[str, Any], dict[str, Any]]:
    """Moves the chosen successors of a milestone that goes to `due_on`; what moved, by name, for its audit row."""
    if along == "none" or due_on == milestone.due_on:
        return {}, {}
    list(Milestone.objects.select_for_update().filter(phase__roadmap=milestone.phase.roadmap).order_by("pk"))
    rows = successor_moves(milestone, due_on)
    if along != "all":
        chosen = set(along)
        if strange := chosen - {row.milestone.pk for row in rows}:
            raise RuleViolation(
                "not_moved",
                gettext("Milestone %(number)s does not move along with this one.") % {"number": min(strange)},
                "move_successors",
            )
        rows = [row for row in rows if row.milestone.pk in chosen]
    before: dict[str, Any] = {}
    after: dict[str, Any] = {}
    for row in rows:
        check_day(row.move.new_due_on, field="due_on")
        row.milestone.due_on = row.move.new_due_on
        row.milestone.version += 1
        key = f"#{row.milestone.pk} {row.milestone.name}"
        before[key], after[key] = row.move.due_on, row.move.new_due_on
    Milestone.objects.bulk_update([row.milestone for row in rows], ["due_on", "version"])
    return before, after


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
        raise RuleViolation(
            "conflict_changed_meanwhile",
            gettext("%(change)s Your change is not saved.") % {"change": _last_change(row)},
        )
    return row


def _last_change(milestone: Milestone) -> str:
    """'Bob Builder changed this milestone meanwhile: due date 2026-12-03 (was 2026-12-01).'"""
    roadmap = milestone.phase.roadmap
    recent = AuditEvent.objects.filter(workload=roadmap.workload, subject_type="roadmap.milestone").order_by("-id")[:50]
    for event in recent:
        before, after = event.before or {}, event.after or {}
        if event.subject_id == str(milestone.pk) and after:
            parts = [
                gettext("%(field)s %(value)s (was %(before)s)")
                % {
                    "field": LABELS.get(name, name),
                    "value": value or gettext("none"),
                    "before": before.get(name) or gettext("none"),
                }
                for name, value in after.items()
            ]
            return gettext("%(actor_name)s changed this milestone meanwhile: %(parts)s.") % {
                "actor_name": event.actor_name,
                "parts": ", ".join(parts),
            }
        for name, value in after.items():
            if name.startswith(f"#{milestone.pk} "):
                return gettext(
                    "%(actor_name)s moved '%(subject_name)s' meanwhile, and this milestone with it: "
                    "due date %(value)s (was %(before)s)."
                ) % {
                    "actor_name": event.actor_name,
                    "subject_name": event.subject_name,
                    "value": value,
                    "before": before.get(name),
                }
    return gettext("The plan of its phase moved this milestone meanwhile.")


def _check_key(milestone: Milestone) -> None:
    if not milestone.outside_key:
        return
    others = Milestone.objects.filter(phase=milestone.phase, outside_key=milestone.outside_key)
    if others.exclude(pk=milestone.pk).exists():
        raise RuleViolation(
            "already_key_taken",
            gettext("Another milestone of this phase has the key %(outside_key)s.")
            % {"outside_key": milestone.outside_key},
            "outside_key",
        )


def _save(asker: Asker, action: str, milestone: Milestone, before: dict[str, Any], after: dict[str, Any]) -> Milestone:
    if after:
        milestone.version += 1
    milestone.save()
    record(asker, action, milestone, milestone.phase.roadmap, before, after)
    return milestone

"""Starting and changing a phase, and the notes that mark its charts."""

from __future__ import annotations

from datetime import date
from typing import Any

from django.db import transaction
from django.utils.translation import gettext

from accounts.access import Asker
from accounts.models import Role
from metrics.errors import RuleViolation
from roadmap.actions.changes import change, check, check_currency, record, require, text_required, today
from roadmap.models import Annotation, Gate, Milestone, Phase, Roadmap
from roadmap.rules.phases import Span, check_day, check_row, check_span, moved, stretched
from web import wording

CHANGEABLE = frozenset(
    {
        "owner",
        "planned_start_on",
        "planned_end_on",
        "started_on",
        "budget_amount",
        "budget_currency",
        "budget_owner",
        "growth_percent_per_month",
    }
)


def locked_phases(roadmap: Roadmap) -> list[Phase]:
    """The phases of a roadmap in their order, locked until the transaction ends."""
    return list(Phase.objects.select_for_update().filter(roadmap=roadmap).order_by("position"))


def open_phase(phase: Phase, *, on: date) -> None:
    """Starts a planned phase on a day. What it still plans moves along when that is not the planned day."""
    delta = (on - phase.planned_start_on).days
    phase.state = Phase.State.ACTIVE
    phase.started_on = on
    if delta:
        replan(phase, moved(Span(phase.planned_start_on, phase.planned_end_on), delta))
    phase.save()


def replan(phase: Phase, span: Span) -> None:
    """Gives the phase new planned dates; its gate and open milestones go along. What was first promised stays."""
    before = Span(phase.planned_start_on, phase.planned_end_on)
    if span == before:
        return
    phase.planned_start_on, phase.planned_end_on = span.start_on, span.end_on
    milestones = list(phase.milestones.select_for_update().filter(state=Milestone.State.OPEN))
    for milestone in milestones:
        milestone.due_on = stretched(milestone.due_on, before, span)
        milestone.version += 1
    Milestone.objects.bulk_update(milestones, ["due_on", "version"])
    gate = Gate.objects.select_for_update().filter(phase=phase).first()
    if gate is not None:
        gate.due_on = stretched(gate.due_on, before, span)
        gate.save(update_fields=["due_on"])


def move_planned(phases: list[Phase], *, after: Phase, by_days: int) -> None:
    """Moves the phases after one that have not started, all by the same number of days."""
    if not by_days:
        return
    for later in phases:
        if later.position > after.position and later.state == Phase.State.PLANNED:
            replan(later, moved(Span(later.planned_start_on, later.planned_end_on), by_days))
            later.save()


@transaction.atomic
def start_phase(asker: Asker, phase: Phase, *, on: date) -> Phase:
    """Starts a planned phase on a day up to today. The phase before it must be closed: its gate decides that."""
    roadmap = phase.roadmap
    require(asker, Role.MANAGER, roadmap)
    roadmap = Roadmap.objects.select_for_update(of=("self",)).select_related("workload").get(pk=roadmap.pk)
    phases = locked_phases(roadmap)
    phase = next(item for item in phases if item.pk == phase.pk)
    if phase.state != Phase.State.PLANNED:
        raise RuleViolation(
            "already_started", gettext("%(kind)s has started already.") % {"kind": phase.get_kind_display()}, "on"
        )
    if roadmap.state in (Roadmap.State.STOPPED, Roadmap.State.LIVE):
        raise RuleViolation(
            "already_decided", gettext("This roadmap is %(lower)s.") % {"lower": roadmap.get_state_display().lower()}
        )
    check_day(on, field="on")
    if on > today():
        raise RuleViolation("starts_in_future", gettext("A phase starts today or started earlier."), "on")
    for earlier in phases[: phase.position - 1]:
        if earlier.state != Phase.State.CLOSED or earlier.ended_on is None:
            raise RuleViolation(
                "gate_undecided",
                gettext("%(kind)s is not closed. Decide its gate; a go opens the next phase.")
                % {"kind": earlier.get_kind_display()},
            )
        if on <= earlier.ended_on:
            raise RuleViolation(
                "phases_overlap",
                gettext("%(kind)s ran until %(day)s.")
                % {"kind": earlier.get_kind_display(), "day": wording.day(earlier.ended_on)},
                "on",
            )
    delta = (on - phase.planned_start_on).days
    open_phase(phase, on=on)
    move_planned(phases, after=phase, by_days=max(0, delta))
    if roadmap.state == Roadmap.State.PROPOSED:
        roadmap.state = Roadmap.State.ACTIVE
        roadmap.save(update_fields=["state"])
    record(asker, "start_phase", phase, roadmap, {"state": "planned"}, {"state": "active", "started_on": on})
    return phase


@transaction.atomic
def change_phase(asker: Asker, phase: Phase, *, move_later: bool = False, **changes: Any) -> Phase:
    """Changes the fields of CHANGEABLE. New planned dates stretch the open milestones and move the gate.

    With `move_later` the phases after it that have not started move by as much as its end; else overlap is refused.
    """
    roadmap = phase.roadmap
    require(asker, Role.MANAGER, roadmap)
    unknown = set(changes) - CHANGEABLE
    if unknown:
        raise TypeError(f"unknown fields: {sorted(unknown)}")
    phases = locked_phases(roadmap)
    phase = next(item for item in phases if item.pk == phase.pk)
    phase.roadmap = roadmap
    _check_money(changes)
    held = {name: getattr(phase, name) for name in ("planned_start_on", "planned_end_on")}
    if phase.state == Phase.State.CLOSED and any(name in changes and changes[name] != held[name] for name in held):
        raise RuleViolation("already_closed", gettext("A closed phase keeps its dates."), "planned_end_on")
    span = Span(
        changes.pop("planned_start_on", phase.planned_start_on), changes.pop("planned_end_on", phase.planned_end_on)
    )
    check_span(span)
    _check_start(phase, changes)
    if "growth_percent_per_month" in changes and changes["growth_percent_per_month"] != phase.growth_percent_per_month:
        changes |= {"growth_set_by": asker.user, "growth_set_on": today()}
    before, after = change(phase, changes)
    moved_by = (span.end_on - phase.planned_end_on).days
    replan(phase, span)
    if move_later:
        move_planned(phases, after=phase, by_days=moved_by)
    check_row(
        [(item.get_kind_display(), _effective(item)) for item in phases],
        fields=["planned_end_on" if item.position > phase.position else "planned_start_on" for item in phases],
    )
    for name, value in held.items():
        if getattr(phase, name) != value:
            before[name], after[name] = value, getattr(phase, name)
    phase.save()
    record(asker, "change_phase", phase, roadmap, before, after)
    return phase


def _effective(phase: Phase) -> Span:
    """As it happened where it did, else as planned; a running phase ends no earlier than it started."""
    start_on = phase.started_on or phase.planned_start_on
    return Span(start_on, max(start_on, phase.ended_on or phase.planned_end_on))


def _check_start(phase: Phase, changes: dict[str, Any]) -> None:
    if "started_on" not in changes or changes["started_on"] == phase.started_on:
        return
    started_on = changes["started_on"]
    if phase.started_on is None or started_on is None:
        raise RuleViolation("not_started", gettext("Start the phase first."), "started_on")
    check_day(started_on, field="started_on")
    if started_on > today():
        raise RuleViolation("starts_in_future", gettext("It has started: the day is not after today."), "started_on")
    if phase.ended_on is not None and started_on > phase.ended_on:
        raise RuleViolation("ends_before_it_starts", gettext("A phase cannot end before it starts."), "started_on")


def _check_money(changes: dict[str, Any]) -> None:
    amount = changes.get("budget_amount")
    if amount is not None and amount < 0:
        raise RuleViolation("negative_budget", gettext("A budget is zero or more."), "budget_amount")
    if "budget_currency" in changes:
        changes["budget_currency"] = check_currency(changes["budget_currency"], field="budget_currency")


@transaction.atomic
def annotate(asker: Asker, phase: Phase, *, on: date, text: str) -> Annotation:
    """A note that marks the phase's charts on one day."""
    require(asker, Role.CONTRIBUTOR, phase.roadmap)
    check_day(on, field="on")
    note = Annotation(
        phase=phase,
        on=on,
        text=text_required(text, field="text", what=gettext("the note a text")),
        author=asker.user,
    )
    check(note)
    note.save()
    record(asker, "annotate", note, phase.roadmap, None, {"on": on, "text": note.text})
    return note


@transaction.atomic
def delete_annotation(asker: Asker, note: Annotation) -> None:
    """Takes a note away: its author, or a manager."""
    roadmap = note.phase.roadmap
    require(asker, Role.CONTRIBUTOR if note.author_id == asker.user.pk else Role.MANAGER, roadmap)
    record(asker, "delete_annotation", note, roadmap, {"on": note.on, "text": note.text}, None)
    note.delete()

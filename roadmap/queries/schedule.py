"""The milestones of a roadmap as a schedule: who waits for whom, and what moves with one of them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from django.db.models import QuerySet
from django.utils.translation import gettext

from roadmap.models import Milestone, Phase, Roadmap
from roadmap.rules.schedule import Move, Step, moves
from web import wording


@dataclass(frozen=True, slots=True)
class MoveRow:
    """A successor that would move. `beyond`: days after the planned end of its phase, 0 where it stays within."""

    milestone: Milestone
    move: Move
    beyond: int

    @property
    def words(self) -> str:
        """'Runbook: from 3 Dec 2026 to 10 Dec 2026, 7 days later'."""
        days = self.move.days
        said = {
            "name": self.milestone.name,
            "phase": self.milestone.phase.get_kind_display(),
            "before": wording.day(self.move.due_on),
            "now": wording.day(self.move.new_due_on),
            "days": wording.plural(abs(days), "day"),
        }
        text = (
            gettext("%(name)s (%(phase)s): from %(before)s to %(now)s, %(days)s later")
            if days > 0
            else gettext("%(name)s (%(phase)s): from %(before)s to %(now)s, %(days)s earlier")
        ) % said
        if not self.beyond:
            return text
        beyond = wording.plural(self.beyond, "day")
        return gettext("%(text)s; %(days)s after its phase is planned to end") % {"text": text, "days": beyond}


def dependencies_of(roadmap: Roadmap) -> dict[int, set[int]]:
    """Ids of what each milestone waits for, by its id. One query."""
    found: dict[int, set[int]] = {}
    through = Milestone.depends_on.through.objects.filter(from_milestone__phase__roadmap=roadmap)
    for later, before in through.values_list("from_milestone_id", "to_milestone_id"):
        found.setdefault(later, set()).add(before)
    return found


def successor_moves(milestone: Milestone, due_on: date) -> list[MoveRow]:
    """What moves, and how far, when the milestone goes to `due_on`: the preview, and what the action does."""
    roadmap = milestone.phase.roadmap
    rows = {item.pk: item for item in Milestone.objects.filter(phase__roadmap=roadmap).select_related("phase", "owner")}
    waits_for = dependencies_of(roadmap)
    steps = [
        Step(pk, item.due_on, frozenset(waits_for.get(pk, ())), item.state == Milestone.State.OPEN)
        for pk, item in rows.items()
    ]
    return [
        MoveRow(rows[move.id], move, _beyond(rows[move.id].phase, move.new_due_on))
        for move in moves(steps, milestone.pk, due_on)
    ]


def possible_dependencies(roadmap: Roadmap, milestone: Milestone | None) -> QuerySet[Milestone]:
    """What a milestone can wait for: every other one of its roadmap that was not dropped."""
    rows = Milestone.objects.filter(phase__roadmap=roadmap).exclude(state=Milestone.State.DROPPED)
    if milestone is not None and milestone.pk:
        rows = rows.exclude(pk=milestone.pk)
    return rows.select_related("phase").order_by("phase__position", "due_on", "pk")


def _beyond(phase: Phase, day: date) -> int:
    return max(0, (day - phase.planned_end_on).days)

"""Cost entries with days after a stop: each is asked about. Part of decide_gate; decides nothing about who may."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date

from django.utils.translation import gettext

from metrics.errors import RuleViolation
from roadmap.actions.changes import today
from roadmap.models import CostEntry, Roadmap
from roadmap.rules.costs import CostSpan, cut_after

# What happens to each: keep it, end it on the day of the stop, or remove it.
LATE_COST_CHOICES = ("keep", "end", "remove")


def late_entries(roadmap: Roadmap) -> list[CostEntry]:
    """Cost entries with days after today: a stop asks about each of them."""
    return entries_after(roadmap, today())


def entries_after(roadmap: Roadmap, day: date) -> list[CostEntry]:
    return [entry for entry in roadmap.cost_entries.all() if (entry.end_on or entry.start_on) > day]


def check_late(late: Sequence[CostEntry], choices: Mapping[int, str]) -> None:
    for entry in late:
        if choices.get(entry.pk) not in LATE_COST_CHOICES:
            raise RuleViolation(
                "late_cost_undecided",
                gettext("After the stop '%(name)s' still costs. Say: keep it, end it today, or remove it.")
                % {"name": entry.name},
                "late_costs",
            )


def settle_late(late: Sequence[CostEntry], choices: Mapping[int, str], day: date) -> None:
    for entry in late:
        choice = choices[entry.pk]
        if choice == "keep":
            continue
        left = cut_after(CostSpan(entry.amount, entry.start_on, entry.end_on), day) if choice == "end" else None
        if left is None or left.amount == 0:
            entry.delete()
            continue
        entry.amount = left.amount
        entry.end_on = left.end_on if left.end_on != entry.start_on else None
        entry.save(update_fields=["amount", "end_on"])

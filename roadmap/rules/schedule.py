"""What depends on what: rings that are refused, and how far successors move with a milestone. Arithmetic over days."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta


@dataclass(frozen=True, slots=True)
class Step:
    """A milestone as the schedule knows it. `depends_on`: ids of what has to be done before it."""

    id: int
    due_on: date
    depends_on: frozenset[int] = frozenset()
    is_open: bool = True


@dataclass(frozen=True, slots=True)
class Move:
    """A successor that moves: from `due_on` by `days` (negative: earlier)."""

    id: int
    due_on: date
    days: int

    @property
    def new_due_on(self) -> date:
        return self.due_on + timedelta(days=self.days)


def ring_through(start: int, depends_on: Mapping[int, Collection[int]]) -> list[int]:
    """The shortest ring through `start`, each followed by what it waits for; empty where there is none."""
    came_from: dict[int, int] = {}
    found = [start]
    while found:
        following = []
        for step in found:
            for before in sorted(depends_on.get(step, ())):
                if before == start:
                    path = [start, step]
                    while path[-1] != start:
                        path.append(came_from[path[-1]])
                    return path[::-1]
                if before not in came_from:
                    came_from[before] = step
                    following.append(before)
        found = following
    return []


def moves(steps: Sequence[Step], moved: int, new_due_on: date) -> list[Move]:
    """How the open successors of `moved` follow to its new day, the nearest first.

    Later: each by as many days as what it waits for, so that distances stay. Earlier: by as many days, but never to
    before another step that it waits for. Done and dropped ones stay and pass nothing on. The steps hold no ring.
    """
    by_id = {step.id: step for step in steps}
    shift = {moved: (new_due_on - by_id[moved].due_on).days}
    if not shift[moved]:
        return []
    is_later = shift[moved] > 0
    for step in _in_order(by_id, moved):
        waits_for = [by_id[before] for before in step.depends_on if before in by_id]
        shifts = [shift[before.id] for before in waits_for if before.id in shift]
        if not step.is_open or not any(shifts):
            continue
        if is_later:
            shift[step.id] = max(shifts)
            continue
        days = min(shifts)
        for before in waits_for:
            room = (before.due_on + timedelta(days=shift.get(before.id, 0)) - step.due_on).days
            days = max(days, min(room, 0))
        if days:
            shift[step.id] = days
    found = [Move(number, by_id[number].due_on, days) for number, days in shift.items() if number != moved]
    return sorted(found, key=lambda move: (move.due_on, move.id))


def _in_order(by_id: Mapping[int, Step], first: int) -> list[Step]:
    """The steps that wait for `first`, directly or not, each after everything among them that it waits for."""
    successors: dict[int, list[int]] = {}
    for step in by_id.values():
        for before in step.depends_on:
            successors.setdefault(before, []).append(step.id)
    reached, found = {first}, [first]
    while found:
        for following in successors.get(found.pop(), ()):
            if following not in reached:
                reached.add(following)
                found.append(following)
    reached.discard(first)
    waiting = {number: len(by_id[number].depends_on & reached) for number in reached}
    ready = sorted(number for number, count in waiting.items() if not count)
    ordered = []
    while ready:
        number = ready.pop(0)
        ordered.append(by_id[number])
        for following in successors.get(number, ()):
            if following in waiting:
                waiting[following] -= 1
                if not waiting[following]:
                    ready.append(following)
    return ordered

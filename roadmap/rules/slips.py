"""What slipped and what was added, month by month, from the history of the due dates. Arithmetic over days."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from roadmap.rules.phases import DAY, months_after


@dataclass(frozen=True, slots=True)
class Entry:
    """From the local day `on` a milestone was due on `due_on` and in this state."""

    on: date
    due_on: date
    state: str


@dataclass(frozen=True, slots=True)
class Track:
    """A milestone through time: its entries in order; `is_planned`: there when the roadmap was made."""

    id: int
    name: str
    entries: Sequence[Entry]
    is_planned: bool

    def on_evening_of(self, day: date) -> Entry | None:
        """What held at the end of a day; None before it was there."""
        found = None
        for entry in self.entries:
            if entry.on <= day:
                found = entry
        return found


@dataclass(frozen=True, slots=True)
class Slip:
    """A milestone in a month. `days`: moved by (negative: earlier), or overdue by at the month's end."""

    id: int
    name: str
    was_due_on: date | None
    due_on: date
    days: int


@dataclass(frozen=True, slots=True)
class MonthOfPlan:
    """One month, or what of it has passed. A milestone is added, slipped or earlier; it may be overdue as well."""

    month: date
    added: Sequence[Slip]
    slipped: Sequence[Slip]
    earlier: Sequence[Slip]
    dropped: Sequence[Slip]
    done: Sequence[Slip]
    overdue: Sequence[Slip]

    @property
    def is_quiet(self) -> bool:
        return not (self.added or self.slipped or self.earlier or self.dropped or self.done or self.overdue)


def month_of_plan(tracks: Sequence[Track], month: date, *, today: date) -> MonthOfPlan:
    """What happened to the milestones in the month that begins on `month`, from the evening before its first day to the
    evening of its last, or of today. Moves to and fro within it count by what remains."""
    last = min(months_after(month, 1) - DAY, today)
    rows: dict[str, list[Slip]] = {name: [] for name in ("added", "slipped", "earlier", "dropped", "done", "overdue")}
    for track in tracks:
        now, was = track.on_evening_of(last), track.on_evening_of(month - DAY)
        if now is None:
            continue
        moved = (now.due_on - was.due_on).days if was else 0
        slip = Slip(track.id, track.name, was.due_on if was else None, now.due_on, moved)
        if now.state == "dropped":
            if was is None or was.state != "dropped":
                rows["dropped"].append(slip)
            continue
        if now.state == "done" and (was is None or was.state != "done"):
            rows["done"].append(slip)
        if was is None and not track.is_planned:
            rows["added"].append(slip)
        elif moved:
            rows["slipped" if moved > 0 else "earlier"].append(slip)
        elif was is None and (first := (now.due_on - track.entries[0].due_on).days):
            # Made with the roadmap this month, and moved since.
            rows["slipped" if first > 0 else "earlier"].append(
                Slip(track.id, track.name, track.entries[0].due_on, now.due_on, first)
            )
        if now.state == "open" and now.due_on < last:
            rows["overdue"].append(Slip(track.id, track.name, None, now.due_on, (last - now.due_on).days))
    for name in ("slipped", "overdue"):
        rows[name].sort(key=lambda slip: (-slip.days, slip.name))
    return MonthOfPlan(month, **rows)


def months_back(today: date, count: int) -> list[date]:
    """The first days of the last `count` months, this one included, newest first."""
    first = today.replace(day=1)
    return [months_after(first, -index) for index in range(count)]

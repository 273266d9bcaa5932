"""What stands in a person's calendar: milestones and gates of what they see now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal

from django.conf import settings
from django.db.models import Prefetch, Q
from django.utils import timezone

from accounts.access import Asker, visible_workloads
from accounts.tokens import LAST_USED_GRAIN, digest_of
from roadmap.models import CalendarAddress, Gate, GateDecision, Milestone, Roadmap
from web import wording

# What is over for longer is left out, so that the file does not grow for ever.
KEPT_DAYS = 400
# The library writes about a thousand a second; programs give up after some. Fits 100 roadmaps of 40 milestones.
MOST_ENTRIES = 4_000
Standing = Literal["confirmed", "tentative", "cancelled"]


@dataclass(frozen=True, slots=True)
class CalendarEntry:
    """One day: `key` names it for good, `revision` goes up with its changes."""

    key: str
    on: date
    title: str
    text: str
    path: str
    kind: Literal["Milestone", "Gate"]
    standing: Standing
    revision: int


@dataclass(frozen=True, slots=True)
class PlanCalendar:
    """The name and the days, the earliest first. `left_out`: how many there are besides."""

    name: str
    entries: Sequence[CalendarEntry]
    left_out: int = 0


def find_calendar_address(text: str) -> CalendarAddress | None:
    """The address with this secret, of somebody who may sign in. Its last use is kept by the minute."""
    found = (
        CalendarAddress.objects.select_related("owner", "roadmap__workload")
        .filter(digest=digest_of(text), owner__is_active=True)
        .first()
    )
    now = timezone.now()
    if found is not None and (found.last_used_at is None or now - found.last_used_at > LAST_USED_GRAIN):
        CalendarAddress.objects.filter(pk=found.pk).update(last_used_at=now)
    return found


def plan_calendar(address: CalendarAddress, *, today: date) -> PlanCalendar:
    """What the address shows on this day, in three queries. A roadmap that its owner sees no longer has no days."""
    workloads = visible_workloads(Asker(address.owner))
    name = "Phaseline"
    if address.roadmap is not None:
        workloads = workloads.filter(pk=address.roadmap.workload_id)
        if workloads.exists():
            name = f"Phaseline: {address.roadmap.name}"
    since = today - timedelta(days=KEPT_DAYS)
    milestones = (
        Milestone.objects.filter(
            Q(state=Milestone.State.OPEN) | Q(done_on__gte=since) | Q(due_on__gte=since),
            phase__roadmap__workload__in=workloads,
        )
        .select_related("phase__roadmap__workload", "owner")
        .order_by("due_on", "pk")
    )
    decisions = GateDecision.objects.select_related("decided_by").defer("evidence")
    gates = (
        Gate.objects.filter(phase__roadmap__workload__in=workloads)
        .select_related("phase__roadmap__workload", "gatekeeper")
        .prefetch_related(Prefetch("decisions", queryset=decisions))
    )
    entries = [_milestone(item) for item in milestones]
    entries += [entry for gate in gates if (entry := _gate(gate)).on >= since]
    nearest = sorted(entries, key=lambda entry: abs(entry.on - today))[:MOST_ENTRIES]
    shown = sorted(nearest, key=lambda entry: (entry.on, entry.key))
    return PlanCalendar(name, shown, left_out=len(entries) - len(shown))


def _milestone(item: Milestone) -> CalendarEntry:
    roadmap, is_done = item.phase.roadmap, item.state == Milestone.State.DONE
    standing, before = _standing(roadmap)
    lines = [f"Due {wording.day(item.due_on)}, first promised {wording.day(item.baseline_due_on)}."]
    if item.due_on == item.baseline_due_on:
        lines = [f"Due {wording.day(item.due_on)}."]
    if is_done:
        standing, before = "confirmed", "Done: "
        lines.append(f"Done {wording.day(item.done_on)}.")
    elif item.state == Milestone.State.DROPPED:
        standing, before = "cancelled", "Dropped: "
        lines.append(f"Dropped: {item.dropped_reason}")
    if item.owner:
        lines.append(f"Owner: {item.owner.display_name}.")
    return CalendarEntry(
        key=f"milestone-{item.pk}",
        on=item.done_on if is_done and item.done_on else item.due_on,
        title=f"{before}{item.name} ({roadmap.name})",
        text=_text(roadmap, item.phase.get_kind_display(), lines),
        path=f"{item.phase.get_absolute_url()}#milestones",
        kind="Milestone",
        standing=standing,
        revision=item.version,
    )


def _gate(gate: Gate) -> CalendarEntry:
    """A gate on its day; once it is decided, on the day of that. A hold, and a decision taken back, wait again."""
    phase, roadmap = gate.phase, gate.phase.roadmap
    decisions = list(gate.decisions.all())
    last = decisions[0] if decisions else None
    standing, before = _standing(roadmap)
    on, title = gate.due_on, f"{before}Gate: {phase.get_kind_display()} ({roadmap.name})"
    lines = [f"To be decided on {wording.day(gate.due_on)}."]
    if gate.gatekeeper:
        lines.append(f"Gatekeeper: {gate.gatekeeper.display_name}.")
    if last is not None:
        said = last.get_outcome_display()
        who = last.decided_by.display_name if last.decided_by else last.decided_by_name
        words = f"{said}, {wording.day(last.decided_on)}{f', {who}' if who else ''}."
        if last.outcome == GateDecision.Outcome.HOLD:
            lines.append(words)
        else:
            standing, on, lines = "confirmed", last.decided_on, [words]
            title = f"Gate decided, {said.lower()}: {phase.get_kind_display()} ({roadmap.name})"
    return CalendarEntry(
        key=f"gate-{gate.pk}",
        on=on,
        title=title,
        text=_text(roadmap, phase.get_kind_display(), lines),
        path=gate.get_absolute_url(),
        kind="Gate",
        standing=standing,
        revision=len(decisions),
    )


def _standing(roadmap: Roadmap) -> tuple[Standing, str]:
    """How sure what is still open is, and the word before it."""
    if roadmap.state == Roadmap.State.STOPPED:
        return "cancelled", "Stopped: "
    if roadmap.state == Roadmap.State.PAUSED:
        return "tentative", "Paused: "
    return ("tentative", "") if roadmap.state == Roadmap.State.PROPOSED else ("confirmed", "")


def _text(roadmap: Roadmap, phase: str, lines: Sequence[str]) -> str:
    demo = ["Demo data."] if roadmap.workload.is_demo else []
    return "\n".join([f"{roadmap.name}, {phase}.", *lines, *demo, f"{settings.BASE_URL}{roadmap.get_absolute_url()}"])

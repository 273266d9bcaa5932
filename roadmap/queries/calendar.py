"""What stands in a person's calendar: milestones and gates of what they see now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal

from django.conf import settings
from django.db.models import Prefetch, Q
from django.utils import timezone
from django.utils.translation import gettext

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
    """One day: `key` names it for good, `revision` goes up with its changes; the words are in the active language."""

    key: str
    on: date
    title: str
    text: str
    path: str
    kind: str
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
    due, promised = wording.day(item.due_on), wording.day(item.baseline_due_on)
    if item.due_on == item.baseline_due_on:
        lines = [gettext("Due %(day)s.") % {"day": due}]
    else:
        lines = [gettext("Due %(day)s, first promised %(promised)s.") % {"day": due, "promised": promised}]
    title = f"{item.name} ({roadmap.name})"
    if is_done:
        standing: Standing = "confirmed"
        title = gettext("Done: %(name)s") % {"name": title}
        lines.append(gettext("Done %(day)s.") % {"day": wording.day(item.done_on)})
    elif item.state == Milestone.State.DROPPED:
        standing = "cancelled"
        title = gettext("Dropped: %(name)s") % {"name": title}
        lines.append(gettext("Dropped: %(reason)s") % {"reason": item.dropped_reason})
    else:
        standing, title = _as_open(roadmap, title)
    if item.owner:
        lines.append(gettext("Owner: %(name)s.") % {"name": item.owner.display_name})
    return CalendarEntry(
        key=f"milestone-{item.pk}",
        on=item.done_on if is_done and item.done_on else item.due_on,
        title=title,
        text=_text(roadmap, item.phase.get_kind_display(), lines),
        path=f"{item.phase.get_absolute_url()}#milestones",
        kind=gettext("Milestone"),
        standing=standing,
        revision=item.version,
    )


def _gate(gate: Gate) -> CalendarEntry:
    """A gate on its day; once it is decided, on the day of that. A hold, and a decision taken back, wait again."""
    phase, roadmap = gate.phase, gate.phase.roadmap
    decisions = list(gate.decisions.all())
    last = decisions[0] if decisions else None
    names = {"phase": phase.get_kind_display(), "roadmap": roadmap.name}
    standing, title = _as_open(roadmap, gettext("Gate: %(phase)s (%(roadmap)s)") % names)
    on = gate.due_on
    lines = [gettext("To be decided on %(day)s.") % {"day": wording.day(gate.due_on)}]
    if gate.gatekeeper:
        lines.append(gettext("Gatekeeper: %(name)s.") % {"name": gate.gatekeeper.display_name})
    if last is not None:
        said = last.get_outcome_display()
        who = last.decided_by.display_name if last.decided_by else last.decided_by_name
        words = f"{said}, {wording.day(last.decided_on)}{f', {who}' if who else ''}."
        if last.outcome == GateDecision.Outcome.HOLD:
            lines.append(words)
        else:
            standing, on, lines = "confirmed", last.decided_on, [words]
            title = gettext("Gate decided, %(outcome)s: %(phase)s (%(roadmap)s)") % {**names, "outcome": said.lower()}
    return CalendarEntry(
        key=f"gate-{gate.pk}",
        on=on,
        title=title,
        text=_text(roadmap, phase.get_kind_display(), lines),
        path=gate.get_absolute_url(),
        kind=gettext("Gate"),
        standing=standing,
        revision=len(decisions),
    )


def _as_open(roadmap: Roadmap, title: str) -> tuple[Standing, str]:
    """How sure what is still open is, and its title."""
    if roadmap.state == Roadmap.State.STOPPED:
        return "cancelled", gettext("Stopped: %(name)s") % {"name": title}
    if roadmap.state == Roadmap.State.PAUSED:
        return "tentative", gettext("Paused: %(name)s") % {"name": title}
    return ("tentative" if roadmap.state == Roadmap.State.PROPOSED else "confirmed"), title


def _text(roadmap: Roadmap, phase: str, lines: Sequence[str]) -> str:
    demo = [gettext("Demo data.")] if roadmap.workload.is_demo else []
    return "\n".join([f"{roadmap.name}, {phase}.", *lines, *demo, f"{settings.BASE_URL}{roadmap.get_absolute_url()}"])

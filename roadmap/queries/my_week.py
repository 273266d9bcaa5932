"""What waits for one person: milestones, gates, updates and readings. The same for the page and the API."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from django.conf import settings
from django.db.models import Max, Q
from django.urls import reverse
from django.utils.translation import gettext as _

from accounts.access import Asker, visible_workloads
from roadmap.models import Comment, Gate, Kpi, Milestone, Phase, Roadmap
from web import wording

MILESTONE_DAYS = 14
GATE_DAYS = 30
# A KPI over the phase to date is asked for as often as one over four weeks.
READING_DAYS = 28
MENTION_DAYS = 14
LONGEST_MENTIONS = 50


@dataclass(frozen=True, slots=True)
class Waiting:
    """One thing to do: `on` is its day, None where it was never done before; `days` until then, negative when late."""

    name: str
    roadmap: str
    url: str
    on: date | None
    days: int | None
    is_late: bool
    words: str
    is_demo: bool


@dataclass(frozen=True, slots=True)
class Mention:
    """A comment that names the person with @; to read, not to do."""

    who: str
    text: str
    roadmap: str
    url: str
    at: datetime


@dataclass(frozen=True, slots=True)
class MyWeek:
    """Each list with the most urgent first."""

    today: date
    milestones: Sequence[Waiting]
    gates: Sequence[Waiting]
    updates: Sequence[Waiting]
    readings: Sequence[Waiting]
    mentions: Sequence[Mention]

    @property
    def count(self) -> int:
        return len(self.milestones) + len(self.gates) + len(self.updates) + len(self.readings)

    @property
    def late_count(self) -> int:
        return sum(item.is_late for item in (*self.milestones, *self.gates, *self.updates, *self.readings))


def my_week(asker: Asker, *, today: date) -> MyWeek:
    """What waits for the asker in roadmaps that run or are live, in five queries however much there is.

    Milestones are theirs by name; without an owner they are the phase's owner's. Gates are of the gatekeeper and of the
    phase's owner; updates of the roadmap's owner; readings of the phase's owner.
    """
    return MyWeek(
        today=today,
        milestones=_milestones(asker, today),
        gates=_gates(asker, today),
        updates=_updates(asker, today),
        readings=_readings(asker, today),
        mentions=_mentions(asker, today),
    )


def _running(asker: Asker, prefix: str) -> Q:
    """Of roadmaps that the asker sees and that go on."""
    return Q(
        **{
            f"{prefix}workload__in": visible_workloads(asker),
            f"{prefix}state__in": [Roadmap.State.ACTIVE, Roadmap.State.LIVE],
        }
    )


def _milestones(asker: Asker, today: date) -> list[Waiting]:
    mine = Q(owner=asker.user) | Q(owner=None, phase__owner=asker.user)
    found = (
        Milestone.objects.filter(
            _running(asker, "phase__roadmap__"),
            mine,
            state=Milestone.State.OPEN,
            phase__state=Phase.State.ACTIVE,
            due_on__lte=today + timedelta(days=MILESTONE_DAYS),
        )
        .select_related("phase__roadmap__workload")
        .order_by("due_on", "pk")
    )
    return [
        _due(item.name, item.phase.roadmap, f"{item.phase.get_absolute_url()}#milestones", item.due_on, today)
        for item in found
    ]


def _gates(asker: Asker, today: date) -> list[Waiting]:
    found = (
        Gate.objects.filter(
            _running(asker, "phase__roadmap__"),
            Q(gatekeeper=asker.user) | Q(phase__owner=asker.user),
            phase__state=Phase.State.ACTIVE,
            due_on__lte=today + timedelta(days=GATE_DAYS),
        )
        .select_related("phase__roadmap__workload")
        .order_by("due_on", "pk")
    )
    named = []
    for gate in found:
        text = (
            _("Decide the %(phase)s gate") if gate.gatekeeper_id == asker.user.pk else _("Prepare the %(phase)s gate")
        )
        name = text % {"phase": gate.phase.get_kind_display()}
        named.append(_due(name, gate.phase.roadmap, gate.get_absolute_url(), gate.due_on, today))
    return named


def _updates(asker: Asker, today: date) -> list[Waiting]:
    rhythm = timedelta(days=settings.UPDATE_EVERY_DAYS)
    found = (
        Roadmap.objects.filter(_running(asker, ""), owner=asker.user, state=Roadmap.State.ACTIVE)
        .annotate(last=Max("updates__created_at"))
        .select_related("workload")
        .order_by("last", "pk")
    )
    return _overdue(
        [(_("Post an update"), one, reverse("update_new", args=[one.slug]), one.last, rhythm) for one in found], today
    )


def _readings(asker: Asker, today: date) -> list[Waiting]:
    found = (
        Kpi.objects.filter(
            _running(asker, "phase__roadmap__"),
            source=Kpi.Source.READ,
            phase__owner=asker.user,
            phase__state=Phase.State.ACTIVE,
        )
        .annotate(last=Max("readings__at"))
        .select_related("phase__roadmap__workload")
        .order_by("last", "pk")
    )
    return _overdue(
        [
            (
                _("Record %(kpi)s") % {"kpi": kpi.name},
                kpi.phase.roadmap,
                reverse("reading_new", args=[kpi.pk]),
                kpi.last,
                timedelta(days=kpi.window_days or READING_DAYS),
            )
            for kpi in found
        ],
        today,
    )


def _mentions(asker: Asker, today: date) -> list[Mention]:
    """Comments of the last days that name the asker, the newest first."""
    since = datetime.combine(today - timedelta(days=MENTION_DAYS), time(), tzinfo=settings.REPORTING_ZONE)
    found = (
        Comment.objects.filter(
            mentioned=asker.user, created_at__gte=since, roadmap__workload__in=visible_workloads(asker)
        )
        .exclude(author=asker.user)
        .select_related("roadmap__workload")
        .order_by("-created_at", "-pk")[:LONGEST_MENTIONS]
    )
    return [
        Mention(
            one.author_name, str(one), one.roadmap.name, reverse("comments", args=[one.roadmap.slug]), one.created_at
        )
        for one in found
    ]


def _due(name: str, roadmap: Roadmap, url: str, on: date, today: date) -> Waiting:
    days = (on - today).days
    if days < 0:
        words = wording.days_late(-days)
    else:
        words = _("today") if days == 0 else _("in %(duration)s") % {"duration": wording.plural(days, "day")}
    return Waiting(name, roadmap.name, url, on, days, days < 0, words, roadmap.workload.is_demo)


def _overdue(items: Sequence[tuple[str, Roadmap, str, datetime | None, timedelta]], today: date) -> list[Waiting]:
    """Those whose last time is as long ago as their rhythm, or that were never done."""
    waiting = []
    for name, roadmap, url, last, rhythm in items:
        if last is None:
            waiting.append(
                Waiting(
                    name,
                    roadmap.name,
                    url,
                    on=None,
                    days=None,
                    is_late=True,
                    words=_("never yet"),
                    is_demo=roadmap.workload.is_demo,
                )
            )
            continue
        on = last.astimezone(settings.REPORTING_ZONE).date()
        due_in = (on + rhythm - today).days
        if due_in <= 0:
            words = _("the last %(duration)s ago") % {"duration": wording.plural((today - on).days, "day")}
            waiting.append(
                Waiting(name, roadmap.name, url, on + rhythm, due_in, due_in < 0, words, roadmap.workload.is_demo)
            )
    return waiting

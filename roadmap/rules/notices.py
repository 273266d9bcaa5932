"""What people can be told of, through what, by default, and how often a delivery is tried. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from django.utils.translation import gettext_lazy

from web.wording import Words

MAIL, SLACK, TEAMS, WEBHOOK = "mail", "slack", "teams", "webhook"
CHANNELS = (MAIL, SLACK, TEAMS, WEBHOOK)
MILESTONE_DAYS = 7
GATE_DAYS = 30
# Reminders and the Monday mail come when the day begins where the person is.
MORNING = time(7)
MONDAY = "monday"
SOURCE = "source"
# What happens at an hour of its own; all other reminders are of a day.
OF_AN_HOUR = (MONDAY, SOURCE)


@dataclass(frozen=True, slots=True)
class NoticeKind:
    """One row of the preferences. `default`: the channels that are on until somebody chooses."""

    code: str
    label: Words
    help: Words
    default: tuple[str, ...] = ()


KINDS = (
    NoticeKind(
        "mention", gettext_lazy("You are mentioned"), gettext_lazy("Somebody names you with @ in a comment."), (MAIL,)
    ),
    NoticeKind(
        "ownership",
        gettext_lazy("Something becomes yours"),
        gettext_lazy("A roadmap, phase, milestone or gate to decide."),
        (MAIL,),
    ),
    NoticeKind(
        "decision",
        gettext_lazy("A gate is decided"),
        gettext_lazy("Or a decision is taken back, in a roadmap of yours."),
        (MAIL,),
    ),
    NoticeKind(
        "milestone", gettext_lazy("A milestone is due"), gettext_lazy("One of yours, 7 days ahead and once it is late.")
    ),
    NoticeKind(
        "gate",
        gettext_lazy("A gate comes up"),
        gettext_lazy("One that you prepare or decide, 30 days ahead and once overdue."),
    ),
    NoticeKind(
        "reading",
        gettext_lazy("A reading is asked for"),
        gettext_lazy("Of a KPI that no backend knows, in a phase of yours."),
    ),
    NoticeKind(
        "budget",
        gettext_lazy("A budget runs out"),
        gettext_lazy("The forecast passes it, or it is passed, in a roadmap of yours."),
    ),
    NoticeKind(
        SOURCE,
        gettext_lazy("A source stops answering"),
        gettext_lazy("For admins, and owners of roadmaps that it serves."),
        (MAIL,),
    ),
    NoticeKind(
        "words",
        gettext_lazy("A report wants your words"),
        gettext_lazy(
            "Of the month that is over, for a roadmap that you manage; once more two days before it is closed."
        ),
        (MAIL,),
    ),
    NoticeKind("report", gettext_lazy("A report is published"), gettext_lazy("Of a month, for a roadmap of yours.")),
    NoticeKind(
        MONDAY,
        gettext_lazy("My week, on Mondays"),
        gettext_lazy("What waits for you, at 07:00. Nothing when nothing waits."),
        (MAIL,),
    ),
)
CODES = tuple(kind.code for kind in KINDS)
DEFAULTS = {kind.code: kind.default for kind in KINDS}

# Actions of which somebody may be told, and which fields make them worth it (none: always).
NOTED: Mapping[str, frozenset[str]] = {
    "add_comment": frozenset(),
    "change_comment": frozenset(),
    "decide_gate": frozenset(),
    "undo_decision": frozenset(),
    "make_roadmap": frozenset(),
    "add_milestone": frozenset({"owner"}),
    "change_milestone": frozenset({"owner"}),
    "change_phase": frozenset({"owner"}),
    "change_gate": frozenset({"gatekeeper"}),
    "change_roadmap": frozenset({"owner"}),
    "publish_report": frozenset(),
}

# Seconds until the next attempt: soon after a hiccup, a day in all for a server that is down over night.
WAITS = (60, 300, 900, 3600, 3 * 3600, 8 * 3600, 12 * 3600)
MOST_ATTEMPTS = len(WAITS) + 1
LONGEST_WAIT = 24 * 3600


def is_noted(action: str, after: Iterable[str]) -> bool:
    """Whether somebody may have to be told of an action that changed these fields."""
    fields = NOTED.get(action)
    return fields is not None and (not fields or bool(fields & set(after)))


def channels_for(chosen: Mapping[str, Sequence[str]], kind: str) -> tuple[str, ...]:
    """The channels that a person wants for a kind, in their order."""
    wanted = chosen.get(kind)
    return DEFAULTS.get(kind, ()) if wanted is None else tuple(item for item in CHANNELS if item in wanted)


def wait_before_next(attempts: int, retry_after_seconds: float | None) -> timedelta | None:
    """How long to wait after so many attempts; None: it is given up. The other side may ask for longer, up to a day."""
    if attempts >= MOST_ATTEMPTS:
        return None
    seconds = WAITS[max(attempts, 1) - 1]
    return timedelta(seconds=min(max(seconds, retry_after_seconds or 0.0), LONGEST_WAIT))


def not_before(now: datetime, zone: ZoneInfo, day: date | None = None) -> datetime:
    """`now`, or 07:00 of the same local day where that is still to come.

    `day`: the organisation's, which brings it; in a zone that lies behind it begins later.
    """
    begins_on = max(now.astimezone(zone).date(), day or date.min)
    morning = datetime.combine(begins_on, MORNING, tzinfo=zone)
    return max(now, morning.astimezone(now.tzinfo))


def monday_of(now: datetime, zone: ZoneInfo) -> str | None:
    """The ISO week, '2026-W48', while it is Monday from 07:00 on in the zone; else None."""
    local = now.astimezone(zone)
    if local.isoweekday() != 1 or local.time() < MORNING:
        return None
    year, week, _ = local.isocalendar()
    return f"{year}-W{week:02}"

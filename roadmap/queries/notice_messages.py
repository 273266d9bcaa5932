"""From deliveries, or a person's week, to the message that a channel sends."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from uuid import UUID

from django.conf import settings
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from accounts.access import Asker
from accounts.models import User
from roadmap.channel import Line, Message, Section
from roadmap.models import Delivery
from roadmap.queries.my_week import GATE_DAYS, MILESTONE_DAYS, Waiting, my_week
from roadmap.rules.notices import KINDS
from web import wording


def absolute(path: str) -> str:
    """The address of a path of this installation, as mails hold it."""
    return settings.BASE_URL + path if path else ""


def notices_message(person: User, rows: Sequence[Delivery], *, id: UUID, now: datetime) -> Message:  # noqa: A002
    """One message of deliveries; several are put under what they are of. `rows` have notice and workload."""
    subject, lede = rows[0].title, ""
    sections = [Section("", [_line(row) for row in rows])]
    if more := len(rows) - 1:
        subject = ngettext("%(first)s and %(count)s more", "%(first)s and %(count)s more", more) % {
            "first": subject,
            "count": more,
        }
        lede = ngettext(
            "%(count)s thing that you chose to be told of.", "%(count)s things that you chose to be told of.", len(rows)
        ) % {"count": wording.count(len(rows))}
        of_kinds = [(str(kind.label), [_line(row) for row in rows if row.kind == kind.code]) for kind in KINDS]
        sections = [Section(label, lines) for label, lines in of_kinds if lines]
    return _message(person, subject, lede, sections, id=id, now=now)


def monday_message(person: User, *, id: UUID, today: date, now: datetime) -> Message | None:  # noqa: A002
    """What the person finds in My week; None where nothing waits."""
    week = my_week(Asker(person), today=today)
    if not week.count and not week.mentions:
        return None
    mentions = [
        Line(f"{one.who}: {one.text}", url=absolute(one.url), note=one.roadmap, kind="mention") for one in week.mentions
    ]
    parts = [
        (_("Milestones, due in %(days)s days or late") % {"days": MILESTONE_DAYS}, _waiting(week.milestones)),
        (_("Gates, due in %(days)s days or late") % {"days": GATE_DAYS}, _waiting(week.gates)),
        (_("Updates that are due"), _waiting(week.updates)),
        (_("Readings that are asked for"), _waiting(week.readings)),
        (_("Comments that mention you"), mentions),
    ]
    lede = _("%(today)s, of the roadmaps that run.") % {"today": wording.day(today)}
    return _message(
        person,
        _week_subject(week.count, week.late_count),
        lede,
        [Section(title, lines) for title, lines in parts if lines],
        id=id,
        now=now,
    )


def _week_subject(todo: int, late: int) -> str:
    """'My week: 5 things to do, 2 late'."""
    counts = {"count": wording.count(todo), "late": wording.count(late)}
    if not todo:
        return _("My week: nothing to do")
    if not late:
        return ngettext("My week: %(count)s thing to do", "My week: %(count)s things to do", todo) % counts
    return (
        ngettext(
            "My week: %(count)s thing to do, %(late)s late", "My week: %(count)s things to do, %(late)s late", todo
        )
        % counts
    )


def example_message(person: User, *, id: UUID, now: datetime) -> Message:  # noqa: A002
    """What 'Send a test' sends."""
    line = Line(
        _("A test from Phaseline"), _("This is where your notifications will arrive."), absolute(reverse("my_week"))
    )
    return _message(person, line.title, "", [Section("", [line])], id=id, now=now)


def _line(row: Delivery) -> Line:
    workload = row.notice.workload
    return Line(
        row.title,
        row.text,
        absolute(row.url),
        kind=row.kind,
        roadmap=workload.slug if workload else "",
        is_late=bool(row.notice.details.get("is_late")),
    )


def _waiting(items: Sequence[Waiting]) -> list[Line]:
    return [
        Line(
            item.name,
            url=absolute(item.url),
            note=f"{item.roadmap}, {item.words}",
            kind="monday",
            is_late=item.is_late,
        )
        for item in items
        if not item.is_demo
    ]


def _message(
    person: User,
    subject: str,
    lede: str,
    sections: Sequence[Section],
    *,
    id: UUID,  # noqa: A002
    now: datetime,
) -> Message:
    return Message(
        id=str(id),
        to=person.username,
        subject=subject,
        lede=lede,
        sections=sections,
        home_url=absolute(reverse("my_week")),
        home_text=_("My week"),
        settings_url=absolute(reverse("notifications")),
        at=now,
    )

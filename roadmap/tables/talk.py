"""Risks, updates, comments, activity and people of a roadmap as files."""

from __future__ import annotations

from collections.abc import Iterable

from accounts.access import Asker
from accounts.models import Membership
from roadmap.models import Phase, Risk, Roadmap, Update
from roadmap.queries.activity import LONGEST, Happened, activity
from roadmap.queries.comments import CommentLine, comments
from roadmap.tables.plan import full_name, username
from web.file_tables import MOST_ROWS, Field, FileTable, yes_no

RISKS: FileTable[Risk] = FileTable(
    "Risks",
    (
        Field("roadmap", lambda risk: risk.roadmap.slug),
        Field("risk", lambda risk: risk.name),
        Field("category", lambda risk: risk.category),
        Field("state", lambda risk: risk.state),
        Field("likelihood", lambda risk: risk.likelihood, "count"),
        Field("impact", lambda risk: risk.impact, "count"),
        Field("score", lambda risk: risk.score, "count"),
        Field("owner", lambda risk: username(risk.owner)),
        Field("owner_name", lambda risk: full_name(risk.owner)),
        Field("due_on", lambda risk: risk.due_on, "day"),
        Field("response", lambda risk: risk.response),
        Field("created_at", lambda risk: risk.created_at, "moment"),
        Field("closed_at", lambda risk: risk.closed_at, "moment"),
    ),
)

UPDATES: FileTable[Update] = FileTable(
    "Updates",
    (
        Field("roadmap", lambda update: update.roadmap.slug),
        Field("at", lambda update: update.created_at, "moment"),
        Field("status", lambda update: update.status),
        Field("update", lambda update: update.sentence),
        Field("by", lambda update: full_name(update.author)),
    ),
)

COMMENTS: FileTable[CommentLine] = FileTable(
    "Comments",
    (
        Field("at", lambda line: line.comment.created_at, "moment"),
        Field("by", lambda line: line.comment.author_name),
        Field("about", lambda line: line.about),
        Field("comment", lambda line: line.comment.text),
        Field("edited_at", lambda line: line.comment.edited_at, "moment"),
    ),
)

ACTIVITY: FileTable[Happened] = FileTable(
    "Activity",
    (
        Field("at", lambda line: line.at, "moment"),
        Field("who", lambda line: line.who),
        Field("what", lambda line: line.what),
    ),
)

PEOPLE: FileTable[Membership] = FileTable(
    "People",
    (
        Field("person", lambda member: member.user.username),
        Field("name", lambda member: member.user.display_name),
        Field("role", lambda member: member.role),
        Field("may_sign_in", lambda member: yes_no(member.user.is_active)),
    ),
)


def risks(asker: Asker, roadmap: Roadmap, phases: list[Phase]) -> list[Risk]:
    """The open ones first, the heaviest of them first; closed ones too."""
    found = roadmap.risks.select_related("owner", "roadmap__workload")
    return sorted(found, key=lambda risk: (risk.state != Risk.State.OPEN, -risk.score, -risk.impact, risk.pk))


def updates(asker: Asker, roadmap: Roadmap, phases: list[Phase]) -> Iterable[Update]:
    """Every update, the newest first."""
    return roadmap.updates.select_related("author", "roadmap__workload")


def comment_lines(asker: Asker, roadmap: Roadmap, phases: list[Phase]) -> Iterable[CommentLine]:
    """Every comment, the newest first."""
    return comments(asker, roadmap, limit=MOST_ROWS).lines


def activity_lines(asker: Asker, roadmap: Roadmap, phases: list[Phase]) -> Iterable[Happened]:
    """As many as the page shows; the rest is on the audit trail, which has files of its own."""
    return activity(asker, roadmap, limit=LONGEST).lines


def members(asker: Asker, roadmap: Roadmap, phases: list[Phase]) -> Iterable[Membership]:
    """Who belongs to the roadmap."""
    return roadmap.workload.memberships.select_related("user").order_by("role", "user__first_name", "user__username")

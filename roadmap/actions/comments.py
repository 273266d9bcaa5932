"""Saying something about a roadmap or a part of it. Everybody who sees the roadmap may."""

from __future__ import annotations

import re

from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext

from accounts.access import Asker, can, people_who_see
from accounts.models import Role, User
from metrics.errors import RuleViolation
from roadmap.actions.changes import check, record, require, text_required
from roadmap.models import Comment, Gate, Milestone, Phase, Risk, Roadmap

LONGEST = 4_000
# '@bob', as user names are spelled; not the middle of an address like bob@example.org.
MENTION = re.compile(r"(?<![\w.@+-])@([\w.@+-]+)")


@transaction.atomic
def add_comment(
    asker: Asker, roadmap: Roadmap, *, text: str, about: Phase | Milestone | Gate | Risk | None = None
) -> Comment:
    """A new comment on the roadmap, or on a part of it. Who is named with @ finds it in My week."""
    require(asker, Role.VIEWER, roadmap)
    text = _checked(text)
    if about is not None and roadmap_of(about).pk != roadmap.pk:
        raise RuleViolation("other_roadmap", gettext("That belongs to another roadmap."), "about")
    comment = Comment(roadmap=roadmap, text=text, author=asker.user, author_name=asker.user.display_name)
    if about is not None:
        setattr(comment, about._meta.model_name or "", about)
    check(comment)
    comment.save()
    comment.mentioned.set(mentioned_in(text, roadmap))
    record(asker, "add_comment", comment, roadmap, None, {"text": text, "about": about or roadmap})
    return comment


@transaction.atomic
def change_comment(asker: Asker, comment: Comment, *, text: str) -> Comment:
    """Another text; only its author may, while they see the roadmap."""
    require(asker, Role.VIEWER, comment.roadmap)
    comment = Comment.objects.select_for_update(of=("self",)).select_related("roadmap__workload").get(pk=comment.pk)
    if comment.author_id != asker.user.pk:
        raise PermissionDenied(gettext("Only who wrote a comment changes it."))
    before, text = comment.text, _checked(text)
    if text == before:
        return comment
    comment.text, comment.edited_at = text, timezone.now()
    comment.save(update_fields=["text", "edited_at"])
    comment.mentioned.set(mentioned_in(text, comment.roadmap))
    record(asker, "change_comment", comment, comment.roadmap, {"text": before}, {"text": text})
    return comment


@transaction.atomic
def delete_comment(asker: Asker, comment: Comment) -> None:
    """Gone from the page: by its author or a manager. What it said stays on the audit trail."""
    require(asker, Role.VIEWER, comment.roadmap)
    if not may_delete(asker, comment):
        raise PermissionDenied(gettext("Only who wrote a comment, or a manager, deletes it."))
    record(asker, "delete_comment", comment, comment.roadmap, {"text": comment.text}, None)
    comment.delete()


def may_delete(asker: Asker, comment: Comment) -> bool:
    """Its author, and managers of the roadmap."""
    return comment.author_id == asker.user.pk or can(asker, Role.MANAGER, comment.roadmap.workload)


def roadmap_of(part: Phase | Milestone | Gate | Risk) -> Roadmap:
    """The roadmap that a part belongs to."""
    if isinstance(part, Phase | Risk):
        return part.roadmap
    return part.phase.roadmap


def mentioned_in(text: str, roadmap: Roadmap) -> list[User]:
    """The people named with @ who see the roadmap; another name is only text."""
    names = {name for found in MENTION.findall(text) for name in (found, found.rstrip(".+-@"))}
    return list(people_who_see(roadmap.workload).filter(username__in=names)) if names else []


def _checked(text: str) -> str:
    text = text_required(text.replace("\r\n", "\n"), field="text", what=gettext("the comment a text"))
    if len(text) > LONGEST:
        raise RuleViolation(
            "too_long", gettext("A comment has at most %(longest)s letters.") % {"longest": f"{LONGEST:,}"}, "text"
        )
    if "\0" in text:
        raise RuleViolation("invalid", gettext("Take out the character U+0000, which cannot be kept."), "text")
    return text

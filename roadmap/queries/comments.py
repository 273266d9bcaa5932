"""The comments of a roadmap, the newest first, with what each is about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.urls import reverse

from accounts.access import Asker, can, visible_workloads
from accounts.models import Role
from roadmap.models import Comment, Gate, Milestone, Phase, Risk, Roadmap

PAGE_ROWS = 50
SHOWN = 3


@dataclass(frozen=True, slots=True)
class CommentLine:
    """A comment with what it is about, in words and as an address."""

    comment: Comment
    about: str
    url: str
    may_change: bool
    may_delete: bool


@dataclass(frozen=True, slots=True)
class CommentList:
    """Some comments; `has_more`: older ones follow."""

    lines: Sequence[CommentLine]
    has_more: bool


def comments(
    asker: Asker,
    roadmap: Roadmap,
    *,
    limit: int = PAGE_ROWS,
    before: int | None = None,
    manages: bool | None = None,
) -> CommentList:
    """The newest comments that the asker may read, or those before the one with this number.

    Two queries; one where it is known whether the asker `manages` the roadmap.
    """
    found = Comment.objects.filter(roadmap=roadmap, roadmap__workload__in=visible_workloads(asker))
    if before is not None:
        found = found.filter(pk__lt=before)
    rows = list(
        found.select_related(
            "author", "phase__roadmap__workload", "milestone__phase__roadmap__workload", "gate__phase", "risk"
        ).order_by("-pk")[: limit + 1]
    )
    if manages is None:
        manages = can(asker, Role.MANAGER, roadmap.workload)
    lines = []
    for row in rows[:limit]:
        is_own = row.author_id == asker.user.pk
        about, url = _about(row, roadmap)
        lines.append(CommentLine(row, about, url, may_change=is_own, may_delete=is_own or manages))
    return CommentList(lines, has_more=len(rows) > limit)


def part_choices(roadmap: Roadmap) -> list[tuple[str, str]]:
    """What can be commented on, as 'milestone-12' with its name."""
    phases = list(roadmap.phases.order_by("position"))
    found = [("", "The roadmap")]
    found += [(f"phase-{phase.pk}", phase.get_kind_display()) for phase in phases]
    gates = Gate.objects.filter(phase__in=phases).select_related("phase").order_by("phase__position")
    found += [(f"gate-{gate.pk}", f"Gate of {gate.phase.get_kind_display()}") for gate in gates]
    milestones = Milestone.objects.filter(phase__in=phases).order_by("phase__position", "due_on", "pk")
    found += [(f"milestone-{item.pk}", f"Milestone: {item.name}") for item in milestones]
    found += [(f"risk-{risk.pk}", f"Risk: {risk.name}") for risk in roadmap.risks.all()]
    return found


def find_part(roadmap: Roadmap, kind: str, pk: int) -> Phase | Milestone | Gate | Risk | None:
    """The part of the roadmap with this number; None where it has none."""
    if pk >= 2**63:
        return None
    if kind == "phase":
        return Phase.objects.filter(pk=pk, roadmap=roadmap).select_related("roadmap").first()
    if kind == "risk":
        return Risk.objects.filter(pk=pk, roadmap=roadmap).select_related("roadmap").first()
    if kind == "milestone":
        return Milestone.objects.filter(pk=pk, phase__roadmap=roadmap).select_related("phase__roadmap").first()
    if kind == "gate":
        return Gate.objects.filter(pk=pk, phase__roadmap=roadmap).select_related("phase__roadmap").first()
    return None


def _about(comment: Comment, roadmap: Roadmap) -> tuple[str, str]:
    if comment.phase:
        return comment.phase.get_kind_display(), comment.phase.get_absolute_url()
    if comment.milestone:
        return comment.milestone.name, f"{comment.milestone.phase.get_absolute_url()}#milestones"
    if comment.gate:
        return f"Gate of {comment.gate.phase.get_kind_display()}", reverse("gate", args=[comment.gate.pk])
    if comment.risk:
        return comment.risk.name, f"{roadmap.get_absolute_url()}#risks"
    return "", roadmap.get_absolute_url()

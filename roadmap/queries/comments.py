"""The comments of a roadmap, the newest first, with what each is about."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from django.urls import reverse
from django.utils.translation import gettext

from accounts.access import Asker, can, visible_workloads
from accounts.models import Role
from roadmap.models import Comment, Gate, Milestone, Phase, Risk, Roadmap

PAGE_ROWS = 50
SHOWN = 3
Part = Phase | Milestone | Gate | Risk


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


@dataclass(frozen=True, slots=True)
class Thread:
    """What a roadmap or one of its parts was said about last, and where to read and write."""

    lines: Sequence[CommentLine]
    has_more: bool
    url: str
    new_url: str


def comments(
    asker: Asker,
    roadmap: Roadmap,
    *,
    limit: int = PAGE_ROWS,
    before: int | None = None,
    manages: bool | None = None,
    about: Part | None = None,
) -> CommentList:
    """The newest comments that the asker may read, or those before the one with this number; with `about` on one part.

    Two queries; one where it is known whether the asker `manages` the roadmap.
    """
    found = Comment.objects.filter(roadmap=roadmap, roadmap__workload__in=visible_workloads(asker))
    if about is not None:
        found = found.filter(**{kind_of(about): about})
    if before is not None:
        found = found.filter(pk__lt=before)
    rows = list(
        found.select_related(
            "author", "phase__roadmap__workload", "milestone__phase__roadmap__workload", "gate__phase", "risk"
        ).order_by("-pk")[: limit + 1]
    )
    if manages is None:
        manages = can(asker, Role.MANAGER, roadmap.workload)
    lines = [_line(row, roadmap, about=about, asker=asker, manages=manages) for row in rows[:limit]]
    return CommentList(lines, has_more=len(rows) > limit)


def thread(asker: Asker, roadmap: Roadmap, *, about: Part | None = None, manages: bool | None = None) -> Thread:
    """What was said last about the roadmap, or about this part of it."""
    found = comments(asker, roadmap, limit=SHOWN, manages=manages, about=about)
    return Thread(found.lines, found.has_more, *addresses(roadmap, about))


def thread_of(rows: Sequence[Comment], roadmap: Roadmap, *, about: Part) -> Thread:
    """The same from comments that were read already, the newest first, each linked to its part."""
    lines = [_line(row, roadmap, about=about) for row in rows[:SHOWN]]
    return Thread(lines, len(rows) > SHOWN, *addresses(roadmap, about))


def addresses(roadmap: Roadmap, about: Part | None) -> tuple[str, str]:
    """Where the comments about a part are read, and where one is written."""
    query = f"?{urlencode({'about': key_of(about)})}" if about is not None else ""
    return tuple(reverse(name, args=[roadmap.slug]) + query for name in ("comments", "comment_new"))  # type: ignore[return-value]


def counts_of(rows: Iterable[Comment], kind: str) -> Mapping[int, int]:
    """How many comments there are on each part of a kind, by its id."""
    return Counter(getattr(row, f"{kind}_id") for row in rows if getattr(row, f"{kind}_id") is not None)


def risk_counts(roadmap: Roadmap) -> Mapping[int, int]:
    """How many comments there are on each risk of the roadmap, by its id."""
    return Counter(Comment.objects.filter(roadmap=roadmap).exclude(risk=None).values_list("risk_id", flat=True))


def kind_of(part: Part) -> str:
    """'milestone'."""
    return str(part._meta.model_name)  # noqa: SLF001


def key_of(part: Part) -> str:
    """'milestone-12', as addresses and the form say it."""
    return f"{kind_of(part)}-{part.pk}"


def part_of(roadmap: Roadmap, key: str) -> Part | None:
    """The part that 'milestone-12' names; None where it names none of this roadmap."""
    kind, _, pk = key.partition("-")
    if not (pk.isascii() and pk.isdecimal() and len(pk) < 19):
        return None
    return find_part(roadmap, kind, int(pk))


def _line(
    row: Comment, roadmap: Roadmap, *, about: Part | None, asker: Asker | None = None, manages: bool = False
) -> CommentLine:
    """Shown among those about a part, that part goes without saying."""
    is_own = asker is not None and row.author_id == asker.user.pk
    words, url = about_words(row.part, roadmap)
    if about is not None and row.part == about:
        words = ""
    return CommentLine(row, words, url, may_change=is_own, may_delete=is_own or manages)


def part_choices(roadmap: Roadmap) -> list[tuple[str, str]]:
    """What can be commented on, as 'milestone-12' with its name."""
    phases = list(roadmap.phases.order_by("position"))
    found = [("", gettext("The roadmap"))]
    found += [(f"phase-{phase.pk}", phase.get_kind_display()) for phase in phases]
    gates = Gate.objects.filter(phase__in=phases).select_related("phase").order_by("phase__position")
    found += [
        (f"gate-{gate.pk}", gettext("Gate of %(kind)s") % {"kind": gate.phase.get_kind_display()}) for gate in gates
    ]
    milestones = Milestone.objects.filter(phase__in=phases).order_by("phase__position", "due_on", "pk")
    found += [(f"milestone-{item.pk}", f"Milestone: {item.name}") for item in milestones]
    found += [(f"risk-{risk.pk}", f"Risk: {risk.name}") for risk in roadmap.risks.all()]
    return found


def find_part(roadmap: Roadmap, kind: str, pk: int) -> Part | None:
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


def about_words(part: Part | None, roadmap: Roadmap) -> tuple[str, str]:
    """What a comment is about, in words and as an address; no words for the roadmap itself."""
    if isinstance(part, Phase):
        return part.get_kind_display(), part.get_absolute_url()
    if isinstance(part, Milestone):
        return part.name, f"{part.phase.get_absolute_url()}#milestones"
    if isinstance(part, Gate):
        return gettext("Gate of %(kind)s") % {"kind": part.phase.get_kind_display()}, reverse("gate", args=[part.pk])
    if isinstance(part, Risk):
        return part.name, f"{roadmap.get_absolute_url()}#risks"
    return "", roadmap.get_absolute_url()

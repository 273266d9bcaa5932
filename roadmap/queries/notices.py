"""Who is told what of an action: worked out when its notice is spread, from the rows as they are then."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date

from django.conf import settings
from django.urls import reverse
from django.utils import translation
from django.utils.translation import get_language, ngettext
from django.utils.translation import gettext as _

from accounts.languages import language_of
from accounts.models import User
from roadmap.models import Comment, Delivery, Gate, GateDecision, Milestone, Notice, Phase, Report, Roadmap
from web import wording

LONGEST_TITLE = 300
LONGEST_TEXT = 1_000


@dataclass(frozen=True, slots=True)
class Told:
    """One person is told one thing. `url` is a path."""

    person_id: int
    kind: str
    title: str
    text: str
    url: str


def told_of(notice: Notice) -> list[Told]:
    """Everybody who is told of a notice, but who did it; nothing where what it is about is gone by now."""
    with translation.override(settings.LANGUAGE_CODE):
        found = _found(notice)
    actor = notice.event.actor_id if notice.event else None
    people = User.objects.filter(pk__in={one.person_id for one in found}, is_active=True, is_demo=False)
    languages = {person.pk: language_of(person) for person in people if person.pk != actor}
    told = [one for one in found if languages.get(one.person_id) == settings.LANGUAGE_CODE]
    for language in sorted(set(languages.values()) - {settings.LANGUAGE_CODE}):
        with translation.override(language):
            told += [one for one in _found(notice) if languages.get(one.person_id) == language]
    return told


def _found(notice: Notice) -> list[Told]:
    """Everybody whom it is about, told in the active language."""
    return _noted_before(notice) if notice.event_id is None else _OF_ACTIONS[notice.kind](notice)


def _noted_before(notice: Notice) -> list[Told]:
    """What became due: everything was known when its day came."""
    details = notice.details
    words = details.get("in", {}).get(get_language(), details)
    return _tell(details["people"], details["told_as"], words["title"], text=words.get("text", ""), url=details["url"])


def _tell(people: Iterable[int | None], kind: str, title: str, *, text: str = "", url: str = "") -> list[Told]:
    words = " ".join(title.split())
    title = words if len(words) <= LONGEST_TITLE else words[: LONGEST_TITLE - 1] + "…"
    text = text if len(text) <= LONGEST_TEXT else text[: LONGEST_TEXT - 1] + "…"
    return [Told(pk, kind, title, text, url) for pk in dict.fromkeys(people) if pk is not None]


def _comment(notice: Notice) -> list[Told]:
    """Who is named, once per comment however often it is changed."""
    comment = Comment.objects.select_related("roadmap__workload").filter(pk=notice.subject_id).first()
    if comment is None:
        return []
    told = Delivery.objects.filter(
        kind="mention", notice__subject_id=comment.pk, notice__kind__in=["add_comment", "change_comment"]
    ).values("person_id")
    people = comment.mentioned.exclude(pk__in=told).order_by("pk").values_list("pk", flat=True)
    title = _("%(name)s mentions you in %(roadmap)s") % {
        "name": comment.author_name,
        "roadmap": comment.roadmap.name,
    }
    return _tell(people, "mention", title, text=comment.text, url=reverse("comments", args=[comment.roadmap.slug]))


def _decision(notice: Notice) -> list[Told]:
    """Those whose roadmap it is; who got a condition hears that it is theirs."""
    decision = (
        GateDecision.objects.select_related("gate__phase__roadmap__workload", "undoes", "decided_by")
        .filter(pk=notice.subject_id)
        .first()
    )
    if decision is None:
        return []
    gate, phase = decision.gate, decision.gate.phase
    name = _("%(phase)s gate of %(roadmap)s") % {"phase": phase.get_kind_display(), "roadmap": phase.roadmap.name}
    title = f"{name}: {decision.get_outcome_display().lower()}"
    if decision.undoes is not None:
        title = _("%(gate)s: the %(outcome)s is taken back") % {
            "gate": name,
            "outcome": decision.undoes.get_outcome_display().lower(),
        }
    who = decision.decided_by.display_name if decision.decided_by else decision.decided_by_name
    found = _tell(
        [gate.gatekeeper_id, *_people_of(phase.roadmap)],
        "decision",
        title,
        text=f"{who}: {decision.reason}",
        url=gate.get_absolute_url(),
    )
    after = (notice.event.after if notice.event else None) or {}
    names = [item for item in (after.get("conditions") or "").split("; ") if item]
    conditions = Milestone.objects.filter(phase__roadmap=phase.roadmap, is_condition=True, name__in=names)
    for person_id in sorted({item.owner_id for item in conditions if item.owner_id is not None}):
        mine = [item for item in conditions if item.owner_id == person_id]
        due = ", ".join(
            _("'%(name)s' by %(day)s") % {"name": item.name, "day": wording.day(item.due_on)} for item in mine
        )
        what = ngettext("%(gate)s: a condition is yours", "%(gate)s: %(count)s conditions are yours", len(mine)) % {
            "gate": name,
            "count": len(mine),
        }
        found += _tell([person_id], "ownership", what, text=due, url=mine[0].phase.get_absolute_url())
    return found


def _milestone(notice: Notice) -> list[Told]:
    item = (
        Milestone.objects.select_related("phase__roadmap__workload", "owner")
        .filter(pk=notice.subject_id, state=Milestone.State.OPEN)
        .first()
    )
    if item is None or not _is_still(notice, "owner", item.owner):
        return []
    title = _("'%(name)s' of %(roadmap)s is yours") % {"name": item.name, "roadmap": item.phase.roadmap.name}
    url = f"{item.phase.get_absolute_url()}#milestones"
    return _tell([item.owner_id], "ownership", title, text=_due(item.due_on), url=url)


def _due(on: date) -> str:
    return _("Due %(day)s.") % {"day": wording.day(on)}


def _phase(notice: Notice) -> list[Told]:
    phase = Phase.objects.select_related("roadmap__workload", "owner").filter(pk=notice.subject_id).first()
    if phase is None or not _is_still(notice, "owner", phase.owner):
        return []
    title = _("%(phase)s of %(roadmap)s is yours") % {
        "phase": phase.get_kind_display(),
        "roadmap": phase.roadmap.name,
    }
    return _tell([phase.owner_id], "ownership", title, url=phase.get_absolute_url())


def _gate(notice: Notice) -> list[Told]:
    gate = Gate.objects.select_related("phase__roadmap__workload", "gatekeeper").filter(pk=notice.subject_id).first()
    if gate is None or not _is_still(notice, "gatekeeper", gate.gatekeeper):
        return []
    title = _("You decide the %(phase)s gate of %(roadmap)s") % {
        "phase": gate.phase.get_kind_display(),
        "roadmap": gate.phase.roadmap.name,
    }
    text = _due(gate.due_on)
    return _tell([gate.gatekeeper_id], "ownership", title, text=text, url=gate.get_absolute_url())


def _roadmap(notice: Notice) -> list[Told]:
    roadmap = Roadmap.objects.select_related("workload", "owner").filter(pk=notice.subject_id).first()
    if roadmap is None or not _is_still(notice, "owner", roadmap.owner):
        return []
    return _tell(
        [roadmap.owner_id],
        "ownership",
        _("%(roadmap)s is yours") % {"roadmap": roadmap.name},
        url=roadmap.get_absolute_url(),
    )


def _report(notice: Notice) -> list[Told]:
    """A roadmap's own; that of the portfolio lies in Reports for those who read everything."""
    report = Report.objects.select_related("roadmap__workload").filter(pk=notice.subject_id).first()
    if report is None or report.roadmap is None:
        return []
    words = {"month": wording.month(report.month), "roadmap": report.roadmap.name, "revision": report.revision}
    if report.revision == 1:
        title = _("%(month)s of %(roadmap)s is published") % words
    else:
        title = _("%(month)s of %(roadmap)s is corrected (revision %(revision)s)") % words
    return _tell(_people_of(report.roadmap), "report", title, url=reverse("report", args=[report.uuid]))


def _people_of(roadmap: Roadmap) -> list[int | None]:
    """Owner, sponsor, the phases' owners and the members."""
    return [
        roadmap.owner_id,
        roadmap.sponsor_id,
        *roadmap.phases.order_by("position").values_list("owner_id", flat=True),
        *roadmap.workload.memberships.order_by("pk").values_list("user_id", flat=True),
    ]


def _is_still(notice: Notice, field: str, now: User | None) -> bool:
    """Whether who was named is still named; a change that came after has a notice of its own."""
    after = (notice.event.after if notice.event else None) or {}
    return field not in after or after[field] == (None if now is None else str(now))


_OF_ACTIONS: dict[str, Callable[[Notice], list[Told]]] = {
    "add_comment": _comment,
    "change_comment": _comment,
    "decide_gate": _decision,
    "undo_decision": _decision,
    "make_roadmap": _roadmap,
    "change_roadmap": _roadmap,
    "add_milestone": _milestone,
    "change_milestone": _milestone,
    "change_phase": _phase,
    "change_gate": _gate,
    "publish_report": _report,
}

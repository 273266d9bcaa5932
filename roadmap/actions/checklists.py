"""Items of a phase to tick."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext

from accounts.access import Asker
from accounts.models import Role
from metrics.errors import RuleViolation
from roadmap.actions.changes import change, check, record, require, text_required
from roadmap.models import ChecklistItem, Phase

CHANGEABLE = frozenset({"category", "name", "evidence_url"})


@transaction.atomic
def add_checklist_item(
    asker: Asker, phase: Phase, *, category: str, name: str, evidence_url: str = ""
) -> ChecklistItem:
    """A new item at the end of its phase's list."""
    require(asker, Role.MANAGER, phase.roadmap)
    last = phase.checklist.order_by("-position").values_list("position", flat=True).first()
    item = ChecklistItem(
        phase=phase,
        category=category,
        name=text_required(name, field="name", what=gettext("the item a name")),
        evidence_url=evidence_url,
        position=0 if last is None else last + 1,
    )
    check(item)
    item.save()
    record(asker, "add_checklist_item", item, phase.roadmap, None, {"category": category, "name": item.name})
    return item


@transaction.atomic
def change_checklist_item(asker: Asker, item: ChecklistItem, **changes: Any) -> ChecklistItem:
    """Changes the fields of CHANGEABLE."""
    require(asker, Role.MANAGER, item.phase.roadmap)
    unknown = set(changes) - CHANGEABLE
    if unknown:
        raise TypeError(f"unknown fields: {sorted(unknown)}")
    item = _locked(item)
    if "name" in changes:
        changes["name"] = text_required(changes["name"], field="name", what=gettext("the item a name"))
    before, after = change(item, changes)
    item.save()
    record(asker, "change_checklist_item", item, item.phase.roadmap, before, after)
    return item


@transaction.atomic
def tick_checklist_item(
    asker: Asker, item: ChecklistItem, *, is_done: bool = True, evidence_url: str | None = None
) -> ChecklistItem:
    """Ticks the item, or takes the tick away; `evidence_url` is changed where given."""
    require(asker, Role.CONTRIBUTOR, item.phase.roadmap)
    item = _locked(item)
    changes: dict[str, Any] = {}
    if evidence_url is not None:
        changes["evidence_url"] = evidence_url
    if is_done != item.is_done:
        changes |= {
            "is_done": is_done,
            "done_at": timezone.now() if is_done else None,
            "done_by": asker.user if is_done else None,
        }
    before, after = change(item, changes)
    item.save()
    record(asker, "tick_checklist_item", item, item.phase.roadmap, before, after)
    return item


@transaction.atomic
def delete_checklist_item(asker: Asker, item: ChecklistItem) -> None:
    """Gone. An item that a gate asks for leaves the gate first."""
    roadmap = item.phase.roadmap
    require(asker, Role.MANAGER, roadmap)
    item = _locked(item)
    if item.criteria.exists():
        raise RuleViolation(
            "in_use", gettext("The gate asks for '%(name)s'. Take it out of the gate first.") % {"name": item.name}
        )
    record(asker, "delete_checklist_item", item, roadmap, {"category": item.category, "name": item.name}, None)
    item.delete()


def _locked(item: ChecklistItem) -> ChecklistItem:
    return (
        ChecklistItem.objects.select_for_update(of=("self",)).select_related("phase__roadmap__workload").get(pk=item.pk)
    )

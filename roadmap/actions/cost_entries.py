"""Money a backend cannot report, entered by hand or over REST."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils.translation import gettext

from accounts.access import Asker
from accounts.models import Role
from metrics import series
from metrics.errors import RuleViolation
from roadmap.actions.changes import change, check, check_currency, record, require, text_required
from roadmap.models import CostEntry, Phase
from roadmap.rules.phases import check_day

CHANGEABLE = frozenset(
    {"name", "category", "kind", "status", "amount", "currency", "start_on", "end_on", "outside_key"}
)


@transaction.atomic
def add_cost_entry(
    asker: Asker, phase: Phase, *, name: str, category: str, amount: Decimal, start_on: date, **fields: Any
) -> CostEntry:
    """A new entry, on one day or spread by the day until `end_on`; in the reporting currency unless one is given."""
    require(asker, Role.CONTRIBUTOR, phase.roadmap)
    entry = CostEntry(
        roadmap=phase.roadmap,
        phase=phase,
        name=text_required(name, field="name", what=gettext("the entry a name")),
        category=category,
        amount=amount,
        start_on=start_on,
        author=asker.user,
        **{"currency": settings.REPORTING_CURRENCY, **_known(fields)},
    )
    _check_entry(entry)
    _check_key(entry)
    entry.save()
    record(asker, "add_cost_entry", entry, phase.roadmap, None, _facts(entry))
    return entry


@transaction.atomic
def change_cost_entry(asker: Asker, entry: CostEntry, **changes: Any) -> CostEntry:
    """Changes the fields of CHANGEABLE."""
    require(asker, Role.CONTRIBUTOR, entry.roadmap)
    entry = CostEntry.objects.select_for_update(of=("self",)).select_related("roadmap__workload").get(pk=entry.pk)
    if "name" in changes:
        changes["name"] = text_required(changes["name"], field="name", what=gettext("the entry a name"))
    before, after = change(entry, _known(changes))
    _check_entry(entry)
    _check_key(entry)
    entry.save()
    record(asker, "change_cost_entry", entry, entry.roadmap, before, after)
    return entry


@transaction.atomic
def delete_cost_entry(asker: Asker, entry: CostEntry) -> None:
    """Gone; what it was stays on the audit trail."""
    require(asker, Role.CONTRIBUTOR, entry.roadmap)
    record(asker, "delete_cost_entry", entry, entry.roadmap, _facts(entry), None)
    entry.delete()


def _known(fields: dict[str, Any]) -> dict[str, Any]:
    unknown = set(fields) - CHANGEABLE
    if unknown:
        raise TypeError(f"unknown fields: {sorted(unknown)}")
    return fields


def _facts(entry: CostEntry) -> dict[str, Any]:
    return {name: getattr(entry, name) for name in sorted(CHANGEABLE) if getattr(entry, name) not in (None, "")}


def _check_key(entry: CostEntry) -> None:
    if not entry.outside_key:
        return
    others = CostEntry.objects.filter(roadmap=entry.roadmap, outside_key=entry.outside_key).exclude(pk=entry.pk)
    if other := others.first():
        raise RuleViolation(
            "already_key_taken",
            gettext("'%(name)s' of this roadmap has the key %(outside_key)s already.")
            % {"name": other.name, "outside_key": entry.outside_key},
            "outside_key",
        )


def _check_entry(entry: CostEntry) -> None:
    entry.currency = check_currency(entry.currency)
    check(entry)
    if entry.amount <= 0:
        raise RuleViolation("amount", gettext("Give an amount above zero."), "amount")
    check_day(entry.start_on, field="start_on")
    if entry.end_on is not None:
        check_day(entry.end_on, field="end_on")
        if entry.end_on < entry.start_on:
            raise RuleViolation("ends_before_it_starts", gettext("The last day is not before the first."), "end_on")
    if entry.category == CostEntry.Category.HARDWARE:
        rated = series.rated_backends(entry.roadmap.workload_id, entry.start_on, entry.end_on or entry.start_on)
        if rated:
            raise RuleViolation(
                "hardware_has_rate_card",
                gettext(
                    "%(rated)s has a rate card in these days and is counted by it already. Hardware that "
                    "serves no backend belongs here; a backend's belongs to its rate card."
                )
                % {"rated": ", ".join(rated)},
                "category",
            )

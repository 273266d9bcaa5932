"""What somebody may change, as rows of an import: the workbook to change a plan in. As it is it changes nothing.

Values are keyed by the field of a column; a column without a value stays empty. Readings are history and left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

from accounts.access import Asker, visible_workloads
from accounts.models import Membership, Role, User
from roadmap.imports.cost_entries import CostEntries
from roadmap.imports.kpis import Kpis
from roadmap.imports.lookup import Importer
from roadmap.imports.milestones import Milestones
from roadmap.imports.roadmaps import Roadmaps
from roadmap.labels import Labels
from roadmap.models import CostEntry, Kpi, Milestone, Phase, Roadmap

Row = Mapping[str, str | int | Decimal | date | None]
_LABELS: Mapping[type[Importer], Mapping[str, Labels]] = {
    importer: {column.field: column.choices for column in importer.columns if column.choices}
    for importer in (Roadmaps, Milestones, Kpis, CostEntries)
}


def own_plan(asker: Asker) -> dict[str, Sequence[Row]]:
    """The rows by kind, of every roadmap that the asker contributes to or manages; demo roadmaps aside. 6 queries."""
    rows = Roadmap.objects.filter(workload__in=visible_workloads(asker), workload__is_demo=False)
    if not asker.user.is_admin:
        held = asker.user.memberships.filter(role__in=[Role.MANAGER, Role.CONTRIBUTOR])
        rows = rows.filter(workload__in=held.values("workload"))
    roadmaps = list(rows.select_related("workload", "owner", "sponsor", "programme").order_by("workload__slug"))
    return {
        "roadmaps": list(_roadmaps(roadmaps)),
        "milestones": list(_milestones(roadmaps)),
        "kpis": list(_kpis(roadmaps)),
        "cost_entries": list(_cost_entries(roadmaps)),
    }


def _roadmaps(roadmaps: Sequence[Roadmap]) -> Iterator[Row]:
    phases: dict[int, dict[str, Phase]] = {roadmap.pk: {} for roadmap in roadmaps}
    for phase in Phase.objects.filter(roadmap__in=roadmaps).order_by("position"):
        phases[phase.roadmap_id][phase.kind] = phase
    people: dict[tuple[int, str], list[str]] = {}
    members = Membership.objects.filter(workload__in=[roadmap.workload_id for roadmap in roadmaps])
    for member in members.select_related("user").order_by("user__username"):
        people.setdefault((member.workload_id, member.role), []).append(member.user.username)
    for roadmap in roadmaps:
        first = next(iter(phases[roadmap.pk].values()))
        names = ("summary", "business_unit", "cost_centre", "industry", "unit_of_work", "risk_class", "data_class")
        yield {
            "key": roadmap.slug,
            "name": roadmap.name,
            "owner": _username(roadmap.owner),
            "sponsor": _username(roadmap.sponsor),
            "programme": roadmap.programme.name if roadmap.programme else "",
            "start_on": first.planned_start_on,
            "currency": first.budget_currency,
            **_values(Roadmaps, roadmap, names),
            **{f"{kind}_budget": phase.budget_amount for kind, phase in phases[roadmap.pk].items()},
            **{
                f"{role}s": "; ".join(people.get((roadmap.workload_id, role), ()))
                for role in (Role.MANAGER.value, Role.CONTRIBUTOR.value, Role.VIEWER.value)
            },
        }


def _milestones(roadmaps: Sequence[Roadmap]) -> Iterator[Row]:
    rows = Milestone.objects.filter(phase__roadmap__in=roadmaps).select_related("phase__roadmap__workload", "owner")
    rows = rows.prefetch_related("depends_on").order_by("phase__roadmap__workload__slug", "phase__position", "due_on")
    for item in rows:
        yield {
            **_place(item.phase),
            "key": item.outside_key,
            "owner": _username(item.owner),
            "depends_on": "; ".join(before.outside_key or before.name for before in item.depends_on.all()),
            **_values(Milestones, item, ("name", "due_on", "state", "done_on", "dropped_reason", "evidence_url")),
        }


def _kpis(roadmaps: Sequence[Roadmap]) -> Iterator[Row]:
    rows = Kpi.objects.filter(phase__roadmap__in=roadmaps).select_related("phase__roadmap__workload", "rate_owner")
    names = (
        *("key", "name", "unit", "direction", "measure", "formula", "combine", "minimum_sample", "baseline"),
        *("target", "target_on", "is_value", "rate_amount", "rate_currency", "rate_source"),
    )
    for kpi in rows.order_by("phase__roadmap__workload__slug", "phase__position", "position"):
        yield {
            **_place(kpi.phase),
            "window": "phase" if kpi.window_days is None else str(kpi.window_days),
            "rate_owner": _username(kpi.rate_owner),
            **_values(Kpis, kpi, names),
        }


def _cost_entries(roadmaps: Sequence[Roadmap]) -> Iterator[Row]:
    rows = CostEntry.objects.filter(roadmap__in=roadmaps).select_related("roadmap__workload", "phase")
    names = ("name", "category", "amount", "currency", "start_on", "end_on", "kind", "status")
    for entry in rows.order_by("roadmap__workload__slug", "start_on", "pk"):
        yield {
            "roadmap": entry.roadmap.slug,
            "phase": entry.phase.get_kind_display() if entry.phase else "",
            "key": entry.outside_key,
            **_values(CostEntries, entry, names),
        }


def _values(importer: type[Importer], row: Any, names: Sequence[str]) -> dict[str, Any]:
    """Fields as cells: choices by their label, yes and no as words."""
    found: dict[str, Any] = {}
    for name in names:
        value = getattr(row, name)
        labels = _LABELS[importer].get(name)
        if isinstance(value, bool):
            value = "yes" if value else "no"
        found[name] = str(labels[value]) if labels and value in labels else value
    return found


def _place(phase: Phase) -> dict[str, str]:
    return {"roadmap": phase.roadmap.slug, "phase": phase.get_kind_display()}


def _username(person: User | None) -> str:
    return person.username if person else ""

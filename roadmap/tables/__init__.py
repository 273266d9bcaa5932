"""The tables of a roadmap's pages as files, by the name in the address: columns, rows, and who may have them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from accounts.access import Asker
from accounts.models import Role
from roadmap.models import Phase, Roadmap
from roadmap.tables import plan, talk
from web.file_tables import FileTable

Rows = Callable[[Asker, Roadmap, list[Phase]], Iterable[Any]]


@dataclass(frozen=True, slots=True)
class PlanTable:
    """`rows` gives those of the phases that are asked for; `role`: who sees the page that it stands on."""

    table: FileTable[Any]
    rows: Rows
    role: Role = Role.VIEWER


PLAN_TABLES: Mapping[str, PlanTable] = {
    "phases": PlanTable(plan.PHASES, plan.phase_lines),
    "milestones": PlanTable(plan.MILESTONES, plan.milestone_lines),
    "checklist": PlanTable(plan.CHECKLIST, plan.checklist_items),
    "kpis": PlanTable(plan.KPIS, plan.kpi_lines),
    "cost-entries": PlanTable(plan.COST_ENTRIES, plan.cost_lines),
    "slips": PlanTable(plan.SLIPS, plan.slip_lines),
    "risks": PlanTable(talk.RISKS, talk.risks),
    "updates": PlanTable(talk.UPDATES, talk.updates),
    "comments": PlanTable(talk.COMMENTS, talk.comment_lines),
    "activity": PlanTable(talk.ACTIVITY, talk.activity_lines),
    # On the settings page, which is a manager's.
    "people": PlanTable(talk.PEOPLE, talk.members, Role.MANAGER),
}

"""The roadmaps whose spend an asker may see, with what it is told apart by; and what may be filtered by."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from accounts.access import Asker, sees_everything, visible_workloads
from metrics import series
from metrics.figures import Slice
from metrics.source_facts import SeriesNames
from roadmap.models import CostEntry, Phase, Roadmap
from roadmap.queries.together import read_together
from roadmap.rules import spending
from roadmap.rules.spending import Member, member

DAY = timedelta(days=1)
LAST_DAY = date(9999, 12, 31)


@dataclass(frozen=True, slots=True)
class Plan:
    """The roadmaps that an asker may see, with their phases and cost entries; demo ones only where they count."""

    sees_all: bool
    include_demo: bool
    has_demo: bool
    roadmaps: Mapping[int, Roadmap]
    phases: Sequence[Phase]
    entries: Sequence[CostEntry]

    @property
    def slices(self) -> list[Slice]:
        """The windows of the phases that have started."""
        workloads = {roadmap.pk: workload for workload, roadmap in self.roadmaps.items()}
        return [
            Slice(
                workloads[phase.roadmap_id],
                phase.started_on,
                phase.ended_on + DAY if phase.ended_on else LAST_DAY,
                phase.kind,
            )
            for phase in self.phases
            if phase.started_on is not None
        ]


def plan_of(asker: Asker) -> Plan:
    """Two or three queries, however many roadmaps there are."""
    found = list(Roadmap.objects.select_related("workload", "programme").filter(workload__in=visible_workloads(asker)))
    ids = [roadmap.pk for roadmap in found]
    rows: dict[str, list[Any]] = {"phases": [], "entries": []}
    if ids:
        rows = read_together(
            {
                "phases": Phase.objects.filter(roadmap__in=ids).order_by("roadmap_id", "position"),
                "entries": CostEntry.objects.filter(roadmap__in=ids),
            }
        )
    demo = {roadmap.pk for roadmap in found if roadmap.workload.is_demo}
    # From the first real figure on the demo is in no total.
    include_demo = not (any(entry.roadmap_id not in demo for entry in rows["entries"]) or series.has_real_usage())
    kept = [roadmap for roadmap in found if include_demo or roadmap.pk not in demo]
    kept_ids = {roadmap.pk for roadmap in kept}
    return Plan(
        sees_all=sees_everything(asker),
        include_demo=include_demo,
        has_demo=bool(demo),
        roadmaps={roadmap.workload_id: roadmap for roadmap in kept},
        phases=[phase for phase in rows["phases"] if phase.roadmap_id in kept_ids],
        entries=[entry for entry in rows["entries"] if entry.roadmap_id in kept_ids],
    )


def plan_of_roadmap(roadmap: Roadmap) -> Plan:
    """The plan of one roadmap, for what is computed for everybody who may see it. One query more for its entries."""
    return Plan(
        sees_all=False,
        include_demo=roadmap.workload.is_demo,
        has_demo=roadmap.workload.is_demo,
        roadmaps={roadmap.workload_id: roadmap},
        phases=list(roadmap.phases.order_by("position")),
        entries=list(CostEntry.objects.filter(roadmap=roadmap)),
    )


def roadmap_members(roadmap: Roadmap) -> dict[str, Member]:
    """What the plan says of a roadmap's spend."""
    unit, programme = roadmap.business_unit, roadmap.programme.name if roadmap.programme else ""
    return {
        "roadmap": member(roadmap.slug, roadmap.name),
        "business_unit": member(unit) if unit else spending.NO_UNIT,
        "programme": member(programme) if programme else spending.NO_PROGRAMME,
    }


Choices = dict[str, list[tuple[str, str]]]


def choices_of(plan: Plan, names: Sequence[SeriesNames]) -> Choices:
    """What may be filtered by: (value, text) by filter, what is special last."""

    def of(found: Iterable[Member], *special: Member) -> list[tuple[str, str]]:
        ordered = [*sorted(set(found)), *special]
        return [(one.id, one.title) for one in dict.fromkeys(ordered)]

    plans = [roadmap_members(roadmap) for roadmap in plan.roadmaps.values()]
    nobody = (spending.UNALLOCATED,) if plan.sees_all else ()
    sources: Callable[[str], set[Member]] = lambda name: {  # noqa: E731 - used three times below
        member(value) for one in names if (value := getattr(one, name))
    }
    entered = {member(entry.category, entry.get_category_display(), rank=5) for entry in plan.entries}
    usage = [spending.USAGE, spending.IDLE_CATEGORY, spending.OTHER_CATEGORY, *spending.CHARGES.values()]
    return {
        "roadmap": of((one["roadmap"] for one in plans), *nobody),
        "phase": of(spending.PHASES.values(), spending.OUTSIDE, *nobody),
        "business_unit": of((one["business_unit"] for one in plans), *nobody),
        "programme": of((one["programme"] for one in plans), *nobody),
        "provider": of(sources("provider"), spending.ENTERED),
        "backend": of((member(one.backend_slug, one.backend_name) for one in names), spending.ENTERED),
        "model": of(sources("model"), spending.IDLE, spending.OTHER_CHARGES, spending.ENTERED),
        "team": of(sources("team"), spending.NO_TEAM, spending.IDLE, spending.OTHER_CHARGES, spending.ENTERED),
        "category": of([*usage, *entered]),
        "basis": of([spending.BILLED, spending.ESTIMATED, spending.ENTERED_BASIS], spending.NOT_PRICED),
    }

"""The templates that a roadmap can be made from: those that come with the product, and the organisation's own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from django.conf import settings
from django.utils.translation import gettext

from metrics.errors import RuleViolation
from roadmap.kpis import BY_NAME
from roadmap.models import PlanTemplate
from roadmap.template import KpiTemplate, PhaseTemplate, Template
from roadmap.template_files import load_templates, read_template, shipped
from web import wording


@dataclass(frozen=True, slots=True)
class Group:
    """The templates of one industry."""

    industry: str
    templates: Sequence[Template]


@dataclass(frozen=True, slots=True)
class KpiPreview:
    """A KPI of a template in words: 'p95 latency', 'ms, lower is better', 'for example ≤ 2,000'."""

    name: str
    unit: str
    direction: str
    example: str
    is_value: bool


@dataclass(frozen=True, slots=True)
class PhasePreview:
    """A phase of a template as somebody sees it who has to choose."""

    part: PhaseTemplate
    kpis: Sequence[KpiPreview]
    criteria: Sequence[tuple[str, bool]]


def own_template(row: PlanTemplate) -> Template:
    """An own template as a roadmap can be made from it."""
    return replace(read_template(row.document, slug=row.slug), name=row.name, is_own=True)


def all_templates() -> list[Template]:
    """What can be chosen: shipped ones, then own ones that are not retired. One query."""
    own = PlanTemplate.objects.filter(retired_at=None).order_by("name", "pk")
    return [*load_templates(), *(own_template(row) for row in own)]


def template_named(slug: str) -> Template:
    """The template of this name; a RuleViolation where there is none, or where it is retired."""
    found = shipped().get(slug)
    if found is not None:
        return found
    row = None if "\0" in slug else PlanTemplate.objects.filter(slug=slug).first()
    if row is None:
        raise RuleViolation("unknown_template", gettext("There is no such template."), "template")
    if row.retired_at is not None:
        raise RuleViolation(
            "template_retired", gettext("The template '%(name)s' is retired.") % {"name": row.name}, "template"
        )
    return own_template(row)


def by_industry(templates: Sequence[Template]) -> list[Group]:
    """The templates as the choice shows them: any use case first, then each industry, own ones last."""
    groups: dict[str, list[Template]] = {}
    for item in templates:
        title = gettext("Your organisation's own") if item.is_own else item.industry or gettext("Any industry")
        groups.setdefault(title, []).append(item)
    return [Group(title, rows) for title, rows in groups.items()]


def preview_of(template: Template, *, unit_of_work: str = "") -> list[PhasePreview]:
    """What a roadmap gets from the template, phase by phase, for a unit of work (the template's where not given)."""
    unit = unit_of_work or template.unit_of_work
    previews = []
    for part in template.phases:
        kpis = [kpi for kpi in part.kpis if not kpi.units or not unit or unit in kpi.units]
        names = {item.key: item.name for item in part.milestones}
        names |= {item.key: item.name for item in part.checklist}
        names |= {item.key: item.name for item in kpis}
        previews.append(
            PhasePreview(
                part,
                [_kpi(kpi) for kpi in kpis],
                [
                    (names[item.subject].replace("{currency}", settings.REPORTING_CURRENCY), item.is_must)
                    for item in part.criteria
                    if item.subject in names
                ],
            )
        )
    return previews


def _kpi(kpi: KpiTemplate) -> KpiPreview:
    currency = settings.REPORTING_CURRENCY
    unit = BY_NAME[kpi.measure].unit_in(currency) if kpi.measure else kpi.unit.replace("{currency}", currency)
    direction = kpi.direction or BY_NAME[kpi.measure].direction
    sign = "≥" if direction == "higher" else "≤"
    example = "" if kpi.example is None else f"{sign} {wording.number(kpi.example)}"
    return KpiPreview(
        kpi.name.replace("{currency}", currency),
        unit,
        gettext("%(direction)s is better") % {"direction": direction},
        example,
        kpi.is_value,
    )

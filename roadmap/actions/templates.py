"""The organisation's own templates: a roadmap saved as one, imports, new names, retiring."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal

from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.text import slugify
from django.utils.translation import gettext

from accounts import audit
from accounts.access import Asker, can_make_roadmaps
from accounts.models import Role
from metrics.errors import RuleViolation
from roadmap.actions.changes import require, text_required
from roadmap.models import ChecklistItem, Gate, GateCriterion, Kpi, Milestone, Phase, PlanTemplate, Roadmap
from roadmap.queries.schedule import dependencies_of
from roadmap.template import (
    ChecklistTemplate,
    CriterionTemplate,
    KpiTemplate,
    MilestoneTemplate,
    PhaseTemplate,
    RiskTemplate,
    Template,
    check_template,
)
from roadmap.template_files import read_template, shipped, write_template
from web import wording

MAX_OWN = 200


def save_as_template(asker: Asker, roadmap: Roadmap, *, name: str) -> PlanTemplate:
    """The plan of a roadmap as a template: dates as shares of their phase, nobody's name, no money, no evidence.

    Targets become examples, dropped milestones and conditions of gates stay behind.
    """
    require(asker, Role.MANAGER, roadmap)
    template = replace(
        template_from(roadmap), name=text_required(name, field="name", what=gettext("the template a name"))
    )
    check_template(template)
    return _keep(asker, template, action="save_as_template", source=roadmap.slug)


def import_template(asker: Asker, text: str, *, name: str = "") -> PlanTemplate:
    """A template from a YAML text, under its own name unless another is given."""
    if not can_make_roadmaps(asker):
        raise PermissionDenied(gettext("Only an admin, or who manages a roadmap, may import a template."))
    template = read_template(text, slug="import")
    if name.strip():
        template = replace(template, name=name.strip())
    return _keep(asker, template, action="import_template", source="YAML")


@transaction.atomic
def rename_template(asker: Asker, row: PlanTemplate, *, name: str) -> PlanTemplate:
    """Another name; the address stays."""
    row = _held(asker, row)
    name = _name(name, but=row)
    before, row.name = row.name, name
    row.document = write_template(replace(read_template(row.document, slug=row.slug), name=name))
    row.save(update_fields=["name", "document"])
    audit.record(asker, action="rename_template", subject=row, before={"name": before}, after={"name": name})
    return row


@transaction.atomic
def retire_template(asker: Asker, row: PlanTemplate, *, is_retired: bool = True) -> PlanTemplate:
    """Offers it no longer, or again. Roadmaps made from it keep their plan."""
    row = _held(asker, row)
    before, row.retired_at = row.retired_at, timezone.now() if is_retired else None
    row.save(update_fields=["retired_at"])
    audit.record(
        asker,
        action="retire_template",
        subject=row,
        before={"is_retired": before is not None},
        after={"is_retired": is_retired},
    )
    return row


def may_change(asker: Asker, row: PlanTemplate) -> bool:
    """Admins, and who made it while they may make roadmaps."""
    is_bound = asker.token is not None and asker.token.workload_id is not None
    return not is_bound and (asker.user.is_admin or (row.made_by_id == asker.user.pk and can_make_roadmaps(asker)))


def template_from(roadmap: Roadmap) -> Template:
    """The plan of a roadmap as a template, in nine queries."""
    phases = list(roadmap.phases.order_by("position"))
    milestones: dict[int, list[Milestone]] = {phase.pk: [] for phase in phases}
    open_or_done = Milestone.objects.filter(phase__in=phases, is_condition=False).exclude(state=Milestone.State.DROPPED)
    for item in open_or_done.order_by("due_on", "pk"):
        milestones[item.phase_id].append(item)
    keys = {
        item.pk: key
        for rows in milestones.values()
        for item, key in zip(rows, _keys([row.name for row in rows], "m"), strict=True)
    }
    kinds = {phase.pk: phase.kind for phase in phases}
    full = {item.pk: f"{kinds[item.phase_id]}.{keys[item.pk]}" for rows in milestones.values() for item in rows}
    waits_for = dependencies_of(roadmap)
    parts = [_part(phase, milestones[phase.pk], keys, full, waits_for) for phase in phases]
    risks: dict[str, RiskTemplate] = {}
    for risk in roadmap.risks.order_by("pk"):
        risks[risk.name] = RiskTemplate(risk.name, risk.category, risk.likelihood, risk.impact, risk.response)
    return Template(
        slug="",
        name=roadmap.name[:120],
        summary=roadmap.summary[:1000].strip(),
        phases=tuple(parts),
        risks=tuple(risks.values()),
        industry=roadmap.industry,
        unit_of_work=roadmap.unit_of_work,
        risk_class=roadmap.risk_class,
        data_class=roadmap.data_class,
    )


def _part(
    phase: Phase,
    milestones: Sequence[Milestone],
    keys: Mapping[int, str],
    full: Mapping[int, str],
    waits_for: Mapping[int, set[int]],
) -> PhaseTemplate:
    items = list(ChecklistItem.objects.filter(phase=phase).order_by("position", "pk"))
    kpis = list(Kpi.objects.filter(phase=phase).order_by("position", "pk"))
    item_keys = dict(zip([item.pk for item in items], _keys([item.name for item in items], "c"), strict=True))
    # Formulas know KPIs by their keys.
    made = _keys([kpi.name for kpi in kpis], "k")
    kpi_keys = {kpi.pk: kpi.key or key for kpi, key in zip(kpis, made, strict=True)}
    criteria = []
    gate = Gate.objects.filter(phase=phase).first()
    for row in GateCriterion.objects.filter(gate=gate).order_by("position", "pk") if gate else ():
        subject = (
            kpi_keys.get(row.kpi_id or 0)
            or keys.get(row.milestone_id or 0)
            or item_keys.get(row.checklist_item_id or 0)
        )
        if subject:
            criteria.append(CriterionTemplate(subject, row.needs, row.is_must))
    return PhaseTemplate(
        kind=phase.kind,
        months=_months(phase.planned_start_on, phase.planned_end_on),
        milestones=tuple(
            MilestoneTemplate(
                keys[item.pk],
                item.name,
                _share(phase, item.due_on),
                tuple(full[before] for before in sorted(waits_for.get(item.pk, ())) if before in full),
            )
            for item in milestones
        ),
        checklist=tuple(ChecklistTemplate(item_keys[item.pk], item.category, item.name) for item in items),
        kpis=tuple(_kpi(kpi, kpi_keys[kpi.pk]) for kpi in kpis),
        criteria=tuple({row.subject: row for row in criteria}.values()),
    )


def _kpi(kpi: Kpi, key: str) -> KpiTemplate:
    example = kpi.example if kpi.target is None else kpi.target
    is_computed = kpi.source == Kpi.Source.COMPUTED
    return KpiTemplate(
        key=key,
        name=kpi.name,
        unit="" if is_computed else kpi.unit,
        direction="" if is_computed else kpi.direction,
        measure=kpi.measure if is_computed else "",
        formula=kpi.formula,
        window_days=kpi.window_days,
        combine=kpi.combine,
        minimum_sample=kpi.minimum_sample,
        example=None if example is None else example.normalize(),
        is_value=kpi.is_value,
    )


def _share(phase: Phase, day: date) -> Decimal:
    """Where a day lies in its phase, 0 to 1 with four decimals; one outside counts as its first or last day."""
    length = (phase.planned_end_on - phase.planned_start_on).days
    passed = (day - phase.planned_start_on).days
    if length <= 0:
        return Decimal(1)
    return (Decimal(min(max(passed, 0), length)) / length).quantize(Decimal("0.0001"))


def _months(start_on: date, end_on: date) -> int:
    return min(60, max(1, round(((end_on - start_on).days + 1) / 30.4375)))


def _keys(names: Sequence[str], prefix: str) -> list[str]:
    """A readable key for each name, none twice; the prefix keeps milestones, items and KPIs apart."""
    found: list[str] = []
    for name in names:
        base = f"{prefix}_{slugify(name)[:48].replace('-', '_')}".rstrip("_")
        key, number = base, 1
        while key in found:
            number += 1
            key = f"{base}_{number}"
        found.append(key)
    return found


def _name(name: str, *, but: PlanTemplate | None = None) -> str:
    name = text_required(name, field="name", what=gettext("the template a name"))
    if len(name) > 120:
        raise RuleViolation("too_long", gettext("The name has at most 120 characters."), "name")
    others = PlanTemplate.objects.filter(name__iexact=name)
    taken = {item.name.lower() for item in shipped().values()}
    if name.lower() in taken or (others.exclude(pk=but.pk) if but else others).exists():
        raise RuleViolation(
            "already_named",
            gettext("There is a template '%(name)s' already. Choose another name.") % {"name": name},
            "name",
        )
    return name


@transaction.atomic
def _keep(asker: Asker, template: Template, *, action: str, source: str) -> PlanTemplate:
    name = _name(template.name)
    if PlanTemplate.objects.count() >= MAX_OWN:
        raise RuleViolation(
            "too_many",
            gettext("There are %(count)s own templates, retired ones included.") % {"count": wording.count(MAX_OWN)},
            "name",
        )
    base = slugify(name)[:70] or "template"
    taken = set(PlanTemplate.objects.filter(slug__startswith=base).values_list("slug", flat=True)) | set(shipped())
    slug, number = base, 1
    while slug in taken:
        number += 1
        slug = f"{base}-{number}"
    row = PlanTemplate(slug=slug, name=name, document=write_template(template), made_by=asker.user)
    try:
        with transaction.atomic():
            row.save()
    except IntegrityError as error:
        raise RuleViolation(
            "conflict_changed_meanwhile", gettext("Somebody made one just now. Save again."), "name"
        ) from error
    audit.record(asker, action=action, subject=row, after={"name": name, "slug": slug, "from": source})
    return row


def _held(asker: Asker, row: PlanTemplate) -> PlanTemplate:
    if not may_change(asker, row):
        raise PermissionDenied(gettext("Only an admin, or who made this template, may change it."))
    return PlanTemplate.objects.select_for_update().get(pk=row.pk)

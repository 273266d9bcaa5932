"""Laying a template out on the phases of a new roadmap. Part of make_roadmap; decides nothing about who may."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from django.conf import settings

from roadmap.actions.changes import today
from roadmap.kpis import BY_NAME
from roadmap.models import ChecklistItem, Gate, GateCriterion, Kpi, Milestone, Phase, Risk, Roadmap
from roadmap.rules.formulas import key_from, read_formula
from roadmap.rules.phases import DAY, Span, day_at
from roadmap.template import PhaseTemplate, Template, full_key


def lay_out(
    roadmap: Roadmap, phases: Sequence[Phase], template: Template, *, current: str | None, takes_examples: bool = False
) -> None:
    """Milestones, checklists, KPIs, gates and risks. `current`: the phase it is in, when entered in the middle.

    Phases before the current one get a gate and nothing to do; the current one's milestones lie in what is left of it.
    With `takes_examples` the template's example targets become the KPIs' targets; else these have none.
    """
    laid: dict[str, Milestone] = {}
    past = [phase for phase in phases if current and phase.state == Phase.State.CLOSED]
    for phase, part in zip(phases, template.phases, strict=True):
        gate = Gate.objects.create(
            phase=phase, due_on=phase.planned_end_on, baseline_due_on=phase.planned_end_on, gatekeeper=None
        )
        if phase in past:
            continue
        span = Span(phase.planned_start_on, phase.planned_end_on)
        if phase.kind == current:
            first = max(span.start_on, today() + DAY)
            span = Span(min(first, span.end_on), span.end_on)
        made = _fill(gate, phase, part, span, roadmap.unit_of_work, takes_examples=takes_examples)
        laid |= {full_key(part.kind, key): milestone for key, milestone in made.items()}
    _connect(laid, template)
    Risk.objects.bulk_create(
        Risk(
            roadmap=roadmap,
            name=risk.name,
            category=risk.category,
            likelihood=risk.likelihood,
            impact=risk.impact,
            response=risk.response,
        )
        for risk in template.risks
    )


def _connect(laid: Mapping[str, Milestone], template: Template) -> None:
    """What waits for what, as far as both are in the plan."""
    through = Milestone.depends_on.through
    through.objects.bulk_create(
        through(from_milestone=laid[full_key(phase.kind, item.key)], to_milestone=laid[full_key(phase.kind, before)])
        for phase in template.phases
        for item in phase.milestones
        for before in dict.fromkeys(item.after)
        if full_key(phase.kind, item.key) in laid and full_key(phase.kind, before) in laid
    )


def _fill(
    gate: Gate, phase: Phase, part: PhaseTemplate, span: Span, unit_of_work: str, *, takes_examples: bool
) -> dict[str, Milestone]:
    milestones = {
        item.key: Milestone(
            phase=phase, name=item.name, due_on=day_at(span, item.at), baseline_due_on=day_at(span, item.at)
        )
        for item in part.milestones
    }
    checklist = {
        item.key: ChecklistItem(phase=phase, category=item.category, name=item.name, position=index)
        for index, item in enumerate(part.checklist)
    }
    kpis = {
        item.key: Kpi(
            phase=phase,
            name=item.name.replace("{currency}", settings.REPORTING_CURRENCY),
            key=key_from(item.key),
            unit=BY_NAME[item.measure].unit_in(settings.REPORTING_CURRENCY)
            if item.measure
            else item.unit.replace("{currency}", settings.REPORTING_CURRENCY),
            direction=item.direction or BY_NAME[item.measure].direction,
            source=Kpi.Source.COMPUTED if item.measure else Kpi.Source.FORMULA if item.formula else Kpi.Source.READ,
            formula=item.formula,
            measure=item.measure,
            window_days=item.window_days,
            combine=item.combine,
            minimum_sample=item.minimum_sample,
            target=item.example if takes_examples else None,
            example=item.example,
            is_value=item.is_value,
            position=index,
        )
        for index, item in enumerate(part.kpis)
        if not item.units or unit_of_work in item.units
    }
    while lame := [
        key for key, kpi in kpis.items() if kpi.formula and not read_formula(kpi.formula).names <= set(kpis)
    ]:
        # What it reads is for another unit of work.
        for key in lame:
            del kpis[key]
    Milestone.objects.bulk_create(milestones.values())
    ChecklistItem.objects.bulk_create(checklist.values())
    Kpi.objects.bulk_create(kpis.values())
    criteria = []
    for position, item in enumerate(part.criteria):
        # A KPI of another unit of work is not in this roadmap, and so not in its gate.
        subject = {
            "kpi": kpis.get(item.subject),
            "milestone": milestones.get(item.subject),
            "checklist_item": checklist.get(item.subject),
        }
        if any(subject.values()):
            criteria.append(
                GateCriterion(gate=gate, needs=item.needs, is_must=item.is_must, position=position, **subject)
            )
    GateCriterion.objects.bulk_create(criteria)
    return milestones

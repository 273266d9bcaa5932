"""Making the demo."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from accounts.access import Asker
from accounts.models import Membership, OrganisationRole, Role, User, Workload
from metrics import demo as usage
from metrics import series
from metrics.errors import RuleViolation
from metrics.figures import SourceFreshness
from metrics.windows import local_day
from roadmap.actions.reports import close_month
from roadmap.actions.roadmaps import make_roadmap
from roadmap.demo.plans import PLANS, KpiPlan, RoadmapPlan
from roadmap.demo.trail import write_trail
from roadmap.demo.usage import BACKENDS, PHASE_STARTS, SHARES, STREAMS
from roadmap.models import (
    Annotation,
    CostEntry,
    Gate,
    GateDecision,
    Milestone,
    MilestoneDate,
    Phase,
    Reading,
    Roadmap,
    Update,
)
from roadmap.queries.gate_state import criteria_of, evidence_document
from roadmap.queries.kpi_values import kpi_values
from roadmap.rules.gates import Outcome, plain, sha256_of
from roadmap.rules.reports import previous_month

DAY = timedelta(days=1)
PEOPLE = (
    ("admin", "Ada", "Admin", OrganisationRole.ADMIN),
    ("sanne", "Sanne", "Visser", OrganisationRole.MEMBER),
    ("femke", "Femke", "de Wit", OrganisationRole.EXECUTIVE),
    ("joris", "Joris", "Bakker", OrganisationRole.MEMBER),
)
PASSWORDS_FILE = "demo-sign-ins.json"
REPORT_MONTHS = 3


def seed(*, now: datetime | None = None) -> bool:
    """Makes the demo; False where it is there already. All or nothing: a seed that was killed leaves nothing behind."""
    if Workload.objects.filter(is_demo=True).exists():
        return False
    now = now or timezone.now()
    with transaction.atomic():
        people = _make_people(_passwords(settings.VAR_DIR / PASSWORDS_FILE))
        roadmaps = [_make_roadmap(plan, people, local_day(now, settings.REPORTING_ZONE)) for plan in PLANS]
        workloads = {roadmap.slug: roadmap.workload for roadmap in roadmaps}
        usage.seed(BACKENDS, STREAMS, workloads, SHARES, now=now)
        for roadmap in roadmaps:
            _decide_passed_gates(roadmap, people)
            write_trail(roadmap, people, now=now)
    _close_months(now)
    return True


def _passwords(file: Path) -> dict[str, str]:
    if not file.is_file():
        raise RuleViolation(
            "no_demo_passwords", f"{file} is missing: write it as {{'admin': '…', 'sanne': '…'}}, or start with bin/up."
        )
    return dict(json.loads(file.read_text()))


def _make_people(passwords: dict[str, str]) -> dict[str, User]:
    people = {}
    for username, first, last, role in PEOPLE:
        person, _ = User.objects.get_or_create(
            username=username,
            defaults={
                "first_name": first,
                "last_name": last,
                "organisation_role": role,
                "email": f"{username}@example.invalid",
                "is_demo": True,
            },
        )
        if person.is_demo:
            person.set_password(passwords[username])
            person.save(update_fields=["password"])
        people[username] = person
    return people


def _months_before(day: date, months: int) -> date:
    """The first of the month that many months ago."""
    month = day.replace(day=1)
    for _ in range(months):
        month = previous_month(month)
    return month


def _make_roadmap(plan: RoadmapPlan, people: dict[str, User], today: date) -> Roadmap:
    starts = [_months_before(today, months) for months in PHASE_STARTS[plan.slug]]
    roadmap = make_roadmap(
        Asker(people["admin"]),
        name=plan.name,
        slug=plan.slug,
        owner=people["sanne"],
        sponsor=people["femke"],
        start_on=starts[0],
        programme=plan.programme,
        currency="USD",
        budgets=dict(plan.budgets),
        is_demo=True,
        summary=plan.summary,
        industry=plan.industry,
        business_unit=plan.business_unit,
        cost_centre=plan.cost_centre,
        unit_of_work=plan.unit_of_work,
        risk_class=plan.risk_class,
        data_class=plan.data_class,
    )
    Membership.objects.create(user=people["joris"], workload=roadmap.workload, role=Role.CONTRIBUTOR)
    running = _move_phases(roadmap, starts)
    _fill_milestones(plan, running, people["joris"], today)
    _fill_checklist(plan, running, people["joris"], today)
    for item in plan.kpis:
        _fill_kpi(item, running, people["femke"], today)
    _fill_story(plan, roadmap, running, people, today)
    Gate.objects.filter(phase__roadmap=roadmap).update(gatekeeper=people["femke"])
    return roadmap


def _move_phases(roadmap: Roadmap, starts: Sequence[date]) -> Phase:
    """The phases as they really went; the running one is the last that has started. What was first promised stays."""
    phases = list(roadmap.phases.order_by("position"))
    for phase in phases[::-1]:
        place = phase.position - 1
        if place < len(starts):
            length = phase.planned_end_on - phase.planned_start_on
            phase.started_on = phase.planned_start_on = starts[place]
            phase.planned_end_on = starts[place] + length
            if place + 1 < len(starts):
                phase.ended_on = phase.planned_end_on = starts[place + 1] - DAY
        phase.state = (
            Phase.State.CLOSED
            if place < len(starts) - 1
            else Phase.State.ACTIVE
            if place == len(starts) - 1
            else Phase.State.PLANNED
        )
    # One may be active at a time, and windows may not overlap: planned and closed ones first.
    for phase in sorted(phases, key=lambda phase: (phase.state == Phase.State.ACTIVE, phase.position)):
        phase.save()
    running = phases[len(starts) - 1]
    following = running.planned_end_on + DAY
    for phase in phases[len(starts) :]:
        length = phase.planned_end_on - phase.planned_start_on
        phase.planned_start_on, phase.planned_end_on = following, following + length
        following = phase.planned_end_on + DAY
        phase.save()
    for phase in phases:
        Gate.objects.filter(phase=phase).update(due_on=phase.planned_end_on)
    return running


def _fill_milestones(plan: RoadmapPlan, running: Phase, owner: User, today: date) -> None:
    for milestone in Milestone.objects.filter(phase__roadmap=running.roadmap).select_related("phase"):
        phase = milestone.phase
        # The template laid it out on the phase as first promised.
        moved = phase.planned_start_on - phase.baseline_start_on
        milestone.due_on += moved
        milestone.owner = owner
        if phase.position < running.position:
            milestone.due_on = min(milestone.due_on, phase.ended_on or milestone.due_on)
            milestone.state, milestone.done_on = Milestone.State.DONE, milestone.due_on
        elif phase.pk == running.pk:
            milestone.baseline_due_on = milestone.due_on
        milestone.save()
    milestones = list(running.milestones.order_by("due_on", "id"))
    for milestone in milestones:
        for part, offset in plan.slips:
            if part in milestone.name:
                milestone.due_on = today + DAY * offset
    done = sorted(milestones, key=lambda milestone: milestone.due_on)
    for place, milestone in enumerate(done):
        if place < plan.done_milestones and milestone.due_on <= today:
            milestone.state, milestone.done_on = Milestone.State.DONE, milestone.due_on
        milestone.save()
    # As if it had happened on its day: the plan at the start, each tick when it was done.
    dates = MilestoneDate.objects.filter(milestone__phase__roadmap=running.roadmap).select_related("milestone")
    start_on = min(running.roadmap.phases.values_list("baseline_start_on", flat=True))
    for row in dates:
        done_on = row.milestone.done_on if row.state == Milestone.State.DONE else None
        row.at = datetime.combine(done_on or start_on, time(12), tzinfo=UTC)
    MilestoneDate.objects.bulk_update(dates, ["at"])


def _fill_checklist(plan: RoadmapPlan, running: Phase, person: User, today: date) -> None:
    noon = datetime.combine(today, time(12), tzinfo=UTC)
    for place, item in enumerate(running.checklist.order_by("position", "id")):
        if place < plan.ticked:
            item.is_done, item.done_by = True, person
            item.done_at = noon - DAY * (5 * (plan.ticked - place))
            item.save()


def _fill_kpi(plan: KpiPlan, running: Phase, owner: User, today: date) -> None:
    kpi = running.kpis.filter(measure=plan.subject).first() or running.kpis.get(name=plan.subject)
    kpi.target, kpi.baseline = plan.target, plan.baseline
    kpi.target_on = running.planned_end_on
    kpi.name = plan.name or kpi.name
    kpi.unit = plan.unit or kpi.unit
    if plan.rate is not None:
        kpi.rate_amount, kpi.rate_currency, kpi.rate_source = plan.rate, "USD", "Controlling, time study"
        kpi.rate_owner = owner
    kpi.save()
    noon = datetime.combine(today, time(12), tzinfo=UTC)
    Reading.objects.bulk_create(
        Reading(kpi=kpi, at=noon - DAY * days_ago, value=value) for days_ago, value in plan.readings
    )


def _fill_story(plan: RoadmapPlan, roadmap: Roadmap, running: Phase, people: dict[str, User], today: date) -> None:
    morning = datetime.combine(today, time(8, 40), tzinfo=UTC)
    Update.objects.bulk_create(
        Update(
            roadmap=roadmap,
            status=status,
            sentence=sentence,
            author=people["sanne"],
            created_at=morning - DAY * days_ago,
        )
        for days_ago, status, sentence in plan.updates
    )
    CostEntry.objects.bulk_create(
        CostEntry(
            roadmap=roadmap,
            phase=running,
            name=cost.name,
            category=cost.category,
            kind=cost.kind,
            status=cost.status,
            amount=cost.amount,
            currency="USD",
            start_on=today + DAY * cost.start,
            end_on=None if cost.end is None else today + DAY * cost.end,
            author=people["sanne"],
        )
        for cost in plan.costs
    )
    Annotation.objects.bulk_create(
        Annotation(phase=running, on=today - DAY * days_ago, text=text, author=people["joris"])
        for days_ago, text in plan.notes
    )
    begun = datetime.combine(roadmap.phases.get(position=1).planned_start_on, time(9), tzinfo=UTC)
    roadmap.risks.update(owner=people["sanne"], due_on=today + DAY * 45, created_at=begun)
    for name, likelihood, impact in plan.risks:
        roadmap.risks.filter(name=name).update(likelihood=likelihood, impact=impact)


def _decide_passed_gates(roadmap: Roadmap, people: dict[str, User]) -> None:
    """Gates that were passed: on measured evidence as it stood on that day, or recorded later where there was none."""
    for phase in roadmap.phases.filter(state=Phase.State.CLOSED).select_related("gate", "roadmap__workload"):
        assert phase.ended_on is not None  # noqa: S101 - a closed phase has ended
        decided_at = datetime.combine(phase.ended_on, time(15), tzinfo=UTC)
        values = kpi_values(phase, now=decided_at)
        is_measured = any(value.value is not None for value in values.values())
        decision = GateDecision(
            gate=phase.gate,
            outcome=Outcome.GO,
            reason="Quality, cost and latency are measured and hold; the team and the budget are there.",
            decided_by=people["femke"],
            decided_by_name=people["femke"].display_name,
            decided_on=phase.ended_on,
            is_recorded_later=not is_measured,
        )
        if is_measured:
            phase.checklist.update(is_done=True, done_at=decided_at, done_by=people["joris"])
            criteria = criteria_of([phase.gate], values={phase.pk: values}, today=phase.ended_on)[phase.gate.pk]
            document = plain(
                evidence_document(
                    phase.gate,
                    criteria,
                    outcome=decision.outcome,
                    reason=decision.reason,
                    decided_by=decision.decided_by_name,
                    decided_on=phase.ended_on,
                    conditions=[],
                    new_due_on=None,
                    sources=_sources_as_of(roadmap, decided_at),
                    as_of=decided_at,
                )
            )
            decision.evidence, decision.evidence_sha256 = document, sha256_of(document)
        decision.save()


def _sources_as_of(roadmap: Roadmap, at: datetime) -> list[SourceFreshness]:
    """The roadmap's sources with their data as far as it went then."""
    return [
        replace(source, data_until=min(source.data_until, at) if source.data_until else None, last_push_at=None)
        for source in series.freshness([roadmap.workload_id])
    ]


def _close_months(now: datetime) -> None:
    month = local_day(now, settings.REPORTING_ZONE).replace(day=1)
    months = []
    for _ in range(REPORT_MONTHS):
        month = previous_month(month)
        months.append(month)
    for month in reversed(months):
        close_month("demo", month)

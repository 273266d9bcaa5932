"""What happened in one local month of a roadmap: the facts that its report is built from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal

from django.conf import settings
from django.db import models
from django.utils import timezone

from accounts.models import User
from metrics import series
from metrics.figures import SourceFreshness, UsageRow
from metrics.usage import SeriesKind
from metrics.windows import Window, local_day
from roadmap.kpi import KpiValue, no_data
from roadmap.models import CostEntry, Gate, GateDecision, Kpi, Milestone, Phase, Reading, Roadmap, Update
from roadmap.queries.entered import Entered, rates_for
from roadmap.queries.gate_state import criteria_of, standings_of
from roadmap.queries.kpi_values import kpi_values
from roadmap.queries.month_facts import (
    GateLine,
    KpiLine,
    MilestoneLine,
    MonthFacts,
    PhaseFacts,
    RiskLine,
    SourceSpend,
    UpdateLine,
)
from roadmap.queries.phase_money import RECENT_DAYS, day_spends_of, phase_money
from roadmap.queries.readings import Readings
from roadmap.queries.spend_moved import change_of
from roadmap.rules.costs import CostSpan, amount_in
from roadmap.rules.forecast import passed_on
from roadmap.rules.gates import met_count
from roadmap.rules.health import Schedule
from roadmap.rules.reports import next_month, previous_month
from roadmap.sayings import say

DAY = timedelta(days=1)


def month_facts(roadmap: Roadmap, month: date) -> MonthFacts:
    """The facts of a local month (its first day), as they stand at its end, or now where it is not over."""
    start_on, end_on, before_on = month, next_month(month), previous_month(month)
    ends_at = Window.of_days(start_on, end_on, settings.REPORTING_ZONE).end
    now = min(ends_at, timezone.now())
    before = Window.of_days(before_on, start_on, settings.REPORTING_ZONE).end
    reader = Readings((roadmap.workload_id,), now)
    entries = list(CostEntry.objects.filter(roadmap=roadmap))
    phases = list(roadmap.phases.select_related("gate").order_by("position"))
    phase = _phase_at(phases, start_on, end_on)
    currencies = {entry.currency for entry in entries} | {item.budget_currency for item in phases}
    first = min([before_on, *(entry.start_on for entry in entries), *(p.started_on for p in phases if p.started_on)])
    rates = rates_for(currencies, first, end_on)
    entered = Entered(entries, rates, end_on - DAY)
    updates = list(
        roadmap.updates.filter(created_at__lt=ends_at).select_related("author").order_by("-created_at", "-id")[:40]
    )
    kpis = list(phase.kpis.order_by("position", "id")) if phase else []
    values = kpi_values(phase, kpis=kpis, entries=entries, reader=reader, now=_just_before(now)) if phase else {}
    earlier = (
        kpi_values(phase, kpis=kpis, entries=entries, reader=reader, now=_just_before(before))
        if phase and phase.started_on and phase.started_on < start_on
        else {}
    )
    value_sum = _value_sum(phase, start_on, end_on)
    freshness = series.freshness([roadmap.workload_id])
    figures = reader.figures(start_on, end_on, entered=entered.amount(start_on, end_on), value_sum=value_sum)
    figures_before = reader.figures(before_on, start_on, entered=entered.amount(before_on, start_on))
    return MonthFacts(
        slug=roadmap.slug,
        name=roadmap.name,
        owner=roadmap.owner.display_name,
        programme=roadmap.programme.name if roadmap.programme else "",
        business_unit=roadmap.business_unit,
        unit_of_work=roadmap.unit_of_work,
        start_on=start_on,
        end_on=end_on,
        before_on=before_on,
        ends_at=ends_at,
        zone=settings.TIME_ZONE,
        currency=settings.REPORTING_CURRENCY,
        phase=_phase_facts(phase, reader, entered, freshness, start_on, end_on) if phase else None,
        figures=figures,
        figures_before=figures_before,
        sources=_sources(reader.rows(start_on, end_on), reader.rows(before_on, start_on)),
        entered=_by_category(entered, start_on, end_on),
        entered_before=_by_category(entered, before_on, start_on),
        change=change_of(roadmap, (before_on, start_on), (start_on, end_on), today=end_on),
        kpis=[_kpi_line(kpi, values, earlier) for kpi in kpis],
        milestones=_milestones(roadmap, start_on, end_on),
        gates=_gates(phases, {phase.pk: values} if phase else {}, end_on),
        risks=[
            RiskLine(risk.name, risk.category, risk.score, _name(risk.owner), risk.response, risk.due_on)
            for risk in roadmap.risks.select_related("owner").filter(created_at__lt=ends_at)
            if risk.closed_at is None or risk.closed_at >= ends_at
        ],
        update=_update_line(updates, ends_at),
        update_before=_update_line(updates, before),
        freshness=freshness,
        no_rate=figures.usage.no_rate | frozenset(entered.no_rate),
        stale_rates=figures.usage.stale_rates,
        is_demo=roadmap.workload.is_demo,
    )


def _just_before(moment: datetime) -> datetime:
    """So that a month's end still belongs to the month's last day."""
    return moment - timedelta(microseconds=1)


def _phase_at(phases: Sequence[Phase], start_on: date, end_on: date) -> Phase | None:
    """The phase whose window holds the last day of the month, else the last one that ran in it; None where none ran."""
    begun = [
        phase
        for phase in phases
        if phase.started_on and phase.started_on < end_on and (phase.ended_on is None or phase.ended_on >= start_on)
    ]
    return begun[-1] if begun else None


def _phase_facts(
    phase: Phase, reader: Readings, entered: Entered, freshness: Sequence[SourceFreshness], start_on: date, end_on: date
) -> PhaseFacts:
    """The phase's money as it stood on the day after the month."""
    as_then = copy(phase)
    if as_then.ended_on is not None and as_then.ended_on >= end_on:
        as_then.ended_on = None
    started_on = phase.started_on or start_on
    until = min(end_on, as_then.ended_on + DAY) if as_then.ended_on else end_on
    money = phase_money(
        as_then,
        window=(started_on, until),
        rows=reader.rows(started_on, until),
        day_spends=day_spends_of(reader.days(max(started_on, until - DAY * RECENT_DAYS), until)),
        entered=entered,
        freshness=freshness,
        today=end_on,
    )
    planned = planned_to_date = None
    if money.budget is not None:
        span = CostSpan(money.budget, phase.planned_start_on, phase.planned_end_on)
        planned = amount_in(span, max(start_on, phase.planned_start_on), end_on)
        planned_to_date = amount_in(span, phase.planned_start_on, end_on)
    state = "active" if as_then.ended_on is None else phase.state
    course = _course(reader, entered, started_on, until)
    return PhaseFacts(
        kind=phase.kind,
        state=state,
        started_on=started_on,
        planned_end_on=phase.planned_end_on,
        budget=money.budget,
        spent=money.spent,
        forecast=money.forecast,
        planned_for_month=planned,
        planned_to_date=planned_to_date,
        passed_on=money.passed_on or (passed_on(course, money.budget) if money.budget else None),
        course=course,
        schedule=Schedule(
            today=until,
            state=state,
            start_on=started_on,
            end_on=phase.planned_end_on,
            gate_due_on=_open_gate(phase, end_on),
            late=[
                milestone.name
                for milestone in phase.milestones.exclude(state=Milestone.State.DROPPED).order_by("due_on", "id")
                if milestone.due_on < until and (milestone.done_on is None or milestone.done_on >= until)
            ],
        ),
    )


def _course(reader: Readings, entered: Entered, start_on: date, end_on: date) -> list[tuple[date, Decimal]]:
    by_day = dict(entered.by_day(start_on, end_on))
    for row in reader.days(start_on, end_on):
        if row.period is not None and row.sums.spend is not None:
            by_day[row.period] = by_day.get(row.period, Decimal(0)) + row.sums.spend
    if not by_day:
        return []
    spent, course = Decimal(0), []
    for number in range((end_on - start_on).days):
        day = start_on + DAY * number
        spent += by_day.get(day, Decimal(0))
        course.append((day, spent))
    return course


def _open_gate(phase: Phase, end_on: date) -> date | None:
    """When the phase's gate is due, None where it was decided by then or there is none."""
    gate = Gate.objects.filter(phase=phase).first()
    if gate is None:
        return None
    last = gate.decisions.filter(decided_on__lt=end_on).order_by("recorded_at", "id").last()
    if last is not None and last.outcome != GateDecision.Outcome.HOLD:
        return None
    return gate.due_on


def _value_sum(phase: Phase | None, start_on: date, end_on: date) -> Decimal | None:
    if phase is None:
        return None
    window = Window.of_days(start_on, end_on, settings.REPORTING_ZONE)
    return Reading.objects.filter(
        kpi__phase=phase, kpi__is_value=True, kpi__combine=Kpi.Combine.SUM, at__gte=window.start, at__lt=window.end
    ).aggregate(total=models.Sum("value"))["total"]


def _sources(now: Sequence[UsageRow], before: Sequence[UsageRow]) -> list[SourceSpend]:
    found: dict[tuple[str, bool], list[Decimal | None]] = {}
    for position, rows in enumerate((now, before)):
        for row in rows:
            key = (row.key["backend_name"], row.key["kind"] == SeriesKind.IDLE)
            amounts = found.setdefault(key, [None, None])
            if row.sums.spend is not None:
                amounts[position] = (amounts[position] or Decimal(0)) + row.sums.spend
    return [
        SourceSpend(name, is_idle, amounts[0], amounts[1])
        for (name, is_idle), amounts in sorted(found.items())
        if amounts != [None, None]
    ]


def _by_category(entered: Entered, start_on: date, end_on: date) -> dict[str, Decimal]:
    found = {}
    for category in sorted({entry.category for entry in entered.entries}):
        part = replace(entered, entries=[entry for entry in entered.entries if entry.category == category])
        amount = part.amount(start_on, end_on)
        if amount:
            found[category] = amount
    return found


def _kpi_line(kpi: Kpi, values: Mapping[int, KpiValue], earlier: Mapping[int, KpiValue]) -> KpiLine:
    nothing = no_data(kpi.unit, say("phase_had_not_started"))
    return KpiLine(
        name=kpi.name,
        unit=kpi.unit,
        baseline=kpi.baseline,
        target=kpi.target,
        measure=kpi.measure,
        value=values.get(kpi.pk, nothing),
        value_before=earlier.get(kpi.pk, nothing),
        is_value=kpi.is_value,
        rate_amount=kpi.rate_amount,
        rate_currency=kpi.rate_currency,
        rate_source=kpi.rate_source,
    )


def _milestones(roadmap: Roadmap, start_on: date, end_on: date) -> list[MilestoneLine]:
    """Those done in the month, and the open ones that are late or due within 60 days of its end."""
    rows = (
        Milestone.objects.filter(phase__roadmap=roadmap)
        .exclude(state=Milestone.State.DROPPED)
        .select_related("phase", "owner")
        .order_by("due_on", "id")
    )
    return [
        MilestoneLine(
            name=row.name,
            phase=row.phase.kind,
            state="done" if row.done_on and row.done_on < end_on else "open",
            due_on=row.due_on,
            baseline_due_on=row.baseline_due_on,
            done_on=row.done_on if row.done_on and row.done_on < end_on else None,
            owner=_name(row.owner),
        )
        for row in rows
        if (row.done_on and start_on <= row.done_on < end_on)
        or ((row.done_on is None or row.done_on >= end_on) and row.due_on < end_on + DAY * 60)
    ]


def _gates(phases: Sequence[Phase], values: Mapping[int, Mapping[int, KpiValue]], end_on: date) -> list[GateLine]:
    """The gates of phases that have started, each with its last decision by the end of the month."""
    gates = [
        phase.gate for phase in phases if phase.started_on and phase.started_on < end_on and hasattr(phase, "gate")
    ]
    criteria = criteria_of(gates, values=values, today=end_on - DAY)
    decisions = GateDecision.objects.filter(gate__in=gates, decided_on__lt=end_on).order_by("recorded_at", "id")
    last = {row.gate_id: row for row in decisions}
    lines = []
    for gate in gates:
        met, total = met_count(standings_of(criteria[gate.pk]))
        decided = last.get(gate.pk)
        lines.append(
            GateLine(
                phase=gate.phase.kind,
                due_on=gate.due_on,
                baseline_due_on=gate.baseline_due_on,
                met=met,
                criteria=total,
                outcome=decided.outcome if decided else "",
                decided_on=decided.decided_on if decided else None,
            )
        )
    return lines


def _update_line(updates: Sequence[Update], before: datetime) -> UpdateLine | None:
    said = next((update for update in updates if update.created_at < before), None)
    if said is None:
        return None
    on = local_day(said.created_at, settings.REPORTING_ZONE)
    return UpdateLine(said.status, said.sentence, said.author.display_name, on)


def _name(person: User | None) -> str:
    return person.display_name if person else ""

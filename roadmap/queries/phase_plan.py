"""The plan of a phase: KPIs, milestones, cost entries, checklist, gate and notes, as the page shows them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from itertools import groupby

from django.utils.translation import gettext, ngettext

from accounts.access import Asker, role_for
from accounts.models import Role
from roadmap.kpi import KpiStatus, KpiValue
from roadmap.models import Annotation, ChecklistItem, CostEntry, Gate, GateDecision, Kpi, Milestone, Phase, Roadmap
from roadmap.queries.comments import Thread, addresses, counts_of, thread_of
from roadmap.queries.gate_state import CriterionState, criterion_states, standings_of
from roadmap.queries.phase_rows import PhaseRows
from roadmap.rules.costs import CostSpan, amount_in
from roadmap.rules.gates import met_count
from roadmap.sayings import say
from web import wording


@dataclass(frozen=True, slots=True)
class Rights:
    """What the asker may do with this roadmap."""

    can_contribute: bool = False
    can_manage: bool = False


@dataclass(frozen=True, slots=True)
class KpiRow:
    """A KPI with its value in words."""

    kpi: Kpi
    value: KpiValue | None
    figure: str
    baseline: str
    target: str
    tone: str
    word: str
    note: str

    @property
    def example(self) -> str:
        """The template's example where there is no target; empty where there is either or neither."""
        return example_of(self.kpi) if self.kpi.target is None else ""


@dataclass(frozen=True, slots=True)
class MilestoneRow:
    """A milestone with its state in words."""

    milestone: Milestone
    tone: str
    word: str
    note: str
    waits_for: Sequence[Milestone] = ()
    file_count: int = 0
    comment_count: int = 0

    @property
    def talk_url(self) -> str:
        """Where its comments are read, or its first one is written."""
        read, write = addresses(self.milestone.phase.roadmap, self.milestone)
        return read if self.comment_count else write

    @property
    def waits(self) -> str:
        """The names of what it waits for and is not done; empty once it is done itself."""
        if self.milestone.state != Milestone.State.OPEN:
            return ""
        return ", ".join(item.name for item in self.waits_for if item.state == Milestone.State.OPEN)

    @property
    def is_done(self) -> bool:
        return self.milestone.state == Milestone.State.DONE

    @property
    def is_dropped(self) -> bool:
        return self.milestone.state == Milestone.State.DROPPED

    @property
    def has_moved(self) -> bool:
        return self.milestone.due_on != self.milestone.baseline_due_on


@dataclass(frozen=True, slots=True)
class CostRow:
    """A cost entry and what of it falls into the phase's window until today; None where the phase has no window."""

    entry: CostEntry
    in_phase: Decimal | None


@dataclass(frozen=True, slots=True)
class ChecklistGroup:
    """The items of one category."""

    title: str
    items: Sequence[ChecklistItem]


@dataclass(frozen=True, slots=True)
class GateSummary:
    """The gate in a line: how many criteria are met, and what was decided last."""

    gate: Gate
    criteria: Sequence[CriterionState]
    met: int
    total: int
    tone: str
    word: str
    decision: GateDecision | None

    @property
    def unmet(self) -> list[CriterionState]:
        return [item for item in self.criteria if item.tone != "green"]


@dataclass(frozen=True, slots=True)
class PhasePlan:
    """Everything below the dashboard."""

    phase: Phase
    rights: Rights
    today: date
    kpis: Sequence[KpiRow]
    milestones: Sequence[MilestoneRow]
    costs: Sequence[CostRow]
    cost_totals: Sequence[tuple[str, Decimal]]
    checklist: Sequence[ChecklistGroup]
    ticked: int
    to_tick: int
    gate: GateSummary | None
    notes: Sequence[Annotation]
    talk: Thread

    @property
    def query(self) -> str:
        """Keeps this phase where a table of the whole roadmap is asked for."""
        return f"?phase={self.phase.kind}"


def rights_for(role: Role | None) -> Rights:
    """What a role allows."""
    return Rights(can_contribute=role in (Role.CONTRIBUTOR, Role.MANAGER), can_manage=role == Role.MANAGER)


def rights_of(asker: Asker, roadmap: Roadmap) -> Rights:
    """The asker's rights on a roadmap."""
    return rights_for(role_for(asker, roadmap.workload))


def phase_plan(rows: PhaseRows, *, values: Mapping[int, KpiValue], today: date) -> PhasePlan:
    """The plan of a phase from its rows; asks the database for nothing. `values`: KPI values by KPI id."""
    phase = rows.phase
    cost_rows = [cost_row(entry, phase, today) for entry in rows.costs if entry.phase_id == phase.pk]
    totals: dict[str, Decimal] = {}
    said = counts_of(rows.comments, "milestone")
    for row in cost_rows:
        totals[row.entry.currency] = totals.get(row.entry.currency, Decimal(0)) + (row.in_phase or 0)
    return PhasePlan(
        phase=phase,
        rights=rights_for(rows.role),
        today=today,
        kpis=[_kpi_row(kpi, values.get(kpi.pk)) for kpi in rows.kpis],
        milestones=[
            replace(
                _milestone_row(item, today, rows.waits_for.get(item.pk, ())),
                comment_count=said.get(item.pk, 0),
                file_count=len(rows.files.get(item.pk, ())),
            )
            for item in rows.milestones
        ],
        costs=cost_rows,
        cost_totals=sorted(totals.items()),
        checklist=[
            ChecklistGroup(str(ChecklistItem.Category(category).label), list(items))
            for category, items in groupby(rows.checklist, key=lambda item: item.category)
        ],
        ticked=sum(1 for item in rows.checklist if item.is_done),
        to_tick=len(rows.checklist),
        gate=_gate_summary(rows, values=values, today=today),
        notes=rows.notes,
        talk=thread_of(rows.comments, rows.roadmap, about=phase),
    )


def _gate_summary(rows: PhaseRows, *, values: Mapping[int, KpiValue], today: date) -> GateSummary | None:
    """The gate of a phase; None where it has none."""
    gate = rows.gate
    if gate is None:
        return None
    criteria = criterion_states(rows.criteria, values=values, today=today)
    met, total = met_count(standings_of(criteria))
    decision = next((item for item in rows.decisions if item.gate_id == gate.pk), None)
    tone, word = gate_word(rows.phase, gate, decision, today)
    return GateSummary(gate, criteria, met, total, tone, word, decision)


def gate_word(phase: Phase, gate: Gate, decision: GateDecision | None, today: date) -> tuple[str, str]:
    """Tone and word of a gate: its outcome once the phase is closed, else how late it is or when it is due."""
    if phase.state == Phase.State.CLOSED and decision is not None:
        tones = {"go": "green", "conditional": "amber", "stop": "red", "hold": "amber"}
        return tones[decision.outcome], decision.get_outcome_display()
    if phase.state == Phase.State.ACTIVE and gate.due_on < today:
        late = (today - gate.due_on).days
        return "red", ngettext("%(count)s day overdue", "%(count)s days overdue", late) % {"count": wording.count(late)}
    if phase.state == Phase.State.PLANNED:
        return "none", gettext("Not due")
    days = (gate.due_on - today).days
    if days == 0:
        return "amber", gettext("Due today")
    ahead = ngettext("In %(count)s day", "In %(count)s days", days) % {"count": wording.count(days)}
    return ("amber" if days <= 30 else "none"), ahead


def figure_of(value: Decimal | None) -> str:
    """A KPI's figure; a dash where it is not set."""
    return wording.DASH if value is None else wording.number(value)


def example_of(kpi: Kpi) -> str:
    """'≥ 95': the template's target of others; empty where it has none."""
    sign = "≥" if kpi.direction == Kpi.Direction.HIGHER else "≤"
    return "" if kpi.example is None else f"{sign} {wording.number(kpi.example)}"


def text_of(value: KpiValue) -> str:
    """The value as a figure, or the interval in which it lies."""
    if value.low is not None and value.high is not None and value.low != value.high:
        return gettext("%(low)s to %(high)s") % {"low": wording.number(value.low), "high": wording.number(value.high)}
    return wording.number(value.value, missing=wording.DASH)


def _kpi_row(kpi: Kpi, value: KpiValue | None) -> KpiRow:
    sign = "≥" if kpi.direction == Kpi.Direction.HIGHER else "≤"
    target = wording.DASH if kpi.target is None else f"{sign} {wording.number(kpi.target)}"
    if value is None or value.value is None:
        reason = value.reason if value else gettext("nothing measured yet")
        return KpiRow(kpi, value, wording.DASH, figure_of(kpi.baseline), target, "off", gettext("No data"), reason)
    status = value.judgement.status
    notes = [value.judgement.note, value.basis]
    if value.coverage is not None and value.coverage < 1:
        notes.append(say("covered", share=value.coverage, of=value.coverage_of))
    return KpiRow(
        kpi,
        value,
        text_of(value),
        figure_of(kpi.baseline),
        target,
        "none" if status == KpiStatus.NO_TARGET else value.judgement.tone,
        value.judgement.word,
        ", ".join(note for note in notes if note),
    )


def _milestone_row(milestone: Milestone, today: date, waits_for: Sequence[Milestone]) -> MilestoneRow:
    if milestone.state == Milestone.State.DONE:
        note = wording.day(milestone.done_on) if milestone.done_on != milestone.due_on else ""
        return MilestoneRow(milestone, "green", gettext("Done"), note, waits_for)
    if milestone.state == Milestone.State.DROPPED:
        return MilestoneRow(milestone, "off", gettext("Dropped"), milestone.dropped_reason, waits_for)
    late = (today - milestone.due_on).days
    if late > 0:
        return MilestoneRow(milestone, "red", wording.days_late(late), "", waits_for)
    return MilestoneRow(milestone, "none", gettext("Open"), gettext("Due today") if late == 0 else "", waits_for)


def cost_row(entry: CostEntry, phase: Phase, today: date) -> CostRow:
    """The entry with what of it falls into the phase until today."""
    if phase.started_on is None:
        return CostRow(entry, None)
    end = min(phase.ended_on or today, today) + timedelta(days=1)
    return CostRow(entry, amount_in(CostSpan(entry.amount, entry.start_on, entry.end_on), phase.started_on, end))

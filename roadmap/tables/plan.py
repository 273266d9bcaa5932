"""Phases, milestones, checklist, KPIs with readings and cost entries as files.

Columns are named as an import of them names them, so that a file can be changed and imported again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from django.utils import timezone

from accounts.access import Asker
from accounts.models import User
from roadmap.kpi import KpiValue
from roadmap.models import ChecklistItem, CostEntry, Gate, GateDecision, Kpi, Milestone, Phase, Reading, Roadmap
from roadmap.queries.kpi_values import kpi_values
from roadmap.queries.phase_plan import CostRow, cost_row
from roadmap.queries.schedule import dependencies_of
from roadmap.queries.slips import months_of_plan
from roadmap.rules.slips import Slip, months_back
from web.file_tables import Field, FileTable, yes_no


def username(person: User | None) -> str:
    """As an import and REST name people."""
    return person.username if person else ""


def full_name(person: User | None) -> str:
    """As pages name people."""
    return person.display_name if person else ""


# Phases


@dataclass(frozen=True, slots=True)
class PhaseLine:
    """A phase with its gate and what was decided last."""

    phase: Phase
    gate: Gate | None
    decision: GateDecision | None


PHASES: FileTable[PhaseLine] = FileTable(
    "Phases",
    (
        Field("roadmap", lambda line: line.phase.roadmap.slug),
        Field("phase", lambda line: line.phase.kind),
        Field("state", lambda line: line.phase.state),
        Field("owner", lambda line: username(line.phase.owner)),
        Field("planned_start_on", lambda line: line.phase.planned_start_on, "day"),
        Field("planned_end_on", lambda line: line.phase.planned_end_on, "day"),
        Field("first_promised_start_on", lambda line: line.phase.baseline_start_on, "day"),
        Field("first_promised_end_on", lambda line: line.phase.baseline_end_on, "day"),
        Field("started_on", lambda line: line.phase.started_on, "day"),
        Field("ended_on", lambda line: line.phase.ended_on, "day"),
        Field("budget", lambda line: line.phase.budget_amount, "money"),
        Field("budget_currency", lambda line: line.phase.budget_currency),
        Field("gate_due_on", lambda line: line.gate.due_on if line.gate else None, "day"),
        Field("gate_first_promised_on", lambda line: line.gate.baseline_due_on if line.gate else None, "day"),
        Field("gatekeeper", lambda line: username(line.gate.gatekeeper) if line.gate else ""),
        Field("outcome", lambda line: line.decision.outcome if line.decision else ""),
        Field("decided_on", lambda line: line.decision.decided_on if line.decision else None, "day"),
        Field("decided_by", lambda line: _decided_by(line.decision)),
        Field("reason", lambda line: line.decision.reason if line.decision else ""),
    ),
)


def _decided_by(decision: GateDecision | None) -> str:
    if decision is None:
        return ""
    return full_name(decision.decided_by) or decision.decided_by_name


def phase_lines(asker: Asker, roadmap: Roadmap, phases: list[Phase]) -> list[PhaseLine]:
    """In order, each with its gate."""
    gates = {gate.phase_id: gate for gate in Gate.objects.filter(phase__in=phases).select_related("gatekeeper")}
    found = GateDecision.objects.filter(gate__phase__in=phases).select_related("decided_by").defer("evidence")
    last = {decision.gate_id: decision for decision in found.order_by("recorded_at", "pk")}
    lines = []
    for phase in phases:
        gate = gates.get(phase.pk)
        lines.append(PhaseLine(phase, gate, last.get(gate.pk) if gate else None))
    return lines


# Milestones


@dataclass(frozen=True, slots=True)
class MilestoneLine:
    """A milestone, what it waits for by outside key or name, and by how many days it is later than promised."""

    milestone: Milestone
    waits_for: Sequence[Milestone]
    today: date

    @property
    def slipped_days(self) -> int:
        """Negative: earlier."""
        return ((self.milestone.done_on or self.milestone.due_on) - self.milestone.baseline_due_on).days

    @property
    def late_days(self) -> int | None:
        """None once it is not open any more."""
        if self.milestone.state != Milestone.State.OPEN:
            return None
        return max(0, (self.today - self.milestone.due_on).days)


MILESTONES: FileTable[MilestoneLine] = FileTable(
    "Milestones",
    (
        Field("roadmap", lambda line: line.milestone.phase.roadmap.slug),
        Field("phase", lambda line: line.milestone.phase.kind),
        Field("outside_key", lambda line: line.milestone.outside_key),
        Field("milestone", lambda line: line.milestone.name),
        Field("state", lambda line: line.milestone.state),
        Field("due_on", lambda line: line.milestone.due_on, "day"),
        Field("first_promised", lambda line: line.milestone.baseline_due_on, "day"),
        Field("done_on", lambda line: line.milestone.done_on, "day"),
        Field("slipped", lambda line: line.slipped_days, "count"),
        Field("days_late", lambda line: line.late_days, "count"),
        Field("owner", lambda line: username(line.milestone.owner)),
        Field("owner_name", lambda line: full_name(line.milestone.owner)),
        Field("waits_for", lambda line: "; ".join(item.outside_key or item.name for item in line.waits_for)),
        Field("evidence", lambda line: line.milestone.evidence_url),
        Field("dropped_reason", lambda line: line.milestone.dropped_reason),
        Field("is_condition", lambda line: yes_no(line.milestone.is_condition)),
    ),
)


def milestone_lines(asker: Asker, roadmap: Roadmap, phases: list[Phase]) -> list[MilestoneLine]:
    """Those of the phases, dropped ones too; what they wait for may lie in another phase."""
    rows = Milestone.objects.filter(phase__roadmap=roadmap).select_related("owner")
    items = list(rows.order_by("phase__position", "due_on", "pk"))
    by_id, by_phase = {item.pk: item for item in items}, {phase.pk: phase for phase in phases}
    waits, today = dependencies_of(roadmap), timezone.localdate()
    lines = []
    for item in items:
        if item.phase_id in by_phase:
            item.phase = by_phase[item.phase_id]
            lines.append(MilestoneLine(item, [by_id[pk] for pk in sorted(waits.get(item.pk, ()))], today))
    return lines


# Checklist

CHECKLIST: FileTable[ChecklistItem] = FileTable(
    "Checklist",
    (
        Field("roadmap", lambda item: item.phase.roadmap.slug),
        Field("phase", lambda item: item.phase.kind),
        Field("category", lambda item: item.category),
        Field("item", lambda item: item.name),
        Field("is_done", lambda item: yes_no(item.is_done)),
        Field("done_at", lambda item: item.done_at, "moment"),
        Field("done_by", lambda item: full_name(item.done_by)),
        Field("evidence", lambda item: item.evidence_url),
    ),
)


def checklist_items(asker: Asker, roadmap: Roadmap, phases: list[Phase]) -> Iterable[ChecklistItem]:
    """By phase and category."""
    items = ChecklistItem.objects.filter(phase__in=phases).select_related("phase__roadmap__workload", "done_by")
    return items.order_by("phase__position", "category", "position", "pk")


# KPIs and readings


@dataclass(frozen=True, slots=True)
class KpiLine:
    """A KPI with its value now."""

    kpi: Kpi
    value: KpiValue | None


KPIS: FileTable[KpiLine] = FileTable(
    "KPIs",
    (
        Field("roadmap", lambda line: line.kpi.phase.roadmap.slug),
        Field("phase", lambda line: line.kpi.phase.kind),
        Field("key", lambda line: line.kpi.key),
        Field("kpi", lambda line: line.kpi.name),
        Field("unit", lambda line: line.kpi.unit),
        Field("direction", lambda line: line.kpi.direction),
        Field("value", lambda line: line.value.value if line.value else None, "number"),
        Field("value_low", lambda line: line.value.low if line.value else None, "number"),
        Field("value_high", lambda line: line.value.high if line.value else None, "number"),
        Field("status", lambda line: line.value.judgement.status.value if line.value else "no_data"),
        Field("why_no_value", lambda line: line.value.reason if line.value else ""),
        Field("sample", lambda line: line.value.sample if line.value else None, "number"),
        Field("baseline", lambda line: line.kpi.baseline, "number"),
        Field("target", lambda line: line.kpi.target, "number"),
        Field("target_on", lambda line: line.kpi.target_on, "day"),
        Field("source", lambda line: line.kpi.source),
        Field("measure", lambda line: line.kpi.measure),
        Field("formula", lambda line: line.kpi.formula),
        Field("window", lambda line: "phase" if line.kpi.window_days is None else str(line.kpi.window_days)),
        Field("combine", lambda line: line.kpi.combine),
        Field("minimum_sample", lambda line: line.kpi.minimum_sample, "count"),
        Field("is_value", lambda line: yes_no(line.kpi.is_value)),
        Field("rate_amount", lambda line: line.kpi.rate_amount, "number"),
        Field("rate_currency", lambda line: line.kpi.rate_currency),
        Field("rate_source", lambda line: line.kpi.rate_source),
        Field("rate_owner", lambda line: username(line.kpi.rate_owner)),
    ),
)


def kpi_lines(asker: Asker, roadmap: Roadmap, phases: list[Phase]) -> Iterator[KpiLine]:
    """By phase, each with its value now."""
    for phase in phases:
        kpis = list(phase.kpis.select_related("rate_owner"))
        values = kpi_values(phase, kpis=kpis)
        for kpi in kpis:
            kpi.phase = phase
            yield KpiLine(kpi, values.get(kpi.pk))


READINGS: FileTable[Reading] = FileTable(
    "Readings",
    (
        Field("roadmap", lambda reading: reading.kpi.phase.roadmap.slug),
        Field("phase", lambda reading: reading.kpi.phase.kind),
        Field("kpi_key", lambda reading: reading.kpi.key),
        Field("kpi", lambda reading: reading.kpi.name),
        Field("at", lambda reading: reading.at, "moment"),
        Field("value", lambda reading: reading.value, "number"),
        Field("unit", lambda reading: reading.kpi.unit),
        Field("note", lambda reading: reading.note),
        Field("by", lambda reading: full_name(reading.author)),
        Field("token", lambda reading: reading.token.name if reading.token else ""),
        Field("recorded_at", lambda reading: reading.recorded_at, "moment"),
    ),
)


def reading_rows(kpi: Kpi) -> Iterator[Reading]:
    """Every reading of a KPI, the newest first, also those that its page leaves out."""
    for reading in kpi.readings.select_related("author", "token").iterator(chunk_size=2_000):
        reading.kpi = kpi
        yield reading


# Cost entries

COST_ENTRIES: FileTable[CostRow] = FileTable(
    "Cost entries",
    (
        Field("roadmap", lambda row: row.entry.roadmap.slug),
        Field("phase", lambda row: row.entry.phase.kind if row.entry.phase else ""),
        Field("outside_key", lambda row: row.entry.outside_key),
        Field("cost_entry", lambda row: row.entry.name),
        Field("category", lambda row: row.entry.category),
        Field("kind", lambda row: row.entry.kind),
        Field("status", lambda row: row.entry.status),
        Field("amount", lambda row: row.entry.amount, "money"),
        Field("currency", lambda row: row.entry.currency),
        Field("start_on", lambda row: row.entry.start_on, "day"),
        Field("end_on", lambda row: row.entry.end_on, "day"),
        Field("in_phase_to_date", lambda row: _cents(row.in_phase), "money"),
        Field("entered_by", lambda row: full_name(row.entry.author)),
        Field("entered_at", lambda row: row.entry.created_at, "moment"),
    ),
)


def _cents(amount: Decimal | None) -> Decimal | None:
    return None if amount is None else amount.quantize(Decimal("0.01"))


def cost_lines(asker: Asker, roadmap: Roadmap, phases: list[Phase]) -> list[CostRow]:
    """Entered from the phases, or from none when all are asked for; with what falls into the phase until today."""
    by_id, today = {phase.pk: phase for phase in phases}, timezone.localdate()
    is_whole = len(phases) == roadmap.phases.count()
    lines = []
    for entry in CostEntry.objects.filter(roadmap=roadmap).select_related("author"):
        phase = by_id.get(entry.phase_id) if entry.phase_id else None
        if phase is None and not (is_whole and entry.phase_id is None):
            continue
        entry.roadmap, entry.phase = roadmap, phase
        lines.append(cost_row(entry, phase, today) if phase else CostRow(entry, None))
    return lines


# What slipped, what was added

SHOWN_MONTHS = 6
CHANGES = ("slipped", "added", "earlier", "dropped", "done", "overdue")


@dataclass(frozen=True, slots=True)
class SlipLine:
    """What happened to a milestone in a month: one of CHANGES."""

    month: date
    change: str
    slip: Slip


SLIPS: FileTable[SlipLine] = FileTable(
    "What slipped",
    (
        Field("month", lambda line: line.month, "day"),
        Field("change", lambda line: line.change),
        Field("milestone", lambda line: line.slip.name),
        Field("was_due_on", lambda line: line.slip.was_due_on, "day"),
        Field("due_on", lambda line: line.slip.due_on, "day"),
        Field("days", lambda line: line.slip.days, "count"),
    ),
)


def slip_lines(asker: Asker, roadmap: Roadmap, phases: list[Phase]) -> Iterator[SlipLine]:
    """The months that the page shows, the newest first."""
    today = timezone.localdate()
    for month in months_of_plan(roadmap, months_back(today, SHOWN_MONTHS), today=today):
        for change in CHANGES:
            for slip in getattr(month, change):
                yield SlipLine(month.month, change, slip)

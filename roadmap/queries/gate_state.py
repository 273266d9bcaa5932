"""How the criteria of gates stand, live, and the document that a decision freezes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Literal

from django.conf import settings
from django.utils.translation import gettext

from metrics.figures import SourceFreshness
from metrics.windows import local_day
from roadmap.kpi import KpiStatus, KpiValue
from roadmap.kpis import BY_NAME
from roadmap.models import Gate, GateCriterion, GateDecision, Kpi
from roadmap.rules.gates import Result, Standing, kpi_result, sha256_of
from web import wording

NO_VALUES: Mapping[int, KpiValue] = {}
# 2: with sources, their freshness, and how each measure is defined.
EVIDENCE_FORMAT = 2
Kind = Literal["kpi", "milestone", "checklist"]


@dataclass(frozen=True, slots=True)
class CriterionState:
    """One criterion as it stands. For a KPI `value` says what it rests on; for the others `done_on` and `due_on` do."""

    id: int
    kind: Kind
    subject_id: int
    name: str
    is_must: bool
    needs: str
    result: Result
    note: str
    value: KpiValue | None = None
    unit: str = ""
    direction: str = ""
    measure: str = ""
    formula: str = ""
    definition: str = ""
    target: Decimal | None = None
    baseline: Decimal | None = None
    minimum_sample: int = 0
    due_on: date | None = None
    done_on: date | None = None

    @property
    def tone(self) -> str:
        return {Result.MET: "green", Result.NOT_MET: "red", Result.NO_DATA: "off"}[self.result]

    @property
    def word(self) -> str:
        return {
            Result.MET: gettext("Met"),
            Result.NOT_MET: gettext("Not met"),
            Result.NO_DATA: gettext("No data"),
        }[self.result]

    @property
    def last_on(self) -> date | None:
        """The last day of the KPI's window."""
        return self.value.end_on - timedelta(days=1) if self.value and self.value.end_on else None


def criteria_of(
    gates: Sequence[Gate], *, values: Mapping[int, Mapping[int, KpiValue]], today: date
) -> dict[int, list[CriterionState]]:
    """The criteria of the gates by gate id, in one query. `values`: KPI values by phase id and KPI id."""
    found: dict[int, list[CriterionState]] = defaultdict(list)
    rows = GateCriterion.objects.filter(gate__in=[gate.pk for gate in gates]).select_related(
        "kpi", "milestone", "checklist_item"
    )
    phases = {gate.pk: gate.phase_id for gate in gates}
    for row in rows:
        phase_values = values.get(phases[row.gate_id], NO_VALUES)
        found[row.gate_id].append(_state(row, phase_values, today))
    return {gate.pk: found[gate.pk] for gate in gates}


def criterion_states(
    rows: Iterable[GateCriterion], *, values: Mapping[int, KpiValue], today: date
) -> list[CriterionState]:
    """The criteria of one gate, their subjects attached already. `values`: KPI values by KPI id."""
    return [_state(row, values, today) for row in rows]


def standings_of(criteria: Sequence[CriterionState]) -> list[Standing]:
    """What the rules count."""
    return [Standing(item.name, item.is_must, item.result) for item in criteria]


def _state(row: GateCriterion, values: Mapping[int, KpiValue], today: date) -> CriterionState:
    if row.kpi is not None:
        return _kpi_state(row, row.kpi, values.get(row.kpi_id or 0))
    if row.milestone is not None:
        mark = row.milestone
        is_done = mark.state == "done"
        note = ""
        if mark.state == "dropped":
            note = gettext("Dropped: %(reason)s") % {"reason": mark.dropped_reason}
        elif not is_done and mark.due_on < today:
            late = (today - mark.due_on).days
            note = wording.days_late(late)
        elif mark.due_on != mark.baseline_due_on:
            note = gettext("First promised %(day)s") % {"day": wording.day(mark.baseline_due_on)}
        return CriterionState(
            id=row.pk,
            kind="milestone",
            subject_id=mark.pk,
            name=mark.name,
            is_must=row.is_must,
            needs="done",
            result=Result.MET if is_done else Result.NOT_MET,
            note=note,
            due_on=mark.due_on,
            done_on=mark.done_on,
        )
    item = row.checklist_item
    if item is None:
        raise ValueError("a criterion without a subject")
    return CriterionState(
        id=row.pk,
        kind="checklist",
        subject_id=item.pk,
        name=item.name,
        is_must=row.is_must,
        needs="done",
        result=Result.MET if item.is_done else Result.NOT_MET,
        note="" if item.is_done else gettext("Not ticked"),
        done_on=local_day(item.done_at, settings.REPORTING_ZONE) if item.done_at else None,
    )


def _kpi_state(row: GateCriterion, kpi: Kpi, value: KpiValue | None) -> CriterionState:
    measured_only = row.needs == GateCriterion.Needs.MEASURED
    known = value.value if value else None
    is_met = bool(value and value.judgement.is_met)
    result = kpi_result(
        value=known, is_on_target=is_met, needs_measurement_only=measured_only, has_target=kpi.target is not None
    )
    note = ""
    if known is None:
        note = value.reason if value else gettext("Nothing measured yet")
    elif not measured_only and kpi.target is None:
        note = gettext("No target is set")
    elif value and value.judgement.status != KpiStatus.NO_TARGET:
        note = value.judgement.note
    return CriterionState(
        id=row.pk,
        kind="kpi",
        subject_id=kpi.pk,
        name=kpi.name,
        is_must=row.is_must,
        needs=row.needs,
        result=result,
        note=note,
        value=value,
        unit=kpi.unit,
        direction=kpi.direction,
        measure=kpi.measure,
        formula=kpi.formula,
        definition=definition_of(kpi),
        target=kpi.target,
        baseline=kpi.baseline,
        minimum_sample=kpi.minimum_sample,
    )


def definition_of(kpi: Kpi) -> str:
    """How a KPI's value comes about, in words."""
    if kpi.source == Kpi.Source.COMPUTED:
        measure = BY_NAME.get(kpi.measure)
        return str(measure.definition) if measure else ""
    if kpi.source == Kpi.Source.FORMULA:
        return kpi.formula
    return kpi.get_combine_display()


def evidence_document(
    gate: Gate,
    criteria: Sequence[CriterionState],
    *,
    outcome: str,
    reason: str,
    decided_by: str,
    decided_on: date,
    conditions: Sequence[Mapping[str, Any]],
    new_due_on: date | None,
    sources: Sequence[SourceFreshness],
    as_of: datetime,
    undoes: GateDecision | None = None,
    files: Mapping[int, Sequence[Mapping[str, Any]]] | None = None,
) -> dict[str, Any]:
    """What stood at the decision: every criterion with value, target, window, sample and definition, and the sources
    that figures came from with how far their data went. `files`: by a milestone's id, each with name and SHA-256."""
    phase = gate.phase
    return {
        "format": EVIDENCE_FORMAT,
        "roadmap": {"slug": phase.roadmap.slug, "name": phase.roadmap.name},
        "phase": {
            "kind": phase.kind,
            "started_on": phase.started_on,
            "planned_end_on": phase.planned_end_on,
            "budget_amount": phase.budget_amount,
            "budget_currency": phase.budget_currency,
        },
        "gate": {"due_on": gate.due_on, "first_promised_on": gate.baseline_due_on},
        "decision": {
            "outcome": outcome,
            "reason": reason,
            "decided_by": decided_by,
            "decided_on": decided_on,
            "conditions": list(conditions),
            "new_due_on": new_due_on,
            "undoes": {"id": undoes.uuid, "sha256": undoes.evidence_sha256} if undoes else None,
        },
        "as_of": as_of,
        "time_zone": str(settings.REPORTING_ZONE),
        "sources": [
            {
                "slug": source.slug,
                "name": source.name,
                "connector": source.connector or "push",
                "measured_at": source.measured_at,
                "data_until": source.data_until,
                "last_push_at": source.last_push_at,
                "is_latency_behind": source.is_latency_behind,
                "has_problem": bool(source.problem),
            }
            for source in sources
        ],
        "criteria": [_evidence_of(item, files or {}) for item in criteria],
    }


def _evidence_of(item: CriterionState, files: Mapping[int, Sequence[Mapping[str, Any]]]) -> dict[str, Any]:
    document: dict[str, Any] = {
        "kind": item.kind,
        "subject_id": item.subject_id,
        "name": item.name,
        "must": item.is_must,
        "needs": item.needs,
        "result": item.result.value,
        "note": item.note,
    }
    if item.kind != "kpi":
        # Only where there are some, so that the same decision has the same document as before there were files.
        held = list(files.get(item.subject_id, ())) if item.kind == "milestone" else []
        return document | {"due_on": item.due_on, "done_on": item.done_on} | ({"files": held} if held else {})
    value = item.value
    return document | {
        "measure": item.measure or ("formula" if item.formula else "reading"),
        "definition": item.definition,
        "unit": item.unit,
        "direction": item.direction,
        "baseline": item.baseline,
        "target": item.target,
        "minimum_sample": item.minimum_sample,
        "value": value.value if value else None,
        "low": value.low if value else None,
        "high": value.high if value else None,
        "window": {"start_on": value.start_on, "end_before": value.end_on} if value else None,
        "sample": value.sample if value else None,
        "coverage": value.coverage if value else None,
        "basis": value.basis if value else "",
        "judgement": value.judgement.status.value if value else KpiStatus.NO_DATA.value,
    }


def is_intact(decision: GateDecision) -> bool | None:
    """Whether the stored evidence still has the stored hash; None for a decision recorded later, without any."""
    if decision.evidence is None:
        return None
    return sha256_of(decision.evidence) == decision.evidence_sha256

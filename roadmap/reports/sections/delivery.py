"""Gates, milestones and KPIs."""

from __future__ import annotations

from datetime import date

from roadmap.queries.month_facts import MonthFacts
from roadmap.reports.section import Json, text_of


class Delivery:
    """What was promised, what is due, what was decided."""

    name = "delivery"
    title = "Gates and milestones"

    def build(self, facts: MonthFacts) -> Json | None:
        """`gates` and `milestones` with first promised and current dates."""
        if not facts.gates and not facts.milestones:
            return None
        return {
            "gates": [
                {
                    "phase": gate.phase,
                    "due_on": gate.due_on.isoformat(),
                    "baseline_due_on": gate.baseline_due_on.isoformat(),
                    "met": gate.met,
                    "criteria": gate.criteria,
                    "outcome": gate.outcome,
                    "decided_on": _iso(gate.decided_on),
                }
                for gate in facts.gates
            ],
            "milestones": [
                {
                    "name": milestone.name,
                    "phase": milestone.phase,
                    "state": milestone.state,
                    "due_on": milestone.due_on.isoformat(),
                    "baseline_due_on": milestone.baseline_due_on.isoformat(),
                    "done_on": _iso(milestone.done_on),
                    "owner": milestone.owner,
                    "slip_days": (milestone.due_on - milestone.baseline_due_on).days,
                }
                for milestone in facts.milestones
            ],
        }


class Kpis:
    """The phase's KPIs against baseline and target, with the month before."""

    name = "kpis"
    title = "KPIs"

    def build(self, facts: MonthFacts) -> Json | None:
        """`rows`, one per KPI."""
        if not facts.kpis:
            return None
        return {
            "rows": [
                {
                    "name": line.name,
                    "unit": line.unit,
                    "baseline": text_of(line.baseline),
                    "target": text_of(line.target),
                    "value": text_of(line.value.value),
                    "low": text_of(line.value.low),
                    "high": text_of(line.value.high),
                    "before": text_of(line.value_before.value),
                    "status": line.value.judgement.status.value,
                    "word": line.value.judgement.word,
                    "tone": line.value.judgement.tone,
                    "note": line.value.judgement.note,
                    "coverage": text_of(line.value.coverage),
                    "basis": line.value.basis,
                    "reason": line.value.reason,
                    "window": _window(line.value.start_on, line.value.end_on),
                }
                for line in facts.kpis
            ]
        }


def _iso(day: date | None) -> str | None:
    return day.isoformat() if day else None


def _window(start_on: date | None, end_on: date | None) -> list[str | None]:
    return [_iso(start_on), _iso(end_on)]

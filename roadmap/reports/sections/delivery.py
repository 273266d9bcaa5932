"""Gates, milestones and KPIs."""

from __future__ import annotations

from roadmap.queries.month_facts import KpiLine, MonthFacts
from roadmap.reports.section import Json, covered, fresh, iso, kept, text_of, window_json


class Delivery:
    """What was promised, what is due, what was decided."""

    name = "delivery"

    def build(self, facts: MonthFacts) -> Json | None:
        """`gates` and `milestones` with first promised and current dates; phases, states and outcomes are codes."""
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
                    "decided_on": iso(gate.decided_on),
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
                    "done_on": iso(milestone.done_on),
                    "owner": milestone.owner,
                    "slip_days": (milestone.due_on - milestone.baseline_due_on).days,
                }
                for milestone in facts.milestones
            ],
        }


class Kpis:
    """The phase's KPIs against baseline and target, with the month before."""

    name = "kpis"

    def build(self, facts: MonthFacts) -> Json | None:
        """`rows`, one per KPI."""
        if not facts.kpis:
            return None
        return {"rows": [_kpi(line, facts) for line in facts.kpis]}


def _kpi(line: KpiLine, facts: MonthFacts) -> Json:
    value = line.value
    return {
        "name": line.name,
        "measure": line.measure,
        "unit": line.unit,
        "baseline": text_of(line.baseline),
        "target": text_of(line.target),
        "value": text_of(value.value),
        "low": text_of(value.low),
        "high": text_of(value.high),
        "before": text_of(line.value_before.value),
        "status": value.judgement.status.value,
        "tone": value.judgement.tone,
        "note": kept(value.judgement.saying),
        "coverage": covered(value),
        "basis": kept(value.basis),
        "reason": kept(value.reason) if value.value is None else None,
        "window": window_json((value.start_on, value.end_on)),
        "freshness": fresh(facts) if line.measure else {"state": "entered", "data_until": None},
    }

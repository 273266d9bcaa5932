"""Decisions needed and risks."""

from __future__ import annotations

from roadmap.queries.month_facts import MonthFacts
from roadmap.reports.section import Json


class Decisions:
    """What somebody has to decide, from what the month shows."""

    name = "decisions"
    title = "Decisions needed"

    def build(self, facts: MonthFacts) -> Json:
        """`items`: sentences, empty where nothing is to be decided."""
        items = [
            f"Decide the gate of {gate.phase}: due on {gate.due_on:%-d %b %Y}, "
            f"{gate.met} of {gate.criteria} criteria met."
            for gate in facts.gates
            if not gate.outcome and gate.due_on < facts.end_on
        ]
        phase = facts.phase
        if phase and phase.forecast and phase.forecast.passes_on and phase.forecast.passes_on <= phase.planned_end_on:
            items.append(
                f"Change the budget of {phase.name} or its course: "
                f"it is passed on {phase.forecast.passes_on:%-d %b %Y}."
            )
        usage = facts.figures.usage
        if usage.requests_without_cost or usage.tokens_without_cost:
            what = (
                f"{usage.requests_without_cost:,.0f} requests"
                if usage.requests_without_cost
                else f"{usage.tokens_without_cost:,.0f} tokens"
            )
            items.append(f"Set a price: {what} are not priced.")
        return {"items": items}


class Risks:
    """The open risks, the largest first."""

    name = "risks"
    title = "Risks"

    def build(self, facts: MonthFacts) -> Json | None:
        """`rows` of at most five, and how many there are."""
        if not facts.risks:
            return None
        ordered = sorted(facts.risks, key=lambda risk: (-risk.score, risk.name))
        return {
            "count": len(ordered),
            "rows": [
                {
                    "name": risk.name,
                    "category": risk.category,
                    "score": risk.score,
                    "owner": risk.owner,
                    "response": risk.response,
                    "due_on": risk.due_on.isoformat() if risk.due_on else None,
                }
                for risk in ordered[:5]
            ],
        }

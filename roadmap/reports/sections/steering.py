"""Decisions needed and risks."""

from __future__ import annotations

from roadmap.queries.month_facts import MonthFacts
from roadmap.reports.section import Json, iso
from roadmap.sayings import say

# A gate on hold waits for its decision as one without any does.
OPEN = ("", "hold")


class Decisions:
    """What somebody has to decide, from what the month shows."""

    name = "decisions"

    def build(self, facts: MonthFacts) -> Json:
        """`items`: sayings, empty where nothing is to be decided."""
        items = [
            say("decide_gate", phase=gate.phase, on=gate.due_on, met=gate.met, criteria=gate.criteria)
            for gate in facts.gates
            if gate.outcome in OPEN and gate.due_on < facts.end_on
        ]
        phase = facts.phase
        if phase and phase.is_over_budget and phase.schedule.state == "active":
            amounts = {"spent": phase.spent, "budget": phase.budget, "currency": facts.currency}
            items.append(say("change_passed_budget", phase=phase.kind, **amounts))
        elif phase and phase.forecast and phase.forecast.passes_on and phase.forecast.passes_on <= phase.planned_end_on:
            items.append(say("change_budget", phase=phase.kind, on=phase.forecast.passes_on))
        usage = facts.figures.usage
        if usage.requests_without_cost:
            items.append(say("set_price_requests", requests=usage.requests_without_cost))
        elif usage.tokens_without_cost:
            items.append(say("set_price_tokens", tokens=usage.tokens_without_cost))
        return {"items": [item.json() for item in items]}


class Risks:
    """The open risks, the largest first."""

    name = "risks"

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
                    "due_on": iso(risk.due_on),
                }
                for risk in ordered[:5]
            ],
        }

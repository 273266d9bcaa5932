"""The three things that moved the spend most (docs/measures.md, 'What moved')."""

from __future__ import annotations

from decimal import Decimal

from roadmap.queries.month_facts import MonthFacts
from roadmap.reports.section import Json, text_of, window_json
from roadmap.rules.moved import WHOLE, Moved

MOST = 3
_ZERO = Decimal(0)


class Movers:
    """What changed against the month before, the largest first, and how much of it will be there next month."""

    name = "movers"

    def build(self, facts: MonthFacts) -> Json | None:
        """`rows` of at most three parts; `rest` is what all others sum to, so that the parts are the change.

        A row's `key` is the same in every month; `next_action` is what the manager wrote to it (`with_next_actions`).
        """
        if facts.figures.spend is None:
            # A month of which nothing is known is no fall to nothing.
            return None
        change = facts.change
        parts = sorted((part for part in change.parts if part.amount), key=lambda part: -abs(part.amount))
        if not parts:
            return None
        shown, others = parts[:MOST], parts[MOST:]
        return {
            "unit": facts.currency,
            "window": window_json((facts.start_on, facts.end_on)),
            "before": text_of(change.before),
            "value": text_of(change.now),
            "amount": text_of(change.amount),
            "rows": [
                {
                    "key": part.cause,
                    "cause": part.cause,
                    "amount": text_of(part.amount),
                    "one_off": text_of(part.one_off),
                    "continuing": text_of(part.continuing),
                    "drivers": _drivers(part),
                    "next_action": None,
                }
                for part in shown
            ],
            "rest": text_of(sum((part.amount for part in others), _ZERO)) if others else None,
        }


def with_next_actions(movers: Json, words: Json | None) -> Json:
    """The movers with the manager's next action to each, None where none was noted."""
    noted = (words or {}).get("next_actions") or {}
    rows = [{**row, "next_action": str(noted.get(row["key"]) or "").strip() or None} for row in movers["rows"]]
    return {**movers, "rows": rows}


def _drivers(part: Moved) -> list[Json]:
    return [
        {"provider": provider, "model": model, "amount": text_of(amount)}
        for (provider, model), amount in part.drivers
        if (provider, model) != WHOLE
    ]

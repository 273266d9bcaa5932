"""What a reader must know of the data."""

from __future__ import annotations

from decimal import Decimal

from roadmap.queries.month_facts import MonthFacts
from roadmap.reports.section import Json, iso
from roadmap.sayings import say


class DataNotes:
    """Zone, currency, rates, gaps and freshness."""

    name = "notes"

    def build(self, facts: MonthFacts) -> Json:
        """`items`: sayings; `sources`: each source with how far its data goes, at most to the month's end."""
        items = [say("zone_and_currency", zone=facts.zone, currency=facts.currency), say("what_spend_is")]
        items += [say("no_rate", currency=currency) for currency in sorted(facts.no_rate)]
        items += [say("rate_of", currency=currency, on=on) for currency, on in sorted(facts.stale_rates.items())]
        usage = facts.figures.usage
        if usage.requests_without_cost or usage.tokens_without_cost:
            requests, tokens = usage.requests_without_cost or 0, usage.tokens_without_cost or 0
            items.append(say("not_priced", requests=requests, tokens=tokens))
        restated = sum((part.amount for part in facts.change.parts if part.cause == "restatements"), Decimal(0))
        if restated:
            items.append(say("restated", amount=restated, currency=facts.currency))
        if facts.is_demo:
            items.append(say("demo_data"))
        return {
            "items": [item.json() for item in items],
            "sources": [
                {
                    "name": source.name,
                    "data_until": iso(min(source.data_until, facts.ends_at) if source.data_until else None),
                    "is_answering": not source.problem,
                }
                for source in facts.freshness
            ],
        }

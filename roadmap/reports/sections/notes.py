"""What a reader must know of the data."""

from __future__ import annotations

from roadmap.queries.month_facts import MonthFacts
from roadmap.reports.section import Json


class DataNotes:
    """Zone, currency, rates, gaps and freshness, in sentences."""

    name = "notes"
    title = "Data notes"

    def build(self, facts: MonthFacts) -> Json:
        """`items`: one sentence each; `sources`: each source with how far its data goes."""
        items = [
            f"Days are those of {facts.zone}; amounts are in {facts.currency}, without tax.",
            "Spend is billed cost where a statement covers it, else an estimate, and the month's cost entries.",
        ]
        items.extend(
            f"Amounts in {currency} are left out: there is no exchange rate." for currency in sorted(facts.no_rate)
        )
        items.extend(
            f"Amounts in {currency} are converted at the rate of {on:%-d %b %Y}."
            for currency, on in sorted(facts.stale_rates.items())
        )
        usage = facts.figures.usage
        if usage.requests_without_cost or usage.tokens_without_cost:
            items.append(
                f"Not priced, in no amount: {usage.requests_without_cost:,.0f} requests, "
                f"{usage.tokens_without_cost:,.0f} tokens."
            )
        if facts.is_demo:
            items.append("These are demo data: an invented company.")
        return {
            "items": items,
            "sources": [
                {
                    "name": source.name,
                    "data_until": source.data_until.isoformat() if source.data_until else None,
                    "problem": source.problem,
                }
                for source in facts.freshness
            ],
        }

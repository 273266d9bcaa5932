"""What the month's spend is made of."""

from __future__ import annotations

from decimal import Decimal

from roadmap.queries.month_facts import MonthFacts
from roadmap.reports.section import Json, fresh, text_of, window_json


class Money:
    """Spend by source and category beside the month before, and its parts by basis."""

    name = "money"

    def build(self, facts: MonthFacts) -> Json:
        """`rows` sum to `total`; `billed`, `estimated`, `entered` do as well. Unknown is null. In `unit`.

        A row of kind 'usage' or 'idle' has a source's `name`; of kind 'entered', the code of a cost category.
        """
        rows = [
            {
                "kind": "idle" if source.is_idle else "usage",
                "name": source.name,
                "category": "",
                "spend": text_of(source.spend),
                "before": text_of(source.spend_before),
            }
            for source in facts.sources
        ]
        rows += [
            {
                "kind": "entered",
                "name": "",
                "category": category,
                "spend": text_of(facts.entered.get(category, Decimal(0))),
                "before": text_of(facts.entered_before.get(category, Decimal(0))),
            }
            for category in sorted({*facts.entered, *facts.entered_before})
        ]
        usage = facts.figures.usage
        return {
            "unit": facts.currency,
            "window": window_json((facts.start_on, facts.end_on)),
            "freshness": fresh(facts),
            "rows": rows,
            "total": text_of(facts.figures.spend),
            "total_before": text_of(facts.figures_before.spend),
            "billed": text_of(usage.billed),
            "estimated": text_of(usage.unsettled),
            "entered": text_of(sum(facts.entered.values(), Decimal(0))),
            "not_priced_requests": text_of(usage.requests_without_cost),
            "not_priced_tokens": text_of(usage.tokens_without_cost),
        }

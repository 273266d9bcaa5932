"""Pricing the tokens of sums that came without money."""

from __future__ import annotations

from django.conf import settings

from metrics.fold import Folded
from metrics.format import Batch
from metrics.pricing import has_reserved_capacity, price_for

TOKENS = ("input_tokens", "cached_input_tokens", "cache_write_input_tokens", "output_tokens")


def price_cells(folded: Folded, batch: Batch) -> None:
    """Tokens of an hour are priced as pushed sums are; a cell with money is a cell of its currency."""
    for key in list(folded.cells):
        identity, hour, _ = key
        cell = folded.cells[key]
        tokens = {name: cell.counts.get(name, 0) for name in TOKENS}
        if not any(tokens.values()):
            continue
        on = hour.astimezone(settings.REPORTING_ZONE).date()
        if has_reserved_capacity(identity.backend_id, on, identity.key.model):
            continue
        one = identity.key
        price = price_for(one.provider, one.model, one.service_tier, hour.date(), backend_id=identity.backend_id)
        money = None
        if price is not None:
            money = price.cost(
                input_tokens=tokens["input_tokens"],
                cached=tokens["cached_input_tokens"],
                cache_write=tokens["cache_write_input_tokens"],
                output_tokens=tokens["output_tokens"],
            )
        if price is None or money is None:
            folded.not_priced += cell.counts.get("requests", 0) or 1
            continue
        if price.has_steps:
            batch.warn(
                "first_price_step", f"{price.ref}: the price depends on the size of a request; sums took the first."
            )
        folded.price_refs.add(price.ref)
        del folded.cells[key]
        cell.money, cell.currency = money, price.currency
        folded.cells[identity, hour, price.currency] = cell

"""What the records of one series and hour cost: as their sender states it, else by the price of their tokens."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, localcontext
from operator import attrgetter

from django.conf import settings

from metrics.format import Batch, Record
from metrics.identity import SeriesIdentity
from metrics.pricing import INPUT_ONLY_OPERATIONS, Price, has_reserved_capacity, price_for

# Ten decimals of money.
MONEY_UNIT = 10**10

Part = tuple[str, Decimal | None, list[Record]]


@dataclass(frozen=True, slots=True)
class Costs:
    """`parts`: (currency, cost, the records that have it); ('', None, records) of those without a price.

    `not_priced`: records with work that no price is known for. `price_ref`: the price used, empty for none.
    """

    parts: list[Part]
    not_priced: int = 0
    price_ref: str = ""


def money_units(text: str) -> int:
    """Decimal text (checked by the format) as whole 10^-10 parts of a unit; never through a float."""
    whole, _, decimals = text.partition(".")
    return int(whole) * MONEY_UNIT + (int(decimals.ljust(10, "0")) if decimals else 0)


def stated(records: list[Record]) -> Decimal:
    """The sum of the costs that the senders state, exact."""
    return Decimal(sum([money_units(record.cost) for record in records if record.cost is not None])).scaleb(-10)


def estimated(identity: SeriesIdentity, hour: datetime, records: list[Record], batch: Batch) -> Costs:
    """The cost of the records' tokens by own prices and the price list.

    Decided record by record, so that it does not depend on which others a batch brings.
    """
    key = identity.key
    if has_reserved_capacity(identity.backend_id, hour.astimezone(settings.REPORTING_ZONE).date(), key.model):
        return Costs([("", None, records)])
    price = price_for(key.provider, key.model, key.service_tier, hour.date(), backend_id=identity.backend_id)
    priced = [] if price is None else _priceable(records, key.operation, price)
    others: list[Record] = []
    not_priced = 0
    if not priced:
        others = records
    elif len(priced) < len(records):
        known = {id(record) for record in priced}
        others = [record for record in records if id(record) not in known]
    if others:
        has_errors = not batch.fields.isdisjoint(("errors", "error_type"))
        not_priced = sum(map(_has_work, others)) if has_errors else len(others)
    if price is None or not priced:
        return Costs([("", None, records)], not_priced)
    with localcontext() as context:
        context.prec = 60
        amount = _stepped_cost(price, priced, batch) if price.has_steps else _flat_cost(price, priced, batch.fields)
    parts: list[Part] = [(price.currency, amount, priced)]
    if others:
        parts.append(("", None, others))
    return Costs(parts, not_priced, price.ref)


def _priceable(records: list[Record], operation: str, price: Price) -> list[Record]:
    """Those whose tokens are known, and whose output has a price where there is any."""
    if operation in INPUT_ONLY_OPERATIONS:
        priceable = [record for record in records if record.input_tokens is not None]
    else:
        priceable = [
            record for record in records if record.input_tokens is not None and record.output_tokens is not None
        ]
    if price.output is None:
        priceable = [record for record in priceable if not record.output_tokens]
    return records if len(priceable) == len(records) else priceable


def _has_work(record: Record) -> bool:
    """Whether there is something to pay for: an error without tokens costs nothing that anybody knows of."""
    return bool(record.input_tokens or record.output_tokens) or (record.errors or 0) < (record.requests or 1)


def _flat_cost(price: Price, records: list[Record], fields: frozenset[str]) -> Decimal | None:
    """The price is the same for each token, so that the sums are priced at once, exactly."""
    return price.cost(
        input_tokens=sum([record.input_tokens or 0 for record in records]),
        cached=_sum_of("cached_input_tokens", records, fields),
        cache_write=_sum_of("cache_write_input_tokens", records, fields),
        output_tokens=_sum_of("output_tokens", records, fields),
    )


def _sum_of(name: str, records: list[Record], fields: frozenset[str]) -> int:
    return sum([value or 0 for value in map(attrgetter(name), records)]) if name in fields else 0


def _stepped_cost(price: Price, records: list[Record], batch: Batch) -> Decimal | None:
    """The price depends on the size of each request; a record that is a sum takes the first step."""
    total = Decimal(0)
    sums = 0
    for record in records:
        is_sum = (record.requests or 1) > 1
        sums += is_sum
        amount = price.cost(
            input_tokens=record.input_tokens or 0,
            cached=record.cached_input_tokens or 0,
            cache_write=record.cache_write_input_tokens or 0,
            output_tokens=record.output_tokens or 0,
            request_input=0 if is_sum else record.input_tokens or 0,
        )
        if amount is None:
            return None
        total += amount
    if sums:
        batch.warn(
            "first_price_step", f"{price.ref}: the price depends on the size of a request; sums took the first.", sums
        )
    return total

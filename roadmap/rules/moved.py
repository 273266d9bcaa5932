"""What moved: the change of spend between two periods, split in one order, each step with the others held. Pure.

Of traffic, spend = rate x price x share in the mix x quantity per unit of work x units of work. Step by step each
factor takes its new value: exchange rate, price, mix, volume, quantity per unit. What has no quantity follows: idle
capacity, cost entries, restatements, other charges. So the parts are the change (docs/measures.md, 'What moved').
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, localcontext
from typing import Literal, get_args

from metrics.money import rounded_parts

Cause = Literal[
    "exchange_rate",
    "price",
    "mix",
    "volume",
    "tokens_per_unit",
    "idle",
    "cost_entries",
    "restatements",
    "other_charges",
]
CAUSES: tuple[Cause, ...] = get_args(Cause)
ZERO = Decimal(0)
CENT = Decimal("0.01")
Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Traffic:
    """What one provider and model cost and did. `measure`: what `quantity` counts; None: nothing that is known.

    `at_new_rates`: the same money at the exchange rates of the later period.
    """

    spend: Decimal
    at_new_rates: Decimal
    quantity: Decimal | None = None
    measure: Literal["tokens", "requests", "units"] | None = None


@dataclass(frozen=True, slots=True)
class Period:
    """One period. Restated money is in none of the others. `units`: units of work, None where unknown."""

    traffic: Mapping[Key, Traffic] = field(default_factory=dict)
    units: Decimal | None = None
    idle: Decimal = ZERO
    idle_at_new_rates: Decimal = ZERO
    cost_entries: Decimal = ZERO
    restatements: Decimal = ZERO
    other_charges: Decimal = ZERO

    @property
    def total(self) -> Decimal:
        """All of it."""
        traffic = sum((one.spend for one in self.traffic.values()), ZERO)
        return traffic + self.idle + self.cost_entries + self.restatements + self.other_charges


@dataclass(frozen=True, slots=True)
class Moved:
    """One part of the change, to the cent. `drivers`: (what, amount) of the largest contributions, to the cent: all of
    them add up to the part.

    `one_off`: how much of it will not be there next time; the rest continues.
    """

    cause: Cause
    amount: Decimal
    one_off: Decimal
    drivers: Sequence[tuple[Key, Decimal]] = ()

    @property
    def continuing(self) -> Decimal:
        return self.amount - self.one_off


@dataclass(frozen=True, slots=True)
class Change:
    """The change, to the cent, and its parts, which add up to it."""

    before: Decimal
    now: Decimal
    parts: Sequence[Moved]

    @property
    def amount(self) -> Decimal:
        return self.now - self.before


Steps = dict[Cause, dict[Key, Decimal]]
# Whole-period causes that belong to no model.
WHOLE: Key = ("", "")


def moved(before: Period, now: Period, *, ended_prices: frozenset[Key] = frozenset()) -> Change:
    """The change's parts from `before` to `now`. `ended_prices`: whose price in the later period has ended since."""
    with localcontext() as context:
        context.prec = 60
        steps: Steps = {cause: {} for cause in CAUSES}
        _traffic(before, now, steps)
        _add(steps, "exchange_rate", WHOLE, before.idle_at_new_rates - before.idle)
        _add(steps, "idle", WHOLE, now.idle - before.idle_at_new_rates)
        _add(steps, "cost_entries", WHOLE, now.cost_entries - before.cost_entries)
        _add(steps, "restatements", WHOLE, now.restatements - before.restatements)
        _add(steps, "other_charges", WHOLE, now.other_charges - before.other_charges)
        sums = [sum(steps[cause].values(), ZERO) for cause in CAUSES]
        was, is_now = before.total.quantize(CENT), now.total.quantize(CENT)
        rounded = rounded_parts(sums, total=is_now - was)
        parts = []
        for cause, amount in zip(CAUSES, rounded, strict=True):
            held = steps[cause]
            one_off = ZERO
            if cause in ("cost_entries", "restatements", "other_charges"):
                one_off = amount
            elif cause == "price":
                one_off = sum((held[key] for key in held if key in ended_prices), ZERO).quantize(CENT)
            parts.append(Moved(cause, amount, one_off, _drivers(held, amount)))
        return Change(was, is_now, parts)


def _add(steps: Steps, cause: Cause, key: Key, amount: Decimal) -> None:
    if amount:
        steps[cause][key] = steps[cause].get(key, ZERO) + amount


def _drivers(held: Mapping[Key, Decimal], total: Decimal) -> list[tuple[Key, Decimal]]:
    rounded = zip(held, rounded_parts(list(held.values()), total=total), strict=True)
    known = [(key, amount) for key, amount in rounded if key != WHOLE and abs(amount) >= CENT]
    return sorted(known, key=lambda pair: (-abs(pair[1]), pair[0]))[:3]


NOTHING = Traffic(ZERO, ZERO)


def _traffic(before: Period, now: Period, steps: Steps) -> None:
    by_measure: dict[str, list[Key]] = {}
    for key in sorted({*before.traffic, *now.traffic}):
        was, is_now = before.traffic.get(key, NOTHING), now.traffic.get(key, NOTHING)
        _add(steps, "exchange_rate", key, was.at_new_rates - was.spend)
        measure = _measure(was, is_now)
        if measure is None:
            # Money without a known quantity: all that can be said is that it costs more or less.
            _add(steps, "price", key, is_now.spend - was.at_new_rates)
        else:
            by_measure.setdefault(measure, []).append(key)
    for keys in by_measure.values():
        _of_measure(before, now, keys, steps)


def _measure(was: Traffic, is_now: Traffic) -> str | None:
    """What both periods count the model by; a period without the model asks for nothing."""
    asked = [one for one in (was, is_now) if one is not NOTHING]
    measures = {one.measure for one in asked}
    if len(measures) != 1 or any(not one.quantity and (one.spend or one.at_new_rates) for one in asked):
        return None
    return next(iter(measures))


def _of_measure(before: Period, now: Period, keys: Sequence[Key], steps: Steps) -> None:
    """Price, mix, volume and quantity per unit of the models that are counted by the same measure."""
    quantity_was = sum((_quantity(before, key) for key in keys), ZERO)
    quantity_now = sum((_quantity(now, key) for key in keys), ZERO)
    units_was, units_now = before.units, now.units
    if not units_was or not units_now:
        # Nothing says how much work that was: the quantity itself is the volume.
        units_was, units_now = quantity_was, quantity_now
    for key in keys:
        was, is_now = _quantity(before, key), _quantity(now, key)
        price_was = before.traffic[key].at_new_rates / was if was else None
        price_now = now.traffic[key].spend / is_now if is_now else price_was
        if price_was is None:
            price_was = price_now
        if price_was is None or price_now is None:
            continue
        _add(steps, "price", key, (price_now - price_was) * was)
        if not quantity_was or not quantity_now:
            # A kind of work that only one period has.
            cause: Cause = "volume" if not before.traffic or not now.traffic or units_was is quantity_was else "mix"
            _add(steps, cause, key, price_now * (is_now - was))
            continue
        share_was, share_now = was / quantity_was, is_now / quantity_now
        per_unit_was, per_unit_now = quantity_was / units_was, quantity_now / units_now
        _add(steps, "mix", key, price_now * (share_now - share_was) * quantity_was)
        _add(steps, "volume", key, price_now * share_now * (units_now - units_was) * per_unit_was)
        _add(steps, "tokens_per_unit", key, price_now * share_now * units_now * (per_unit_now - per_unit_was))


def _quantity(period: Period, key: Key) -> Decimal:
    return period.traffic.get(key, NOTHING).quantity or ZERO

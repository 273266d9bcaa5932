"""Money: strict parsing, splitting to the last place, and exchange rates. Decimals only, never floats.

Holds no Django, no clock and no settings.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import ROUND_FLOOR, Decimal, localcontext

PLACES = 10
STEP = Decimal(1).scaleb(-PLACES)
# measures.md, Money: the last rate before a day stands in, up to this age.
OLDEST_RATE = timedelta(days=45)
# The European Central Bank quotes no rate on weekends and holidays; the longest such gap is Easter's four days.
QUIET_RATE_AGE = timedelta(days=4)
# Factors are kept to this many places, so that converted parts still add up to the converted whole.
FACTOR_STEP = Decimal(1).scaleb(-15)

_AMOUNT = re.compile(r"(-?)(\d{1,20})(?:\.(\d{1,10}))?")
_CURRENCY = re.compile(r"[A-Z]{3}")


def parse_amount(text: str) -> Decimal:
    """A decimal from text: digits, optionally a minus and at most 10 decimals. Raises ValueError for anything else.

    No exponent, no separator, no sign but minus, no NaN, no spaces: what a person or program meant must be certain.
    """
    if not isinstance(text, str) or not _AMOUNT.fullmatch(text) or not text.isascii():
        raise ValueError("an amount is a decimal number with at most 10 decimals, like 12.50")
    return Decimal(text)


def parse_currency(text: str) -> str:
    """An ISO 4217 code in capitals. Raises ValueError for what cannot be one."""
    if not isinstance(text, str) or not _CURRENCY.fullmatch(text):
        raise ValueError("a currency is a code of three capital letters, like EUR")
    return text


def split(total: Decimal, weights: Sequence[Decimal | int], *, places: int = PLACES) -> list[Decimal]:
    """`total` in parts proportional to `weights`, each with at most `places` decimals, that add up to it exactly.

    Largest remainder first, ties in the order given (callers sort by series and hour). Raises ValueError where a
    weight is negative, all are zero, or `total` has more decimals than `places`.
    """
    with localcontext() as context:
        context.prec = 100
        units = total.scaleb(places)
        if units != units.to_integral_value():
            raise ValueError(f"{total} has more than {places} decimals")
        if any(isinstance(weight, Decimal) and not weight.is_finite() for weight in weights):
            raise ValueError("a weight is not a number")
        if any(weight < 0 for weight in weights):
            raise ValueError("a weight is negative")
        whole = sum(weights)
        if not whole:
            raise ValueError("there is nothing to spread over")
        sign, magnitude = (-1, -int(units)) if units < 0 else (1, int(units))
        scaled = _as_integers(weights)
        of = sum(scaled)
        parts = [magnitude * weight // of for weight in scaled]
        left = magnitude - sum(parts)
        by_remainder = sorted(range(len(scaled)), key=lambda place: (-(magnitude * scaled[place] % of), place))
        for place in by_remainder[:left]:
            parts[place] += 1
        return [Decimal(sign * part).scaleb(-places) for part in parts]


def _as_integers(weights: Sequence[Decimal | int]) -> list[int]:
    places = 0
    for weight in weights:
        if isinstance(weight, Decimal):
            places = max(places, -int(weight.as_tuple().exponent))
    factor = 10**places
    return [int(weight * factor) for weight in weights]


@dataclass(frozen=True, slots=True)
class Factor:
    """What one unit of a currency is worth in the reporting currency, and the day of the rate that says so.

    `is_stale`: the rate is older than a long weekend, so that the figure says 'rate of 30 Oct'.
    """

    value: Decimal
    rate_on: date
    is_stale: bool


class Rates:
    """Exchange rates against the euro, as loaded for some window.

    `per_euro`: currency -> {day: units of it for one euro}. `reporting`: the currency to convert into.
    """

    def __init__(self, reporting: str, per_euro: Mapping[str, Mapping[date, Decimal]]) -> None:
        self.reporting = reporting
        self._days = {currency: sorted(rates) for currency, rates in per_euro.items()}
        self._per_euro = per_euro

    def factor(self, currency: str, on: date) -> Factor | None:
        """The day's factor, else that of the last day before, up to 45 days old; None: 'no rate'."""
        if currency == self.reporting:
            return Factor(Decimal(1), on, is_stale=False)
        source, target = self._rate(currency, on), self._rate(self.reporting, on)
        if source is None or target is None:
            return None
        (source_on, per_euro), (target_on, target_per_euro) = source, target
        rate_on = min(source_on, target_on)
        with localcontext() as context:
            context.prec = 60
            value = (target_per_euro / per_euro).quantize(FACTOR_STEP)
        return Factor(value, rate_on, is_stale=on - rate_on > QUIET_RATE_AGE)

    def convert(self, amount: Decimal, currency: str, on: date) -> Decimal | None:
        """The amount in the reporting currency at that day's rate, unrounded; None where there is no rate."""
        factor = self.factor(currency, on)
        return None if factor is None else amount * factor.value

    def _rate(self, currency: str, on: date) -> tuple[date, Decimal] | None:
        if currency == "EUR":
            return on, Decimal(1)
        days = self._days.get(currency, [])
        place = bisect_right(days, on)
        if not place or on - days[place - 1] > OLDEST_RATE:
            return None
        day = days[place - 1]
        return day, self._per_euro[currency][day]


def total_of(amounts: Iterable[Decimal | None]) -> Decimal | None:
    """The sum of what is known; None where nothing is."""
    known = [amount for amount in amounts if amount is not None]
    return sum(known, Decimal(0)) if known else None


def rounded_parts(amounts: Sequence[Decimal], *, places: int = 2, total: Decimal | None = None) -> list[Decimal]:
    """The amounts at so many places, adding up to their rounded sum (or to `total`, which must be near it).

    Largest remainder first, ties in the order given. Amounts may be negative. So a table's parts are its total.
    """
    step = Decimal(1).scaleb(-places)
    with localcontext() as context:
        context.prec = 100
        whole = (sum(amounts, Decimal(0)) if total is None else total).quantize(step)
        floors = [amount.quantize(step, rounding=ROUND_FLOOR) for amount in amounts]
        left = int((whole - sum(floors, Decimal(0))) / step)
        order = sorted(range(len(amounts)), key=lambda place: (floors[place] - amounts[place], place))
        if left < 0:
            order.reverse()
        for number in range(abs(left)) if order else ():
            floors[order[number % len(order)]] += step if left > 0 else -step
        return floors


class RunningRounder:
    """Rounds a stream of amounts to some places so that what came out so far is the rounded sum of what went in."""

    def __init__(self, places: int = PLACES) -> None:
        self._step = Decimal(1).scaleb(-places)
        self._exact = Decimal(0)
        self._told = Decimal(0)

    def round(self, amount: Decimal) -> Decimal:
        """The next amount, rounded."""
        with localcontext() as context:
            context.prec = 100
            self._exact += amount
            rounded = self._exact.quantize(self._step) - self._told
            self._told += rounded
            return rounded

"""What a cost entry amounts to in a window, by the day (measures.md, Money). Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from decimal import ROUND_HALF_EVEN, Decimal

# Money is shared out at ten places, as usage is; the parts of tiling windows then add up to the entry, to the last one.
_PLACES = Decimal("1e-10")


@dataclass(frozen=True, slots=True)
class CostSpan:
    """An amount of one currency on one local day (`end_on` None), or spread over days, both included."""

    amount: Decimal
    start_on: date
    end_on: date | None = None

    @property
    def last_on(self) -> date:
        return self.end_on or self.start_on

    @property
    def days(self) -> int:
        return (self.last_on - self.start_on).days + 1


def amount_in(span: CostSpan, start_on: date, end_on: date) -> Decimal:
    """What falls on the local days [start_on, end_on): amount x days in the window / days in the period.

    It is the difference of two running sums, so that windows that tile a period sum to the amount exactly.
    """
    if end_on <= start_on:
        return Decimal(0)
    return _until(span, end_on) - _until(span, start_on)


def _until(span: CostSpan, day: date) -> Decimal:
    """What falls before `day`."""
    passed = (day - span.start_on).days
    if passed <= 0:
        return Decimal(0)
    if passed >= span.days:
        return span.amount
    return (span.amount * passed / span.days).quantize(_PLACES, rounding=ROUND_HALF_EVEN)


def cut_after(span: CostSpan, last_on: date) -> CostSpan | None:
    """The entry ended on `last_on` with what fell until then (to the cent); None where nothing fell by then."""
    if span.start_on > last_on:
        return None
    if span.last_on <= last_on:
        return span
    amount = amount_in(span, span.start_on, last_on + timedelta(days=1)).quantize(Decimal("0.01"))
    return CostSpan(amount, span.start_on, last_on)

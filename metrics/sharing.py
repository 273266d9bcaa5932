"""Arithmetic of reserved capacity: what an hour costs, and whose hour it was (measures.md, Money). Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, tzinfo
from decimal import ROUND_HALF_EVEN, Decimal
from typing import TYPE_CHECKING

from metrics.money import STEP, split
from metrics.windows import HOUR

if TYPE_CHECKING:
    from metrics.models import RateCard

SECONDS_STEP = Decimal("0.000001")


@dataclass(frozen=True, slots=True)
class Served:
    """What one series did in an hour, as far as capacity is shared out by it. None is unknown."""

    series_id: int
    model: str = ""
    gpu_busy_seconds: Decimal | None = None
    input_tokens: Decimal | None = None
    output_tokens: Decimal | None = None
    requests: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Share:
    """What falls to a series: money at 10 decimals, held seconds, None where utilisation was not measured.

    `is_of_machine`: the busy seconds are this series' share of what was measured of the machine, and not its own.
    """

    series_id: int
    amount: Decimal
    held_seconds: Decimal | None
    is_of_machine: bool = False


@dataclass(frozen=True, slots=True)
class Machine:
    """What an exporter measured of a backend's GPUs in an hour. None is unknown."""

    busy_seconds: Decimal | None = None
    seen_seconds: Decimal | None = None
    energy_wh: Decimal | None = None

    def busy_of(self, held_seconds: Decimal) -> Decimal | None:
        """Busy seconds of those held: the utilisation that was seen, where at least half of them were seen."""
        if self.busy_seconds is None or not self.seen_seconds or self.seen_seconds * 2 < held_seconds:
            return None
        share = min(self.busy_seconds / self.seen_seconds, Decimal(1))
        return (share * held_seconds).quantize(SECONDS_STEP)


@dataclass(frozen=True, slots=True)
class HourSplit:
    """An hour's cost. `idle_busy_seconds`: None where use was not measured, else zero, or what nobody caused."""

    busy: list[Share]
    idle_amount: Decimal
    idle_held_seconds: Decimal
    idle_busy_seconds: Decimal | None


def hour_cost(card: RateCard, hour: datetime, *, measured_wh: Decimal | None, zone: tzinfo) -> Decimal:
    """The cost of one held hour, at 10 decimals, in the card's currency."""
    if card.kind != "owned":
        return ((card.rate_per_unit_hour or Decimal(0)) * card.units).quantize(STEP)
    return _amortised(card, hour, zone) + _energy_cost(card, measured_wh)


def _amortised(card: RateCard, hour: datetime, zone: tzinfo) -> Decimal:
    """This hour's part of the purchase: differences of rounded running sums, so that all parts are the purchase."""
    if card.purchase_amount is None or card.purchased_on is None or not card.amortisation_months:
        return Decimal(0)
    start = _midnight(card.purchased_on, zone)
    end = _midnight(_months_after(card.purchased_on, card.amortisation_months), zone)
    if not start <= hour < end:
        return Decimal(0)
    hours = (end - start) // HOUR
    place = (hour - start) // HOUR

    purchase: Decimal = card.purchase_amount

    def until(count: int) -> Decimal:
        return (purchase * count / hours).quantize(STEP, rounding=ROUND_HALF_EVEN)

    return until(place + 1) - until(place)


def _energy_cost(card: RateCard, measured_wh: Decimal | None) -> Decimal:
    if card.price_per_kwh is None:
        return Decimal(0)
    watt_hours = measured_wh if measured_wh is not None else (card.rated_watts or Decimal(0)) * card.units
    return (watt_hours / 1000 * card.pue * card.price_per_kwh).quantize(STEP)


def split_hour(
    cost: Decimal,
    held_seconds: Decimal,
    served: Sequence[Served],
    *,
    input_weight: Decimal,
    machine_busy: Decimal | None = None,
) -> HourSplit:
    """Split an hour's cost into the busy part of each series and the idle part; they add up to `cost`.

    Busy is what utilisation says where GPU seconds were measured, by series or (`machine_busy`) of the machine as a
    whole; without them an hour with traffic is all busy.
    """
    measured = [row.gpu_busy_seconds for row in served if row.gpu_busy_seconds is not None]
    rows = with_traffic(served)
    weights = weights_of(rows, input_weight)
    if machine_busy is not None and not measured:
        return _split_machine(cost, held_seconds, min(machine_busy, held_seconds), rows, weights)
    if measured:
        busy_seconds = min(sum(measured, Decimal(0)), held_seconds)
        busy_cost = (cost * busy_seconds / held_seconds).quantize(STEP) if held_seconds else Decimal(0)
    else:
        busy_seconds, busy_cost = held_seconds, cost
    if weights is None or not busy_seconds:
        is_idle_measured = Decimal(0) if measured and not busy_seconds else None
        return HourSplit([], cost, held_seconds, is_idle_measured)
    amounts = split(busy_cost, weights)
    if not measured:
        # Seconds of use are not known, so neither is utilisation: the held ones stay with the hour as a whole.
        shares = [Share(row.series_id, amount, None) for row, amount in zip(rows, amounts, strict=True)]
        return HourSplit(shares, cost - busy_cost, held_seconds, None)
    held = _held(rows, busy_seconds)
    shares = [Share(row.series_id, amount, seconds) for row, amount, seconds in zip(rows, amounts, held, strict=True)]
    idle_seconds = held_seconds - sum((seconds for seconds in held if seconds is not None), Decimal(0))
    return HourSplit(shares, cost - busy_cost, idle_seconds, Decimal(0))


def _split_machine(
    cost: Decimal, held: Decimal, busy: Decimal, rows: Sequence[Served], weights: Sequence[Decimal] | None
) -> HourSplit:
    if weights is None or not busy:
        # At work for nobody that is known: the money is idle's, the seconds are still no idle ones.
        return HourSplit([], cost, held, busy)
    busy_cost = (cost * busy / held).quantize(STEP)
    amounts, seconds = split(busy_cost, weights), split(busy, weights, places=6)
    shares = [
        Share(row.series_id, amount, part, is_of_machine=True)
        for row, amount, part in zip(rows, amounts, seconds, strict=True)
    ]
    return HourSplit(shares, cost - busy_cost, held - busy, Decimal(0))


def with_traffic(served: Sequence[Served]) -> list[Served]:
    """Those that were served anything."""
    return [row for row in served if _has_traffic(row)]


def _held(rows: Sequence[Served], busy_seconds: Decimal) -> list[Decimal | None]:
    """A series that knows its busy seconds held them; the rest of the held time is idle's, so that ratios add up."""
    total = sum((row.gpu_busy_seconds for row in rows if row.gpu_busy_seconds is not None), Decimal(0))
    if total <= busy_seconds:
        return [row.gpu_busy_seconds for row in rows]
    known = [row.gpu_busy_seconds or Decimal(0) for row in rows]
    parts = split(busy_seconds.quantize(SECONDS_STEP), known, places=6)
    return [None if row.gpu_busy_seconds is None else part for row, part in zip(rows, parts, strict=True)]


def _has_traffic(row: Served) -> bool:
    return any((row.gpu_busy_seconds, row.input_tokens, row.output_tokens, row.requests))


def weights_of(rows: Sequence[Served], input_weight: Decimal) -> list[Decimal] | None:
    """GPU busy seconds, else output + weighted input tokens, else requests: the first that all know, else any knows."""

    def tokens(row: Served) -> Decimal | None:
        if row.input_tokens is None and row.output_tokens is None:
            return None
        return (row.output_tokens or Decimal(0)) + input_weight * (row.input_tokens or Decimal(0))

    ways: tuple[Callable[[Served], Decimal | None], ...] = (
        lambda row: row.gpu_busy_seconds,
        tokens,
        lambda row: row.requests,
    )
    for needs_all in (True, False):
        for way in ways:
            values = [way(row) for row in rows]
            if needs_all and any(value is None for value in values):
                continue
            weights = [value or Decimal(0) for value in values]
            if sum(weights) > 0:
                return weights
    return None


def _midnight(on: date, zone: tzinfo) -> datetime:
    return datetime.combine(on, time(), tzinfo=zone).astimezone(UTC)


def _months_after(on: date, months: int) -> date:
    year, month = divmod(on.year * 12 + on.month - 1 + months, 12)
    # The 31st of a month without one is its last day.
    for day in (on.day, 30, 29, 28):
        try:
            return date(year, month + 1, day)
        except ValueError:
            continue
    raise AssertionError("every month has 28 days")

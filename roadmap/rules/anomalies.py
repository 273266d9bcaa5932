"""Days that leave a series' own recent band: median and median absolute deviation of the days before. Pure.

The median and the MAD are not moved by the very days that are looked for, as a mean and a standard deviation would be.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

DAY = timedelta(days=1)
# The band rests on these days before, and on at least so many of them with a value.
BAND_DAYS = 28
FEWEST_DAYS = 14
# 1.4826 x MAD is the standard deviation of a normal distribution; four of them on either side.
SPREADS = Decimal(4)
NORMAL = Decimal("1.4826")
# Of the same weekday: the weeks before, and of them at least so many with a value.
WEEKS, FEWEST_WEEKS = 8, 4
# A band is never narrower than this share of the median, so that a steady series does not cry at every breath.
NARROWEST = Decimal("0.25")


@dataclass(frozen=True, slots=True)
class Band:
    """What is usual: the median of `days` days, and the values between which a day is usual."""

    median: Decimal
    low: Decimal
    high: Decimal
    days: int

    def holds(self, value: Decimal) -> bool:
        """Whether the value is usual; the edges are."""
        return self.low <= value <= self.high


@dataclass(frozen=True, slots=True)
class Unusual:
    """A day outside its band."""

    on: date
    value: Decimal
    band: Band

    @property
    def excess(self) -> Decimal:
        """How far from the median, in its own unit."""
        return self.value - self.band.median

    @property
    def times(self) -> Decimal | None:
        """How many times the median; None where that is zero."""
        return self.value / self.band.median if self.band.median else None


def median(values: Sequence[Decimal]) -> Decimal:
    """The middle value, the mean of the two in the middle of an even number. Raises IndexError for none."""
    ordered = sorted(values)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


def band_of(values: Sequence[Decimal], *, least: Decimal = Decimal(0), fewest: int = FEWEST_DAYS) -> Band | None:
    """The band of recent values; None where there are too few. Its half is at least `least`, its low not under zero."""
    if len(values) < fewest:
        return None
    middle = median(values)
    deviation = median([abs(value - middle) for value in values])
    half = max(SPREADS * NORMAL * deviation, NARROWEST * abs(middle), least)
    return Band(middle, max(middle - half, Decimal(0)), middle + half, len(values))


def _is_plainly_usual(value: float, before: Sequence[float], least: float) -> bool:
    """Whether a day is so far inside its band that floats can tell: most days are, and decimals are slow to sort."""
    if len(before) < FEWEST_DAYS:
        return False
    ordered = sorted(before)
    half = len(ordered) // 2
    middle = ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2
    # At least so wide is every band; the deviation can only widen it.
    width = max(float(NARROWEST) * abs(middle), least)
    return abs(value - middle) < width * 0.999


def unusual_days(
    values: Mapping[date, Decimal], *, since: date, until: date, least: Decimal = Decimal(0)
) -> list[Unusual]:
    """The days of [since, until) that lie outside the band of the 28 days before each, in order.

    A day that is usual for its weekday (within the band of the same weekday of eight weeks, where four of them have a
    value) is usual: quiet weekends are no news. A day without a value is unknown: it is neither unusual nor part of a
    band. An unusual day stays in later bands, which a median bears; a change that lasts becomes usual after two weeks.
    """
    found = []
    days = sorted(values)
    rough = [float(values[day]) for day in days]
    # Days [first, place) of `days` are those before the present one that its band may rest on.
    first = 0
    for place, on in enumerate(days):
        if not since <= on < until:
            continue
        while days[first] < on - BAND_DAYS * DAY:
            first += 1
        if _is_plainly_usual(rough[place], rough[first:place], float(least)):
            continue
        band = band_of([values[day] for day in days[first:place]], least=least)
        if band is None or band.holds(values[on]):
            continue
        weeks = [values[day] for back in range(1, WEEKS + 1) if (day := on - 7 * DAY * back) in values]
        weekday = band_of(weeks, least=least, fewest=FEWEST_WEEKS)
        if weekday is None or not weekday.holds(values[on]):
            found.append(Unusual(on, values[on], band))
    return found

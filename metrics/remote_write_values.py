"""What a written sample's value is in the unit of its measure. Pure."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from decimal import Decimal

from metrics.connector import CounterValue
from metrics.connectors.presets import COUNT_AND_SUM, Reading
from metrics.formats.remote_write import COUNT, LARGEST_COUNT, SUM, Meaning
from metrics.usage import COUNT_MEASURES, MONEY_MEASURES, ForeignHistogram

MONEY_STEP = Decimal("1e-10")


def measure_of(meaning: Meaning) -> str:
    """The measure of this piece of a reading."""
    measure = meaning.reading.measure
    if meaning.part == COUNT:
        return COUNT_AND_SUM[measure][0]
    return COUNT_AND_SUM[measure][1] if meaning.part == SUM else measure


def number_of(value: float, reading: Reading, measure: str) -> int | Decimal | None:
    """The value in the measure's unit; None where it cannot be one."""
    if value > LARGEST_COUNT:
        return None
    if measure in COUNT_MEASURES:
        return int(value) if value.is_integer() else None
    found = Decimal(repr(value)) * reading.scale
    return found.quantize(MONEY_STEP) if measure in MONEY_MEASURES else found


def buckets_of(scrape: Mapping[str, int], bounds: Collection[str], reading: Reading) -> ForeignHistogram | None:
    """The counts between these bounds; None where they fall from bucket to bucket, or there is nothing between."""
    ordered = sorted(bounds, key=float)
    if len(ordered) < 2 or ordered[-1] != repr(math.inf):  # noqa: PLR2004 - a bound and +Inf
        return None
    cumulative = [0, *(scrape[bound] for bound in ordered)]
    counts = tuple(after - before for before, after in zip(cumulative, cumulative[1:], strict=False))
    if min(counts) < 0:
        return None
    return ForeignHistogram(tuple(float(Decimal(bound) * reading.scale) for bound in ordered[:-1]), counts)


def size_of(value: CounterValue) -> int | Decimal:
    """How much it counts."""
    return sum(value.counts) if isinstance(value, ForeignHistogram) else value


def told(value: int | str) -> int | Decimal:
    """The value that was kept as JSON."""
    return value if isinstance(value, int) else Decimal(value)

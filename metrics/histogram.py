"""One histogram for every latency: logarithmic buckets of ratio 1.04 from 0.1 ms to 24 h, under- and overflow kept.

It adds, subtracts and merges exactly, since it is counts and nothing else. Bucket 0 is the underflow, bucket i from 1
to BUCKETS covers [0.1 ms x 1.04^(i-1), 0.1 ms x 1.04^i), bucket BUCKETS + 1 is the overflow. Stored as a *window*:
`[first bucket, count, count, ...]` without zeros at either end, `[]` where there is nothing.

Foreign counts (another system's buckets) are put into ours on arrival and kept apart from native ones, by their bounds,
so that a percentile that falls into them is printed as the foreign bucket. Holds no Django, no clock, no settings.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import lru_cache
from math import ceil, exp, floor, log

from metrics.usage import ForeignHistogram

RATIO = 1.04
LOWEST_MS = 0.1
HIGHEST_MS = 86_400_000.0
LOG_RATIO = log(RATIO)
BUCKETS = ceil(log(HIGHEST_MS / LOWEST_MS) / LOG_RATIO)
UNDERFLOW = 0
OVERFLOW = BUCKETS + 1
# Shares have 10 decimal places: counts weighed by them are whole numbers of this fraction.
SHARE_UNIT = 10**10

_OFFSET = 1 - log(LOWEST_MS) / LOG_RATIO
_PER_LOG = 1 / LOG_RATIO
# So many are counted faster in a list than with a Counter, and more of them slower.
_FEW = 100

Window = list[int]
Bounds = tuple[float, ...]
Buckets = dict[int, int]


@dataclass(frozen=True, slots=True)
class Percentile:
    """A nearest-rank percentile in milliseconds.

    `ms` is within 2.5% of it where it falls into native counts; else None, and it lies between `low_ms` (None: no
    lower bound is known, 'under 0.3 s') and `high_ms` (None: no upper one, 'over 10 s').
    """

    ms: float | None
    low_ms: float | None = None
    high_ms: float | None = None

    @property
    def is_interval(self) -> bool:
        return self.ms is None


def bucket_of(ms: float) -> int:
    """The bucket of a latency in milliseconds, which is above zero."""
    if ms < LOWEST_MS:
        return UNDERFLOW
    if ms >= HIGHEST_MS:
        return OVERFLOW
    return int(log(ms) * _PER_LOG + _OFFSET)


def lower_edge_ms(bucket: int) -> float:
    """The lower edge of a bucket; 0 for the underflow."""
    return 0.0 if bucket <= UNDERFLOW else LOWEST_MS * exp((bucket - 1) * LOG_RATIO)


def upper_edge_ms(bucket: int) -> float:
    """The upper edge of a bucket; for the overflow its lower one, since it has no other."""
    return LOWEST_MS * exp((min(bucket, BUCKETS)) * LOG_RATIO)


def value_ms(bucket: int) -> float:
    """What stands for a bucket: its middle in log, so that no value in it is further off than 2%."""
    if bucket <= UNDERFLOW:
        return LOWEST_MS
    if bucket >= OVERFLOW:
        return HIGHEST_MS
    return LOWEST_MS * exp((bucket - 0.5) * LOG_RATIO)


def window_of(buckets: Mapping[int, int]) -> Window:
    """The stored form of bucket counts; counts may be negative in a correction."""
    held = [bucket for bucket, count in buckets.items() if count]
    if not held:
        return []
    first = min(held)
    counts = [0] * (max(held) - first + 1)
    for bucket in held:
        counts[bucket - first] = buckets[bucket]
    return [first, *counts]


def window_of_values(values_ms: Iterable[float]) -> Window:
    """The stored form of single latencies in milliseconds."""
    values = list(values_ms)
    if values and min(values) >= LOWEST_MS and max(values) < HIGHEST_MS:
        # `bucket_of` written out: a push has thousands. Above zero `floor` is `int`, and faster.
        buckets = [floor(place * _PER_LOG + _OFFSET) for place in map(log, values)]
    else:
        buckets = [bucket_of(ms) for ms in values]
    if len(buckets) > _FEW:
        return window_of(Counter(buckets))
    if not buckets:
        return []
    first = min(buckets)
    counts = [0] * (max(buckets) - first + 1)
    for bucket in buckets:
        counts[bucket - first] += 1
    return [first, *counts]


def buckets_of(window: Sequence[int]) -> Buckets:
    """Bucket counts, zeros left out, of a stored window."""
    if not window:
        return {}
    first = window[0]
    return {first + offset: count for offset, count in enumerate(window[1:]) if count}


def add(first: Sequence[int], second: Sequence[int]) -> Window:
    """The sum of two windows, trimmed."""
    return _combine(first, second, 1)


def subtract(first: Sequence[int], second: Sequence[int]) -> Window:
    """The difference of two windows, trimmed: `add(subtract(a, b), b) == a`."""
    return _combine(first, second, -1)


def count_of(window: Sequence[int]) -> int:
    """How many latencies a window holds."""
    return sum(window[1:])


def _combine(first: Sequence[int], second: Sequence[int], sign: int) -> Window:
    buckets = buckets_of(first)
    for bucket, count in buckets_of(second).items():
        buckets[bucket] = buckets.get(bucket, 0) + sign * count
    return window_of(buckets)


@lru_cache(maxsize=256)
def edges_of(bounds_ms: Bounds) -> tuple[int, ...]:
    """For each foreign bound, the first of our buckets above it: the bound moved to our nearest edge in log (under 2%).

    Foreign bucket j covers our buckets from edge j-1 to before edge j, the first one all below edge 0, the overflow
    all from the last edge on. Raises ValueError where bounds are not positive, ascending and finite.
    """
    if any(low >= high for low, high in zip(bounds_ms, bounds_ms[1:], strict=False)):
        raise ValueError("bounds must ascend")
    if bounds_ms and not (bounds_ms[0] >= 0 and bounds_ms[-1] < float("inf")):
        raise ValueError("bounds must be finite and not negative")
    return tuple(_nearest_edge(bound) for bound in bounds_ms)


def _nearest_edge(bound: float) -> int:
    if bound <= LOWEST_MS:
        return 1
    return min(round(log(bound) * _PER_LOG + _OFFSET), OVERFLOW)


def window_of_foreign(histogram: ForeignHistogram) -> Window:
    """Foreign counts in our buckets: whole counts, each spread evenly in log over the buckets that it covers.

    The first foreign bucket is put at its upper bound and the overflow at its lower one, since nothing says how far
    they reach. The sum of the counts stays what it was, also for negative counts of a correction.
    """
    bounds, counts = histogram.bounds_ms, histogram.counts
    if len(counts) != len(bounds) + 1:
        raise ValueError("there must be one more count than bounds")
    held = [position for position, count in enumerate(counts) if count]
    if not held:
        return []
    edges = edges_of(bounds)
    first = _covered(edges, held[0])[0]
    window = [0] * (_covered(edges, held[-1])[1] - first)
    for position in held:
        low, high = _covered(edges, position)
        if high - low == 1:
            window[low - first] += counts[position]
        else:
            # No other foreign bucket covers these.
            window[low - first : high - first] = _spread(counts[position], high - low)
    return _trimmed(first, window)


@lru_cache(maxsize=4096)
def _spread(count: int, width: int) -> tuple[int, ...]:
    """Whole counts by cumulated rounding: the share of the first k buckets is count x k / width, rounded to nearest."""
    upto = [(2 * abs(count) * step + width) // (2 * width) for step in range(width + 1)]
    parts = [after - before for before, after in zip(upto, upto[1:], strict=False)]
    return tuple(parts) if count > 0 else tuple(-part for part in parts)


def _trimmed(first: int, window: list[int]) -> Window:
    start, end = 0, len(window)
    while start < end and not window[start]:
        start += 1
    while end > start and not window[end - 1]:
        end -= 1
    return [first + start, *window[start:end]] if start < end else []


def _covered(edges: Sequence[int], position: int) -> tuple[int, int]:
    """The range [low, high) of our buckets into which the counts of a foreign bucket are put; at least one bucket."""
    if not edges:
        return OVERFLOW, OVERFLOW + 1
    if position == 0:
        return edges[0] - 1, edges[0]
    if position == len(edges):
        return edges[-1], edges[-1] + 1
    low, high = edges[position - 1], edges[position]
    return (low, high) if low < high else (high - 1, high)


@lru_cache(maxsize=256)
def foreign_intervals(bounds_ms: Bounds) -> dict[int, tuple[float | None, float | None]]:
    """For each of our buckets that foreign counts may lie in, the foreign bucket (low, high] in ms that put them there.

    None: no lower bound (the first one), no upper bound (the overflow). Where several foreign buckets are narrower
    than one of ours, the interval covers them all.
    """
    edges = edges_of(bounds_ms)
    found: dict[int, tuple[float | None, float | None]] = {}
    for position in range(len(bounds_ms) + 1):
        low_ms = bounds_ms[position - 1] if position else None
        high_ms = bounds_ms[position] if position < len(bounds_ms) else None
        low, high = _covered(edges, position)
        for bucket in range(low, high):
            if bucket in found:
                found[bucket] = (found[bucket][0], high_ms)
            else:
                found[bucket] = (low_ms, high_ms)
    return found


@dataclass(slots=True)
class MergedHistogram:
    """Bucket counts of any number of series and hours, weighed by shares: whole numbers of 1 / SHARE_UNIT.

    `native` are counts that came in our buckets or as single values; `foreign` those of other systems, by their bounds.
    """

    native: Buckets = field(default_factory=dict)
    foreign: dict[Bounds, Buckets] = field(default_factory=dict)

    def add_window(
        self, window: Sequence[int], *, bounds_ms: Sequence[float] | None = None, share: Decimal | int = 1
    ) -> None:
        """Add a stored window with a share of at most 10 decimal places. `bounds_ms` None: native counts."""
        weight = int(share * SHARE_UNIT)
        into = self.native if bounds_ms is None else self.foreign.setdefault(tuple(bounds_ms), {})
        if not window:
            return
        first = window[0]
        for offset, count in enumerate(window):
            if offset and count:
                bucket = first + offset - 1
                into[bucket] = into.get(bucket, 0) + count * weight

    def __add__(self, other: MergedHistogram) -> MergedHistogram:
        merged = MergedHistogram(dict(self.native), {bounds: dict(held) for bounds, held in self.foreign.items()})
        for bucket, count in other.native.items():
            merged.native[bucket] = merged.native.get(bucket, 0) + count
        for bounds, held in other.foreign.items():
            into = merged.foreign.setdefault(bounds, {})
            for bucket, count in held.items():
                into[bucket] = into.get(bucket, 0) + count
        return merged

    @property
    def count(self) -> Decimal:
        """How many latencies there are, shares applied."""
        return Decimal(self._weight()) / SHARE_UNIT

    def __bool__(self) -> bool:
        return self._weight() > 0

    def _weight(self) -> int:
        return sum(self.native.values()) + sum(sum(held.values()) for held in self.foreign.values())

    def percentile(self, q: float) -> Percentile | None:
        """The nearest-rank percentile for q above 0, at most 100; None where nothing was timed.

        Native counts give a value within 2.5%. Foreign counts are known to lie somewhere in their bucket: the
        percentile is taken with all of them at its lower and at its upper end, and where the two differ it is printed
        as what lies between, which for one source is the foreign bucket that it falls into.
        """
        if not 0 < q <= 100:  # noqa: PLR2004 - percent
            raise ValueError("a percentile is above 0 and at most 100")
        weight = self._weight()
        if weight <= 0:
            return None
        # Decimal(str(q)): 99.9 means 99.9 and not its binary neighbour.
        rank = Decimal(str(q)) * weight / 100
        if not any(any(held.values()) for held in self.foreign.values()):
            return Percentile(value_ms(_bucket_at(self.native, rank)))
        low = _at_rank(self._points(at_upper_end=False), rank)
        high = _at_rank(self._points(at_upper_end=True), rank)
        if low.is_native and high.is_native and low.ms == high.ms:
            return Percentile(low.ms)
        low_ms = lower_edge_ms(low.bucket) if low.is_native else low.ms
        high_ms = upper_edge_ms(high.bucket) if high.is_native else high.ms
        return Percentile(None, low_ms or None, high_ms)

    def _points(self, *, at_upper_end: bool) -> list[_Point]:
        points = [
            _Point(value_ms(bucket), count, bucket, is_native=True) for bucket, count in self.native.items() if count
        ]
        for bounds, held in self.foreign.items():
            intervals = foreign_intervals(bounds)
            for bucket, count in held.items():
                if count:
                    low, high = intervals.get(bucket, (lower_edge_ms(bucket), upper_edge_ms(bucket)))
                    points.append(_Point(high if at_upper_end else low or 0.0, count, bucket, is_native=False))
        return sorted(points, key=lambda point: float("inf") if point.ms is None else point.ms)


@dataclass(frozen=True, slots=True)
class _Point:
    ms: float | None  # None: no upper bound
    weight: int
    bucket: int
    is_native: bool


def _at_rank(points: Sequence[_Point], rank: Decimal) -> _Point:
    passed = 0
    for point in points:
        passed += point.weight
        if passed >= rank:
            return point
    return points[-1]


def _bucket_at(buckets: Buckets, rank: Decimal) -> int:
    passed = 0
    last = UNDERFLOW
    for bucket in sorted(buckets):
        last = bucket
        passed += buckets[bucket]
        if passed >= rank:
            break
    return last

"""What one point of an OTLP stream counted, as values that a stream's state keeps as JSON, and what lies between two.

A reading has `n` (tokens or requests), `s` (their sum in millionths of a millisecond) where it is known, and buckets:
explicit ones as `b` bounds (of a stored one only their digest) with `c` counts, exponential ones as `e` scale and `f`
ms a unit with `c` [first index, counts ...]. Pure: no Django, no clock.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from functools import lru_cache
from hashlib import blake2b
from typing import Any

from metrics.histogram import HIGHEST_MS, LOWEST_MS
from metrics.otlp import BadAttribute

Reading = dict[str, Any]
MAX_BUCKETS = 2_000
MIN_SCALE, MAX_SCALE = -10, 20
# Exponential buckets finer than this are joined to it: 4.4% wide, and a percentile is printed as one of them.
KEPT_SCALE = 4
# 2^60 units are beyond every duration, and below every duration are 2^-60.
_LARGEST_EXPONENT = 60


class Bounds:
    """Upper bounds of buckets in milliseconds. `str()` is a digest of them, by which a stream's state knows them.

    No dataclass: msgspec would write one out into the state.
    """

    __slots__ = ("digest", "ms")

    def __init__(self, ms: tuple[float, ...]) -> None:
        self.ms = ms
        self.digest = blake2b(repr(ms).encode(), digest_size=8).hexdigest()

    def __str__(self) -> str:
        return self.digest


def explicit(name: str, bounds: bytes, counts: Sequence[int], count: int, factor: float) -> Reading:
    """The buckets of a point of so many requests; `bounds`: float64 in a row, times `factor` milliseconds."""
    if not bounds or not counts:
        return {}
    known = bounds_of(name, bounds, factor)
    if len(counts) != len(known.ms) + 1 or len(counts) > MAX_BUCKETS:
        raise BadAttribute("bad_histogram", f"{name}: {len(known.ms)} bounds want {len(known.ms) + 1} counts.")
    if sum(counts) != count:
        raise BadAttribute("bad_histogram", f"{name}: the bucket counts do not add up to count.")
    return {"b": known, "c": counts}


@lru_cache(maxsize=256)
def bounds_of(name: str, packed: bytes, factor: float) -> Bounds:
    """Raises BadAttribute."""
    size = len(packed) // 8
    if size > MAX_BUCKETS:
        raise BadAttribute("bad_histogram", f"{name}: takes at most {MAX_BUCKETS} buckets.")
    bounds = struct.unpack(f"<{size}d", packed[: size * 8])
    ascending = all(low < high for low, high in zip(bounds, bounds[1:], strict=False))
    if not all(map(math.isfinite, bounds)) or not ascending or bounds[0] < 0:
        raise BadAttribute("bad_histogram", f"{name}: bounds are finite, ascending and not negative.")
    return Bounds(tuple(round(bound * factor, 9) for bound in bounds))


def exponential(name: str, raw: Any, factor: float) -> Reading:
    scale, counts = raw.scale, list(raw.positive.bucket_counts)
    if not MIN_SCALE <= scale <= MAX_SCALE or len(counts) > MAX_BUCKETS:
        raise BadAttribute(
            "bad_histogram", f"{name}: scale is {MIN_SCALE} to {MAX_SCALE}, at most {MAX_BUCKETS} buckets."
        )
    if any(raw.negative.bucket_counts):
        raise BadAttribute("bad_histogram", f"{name}: a duration is never negative.")
    if sum(counts) + raw.zero_count != raw.count:
        raise BadAttribute("bad_histogram", f"{name}: the bucket counts do not add up to count.")
    kept = min(scale, KEPT_SCALE)
    first, last = _index_range(kept, factor)
    held: dict[int, int] = {}
    if raw.zero_count:
        held[first] = raw.zero_count
    for place, count in enumerate(counts):
        if count:
            index = max(first, min(last, (raw.positive.offset + place) >> (scale - kept)))
            held[index] = held.get(index, 0) + count
    return {"e": kept, "f": factor, "c": _window(held)}


@lru_cache(maxsize=64)
def _index_range(scale: int, factor: float) -> tuple[int, int]:
    """The first and last index at this scale: the buckets that hold 0.1 ms and less, and 24 h and more."""
    step = 2.0**scale
    return math.floor(math.log2(LOWEST_MS / factor) * step) - 1, math.ceil(math.log2(HIGHEST_MS / factor) * step)


def _window(held: dict[int, int]) -> list[int]:
    if not held:
        return []
    first, last = min(held), max(held)
    return [first, *(held.get(index, 0) for index in range(first, last + 1))]


def _indexed(window: list[int]) -> dict[int, int]:
    return {window[0] + place: count for place, count in enumerate(window[1:]) if count} if window else {}


def foreign_of(reading: Reading) -> tuple[tuple[float, ...], Sequence[int]] | None:
    """Bounds in ms and counts of the reading's buckets; None where it has none."""
    if "b" in reading:
        return reading["b"].ms, reading["c"]
    if not reading.get("c"):
        return None
    first, bounds = _exponential_bounds(reading["e"], reading["f"])
    counts = [0] * (len(bounds) + 1)
    for index, count in _indexed(reading["c"]).items():
        counts[max(0, min(len(bounds), index - first))] += count
    return bounds, counts


@lru_cache(maxsize=64)
def _exponential_bounds(scale: int, factor: float) -> tuple[int, tuple[float, ...]]:
    """The first index, and where it and those after it end: base^(index + 1). One set a scale: points add up."""
    first, last = _index_range(scale, factor)
    ends = {index: (index + 1) / 2.0**scale for index in range(first, last)}
    kept = [index for index, exponent in ends.items() if abs(exponent) < _LARGEST_EXPONENT]
    return kept[0], tuple(factor * 2.0 ** ends[index] for index in kept)


# --- From one point of a stream to the next


def difference(now: Reading, last: Reading) -> Reading | None:
    """What a stream counted since `last`; None where it fell, which a stream with one start cannot do."""
    if now["n"] <= last["n"]:
        # Most streams, most of the time: nothing happened since.
        return {"n": 0} if now["n"] == last["n"] else None
    found: Reading = {"n": now["n"] - last["n"]}
    if "s" in now and "s" in last:
        found["s"] = max(0, now["s"] - last["s"])
    if "b" in now and str(last.get("b")) == now["b"].digest:
        counts = [one - two for one, two in zip(now["c"], last["c"], strict=True)]
        if min(counts) < 0:
            return None
        found.update(b=now["b"], c=counts)
    elif "e" in now and "e" in last and now["f"] == last["f"]:
        scale = min(now["e"], last["e"])
        counts_now, counts_then = _at_scale(now, scale), _at_scale(last, scale)
        held = {index: counts_now.get(index, 0) - counts_then.get(index, 0) for index in counts_now | counts_then}
        if any(count < 0 for count in held.values()):
            return None
        found.update(e=scale, f=now["f"], c=_window({index: count for index, count in held.items() if count}))
    return found


def _at_scale(reading: Reading, scale: int) -> dict[int, int]:
    held: dict[int, int] = {}
    for index, count in _indexed(reading["c"]).items():
        held[index >> (reading["e"] - scale)] = held.get(index >> (reading["e"] - scale), 0) + count
    return held

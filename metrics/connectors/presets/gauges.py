"""A gauge's samples, weighted with the time that they speak for. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from itertools import pairwise

# Prometheus takes a series as gone when it has not seen it for this long (its lookback).
LONGEST_GAP_SECONDS = Decimal(300)


def weighted(samples: Mapping[float, Decimal], start: float, end: float) -> tuple[Decimal, Decimal] | None:
    """Return (value x seconds, seconds seen) of samples by Unix seconds in (start, end]; None where nothing was seen.

    Between two samples their mean holds, before the first and after the last one these; over a gap nobody knows.
    Depends on no sample outside, so that an hour comes out the same however a window is cut.
    """
    if not samples:
        return None
    points = [(Decimal(repr(at)), value) for at, value in sorted(samples.items())]
    edges = [(Decimal(repr(start)), points[0][1]), *points, (Decimal(repr(end)), points[-1][1])]
    area = seen = Decimal(0)
    for (before, first), (after, second) in pairwise(edges):
        seconds = after - before
        if seconds <= LONGEST_GAP_SECONDS:
            area += (first + second) / 2 * seconds
            seen += seconds
    return (area, seen) if seen else None

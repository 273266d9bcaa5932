"""Percentiles as their sources state them, as the read door answers with them. Plain values.

Nothing here is computed from several percentiles: the latest and the worst are values that a source stated of one
period, and they keep that period beside them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class StatedValue:
    """A percentile that a source stated of [start, end), in milliseconds; `count`: requests, None where not said."""

    start: datetime
    end: datetime
    value_ms: Decimal
    count: int | None


@dataclass(frozen=True, slots=True)
class StatedLatency:
    """One percentile of one latency measure of one series, as its backend states it.

    `latest` and `worst` are the last and the highest of the `periods` values stated in the scope. `values` are, oldest
    first, (first local day of the period, value): every value, or where a grain was asked for the worst of each period.
    """

    series_id: int
    backend_name: str
    backend_slug: str
    model: str
    operation: str
    service_tier: str
    labels: Mapping[str, str]
    measure: str
    percent: Decimal
    latest: StatedValue
    worst: StatedValue
    periods: int
    values: Sequence[tuple[date, StatedValue]]

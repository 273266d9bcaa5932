"""Single requests, as a source lists them, added up per series and UTC hour. Pure: no Django, no clock, no network."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from metrics.histogram import window_of_values
from metrics.usage import SeriesKey, UsageCell

TOKENS = ("input_tokens", "output_tokens")


@dataclass(slots=True)
class _Hour:
    sums: dict[str, int | Decimal] = field(default_factory=dict)
    latencies_ms: dict[str, list[float]] = field(default_factory=dict)
    cost: Decimal | None = None
    currency: str = ""
    has_unpriced: bool = False

    def cell(self, key: SeriesKey, hour: datetime) -> UsageCell:
        sums, windows = dict(self.sums), {}
        for measure, values in self.latencies_ms.items():
            sums[f"{measure}_count"] = len(values)
            sums[f"{measure}_sum_ms"] = sum((Decimal(str(value)) for value in values), Decimal(0))
            windows[measure] = window_of_values(values)
        currency = ""
        if self.cost is not None and (self.cost or not self.has_unpriced):
            sums["estimated_cost"], currency = self.cost, self.currency
        return UsageCell(key=key, hour=hour, sums=sums, currency=currency, windows=windows)


class RequestHours:
    """Cells of requests. Latencies go into our own buckets, so that percentiles are exact to 2.5%."""

    def __init__(self) -> None:
        self._hours: dict[tuple[datetime, SeriesKey], _Hour] = {}

    def add(
        self,
        key: SeriesKey,
        at: datetime,
        sums: Mapping[str, int | Decimal],
        *,
        latencies_ms: Mapping[str, float] | None = None,
        cost: Decimal | None = None,
        currency: str = "",
    ) -> None:
        """Add one request, or a sum of several, that counts in the UTC hour of `at` (aware UTC).

        `sums`: names of ADDITIVE_MEASURES, absent: unknown. `latencies_ms`: names of HISTOGRAM_MEASURES, not negative.
        `cost`: the source's estimate, None where it knows no price. An hour in which nothing but zero was stated while
        tokens had no price has an unknown cost, so that it is priced here or shown as not priced.
        """
        hour = at.replace(minute=0, second=0, microsecond=0)
        held = self._hours.setdefault((hour, key), _Hour())
        for name, value in sums.items():
            held.sums[name] = held.sums[name] + value if name in held.sums else value
        for measure, latency in (latencies_ms or {}).items():
            held.latencies_ms.setdefault(measure, []).append(latency)
        if cost is not None:
            held.cost, held.currency = cost + (held.cost or Decimal(0)), currency
        elif any(sums.get(name) for name in TOKENS):
            held.has_unpriced = True

    def cells(self) -> Iterator[UsageCell]:
        """Yield the cells, ordered by hour and series."""
        for hour, key in sorted(self._hours, key=lambda place: (place[0], repr(place[1]))):
            yield self._hours[hour, key].cell(key, hour)

"""What the read door answers with: sums that know what is unknown in them, ratios with coverage, percentiles.

Holds no Django, no clock and no settings. `None` is unknown; zero is zero. Money is in the reporting currency.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Literal

from metrics.histogram import MergedHistogram, Percentile
from metrics.usage import COUNT_MEASURES, DECIMAL_MEASURES, KNOWN_BIT, SeriesKind

Grain = Literal["day", "week", "month"]
Dimension = Literal[
    "series",
    "backend",
    "provider",
    "model",
    "operation",
    "workload",
    "kind",
    "measured_at",
    "seen_at",
    "service_tier",
    "hardware",
    "team",
    "labels",
    "charge_category",
    "currency",
    "slice",
    "span",
]
Basis = Literal["reserved", "used"]
Number = int | Decimal
HALF = Decimal("0.5")

MONEY_BITS = KNOWN_BIT["estimated_cost"] | KNOWN_BIT["billed_cost"]
# Measures that are sums of others: (all of these bits, any of these bits, how).
_DERIVED: dict[str, tuple[int, int, tuple[tuple[str, int], ...]]] = {
    "tokens": (
        KNOWN_BIT["input_tokens"] | KNOWN_BIT["output_tokens"],
        0,
        (("input_tokens", 1), ("output_tokens", 1)),
    ),
    "successful_requests": (
        KNOWN_BIT["requests"] | KNOWN_BIT["errors"],
        0,
        (("requests", 1), ("errors", -1)),
    ),
    "spend": (0, MONEY_BITS, (("billed_cost", 1), ("unsettled_cost", 1))),
    "unsettled": (KNOWN_BIT["estimated_cost"], 0, (("unsettled_cost", 1),)),
    "billed": (KNOWN_BIT["billed_cost"], 0, (("billed_cost", 1),)),
    "estimated": (KNOWN_BIT["estimated_cost"], 0, (("estimated_cost", 1),)),
}
MEASURES = (*KNOWN_BIT, *_DERIVED)


# Of linked sources one counts; quality and guardrails are counted of whoever sends them (measures.md). This is the
# kind of the parts of a source that does not count otherwise.
ASIDE = "aside"
SENT_BY_ANYBODY = frozenset({"quality_count", "quality_sum", "blocked", "overridden", "false_alarms"})


@dataclass(frozen=True, slots=True)
class Scope:
    """What is read: local days [start_on, end_on) of some workloads.

    `workload_ids` None: the whole organisation, unallocated usage included; an empty tuple: nothing. `backend_id` and
    `model` narrow it. `include_demo` False leaves the demo's series out.
    """

    start_on: date
    end_on: date
    workload_ids: tuple[int, ...] | None
    backend_id: int | None = None
    model: str | None = None
    include_demo: bool = True


@dataclass(frozen=True, slots=True)
class Slice:
    """Local days [start_on, end_on) of a workload, told apart from its other days under a name (a phase's window).

    Slices of a workload do not overlap; its days in none of them have the slice None.
    """

    workload_id: int
    start_on: date
    end_on: date
    name: str


@dataclass(frozen=True, slots=True)
class Span:
    """Local days [start_on, end_on) by periods of a grain, of one backend or model where given; others may overlap."""

    start_on: date
    end_on: date
    grain: Grain | None = None
    backend_id: int | None = None
    model: str | None = None


@dataclass(frozen=True, slots=True)
class WorkloadWindow:
    """Local days [start_on, end_on) of a workload; others of the same one may overlap."""

    workload_id: int
    start_on: date
    end_on: date


@dataclass(frozen=True, slots=True)
class Ratio:
    """`value` is None where the divisor is zero or unknown, or under half of the weight is covered.

    `coverage`: 0 to 1, the share of the weight in hours in which both sides are known; None where there is no weight.
    """

    value: Decimal | None
    coverage: Decimal | None


@dataclass(slots=True)
class Part:
    """Sums over hours in which the same measures were known, of series of one kind.

    `values` maps additive measures and `unsettled_cost` to their sums; money is converted already, and None where
    there was no rate for any of it. `hours` counts (series, hour) pairs, shares applied.
    """

    kind: str
    known_mask: int
    hours: Number = 0
    values: dict[str, Number | None] = field(default_factory=dict)

    def value(self, measure: str) -> Number | None:
        """The sum of an additive or derived measure, None where it is unknown in these hours or counted elsewhere."""
        if self.kind == ASIDE and measure not in SENT_BY_ANYBODY:
            return None
        return self.seen(measure)

    def seen(self, measure: str) -> Number | None:
        """As `value`, of a source that does not count, too."""
        if measure not in _DERIVED:
            return self.values.get(measure) if self.known_mask & KNOWN_BIT[measure] else None
        every, some, terms = _DERIVED[measure]
        if self.known_mask & every != every or (some and not self.known_mask & some):
            return None
        found = [(self.values.get(name), sign) for name, sign in terms]
        known = [value * sign for value, sign in found if value is not None]
        return sum(known) if known else None

    @property
    def is_traffic(self) -> bool:
        return self.kind == SeriesKind.USAGE

    def value_in_ratio(self, measure: str) -> Number | None:
        """As `value`; but idle capacity and other charges have no traffic by nature, which is a known zero."""
        value = self.value(measure)
        if value is None and not self.is_traffic and self.kind != ASIDE and measure in _TRAFFIC:
            return 0
        return value


_TRAFFIC = frozenset(
    {
        *(name for name in COUNT_MEASURES if not name.startswith(("duration", "time_to", "inter_token", "quality"))),
        *(name for name in DECIMAL_MEASURES if name == "units"),
        "tokens",
        "successful_requests",
    }
)


@dataclass(slots=True)
class Sums:
    """The sums of a group. Add two of them to get those of both.

    `no_rate`: currencies whose money is left out because there is no exchange rate. `stale_rates`: for a currency
    converted at a rate more than a long weekend older than its day, the date of the latest such rate.
    """

    parts: list[Part] = field(default_factory=list)
    no_rate: frozenset[str] = frozenset()
    stale_rates: dict[str, date] = field(default_factory=dict)
    _spend: tuple[Decimal | None] | None = field(default=None, init=False, repr=False, compare=False)

    def __add__(self, other: Sums) -> Sums:
        return merged((self, other))

    def total(self, measure: str) -> Number | None:
        """The sum of an additive measure or of `tokens`, `successful_requests`, `spend`, `billed`, `estimated`,
        `unsettled`; None where it is nowhere known. Raises KeyError for a name that is none of these."""
        known = [value for part in self.parts if (value := part.value(measure)) is not None]
        return sum(known) if known else None

    def coverage(self, measure: str, of: str = "requests") -> Decimal | None:
        """The share of `of`, 0 to 1, that lies in hours of traffic in which `measure` is known.

        None where `of` is unknown or zero.
        """
        return _share((part.value(of), part.value(measure) is not None) for part in self.parts if part.is_traffic)

    def ratio(self, numerator: str, denominator: str, *, weight: str = "spend", basis: Basis = "reserved") -> Ratio:
        """`numerator` / `denominator` over the hours in which both are known, and the share of `weight` in them.

        `basis` 'used' leaves out idle capacity; 'reserved' includes it, as a known zero of traffic. Where the weight
        is nowhere known, requests, then output tokens, then hours stand in. Under half covered: no value.
        """
        parts = [part for part in self.parts if basis == "reserved" or part.kind != SeriesKind.IDLE]
        above: Number = 0
        below: Number = 0
        both: list[tuple[Part, bool]] = []
        for part in parts:
            if part.kind == ASIDE and numerator not in SENT_BY_ANYBODY:
                continue
            if part.kind == ASIDE:
                # What it blocked, it blocked of the requests that it saw.
                top, bottom = part.seen(numerator), part.seen(denominator)
            else:
                top, bottom = part.value_in_ratio(numerator), part.value_in_ratio(denominator)
            is_known = top is not None and bottom is not None
            both.append((part, is_known))
            if top is not None and bottom is not None:
                above, below = above + top, below + bottom
        coverage = self._coverage_of(both, weight)
        if not below or not any(is_known for _, is_known in both) or (coverage is not None and coverage < HALF):
            return Ratio(None, coverage)
        return Ratio(Decimal(above) / Decimal(below), coverage)

    @staticmethod
    def _coverage_of(both: Sequence[tuple[Part, bool]], weight: str) -> Decimal | None:
        for name in (weight, "requests", "output_tokens"):
            share = _share((part.value(name), is_known) for part, is_known in both)
            if share is not None:
                if name in SENT_BY_ANYBODY:
                    return share
                # Of the same traffic as another source that counts.
                seen = sum(part.seen(name) or 0 for part, is_known in both if is_known and part.kind == ASIDE)
                whole = sum(part.value(name) or 0 for part, _ in both)
                return min(share + Decimal(seen) / Decimal(whole), Decimal(1)) if seen and whole else share
        return _share((part.hours, is_known) for part, is_known in both)

    @property
    def spend(self) -> Decimal | None:
        """Billed cost, and the estimate of hours that no statement covers. Remembered: a page asks for it often."""
        if self._spend is None:
            self._spend = (_decimal(self.total("spend")),)
        return self._spend[0]

    @property
    def billed(self) -> Decimal | None:
        return _decimal(self.total("billed"))

    @property
    def estimated(self) -> Decimal | None:
        """The estimate of all hours, also of those that are billed by now."""
        return _decimal(self.total("estimated"))

    @property
    def unsettled(self) -> Decimal | None:
        """The part of the spend that is estimated still."""
        return _decimal(self.total("unsettled"))

    @property
    def requests_without_cost(self) -> Number:
        """'Not priced': requests of traffic whose hour has no cost at all."""
        return self._without_cost("requests")

    @property
    def tokens_without_cost(self) -> Number:
        """'Not priced': input and output tokens, as far as known, of traffic whose hour has no cost at all."""
        return self._without_cost("input_tokens") + self._without_cost("output_tokens")

    def _without_cost(self, measure: str) -> Number:
        return sum(
            part.value(measure) or 0 for part in self.parts if part.is_traffic and not part.known_mask & MONEY_BITS
        )


@dataclass(frozen=True, slots=True)
class UsageRow:
    """The sums of one period and key. `period`: its first local day, None where no grain was asked for.

    `key` has a value for each dimension asked for; with 'backend' also `backend_name` and `backend_slug`, with
    'workload' also `workload_name` and `workload_slug` (all None for unallocated usage). `labels` is their JSON text.
    """

    period: date | None
    key: dict[str, Any]
    sums: Sums


@dataclass(frozen=True, slots=True)
class DaySpend:
    """What a backend cost on a local day; `spend` None where there was usage and nobody knows its cost."""

    day: date
    backend_id: int
    spend: Decimal | None


@dataclass(frozen=True, slots=True)
class LatencyRow:
    """One latency measure (of HISTOGRAM_MEASURES) of one period and key.

    `histogram` is empty where a source gives no buckets. `mean_ms` is over the requests timed; `mean_coverage` is the
    share of requests in hours in which it is known, None where requests are unknown.
    """

    period: date | None
    key: dict[str, Any]
    measure: str
    histogram: MergedHistogram
    mean_ms: Decimal | None
    mean_coverage: Decimal | None


@dataclass(frozen=True, slots=True)
class SourceFreshness:
    """How far one backend's data goes, and whether it answers.

    `data_until`: end of the last complete hour read (pulled) or posted to (pushed). `reports`: the measures that its
    connector offers, None for pushes. `not_offered`: measure -> what to do instead.
    `is_latency_behind`: histograms of large pushes to it are still being added (metrics.behind); percentiles lack them.
    `states_percentiles`: it states percentiles of its own, which `metrics.series.stated_percentiles` reads.
    """

    backend_id: int
    slug: str
    name: str
    connector: str
    data_until: datetime | None
    last_push_at: datetime | None
    problem: str
    is_problem_permanent: bool
    reports: frozenset[str] | None
    not_offered: Mapping[str, str]
    measured_at: str = ""
    is_demo: bool = False
    states_percentiles: bool = False
    is_latency_behind: bool = False


def roll_up(rows: Iterable[UsageRow], *, by: Sequence[str] = (), keep_period: bool = False) -> list[UsageRow]:
    """Add rows up to fewer dimensions, so that one reading serves several tables. Order of first appearance.

    `by` are names in the rows' keys.
    """
    groups: dict[tuple[Any, ...], list[Sums]] = {}
    for row in rows:
        group = (row.period if keep_period else None, *(row.key[name] for name in by))
        groups.setdefault(group, []).append(row.sums)
    return [UsageRow(group[0], dict(zip(by, group[1:], strict=True)), merged(sums)) for group, sums in groups.items()]


def merged(many: Iterable[Sums]) -> Sums:
    """The sums of all of them. Faster than adding one by one, which copies what was added so far each time."""
    parts: dict[tuple[str, int], Part] = {}
    no_rate: frozenset[str] = frozenset()
    stale: dict[str, date] = {}
    for sums in many:
        for part in sums.parts:
            there = parts.get((part.kind, part.known_mask))
            if there is None:
                parts[part.kind, part.known_mask] = Part(part.kind, part.known_mask, part.hours, dict(part.values))
                continue
            there.hours += part.hours
            held = there.values
            for name, value in part.values.items():
                if value is not None:
                    before = held.get(name)
                    held[name] = value if before is None else before + value
                else:
                    held.setdefault(name, None)
        if sums.no_rate:
            no_rate |= sums.no_rate
        for currency, on in sums.stale_rates.items():
            stale[currency] = max(on, stale.get(currency, on))
    return Sums(list(parts.values()), no_rate, stale)


def whole(rows: Iterable[UsageRow], keep: Callable[[UsageRow], bool] = lambda _: True) -> Sums:
    """The sums of all rows that `keep` lets through."""
    return merged(row.sums for row in rows if keep(row))


def _share(weights: Iterable[tuple[Number | None, bool]]) -> Decimal | None:
    total: Number = 0
    covered: Number = 0
    for weight, is_known in weights:
        if weight is not None:
            total += weight
            covered += weight if is_known else 0
    return Decimal(covered) / Decimal(total) if total else None


def _decimal(value: Number | None) -> Decimal | None:
    return None if value is None else Decimal(value)


__all__ = [
    "ASIDE",
    "MEASURES",
    "MONEY_BITS",
    "SENT_BY_ANYBODY",
    "Basis",
    "DaySpend",
    "Dimension",
    "Grain",
    "LatencyRow",
    "MergedHistogram",
    "Number",
    "Part",
    "Percentile",
    "Ratio",
    "Scope",
    "Slice",
    "SourceFreshness",
    "Span",
    "Sums",
    "UsageRow",
    "WorkloadWindow",
    "merged",
    "roll_up",
    "whole",
]

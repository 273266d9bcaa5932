"""What a KPI's value is worth: its value over a window, how far it is from its target, and whether that is on target.

Pure: no clock, no settings, of Django its translations alone. The definitions are those of docs/measures.md, KPIs.
`None` is unknown.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Literal

from django.utils.functional import Promise

from metrics.figures import Percentile, Ratio, Sums
from roadmap.labels import KPI_STATUSES, label_of
from roadmap.saying import Saying, range_text
from roadmap.sayings import say

Direction = Literal["higher", "lower"]
Combine = Literal["last", "mean", "sum"]

# Half of the way from baseline to target, and a tenth of a limit left (measures.md, KPIs).
AT_RISK_ATTAINMENT = Decimal("0.5")
AT_RISK_HEADROOM = Decimal("0.1")


class KpiStatus(StrEnum):
    """How a KPI stands."""

    ON_TARGET = "on_target"
    AT_RISK = "at_risk"
    OFF_TARGET = "off_target"
    NO_DATA = "no_data"
    NO_TARGET = "no_target"


TONES = {
    KpiStatus.ON_TARGET: "green",
    KpiStatus.AT_RISK: "amber",
    KpiStatus.OFF_TARGET: "red",
    KpiStatus.NO_DATA: "off",
    KpiStatus.NO_TARGET: "none",
}


@dataclass(frozen=True, slots=True)
class Judgement:
    """A value against its target.

    `attainment`: share of the way from baseline to target, only where the baseline is on the wrong side of the target.
    `headroom`: what is left of a limit (a KPI whose baseline is at or past its target) as a share of the target;
    negative past it. `is_met`: the target is reached, the boundary included; None where that cannot be said.
    """

    status: KpiStatus
    attainment: Decimal | None = None
    headroom: Decimal | None = None
    is_limit: bool = False
    is_met: bool | None = None

    @property
    def word(self) -> str:
        """'On target'."""
        return label_of(KPI_STATUSES, self.status)

    @property
    def tone(self) -> str:
        """The look's tone: green, amber, red, off (no data) or none (no target)."""
        return TONES[self.status]

    @property
    def note(self) -> str:
        """'81% of the way', 'headroom 48%', or nothing."""
        return self.saying or ""

    @property
    def saying(self) -> Saying | None:
        """The note with its code."""
        if self.attainment is not None and self.status in (KpiStatus.AT_RISK, KpiStatus.OFF_TARGET):
            return say("part_of_way", share=max(self.attainment, Decimal(0)))
        if self.headroom is not None and self.is_limit and self.is_met:
            return say("headroom", share=self.headroom)
        return None


@dataclass(frozen=True, slots=True)
class KpiValue:
    """A value over the local days [start_on, end_on), with what it rests on.

    `low` and `high` are set where only an interval is known (a percentile in foreign buckets); `value` is then its
    upper end. `coverage`: share of `coverage_of` that the value rests on, None where the question makes no sense.
    `sample`: requests behind it. `basis`: 'sum of 12 readings', ... in words. `reason`: why there is no value. Both are
    sayings (`roadmap.saying`), which know their code, or empty.
    """

    value: Decimal | None
    unit: str
    low: Decimal | None = None
    high: Decimal | None = None
    coverage: Decimal | None = None
    coverage_of: str = ""
    sample: int | None = None
    basis: str = ""
    start_on: date | None = None
    end_on: date | None = None
    reason: str = ""
    judgement: Judgement = Judgement(KpiStatus.NO_DATA)

    def judged(
        self, *, baseline: Decimal | None, target: Decimal | None, direction: Direction, minimum_sample: int = 0
    ) -> KpiValue:
        """The same value with its judgement; too small a sample takes the value away and says so."""
        if self.value is not None and minimum_sample and (self.sample is None or self.sample < minimum_sample):
            if self.sample is None:
                reason = say("sample_unknown", least=minimum_sample)
            else:
                reason = say("sample_too_small", had=self.sample, least=minimum_sample)
            blank = replace(self, value=None, low=None, high=None, reason=reason)
            return replace(blank, judgement=Judgement(KpiStatus.NO_DATA))
        return replace(self, judgement=judge(self.value, baseline=baseline, target=target, direction=direction))


def text_of(value: KpiValue) -> str:
    """The figure without its unit: '3.18'; '2 to 2.5', 'under 0.3', 'over 10' where only an interval is known."""
    return range_text(value.value, value.low, value.high)


def no_data(unit: str, reason: str) -> KpiValue:
    """A value that is not there, and why."""
    return KpiValue(value=None, unit=unit, reason=reason)


def is_reached(value: Decimal, target: Decimal, direction: Direction) -> bool:
    """Whether the value is at the target or on its good side."""
    return value >= target if direction == "higher" else value <= target


def judge(
    value: Decimal | None, *, baseline: Decimal | None, target: Decimal | None, direction: Direction
) -> Judgement:
    """How `value` stands against `target`, coming from `baseline`; all in the KPI's unit."""
    if value is None:
        return Judgement(KpiStatus.NO_DATA)
    if target is None:
        return Judgement(KpiStatus.NO_TARGET)
    is_met = is_reached(value, target, direction)
    if baseline is not None and is_reached(baseline, target, direction):
        return _judge_limit(value, target, direction, is_met=is_met)
    attainment = None if baseline is None else (value - baseline) / (target - baseline)
    if is_met:
        status = KpiStatus.ON_TARGET
    elif attainment is not None and attainment >= AT_RISK_ATTAINMENT:
        status = KpiStatus.AT_RISK
    else:
        status = KpiStatus.OFF_TARGET
    return Judgement(status, attainment=attainment, is_met=is_met)


def _judge_limit(value: Decimal, target: Decimal, direction: Direction, *, is_met: bool) -> Judgement:
    """A KPI whose baseline was good already: a limit that must hold. A limit of zero has no share left to speak of."""
    distance = value - target if direction == "higher" else target - value
    headroom = None if target == 0 else distance / abs(target)
    if not is_met:
        status = KpiStatus.OFF_TARGET
    elif headroom is not None and headroom < AT_RISK_HEADROOM:
        status = KpiStatus.AT_RISK
    else:
        status = KpiStatus.ON_TARGET
    return Judgement(status, headroom=headroom, is_limit=True, is_met=is_met)


def combine_readings(readings: Sequence[tuple[date, Decimal]], combine: Combine) -> Decimal | None:
    """One value of (day, value) pairs of a window, in order of time; None where there are none."""
    values = [value for _, value in readings]
    if not values:
        return None
    if combine == "sum":
        return sum(values, Decimal(0))
    if combine == "mean":
        return sum(values, Decimal(0)) / len(values)
    return values[-1]


def value_of_readings(
    readings: Sequence[tuple[date, Decimal]], *, combine: Combine, unit: str, start_on: date, end_on: date
) -> KpiValue:
    """The value of a KPI that is read, over the local days [start_on, end_on); readings in order of time."""
    inside = [(day, value) for day, value in readings if start_on <= day < end_on]
    count = len(inside)
    value = combine_readings(inside, combine)
    if value is None:
        earlier = [day for day, _ in readings if day < start_on]
        reason = say("last_reading", on=earlier[-1]) if earlier else say("no_reading")
        return replace(no_data(unit, reason), start_on=start_on, end_on=end_on)
    basis = say(f"readings_{combine}", count=count)
    if combine == "last" and count == 1:
        basis = say("reading_of", on=inside[-1][0])
    return KpiValue(value=value, unit=unit, basis=basis, start_on=start_on, end_on=end_on)


@dataclass(frozen=True, slots=True)
class LatencyFigures:
    """Percentiles of one latency measure at one place of measurement. `count`: requests timed."""

    measured_at: str
    count: int
    percentiles: Mapping[int, Percentile]
    mean_ms: float | None = None


@dataclass(frozen=True, slots=True)
class PhaseFigures:
    """All that computed KPIs are made of: what a roadmap (or a part of it) did in the local days [start_on, end_on).

    `usage`: sums over the counted series; money without traffic (idle, other charges) is in its spend, in no coverage.
    `spend`: usage spend and cost entries; None where neither is known. `latency`: per measure ('duration',
    'time_to_first_token', 'inter_token') the source that counts. `value_sum`: the value KPI's readings summed over the
    window, None where it is no sum. `seconds`: length of the window.
    """

    start_on: date
    end_on: date
    seconds: int
    currency: str
    usage: Sums
    spend: Decimal | None = None
    idle_spend: Decimal | None = None
    spend_by_provider: Mapping[str, Decimal] = field(default_factory=dict)
    latency: Mapping[str, LatencyFigures] = field(default_factory=dict)
    value_sum: Decimal | None = None


@dataclass(frozen=True, slots=True)
class ComputedKpi:
    """A measure that usage fills. `title` and `unit` may hold '{currency}'; `needs`: the code of what would fill it."""

    name: str
    title: str | Promise
    unit: str | Promise
    direction: Direction
    value: Callable[[PhaseFigures], KpiValue]
    needs: str = "needs_usage"
    # How it is computed (measures.md), for its page and a gate's evidence.
    definition: str | Promise = ""

    @property
    def source(self) -> Saying:
        """What would fill it, in a sentence."""
        return say(self.needs)

    def title_in(self, currency: str) -> str:
        """'Tokens per second per EUR'."""
        return str(self.title).format(currency=currency)

    def unit_in(self, currency: str) -> str:
        """'EUR', 'tokens/s per EUR/h', 's'."""
        return str(self.unit).format(currency=currency)

    def of(self, figures: PhaseFigures) -> KpiValue:
        """Its value over the window of `figures`, with unit, window and the requests behind it."""
        value = self.value(figures)
        sample = value.sample if value.sample is not None else figures.usage.total("requests")
        return replace(
            value,
            unit=self.unit_in(figures.currency),
            start_on=figures.start_on,
            end_on=figures.end_on,
            sample=None if sample is None else int(sample),
            reason=value.reason or ("" if value.value is not None else self.source),
        )


def of_ratio(ratio: Ratio, *, times: int = 1, coverage_of: str = "spend") -> KpiValue:
    """A ratio as a value, with its coverage; None where it covers less than half or its divisor is zero or unknown."""
    if ratio.value is None:
        reason: str = ""
        if ratio.coverage is not None and 0 < ratio.coverage < Decimal("0.5"):
            reason = say("known_for_only", share=ratio.coverage, of=coverage_of)
        return replace(no_data("", reason), coverage=ratio.coverage, coverage_of=coverage_of)
    return KpiValue(value=ratio.value * times, unit="", coverage=ratio.coverage, coverage_of=coverage_of)

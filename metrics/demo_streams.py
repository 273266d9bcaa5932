"""The demo's usage as plain values: what each stream of an invented company does, hour by hour.

Pure arithmetic over a seeded random generator: the same day gives the same figures every time. Nothing here touches the
database; `metrics.demo` posts what it yields.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

# Recent days are posted hour by hour; older ones in four-hour steps: no page tells them apart, and the disk stays free.
HOURLY_DAYS = 45
OLD_STEP_HOURS = 4
DEMO_MONTHS = 18

# Share of a working day's traffic by UTC hour; each sums to 1.
_OFFICE = (0, 0, 0, 0, 0, 1, 3, 8, 11, 12, 11, 8, 9, 11, 10, 8, 5, 3, 2, 1, 1, 0, 0, 0)
_SERVICE = (1, 1, 1, 1, 1, 2, 4, 7, 8, 8, 8, 7, 7, 7, 7, 7, 6, 6, 7, 6, 4, 3, 2, 1)
_SHIFTS = (0, 0, 0, 0, 6, 7, 7, 7, 7, 6, 7, 7, 5, 7, 7, 7, 7, 7, 6, 7, 6, 0, 0, 0)
PROFILES = {"office": (_OFFICE, 0.06), "service": (_SERVICE, 0.55), "shifts": (_SHIFTS, 0.15)}


@dataclass(frozen=True, slots=True)
class Stream:
    """One stream of demo usage.

    `requests_per_day`: on a working day at the end of the demo. `growth`: factor from the first day to the last.
    `starts_days_ago`, `ends_days_ago`: when it ran. Latencies are log-normal around `median_ms`, which falls to
    `median_ms_now` over the stream's life; None where the source times nothing. `gpus` bounds an
    hour's busy seconds.
    """

    backend: str
    provider: str
    model: str
    workload: str | None
    requests_per_day: int
    starts_days_ago: int
    ends_days_ago: int = 0
    operation: str = "chat"
    growth: float = 4.0
    profile: str = "office"
    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_ratio: float | None = None
    units_per_request: Decimal | None = None
    median_ms: float | None = None
    median_ms_now: float | None = None
    sigma: float = 0.5
    first_token_share: float | None = None
    error_rate: float | None = 0.004
    blocked_rate: float | None = None
    quality: float | None = None
    gpu_seconds_per_request: float | None = None
    energy_wh_per_request: float | None = None
    # Hour by hour all the way back, for servers whose capacity is shared out by the hour.
    is_hourly: bool = False
    is_pushed: bool = False
    is_priced: bool = False
    measured_at: str = "server"
    team: str = ""
    gpus: int = 0
    seed: int = 0


@dataclass(slots=True)
class DemoHour:
    """What a stream did in one posted hour. `durations_ms` are (value, count) pairs of single requests."""

    hour: datetime
    sums: dict[str, int | Decimal]
    durations_ms: list[tuple[float, int]]
    first_tokens_ms: list[tuple[float, int]]
    inter_tokens_ms: list[tuple[float, int]]


def posting_hours(stream: Stream, until: datetime) -> Iterator[tuple[datetime, int]]:
    """Yields (UTC hour, hours it stands for), oldest first, up to the last complete hour before `until`."""
    today = until.date()
    day = today - timedelta(days=stream.starts_days_ago)
    last = today - timedelta(days=stream.ends_days_ago)
    while day <= last:
        step = 1 if stream.is_hourly or (today - day).days <= HOURLY_DAYS else OLD_STEP_HOURS
        for hour in range(0, 24, step):
            start = datetime.combine(day, time(hour), tzinfo=UTC)
            if start + timedelta(hours=step) <= until:
                yield start, step
        day += timedelta(days=1)


def hours(stream: Stream, until: datetime) -> Iterator[DemoHour]:
    """Yields what the stream did, oldest first; hours without a request are left out."""
    random_source = random.Random(stream.seed)  # noqa: S311 (invented figures)
    shape, weekend = PROFILES[stream.profile]
    weights_sum = sum(shape)
    life = max(1, stream.starts_days_ago - stream.ends_days_ago)
    for hour, step in posting_hours(stream, until):
        age = (until.date() - hour.date()).days
        progress = 1 - (age - stream.ends_days_ago) / life
        level = stream.requests_per_day / stream.growth * stream.growth**progress
        weight = sum(shape[hour.hour : hour.hour + step]) / weights_sum
        level *= weight * (weekend if hour.weekday() >= 5 else 1.0) * _holiday(hour.date())
        requests = round(level * random_source.uniform(0.86, 1.14))
        if requests > 0:
            yield _hour(stream, hour, requests, progress, random_source)


def _holiday(day: date) -> float:
    """Less work at the turn of the year and in early August."""
    if (day.month, day.day) >= (12, 24) or (day.month, day.day) <= (1, 2):
        return 0.35
    return 0.75 if day.month == 8 and day.day <= 16 else 1.0


def _hour(stream: Stream, hour: datetime, requests: int, progress: float, source: random.Random) -> DemoHour:
    sums: dict[str, int | Decimal] = {"requests": requests}
    errors = 0
    if stream.error_rate is not None:
        errors = min(requests, _about(requests * stream.error_rate, source))
        sums["errors"] = errors
    if stream.input_tokens is not None:
        sums["input_tokens"] = round(requests * stream.input_tokens * source.uniform(0.95, 1.05))
    if stream.cached_ratio is not None:
        # Caching was switched on step by step.
        ratio = stream.cached_ratio * min(1.0, progress * 1.2)
        sums["cached_input_tokens"] = round(int(sums["input_tokens"]) * ratio)
    if stream.output_tokens is not None:
        sums["output_tokens"] = round((requests - errors) * stream.output_tokens * source.uniform(0.94, 1.06))
    if stream.units_per_request is not None:
        sums["units"] = (requests - errors) * stream.units_per_request
    if stream.blocked_rate is not None:
        sums["blocked"] = _about(requests * stream.blocked_rate, source)
        sums["overridden"] = _about(requests * stream.blocked_rate / 6, source)
        sums["false_alarms"] = _about(requests * stream.blocked_rate / 9, source)
    if stream.quality is not None:
        scored = _about(requests * 0.03, source)
        if scored:
            mean = min(0.99, stream.quality - 0.08 * (1 - progress) + source.uniform(-0.02, 0.02))
            sums["quality_count"] = scored
            sums["quality_sum"] = _decimal(scored * mean)
    if stream.gpu_seconds_per_request is not None:
        busy = requests * stream.gpu_seconds_per_request * source.uniform(0.95, 1.05)
        sums["gpu_busy_seconds"] = _decimal(min(busy, stream.gpus * 3600))
    if stream.energy_wh_per_request is not None:
        sums["energy_wh"] = _decimal(requests * stream.energy_wh_per_request * source.uniform(0.95, 1.05))
    timed = requests - errors
    durations: list[tuple[float, int]] = []
    first: list[tuple[float, int]] = []
    inter: list[tuple[float, int]] = []
    if stream.median_ms is not None and timed:
        now = stream.median_ms_now or stream.median_ms
        median = stream.median_ms + (now - stream.median_ms) * _steps(progress)
        # Some weeks are slower than others, and no hour is like the next.
        median *= 1 + 0.05 * math.sin(hour.toordinal() / 11 + stream.seed)
        median *= source.uniform(0.93, 1.07)
        durations = _log_normal(median, stream.sigma, timed)
        if stream.first_token_share is not None:
            first = _log_normal(median * stream.first_token_share, stream.sigma * 0.8, timed)
            if stream.output_tokens:
                inter = _log_normal(median * (1 - stream.first_token_share) / stream.output_tokens, 0.25, timed)
    return DemoHour(hour, sums, durations, first, inter)


def _steps(progress: float) -> float:
    """Latency falls in three steps, as builds and prompts change; 0 at first, 1 at the end."""
    return 0.0 if progress < 0.3 else 0.35 if progress < 0.6 else 0.7 if progress < 0.88 else 1.0


def _about(expected: float, source: random.Random) -> int:
    """A whole count around an expected one."""
    whole = math.floor(expected)
    return whole + (source.random() < expected - whole)


def _decimal(value: float) -> Decimal:
    return Decimal(str(round(value, 6)))


# Nine quantiles of the standard normal distribution with the share of requests each stands for.
_QUANTILES = ((-1.4, 10), (-0.84, 15), (-0.4, 15), (-0.1, 15), (0.2, 15), (0.6, 12), (1.1, 10), (1.75, 6), (2.5, 2))


def _log_normal(median_ms: float, sigma: float, count: int) -> list[tuple[float, int]]:
    """(value, count) pairs whose counts sum to `count`, log-normal around the median."""
    pairs: list[tuple[float, int]] = []
    given = 0
    shares = 0
    for z, share in _QUANTILES:
        shares += share
        upto = round(count * shares / 100)
        if upto > given:
            pairs.append((median_ms * math.exp(sigma * z), upto - given))
            given = upto
    return pairs

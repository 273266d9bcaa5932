"""From two readings of counters to what happened between them. Pure: no Django, no clock, no network.

A counter starts from zero with its process and only grows. What the server counted between the last reading and its
restart is lost to everyone who reads counters; the interval is flagged, not guessed at.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from metrics.connector import CounterPoint, CounterValue, Sample
from metrics.usage import HISTOGRAM_MEASURES, MONEY_MEASURES, ForeignHistogram, SeriesKey, UsageCell

HOUR = timedelta(hours=1)
# Some exporters compute their process's start from the host's boot time, which moves by a second with NTP.
START_TOLERANCE = timedelta(seconds=2)
DECIMAL_STEP = Decimal("0.000000001")
# A gauge that was not read for longer than this is unknown in between: nobody knows what it did.
LONGEST_GAP = timedelta(minutes=16)
SECONDS_OF_AN_HOUR = 3600


@dataclass(frozen=True, slots=True)
class CounterDifference:
    """What one stream counted in (start, end]. `is_reset`: it restarted in between, so this is a lower bound."""

    stream: str
    key: SeriesKey
    measure: str
    start: datetime
    end: datetime
    value: CounterValue
    is_reset: bool = False
    currency: str = ""


def counter_differences(
    previous: Sample | Mapping[str, CounterPoint] | None, current: Sample
) -> Iterator[CounterDifference]:
    """Yield a difference for each stream of `current` that `previous` knows.

    `previous`: the last point of each stream, as a mapping by stream id or as a sample. A stream seen for the first
    time is a baseline and yields nothing, unless it started after the last reading of its process. A point that is not
    later than the last one of its stream yields nothing, so processing a sample twice adds nothing. Values never fall
    below zero. A later start, a lower value or other bucket bounds are a restart: counted from zero. Where a process
    does not say when its counters started, one that restarted speaks for all of them. An earlier start is another
    server behind the same address: it adds nothing, and is flagged. A gauge counts the mean of two readings for the
    time between them, and nothing over a gap that is too long; a share of time busy comes with how long it was seen.
    """
    before = _by_stream(previous)
    restarted = _restarted_processes(before, current)
    read_before = _last_reading_of_processes(before)
    for point in current.points:
        last = before.get(point.stream)
        if last is None:
            if point.is_gauge:
                continue
            since = read_before.get(point.process) if point.process else None
            if since is None or since >= point.at:
                continue
            if point.started_at is None and point.process in restarted:
                yield _difference(point, start=since, value=point.value, is_reset=True)
            elif point.started_at is not None and since < point.started_at <= point.at + START_TOLERANCE:
                yield _difference(point, start=since, value=point.value, is_reset=False)
            continue
        if point.at <= last.at:
            continue
        if point.is_gauge:
            yield from _weighted(last, point)
            continue
        if _is_other_server(last, point):
            yield _difference(point, start=last.at, value=_zero_like(point.value), is_reset=True)
        elif _is_restart(last, point) or (point.process in restarted and not _both_started(last, point)):
            yield _difference(point, start=last.at, value=point.value, is_reset=True)
        else:
            yield _difference(point, start=last.at, value=_minus(point.value, last.value), is_reset=False)


def spread_over_hours(start: datetime, end: datetime, value: CounterValue) -> list[tuple[datetime, CounterValue]]:
    """Split what was counted in (start, end] over the UTC hours it touches, in proportion to their share of the time.

    Whole counts by largest remainder, ties to the earlier hour; the parts add up to the value exactly. Hours that get
    nothing are left out, unless nothing was counted at all: then the last hour holds the zero.
    """
    hours, weights = _hours_between(start, end)
    if len(hours) == 1:
        return [(hours[0], value)]
    parts: list[CounterValue]
    if isinstance(value, ForeignHistogram):
        parts = list(_split_histogram(value, weights))
    elif isinstance(value, Decimal):
        # Rounded down: what is left over goes to the last hour, which must not fall below nothing.
        steps = int(value / DECIMAL_STEP)
        exact = [DECIMAL_STEP * part for part in _largest_remainder(steps, weights)]
        exact[-1] += value - DECIMAL_STEP * steps
        parts = list(exact)
    else:
        parts = list(_largest_remainder(value, weights))
    spread = [(hour, part) for hour, part in zip(hours, parts, strict=True) if not _is_zero(part)]
    return spread or [(hours[-1], parts[-1])]


def usage_cells(differences: Iterable[CounterDifference]) -> list[UsageCell]:
    """Add differences up per series and hour, ordered by hour.

    Bucket counts of one measure with other bounds (another replica, a restart with other settings) go to a second cell
    of the same series and hour, since foreign buckets cannot be added across bounds.
    """
    cells: dict[tuple[datetime, SeriesKey, str], list[UsageCell]] = {}
    for difference in differences:
        if difference.measure in MONEY_MEASURES and not difference.value:
            # A gateway that has no price for a model adds nothing to its spend: that is unknown, and not free.
            continue
        for hour, part in spread_over_hours(difference.start, difference.end, difference.value):
            key, currency = difference.key, difference.currency
            stack = cells.setdefault((hour, key, currency), [UsageCell(key=key, hour=hour, currency=currency)])
            if isinstance(part, ForeignHistogram):
                _add_histogram(stack, difference.measure, part)
            else:
                sums = stack[0].sums
                sums[difference.measure] = sums[difference.measure] + part if difference.measure in sums else part
    return [cell for _, stack in sorted(cells.items(), key=lambda item: item[0][0]) for cell in stack]


def _by_stream(previous: Sample | Mapping[str, CounterPoint] | None) -> Mapping[str, CounterPoint]:
    if previous is None:
        return {}
    if isinstance(previous, Sample):
        return {point.stream: point for point in previous.points}
    return previous


def _last_reading_of_processes(before: Mapping[str, CounterPoint]) -> dict[str, datetime]:
    last: dict[str, datetime] = {}
    for point in before.values():
        if point.process and (point.process not in last or point.at > last[point.process]):
            last[point.process] = point.at
    return last


def _restarted_processes(before: Mapping[str, CounterPoint], current: Sample) -> set[str]:
    """A busy server can pass its old value of one counter before we look; the lower ones give the restart away."""
    restarted = set()
    for point in current.points:
        last = before.get(point.stream)
        if not point.process or point.is_gauge or last is None or point.at <= last.at or _both_started(last, point):
            continue
        if _is_lower(point.value, last.value):
            restarted.add(point.process)
    return restarted


def _both_started(last: CounterPoint, point: CounterPoint) -> bool:
    return last.started_at is not None and point.started_at is not None


def _is_restart(last: CounterPoint, point: CounterPoint) -> bool:
    if last.started_at and point.started_at and point.started_at > last.started_at + START_TOLERANCE:
        return True
    return _is_lower(point.value, last.value)


def _is_other_server(last: CounterPoint, point: CounterPoint) -> bool:
    return (
        last.started_at is not None
        and point.started_at is not None
        and point.started_at < last.started_at - START_TOLERANCE
    )


def _is_lower(value: CounterValue, last: CounterValue) -> bool:
    if isinstance(value, ForeignHistogram) or isinstance(last, ForeignHistogram):
        if not isinstance(value, ForeignHistogram) or not isinstance(last, ForeignHistogram):
            return True
        if value.bounds_ms != last.bounds_ms:
            return True
        return any(now < then for now, then in zip(value.counts, last.counts, strict=True))
    return value < last


def _minus(value: CounterValue, last: CounterValue) -> CounterValue:
    if isinstance(value, ForeignHistogram) and isinstance(last, ForeignHistogram):
        counts = tuple(now - then for now, then in zip(value.counts, last.counts, strict=True))
        return ForeignHistogram(bounds_ms=value.bounds_ms, counts=counts)
    if isinstance(value, ForeignHistogram) or isinstance(last, ForeignHistogram):
        raise TypeError("a histogram and a number cannot be subtracted")
    return value - last


def _zero_like(value: CounterValue) -> CounterValue:
    if isinstance(value, ForeignHistogram):
        return ForeignHistogram(bounds_ms=value.bounds_ms, counts=(0,) * len(value.counts))
    return value - value


def _is_zero(value: CounterValue) -> bool:
    return not any(value.counts) if isinstance(value, ForeignHistogram) else value == 0


def _difference(point: CounterPoint, *, start: datetime, value: CounterValue, is_reset: bool) -> CounterDifference:
    return CounterDifference(point.stream, point.key, point.measure, start, point.at, value, is_reset, point.currency)


def _weighted(last: CounterPoint, point: CounterPoint) -> Iterator[CounterDifference]:
    """A share of time gives seconds busy and seconds seen, power gives energy."""
    if point.at - last.at > LONGEST_GAP or not isinstance(point.value, Decimal) or not isinstance(last.value, Decimal):
        return
    seconds = Decimal((point.at - last.at) // timedelta(microseconds=1)) / 1_000_000
    area = (point.value + last.value) / 2 * seconds
    if point.measure == "energy_wh":
        yield _difference(point, start=last.at, value=area / SECONDS_OF_AN_HOUR, is_reset=False)
        return
    yield _difference(point, start=last.at, value=area, is_reset=False)
    yield CounterDifference(point.stream, point.key, "gpu_held_seconds", last.at, point.at, seconds)


def _hours_between(start: datetime, end: datetime) -> tuple[list[datetime], list[int]]:
    """Return the UTC hours that (start, end] touches and how many microseconds of it lie in each."""
    hour = start.replace(minute=0, second=0, microsecond=0)
    hours, weights = [], []
    while hour < end:
        overlap = min(end, hour + HOUR) - max(start, hour)
        hours.append(hour)
        weights.append(overlap // timedelta(microseconds=1))
        hour += HOUR
    if not hours:
        return [hour], [1]
    return hours, weights


def _largest_remainder(total: int, weights: list[int]) -> list[int]:
    whole = sum(weights)
    parts = [total * weight // whole for weight in weights]
    by_remainder = sorted(range(len(weights)), key=lambda i: (-(total * weights[i] % whole), i))
    for index in by_remainder[: total - sum(parts)]:
        parts[index] += 1
    return parts


def _split_histogram(histogram: ForeignHistogram, weights: list[int]) -> Iterator[ForeignHistogram]:
    """Each hour takes its share of the total (as its count does), drawn evenly along the buckets that are left."""
    left = list(histogram.counts)
    for quota in _largest_remainder(sum(left), weights):
        remaining = sum(left)
        taken, passed, given = [], 0, 0
        for count in left:
            passed += count
            upto = passed * quota // remaining if remaining else 0
            taken.append(upto - given)
            given = upto
        left = [count - part for count, part in zip(left, taken, strict=True)]
        yield ForeignHistogram(bounds_ms=histogram.bounds_ms, counts=tuple(taken))


def _add_histogram(stack: list[UsageCell], measure: str, part: ForeignHistogram) -> None:
    if measure not in HISTOGRAM_MEASURES:
        raise ValueError(f"{measure} is not a histogram")
    for cell in stack:
        there = cell.histograms.get(measure)
        if there is None:
            cell.histograms[measure] = part
            return
        if there.bounds_ms == part.bounds_ms:
            counts = tuple(a + b for a, b in zip(there.counts, part.counts, strict=True))
            cell.histograms[measure] = ForeignHistogram(bounds_ms=part.bounds_ms, counts=counts)
            return
    stack.append(UsageCell(key=stack[0].key, hour=stack[0].hour, histograms={measure: part}))

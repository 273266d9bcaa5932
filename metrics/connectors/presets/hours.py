"""Raw samples of counters, hour by hour: exact increases that add up to the counter. Pure.

An hour (a, b] counts from the last sample at or before a to the last one at or before b, so hours tile without gap or
overlap; nothing is extrapolated, unlike PromQL's increase().
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import pairwise

from metrics.connector import NotStated
from metrics.connectors.presets import COUNT_AND_SUM, SEEN, Preset, Reading, spelling
from metrics.connectors.presets.gauges import weighted
from metrics.connectors.presets.keys import models_by_join, once, series_key
from metrics.connectors.presets.page import MONEY_STEP, gauge_value
from metrics.errors import ConnectorError
from metrics.usage import COUNT_MEASURES, ForeignHistogram, SeriesKey, UsageCell
from metrics.words import N_, phrase

HOUR = timedelta(hours=1)
Labels = tuple[tuple[str, str], ...]
TrackKey = tuple[str, Labels]
# A scrape: values by bucket bound, or under VALUE, SUM and PROCESS_START.
Scrape = dict[float | str, Decimal]
VALUE, SUM, PROCESS_START = "value", "sum", "process_start"
TARGET_LABELS = ("cluster", "job", "namespace", "pod", "instance")
PROCESS_START_METRIC = "process_start_time_seconds"
START_TOLERANCE_SECONDS = 2
# A process that started this long before the hour and was first scraped in it counts from zero.
FIRST_SCRAPE_SECONDS = 300
SECONDS_OF_AN_HOUR = 3600
STEP = Decimal("0.000001")


@dataclass(slots=True)
class Track:
    """One counter or histogram: its scrapes by their time in Unix seconds."""

    scrapes: dict[float, Scrape] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Row:
    """One series of Prometheus: a part of a track and its (Unix seconds, value as written) in the order of time."""

    key: TrackKey
    part: float | str
    samples: list[tuple[float, str]]


@dataclass(slots=True)
class _Increase:
    """What a track counted in an hour."""

    total: Scrape
    bounds: tuple[float, ...]


def target_of(labels: Labels) -> Labels:
    """Return the labels that tell one scraped process from another."""
    return tuple(pair for pair in labels if pair[0] in TARGET_LABELS)


class CounterHours:
    """Walks through hours in order and remembers each counter's last scrape."""

    def __init__(self, preset: Preset, *, model: str) -> None:
        self.preset = preset
        self.model = model
        self._last: dict[TrackKey, Scrape] = {}
        self._is_histogram = {
            spelling(name): reading.is_histogram
            for reading in preset.readings
            if not reading.is_gauge
            for name in reading.names
        }
        self._of_machine = {spelling(name) for r in preset.readings if r.is_machine for name in (*r.names, r.unless)}
        # The model of each value of the preset's join, from all that was seen so far.
        self._joined: dict[str, str] = {}

    def file(self, tracks: dict[TrackKey, Track], rows: Sequence[Row]) -> None:
        """Put rows together into scrapes. Of a histogram that only grew, the first and the last scrape say it all."""
        by_track: dict[TrackKey, list[Row]] = {}
        for row in rows:
            if row.samples:
                by_track.setdefault(self._key(row.key), []).append(row)
        # A counter that is seen for the first time is judged by the scrapes of those beside it.
        are_known = all(key in self._last for key in by_track)
        restarted = _restarted_targets(tracks)
        for key, parts in by_track.items():
            may_thin = are_known and self._is_histogram.get(key[0], False) and target_of(key[1]) not in restarted
            is_thin = may_thin and _only_grew(parts)
            scrapes = tracks.setdefault(key, Track()).scrapes
            for row in parts:
                for at, text in (row.samples[0], row.samples[-1]) if is_thin else row.samples:
                    scrapes.setdefault(at, {})[row.part] = Decimal(text)

    def _key(self, key: TrackKey) -> TrackKey:
        """Of a GPU that several pods share, or one after the other, each tells the same."""
        return (key[0], once(self.preset, key[1])) if key[0] in self._of_machine else key

    def _target(self, key: TrackKey) -> Labels:
        return key[1] if key[0] in self._of_machine else target_of(key[1])

    @property
    def has_begun(self) -> bool:
        """Whether any counter has a scrape from before the hour that comes next."""
        return bool(self._last)

    def begin(self, tracks: Mapping[TrackKey, Track]) -> None:
        """Take the last scrape before the first hour of each track that has one."""
        _add_process_starts(tracks)
        self._joined |= models_by_join(self.preset, (labels for _, labels in tracks))
        for key, track in tracks.items():
            if key[0] in self._is_histogram or key[0] == PROCESS_START_METRIC:
                self._last[key] = track.scrapes[max(track.scrapes)]

    def hour(self, hour: datetime, tracks: Mapping[TrackKey, Track]) -> Iterator[UsageCell]:
        """Yield the cells of the hour from all scrapes in (hour, hour + 1 h]. Raises ConnectorError."""
        _add_process_starts(tracks)
        families: dict[tuple[str, Labels], list[TrackKey]] = {}
        for key in tracks:
            families.setdefault((key[0], target_of(key[1])), []).append(key)
        increases: dict[TrackKey, _Increase] = {}
        for key, track in tracks.items():
            if key[0] in self._is_histogram:
                siblings = [other for other in families[key[0], target_of(key[1])] if other != key]
                is_late_label = self._joins(track, {other: tracks[other] for other in siblings})
                increases[key] = self._increase(key, track, hour, is_late_label=is_late_label)
        self._joined |= models_by_join(self.preset, (labels for _, labels in tracks))
        cells: dict[tuple[SeriesKey, str], list[UsageCell]] = {}
        shown: dict[Labels, set[str]] = {}
        for key in tracks:
            shown.setdefault(self._target(key), set()).add(key[0])
        for reading in self.preset.readings:
            for key in tracks:
                if key[0] != _name_for(reading, shown[self._target(key)]) or not _meets(reading, key):
                    continue
                if reading.is_gauge:
                    self._add_gauge(cells, hour, reading, key[1], tracks[key])
                elif key in increases:
                    self._add(cells, hour, reading, key, increases[key])
        for stack in cells.values():
            yield from (cell for cell in stack if cell.sums or cell.histograms)

    def _joins(self, track: Track, siblings: Mapping[TrackKey, Track]) -> bool:
        """Tell a label value that appears later, and has counted from zero, from a counter that got other labels.

        Beside the first, another counter of the metric and target is scraped at the same time and was before.
        """
        first = min(track.scrapes)
        return any(
            first in sibling.scrapes and (key in self._last or min(sibling.scrapes) < first)
            for key, sibling in siblings.items()
        )

    def _increase(self, key: TrackKey, track: Track, hour: datetime, *, is_late_label: bool) -> _Increase:
        last = self._last.get(key)
        total: Scrape = {}
        for _, scrape in sorted(track.scrapes.items()):
            if last is None:
                started = scrape.get(PROCESS_START)
                is_new = started is not None and started >= Decimal(int(hour.timestamp()) - FIRST_SCRAPE_SECONDS)
                step = _minus(scrape, None) if is_new or is_late_label else _minus(scrape, scrape)
            elif _is_restart(last, scrape):
                step = _minus(scrape, None)
            else:
                step = _minus(scrape, last)
            for part, value in step.items():
                total[part] = total.get(part, Decimal(0)) + value
            last = scrape
        if last is not None:
            self._last[key] = last
        bounds = tuple(sorted(part for part in total if isinstance(part, float)))
        return _Increase(total=total, bounds=bounds)

    def _stack(
        self, cells: dict[tuple[SeriesKey, str], list[UsageCell]], hour: datetime, reading: Reading, labels: Labels
    ) -> list[UsageCell]:
        series = series_key(self.preset, reading, dict(labels), model=self.model, joined=self._joined)
        fresh = UsageCell(key=series, hour=hour, currency=reading.currency)
        return cells.setdefault((series, reading.currency), [fresh])

    def _add_gauge(
        self,
        cells: dict[tuple[SeriesKey, str], list[UsageCell]],
        hour: datetime,
        reading: Reading,
        labels: Labels,
        track: Track,
    ) -> None:
        told = {at: gauge_value(float(scrape[VALUE]), reading) for at, scrape in track.scrapes.items()}
        known = {at: value for at, value in told.items() if value is not None}
        start = hour.timestamp()
        found = weighted(known, start, start + SECONDS_OF_AN_HOUR)
        if found is None:
            return
        area, seen = found
        cell = self._stack(cells, hour, reading, labels)[0]
        if reading.measure == "energy_wh":
            _add_sum(cell, reading.measure, (area / SECONDS_OF_AN_HOUR).quantize(STEP), reading.names[0])
            return
        _add_sum(cell, reading.measure, area.quantize(STEP), reading.names[0])
        _add_sum(cell, SEEN, seen.quantize(STEP), reading.names[0])

    def _add(
        self,
        cells: dict[tuple[SeriesKey, str], list[UsageCell]],
        hour: datetime,
        reading: Reading,
        key: TrackKey,
        found: _Increase,
    ) -> None:
        name, labels = key
        if reading.currency:
            spent = (found.total[VALUE] * reading.scale).quantize(MONEY_STEP)
            # A gateway that has no price for a model adds nothing to its spend: that is unknown, and not free.
            if spent:
                _add_sum(self._stack(cells, hour, reading, labels)[0], reading.measure, spent, name)
            return
        stack = self._stack(cells, hour, reading, labels)
        if not reading.is_histogram:
            _add_sum(stack[0], reading.measure, found.total[VALUE] * reading.scale, name)
            return
        if math.inf not in found.total or len(found.bounds) < 2:
            raise malformed(name, "lacks buckets or the +Inf bucket")
        steps = [Decimal(0), *(found.total[bound] for bound in found.bounds)]
        counts = tuple(_whole(b - a, name) for a, b in zip(steps, steps[1:], strict=False))
        bounds_ms = tuple(float(Decimal(repr(bound)) * reading.scale) for bound in found.bounds[:-1])
        _add_histogram(stack, reading.measure, ForeignHistogram(bounds_ms=bounds_ms, counts=counts))
        count_measure, sum_measure = COUNT_AND_SUM[reading.measure]
        _add_sum(stack[0], count_measure, Decimal(sum(counts)), name)
        if SUM in found.total:
            _add_sum(stack[0], sum_measure, found.total[SUM] * reading.scale, name)


def not_stated(hours: Sequence[datetime], sampled: set[datetime], *, has_before: bool) -> Iterator[NotStated]:
    """Yield the hours of which no counter has a sample: Prometheus has dropped them, or never had them.

    A server without traffic is scraped all the same. The hour in which samples begin lacks what was counted up to the
    first of them, so it only fills what is not known.
    """
    begins = None if has_before else min(sampled, default=None)
    for hour in hours:
        if hour not in sampled or hour == begins:
            yield NotStated(hour, hour + HOUR)


def malformed(name: str, what: str) -> ConnectorError:
    return ConnectorError(
        phrase("Prometheus holds values of %(name)s that cannot be counts: one %(what)s.", name=name, what=what),
        permanent=False,
        hint=N_("Check that the metric is a counter or a histogram."),
    )


def _add_process_starts(tracks: Mapping[TrackKey, Track]) -> None:
    """Write the process's start into the scrapes of its counters, where Prometheus has it for the same target."""
    starts = {target_of(labels): track for (name, labels), track in tracks.items() if name == PROCESS_START_METRIC}
    for (name, labels), track in tracks.items():
        start = starts.get(target_of(labels))
        if name == PROCESS_START_METRIC or start is None:
            continue
        for at, scrape in track.scrapes.items():
            if at in start.scrapes:
                scrape[PROCESS_START] = start.scrapes[at][VALUE]


def _restarted_targets(tracks: Mapping[TrackKey, Track]) -> set[Labels]:
    """The targets whose process start changed within the hour."""
    return {
        target_of(labels)
        for (name, labels), track in tracks.items()
        if name == PROCESS_START_METRIC and len({scrape[VALUE] for scrape in track.scrapes.values()}) > 1
    }


def _only_grew(rows: Sequence[Row]) -> bool:
    """Whether all parts were scraped at the same times and none ever fell."""
    times = [at for at, _ in rows[0].samples]
    for row in rows:
        values = [float(text) for _, text in row.samples]
        if [at for at, _ in row.samples] != times or any(b < a for a, b in pairwise(values)):
            return False
    return True


def _is_restart(last: Scrape, scrape: Scrape) -> bool:
    started, before = scrape.get(PROCESS_START), last.get(PROCESS_START)
    if started is not None and before is not None and started > before + START_TOLERANCE_SECONDS:
        return True
    parts = {part for part in scrape if part != PROCESS_START}
    if parts != {part for part in last if part != PROCESS_START}:
        return True
    return any(scrape[part] < last[part] for part in parts)


def _minus(scrape: Scrape, last: Scrape | None) -> Scrape:
    return {
        part: value - (last[part] if last is not None else Decimal(0))
        for part, value in scrape.items()
        if part != PROCESS_START
    }


def _name_for(reading: Reading, shown: set[str]) -> str | None:
    """Return the first of the reading's names that a target shows, so that old and new names are not added."""
    if reading.unless and spelling(reading.unless) in shown:
        return None
    return next((spelling(name) for name in reading.names if spelling(name) in shown), None)


def _meets(reading: Reading, key: TrackKey) -> bool:
    return all(condition.matches(dict(key[1])) for condition in reading.where)


def _add_sum(cell: UsageCell, measure: str, value: Decimal, name: str) -> None:
    part = _whole(value, name) if measure in COUNT_MEASURES else value
    cell.sums[measure] = cell.sums[measure] + part if measure in cell.sums else part


def _whole(value: Decimal, name: str) -> int:
    if value < 0:
        raise malformed(name, "is negative or falls from bucket to bucket")
    if value != value.to_integral_value():
        raise malformed(name, "is not a whole number")
    return int(value)


def _add_histogram(stack: list[UsageCell], measure: str, histogram: ForeignHistogram) -> None:
    """Add to the cell with the same bounds; other bounds (another replica) go to a cell of their own."""
    for cell in stack:
        there = cell.histograms.get(measure)
        if there is None or there.bounds_ms == histogram.bounds_ms:
            counts = tuple(a + b for a, b in zip(there.counts, histogram.counts, strict=True)) if there else None
            cell.histograms[measure] = ForeignHistogram(histogram.bounds_ms, counts or histogram.counts)
            return
    stack.append(UsageCell(key=stack[0].key, hour=stack[0].hour, histograms={measure: histogram}))

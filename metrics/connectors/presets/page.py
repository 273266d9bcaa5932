"""A /metrics page (Prometheus text format 0.0.4), read through a preset into points of counters."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from prometheus_client.parser import text_string_to_metric_families

from metrics.connector import CounterPoint
from metrics.connectors.presets import COUNT_AND_SUM, NOT_SUPPORTED, Preset, Reading, spelling
from metrics.connectors.presets.keys import models_by_join, once, series_key
from metrics.errors import ConnectorError
from metrics.usage import COUNT_MEASURES, MONEY_MEASURES, ForeignHistogram
from metrics.words import N_, phrase

Labels = tuple[tuple[str, str], ...]
EARLIEST_START = datetime(2000, 1, 1, tzinfo=UTC)
# Money is kept to the tenth place; of a sum of binary fractions the rest is noise.
MONEY_STEP = Decimal("1e-10")
# A share of time may be a little over the whole, by rounding.
LARGEST_SHARE = Decimal("1.001")


_TYPE = re.compile(r"^#\s*TYPE\s+(\S+)\s+(\S+)\s*$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Page:
    """`samples`: name in one spelling -> (labels, value) in the page's order. `source` tells pages apart; not shown.

    `types`: what the page says that a name is, where it says so.
    """

    address: str
    source: str
    samples: Mapping[str, list[tuple[Labels, float]]]
    types: Mapping[str, str]

    def shows(self, reading: Reading) -> str | None:
        """Return the first name of the reading that is on the page as what it has to be, None where none is."""
        if reading.unless and not reading.is_machine and spelling(reading.unless) in self.samples:
            return None
        for name in map(spelling, reading.names):
            if name + ("_bucket" if reading.is_histogram else "") in self.samples and self._fits(name, reading):
                return name
        return None

    def names(self, reading: Reading) -> bool:
        """Whether the page has the reading, also while there is nothing to count yet."""
        return self.shows(reading) is not None or any(spelling(name) in self.types for name in reading.names)

    def _fits(self, name: str, reading: Reading) -> bool:
        """Whether a name is not said to be something else: a gauge that falls would look like a counter's restart."""
        said = self.types.get(name, "")
        if reading.is_histogram:
            return said in {"", "histogram"}
        return said in ({"", "gauge"} if reading.is_gauge else {"", "counter"})


def read_page(text: str, *, address: str, source: str) -> Page:
    """Return the page's samples. Raises ConnectorError where the text is not in the format."""
    samples: dict[str, list[tuple[Labels, float]]] = {}
    types: dict[str, str] = {}
    typed = set(_TYPE.findall(text))
    try:
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                name = sample.name
                if family.type == "counter" and (family.name, "counter") in typed:
                    # The parser adds what OpenMetrics wants; the page said it without.
                    name = name.removesuffix("_total")
                name = spelling(name)
                labels = tuple(sorted((str(label), str(value)) for label, value in sample.labels.items()))
                samples.setdefault(name, []).append((labels, float(sample.value)))
                if sample.name.removesuffix("_total") == family.name.removesuffix("_total"):
                    types[name] = "" if family.type == "unknown" else family.type
            types[spelling(family.name)] = "" if family.type == "unknown" else family.type
            if (f"{family.name}_total", "counter") in typed:
                types[spelling(f"{family.name}_total")] = "counter"
    except (ValueError, KeyError, IndexError, TypeError, AttributeError):
        raise ConnectorError(
            phrase(
                "%(address)s answered with something that is not a metrics page in Prometheus' text format.",
                address=address,
            ),
            permanent=True,
            hint=N_("Check the address; it usually ends in /metrics."),
        ) from None
    return Page(address=address, source=source, samples=samples, types=types)


def points_of(page: Page, preset: Preset, *, at: datetime, model: str) -> Iterator[CounterPoint]:
    """Yield the points of all readings that the page shows. `model` names what the metrics do not name.

    Raises ConnectorError where a counter is negative, not a number or not whole.
    """
    process_start = next((_moment(value, at) for _, value in page.samples.get("process_start_time_seconds", ())), None)
    process = _digest(page.source)
    read = {spelling(name) for reading in preset.readings for name in reading.names}
    joined = models_by_join(preset, (labels for name in read for labels, _ in page.samples.get(name, ())))
    for reading in preset.readings:
        name = page.shows(reading)
        if name is None:
            continue
        created = _created(page, name)
        for labels, found in _rows(page, name, reading, preset):
            if not all(condition.matches(dict(labels)) for condition in reading.where):
                continue
            key = series_key(preset, reading, dict(labels), model=model, joined=joined)
            told = once(preset, labels) if reading.is_machine else labels
            if reading.is_gauge:
                gauge = None if isinstance(found, _Histogram) else gauge_value(found, reading)
                if gauge is not None:
                    stream = _digest(page.source, name, reading.measure, *_told(told))
                    yield CounterPoint(stream, key, reading.measure, gauge, at, is_gauge=True)
                continue
            started_at = _moment(created.get(labels), at) or process_start
            for measure, value in _values(found, reading, page.address, name):
                stream = _digest(page.source, name, measure, *_told(told))
                yield CounterPoint(stream, key, measure, value, at, started_at, process, currency=reading.currency)


def gauge_value(value: float, reading: Reading) -> Decimal | None:
    """Return a gauge's value in the measure's unit, None where it is none: not supported, not a number, not a share."""
    if not math.isfinite(value) or not 0 <= value < NOT_SUPPORTED:
        return None
    found = Decimal(repr(value)) * reading.scale
    if reading.measure == "gpu_busy_seconds":
        return min(found, Decimal(1)) if found <= LARGEST_SHARE else None
    return found


def _told(labels: Labels) -> Iterator[str]:
    return (f"{label}={text!r}" for label, text in labels)


def _rows(page: Page, name: str, reading: Reading, preset: Preset) -> list[tuple[Labels, float | _Histogram]]:
    if reading.is_histogram:
        return _histograms(page, name)
    if not reading.is_machine:
        return _counters(page, name)
    # One GPU that several pods share is told once for each of them.
    done = {once(preset, labels) for labels, _ in page.samples.get(spelling(reading.unless), ())}
    rows: dict[Labels, tuple[Labels, float | _Histogram]] = {}
    for labels, value in page.samples[name]:
        is_meant = all(condition.matches(dict(labels)) for condition in reading.where)
        if is_meant and value < NOT_SUPPORTED and once(preset, labels) not in done:
            rows.setdefault(once(preset, labels), (labels, value))
    return list(rows.values())


@dataclass(frozen=True, slots=True)
class _Histogram:
    bounds: tuple[float, ...]
    cumulative: tuple[float, ...]
    total: float
    sum: float | None


def _counters(page: Page, name: str) -> list[tuple[Labels, float | _Histogram]]:
    rows: dict[Labels, float | _Histogram] = {}
    for labels, value in page.samples[name]:
        if labels in rows:
            raise _malformed(page.address, name, "is there twice with the same labels")
        rows[labels] = value
    return list(rows.items())


def _histograms(page: Page, name: str) -> list[tuple[Labels, float | _Histogram]]:
    """Put the samples of a histogram together: cumulative buckets by `le`, the last one +Inf, and the sum."""
    buckets: dict[Labels, dict[float, float]] = {}
    for labels, value in page.samples[f"{name}_bucket"]:
        rest = tuple(pair for pair in labels if pair[0] != "le")
        try:
            bound = float(dict(labels)["le"])
        except (KeyError, ValueError):
            raise _malformed(page.address, name, "has a bucket without a bound") from None
        buckets.setdefault(rest, {})[bound] = value
    sums = dict(page.samples.get(f"{name}_sum", ()))
    rows: list[tuple[Labels, float | _Histogram]] = []
    for labels, by_bound in buckets.items():
        if math.inf not in by_bound or any(math.isnan(bound) for bound in by_bound):
            raise _malformed(page.address, name, "lacks its +Inf bucket")
        bounds = tuple(sorted(bound for bound in by_bound if bound != math.inf))
        cumulative = tuple(by_bound[bound] for bound in bounds)
        rows.append((labels, _Histogram(bounds, cumulative, by_bound[math.inf], sums.get(labels))))
    return rows


def _values(
    found: float | _Histogram, reading: Reading, address: str, name: str
) -> Iterator[tuple[str, int | Decimal | ForeignHistogram]]:
    if not isinstance(found, _Histogram):
        yield reading.measure, _number(found, reading, reading.measure, address, name)
        return
    count_measure, sum_measure = COUNT_AND_SUM[reading.measure]
    steps = (0.0, *found.cumulative, found.total)
    counts = tuple(_whole(b - a, address, name) for a, b in zip(steps, steps[1:], strict=False))
    bounds_ms = tuple(float(Decimal(repr(bound)) * reading.scale) for bound in found.bounds)
    if not bounds_ms or min(bounds_ms) < 0:
        raise _malformed(address, name, "has no usable buckets")
    yield reading.measure, ForeignHistogram(bounds_ms=bounds_ms, counts=counts)
    yield count_measure, sum(counts)
    if found.sum is not None:
        yield sum_measure, _number(found.sum, reading, sum_measure, address, name)


def _number(value: float, reading: Reading, measure: str, address: str, name: str) -> int | Decimal:
    if math.isnan(value) or math.isinf(value):
        raise _malformed(address, name, "is not a number")
    if value < 0:
        raise _malformed(address, name, "is negative")
    if measure in COUNT_MEASURES:
        return _whole(value, address, name)
    found = Decimal(repr(value)) * reading.scale
    return found.quantize(MONEY_STEP) if measure in MONEY_MEASURES else found


def _whole(value: float, address: str, name: str) -> int:
    if math.isnan(value) or math.isinf(value):
        raise _malformed(address, name, "is not a number")
    if value < 0:
        raise _malformed(address, name, "is negative or falls from bucket to bucket")
    if not value.is_integer():
        raise _malformed(address, name, "is not a whole count")
    return int(value)


def _created(page: Page, name: str) -> dict[Labels, float]:
    """OpenMetrics' start times, which text format shows as gauges `<family>_created`."""
    return dict(page.samples.get(f"{name.removesuffix('_total')}_created", ()))


def _moment(seconds: float | None, at: datetime) -> datetime | None:
    """Return the start that a page states, None where it cannot be one (zero, NaN, years in the future)."""
    if seconds is None or not math.isfinite(seconds):
        return None
    if not EARLIEST_START.timestamp() <= seconds <= (at + timedelta(days=1)).timestamp():
        return None
    return datetime.fromtimestamp(seconds, UTC)


def _digest(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]


def _malformed(address: str, name: str, what: str) -> ConnectorError:
    return ConnectorError(
        phrase(
            "%(address)s: the counter %(name)s %(what)s, so nothing was taken from this page.",
            address=address,
            name=name,
            what=what,
        ),
        permanent=False,
        hint=N_("If this stays, the server's metrics are broken or the mapping names a metric that is not a counter."),
    )

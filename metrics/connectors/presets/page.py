"""A /metrics page (Prometheus text format 0.0.4), read through a preset into points of counters."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from prometheus_client.parser import text_string_to_metric_families

from metrics.connector import CounterPoint
from metrics.connectors.presets import COUNT_AND_SUM, Preset, Reading, spelling
from metrics.errors import ConnectorError
from metrics.usage import COUNT_MEASURES, ForeignHistogram, SeriesKey

Labels = tuple[tuple[str, str], ...]
EARLIEST_START = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Page:
    """`samples`: name in one spelling -> (labels, value) in the page's order. `source` tells pages apart; not shown."""

    address: str
    source: str
    samples: Mapping[str, list[tuple[Labels, float]]]

    def names(self) -> list[str]:
        return sorted(self.samples)

    def shows(self, reading: Reading) -> str | None:
        """Return the first name of the reading that is on the page, None where none is."""
        for name in reading.names:
            if spelling(name) + ("_bucket" if reading.is_histogram else "") in self.samples:
                return spelling(name)
        return None


def read_page(text: str, *, address: str, source: str) -> Page:
    """Return the page's samples. Raises ConnectorError where the text is not in the format."""
    samples: dict[str, list[tuple[Labels, float]]] = {}
    try:
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                labels = tuple(sorted((str(name), str(value)) for name, value in sample.labels.items()))
                samples.setdefault(spelling(sample.name), []).append((labels, float(sample.value)))
    except (ValueError, KeyError, IndexError, TypeError, AttributeError):
        raise ConnectorError(
            f"{address} answered with something that is not a metrics page in Prometheus' text format.",
            permanent=True,
            hint="Check the address; it usually ends in /metrics.",
        ) from None
    return Page(address=address, source=source, samples=samples)


def points_of(page: Page, preset: Preset, *, at: datetime, model: str) -> Iterator[CounterPoint]:
    """Yield the points of all readings that the page shows. `model` names what the metrics do not name.

    Raises ConnectorError where a counter is negative, not a number or not whole.
    """
    process_start = next((_moment(value, at) for _, value in page.samples.get("process_start_time_seconds", ())), None)
    process = _digest(page.source)
    for reading in preset.readings:
        name = page.shows(reading)
        if name is None:
            continue
        rows = _histograms(page, name) if reading.is_histogram else _counters(page, name)
        created = _created(page, name)
        for labels, found in rows:
            if not all(condition.matches(dict(labels)) for condition in reading.where):
                continue
            key = SeriesKey(provider=preset.provider, model=dict(labels).get(preset.model_label) or model)
            started_at = _moment(created.get(labels), at) or process_start
            for measure, value in _values(found, reading, page.address, name):
                stream = _digest(page.source, name, measure, *(f"{label}={text!r}" for label, text in labels))
                yield CounterPoint(stream, key, measure, value, at, started_at, process)


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
    return Decimal(repr(value)) * reading.scale


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
        f"{address}: the counter {name} {what}, so nothing was taken from this page.",
        permanent=False,
        hint="If this stays, the server's metrics are broken or the mapping names a metric that is not a counter.",
    )

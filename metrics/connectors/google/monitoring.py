"""Cloud Monitoring's hourly metrics of Vertex AI's models (timeSeries.list of the v3 API)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from metrics.connectors.google import READ, Google
from metrics.errors import ConnectorError
from metrics.usage import ForeignHistogram, SeriesKey, UsageCell
from metrics.windows import Window
from metrics.words import N_

HOUR = timedelta(hours=1)
PROVIDER = "gcp.vertex_ai"
PREFIX = "aiplatform.googleapis.com/publisher/online_serving/"
REQUESTS, TOKENS = "model_invocation_count", "token_count"
TIMES = {"model_invocation_latencies": "duration", "first_token_latencies": "time_to_first_token"}
TOKEN_TYPES = {"input": "input_tokens", "output": "output_tokens"}
RESOURCE = ("model_user_id", "publisher", "location")
LABELS = {
    REQUESTS: ("request_type", "response_code"),
    TOKENS: ("request_type", "type"),
    "model_invocation_latencies": ("request_type", "latency_type"),
    "first_token_latencies": ("request_type",),
}
PAGE_SIZE, MOST_BUCKETS = 10_000, 1_000


@dataclass(frozen=True, slots=True)
class Point:
    """One hour of one series of a metric: `value` is a count, or a distribution's document."""

    labels: Mapping[str, str]
    hour: datetime
    value: Any


@dataclass(slots=True)
class _Hour:
    sums: dict[str, int | Decimal] = field(default_factory=dict)
    histograms: dict[str, dict[tuple[float, ...], list[int]]] = field(default_factory=dict)

    def add(self, measure: str, value: int | Decimal) -> None:
        self.sums[measure] = self.sums[measure] + value if measure in self.sums else value


def hours_of_project(google: Google, address: str, project: str, window: Window) -> Iterator[UsageCell]:
    """Yield the cells of one project. Raises ConnectorError."""
    hours: dict[tuple[SeriesKey, datetime], _Hour] = {}

    def there(point: Point) -> _Hour:
        return hours.setdefault((series_key(point.labels), point.hour), _Hour())

    for point in points(google, address, project, REQUESTS, window):
        count = READ.count(point.value, "a count of requests")
        hour = there(point)
        hour.add("requests", count)
        hour.add("errors", 0 if _is_success(point.labels.get("response_code", "")) else count)
    for point in points(google, address, project, TOKENS, window):
        measure = TOKEN_TYPES.get(point.labels.get("type", ""))
        if measure is not None:
            there(point).add(measure, READ.count(point.value, "a count of tokens"))
    for name, measure in TIMES.items():
        found = list(points(google, address, project, name, window))
        for point in _of_the_model(found):
            _add_distribution(there(point), measure, READ.mapping(point.value, "a distribution"))
    for (key, at), hour in hours.items():
        yield from _cells(key, at, hour)


def points(google: Google, address: str, project: str, metric: str, window: Window) -> Iterator[Point]:
    """The hourly points of a metric, added up over what no series is told apart by. Raises ConnectorError."""
    fields = [f"resource.label.{name}" for name in RESOURCE] + [f"metric.label.{name}" for name in LABELS[metric]]
    params = [
        ("filter", f'metric.type = "{PREFIX}{metric}"'),
        ("interval.startTime", f"{window.start:%Y-%m-%dT%H:%M:%SZ}"),
        ("interval.endTime", f"{window.end:%Y-%m-%dT%H:%M:%SZ}"),
        ("aggregation.alignmentPeriod", "3600s"),
        ("aggregation.perSeriesAligner", "ALIGN_DELTA"),
        ("aggregation.crossSeriesReducer", "REDUCE_SUM"),
        *(("aggregation.groupByFields", name) for name in fields),
        ("view", "FULL"),
        ("pageSize", str(PAGE_SIZE)),
    ]
    url = f"{address.rstrip('/')}/v3/projects/{project}/timeSeries"
    seen: set[tuple[tuple[tuple[str, str], ...], datetime]] = set()

    def ask(token: str | None) -> Mapping[str, Any]:
        return google.get(url, [*params, *([("pageToken", token)] if token else [])])

    for page in READ.pages(ask, more="nextPageToken", cursor="nextPageToken"):
        if page.get("executionErrors"):
            raise ConnectorError(N_("Cloud Monitoring could read only a part."), permanent=False)
        for told in READ.sequence(page.get("timeSeries", []), "the list of series"):
            series = READ.mapping(told, "a series")
            labels = _labels(series)
            for row in READ.sequence(series.get("points", []), "the points of a series"):
                point = READ.mapping(row, "a point")
                hour = _hour(READ.mapping(point.get("interval"), "an interval"))
                if not window.start <= hour < window.end:
                    continue
                place = (tuple(sorted(labels.items())), hour)
                if place in seen:
                    raise READ.malformed("it gives two values for one hour")
                seen.add(place)
                yield Point(labels, hour, _value(READ.mapping(point.get("value"), "a value")))


def _labels(series: Mapping[str, Any]) -> dict[str, str]:
    found: dict[str, str] = {}
    for part in ("resource", "metric"):
        told = READ.mapping(series.get(part) or {}, f"the {part} of a series").get("labels") or {}
        found |= {str(name): str(value) for name, value in READ.mapping(told, "the labels of a series").items()}
    return found


def _hour(interval: Mapping[str, Any]) -> datetime:
    """The hour that ends with the interval. Its start may be a moment later than the hour's."""
    end = READ.moment(str(interval.get("endTime")).replace("Z", "+00:00"), "a time")
    if end.minute or end.second:
        raise READ.malformed(f"an hourly value ends at {end:%H:%M:%S}")
    return end - HOUR


def _value(value: Mapping[str, Any]) -> Any:
    """INT64 values are text in Google's JSON."""
    if "int64Value" in value:
        return _whole(value["int64Value"])
    if "doubleValue" in value:
        return READ.amount(value["doubleValue"], "a value")
    if "distributionValue" in value:
        return value["distributionValue"]
    raise READ.malformed("a value is of a kind that was not asked for")


def _whole(value: Any) -> int:
    if isinstance(value, str) and value.lstrip("-").isdigit() and len(value) < 20:
        value = int(value)
    return READ.count(value, "a count")


def _is_success(code: str) -> bool:
    return code.startswith("2") or code.upper() in {"OK", "0", ""}


def _of_the_model(found: Sequence[Point]) -> list[Point]:
    """Of latencies in parts the model's own: its overhead is told apart and cannot be added to a distribution."""
    kinds = {point.labels.get("latency_type", "") for point in found}
    if not kinds - {""}:
        return list(found)
    kind = "model" if "model" in kinds else sorted(kinds - {"overhead"} or kinds)[0]
    return [point for point in found if point.labels.get("latency_type", "") == kind]


# --- Distributions


def _add_distribution(hour: _Hour, measure: str, distribution: Mapping[str, Any]) -> None:
    count = _whole(distribution.get("count", 0))
    if not count:
        return
    mean = READ.amount(distribution.get("mean", 0), "a mean")
    if mean < 0:
        raise READ.malformed("a mean latency is negative")
    hour.add(f"{measure}_count", count)
    hour.add(f"{measure}_sum_ms", mean * count)
    options = distribution.get("bucketOptions")
    if not options:
        return
    bounds = bounds_of(READ.mapping(options, "bucket options"))
    counts = [_whole(value) for value in READ.sequence(distribution.get("bucketCounts", []), "the buckets")]
    if len(counts) > len(bounds) + 1:
        raise READ.malformed("a distribution has more buckets than bounds")
    if sum(counts) != count:
        raise READ.malformed("the buckets of a distribution are not as many as its count")
    # Trailing zeros may be left out.
    counts += [0] * (len(bounds) + 1 - len(counts))
    bounds_ms, kept = _positive(bounds, counts)
    if not bounds_ms:
        return
    held = hour.histograms.setdefault(measure, {})
    before = held.get(bounds_ms)
    held[bounds_ms] = kept if before is None else [a + b for a, b in zip(before, kept, strict=True)]


def bounds_of(options: Mapping[str, Any]) -> list[float]:
    """The finite bounds of explicit, exponential or linear buckets, ascending."""
    if "explicitBuckets" in options:
        told = READ.mapping(options["explicitBuckets"], "explicit buckets").get("bounds", [])
        bounds = [float(READ.amount(bound, "a bound")) for bound in READ.sequence(told, "the bounds")]
    elif "exponentialBuckets" in options:
        buckets = READ.mapping(options["exponentialBuckets"], "exponential buckets")
        number, growth, scale = _number(buckets), _float(buckets, "growthFactor"), _float(buckets, "scale")
        if growth <= 1 or scale <= 0:
            raise READ.malformed("exponential buckets do not grow")
        try:
            bounds = [scale * growth**place for place in range(number + 1)]
        except OverflowError:
            raise READ.malformed("exponential buckets grow without end") from None
    elif "linearBuckets" in options:
        buckets = READ.mapping(options["linearBuckets"], "linear buckets")
        width, offset = _float(buckets, "width"), _float(buckets, "offset", 0.0)
        if width <= 0:
            raise READ.malformed("linear buckets have no width")
        bounds = [offset + width * place for place in range(_number(buckets) + 1)]
    else:
        raise READ.malformed("its buckets are of an unknown kind")
    if len(bounds) > MOST_BUCKETS or any(b <= a for a, b in zip(bounds, bounds[1:], strict=False)):
        raise READ.malformed("the bounds of its buckets do not ascend, or are too many")
    return bounds


def _number(buckets: Mapping[str, Any]) -> int:
    number = _whole(buckets.get("numFiniteBuckets", 0))
    if not 0 < number <= MOST_BUCKETS:
        raise READ.malformed("it has no buckets, or too many")
    return number


def _float(buckets: Mapping[str, Any], name: str, default: float | None = None) -> float:
    if name not in buckets and default is not None:
        return default
    return float(READ.amount(buckets.get(name), name))


def _positive(bounds: Sequence[float], counts: list[int]) -> tuple[tuple[float, ...], list[int]]:
    """Without bounds at or below zero: no request is that fast, so their buckets belong to the first one above."""
    skip = sum(1 for bound in bounds if bound <= 0)
    return tuple(bounds[skip:]), [sum(counts[: skip + 1]), *counts[skip + 1 :]]


def _cells(key: SeriesKey, at: datetime, hour: _Hour) -> Iterator[UsageCell]:
    """One cell, and another one for each further set of bounds."""
    stack = [UsageCell(key=key, hour=at, sums=dict(hour.sums))]
    for measure, held in hour.histograms.items():
        for place, (bounds_ms, counts) in enumerate(held.items()):
            if place == len(stack):
                stack.append(UsageCell(key=key, hour=at))
            stack[place].histograms[measure] = ForeignHistogram(bounds_ms, tuple(counts))
    yield from stack


def series_key(labels: Mapping[str, str]) -> SeriesKey:
    """The series of a model in a location; the publisher is a label where it is not Google."""
    model = labels.get("model_user_id") or labels.get("model") or "unknown"
    kept = {"location": labels.get("location", "")}
    if labels.get("publisher", "google") != "google":
        kept["publisher"] = labels["publisher"]
    tier = (labels.get("request_type") or "shared").lower()
    return SeriesKey(
        provider=PROVIDER,
        model=model,
        operation="embeddings" if "embedding" in model.lower() else "chat",
        service_tier="standard" if tier == "shared" else tier,
        labels=tuple(sorted((name, value) for name, value in kept.items() if value)),
    )

"""Azure Monitor's hourly metrics of an Azure OpenAI resource (Microsoft.Insights/metrics, api-version 2024-02-01)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from metrics.connectors.azure import READ, Azure
from metrics.errors import ConnectorError
from metrics.http import StatusError
from metrics.usage import SeriesKey, UsageCell
from metrics.windows import Window
from metrics.words import N_, phrase

HOUR = timedelta(hours=1)
VERSION = "2024-02-01"
PROVIDER = "azure.ai.openai"
# Azure Monitor keeps metrics for so long.
KEPT = timedelta(days=93)
MOST_SERIES = 1_000
MODEL, DEPLOYMENT, STATUS = "ModelName", "ModelDeploymentName", "StatusCode"
TOKENS = {"ProcessedPromptTokens": "input_tokens", "GeneratedTokens": "output_tokens"}
# Averages in milliseconds. Some resources have none of them, which is 'not offered' and no error.
TIMES = {
    "AzureOpenAITTLTInMS": "duration",
    "AzureOpenAITimeToResponse": "time_to_first_token",
    "AzureOpenAINormalizedTBTInMS": "inter_token",
}
# Dimensions and aggregations that a metric may not have: the finest that Azure does not refuse.
BY_STATUS = ((MODEL, DEPLOYMENT, STATUS), (MODEL, DEPLOYMENT))
BY_MODEL = ((MODEL, DEPLOYMENT), (DEPLOYMENT,))
TIME_AGGREGATIONS = ("average,count,total", "average,count", "average")


@dataclass(frozen=True, slots=True)
class Point:
    """One hour of one series of a metric. `values`: by aggregation."""

    metric: str
    dimensions: Mapping[str, str]
    hour: datetime
    values: Mapping[str, Decimal]


@dataclass(slots=True)
class _Hour:
    requests: int | None = None
    errors: int | None = None
    tokens: dict[str, int] = field(default_factory=dict)
    times: dict[str, Mapping[str, Decimal]] = field(default_factory=dict)


def hours_of_resource(azure: Azure, resource: str, window: Window) -> Iterator[UsageCell]:
    """Yield the cells of one resource. Raises ConnectorError."""
    hours: dict[tuple[SeriesKey, datetime], _Hour] = {}

    def there(point: Point) -> _Hour:
        return hours.setdefault((series_key(resource, point.dimensions), point.hour), _Hour())

    for point in _points(azure, resource, ["AzureOpenAIRequests"], window, BY_STATUS, ("total",)):
        count = _count(point, "total")
        if count is None:
            continue
        hour = there(point)
        hour.requests = (hour.requests or 0) + count
        status = point.dimensions.get(STATUS.lower())
        if status is not None:
            hour.errors = (hour.errors or 0) + (count if status[:1] in {"4", "5"} else 0)
    for point in _points(azure, resource, list(TOKENS), window, BY_MODEL, ("total",)):
        count = _count(point, "total")
        if count is not None:
            tokens, measure = there(point).tokens, TOKENS[point.metric]
            tokens[measure] = tokens.get(measure, 0) + count
    for name, measure in TIMES.items():
        for point in _offered(azure, resource, name, window):
            times = there(point).times
            # Two averages of one series are only made one where both say of how many.
            times[measure] = _both(times[measure], point.values) if measure in times else point.values
    for (key, at), hour in hours.items():
        sums = _sums(hour)
        # Azure fills idle hours with zeros.
        if any(sums.values()):
            yield UsageCell(key=key, hour=at, sums=sums)


def _sums(hour: _Hour) -> dict[str, int | Decimal]:
    sums: dict[str, int | Decimal] = dict(hour.tokens)
    if hour.requests is not None:
        sums["requests"] = hour.requests
    if hour.errors is not None:
        sums["errors"] = hour.errors
    for measure, values in hour.times.items():
        count, mean = values.get("count"), values.get("average")
        if count is None and hour.requests is not None:
            # Without a count of its own the mean is that of the hour's successful requests.
            count = Decimal(hour.requests - (hour.errors or 0))
        if not count or (mean is None and values.get("total") is None):
            continue
        number = READ.count(count, "a count")
        total = values.get("total")
        sums[f"{measure}_count"] = number
        sums[f"{measure}_sum_ms"] = total if total is not None and "count" in values else (mean or Decimal(0)) * number
    return sums


def _both(first: Mapping[str, Decimal], second: Mapping[str, Decimal]) -> Mapping[str, Decimal]:
    if "count" not in first or "count" not in second:
        return {}
    count = first["count"] + second["count"]
    total = sum(
        (one.get("total", one.get("average", Decimal(0)) * one["count"]) for one in (first, second)), Decimal(0)
    )
    return {"count": count, "total": total}


def _offered(azure: Azure, resource: str, name: str, window: Window) -> list[Point]:
    try:
        return list(_points(azure, resource, [name], window, BY_MODEL, TIME_AGGREGATIONS))
    except StatusError as error:
        # A metric that this kind of resource does not have.
        if error.status == 400:
            return []
        raise


def _points(
    azure: Azure,
    resource: str,
    names: list[str],
    window: Window,
    dimensions: tuple[tuple[str, ...], ...],
    aggregations: tuple[str, ...],
) -> Iterator[Point]:
    """The points of metrics with the finest dimensions and aggregations that Azure accepts (it refuses with 400)."""
    ways = [(by, aggregation) for aggregation in aggregations for by in dimensions]
    for place, (by, aggregation) in enumerate(ways, start=1):
        params = [
            ("api-version", VERSION),
            ("timespan", f"{window.start:%Y-%m-%dT%H:%M:%SZ}/{window.end:%Y-%m-%dT%H:%M:%SZ}"),
            ("interval", "PT1H"),
            ("metricnames", ",".join(names)),
            ("aggregation", aggregation),
            ("$filter", " and ".join(f"{name} eq '*'" for name in by)),
            ("top", str(MOST_SERIES)),
        ]
        try:
            document = azure.get(f"{resource}/providers/Microsoft.Insights/metrics", params)
        except StatusError as error:
            if error.status == 400 and place < len(ways):
                continue
            raise
        yield from _read(document, names, window)
        return


def _read(document: Mapping[str, Any], names: list[str], window: Window) -> Iterator[Point]:
    seen: set[tuple[str, tuple[tuple[str, str], ...], datetime]] = set()
    for row in READ.sequence(document.get("value"), "the list of metrics"):
        metric = READ.mapping(row, "a metric")
        name = str(READ.mapping(metric.get("name"), "a metric's name").get("value"))
        if name not in names:
            raise READ.malformed("it answers a question that was not asked")
        if metric.get("errorCode") not in {None, "", "Success"}:
            raise ConnectorError(
                phrase(
                    "Azure Monitor could not read %(name)s (%(value)s).", name=name, value=str(metric["errorCode"])[:60]
                ),
                permanent=False,
            )
        all_series = READ.sequence(metric.get("timeseries"), "the series of a metric")
        if len(all_series) >= MOST_SERIES:
            raise ConnectorError(
                phrase(
                    "Azure Monitor has %(most)s series of %(name)s or more, and the rest would be cut off.",
                    most=MOST_SERIES,
                    name=name,
                ),
                permanent=True,
                hint=N_("Ask whoever runs the resource to spread its deployments over several resources."),
            )
        for one in all_series:
            series = READ.mapping(one, "a series")
            dimensions = _dimensions(series.get("metadatavalues") or [])
            for told in READ.sequence(series.get("data"), "the data of a series"):
                data = READ.mapping(told, "a point")
                hour = READ.moment(str(data.get("timeStamp")).replace("Z", "+00:00"), "a time")
                if hour.minute or hour.second:
                    raise READ.malformed(f"an hourly value is of {hour:%H:%M:%S}")
                values = {
                    kind: _value(data[kind]) for kind in ("total", "average", "count") if data.get(kind) is not None
                }
                if values and window.start <= hour < window.end:
                    place = (name, tuple(sorted(dimensions.items())), hour)
                    if place in seen:
                        raise READ.malformed("it gives two values for one hour")
                    seen.add(place)
                    yield Point(name, dimensions, hour, values)


def _dimensions(rows: Any) -> dict[str, str]:
    found = {}
    for row in READ.sequence(rows, "the dimensions of a series"):
        pair = READ.mapping(row, "a dimension")
        name = READ.mapping(pair.get("name"), "a dimension's name").get("value")
        found[str(name).lower()] = str(pair.get("value"))
    return found


def _value(value: Any) -> Decimal:
    number = READ.amount(value, "a value")
    if number < 0:
        raise READ.malformed("a value is negative")
    return number


def _count(point: Point, kind: str) -> int | None:
    return READ.count(point.values[kind], point.metric) if kind in point.values else None


def series_key(resource: str, dimensions: Mapping[str, str]) -> SeriesKey:
    """The series of a deployment: its model, with resource and deployment as labels."""
    deployment = dimensions.get(DEPLOYMENT.lower()) or ""
    model = dimensions.get(MODEL.lower()) or deployment or "unknown"
    labels = {"resource": resource.rpartition("/")[2]}
    if deployment:
        labels["deployment"] = deployment
    return SeriesKey(
        provider=PROVIDER,
        model=model,
        operation="embeddings" if "embedding" in model.lower() else "chat",
        labels=tuple(sorted(labels.items())),
    )

"""CloudWatch's hourly metrics (ListMetrics, GetMetricData; monitoring, API of 2010-08-01 in AWS JSON)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from metrics.answers import MOST_COUNTED, Reader
from metrics.connectors.aws import AwsService
from metrics.errors import ConnectorError
from metrics.http import HttpClient
from metrics.windows import Window
from metrics.words import N_, phrase

HOUR = timedelta(hours=1)
READ = Reader("CloudWatch")
# Limits of one GetMetricData call.
MOST_QUERIES, MOST_POINTS = 500, 100_800
# What CloudWatch keeps by the hour.
KEPT = timedelta(days=455)
Dimensions = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric with its dimensions, sorted by name."""

    namespace: str
    name: str
    dimensions: Dimensions

    @property
    def dimension_names(self) -> frozenset[str]:
        return frozenset(name for name, _ in self.dimensions)


@dataclass(frozen=True, slots=True)
class Query:
    """A metric with the statistic that is asked of it: Sum, SampleCount, p95 ..."""

    metric: Metric
    statistic: str


@dataclass(frozen=True, slots=True)
class CloudWatch:
    """CloudWatch of one region."""

    http: HttpClient
    key: tuple[str, str]
    region: str
    address: str

    @property
    def _service(self) -> AwsService:
        return AwsService(
            name="monitoring",
            target="GraniteServiceVersion20100801",
            version="1.0",
            region=self.region,
            address=self.address,
            title="CloudWatch",
            read=READ,
        )

    def metrics(self, namespace: str) -> list[Metric]:
        """The metrics of a namespace that got a value in the last two weeks. Raises ConnectorError."""
        found = []
        for page in self._pages("ListMetrics", {"Namespace": namespace}):
            for row in READ.sequence(page.get("Metrics", []), "the list of metrics"):
                metric = READ.mapping(row, "a metric")
                name = metric.get("MetricName")
                if not isinstance(name, str) or not name:
                    raise READ.malformed("a metric has no name")
                found.append(Metric(namespace, name, _dimensions(metric.get("Dimensions") or [])))
        return found

    def values(self, queries: Sequence[Query], window: Window) -> dict[Query, dict[datetime, Decimal]]:
        """The hourly values of each query in the window, which lies on full hours. Raises ConnectorError."""
        hours = max(1, window.seconds // 3600)
        at_once = max(1, min(MOST_QUERIES, MOST_POINTS // hours))
        found: dict[Query, dict[datetime, Decimal]] = {}
        for first in range(0, len(queries), at_once):
            found |= self._values(queries[first : first + at_once], window)
        return found

    def _values(self, queries: Sequence[Query], window: Window) -> dict[Query, dict[datetime, Decimal]]:
        by_id = {f"q{place}": query for place, query in enumerate(queries)}
        question = {
            "MetricDataQueries": [_asked(name, query) for name, query in by_id.items()],
            "StartTime": int(window.start.timestamp()),
            "EndTime": int(window.end.timestamp()),
            "ScanBy": "TimestampAscending",
        }
        found: dict[Query, dict[datetime, Decimal]] = {query: {} for query in queries}
        states: dict[str, str] = {}
        for page in self._pages("GetMetricData", question):
            for row in READ.sequence(page.get("MetricDataResults"), "the list of results"):
                result = READ.mapping(row, "a result")
                name = str(result.get("Id"))
                if name not in by_id:
                    raise READ.malformed("it answers a question that was not asked")
                # A metric may come on several pages: the last says whether it is whole.
                states[name] = str(result.get("StatusCode") or "Complete")
                for hour, value in _points(result):
                    if window.start <= hour < window.end:
                        found[by_id[name]][hour] = value
        _check_states(states, by_id)
        return found

    def _pages(self, action: str, question: dict[str, Any]) -> Iterator[Mapping[str, Any]]:
        def ask(cursor: str | None) -> Mapping[str, Any]:
            more = {"NextToken": cursor} if cursor else {}
            return self._service.ask(self.http, self.key, action, {**question, **more})

        return READ.pages(ask, more="NextToken", cursor="NextToken")


def _asked(name: str, query: Query) -> dict[str, Any]:
    metric = query.metric
    return {
        "Id": name,
        "MetricStat": {
            "Metric": {
                "Namespace": metric.namespace,
                "MetricName": metric.name,
                "Dimensions": [{"Name": key, "Value": value} for key, value in metric.dimensions],
            },
            "Period": 3600,
            "Stat": query.statistic,
        },
        "ReturnData": True,
    }


def _dimensions(rows: Any) -> Dimensions:
    found = []
    for row in READ.sequence(rows, "the dimensions of a metric"):
        pair = READ.mapping(row, "a dimension")
        found.append((str(pair.get("Name")), str(pair.get("Value"))))
    return tuple(sorted(found))


def _points(result: Mapping[str, Any]) -> Iterator[tuple[datetime, Decimal]]:
    times = READ.sequence(result.get("Timestamps", []), "the times of a result")
    values = READ.sequence(result.get("Values", []), "the values of a result")
    if len(times) != len(values):
        raise READ.malformed("a result has not as many times as values")
    seen: set[datetime] = set()
    for at, value in zip(times, values, strict=True):
        hour = _moment(at)
        if hour.minute or hour.second:
            raise READ.malformed(f"an hourly value is of {hour:%H:%M:%S}")
        if hour in seen:
            raise READ.malformed("it gives two values for one hour")
        seen.add(hour)
        yield hour, _value(value)


def _moment(at: Any) -> datetime:
    """Seconds since 1970 with or without a fraction, as AWS JSON has them, or text as in other encodings of it."""
    if isinstance(at, str):
        return READ.moment(at.replace("Z", "+00:00"), "a time")
    if isinstance(at, bool) or not isinstance(at, int | Decimal):
        raise READ.malformed("a time is not a time")
    try:
        return datetime.fromtimestamp(int(at), UTC)
    except (ValueError, OverflowError, OSError):
        raise READ.malformed("a time is not a time") from None


def _value(value: Any) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise READ.malformed("a value is not a number")
    number = Decimal(value)
    if not number.is_finite() or number < 0:
        raise READ.malformed("a value is negative or no number")
    if number > MOST_COUNTED:
        raise READ.malformed("a value is too large to be true")
    return number


def _check_states(states: dict[str, str], by_id: dict[str, Query]) -> None:
    for name, state in states.items():
        query = by_id[name]
        if state == "Forbidden":
            raise ConnectorError(
                phrase("CloudWatch does not let this access key read %(name)s.", name=query.metric.name),
                permanent=True,
                hint=N_("Give its user the right cloudwatch:GetMetricData; the documentation has the whole policy."),
            )
        if state != "Complete":
            raise ConnectorError(
                phrase("CloudWatch could not give all of %(name)s (%(state)s).", name=query.metric.name, state=state),
                permanent=False,
                hint=N_("It is asked again by itself."),
            )
    if len(states) < len(by_id):
        raise READ.malformed("it leaves out metrics that were asked for")

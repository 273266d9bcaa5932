"""CloudWatch and Cost Explorer of one account as they answer in AWS JSON, from a small ledger of their own.

It checks nothing of the signature but that there is one; `clock_is_wrong`, `forbidden` and `throttled` make it refuse.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from tests.doubles.source_server import Asked, Reply, SourceServer, source_server

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
Dimensions = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Charge:
    """A cost of one UTC day, as Cost Explorer groups it."""

    day: date
    service: str
    usage_type: str
    amount: str
    record_type: str = "Usage"
    currency: str = "USD"


@dataclass
class BedrockAccount:
    """`metrics`: (namespace, metric, dimensions) -> hour -> statistic -> value."""

    metrics: dict[tuple[str, str, Dimensions], dict[datetime, dict[str, float]]] = field(default_factory=dict)
    charges: list[Charge] = field(default_factory=list)
    page_size: int = 1000
    refuses: tuple[int, str, str] | None = None
    states: Mapping[str, str] = field(default_factory=dict)
    questions: list[str] = field(default_factory=list)
    server: SourceServer | None = None

    @property
    def url(self) -> str:
        assert self.server is not None
        return self.server.url

    def put(self, name: str, hour: datetime, *, model: str, namespace: str = "AWS/Bedrock", more=(), **values: float):
        """Add a metric's hour: `Sum=...`, `SampleCount=...`, `p95=...`."""
        key = "Model" if namespace.endswith("Mantle") else "ModelId"
        dimensions = tuple(sorted([(key, model), *more]))
        self.metrics.setdefault((namespace, name, dimensions), {}).setdefault(hour, {}).update(values)

    def invocations(self, hour: datetime, *, model: str, requests: int, tokens_in: int, tokens_out: int) -> None:
        """An hour of plain usage: a second a request, half of it to the first token."""
        self.put("Invocations", hour, model=model, Sum=requests)
        self.put("InputTokenCount", hour, model=model, Sum=tokens_in)
        self.put("OutputTokenCount", hour, model=model, Sum=tokens_out)
        times = {"Sum": 1000.0 * requests, "SampleCount": requests, "p50": 900.0, "p95": 1800.5, "p99": 2500.0}
        self.put("InvocationLatency", hour, model=model, **times)
        first = {name: value if name == "SampleCount" else value / 2 for name, value in times.items()}
        self.put("TimeToFirstToken", hour, model=model, **first)

    def charge(self, day: date, usage_type: str, amount: str, *, service: str = "Amazon Bedrock", **more: str) -> None:
        self.charges.append(Charge(day, service, usage_type, amount, **more))

    # --- Answers

    def play(self, asked: Asked) -> Reply:
        assert "AWS4-HMAC-SHA256 Credential=" in asked.headers["Authorization"]
        action = asked.headers["X-Amz-Target"].rpartition(".")[2]
        self.questions.append(action)
        if self.refuses is not None:
            status, code, message = self.refuses
            return Reply(json.dumps({"__type": f"com.amazonaws#{code}", "message": message}), status=status)
        question = json.loads(asked.body)
        answer = getattr(self, f"_{action}")(question)
        return Reply(json.dumps(answer), headers={"Content-Type": "application/x-amz-json-1.0"})

    def _ListMetrics(self, question: dict[str, Any]) -> dict[str, Any]:  # noqa: N802 - AWS's name
        rows = [
            {
                "Namespace": namespace,
                "MetricName": name,
                "Dimensions": [{"Name": key, "Value": value} for key, value in dimensions],
            }
            for namespace, name, dimensions in self.metrics
            if namespace == question["Namespace"]
        ]
        return self._page(rows, question, "Metrics", "NextToken")

    def _GetMetricData(self, question: dict[str, Any]) -> dict[str, Any]:  # noqa: N802 - AWS's name
        start, end = (datetime.fromtimestamp(question[name], UTC) for name in ("StartTime", "EndTime"))
        rows = []
        for query in question["MetricDataQueries"]:
            metric, statistic = query["MetricStat"]["Metric"], query["MetricStat"]["Stat"]
            dimensions = tuple(sorted((pair["Name"], pair["Value"]) for pair in metric["Dimensions"]))
            hours = self.metrics.get((metric["Namespace"], metric["MetricName"], dimensions), {})
            points = [
                (hour.timestamp(), values[statistic])
                for hour, values in sorted(hours.items())
                if start <= hour < end and statistic in values
            ]
            rows.append(
                {
                    "Id": query["Id"],
                    "Label": metric["MetricName"],
                    "Timestamps": [at for at, _ in points],
                    "Values": [value for _, value in points],
                    "StatusCode": self.states.get(metric["MetricName"], "Complete"),
                }
            )
        return {"Messages": [], **self._page(rows, question, "MetricDataResults", "NextToken")}

    def _GetDimensionValues(self, question: dict[str, Any]) -> dict[str, Any]:  # noqa: N802 - AWS's name
        names = sorted({charge.service for charge in self.charges if question["SearchString"] in charge.service})
        rows = [{"Value": name, "Attributes": {}} for name in names]
        return {"DimensionValues": rows, "ReturnSize": len(rows), "TotalSize": len(rows)}

    def _GetCostAndUsage(self, question: dict[str, Any]) -> dict[str, Any]:  # noqa: N802 - AWS's name
        of_services, of_records = question["Filter"]["And"]
        services = of_services["Dimensions"]["Values"]
        is_other = "Not" in of_records
        records = (of_records["Not"] if is_other else of_records)["Dimensions"]["Values"]
        period, (metric,) = question["TimePeriod"], question["Metrics"]
        attributes = {"SERVICE": "service", "USAGE_TYPE": "usage_type", "RECORD_TYPE": "record_type"}
        names = [attributes[group["Key"]] for group in question["GroupBy"]]
        rows = []
        day = date.fromisoformat(period["Start"])
        while day < date.fromisoformat(period["End"]):
            groups: dict[tuple[str, ...], tuple[Decimal, str]] = {}
            for charge in self.charges:
                if charge.day == day and charge.service in services and (charge.record_type in records) != is_other:
                    key = tuple(getattr(charge, name) for name in names)
                    before = groups.get(key, (Decimal(0), ""))[0]
                    groups[key] = (before + Decimal(charge.amount), charge.currency)
            said = [
                {"Keys": list(key), "Metrics": {metric: {"Amount": f"{amount:f}", "Unit": currency}}}
                for key, (amount, currency) in groups.items()
            ]
            time_period = {"Start": day.isoformat(), "End": (day + DAY).isoformat()}
            rows.append({"TimePeriod": time_period, "Total": {}, "Groups": said, "Estimated": True})
            day += DAY
        return {"GroupDefinitions": question["GroupBy"], **self._page(rows, question, "ResultsByTime", "NextPageToken")}

    def _page(self, rows: list[Any], question: dict[str, Any], name: str, cursor: str) -> dict[str, Any]:
        first = int(question.get(cursor) or 0)
        until = first + self.page_size
        more = {cursor: str(until)} if until < len(rows) else {}
        return {name: rows[first:until], **more}


@contextmanager
def bedrock_account(account: BedrockAccount) -> Iterator[BedrockAccount]:
    """The account, answering on loopback."""
    with source_server() as server:
        account.server = server
        server.play = account.play
        yield account

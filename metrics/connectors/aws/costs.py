"""What Cost Explorer says that Bedrock costs (ce, API of 2017-10-25 in AWS JSON). Each request costs 0.01 USD.

Three requests: which services there are whose name says Bedrock (models sold through Marketplace are services of their
own), their usage by usage type, and what is no usage (credits, refunds, tax, fees) by record type.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from metrics.answers import Reader
from metrics.connector import CostStatement
from metrics.connectors.aws import AwsService
from metrics.http import HttpClient
from metrics.windows import Window

DAY = timedelta(days=1)
READ = Reader("Cost Explorer")
FIRST_PARTY = "Amazon Bedrock"
# Record types that stand for use; what else there is, by FOCUS's charge category.
USAGE_RECORDS = ("Usage", "DiscountedUsage", "SavingsPlanCoveredUsage")
CATEGORIES = {
    "Credit": "Credit",
    "Refund": "Adjustment",
    "Tax": "Tax",
    "Fee": "Purchase",
    "Recurring": "Purchase",
    "RIFee": "Purchase",
    "Upfront": "Purchase",
    "SavingsPlanUpfrontFee": "Purchase",
    "SavingsPlanRecurringFee": "Purchase",
}
# 'USE1-', 'EUC1-', 'APN1-' at the beginning of a usage type, also a second time in Marketplace's.
_REGION = re.compile(r"^(?:MP:)?[A-Z]{2,4}\d{0,2}[-_]")
# What follows the model: the direction of tokens, the tier, the unit.
_DIRECTION = re.compile(
    r"[-_](?:mantle[-_])?(?:cache[-_]?(?:read|write)|input|output|response|request|text|image|custom[-_]model|"
    r"batch|flex|priority|provisioned|cross[-_]region|global|tokens?\b).*$",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class CostExplorer:
    """Cost Explorer of one account, payer or member."""

    http: HttpClient
    key: tuple[str, str]
    region: str
    address: str
    metric: str

    @property
    def _service(self) -> AwsService:
        return AwsService(
            name="ce",
            target="AWSInsightsIndexService",
            version="1.1",
            region=self.region,
            address=self.address,
            title="Cost Explorer",
            read=READ,
        )

    def statements(self, window: Window, models: Sequence[str]) -> Iterator[CostStatement]:
        """Statements of the UTC days that the window touches; `models`: those seen in it. Raises ConnectorError."""
        start_on = window.start.date()
        end_on = (window.end - timedelta(microseconds=1)).date() + DAY
        services = self.services(start_on, end_on)
        totals: dict[tuple[date, str | None, str, str, str], Decimal] = {}

        def add(day: date, model: str | None, category: str, description: str, row: tuple[Decimal, str]) -> None:
            amount, currency = row
            key = (day, model, category, description[:200], currency)
            totals[key] = totals.get(key, Decimal(0)) + amount

        of_services = {"Dimensions": {"Key": "SERVICE", "Values": services}}
        usage = {"Dimensions": {"Key": "RECORD_TYPE", "Values": list(USAGE_RECORDS)}}
        for day, (service, usage_type), row in self._rows(
            start_on, end_on, {"And": [of_services, usage]}, ("SERVICE", "USAGE_TYPE")
        ):
            category = "Credit" if row[0] < 0 else "Usage"
            add(day, model_of(service, usage_type, models), category, f"{service}: {usage_type}", row)
        for day, (service, record_type), row in self._rows(
            start_on, end_on, {"And": [of_services, {"Not": usage}]}, ("SERVICE", "RECORD_TYPE")
        ):
            add(day, None, category_of(record_type), f"{service}: {record_type}", row)
        for (day, model, category, description, currency), amount in totals.items():
            start = datetime(day.year, day.month, day.day, tzinfo=UTC)
            yield CostStatement(
                start=start,
                end=start + DAY,
                amount=amount,
                currency=currency,
                model=model,
                charge_category=category,
                description=description,
            )

    def services(self, start_on: date, end_on: date) -> list[str]:
        """Names of the account's services that have to do with Bedrock. One request."""
        question = {"TimePeriod": _period(start_on, end_on), "Dimension": "SERVICE", "SearchString": "Bedrock"}
        document = self._service.ask(self.http, self.key, "GetDimensionValues", question)
        names = {FIRST_PARTY}
        for row in READ.sequence(document.get("DimensionValues"), "the list of services"):
            value = READ.mapping(row, "a service").get("Value")
            if isinstance(value, str) and "bedrock" in value.lower():
                names.add(value)
        return sorted(names)

    def _rows(
        self, start_on: date, end_on: date, chosen: Mapping[str, Any], by: tuple[str, str]
    ) -> Iterator[tuple[date, tuple[str, str], tuple[Decimal, str]]]:
        question: dict[str, Any] = {
            "TimePeriod": _period(start_on, end_on),
            "Granularity": "DAILY",
            "Metrics": [self.metric],
            "Filter": chosen,
            "GroupBy": [{"Type": "DIMENSION", "Key": key} for key in by],
        }

        def ask(cursor: str | None) -> Mapping[str, Any]:
            more = {"NextPageToken": cursor} if cursor else {}
            return self._service.ask(self.http, self.key, "GetCostAndUsage", {**question, **more})

        seen: set[tuple[date, tuple[str, str]]] = set()
        for page in READ.pages(ask, more="NextPageToken", cursor="NextPageToken"):
            for result in READ.sequence(page.get("ResultsByTime"), "the list of days"):
                for day, keys, row in self._of_day(READ.mapping(result, "a day"), start_on, end_on):
                    if (day, keys) in seen:
                        raise READ.malformed("it gives one group of a day twice")
                    seen.add((day, keys))
                    yield day, keys, row

    def _of_day(
        self, result: Mapping[str, Any], start_on: date, end_on: date
    ) -> Iterator[tuple[date, tuple[str, str], tuple[Decimal, str]]]:
        period = READ.mapping(result.get("TimePeriod"), "a period")
        try:
            day, until = (date.fromisoformat(str(period.get(name))[:10]) for name in ("Start", "End"))
        except ValueError:
            raise READ.malformed("a period has no start or end") from None
        if until != day + DAY:
            raise READ.malformed("a period is not a day")
        if not start_on <= day < end_on:
            return
        for row in READ.sequence(result.get("Groups"), "the groups of a day"):
            group = READ.mapping(row, "a group")
            keys = READ.sequence(group.get("Keys"), "the keys of a group")
            if len(keys) != 2:
                raise READ.malformed("a group has not the two keys that were asked for")
            said = READ.mapping(READ.mapping(group.get("Metrics"), "the metrics of a group").get(self.metric), "a cost")
            amount = READ.amount(said.get("Amount"))
            # Cost Explorer has a unit 'N/A' for groups without any cost.
            if not amount and said.get("Unit") == "N/A":
                continue
            yield day, (str(keys[0]), str(keys[1])), (amount, READ.currency(said.get("Unit")))


def _period(start_on: date, end_on: date) -> dict[str, str]:
    return {"Start": start_on.isoformat(), "End": end_on.isoformat()}


def category_of(record_type: str) -> str:
    """FOCUS's charge category of a record type; discounts are credits, what is not known is an adjustment."""
    if record_type.endswith("Discount"):
        return "Credit"
    return CATEGORIES.get(record_type, "Adjustment")


def model_of(service: str, usage_type: str, models: Sequence[str]) -> str | None:
    """The one model that a usage type names, else the one that the service's name names; None for the whole service.

    'USE1-Claude3.5Sonnet-input-tokens' names anthropic.claude-3-5-sonnet-20240620-v1:0; of Marketplace's models the
    service's name ('Claude 3.5 Sonnet (Amazon Bedrock Edition)') does.
    """
    by_name: dict[str, set[str]] = {}
    for model in models:
        for name in _names_of_model(model):
            by_name.setdefault(name, set()).add(model)
    for told in (_of_usage_type(usage_type), re.sub(r"\(.*", "", service)):
        found = by_name.get(_plain(told), set())
        if len(found) == 1:
            return next(iter(found))
    return None


def _of_usage_type(usage_type: str) -> str:
    text = _REGION.sub("", _REGION.sub("", usage_type))
    return _DIRECTION.sub("", text)


def _names_of_model(model: str) -> Iterator[str]:
    """How usage types write a model: no vendor, date or first version: 'claude35sonnet', a second version with 'v2'."""
    _, dot, name = model.partition(".")
    name = name if dot else model
    base, _, version = name.rpartition("-v")
    base, version = (base, version) if base and version[:1].isdigit() else (name.partition(":")[0], "")
    base = re.sub(r"-20\d{6}$", "", base)
    major = version.partition(":")[0]
    suffix = f"v{major}" if major not in {"", "0", "1"} else ""
    for ending in ("", "-instruct", "-chat"):
        if base.endswith(ending):
            yield _plain(base.removesuffix(ending) + suffix)


def _plain(text: str) -> str:
    plain = re.sub(r"[^a-z0-9]", "", text.lower())
    return plain.removeprefix("amazon").removeprefix("anthropic").removeprefix("meta")

"""Microsoft Entra ID, Azure Monitor and Cost Management of one tenant, from a small ledger of their own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from tests.doubles.source_server import Asked, Reply, SourceServer, source_server

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
SUBSCRIPTION = "/subscriptions/11111111-2222-3333-4444-555555555555"
RESOURCE = f"{SUBSCRIPTION}/resourceGroups/ai/providers/Microsoft.CognitiveServices/accounts/contoso-ai"
TENANT = "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee"
TOKEN = "eyJ0eXAi.token-of-the-double.c2lnbmF0dXJl"
REQUESTS, PROMPT, GENERATED = "AzureOpenAIRequests", "ProcessedPromptTokens", "GeneratedTokens"
LATENCY, FIRST_TOKEN = "AzureOpenAITTLTInMS", "AzureOpenAITimeToResponse"


@dataclass(frozen=True)
class Charge:
    """A cost of one UTC day."""

    day: date
    meter: str
    amount: str
    charge_type: str = "Usage"
    currency: str = "EUR"


@dataclass
class AzureTenant:
    """`points`: (metric, dimensions) -> hour -> values by aggregation. `lacks`: metrics that the resource has not.

    `status_is_no_dimension` refuses to split by status; `counts_times` gives a count beside an average.
    """

    secret: str
    points: dict[tuple[str, tuple[tuple[str, str], ...]], dict[datetime, dict[str, Any]]] = field(default_factory=dict)
    charges: list[Charge] = field(default_factory=list)
    lacks: set[str] = field(default_factory=set)
    page_size: int = 1000
    status_is_no_dimension: bool = False
    counts_times: bool = True
    questions: list[str] = field(default_factory=list)
    signed_in: int = 0
    server: SourceServer | None = None

    @property
    def url(self) -> str:
        assert self.server is not None
        return self.server.url

    def put(self, metric: str, hour: datetime, *, deployment: str, model: str, status: str = "", **values: Any) -> None:
        """Add a metric's hour: `total=...`, or `average=..., count=...`."""
        dimensions = [("ModelDeploymentName", deployment), ("ModelName", model)]
        if status:
            dimensions.append(("StatusCode", status))
        self.points.setdefault((metric, tuple(dimensions)), {}).setdefault(hour, {}).update(values)

    def usage(self, hour: datetime, *, deployment: str, model: str, requests: int, tokens_in: int, tokens_out: int):
        """An hour of plain usage: a second and a half a request, 400 ms to the first token."""
        there = {"deployment": deployment, "model": model}
        self.put(REQUESTS, hour, **there, status="200", total=requests)
        self.put(PROMPT, hour, **there, total=tokens_in)
        self.put(GENERATED, hour, **there, total=tokens_out)
        self.put(LATENCY, hour, **there, average=1500.0, count=requests)
        self.put(FIRST_TOKEN, hour, **there, average=400.0, count=requests)

    def charge(self, day: date, meter: str, amount: str, **more: str) -> None:
        self.charges.append(Charge(day, meter, amount, **more))

    # --- Answers

    def play(self, asked: Asked) -> Reply:
        if asked.path.endswith("/.well-known/openid-configuration"):
            place = f"https://login.microsoftonline.com/{TENANT}"
            return _json(
                {
                    "issuer": f"{place}/v2.0",
                    "authorization_endpoint": f"{place}/oauth2/v2.0/authorize",
                    "token_endpoint": f"{place}/oauth2/v2.0/token",
                    "device_authorization_endpoint": f"{place}/oauth2/v2.0/devicecode",
                }
            )
        if asked.path.endswith("/oauth2/v2.0/token"):
            if asked.value("client_secret") != self.secret:
                said = {
                    "error": "invalid_client",
                    "error_description": "AADSTS7000215: Invalid client secret provided.",
                }
                return _json({**said, "error_codes": [7000215]}, status=401)
            assert asked.value("grant_type") == "client_credentials"
            self.signed_in += 1
            return _json({"token_type": "Bearer", "expires_in": 3599, "access_token": TOKEN})
        if asked.headers.get("Authorization") != f"Bearer {TOKEN}":
            return _json({"error": {"code": "AuthenticationFailed", "message": "Authentication failed."}}, status=401)
        if asked.path.endswith("/providers/Microsoft.Insights/metrics"):
            return self._metrics(asked)
        if asked.path.endswith("/providers/Microsoft.CostManagement/query"):
            return self._costs(asked)
        return _json({"error": {"code": "ResourceNotFound", "message": "not found"}}, status=404)

    def _metrics(self, asked: Asked) -> Reply:
        names = (asked.value("metricnames") or "").split(",")
        wanted = [part.split(" ")[0] for part in (asked.value("$filter") or "").split(" and ")]
        kinds = (asked.value("aggregation") or "").split(",")
        self.questions.extend(names)
        assert (asked.value("api-version"), asked.value("interval")) == ("2024-02-01", "PT1H")
        if self.lacks & set(names) or ("StatusCode" in wanted and self.status_is_no_dimension):
            return _json(
                {"error": {"code": "BadRequest", "message": "Failed to find metric configuration"}}, status=400
            )
        if "count" in kinds and not self.counts_times:
            return _json({"error": {"code": "BadRequest", "message": "aggregation is not supported"}}, status=400)
        start, end = (
            datetime.fromisoformat(text.replace("Z", "+00:00")) for text in (asked.value("timespan") or "").split("/")
        )
        return _json(
            {
                "cost": 59,
                "timespan": asked.value("timespan"),
                "interval": "PT1H",
                "namespace": "Microsoft.CognitiveServices/accounts",
                "resourceregion": "westeurope",
                "value": [
                    {
                        "id": f"{RESOURCE}/providers/Microsoft.Insights/metrics/{name}",
                        "type": "Microsoft.Insights/metrics",
                        "name": {"value": name, "localizedValue": name},
                        "unit": "Count",
                        "errorCode": "Success",
                        "timeseries": self._series(name, wanted, kinds, start, end),
                    }
                    for name in names
                ],
            }
        )

    def _series(
        self, name: str, wanted: list[str], kinds: list[str], start: datetime, end: datetime
    ) -> list[dict[str, Any]]:
        groups: dict[tuple[tuple[str, str], ...], dict[datetime, dict[str, Any]]] = {}
        for (metric, dimensions), hours in self.points.items():
            if metric == name:
                key = tuple((key, value) for key, value in dimensions if key in wanted)
                for hour, values in hours.items():
                    there = groups.setdefault(key, {}).setdefault(hour, {})
                    for kind, value in values.items():
                        there[kind] = there[kind] + value if kind in there and kind != "average" else value
        return [
            {
                "metadatavalues": [
                    {"name": {"value": key.lower(), "localizedValue": key.lower()}, "value": value}
                    for key, value in key
                ],
                "data": [
                    {
                        "timeStamp": f"{hour:%Y-%m-%dT%H:%M:%SZ}",
                        # Hours without traffic come without the value.
                        **{kind: value for kind, value in hours.get(hour, {}).items() if kind in kinds},
                    }
                    for hour in (start + HOUR * n for n in range(int((end - start) / HOUR)))
                ],
            }
            for key, hours in groups.items()
        ]

    def _costs(self, asked: Asked) -> Reply:
        question = json.loads(asked.body)
        self.questions.append("costs")
        assert question["dataset"]["filter"]["dimensions"]["values"] == [RESOURCE]
        start, end = (date.fromisoformat(question["timePeriod"][name][:10]) for name in ("from", "to"))
        assert (end - start).days < 31
        sums: dict[tuple[date, str, str, str], Decimal] = {}
        for one in self.charges:
            if start <= one.day <= end:
                key = (one.day, one.meter, one.charge_type, one.currency)
                sums[key] = sums.get(key, Decimal(0)) + Decimal(one.amount)
        rows = [
            [float(amount), int(f"{day:%Y%m%d}"), meter, charge_type, currency]
            for (day, meter, charge_type, currency), amount in sums.items()
        ]
        first = int(asked.value("$skiptoken") or 0)
        until = first + self.page_size
        link = f"{self.url}{asked.path}?$skiptoken={until}" if until < len(rows) else None
        columns = [
            {"name": name, "type": kind}
            for name, kind in (
                ("Cost", "Number"),
                ("UsageDate", "Number"),
                ("Meter", "String"),
                ("ChargeType", "String"),
                ("Currency", "String"),
            )
        ]
        return _json({"properties": {"nextLink": link, "columns": columns, "rows": rows[first:until]}})


def _json(document: Any, status: int = 200) -> Reply:
    return Reply(json.dumps(document), status=status, headers={"Content-Type": "application/json; charset=utf-8"})


@contextmanager
def azure_tenant(tenant: AzureTenant) -> Iterator[AzureTenant]:
    """The tenant, answering on loopback."""
    with source_server() as server:
        tenant.server = server
        server.play = tenant.play
        yield tenant


def midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)

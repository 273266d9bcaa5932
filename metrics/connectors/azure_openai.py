"""Azure OpenAI (Microsoft Foundry): usage and mean latency by the hour from Azure Monitor, costs from Cost Management.

Azure Monitor has averages and no percentiles.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any, ClassVar

from metrics.connector import Group, NotStated, Stated, StatementConnector, TestResult
from metrics.connectors.azure import CLIENT_HINT, FILE, LOGIN, MANAGEMENT, PACKAGES, Azure
from metrics.connectors.azure.costs import statements
from metrics.connectors.azure.monitor import KEPT, hours_of_resource
from metrics.errors import ConnectorError, RuleViolation
from metrics.http import HttpClient
from metrics.meter import History
from metrics.packages import require
from metrics.parameter import Parameter, ParameterKind
from metrics.windows import Window
from metrics.words import N_, phrase

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
RESOURCE = re.compile(
    r"/subscriptions/[0-9a-f-]{36}/resourceGroups/[^/]+/providers/Microsoft\.CognitiveServices/accounts/[^/]+",
    re.IGNORECASE,
)
NO_COSTS = "none"


class AzureOpenAI(StatementConnector):
    """Usage, mean latency and costs of some Azure OpenAI resources, by deployment."""

    kind = "azure_openai"
    title = N_("Azure OpenAI")
    summary = N_(
        "Reads usage and mean latency from Azure Monitor by the hour, and costs from Cost Management by the day."
    )
    group = Group.PROVIDER
    needs = N_("An app registration with a client secret that may read metrics and costs, and the resource ids.")
    who_gives = N_("Whoever manages the Azure subscription.")
    shows = ("cost", "tokens", "requests", "errors", "latency")
    packages = PACKAGES
    packages_file = FILE
    parameters: ClassVar[tuple[Parameter, ...]] = (
        Parameter("tenant_id", N_("Tenant id"), ParameterKind.TEXT, help=N_("Microsoft Entra admin center, Overview.")),
        Parameter("client_id", N_("Client id"), ParameterKind.TEXT, help=N_("The app registration's application id.")),
        Parameter("client_secret", N_("Client secret"), ParameterKind.SECRET, help=CLIENT_HINT),
        Parameter(
            "resources",
            N_("Resource ids"),
            ParameterKind.LINES,
            help=N_(
                "One a line: /subscriptions/.../providers/Microsoft.CognitiveServices/accounts/NAME, as the "
                "resource's properties show it."
            ),
        ),
        Parameter(
            "costs",
            N_("Costs"),
            ParameterKind.CHOICE,
            required=False,
            default="ActualCost",
            choices=(
                ("ActualCost", N_("as invoiced (actual)")),
                ("AmortizedCost", N_("reservations spread over their time (amortized)")),
                (NO_COSTS, N_("do not ask Cost Management")),
            ),
        ),
        Parameter(
            "address",
            N_("Management address"),
            ParameterKind.URL,
            required=False,
            default=MANAGEMENT,
            help=N_("Only for another Azure cloud, or a private endpoint."),
        ),
        Parameter(
            "login_address",
            N_("Sign-in address"),
            ParameterKind.URL,
            required=False,
            default=LOGIN,
            help=N_("Only for another Azure cloud, such as https://login.microsoftonline.us."),
        ),
    )
    reports = frozenset(
        {
            "requests",
            "errors",
            "input_tokens",
            "output_tokens",
            "duration_count",
            "duration_sum_ms",
            "time_to_first_token_count",
            "time_to_first_token_sum_ms",
            "inter_token_count",
            "inter_token_sum_ms",
            "billed_cost",
        }
    )
    not_offered: Mapping[str, str] = {
        "duration": N_(
            "Azure Monitor has averages and no percentiles: push latency from the application, or put a "
            "gateway in front."
        ),
        "time_to_first_token": N_("Azure Monitor has averages and no percentiles: push it from the application."),
        "inter_token": N_("Azure Monitor has averages and no percentiles: push it from the application."),
        "cached_input_tokens": N_("Azure Monitor does not count cached tokens: push them from the application."),
        "cache_write_input_tokens": N_("Azure Monitor does not count them: push them from the application."),
    }
    provider = "azure.ai.openai"
    trailing_hours = 72
    # Bills move until the invoice is closed.
    daily_trailing_hours = 720
    settling_hours = 48
    asks_costs_once_a_day = True
    backfill_step_days = 31

    @classmethod
    def check_parameters(cls, values: Mapping[str, Any]) -> None:
        for resource in values["resources"]:
            if not RESOURCE.fullmatch(resource):
                raise RuleViolation(
                    "not_a_resource",
                    phrase(
                        "Resource ids: '%(value)s' is none. Copy it whole from the resource's properties: it begins "
                        "with /subscriptions/ and ends with the account's name.",
                        value=resource[:60],
                    ),
                    "resources",
                )
        if not re.fullmatch(r"[0-9A-Za-z.-]{4,100}", values["tenant_id"]):
            raise RuleViolation(
                "not_a_tenant",
                N_("Tenant id: the id or the domain of the tenant, such as contoso.onmicrosoft.com."),
                "tenant_id",
            )

    @classmethod
    def offer(cls, values: Mapping[str, Any]) -> tuple[frozenset[str], Mapping[str, str]]:
        if values.get("costs") != NO_COSTS:
            return cls.reports, cls.not_offered
        hint = N_("Cost Management is not asked, as chosen: costs are tokens x price.")
        return cls.reports - {"billed_cost"}, {**cls.not_offered, "billed_cost": hint}

    @classmethod
    def history(cls, values: Mapping[str, Any]) -> History:
        return History(KEPT.days, "Azure Monitor keeps hours for 93 days. Bring older costs in as a FOCUS file.")

    def __init__(self, parameters: Mapping[str, Any], http: HttpClient, clock: Any) -> None:
        super().__init__(parameters, http, clock)
        self.reports, self.not_offered = self.offer(parameters)

    def fetch(self, window: Window) -> Iterator[Stated]:
        require(self.title, self.packages, self.packages_file)
        hours = list(window.hours())
        if not hours:
            return
        window = Window(hours[0], hours[-1] + HOUR)
        kept_from = (self.clock() - KEPT).replace(minute=0, second=0, microsecond=0)
        if window.start < kept_from:
            yield NotStated(window.start, min(kept_from, window.end))
        azure = self._azure(self.http)
        models: set[str] = set()
        kept = Window(max(window.start, kept_from), window.end)
        for resource in self.values["resources"] if kept.start < kept.end else []:
            for cell in hours_of_resource(azure, resource, kept):
                models.add(cell.key.model)
                yield cell
        if "billed_cost" in self.reports and self.costs_are_due:
            yield from statements(azure, self.values["resources"], window, sorted(models), kind=self._cost_kind)

    def test(self) -> TestResult:
        result = TestResult()
        try:
            require(self.title, self.packages, self.packages_file)
        except ConnectorError as error:
            result.bad(phrase("%(error)s", error=error))
            return result
        azure = self._azure(self.http.with_limits(attempts=1, read_seconds=8.0, total_seconds=10.0))
        now = self.clock().replace(minute=0, second=0, microsecond=0)
        has_times = False
        for resource in self.values["resources"]:
            name = resource.rpartition("/")[2]
            try:
                cells = list(hours_of_resource(azure, resource, Window(now - DAY, now)))
            except ConnectorError as error:
                result.bad(phrase("%(name)s: %(error)s", name=name, error=error))
                continue
            models = sorted({cell.key.model for cell in cells})
            has_times = has_times or any("duration_count" in cell.sums for cell in cells)
            if models:
                result.good(phrase("%(name)s: usage can be read, of %(models)s.", name=name, models=", ".join(models)))
            else:
                result.good(phrase("%(name)s: usage can be read; a quiet day.", name=name))
        if result.ok and "billed_cost" in self.reports:
            try:
                days = Window(now.replace(hour=0) - 3 * DAY, now.replace(hour=0))
                found = list(statements(azure, self.values["resources"], days, [], kind=self._cost_kind))
            except ConnectorError as error:
                result.bad(phrase("Costs: %(error)s", error=error))
            else:
                currencies = ", ".join(sorted({one.currency for one in found}))
                if currencies:
                    result.good(phrase("Costs can be read, in %(currencies)s.", currencies=currencies))
                else:
                    result.good(N_("Costs can be read; none in the last 3 days."))
        if result.ok and not has_times:
            result.info(N_("No latency was found: some deployments have none in Azure Monitor."))
        if result.ok:
            result.info(N_("Latency comes as a mean, without percentiles: push it from the application for those."))
        return result

    def _azure(self, http: HttpClient) -> Azure:
        values = self.values
        return Azure(
            http,
            values["tenant_id"],
            values["client_id"],
            values["client_secret"],
            values.get("login_address") or LOGIN,
            values.get("address") or MANAGEMENT,
        )

    @property
    def _cost_kind(self) -> str:
        return self.values.get("costs") or "ActualCost"

"""Amazon Bedrock: usage and latency by the hour from CloudWatch, costs by the day from Cost Explorer.

CloudWatch states percentiles of its own; they are kept as its, beside the mean. Both services are paid for by the
request, so costs are asked for once a day.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any, ClassVar

from metrics.connector import Group, NotStated, Stated, StatementConnector, TestResult
from metrics.connectors.aws import FILE, KEY_HINT, PACKAGES
from metrics.connectors.aws.bedrock_hours import MANTLE, RUNTIME, Reading, hours_of_region
from metrics.connectors.aws.cloudwatch import KEPT, CloudWatch
from metrics.connectors.aws.costs import CostExplorer
from metrics.errors import ConnectorError, RuleViolation
from metrics.http import HttpClient
from metrics.meter import History
from metrics.packages import require
from metrics.parameter import Parameter, ParameterKind
from metrics.usage import UsageCell
from metrics.windows import Window
from metrics.words import N_, phrase

REGION = re.compile(r"[a-z]{2,4}(-[a-z]+){1,2}-\d")
DAY = timedelta(days=1)
COST_METRICS = (
    ("UnblendedCost", "as invoiced (unblended)"),
    ("NetUnblendedCost", "as invoiced, after discounts (net unblended)"),
    ("AmortizedCost", "commitments spread over their time (amortized)"),
    ("NetAmortizedCost", "amortized, after discounts"),
)
NO_COSTS = "none"


class Bedrock(StatementConnector):
    """Usage, latency and costs of the models that one AWS account calls in some regions."""

    kind = "bedrock"
    title = N_("Amazon Bedrock")
    summary = N_("Reads usage and latency from CloudWatch by the hour, and costs from Cost Explorer by the day.")
    group = Group.PROVIDER
    needs = N_("An access key of an IAM user that may read CloudWatch and Cost Explorer, and the regions in use.")
    who_gives = N_("Whoever manages the AWS account.")
    shows = ("cost", "tokens", "requests", "errors", "latency")
    packages = PACKAGES
    packages_file = FILE
    parameters: ClassVar[tuple[Parameter, ...]] = (
        Parameter("access_key_id", N_("Access key id"), ParameterKind.TEXT, placeholder="AKIA...", help=KEY_HINT),
        Parameter("secret_access_key", N_("Secret access key"), ParameterKind.SECRET),
        Parameter(
            "regions",
            N_("Regions"),
            ParameterKind.LINES,
            default="us-east-1",
            help=N_(
                "Where models are called, one a line, such as eu-central-1. CloudWatch knows each region by itself."
            ),
        ),
        Parameter(
            "costs",
            N_("Costs"),
            ParameterKind.CHOICE,
            required=False,
            default="UnblendedCost",
            choices=(*COST_METRICS, (NO_COSTS, N_("do not ask Cost Explorer"))),
            help=N_("Cost Explorer takes 0.01 USD a request. It is asked once a day, with about three requests."),
        ),
        Parameter(
            "invocations",
            N_("What Invocations counts"),
            ParameterKind.CHOICE,
            required=False,
            default="all",
            choices=(
                ("all", N_("all accepted requests, failed ones too")),
                ("successful", N_("successful requests only")),
            ),
            help=N_("AWS's documentation has said both. Requests are then Invocations, or Invocations and errors."),
        ),
        Parameter(
            "cache",
            N_("Cached tokens"),
            ParameterKind.CHOICE,
            required=False,
            default="apart",
            choices=(("apart", N_("not among InputTokenCount")), ("inside", N_("among InputTokenCount"))),
            help=N_("As Bedrock bills them they are apart, and are added to the input tokens."),
        ),
        Parameter(
            "profiles",
            N_("Models behind inference profiles"),
            ParameterKind.LINES,
            required=False,
            help=N_(
                "Of application inference profiles, one a line: abc123 = anthropic.claude-x. Else they have no price."
            ),
        ),
        Parameter(
            "more_models",
            N_("Models no longer in use"),
            ParameterKind.LINES,
            required=False,
            help=N_(
                "To read back further than two weeks: CloudWatch lists only what was used since. One ModelId a line."
            ),
        ),
        Parameter(
            "cloudwatch_address",
            N_("CloudWatch address"),
            ParameterKind.URL,
            required=False,
            help=N_("Only for a private endpoint of the one region above."),
        ),
        Parameter(
            "cost_explorer_address",
            N_("Cost Explorer address"),
            ParameterKind.URL,
            required=False,
            help=N_("As above."),
        ),
    )
    reports = frozenset(
        {
            "requests",
            "errors",
            "input_tokens",
            "cached_input_tokens",
            "cache_write_input_tokens",
            "output_tokens",
            "units",
            "duration_count",
            "duration_sum_ms",
            "time_to_first_token_count",
            "time_to_first_token_sum_ms",
            "billed_cost",
        }
    )
    not_offered: Mapping[str, str] = {
        "duration": N_(
            "CloudWatch states percentiles of its own hours, shown as Amazon Bedrock's and never merged: "
            "push latency from the application, or put a gateway in front, for percentiles over any window."
        ),
        "time_to_first_token": N_(
            "CloudWatch states percentiles of its own hours, which are never merged: push it from the application."
        ),
        "inter_token": N_("CloudWatch has no latency between tokens: push it from the application."),
    }
    provider = "aws.bedrock"
    trailing_hours = 72
    # Bills move until the month is final.
    daily_trailing_hours = 720
    settling_hours = 48
    asks_costs_once_a_day = True
    backfill_step_days = 31

    @classmethod
    def check_parameters(cls, values: Mapping[str, Any]) -> None:
        for region in values["regions"]:
            if not REGION.fullmatch(region):
                raise RuleViolation(
                    "not_a_region",
                    phrase("Regions: '%(value)s' is none; they look like eu-central-1.", value=region[:40]),
                    "regions",
                )
        if values.get("cloudwatch_address") and len(values["regions"]) > 1:
            raise RuleViolation(
                "one_region",
                N_("A CloudWatch address is that of one region: add a backend for each."),
                "cloudwatch_address",
            )
        for line in values.get("profiles") or []:
            name, equals, model = line.partition("=")
            if not (equals and name.strip() and model.strip()):
                raise RuleViolation(
                    "not_a_profile",
                    phrase("Inference profiles are written 'abc123 = model', not '%(value)s'.", value=line[:60]),
                    "profiles",
                )

    @classmethod
    def offer(cls, values: Mapping[str, Any]) -> tuple[frozenset[str], Mapping[str, str]]:
        if values.get("costs") != NO_COSTS:
            return cls.reports, cls.not_offered
        hint = N_("Cost Explorer is not asked, as chosen: costs are tokens x price.")
        return cls.reports - {"billed_cost"}, {**cls.not_offered, "billed_cost": hint}

    @classmethod
    def history(cls, values: Mapping[str, Any]) -> History:
        return History(
            KEPT.days,
            "CloudWatch keeps hours for 455 days, but lists models of the last two weeks only: enter those no longer "
            "in use. Cost Explorer answers for about 13 months.",
        )

    def __init__(self, parameters: Mapping[str, Any], http: HttpClient, clock: Any) -> None:
        super().__init__(parameters, http, clock)
        self.reports, self.not_offered = self.offer(parameters)

    def fetch(self, window: Window) -> Iterator[Stated]:
        require(self.title, self.packages, self.packages_file)
        hours = list(window.hours())
        if not hours:
            return
        window = Window(hours[0], hours[-1] + timedelta(hours=1))
        kept_from = (self.clock() - KEPT).replace(minute=0, second=0, microsecond=0)
        if window.start < kept_from:
            yield NotStated(window.start, min(kept_from, window.end))
        models: set[str] = set()
        for region in self.values["regions"]:
            for item in hours_of_region(
                self._watch(self.http, region), window, self._reading, self.values.get("more_models") or []
            ):
                if isinstance(item, UsageCell):
                    models.add(item.key.model)
                yield item
        if "billed_cost" in self.reports and self.costs_are_due:
            yield from self._costs(self.http).statements(window, sorted(models))

    def test(self) -> TestResult:
        result = TestResult()
        try:
            require(self.title, self.packages, self.packages_file)
        except ConnectorError as error:
            result.bad(phrase("%(error)s", error=error))
            return result
        quick = self.http.with_limits(attempts=1, read_seconds=8.0, total_seconds=10.0)
        for region in self.values["regions"]:
            self._test_region(quick, region, result)
        if "billed_cost" in self.reports:
            today = self.clock().date()
            try:
                services = self._costs(quick).services(today - 7 * DAY, today)
            except ConnectorError as error:
                result.bad(phrase("Costs: %(error)s", error=error))
            else:
                result.good(
                    phrase(
                        "Costs can be read (this question cost 0.01 USD): %(services)s.", services=", ".join(services)
                    )
                )
        if result.ok:
            result.info(
                N_("Cost Explorer takes 0.01 USD a request and is asked once a day, with about three requests.")
            )
            result.info(N_("Percentiles are CloudWatch's own, by the hour: shown as such, never merged."))
        return result

    def _test_region(self, http: HttpClient, region: str, result: TestResult) -> None:
        try:
            metrics = [m for name in (RUNTIME, MANTLE) for m in self._watch(http, region).metrics(name)]
        except ConnectorError as error:
            result.bad(phrase("%(region)s: %(error)s", region=region, error=error))
            return
        named = (dict(metric.dimensions) for metric in metrics)
        models = sorted({values.get("ModelId") or values.get("Model") or "" for values in named} - {""})
        if models:
            shown, more = ", ".join(models[:5]), len(models) - 5
            if more > 0:
                told = phrase(
                    "%(name)s: usage can be read, of %(models)s and %(more)s more.",
                    name=region,
                    models=shown,
                    more=more,
                )
                result.good(told)
            else:
                result.good(phrase("%(name)s: usage can be read, of %(models)s.", name=region, models=shown))
        else:
            result.good(
                phrase(
                    "%(region)s: CloudWatch answers; no model was called there in the last two weeks.", region=region
                )
            )

    def _watch(self, http: HttpClient, region: str) -> CloudWatch:
        address = self.values.get("cloudwatch_address") or f"https://monitoring.{region}.{_domain(region)}/"
        return CloudWatch(http, self._key, region, address)

    def _costs(self, http: HttpClient) -> CostExplorer:
        # One endpoint for the whole of a partition; China has its own.
        region = "cn-northwest-1" if self.values["regions"][0].startswith("cn-") else "us-east-1"
        address = self.values.get("cost_explorer_address") or f"https://ce.{region}.{_domain(region)}/"
        return CostExplorer(http, self._key, region, address, self.values.get("costs") or "UnblendedCost")

    @property
    def _key(self) -> tuple[str, str]:
        return self.values["access_key_id"], self.values["secret_access_key"]

    @property
    def _reading(self) -> Reading:
        pairs = (line.partition("=") for line in self.values.get("profiles") or [])
        return Reading(
            is_invocations_without_errors=self.values.get("invocations") == "successful",
            is_cache_inside=self.values.get("cache") == "inside",
            profiles={name.strip(): model.strip() for name, _, model in pairs},
        )


def _domain(region: str) -> str:
    return "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"

"""Google Vertex AI: usage and latency by the hour from Cloud Monitoring. Google has no API for what it costs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any, ClassVar

from metrics.connector import Group, NotStated, Stated, StatementConnector, TestResult
from metrics.connectors.google import FILE, KEY_HINT, MONITORING, PACKAGES, TOKENS, Google, parse_key
from metrics.connectors.google.monitoring import hours_of_project, series_key
from metrics.connectors.google.monitoring import points as points_of
from metrics.errors import ConnectorError, RuleViolation
from metrics.http import HttpClient
from metrics.meter import History
from metrics.packages import require
from metrics.parameter import Parameter, ParameterKind
from metrics.windows import Window
from metrics.words import N_, phrase

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
# Google keeps its own metrics for six weeks.
KEPT = timedelta(days=42)
PROJECT = re.compile(r"[a-z0-9][a-z0-9.:-]{2,60}")
COSTS_HINT = N_(
    "Google has no API for what Vertex AI costs: export Cloud Billing to BigQuery in the FOCUS format, and import that "
    "as a billing file. Until then costs are tokens x price."
)


class VertexAI(StatementConnector):
    """Usage and latency of the publishers' models that one Google Cloud project calls."""

    kind = "vertex"
    title = N_("Google Vertex AI")
    summary = N_("Reads usage and latency of Gemini and other publishers' models from Cloud Monitoring by the hour.")
    group = Group.PROVIDER
    needs = N_("A service account with the role Monitoring Viewer, and its JSON key.")
    who_gives = N_("Whoever manages the Google Cloud project.")
    shows = ("tokens", "requests", "errors", "latency")
    packages = PACKAGES
    packages_file = FILE
    parameters: ClassVar[tuple[Parameter, ...]] = (
        Parameter("service_account_key", N_("Service account key (JSON)"), ParameterKind.SECRET_LINES, help=KEY_HINT),
        Parameter(
            "project",
            N_("Project id"),
            ParameterKind.TEXT,
            required=False,
            help=N_("The project whose usage is read. Empty: that of the service account."),
        ),
        Parameter(
            "address",
            N_("Monitoring address"),
            ParameterKind.URL,
            required=False,
            default=MONITORING,
            help=N_("Only for a private endpoint."),
        ),
        Parameter(
            "token_address",
            N_("Sign-in address"),
            ParameterKind.URL,
            required=False,
            default=TOKENS,
            help=N_("Only for a private endpoint. The address in the key is not used."),
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
            "duration",
            "time_to_first_token_count",
            "time_to_first_token_sum_ms",
            "time_to_first_token",
        }
    )
    not_offered: Mapping[str, str] = {
        "billed_cost": COSTS_HINT,
        "inter_token": N_("Cloud Monitoring has no latency between tokens: push it from the application."),
        "cached_input_tokens": N_("Cloud Monitoring does not count cached tokens: push them from the application."),
        "cache_write_input_tokens": N_("Cloud Monitoring does not count them: push them from the application."),
    }
    provider = "gcp.vertex_ai"
    trailing_hours = 72
    backfill_step_days = 7

    @classmethod
    def check_parameters(cls, values: Mapping[str, Any]) -> None:
        key = parse_key(values["service_account_key"])
        if key is None:
            raise RuleViolation(
                "not_a_key",
                phrase("Service account key: this is no JSON key of a service account. %(hint)s", hint=KEY_HINT),
                "service_account_key",
            )
        project = values.get("project") or key.get("project_id")
        if not isinstance(project, str) or not PROJECT.fullmatch(project):
            raise RuleViolation(
                "not_a_project", N_("Project id: give the project's id, such as my-project-123."), "project"
            )

    @classmethod
    def secrets(cls, values: Mapping[str, Any]) -> tuple[str, ...]:
        """The private key, as it is, line by line and as JSON spells it, and its id."""
        key = parse_key(values.get("service_account_key") or [])
        if key is None:
            return super().secrets(values)
        private = key["private_key"]
        lines = [line for line in private.splitlines() if line and not line.startswith("-----")]
        found = [private, private.replace("\n", "\\n"), *lines]
        return tuple([*found, key["private_key_id"]] if isinstance(key.get("private_key_id"), str) else found)

    @classmethod
    def history(cls, values: Mapping[str, Any]) -> History:
        return History(KEPT.days, "Cloud Monitoring keeps Google's own metrics for six weeks.")

    def fetch(self, window: Window) -> Iterator[Stated]:
        require(self.title, self.packages, self.packages_file)
        hours = list(window.hours())
        if not hours:
            return
        window = Window(hours[0], hours[-1] + HOUR)
        kept_from = (self.clock() - KEPT).replace(minute=0, second=0, microsecond=0)
        if window.start < kept_from:
            yield NotStated(window.start, min(kept_from, window.end))
        yield from hours_of_project(self._google(self.http), self._address, self._project, window)

    def test(self) -> TestResult:
        result = TestResult()
        now = self.clock().replace(minute=0, second=0, microsecond=0)
        quick = self.http.with_limits(attempts=1, read_seconds=8.0, total_seconds=10.0)
        try:
            require(self.title, self.packages, self.packages_file)
            found = list(
                points_of(
                    self._google(quick), self._address, self._project, "model_invocation_count", Window(now - DAY, now)
                )
            )
        except ConnectorError as error:
            result.bad(phrase("%(error)s", error=error))
            return result
        models = sorted({series_key(point.labels).model for point in found})
        if models:
            told = phrase("%(name)s: usage can be read, of %(models)s.", name=self._project, models=", ".join(models))
        else:
            told = phrase("%(name)s: usage can be read; a quiet day.", name=self._project)
        result.good(told)
        result.info(COSTS_HINT)
        return result

    def _google(self, http: HttpClient) -> Google:
        return Google(http, self._key, self.values.get("token_address") or TOKENS)

    @property
    def _key(self) -> dict[str, Any]:
        return parse_key(self.values["service_account_key"]) or {}

    @property
    def _project(self) -> str:
        return self.values.get("project") or str(self._key.get("project_id"))

    @property
    def _address(self) -> str:
        return self.values.get("address") or MONITORING

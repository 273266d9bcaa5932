"""A /metrics page of an inference server, or of several that serve the same: counters, read now and then."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar
from urllib.parse import urlsplit, urlunsplit

from metrics.connector import CounterConnector, CounterPoint, Group, Parameter, ParameterKind, Sample, TestResult
from metrics.connectors.presets import Preset
from metrics.connectors.presets.catalogue import (
    METRIC_PARAMETERS,
    PRESET_PARAMETER,
    PRESETS,
    check_preset,
    chosen_preset,
)
from metrics.connectors.presets.page import Page, points_of, read_page
from metrics.errors import ConnectorError
from metrics.http import HttpClient
from metrics.usage import HISTOGRAM_MEASURES

HINTS = {
    401: "Enter the token that the server was started with (vLLM and llama.cpp: --api-key).",
    403: "Ask whoever runs the server for a token that may read /metrics.",
    404: "vLLM shows /metrics by itself; a llama.cpp server has to be started with --metrics.",
    501: "A llama.cpp server has to be started with --metrics.",
}


@dataclass(frozen=True, slots=True)
class _Read:
    page: Page
    points: list[CounterPoint]


class MetricsEndpoint(CounterConnector):
    """Sums the same counters of all its addresses: replicas of one deployment are one backend."""

    kind = "metrics_endpoint"
    title = "Inference server (/metrics)"
    summary = "Reads the counters that vLLM, llama.cpp and others show at /metrics."
    group = Group.SERVER
    needs = "The server's address, reachable from here; its API key where it asks for one."
    who_gives = "Whoever runs the server."
    shows = ("tokens", "requests", "errors", "latency")
    parameters: ClassVar[tuple[Parameter, ...]] = (
        Parameter(
            "addresses",
            "Addresses",
            ParameterKind.URLS,
            help="One a line, one for each replica; they are added up. /metrics is added where no path is given.",
            placeholder="http://10.0.0.5:8000",
        ),
        PRESET_PARAMETER,
        Parameter(
            "token",
            "Token",
            ParameterKind.SECRET,
            required=False,
            help="Sent as 'Authorization: Bearer ...'. Leave empty where the page is open.",
        ),
        *METRIC_PARAMETERS,
    )
    reports = frozenset().union(*(preset.reports() for preset in PRESETS))
    not_offered: Mapping[str, str] = {
        "estimated_cost": "Add a rate card for the machine; its cost is then spread over what was served.",
        "gpu_busy_seconds": "Inference servers do not measure their GPU.",
        "billed_cost": "A server sends no bill: add a rate card, or the invoice as a cost entry.",
    }

    def __init__(self, parameters: Mapping[str, Any], http: HttpClient, clock: Any) -> None:
        super().__init__(parameters, http, clock)
        self.preset: Preset = chosen_preset(self.values)
        self.provider = self.preset.provider
        self.reports, self.not_offered = self.offer(self.values)

    @classmethod
    def offer(cls, values: Mapping[str, Any]) -> tuple[frozenset[str], Mapping[str, str]]:
        preset = chosen_preset(values)
        return preset.reports(), {**cls.not_offered, **dict(preset.not_offered)}

    @classmethod
    def check_parameters(cls, values: Mapping[str, Any]) -> None:
        check_preset(values)

    def sample(self) -> Sample:
        points: list[CounterPoint] = []
        failures: list[ConnectorError] = []
        for address in self.values["addresses"]:
            try:
                points.extend(self._read(self.http, address).points)
            except ConnectorError as error:
                failures.append(error)
        if failures and not points:
            raise next((error for error in failures if error.permanent), failures[0])
        return Sample(at=self.clock(), points=tuple(points), problems=tuple(str(error) for error in failures))

    def test(self) -> TestResult:
        result = TestResult()
        quick = self.http.with_limits(attempts=1, read_seconds=10.0, total_seconds=15.0)
        reported: set[str] = set()
        for address in self.values["addresses"]:
            try:
                read = self._read(quick, address)
            except ConnectorError as error:
                result.bad(str(error))
                continue
            models = sorted({point.key.model for point in read.points})
            result.good(f"{read.page.address} answers; it serves {', '.join(models)}.")
            reported |= {point.measure for point in read.points}
        if reported:
            self._say_what_is_read(result, reported)
        return result

    def _say_what_is_read(self, result: TestResult, reported: set[str]) -> None:
        names = [measure.replace("_", " ") for measure in sorted(reported) if not measure.endswith(("_count", "_ms"))]
        result.good(f"Read: {', '.join(names)}.")
        if not reported & set(HISTOGRAM_MEASURES):
            result.info("Latency is not available here: push it from the application.")
        for measure, instead in self.not_offered.items():
            if measure not in reported and measure in {"requests", "errors", "estimated_cost"}:
                result.info(instead)
        result.info("Counting starts with the first pull; what the server did before is not known.")

    def _read(self, http: HttpClient, address: str) -> _Read:
        url = _metrics_url(address)
        answer = http.get(url, headers={**self._headers(), "Accept": "text/plain;version=0.0.4"}, hints=HINTS)
        at = self.clock()
        if answer.looks_like_html():
            raise answer.is_a_web_page()
        page = read_page(answer.text(), address=answer.address, source=url)
        if not any(page.shows(reading) for reading in self.preset.readings):
            raise self._shows_nothing(page)
        return _Read(page, list(points_of(page, self.preset, at=at, model=self._model(http, address))))

    def _shows_nothing(self, page: Page) -> ConnectorError:
        other = next((p for p in PRESETS if any(page.shows(reading) for reading in p.readings)), None)
        hint = f"It looks like {other.title}: choose that kind." if other else "Check address and kind of server."
        return ConnectorError(
            f"{page.address} shows none of the counters of {self.preset.title}.",
            permanent=other is not None,
            hint=hint,
        )

    def _headers(self) -> dict[str, str]:
        token = self.values.get("token")
        return {"Authorization": f"Bearer {token}"} if token else {}

    def _model(self, http: HttpClient, address: str) -> str:
        """Return the name for what the metrics do not name: as given, else the first that the server lists."""
        if self.values.get("model") or self.preset.model_label:
            return self.values.get("model") or "unknown"
        parts = urlsplit(address)
        url = urlunsplit((parts.scheme, parts.netloc, "/v1/models", "", ""))
        try:
            listed = http.get(url, headers=self._headers()).json()
            name = str(listed["data"][0]["id"])
        except ConnectorError as error:
            raise ConnectorError(str(error), permanent=error.permanent, hint="Or enter the model's name.") from None
        except (LookupError, TypeError):
            raise ConnectorError(
                f"{url} does not say which model is served.", permanent=True, hint="Enter the model's name."
            ) from None
        return name.replace("\\", "/").rsplit("/", 1)[-1]


def _metrics_url(address: str) -> str:
    parts = urlsplit(address)
    return urlunsplit(
        (parts.scheme, parts.netloc, parts.path if parts.path.strip("/") else "/metrics", parts.query, "")
    )

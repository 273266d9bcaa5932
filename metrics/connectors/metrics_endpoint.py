"""A /metrics page of an inference server, or of several that serve the same: counters, read now and then."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar
from urllib.parse import urlsplit, urlunsplit

from metrics.connector import CounterConnector, CounterPoint, Group, Sample, TestResult
from metrics.connectors.presets import Preset, parse_selector
from metrics.connectors.presets.catalogue import (
    METRIC_PARAMETERS,
    PRESET_PARAMETER,
    PRESETS,
    all_presets,
    check_preset,
    chosen_preset,
)
from metrics.connectors.presets.gpu import (
    GPU_SELECTOR,
    MISSED,
    gpu_names,
    joined_exporter,
    offered,
    without_machine,
    words,
)
from metrics.connectors.presets.page import Page, points_of, read_page
from metrics.errors import ConnectorError, RuleViolation
from metrics.http import HttpClient
from metrics.parameter import Parameter, ParameterKind
from metrics.words import N_, phrase

HINTS = {
    401: "Enter the token that the server was started with (vLLM and llama.cpp: --api-key).",
    403: "Ask whoever runs the server for a token that may read /metrics.",
    404: "vLLM shows /metrics by itself, NIM /v1/metrics; llama.cpp wants --metrics, SGLang --enable-metrics.",
    501: "A llama.cpp server has to be started with --metrics.",
}


@dataclass(frozen=True, slots=True)
class _Read:
    page: Page
    points: list[CounterPoint]


class MetricsEndpoint(CounterConnector):
    """Sums the same counters of all its addresses: replicas of one deployment are one backend."""

    kind = "metrics_endpoint"
    title = N_("Inference server (/metrics)")
    summary = N_(
        "Reads the counters that vLLM, SGLang, TGI, NVIDIA NIM and Triton, llama.cpp, Ray Serve and others show at "
        "/metrics; GPU use and energy from NVIDIA's DCGM exporter beside it."
    )
    group = Group.SERVER
    needs = N_("The server's address, reachable from here; its API key where it asks for one.")
    who_gives = N_("Whoever runs the server.")
    shows = ("tokens", "requests", "errors", "latency", "energy")
    parameters: ClassVar[tuple[Parameter, ...]] = (
        Parameter(
            "addresses",
            N_("Addresses"),
            ParameterKind.URLS,
            help=N_(
                "One a line, one for each replica; they are added up. /metrics is added where no path is given. "
                "A new or changed address counts from its next reading on; what it had counted before is not added."
            ),
            placeholder="http://10.0.0.5:8000",
        ),
        PRESET_PARAMETER,
        Parameter(
            "token",
            N_("Token"),
            ParameterKind.SECRET,
            required=False,
            help=N_("Sent as 'Authorization: Bearer ...'. Leave empty where the page is open."),
        ),
        *METRIC_PARAMETERS,
        Parameter(
            "gpu_addresses",
            N_("GPU exporters"),
            ParameterKind.URLS,
            required=False,
            help=N_(
                "NVIDIA's DCGM exporter of each machine that serves, one a line: GPU use and energy. Read at least "
                "every 15 minutes, or what lies between is unknown."
            ),
            placeholder="http://10.0.0.5:9400",
        ),
        GPU_SELECTOR,
    )
    reports = frozenset().union(*(preset.reports() for preset in PRESETS))
    not_offered: Mapping[str, str] = {
        "billed_cost": N_("A server sends no bill: add a rate card, or the invoice as a cost entry."),
    }

    def __init__(self, parameters: Mapping[str, Any], http: HttpClient, clock: Any) -> None:
        super().__init__(parameters, http, clock)
        self.preset: Preset = chosen_preset(self.values)
        self.provider, self.measured_at = self.preset.provider, self.preset.measured_at
        self.reports, self.not_offered = self.offer(self.values)
        where = parse_selector(self.values.get("gpu_selector") or "", "gpu_selector")
        self.exporter = joined_exporter(self.preset, where)
        if self.values.get("gpu_addresses"):
            self.preset = without_machine(self.preset)

    @classmethod
    def offer(cls, values: Mapping[str, Any]) -> tuple[frozenset[str], Mapping[str, str]]:
        return offered(chosen_preset(values), cls.not_offered, has_exporter=bool(values.get("gpu_addresses")))

    @classmethod
    def check_parameters(cls, values: Mapping[str, Any]) -> None:
        check_preset(values)
        if parse_selector(values.get("gpu_selector") or "", "gpu_selector") and not values.get("gpu_addresses"):
            raise RuleViolation("required", N_("Enter the address of the GPUs' exporter, too."), "gpu_addresses")

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
        for address in self.values.get("gpu_addresses") or ():
            try:
                points.extend(self._read_gpus(self.http, address).points)
            except ConnectorError as error:
                failures.append(error)
        return Sample(at=self.clock(), points=tuple(points), problems=tuple(str(error) for error in failures))

    def test(self) -> TestResult:
        result = TestResult()
        quick = self.http.with_limits(attempts=1, read_seconds=10.0, total_seconds=15.0)
        reported: set[str] = set()
        for address in self.values["addresses"]:
            try:
                read = self._read(quick, address)
            except ConnectorError as error:
                result.bad(phrase("%(error)s", error=error))
                continue
            models = sorted({point.key.model for point in read.points if point.key.model})
            served = ", ".join(models) or N_("nothing yet")
            result.good(phrase("%(address)s answers; it serves %(models)s.", address=read.page.address, models=served))
            reported |= {point.measure for point in read.points}
        for address in self.values.get("gpu_addresses") or ():
            try:
                read = self._read_gpus(quick, address)
            except ConnectorError as error:
                result.bad(phrase("%(error)s", error=error))
                continue
            gpus = self._gpus(read.page)
            told = {"address": read.page.address, "names": ", ".join(gpus)}
            if len(gpus) == 1:
                result.good(phrase("%(address)s shows 1 GPU: %(names)s.", **told))
            else:
                result.good(phrase("%(address)s shows %(count)s GPUs: %(names)s.", count=len(gpus), **told))
            reported |= {point.measure for point in read.points}
        if reported:
            self._say_what_is_read(result, reported)
        return result

    def _say_what_is_read(self, result: TestResult, reported: set[str]) -> None:
        names = [words(measure) for measure in sorted(reported) if not measure.endswith(("_count", "_ms"))]
        result.good(phrase("Read: %(names)s.", names=", ".join(names)))
        absent = sorted(words(m) for m in self.reports - reported if not m.endswith(("_count", "_ms", "held_seconds")))
        if absent:
            result.info(phrase("Not on the page, perhaps until there is some: %(names)s.", names=", ".join(absent)))
        for measure in (*MISSED, "gpu_busy_seconds", "energy_wh"):
            if measure in self.not_offered:
                result.info(
                    phrase(
                        "%(what)s: not offered. %(instead)s",
                        what=words(measure).capitalize(),
                        instead=self.not_offered[measure],
                    )
                )
        result.info(N_("Counting starts with the first pull; what the server did before is not known."))

    def _read(self, http: HttpClient, address: str) -> _Read:
        url = _metrics_url(address, self.preset.path)
        page, at = self._page(http, url, headers=self._headers())
        if not any(page.names(reading) for reading in self.preset.readings):
            raise self._shows_nothing(page)
        return _Read(page, list(points_of(page, self.preset, at=at, model=self._model(http, address))))

    def _read_gpus(self, http: HttpClient, address: str) -> _Read:
        # The exporter is another program: the server's token is not for it.
        page, at = self._page(http, _metrics_url(address, self.exporter.path), headers={})
        points = list(points_of(page, self.exporter, at=at, model=""))
        if not points:
            what = "of the GPUs that the selector names" if self.exporter.readings[0].where else "of GPUs"
            raise ConnectorError(
                phrase("%(address)s shows no figures %(what)s.", address=page.address, what=what),
                permanent=False,
                hint=N_("It should be NVIDIA's DCGM exporter, port 9400, with labels such as Hostname and gpu."),
            )
        return _Read(page, points)

    def _page(self, http: HttpClient, url: str, *, headers: Mapping[str, str]) -> tuple[Page, datetime]:
        answer = http.get(url, headers={**headers, "Accept": "text/plain;version=0.0.4"}, hints=HINTS)
        at = self.clock()
        if answer.looks_like_html():
            raise answer.is_a_web_page()
        return read_page(answer.text(), address=answer.address, source=url), at

    def _gpus(self, page: Page) -> list[str]:
        names = [name for reading in self.exporter.readings if (name := page.shows(reading))]
        where = self.exporter.readings[0].where
        rows = (dict(labels) for name in names for labels, _ in page.samples[name])
        return gpu_names(row for row in rows if all(condition.matches(row) for condition in where))

    def _shows_nothing(self, page: Page) -> ConnectorError:
        other = next((p for p in all_presets() if any(page.names(reading) for reading in p.readings)), None)
        hint = f"It looks like {other.title}: choose that kind." if other else "Check address and kind of server."
        return ConnectorError(
            phrase(
                "%(address)s shows none of the counters of %(title)s.", address=page.address, title=self.preset.title
            ),
            permanent=other is not None,
            hint=hint,
        )

    def _headers(self) -> dict[str, str]:
        token = self.values.get("token")
        return {"Authorization": f"Bearer {token}"} if token else {}

    def _model(self, http: HttpClient, address: str) -> str:
        """Return the name for what the metrics do not name: as given, else the first that the server lists."""
        if self.values.get("model") or not self.preset.needs_a_model_name:
            return self.values.get("model") or "unknown"
        parts = urlsplit(address)
        url = urlunsplit((parts.scheme, parts.netloc, "/v1/models", "", ""))
        try:
            listed = http.get(url, headers=self._headers()).json()
            name = str(listed["data"][0]["id"])
        except ConnectorError as error:
            raise ConnectorError(str(error), permanent=error.permanent, hint=N_("Or enter the model's name.")) from None
        except (LookupError, TypeError):
            raise ConnectorError(
                phrase("%(url)s does not say which model is served.", url=url),
                permanent=True,
                hint=N_("Enter the model's name."),
            ) from None
        return name.replace("\\", "/").rsplit("/", 1)[-1]


def _metrics_url(address: str, path: str) -> str:
    parts = urlsplit(address)
    return urlunsplit((parts.scheme, parts.netloc, parts.path if parts.path.strip("/") else path, parts.query, ""))

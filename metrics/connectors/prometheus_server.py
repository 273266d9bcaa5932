"""A Prometheus, or what speaks its HTTP API (Mimir, Thanos, VictoriaMetrics), that already scrapes the servers."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, ClassVar

from metrics.connector import Candidate, CostStatement, Group, NotStated, StatementConnector, TestResult
from metrics.connectors.presets import NOT_SUPPORTED, LabelMatch, Preset, parse_selector, spelling
from metrics.connectors.presets.catalogue import (
    DCGM,
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
from metrics.connectors.presets.hours import (
    PROCESS_START_METRIC,
    SUM,
    VALUE,
    CounterHours,
    Labels,
    Row,
    Track,
    TrackKey,
    malformed,
    not_stated,
)
from metrics.connectors.presets.query import PrometheusApi, headers_of, selector_of
from metrics.errors import ConnectorError, RuleViolation
from metrics.http import HttpClient
from metrics.meter import History
from metrics.parameter import Parameter, ParameterKind
from metrics.usage import UsageCell
from metrics.windows import Window
from metrics.words import N_, phrase

HOUR = timedelta(hours=1)
# How far back the last sample before a window may lie: a server that was out of reach for longer starts anew.
LOOK_BACK = "24h"
MAX_BYTES = 32 * 1024 * 1024
GPU_HELP = (
    "Which GPUs this server runs on, where this Prometheus scrapes NVIDIA's DCGM exporter too: a label selector, of "
    'the host or, in Kubernetes, of the pods. Empty: no GPU figures. All of them: gpu=~".+".'
)


GPU_NAMES = sorted({name for reading in DCGM.readings for name in reading.names})


@dataclass(frozen=True, slots=True)
class _Part:
    """What is read together: the servers' metrics, or those of their GPUs."""

    preset: Preset
    selector: tuple[LabelMatch, ...]

    def name_groups(self) -> Iterator[tuple[str, ...]]:
        """Names of one query each: all counters together, each histogram by itself for its size."""
        plain = {name for reading in self.preset.readings if not reading.is_histogram for name in reading.names}
        yield (*sorted(plain), PROCESS_START_METRIC)
        for reading in self.preset.readings:
            if reading.is_histogram:
                yield tuple(f"{name}{suffix}" for name in reading.names for suffix in ("_bucket", "_sum"))

    def expressions(self, names: Sequence[str]) -> Iterator[str]:
        """What is of the process or the machine has no label for the model, so that condition is left out for it."""
        of_target = [condition for condition in self.selector if condition.name != self.preset.model_label]
        machine = {name for reading in self.preset.readings if reading.is_machine for name in reading.names}
        others = [name for name in names if name == PROCESS_START_METRIC or name in machine]
        counters = [name for name in names if name not in others]
        if counters:
            yield selector_of(counters, self.selector)
        if others:
            yield selector_of(others, of_target)

    def shown_names(self) -> list[str]:
        """What tells that such servers are there; the names of GPU figures are not a server's own."""
        served = [reading for reading in self.preset.readings if not reading.is_machine]
        return sorted({name + ("_count" if one.is_histogram else "") for one in served for name in one.names})

    def is_histogram(self, name: str) -> bool:
        return any(reading.is_histogram and name in map(spelling, reading.names) for reading in self.preset.readings)

    def row(self, row: Mapping[str, Any], *, after: datetime | None = None, until: datetime | None = None) -> Row:
        """Return a series under its counter or histogram, its samples cut to (after, until]. Raises ConnectorError."""
        labels = {str(name): str(value) for name, value in row["metric"].items()}
        name = spelling(labels.pop("__name__", ""))
        part: float | str = VALUE
        base = name.removesuffix("_bucket").removesuffix("_sum")
        if base != name and self.is_histogram(base):
            try:
                part = float(labels.pop("le")) if name.endswith("_bucket") else SUM
            except (KeyError, ValueError):
                raise malformed(name, "has a bucket without a bound") from None
            name = base
        is_gauge = any(reading.is_gauge and name in map(spelling, reading.names) for reading in self.preset.readings)
        earliest = after.timestamp() if after else -math.inf
        latest = until.timestamp() if until else math.inf
        pairs = _pairs(row["values"], name, is_gauge=is_gauge)
        return Row((name, tuple(sorted(labels.items()))), part, [(at, t) for at, t in pairs if earliest < at <= latest])


class PrometheusServer(StatementConnector):
    """States what the counters of all matching replicas counted in each hour, from raw samples."""

    kind = "prometheus"
    title = N_("Prometheus")
    summary = N_(
        "Reads from a Prometheus that already scrapes your inference servers, with its history; GPU use and energy "
        "where it scrapes NVIDIA's DCGM exporter too."
    )
    group = Group.PROMETHEUS
    needs = N_("The address of its HTTP API, reachable from here, and a header where a proxy asks for one.")
    who_gives = N_("Whoever runs your monitoring.")
    shows = ("tokens", "requests", "errors", "latency", "energy")
    parameters: ClassVar[tuple[Parameter, ...]] = (
        Parameter(
            "address",
            N_("Address"),
            ParameterKind.URL,
            help=N_("As you open it in the browser, with its path prefix where there is one."),
            placeholder="http://prometheus.monitoring:9090",
        ),
        PRESET_PARAMETER,
        Parameter(
            "selector",
            N_("Label selector"),
            ParameterKind.TEXT,
            required=False,
            help=N_("Which servers belong to this backend. Empty: all of that kind."),
            placeholder='namespace="ml",job="vllm"',
        ),
        Parameter(
            "headers",
            N_("Headers"),
            ParameterKind.SECRET_LINES,
            required=False,
            help=N_("One a line, for example X-Scope-OrgID: team-a or Authorization: Bearer ..."),
        ),
        *METRIC_PARAMETERS,
        replace(GPU_SELECTOR, help=GPU_HELP),
    )
    reports = frozenset().union(*(preset.reports() for preset in PRESETS))
    not_offered: Mapping[str, str] = {
        "billed_cost": N_("A server sends no bill: add a rate card, or the invoice as a cost entry."),
    }
    trailing_hours = 6
    settling_hours = 1
    can_discover = True

    @classmethod
    def history(cls, values: Mapping[str, Any]) -> History:
        return History(says="It goes back as far as this Prometheus keeps its samples, 15 days unless it was told.")

    def __init__(self, parameters: Mapping[str, Any], http: HttpClient, clock: Any) -> None:
        super().__init__(parameters, http.with_limits(max_bytes=MAX_BYTES), clock)
        preset = chosen_preset(self.values)
        self.provider, self.measured_at = preset.provider, preset.measured_at
        self.reports, self.not_offered = self.offer(self.values)
        gpus = parse_selector(self.values.get("gpu_selector") or "", "gpu_selector")
        self.exporter = _Part(joined_exporter(preset), gpus)
        self.preset = without_machine(preset) if gpus else preset
        self.part = _Part(self.preset, parse_selector(self.values.get("selector") or "", "selector"))
        self.parts = (self.part, self.exporter) if gpus else (self.part,)

    @property
    def api(self) -> PrometheusApi:
        return PrometheusApi(self.http, self.values["address"], headers_of(self.values))

    @classmethod
    def offer(cls, values: Mapping[str, Any]) -> tuple[frozenset[str], Mapping[str, str]]:
        return offered(chosen_preset(values), cls.not_offered, has_exporter=bool(values.get("gpu_selector")))

    @classmethod
    def check_parameters(cls, values: Mapping[str, Any]) -> None:
        check_preset(values)
        if chosen_preset(values).needs_a_model_name and not values.get("model"):
            raise RuleViolation(
                "required", N_("These servers' metrics do not name the model: enter its name."), "model"
            )
        parse_selector(values.get("selector") or "", "selector")
        parse_selector(values.get("gpu_selector") or "", "gpu_selector")
        headers_of(values)

    def fetch(self, window: Window) -> Iterator[UsageCell | CostStatement | NotStated]:
        hours = list(window.hours())
        if not hours:
            return
        sampled: set[datetime] = set()
        has_before = False
        for part in self.parts:
            walk = CounterHours(part.preset, model=self.values.get("model") or "unknown")
            self._begin(walk, part, hours[0])
            has_before = has_before or walk.has_begun
            for hour in hours:
                tracks: dict[TrackKey, Track] = {}
                for names in part.name_groups():
                    rows = self.api.samples(lambda p=part, n=names: p.expressions(n), hour, hour + HOUR)  # type: ignore[misc]
                    walk.file(tracks, [part.row(row, after=hour, until=hour + HOUR) for row in rows])
                if tracks:
                    sampled.add(hour)
                yield from walk.hour(hour, tracks)
        yield from not_stated(hours, sampled, has_before=has_before)

    def test(self) -> TestResult:
        result = TestResult()
        api = self.api.with_http(self.http.with_limits(attempts=1, read_seconds=10.0, total_seconds=15.0))
        try:
            api.ask("query", {"query": "vector(1)"})
            result.good(N_("The query API answers."))
            rows = self._series(api, self.part.shown_names(), self.part.selector)
            gpus = self._series(api, GPU_NAMES, self.exporter.selector)
        except ConnectorError as error:
            result.bad(phrase("%(error)s", error=error))
            return result
        if not rows:
            result.bad(
                phrase(
                    "No %(title)s counters in the last hour match the selector. Check that Prometheus scrapes the "
                    "servers (its page Status > Targets) and that the selector's labels are spelt as there.",
                    title=self.preset.title,
                )
            )
            return result
        for candidate in _candidates(self.preset, rows, {}):
            result.good(phrase("Found %(name)s: %(detail)s.", name=candidate.name, detail=candidate.detail))
        shown = {spelling(str(row.get("__name__", ""))) for row in rows}
        missing = [reading.measure for reading in self.preset.readings if not _is_shown(reading.names, shown)]
        if missing:
            result.info(phrase("Not there: %(names)s.", names=", ".join(sorted(set(missing))).replace("_", " ")))
        self._say_gpus(result, gpus)
        for measure in MISSED:
            if measure in self.not_offered:
                result.info(
                    phrase(
                        "%(what)s: not offered. %(instead)s",
                        what=words(measure).capitalize(),
                        instead=self.not_offered[measure],
                    )
                )
        result.info(N_("History is read as far back as this Prometheus keeps it."))
        return result

    def _say_gpus(self, result: TestResult, rows: Sequence[Mapping[str, str]]) -> None:
        names = gpu_names(rows)
        told = f"{len(names)} GPU{'' if len(names) == 1 else 's'}: {', '.join(names[:8])}"
        if not self.exporter.selector:
            if names:
                result.info(
                    phrase(
                        "This Prometheus knows %(told)s. Say under GPUs which of them this server runs on.", told=told
                    )
                )
            elif "gpu_busy_seconds" in self.not_offered:
                result.info(phrase("GPU use: not offered. %(instead)s", instead=self.not_offered["gpu_busy_seconds"]))
        elif names:
            result.good(phrase("Joined with %(told)s.", told=told))
        else:
            result.bad(N_("No GPU figures in the last hour match the selector of GPUs."))

    def discover(self) -> Sequence[Candidate]:
        """Return each server that any preset knows, replicas together, under this form's selector."""
        found: list[Candidate] = []
        kept = {name: self.values.get(name) for name in ("address", "model") if self.values.get(name)}
        known = all_presets()
        mine = chosen_preset(self.values)
        seen: set[str] = set()
        for preset in known if mine in known else (*known, mine):
            # Of presets that read the same names (NIM and Triton may show vLLM's) the first one is meant.
            names = [name for name in _Part(preset, ()).shown_names() if name not in seen]
            seen.update(names)
            if not names:
                continue
            parameters = dict(kept)
            if preset not in known:
                parameters |= {name: self.values.get(name) for name in ("mapping", "model_label", "provider")}
            rows = self._series(self.api, names, self.part.selector)
            found.extend(_candidates(preset, rows, parameters, self.part.selector))
        return found

    def _begin(self, walk: CounterHours, part: _Part, start: datetime) -> None:
        """Give the walk the last value of each counter before its first hour."""
        tracks: dict[TrackKey, Track] = {}
        for names in part.name_groups():
            for expression in part.expressions(names):
                query = f"last_over_time({expression}[{LOOK_BACK}])"
                walk.file(tracks, [part.row(row) for row in self.api.vector(query, start)])
        walk.begin(tracks)

    def _series(self, api: PrometheusApi, names: Sequence[str], where: Sequence[LabelMatch]) -> list[dict[str, str]]:
        now = self.clock()
        return api.series(selector_of(names, where), now - HOUR, now)


def _pairs(values: Any, name: str, *, is_gauge: bool) -> Iterator[tuple[float, str]]:
    """Yield (Unix seconds, value as it was written) of values that can be counts. Raises ConnectorError.

    Of gauges and of what a GPU does not support, other values are left out: they are unknown.
    """
    try:
        for at, text in values:
            value = float(text)
            if 0 <= value < NOT_SUPPORTED:
                yield float(at), text
            elif not is_gauge and not NOT_SUPPORTED <= value < math.inf:
                raise malformed(name, "is negative or not a number")
    except (TypeError, ValueError):
        raise malformed(name, "is not a number") from None


def _is_shown(names: Sequence[str], shown: set[str]) -> bool:
    return any(spelling(name) in shown or f"{spelling(name)}_count" in shown for name in names)


def _candidates(
    preset: Preset,
    rows: Sequence[Mapping[str, str]],
    parameters: Mapping[str, Any],
    selector: Sequence[LabelMatch] = (),
) -> list[Candidate]:
    """Group series into servers: one per cluster, namespace, job and model, its replicas counted."""
    groups: dict[Labels, set[str]] = {}
    for row in rows:
        by_model = [preset.model_label] if preset.model_label and preset.is_per_model else []
        wanted = ("cluster", "namespace", "job", *by_model)
        group = tuple((name, row[name]) for name in wanted if row.get(name))
        groups.setdefault(group, set()).add(str(row.get("pod") or row.get("instance") or ""))
    found = []
    for group, replicas in sorted(groups.items()):
        labels = dict(group)
        own = [LabelMatch(name, "=", value) for name, value in group]
        kept = [condition for condition in selector if condition.name not in labels]
        names = sorted(name for name in replicas if name)
        count = f"{len(names)} replicas" if len(names) != 1 else "1 replica"
        found.append(
            Candidate(
                name=labels.get(preset.model_label) or labels.get("job") or preset.title,
                parameters={
                    **({} if preset.model_label else {"model": labels.get("job", preset.title)}),
                    **parameters,
                    "preset": preset.name,
                    "selector": ",".join(str(condition) for condition in (*own, *kept)),
                },
                detail=f"{preset.title}, {', '.join(f'{name} {value}' for name, value in group)}, "
                f"{count}: {', '.join(names[:5])}{' ...' if len(names) > 5 else ''}",
            )
        )
    return found

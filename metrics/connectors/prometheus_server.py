"""A Prometheus, or what speaks its HTTP API (Mimir, Thanos, VictoriaMetrics), that already scrapes the servers."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, ClassVar

from metrics.connector import (
    Candidate,
    CostStatement,
    Group,
    Parameter,
    ParameterKind,
    StatementConnector,
    TestResult,
)
from metrics.connectors.presets import LabelMatch, Preset, parse_selector, spelling
from metrics.connectors.presets.catalogue import (
    METRIC_PARAMETERS,
    PRESET_PARAMETER,
    PRESETS,
    check_preset,
    chosen_preset,
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
)
from metrics.errors import ConnectorError, RuleViolation
from metrics.http import AnswerTooLarge, HttpClient, StatusError
from metrics.meter import History
from metrics.usage import UsageCell
from metrics.windows import Window

HOUR = timedelta(hours=1)
# How far back the last sample before a window may lie: a server that was out of reach for longer starts anew.
LOOK_BACK = "24h"
SHORTEST_QUERY = timedelta(minutes=1)
MAX_BYTES = 32 * 1024 * 1024
HINTS = {
    401: "Enter the header that your Prometheus asks for, for example Authorization: Bearer ...",
    403: "Ask whoever runs Prometheus for read access to its query API.",
    404: "Give the address without /api/v1 and without /graph; with the path prefix where there is one.",
    400: "Check the label selector.",
}


class PrometheusServer(StatementConnector):
    """States what the counters of all matching replicas counted in each hour, from raw samples."""

    kind = "prometheus"
    title = "Prometheus"
    summary = "Reads from a Prometheus that already scrapes your inference servers, with its history."
    group = Group.PROMETHEUS
    needs = "The address of its HTTP API, reachable from here, and a header where a proxy asks for one."
    who_gives = "Whoever runs your monitoring."
    shows = ("tokens", "requests", "errors", "latency")
    parameters: ClassVar[tuple[Parameter, ...]] = (
        Parameter(
            "address",
            "Address",
            ParameterKind.URL,
            help="As you open it in the browser, with its path prefix where there is one.",
            placeholder="http://prometheus.monitoring:9090",
        ),
        PRESET_PARAMETER,
        Parameter(
            "selector",
            "Label selector",
            ParameterKind.TEXT,
            required=False,
            help="Which servers belong to this backend. Empty: all of that kind.",
            placeholder='namespace="ml",job="vllm"',
        ),
        Parameter(
            "headers",
            "Headers",
            ParameterKind.SECRET_LINES,
            required=False,
            help="One a line, for example X-Scope-OrgID: team-a or Authorization: Bearer ...",
        ),
        *METRIC_PARAMETERS,
    )
    reports = frozenset().union(*(preset.reports() for preset in PRESETS))
    not_offered: Mapping[str, str] = {
        "estimated_cost": "Add a rate card for the machine; its cost is then spread over what was served.",
        "billed_cost": "A server sends no bill: add a rate card, or the invoice as a cost entry.",
    }
    trailing_hours = 6
    settling_hours = 1
    # Asked hour by hour, raw samples: a week is 168 times the queries of an hour.
    backfill_step_days = 7
    can_discover = True

    @classmethod
    def history(cls, values: Mapping[str, Any]) -> History:
        return History(
            says="It goes back as far as this Prometheus keeps its samples (15 days unless it was told otherwise)."
        )

    def __init__(self, parameters: Mapping[str, Any], http: HttpClient, clock: Any) -> None:
        super().__init__(parameters, http.with_limits(max_bytes=MAX_BYTES), clock)
        self.preset: Preset = chosen_preset(self.values)
        self.selector = parse_selector(self.values.get("selector") or "", "selector")
        self.provider = self.preset.provider
        self.reports, self.not_offered = self.offer(self.values)

    @classmethod
    def offer(cls, values: Mapping[str, Any]) -> tuple[frozenset[str], Mapping[str, str]]:
        preset = chosen_preset(values)
        return preset.reports(), {**cls.not_offered, **dict(preset.not_offered)}

    @classmethod
    def check_parameters(cls, values: Mapping[str, Any]) -> None:
        check_preset(values)
        if not chosen_preset(values).model_label and not values.get("model"):
            raise RuleViolation("required", "These servers' metrics do not name the model: enter its name.", "model")
        parse_selector(values.get("selector") or "", "selector")
        _headers(values)

    def fetch(self, window: Window) -> Iterator[UsageCell | CostStatement]:
        hours = list(window.hours())
        if not hours:
            return
        walk = CounterHours(self.preset, model=self.values.get("model") or "unknown")
        self._begin(walk, hours[0])
        for hour in hours:
            tracks: dict[TrackKey, Track] = {}
            for names in self._name_groups():
                rows = self._samples(names, hour, hour + HOUR)
                walk.file(tracks, [self._row(row, after=hour, until=hour + HOUR) for row in rows])
            yield from walk.hour(hour, tracks)

    def test(self) -> TestResult:
        result = TestResult()
        quick = self.http.with_limits(attempts=1, read_seconds=10.0, total_seconds=15.0)
        try:
            self._ask("query", {"query": "vector(1)"}, http=quick)
            result.good("The query API answers.")
            rows = self._series(self.preset, http=quick)
        except ConnectorError as error:
            result.bad(str(error))
            return result
        if not rows:
            result.bad(
                f"No {self.preset.title} counters in the last hour match the selector. Check that Prometheus scrapes "
                "the servers (its page Status > Targets) and that the selector's labels are spelt as there."
            )
            return result
        for candidate in _candidates(self.preset, rows, {}):
            result.good(f"Found {candidate.name}: {candidate.detail}.")
        shown = {spelling(str(row.get("__name__", ""))) for row in rows}
        missing = [reading.measure for reading in self.preset.readings if not _is_shown(reading.names, shown)]
        if missing:
            result.info(f"Not there: {', '.join(sorted(set(missing))).replace('_', ' ')}.")
        result.info("History is read as far back as this Prometheus keeps it.")
        return result

    def discover(self) -> Sequence[Candidate]:
        """Return each server that any preset knows, replicas together, under this form's selector."""
        found: list[Candidate] = []
        kept = {name: self.values.get(name) for name in ("address", "model") if self.values.get(name)}
        presets = PRESETS if self.preset in PRESETS else (*PRESETS, self.preset)
        for preset in presets:
            parameters = dict(kept)
            if preset not in PRESETS:
                parameters |= {name: self.values.get(name) for name in ("mapping", "model_label", "provider")}
            found.extend(_candidates(preset, self._series(preset), parameters, self.selector))
        return found

    def _name_groups(self) -> Iterator[tuple[str, ...]]:
        """Names of one query each: all counters together, each histogram by itself for its size."""
        counters = {name for reading in self.preset.readings if not reading.is_histogram for name in reading.names}
        yield (*sorted(counters), PROCESS_START_METRIC)
        for reading in self.preset.readings:
            if reading.is_histogram:
                yield tuple(f"{name}{suffix}" for name in reading.names for suffix in ("_bucket", "_sum"))

    def _expression(self, names: Sequence[str], selector: Sequence[LabelMatch]) -> str:
        pattern = "|".join(name.replace(":", "[:_]").replace(".", "[.]") for name in names)
        return "{" + ",".join([f'__name__=~"{pattern}"', *(str(condition) for condition in selector)]) + "}"

    def _expressions(self, names: Sequence[str]) -> Iterator[str]:
        """The process's start has no label for the model, so that condition is left out for it."""
        counters = [name for name in names if name != PROCESS_START_METRIC]
        if counters:
            yield self._expression(counters, self.selector)
        if len(counters) < len(names):
            of_target = [condition for condition in self.selector if condition.name != self.preset.model_label]
            yield self._expression([PROCESS_START_METRIC], of_target)

    def _begin(self, walk: CounterHours, start: datetime) -> None:
        """Give the walk the last value of each counter before its first hour."""
        tracks: dict[TrackKey, Track] = {}
        for names in self._name_groups():
            for expression in self._expressions(names):
                query = f"last_over_time({expression}[{LOOK_BACK}])"
                walk.file(tracks, [self._row(row) for row in self._vector(query, start)])
        walk.begin(tracks)

    def _samples(self, names: Sequence[str], start: datetime, end: datetime) -> Iterator[Mapping[str, Any]]:
        """Yield the raw samples in (start, end]; an answer that is too large is asked for in halves."""
        try:
            rows = [row for expression in self._expressions(names) for row in self._matrix(expression, start, end)]
        except (AnswerTooLarge, StatusError) as error:
            is_too_much = isinstance(error, AnswerTooLarge) or "too many samples" in error.message
            if not is_too_much or end - start <= SHORTEST_QUERY:
                raise
            middle = start + (end - start) / 2
            yield from self._samples(names, start, middle)
            yield from self._samples(names, middle, end)
            return
        yield from rows

    def _matrix(self, expression: str, start: datetime, end: datetime) -> list[Mapping[str, Any]]:
        seconds = math.ceil((end - start).total_seconds())
        return self._rows(
            self._ask("query", {"query": f"{expression}[{seconds}s]", "time": _unix(end)}), "matrix", "values"
        )

    def _vector(self, query: str, at: datetime) -> list[Mapping[str, Any]]:
        rows = self._rows(self._ask("query", {"query": query, "time": _unix(at)}), "vector", "value")
        return [{"metric": row["metric"], "values": [row["value"]]} for row in rows]

    def _rows(self, data: Any, result_type: str, field: str) -> list[Mapping[str, Any]]:
        if not isinstance(data, dict) or data.get("resultType") != result_type or not isinstance(data["result"], list):
            raise self._not_prometheus()
        # Native histograms come under another key and have no bounds to compare; they are left out.
        return [row for row in data["result"] if isinstance(row, dict) and field in row and "metric" in row]

    def _series(self, preset: Preset, *, http: HttpClient | None = None) -> list[dict[str, str]]:
        names = {
            name + ("_count" if reading.is_histogram else "") for reading in preset.readings for name in reading.names
        }
        now = self.clock()
        form = {
            "match[]": self._expression(sorted(names), self.selector),
            "start": _unix(now - HOUR),
            "end": _unix(now),
        }
        data = self._ask("series", form, http=http)
        if not isinstance(data, list) or not all(isinstance(row, dict) for row in data):
            raise self._not_prometheus()
        return data

    def _ask(self, what: str, form: Mapping[str, str], *, http: HttpClient | None = None) -> Any:
        url = f"{self.values['address'].rstrip('/')}/api/v1/{what}"
        answer = (http or self.http).post_form(url, form=form, headers=_headers(self.values), hints=HINTS)
        document = answer.json()
        if not isinstance(document, dict) or document.get("status") != "success" or "data" not in document:
            raise self._not_prometheus()
        if document.get("warnings"):
            said = self.http.redact(str(document["warnings"][0])[:200])
            raise ConnectorError(f"Prometheus answered in part only, so nothing was taken: {said}.", permanent=False)
        return document["data"]

    def _not_prometheus(self) -> ConnectorError:
        return ConnectorError(
            "The answer is not one of Prometheus' HTTP API.", permanent=False, hint="Check the address."
        )

    def _row(self, row: Mapping[str, Any], *, after: datetime | None = None, until: datetime | None = None) -> Row:
        """Return a series under its counter or histogram, its samples cut to (after, until]. Raises ConnectorError."""
        labels = {str(name): str(value) for name, value in row["metric"].items()}
        name = spelling(labels.pop("__name__", ""))
        part: float | str = VALUE
        base = name.removesuffix("_bucket").removesuffix("_sum")
        if base != name and self._is_histogram(base):
            try:
                part = float(labels.pop("le")) if name.endswith("_bucket") else SUM
            except (KeyError, ValueError):
                raise malformed(name, "has a bucket without a bound") from None
            name = base
        earliest = after.timestamp() if after else -math.inf
        latest = until.timestamp() if until else math.inf
        samples = [(at, text) for at, text in _pairs(row["values"], name) if earliest < at <= latest]
        return Row((name, tuple(sorted(labels.items()))), part, samples)

    def _is_histogram(self, name: str) -> bool:
        return any(reading.is_histogram and name in map(spelling, reading.names) for reading in self.preset.readings)


def _pairs(values: Any, name: str) -> Iterator[tuple[float, str]]:
    """Yield (Unix seconds, value as it was written) of values that can be counts. Raises ConnectorError."""
    try:
        for at, text in values:
            if not 0 <= float(text) < math.inf:
                raise malformed(name, "is negative or not a number")
            yield float(at), text
    except (TypeError, ValueError):
        raise malformed(name, "is not a number") from None


def _headers(values: Mapping[str, Any]) -> dict[str, str]:
    """Return the headers of lines 'Name: value'. Raises RuleViolation on `headers`."""
    headers = {}
    for line in values.get("headers") or []:
        name, colon, value = line.partition(":")
        if not colon or not name.strip() or not value.strip() or " " in name.strip():
            raise RuleViolation("bad_header", "A header is written as Name: value, one a line.", "headers")
        headers[name.strip()] = value.strip()
    return headers


def _unix(moment: datetime) -> str:
    return str(Decimal(int(moment.timestamp() * 1000)) / 1000)


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
        wanted = ("cluster", "namespace", "job", *([preset.model_label] if preset.model_label else []))
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

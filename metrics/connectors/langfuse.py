"""A Langfuse project through its metrics API, version 2 (`/api/public/v2/metrics`): generations and scores by the hour.

Cost is Langfuse's own estimate in USD. Percentiles are those that Langfuse states of an hour. An answer has at most
1,000 rows and no cursor: a range with that many is asked for in halves. Counts may come as text.
"""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, ClassVar
from urllib.parse import urlsplit

from metrics.answers import Reader
from metrics.connector import Group, PercentileStatement, Stated, StatementConnector, TestResult
from metrics.errors import ConnectorError
from metrics.http import AnswerTooLarge, HttpClient
from metrics.meter import Pace
from metrics.parameter import Parameter, ParameterKind
from metrics.request_hours import RequestHours
from metrics.usage import MeasuredAt, SeriesKey
from metrics.windows import DAY, HOUR, Window
from metrics.words import N_, phrase

CLOUD = "https://cloud.langfuse.com"
MOST_ROWS = 1000
# Requests to the metrics API a day, by plan (langfuse.com/faq: limits of the API).
ALLOWED_A_DAY = {"hobby": 100, "core": 200, "pro": 2000}
OPERATIONS = {"GENERATION": "chat", "EMBEDDING": "embeddings"}
PERCENTS = ("50", "95", "99")
LATENCIES = {"latency": "duration", "timeToFirstToken": "time_to_first_token"}
KEY_HINT = N_("Project settings, API Keys, in Langfuse: enter the public and the secret key of the project to read.")
HINTS = {
    401: KEY_HINT,
    403: KEY_HINT,
    404: "This Langfuse has no metrics API of version 2: check the address, or upgrade it.",
}
GENERATIONS = {"column": "type", "operator": "any of", "value": sorted(OPERATIONS), "type": "stringOptions"}
NO_ERRORS = {"column": "level", "operator": "none of", "value": ["ERROR"], "type": "stringOptions"}

reader = Reader("Langfuse")
Row = Mapping[str, Any]


class Langfuse(StatementConnector):
    """Requests, tokens, cost, latency and scores of one project."""

    kind = "langfuse"
    title = N_("Langfuse")
    summary = N_("Reads a Langfuse project: requests, tokens, estimated cost, latency, and scores as quality.")
    group = Group.GATEWAY
    needs = N_("The public and the secret key of the project.")
    who_gives = N_("A member of the Langfuse project who may see its settings.")
    shows = ("cost", "tokens", "requests", "errors", "latency")
    parameters: ClassVar[tuple[Parameter, ...]] = (
        Parameter(
            "address",
            N_("Address"),
            ParameterKind.URL,
            required=False,
            default=CLOUD,
            help=N_("https://us.cloud.langfuse.com in the United States, or that of your own server."),
        ),
        Parameter("public_key", N_("Public key"), ParameterKind.TEXT, help=KEY_HINT, placeholder="pk-lf-..."),
        Parameter("secret_key", N_("Secret key"), ParameterKind.SECRET, placeholder="sk-lf-..."),
        Parameter(
            "scores",
            N_("Scores that are quality"),
            ParameterKind.LINES,
            required=False,
            help=N_(
                "Names of scores between 0 and 1, higher is better, one a line. Test connection lists what is there. "
                "Empty: none is read."
            ),
            placeholder="correctness",
        ),
        Parameter(
            "split_by",
            N_("Split by"),
            ParameterKind.CHOICE,
            required=False,
            default="environment",
            choices=(
                ("environment", N_("Environment")),
                ("trace", N_("Environment and trace name")),
                ("nothing", N_("Model only")),
            ),
            help=N_("What tells the use of one team from another's, as labels of the series."),
        ),
        Parameter(
            "plan",
            N_("Plan"),
            ParameterKind.CHOICE,
            required=False,
            default="hobby",
            choices=(
                ("hobby", N_("Hobby: 100 requests a day")),
                ("core", N_("Core: 200 requests a day")),
                ("pro", N_("Pro, Team or Enterprise: 2,000 requests a day")),
            ),
            help=N_("How often Langfuse's cloud may be asked. Your own server has no such limit."),
        ),
        Parameter(
            "provider",
            N_("Provider"),
            ParameterKind.TEXT,
            required=False,
            default="unknown",
            help=N_("Who serves the models, where it is one provider for all: Langfuse does not say."),
            placeholder="openai",
        ),
    )
    reports = frozenset(
        {
            "requests",
            "errors",
            "input_tokens",
            "output_tokens",
            "estimated_cost",
            "quality_sum",
            "quality_count",
            "duration_count",
            "duration_sum_ms",
            "time_to_first_token_count",
            "time_to_first_token_sum_ms",
        }
    )
    not_offered: Mapping[str, str] = {
        "duration": N_("Langfuse states percentiles of an hour, which are shown as its own: push for merged ones."),
        "cached_input_tokens": N_("Langfuse's metrics sum all input tokens: read them from the provider or a gateway."),
        "billed_cost": N_("Langfuse estimates cost from its price list: add the provider itself for what it charges."),
    }
    measured_at = MeasuredAt.GATEWAY
    provider = "unknown"
    trailing_hours = 24
    # Scores and costs are added to observations of days before.
    daily_trailing_hours = 72

    def __init__(self, parameters: Mapping[str, Any], http: HttpClient, clock: Any) -> None:
        super().__init__(parameters, http, clock)
        self.provider = self.values.get("provider") or "unknown"
        host = urlsplit(self.values["address"]).hostname or ""
        if host == "langfuse.com" or host.endswith(".langfuse.com"):
            self.pace = Pace(requests_a_day=ALLOWED_A_DAY[self.values["plan"]])
        split = {"environment": ("environment",), "trace": ("environment", "traceName"), "nothing": ()}
        self.split: tuple[str, ...] = split[self.values["split_by"]]

    @classmethod
    def secrets(cls, values: Mapping[str, Any]) -> tuple[str, ...]:
        return (*super().secrets(values), _credentials(values)) if values.get("secret_key") else ()

    def fetch(self, window: Window) -> Iterator[Stated]:
        hours = list(window.hours())
        if not hours:
            return
        start, end = hours[0], hours[-1] + HOUR
        found = RequestHours()
        for hour, row in self._rows(self._usage(), start, end):
            self._add_usage(found, hour, row)
        percentiles: dict[tuple[Any, ...], PercentileStatement | None] = {}
        for hour, row in self._rows(self._latencies(), start, end):
            for one in self._add_latencies(found, hour, row):
                place = (one.start, repr(one.key), one.measure, one.percent)
                # Two rows of one series (no name, and an empty one): nobody knows theirs together.
                percentiles[place] = None if place in percentiles else one
        if self.values.get("scores"):
            for hour, row in self._rows(self._scores(), start, end):
                self._add_scores(found, hour, row)
        yield from found.cells()
        yield from (one for _, one in sorted(percentiles.items()) if one is not None)

    def test(self) -> TestResult:
        result = TestResult()
        quick = self.http.with_limits(attempts=1, read_seconds=10.0, total_seconds=15.0)
        now = self.clock()
        span = _span(now - DAY, now)
        try:
            counted = {**self._usage(), "dimensions": [{"field": "providedModelName"}], **span}
            models = self._ask({**counted, "timeDimension": None}, http=quick)
            every = _query("scores-numeric", ["name"], [("count", "count"), ("value", "min"), ("value", "max")])
            scores = self._ask({**every, **_span(now - 7 * DAY, now)}, http=quick)
        except ConnectorError as error:
            result.bad(phrase("%(error)s", error=error))
            return result
        requests = sum(_count(row.get("count_count"), "count") or 0 for row in models)
        result.good(
            phrase(
                "The project can be read: %(requests)s generations in the last 24 hours.",
                requests=requests,
            )
        )
        wanted = set(self.values.get("scores") or [])
        for row in scores:
            name = str(row.get("name") or "")
            low, high = (_amount(row.get(f"{which}_value"), "a score") for which in ("min", "max"))
            is_quality = low is not None and high is not None and low >= 0 and high <= 1
            if name in wanted and not is_quality:
                result.bad(
                    phrase(
                        "Score %(name)s lies between %(low)s and %(high)s: only scores from 0 to 1 are quality.",
                        name=name,
                        low=low,
                        high=high,
                    )
                )
            elif name in wanted:
                result.good(phrase("Score %(name)s is read as quality.", name=name))
            elif is_quality:
                result.info(phrase("Score %(name)s lies between 0 and 1: enter its name if it is quality.", name=name))
            wanted.discard(name)
        for name in sorted(wanted):
            result.info(phrase("Score %(name)s was not given in the last 7 days.", name=name))
        if self.pace.requests_a_day:
            asks = 3 if self.values.get("scores") else 2
            result.info(
                phrase(
                    "Langfuse allows %(most)s requests a day; each pull takes %(asks)s or more.",
                    most=self.pace.requests_a_day,
                    asks=asks,
                )
            )
        return result

    # --- What is asked

    def _usage(self) -> dict[str, Any]:
        metrics = [("count", "count"), ("inputTokens", "sum"), ("outputTokens", "sum"), ("totalCost", "sum")]
        dimensions = ["type", "providedModelName", "level", *self.split]
        return {**_query("observations", dimensions, metrics, [GENERATIONS]), **HOURLY}

    def _latencies(self) -> dict[str, Any]:
        metrics = [
            (measure, how)
            for measure in LATENCIES
            for how in ("sum", "count", *(f"p{percent}" for percent in PERCENTS))
        ]
        dimensions = ["type", "providedModelName", *self.split]
        return {**_query("observations", dimensions, metrics, [GENERATIONS, NO_ERRORS]), **HOURLY}

    def _scores(self) -> dict[str, Any]:
        names = {"column": "name", "operator": "any of", "value": self.values["scores"], "type": "stringOptions"}
        metrics = [("count", "count"), ("value", "sum"), ("value", "min"), ("value", "max")]
        dimensions = ["name", "observationModelName", *self.split]
        return {**_query("scores-numeric", dimensions, metrics, [names]), **HOURLY}

    def _rows(self, query: Mapping[str, Any], start: datetime, end: datetime) -> Iterator[tuple[datetime, Row]]:
        """Yield (hour, row) of [start, end). Raises ConnectorError where an hour alone has too many rows."""
        try:
            rows = self._ask({**query, **_span(start, end)})
        except AnswerTooLarge:
            rows = None
        if rows is None or len(rows) >= MOST_ROWS:
            hours = (end - start) // HOUR
            if hours <= 1:
                raise ConnectorError(
                    phrase(
                        "Langfuse has more than %(most)s combinations in one hour, and gives no more than that.",
                        most=MOST_ROWS,
                    ),
                    permanent=True,
                    hint=N_("Choose less to split by."),
                )
            middle = start + (hours // 2) * HOUR
            yield from self._rows(query, start, middle)
            yield from self._rows(query, middle, end)
            return
        seen: set[tuple[str, ...]] = set()
        for row in rows:
            hour = _hour(row.get("time_dimension"))
            if not start <= hour < end:
                continue
            place = (hour.isoformat(), *(repr(row.get(one["field"])) for one in query["dimensions"]))
            if place in seen:
                raise reader.malformed("it has the same row twice")
            seen.add(place)
            yield hour, row

    def _ask(self, query: Mapping[str, Any], *, http: HttpClient | None = None) -> list[Row]:
        url = f"{self.values['address'].rstrip('/')}/api/public/v2/metrics"
        headers = {"Authorization": f"Basic {_credentials(self.values)}"}
        params = [("query", json.dumps({name: value for name, value in query.items() if value is not None}))]
        answer = (http or self.http).get(url, params=params, headers=headers, hints=HINTS)
        document = reader.mapping(answer.json(), "the answer")
        return [reader.mapping(row, "a row") for row in reader.sequence(document.get("data"), "the list of rows")]

    # --- What is answered

    def _add_usage(self, found: RequestHours, hour: datetime, row: Row) -> None:
        count = _count(row.get("count_count"), "count")
        if count is None:
            raise reader.malformed("a row has no count")
        is_error = str(row.get("level") or "").upper() == "ERROR"
        sums: dict[str, int | Decimal] = {"requests": count, "errors": count if is_error else 0}
        for measure, field in (("input_tokens", "sum_inputTokens"), ("output_tokens", "sum_outputTokens")):
            tokens = _count(row.get(field), field)
            if tokens is not None:
                sums[measure] = tokens
        cost = _amount(row.get("sum_totalCost"), "sum_totalCost")
        if cost is not None and cost < 0:
            raise reader.malformed("a cost is negative")
        has_tokens = bool(sums.get("input_tokens") or sums.get("output_tokens"))
        # A model that Langfuse has no price for costs nothing there.
        if not cost and has_tokens:
            cost = None
        found.add(
            self._key(row, "providedModelName"), hour, sums, cost=cost, currency="USD" if cost is not None else ""
        )

    def _add_latencies(self, found: RequestHours, hour: datetime, row: Row) -> Iterator[PercentileStatement]:
        key = self._key(row, "providedModelName")
        for field, measure in LATENCIES.items():
            count = _count(row.get(f"count_{field}"), f"count_{field}")
            total = _amount(row.get(f"sum_{field}"), f"sum_{field}")
            if not count or total is None or total < 0:
                continue
            found.add(key, hour, {f"{measure}_count": count, f"{measure}_sum_ms": total})
            for percent in PERCENTS:
                value = _amount(row.get(f"p{percent}_{field}"), f"p{percent}_{field}")
                if value is not None and value >= 0:
                    yield PercentileStatement(key, hour, hour + HOUR, measure, Decimal(percent), value, count)

    def _add_scores(self, found: RequestHours, hour: datetime, row: Row) -> None:
        count, total = _count(row.get("count_count"), "count"), _amount(row.get("sum_value"), "a score")
        if not count or total is None:
            return
        for which in ("min", "max"):
            value = _amount(row.get(f"{which}_value"), "a score")
            if value is not None and not 0 <= value <= 1:
                raise ConnectorError(
                    phrase(
                        "Score %(name)s has a value of %(value)s; quality lies between 0 and 1.",
                        name=row.get("name"),
                        value=value,
                    ),
                    permanent=True,
                    hint=N_("Take it out of the scores that are quality, or score from 0 to 1."),
                )
        found.add(self._key(row, "observationModelName"), hour, {"quality_sum": total, "quality_count": count})

    def _key(self, row: Row, model: str) -> SeriesKey:
        labels = {"environment": row.get("environment"), "trace": row.get("traceName")}
        return SeriesKey(
            provider=self.provider,
            model=str(row.get(model) or "unknown")[:200],
            operation=OPERATIONS.get(str(row.get("type") or "").upper(), "chat"),
            labels=tuple(sorted((name, str(value)[:100]) for name, value in labels.items() if value)),
        )


HOURLY = {"timeDimension": {"granularity": "hour"}}


def _query(
    view: str,
    dimensions: Sequence[str],
    metrics: Sequence[tuple[str, str]],
    filters: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    return {
        "view": view,
        "dimensions": [{"field": field} for field in dimensions],
        "metrics": [{"measure": measure, "aggregation": aggregation} for measure, aggregation in metrics],
        "filters": list(filters),
        "config": {"row_limit": MOST_ROWS},
    }


def _span(start: datetime, end: datetime) -> dict[str, str]:
    return {"fromTimestamp": _time(start), "toTimestamp": _time(end)}


def _time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%S}.000Z"


def _hour(value: Any) -> datetime:
    """The row's hour, written as RFC 3339 or as ClickHouse writes it, in UTC."""
    text = str(value or "").strip().replace(" ", "T", 1)
    if not re.search(r"(Z|[+-]\d\d:?\d\d)$", text):
        text = f"{text}+00:00"
    moment = reader.moment(text, "time_dimension")
    if moment.minute or moment.second:
        raise reader.malformed("a row is not of a full hour")
    return moment


def _count(value: Any, field: str) -> int | None:
    if isinstance(value, str) and re.fullmatch(r"-?\d{1,20}(\.0+)?", value.strip()):
        value = Decimal(value)
    return None if value is None else reader.count(value, field)


def _amount(value: Any, field: str) -> Decimal | None:
    return None if value is None else reader.amount(value, field)


def _credentials(values: Mapping[str, Any]) -> str:
    return b64encode(f"{values['public_key']}:{values['secret_key']}".encode()).decode()

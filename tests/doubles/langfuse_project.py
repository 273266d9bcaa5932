"""A Langfuse project's metrics API, version 2, answered from a list of observations and scores.

The query is read as the API documents it (the docstring of `langfuse.api.metrics`, whose client reads these answers in
tests/peers): grouped by its dimensions and hours, at most `row_limit` rows. Counts are text, as ClickHouse writes them.
"""

from __future__ import annotations

import json
import math
from base64 import b64encode
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tests.doubles.source_server import Asked, Reply, SourceServer


@dataclass
class Observation:
    """One generation. `cost` None: Langfuse knows no price and sums nothing. `first_ms` None: not streamed."""

    at: datetime
    model: str | None = "gpt-x"
    environment: str | None = "production"
    trace: str = "claims-bot"
    type: str = "GENERATION"
    level: str = "DEFAULT"
    input_tokens: int = 100
    output_tokens: int = 20
    cost: float | None = 0.01
    latency_ms: int | None = 1000
    first_ms: int | None = None

    def field(self, name: str) -> Any:
        fields = {
            "providedModelName": self.model,
            "traceName": self.trace,
            "inputTokens": self.input_tokens,
            "outputTokens": self.output_tokens,
            "totalCost": 0.0 if self.cost is None else self.cost,
            "latency": self.latency_ms,
            "timeToFirstToken": self.first_ms,
            "count": 1,
        }
        return fields[name] if name in fields else getattr(self, name)


@dataclass
class Score:
    """One numeric score; `model` None: of a whole trace."""

    at: datetime
    name: str = "correctness"
    value: float = 0.5
    model: str | None = "gpt-x"
    environment: str | None = "production"
    trace: str = "claims-bot"

    def field(self, name: str) -> Any:
        fields = {"observationModelName": self.model, "traceName": self.trace, "count": 1}
        return fields[name] if name in fields else getattr(self, name)


class LangfuseProject(SourceServer):
    """`observations` and `scores` are what it holds; `most_rows` caps each answer."""

    def __init__(
        self,
        observations: Iterable[Observation] = (),
        scores: Iterable[Score] = (),
        *,
        keys: tuple[str, str] | None = None,
    ) -> None:
        super().__init__()
        self.observations = list(observations)
        self.scores = list(scores)
        self.keys = keys
        self.play = self.answer

    def answer(self, asked: Asked) -> Reply:
        if self.keys is not None:
            expected = b64encode(":".join(self.keys).encode()).decode()
            if asked.headers.get("Authorization") != f"Basic {expected}":
                return Reply(status=401, body='{"message": "Invalid credentials."}')
        return answer(asked, self.observations, self.scores)


def answer(asked: Asked, observations: Sequence[Observation], scores: Sequence[Score]) -> Reply:
    if asked.path != "/api/public/v2/metrics":
        return Reply(status=404, body='{"message": "Not found"}')
    query = json.loads(asked.value("query") or "{}")
    held: Sequence[Any] = {"observations": observations, "scores-numeric": scores}[query["view"]]
    start, end = (datetime.fromisoformat(query[name]) for name in ("fromTimestamp", "toTimestamp"))
    groups: dict[tuple[Any, ...], list[Any]] = defaultdict(list)
    dimensions = [one["field"] for one in query.get("dimensions", [])]
    granularity = (query.get("timeDimension") or {}).get("granularity")
    for one in held:
        if not start <= one.at < end or not all(_passes(one, condition) for condition in query.get("filters", [])):
            continue
        hour = one.at.replace(minute=0, second=0, microsecond=0) if granularity == "hour" else None
        groups[hour, *(one.field(name) for name in dimensions)].append(one)
    rows = []
    for (hour, *values), group in groups.items():
        row = dict(zip(dimensions, values, strict=True))
        if hour is not None:
            row["time_dimension"] = hour.strftime("%Y-%m-%dT%H:%M:%S.000Z")
        for metric in query["metrics"]:
            measure, how = metric["measure"], metric["aggregation"]
            row[f"{how}_{measure}"] = _aggregate([one.field(measure) for one in group], how)
        rows.append(row)
    limit = (query.get("config") or {}).get("row_limit", 100)
    return Reply(json.dumps({"data": rows[:limit]}))


def _passes(one: Any, condition: dict[str, Any]) -> bool:
    value, named = one.field(condition["column"]), condition["value"]
    if condition["operator"] == "any of":
        return value in named
    assert condition["operator"] == "none of"
    return value not in named


def _aggregate(values: list[Any], how: str) -> Any:
    known = sorted(value for value in values if value is not None)
    if how == "count":
        return str(len(known))
    if not known:
        return None
    if how == "sum":
        total = round(sum(known), 10)
        return str(total) if isinstance(total, int) else total
    if how in ("min", "max"):
        return {"min": min, "max": max}[how](known)
    assert how.startswith("p")
    return float(known[math.ceil(len(known) * int(how[1:]) / 100) - 1])

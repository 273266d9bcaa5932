"""Google's sign-in and Cloud Monitoring of one project, from a small ledger of their own.

It checks the assertion's signature with the service account's public key, as Google does.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from tests.doubles.source_server import Asked, Reply, SourceServer, source_server

HOUR = timedelta(hours=1)
PREFIX = "aiplatform.googleapis.com/publisher/online_serving/"
PROJECT = "contoso-ai-123"
ACCOUNT = f"phaseline@{PROJECT}.iam.gserviceaccount.com"
TOKEN = "ya29.token-of-the-double-0123456789"
REQUESTS, TOKENS = "model_invocation_count", "token_count"
DURATION, FIRST_TOKEN = "model_invocation_latencies", "first_token_latencies"
BOUNDS = [100.0, 1000.0, 10000.0]


@lru_cache(maxsize=1)
def _private_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def service_account_key(secret: str, **changes: Any) -> list[str]:
    """A JSON key as Google gives it, line by line; `secret` is the private key's id."""
    private = _private_key().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    key = {
        "type": "service_account",
        "project_id": PROJECT,
        "private_key_id": secret,
        "private_key": private.decode(),
        "client_email": ACCOUNT,
        "token_uri": "https://evil.example/token",
        **changes,
    }
    return json.dumps(key, indent=2).splitlines()


@dataclass
class GoogleProject:
    """`points`: (metric, labels) -> hour -> value (a count, or a distribution's document)."""

    points: dict[tuple[str, tuple[tuple[str, str], ...]], dict[datetime, Any]] = field(default_factory=dict)
    page_size: int = 100_000
    questions: list[str] = field(default_factory=list)
    signed_in: int = 0
    server: SourceServer | None = None
    token_address: str = ""

    @property
    def url(self) -> str:
        assert self.server is not None
        return self.server.url

    def put(self, metric: str, hour: datetime, value: Any, *, model: str, **labels: str) -> None:
        """Add a metric's hour; `labels` are the metric's, but for `location` and `publisher`."""
        key = {"model_user_id": model, "location": "europe-west4", "publisher": "google", **labels}
        self.points.setdefault((metric, tuple(sorted(key.items()))), {})[hour] = value

    def usage(self, hour: datetime, *, model: str, requests: int, tokens_in: int, tokens_out: int) -> None:
        """An hour of plain usage: all requests between 100 ms and 1 s, 500 ms in the mean."""
        there = {"model": model, "request_type": "shared"}
        self.put(REQUESTS, hour, requests, **there, response_code="200")
        self.put(TOKENS, hour, tokens_in, **there, type="input")
        self.put(TOKENS, hour, tokens_out, **there, type="output")
        self.put(DURATION, hour, distribution(500, [0, requests]), **there, latency_type="model")
        self.put(FIRST_TOKEN, hour, distribution(50, [requests]), **there)

    # --- Answers

    def play(self, asked: Asked) -> Reply:
        if asked.path == "/token":
            problem = self._problem_of(asked)
            if problem:
                return _json({"error": "invalid_grant", "error_description": problem}, status=400)
            self.signed_in += 1
            return _json({"access_token": TOKEN, "expires_in": 3599, "token_type": "Bearer"})
        if asked.headers.get("Authorization") != f"Bearer {TOKEN}":
            return _json({"error": {"code": 401, "message": "no token", "status": "UNAUTHENTICATED"}}, status=401)
        if asked.path != f"/v3/projects/{PROJECT}/timeSeries":
            return _json({"error": {"code": 404, "message": "not found"}}, status=404)
        return self._time_series(asked)

    def _problem_of(self, asked: Asked) -> str:
        head, claims, signature = (asked.value("assertion") or "").split(".")
        said = json.loads(_decoded(claims))
        assert said["iss"] == ACCOUNT
        assert said["scope"] == "https://www.googleapis.com/auth/monitoring.read"
        assert said["aud"].endswith("/token")
        assert "evil.example" not in said["aud"]
        _private_key().public_key().verify(
            _decoded(signature), f"{head}.{claims}".encode(), padding.PKCS1v15(), hashes.SHA256()
        )
        return ""

    def _time_series(self, asked: Asked) -> Reply:
        values = asked.values
        metric = (asked.value("filter") or "").split('"')[1].removeprefix(PREFIX)
        self.questions.append(metric)
        assert asked.value("aggregation.perSeriesAligner") == "ALIGN_DELTA"
        start, end = (
            datetime.fromisoformat((asked.value(f"interval.{name}") or "").replace("Z", "+00:00"))
            for name in ("startTime", "endTime")
        )
        kept = [value.rpartition(".")[2] for name, value in values if name == "aggregation.groupByFields"]
        groups: dict[tuple[tuple[str, str], ...], dict[datetime, Any]] = {}
        for (name, labels), hours in self.points.items():
            if name == metric:
                group = groups.setdefault(tuple(pair for pair in labels if pair[0] in kept), {})
                for hour, value in hours.items():
                    if start <= hour < end:
                        group[hour] = _added(group[hour], value) if hour in group else value
        rows = [(labels, hour, value) for labels, hours in groups.items() for hour, value in hours.items()]
        # Newest first, as Google gives them.
        rows.sort(key=lambda row: row[1], reverse=True)
        first = int(asked.value("pageToken") or 0)
        until = first + self.page_size
        answer: dict[str, Any] = {"timeSeries": [_series(metric, *row) for row in rows[first:until]], "unit": "1"}
        if until < len(rows):
            answer["nextPageToken"] = str(until)
        return _json(answer)


def distribution(mean: float, counts: list[int], *, options: dict[str, Any] | None = None) -> dict[str, Any]:
    """A distribution as Google's JSON has it; trailing zeros of the buckets may be left out."""
    return {
        "count": str(sum(counts)),
        "mean": mean,
        "sumOfSquaredDeviation": 0,
        "bucketOptions": options or {"explicitBuckets": {"bounds": BOUNDS}},
        "bucketCounts": [str(count) for count in counts],
    }


def _added(first: Any, second: Any) -> Any:
    if not isinstance(first, dict):
        return first + second
    a, b = int(first["count"]), int(second["count"])
    counts = [[int(value) for value in one["bucketCounts"]] for one in (first, second)]
    length = max(map(len, counts))
    merged = [sum(pair) for pair in zip(*[one + [0] * (length - len(one)) for one in counts], strict=True)]
    mean = (first["mean"] * a + second["mean"] * b) / (a + b)
    return distribution(mean, merged, options=first["bucketOptions"])


def _series(metric: str, labels: tuple[tuple[str, str], ...], hour: datetime, value: Any) -> dict[str, Any]:
    of_resource = {name: text for name, text in labels if name in ("model_user_id", "location", "publisher")}
    of_metric = {name: text for name, text in labels if name not in of_resource}
    is_distribution = isinstance(value, dict)
    return {
        "metric": {"type": f"{PREFIX}{metric}", "labels": of_metric},
        "resource": {"type": "aiplatform.googleapis.com/PublisherModel", "labels": of_resource},
        "metricKind": "DELTA",
        "valueType": "DISTRIBUTION" if is_distribution else "INT64",
        "points": [
            {
                "interval": {"startTime": _text(hour), "endTime": _text(hour + HOUR)},
                "value": {"distributionValue": value} if is_distribution else {"int64Value": str(value)},
            }
        ],
    }


def _text(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%SZ}"


def _decoded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def _json(document: Any, status: int = 200) -> Reply:
    return Reply(json.dumps(document), status=status, headers={"Content-Type": "application/json; charset=UTF-8"})


@contextmanager
def google_project(project: GoogleProject) -> Iterator[GoogleProject]:
    """The project, answering on loopback."""
    with source_server() as server:
        project.server = server
        server.play = project.play
        yield project

"""What the unchanged OpenTelemetry SDK exports is counted once: replicas, restarts, answers that got lost."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import urllib.request
from bisect import bisect_left
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import quote

import pytest
from django.utils import timezone

from accounts.access import Asker
from accounts.models import OrganisationRole, User, Workload
from accounts.tokens import make_token
from metrics import identity, series
from metrics.figures import Scope, merged
from metrics.models import UsageHour
from roadmap.actions.roadmaps import make_roadmap
from roadmap.models import Phase
from tests.flows.otel_meter import BOUNDS
from tests.flows.web_process import running_product

ROOT = Path(__file__).parents[2]


@contextmanager
def losing_answers(url: str) -> Iterator[tuple[str, list[bytes]]]:
    """A proxy that breaks off in place of every other answer; and the bodies that it passed on."""
    passed: list[bytes] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {name: self.headers[name] for name in ("Authorization", "Content-Type")}
            with urllib.request.urlopen(urllib.request.Request(url + self.path, body, headers), timeout=30) as answer:
                said = answer.read()
                content_type = answer.headers["Content-Type"]
            passed.append(body)
            if passed.count(body) == 1:
                self.close_connection = True
                return
            self.send_response(200)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", passed
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def started(url: str, token: str, seed: int, exports: int) -> subprocess.Popen[str]:
    variables = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"{url}/otlp",
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        "OTEL_EXPORTER_OTLP_HEADERS": f"Authorization=Bearer{quote(' ')}{token}",
    }
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    return subprocess.Popen(
        [sys.executable, "-m", "tests.flows.otel_meter", str(seed), str(exports)],
        cwd=ROOT,
        env=environment | variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def calls_of(program: subprocess.Popen[str]) -> list[dict]:
    out, err = program.communicate(timeout=120)
    assert program.returncode == 0, err
    return [json.loads(line) for line in out.splitlines()]


def get(url: str, token: str) -> dict:
    headers = {"Authorization": f"Bearer {token}"}
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=30) as answer:
        return json.load(answer)


def bucket_of(ordered: list[float], percent: int) -> tuple[float | None, float | None]:
    """The program's own bucket, in ms, that the nearest-rank percentile of these seconds lies in."""
    place = bisect_left(BOUNDS, ordered[math.ceil(len(ordered) * percent / 100) - 1])
    ends = [None, *(bound * 1000 for bound in BOUNDS), None]
    return ends[place], ends[place + 1]


def is_on_the_dashboard(url: str, token: str, did: list[dict]) -> None:
    """What people and programs read of it over REST: the phase's figures, and usage by roadmap."""
    good = [call for call in did if not call["error"]]
    seconds = sorted(call["seconds"] for call in good)
    low, high = bucket_of(seconds, 95)
    document = get(f"{url}/api/v1/phases/{Phase.objects.get(kind='poc').pk}/dashboard", token)
    p95 = next(figure for figure in document["figures"] if figure["name"] == "duration_p95")
    assert (p95["sample"], p95["unit"]) == (len(good), "s")
    assert [float(p95[end]) * 1000 for end in ("low", "high")] == pytest.approx([low, high])
    day = timezone.now().date()
    window = f"from={day - timedelta(days=1)}&to={day + timedelta(days=1)}"
    (row,) = get(f"{url}/api/v1/usage?{window}&by=roadmap", token)["rows"]
    assert (row["requests"], row["errors"]) == (len(did), len(did) - len(good))
    assert row["input_tokens"] == sum(call["input"] for call in good)
    assert row["output_tokens"] == sum(call["output"] for call in good)
    (timing,) = row["latency"]
    assert (timing["measure"], timing["count"]) == ("duration", len(good))
    for percent in (50, 95):
        found = timing[f"p{percent}"]
        assert (found["low_ms"], found["high_ms"]) == pytest.approx(bucket_of(seconds, percent))


def is_as_recorded(did: list[dict]) -> None:
    claims, today = Workload.objects.get(), timezone.now().date()
    scope = Scope(today - timedelta(days=1), today + timedelta(days=1), (claims.pk,))
    sums = merged(row.sums for row in series.usage(scope))
    good = [call for call in did if not call["error"]]
    assert 0 < len(good) < len(did)
    assert sums.total("requests") == len(did)
    assert sums.total("errors") == len(did) - len(good)
    assert sums.total("input_tokens") == sum(call["input"] for call in good)
    assert sums.total("output_tokens") == sum(call["output"] for call in good)
    seconds = sorted(call["seconds"] for call in good)
    hours = list(UsageHour.objects.all())
    assert sum(hour.duration_count or 0 for hour in hours) == len(good)
    assert float(sum(hour.duration_sum_ms or 0 for hour in hours)) == pytest.approx(sum(seconds) * 1000, rel=1e-6)


@pytest.mark.django_db(transaction=True)
def test_what_the_sdk_exports_is_what_the_program_did(tmp_path):
    identity.forget()
    owner = User.objects.create_user(username="bob", organisation_role=OrganisationRole.ADMIN)
    begun = timezone.now().date() - timedelta(days=5)
    claims = make_roadmap(Asker(owner), name="Claims", owner=owner, start_on=begun, currency="USD").workload
    _, token = make_token(name="bot", owner=owner, scopes=["push"], workload=claims, signal="metrics")
    _, reader = make_token(name="reader", owner=owner, scopes=["read"])
    with running_product(tmp_path) as product:
        # Two replicas at once, each with several cumulative exports.
        replicas = [started(product.url, token, seed, 4) for seed in (1, 2)]
        did = [call for replica in replicas for call in calls_of(replica)]
        assert len(did) == 320
        is_as_recorded(did)
        is_on_the_dashboard(product.url, reader, did)
        # One of them again, after a restart.
        did += calls_of(started(product.url, token, 3, 3))
        is_as_recorded(did)
        # The answers get lost: the SDK sends the same again by itself.
        with losing_answers(product.url) as (url, passed):
            did += calls_of(started(url, token, 4, 2))
        assert len(passed) == 2 * len(set(passed)) >= 4
        is_as_recorded(did)
        is_on_the_dashboard(product.url, reader, did)
    identity.forget()

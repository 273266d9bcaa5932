"""What a push acknowledged is kept, whatever is killed next; what it did not, is sent again and counts once."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from datetime import timedelta
from urllib.parse import quote, urlencode

import pytest
from django.conf import settings
from django.db import connection
from django.utils import timezone

from accounts.models import Membership, OrganisationRole, Role, User, Workload
from accounts.tokens import make_token
from metrics.models import Receipt, UsageHour

PUSHES = 60
RECORDS_A_PUSH = 5


def database_url() -> str:
    """The test's database, as another process is told of it."""
    found = connection.settings_dict
    where = {
        "host": found["HOST"] or found.get("OPTIONS", {}).get("host"),
        "port": found["PORT"],
        "user": found["USER"],
    }
    query = urlencode({name: value for name, value in where.items() if value})
    password = f":{quote(found['PASSWORD'])}@" if found["PASSWORD"] else ""
    return f"postgres://{password}/{quote(found['NAME'])}{'?' + query if query else ''}"


class Server:
    """gunicorn in a process group of its own, on a port that stays the same."""

    def __init__(self) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        environment = {**os.environ, "DATABASE_URL": database_url(), "PLAIN_STATIC": "1", "LOG_LEVEL": "ERROR"}
        environment.setdefault("SECRET_KEY", "for this test alone")
        command = [sys.executable, "-m", "gunicorn", "config.wsgi:application", "--bind", f"127.0.0.1:{self.port}"]
        self.process = subprocess.Popen(
            [
                *command,
                "--preload",
                "--workers",
                "2",
                "--worker-class",
                "gthread",
                "--threads",
                "4",
                "--log-level",
                "error",
            ],
            cwd=settings.BASE_DIR,
            env=environment,
            start_new_session=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def kill(self) -> None:
        """As a power cut would, for every process of it."""
        if self.process is not None and self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(10)


@pytest.fixture
def server(transactional_db):
    one = Server()
    one.start()
    yield one
    one.kill()


def wait_for(server: Server) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{server.port}/healthz", timeout=2).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise AssertionError("the server does not start")


def test_a_body_sent_in_chunks_counts_like_any_other(server):
    owner = User.objects.create_user(username="alice", organisation_role=OrganisationRole.ADMIN)
    _, token = make_token(name="t", owner=owner, scopes=["push"])
    body = json.dumps({"records": [{"timestamp": timezone.now().isoformat(), "model": "m"}] * 300}).encode()
    wait_for(server)
    link = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    pieces = [body[start : start + 1000] for start in range(0, len(body), 1000)]
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    link.request("POST", "/api/v1/usage", iter(pieces), headers, encode_chunked=True)
    answer = link.getresponse()
    assert (answer.status, json.load(answer)["accepted"]) == (201, 300)
    link.close()


def test_every_record_counts_once_though_the_server_is_killed_between(server):
    claims = Workload.objects.create(slug="claims", name="Claims")
    owner = User.objects.create_user(username="alice")
    Membership.objects.create(user=owner, workload=claims, role=Role.MANAGER)
    _, token = make_token(name="t", owner=owner, scopes=["push"], workload=claims)
    at = (timezone.now() - timedelta(hours=2)).isoformat()
    acknowledged: list[str] = []

    def push(number: int) -> None:
        """Sends until it is acknowledged, as a client does."""
        records = [{"timestamp": at, "model": "m", "id": f"{number}-{place}"} for place in range(RECORDS_A_PUSH)]
        body = json.dumps({"records": records}).encode()
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        until = time.monotonic() + 60
        while time.monotonic() < until:
            request = urllib.request.Request(f"http://127.0.0.1:{server.port}/api/v1/usage", body, headers)
            try:
                with urllib.request.urlopen(request, timeout=10) as answer:
                    acknowledged.append(json.load(answer)["receipt"])
                    return
            except (OSError, urllib.error.HTTPError):
                time.sleep(0.05)
        raise AssertionError(f"push {number} was never acknowledged")

    def send(numbers: range) -> None:
        for number in numbers:
            push(number)

    senders = [threading.Thread(target=send, args=(range(start, PUSHES, 3),)) for start in range(3)]
    for sender in senders:
        sender.start()
    for kills in range(2):
        enough = (kills + 1) * PUSHES // 4
        until = time.monotonic() + 60
        while len(acknowledged) < enough and time.monotonic() < until:
            time.sleep(0.005)
        server.kill()
        server.start()
    for sender in senders:
        sender.join(120)
    assert len(acknowledged) == PUSHES
    assert set(Receipt.objects.values_list("uuid", flat=True)) == {type(Receipt().uuid)(text) for text in acknowledged}
    assert sum(hour.requests or 0 for hour in UsageHour.objects.all()) == PUSHES * RECORDS_A_PUSH

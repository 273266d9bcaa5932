"""What a storm is pushed at: PostgreSQL, Valkey and gunicorn as `bin/up` starts them, under its supervisor."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import psycopg

from config import up
from config.embedded import EmbeddedPostgres, EmbeddedValkey
from config.install import ROOT
from config.supervisor import Program, Supervisor

# Storms of the suite are short; PHASELINE_STORM_SECONDS=300 makes each that long.
SECONDS = float(os.environ.get("PHASELINE_STORM_SECONDS", "1"))
WAYS = ["body", "key", "ids"] * 2
SETTINGS = {
    "PHASELINE_ENV_FILE": os.devnull,
    "SECRET_KEY": "for the storms of the tests alone, and long enough to be one",
    "PLAIN_STATIC": "1",
    "LOG_LEVEL": "WARNING",
}


@dataclass(frozen=True, slots=True)
class Seed:
    """A PostgreSQL folder with everything migrated, to be copied, and the tokens in it."""

    data: Path
    tokens: dict[str, str]


def make_seed(folder: Path) -> Seed:
    postgres = EmbeddedPostgres(folder / "postgres", run=folder / "run", log=folder / "postgres.log", is_careless=True)
    postgres.initialise()
    supervisor = Supervisor(folder / "run")
    try:
        supervisor.start(postgres.program())
        supervisor.wait_until_ready("postgres")
        postgres.create_database()
        made = subprocess.run(
            [sys.executable, "-m", "tests.flows.storm.fill"],
            cwd=ROOT,
            env={**os.environ, **SETTINGS, "PHASELINE_VAR": str(folder), "DATABASE_URL": postgres.url},
            check=True,
            stdout=subprocess.PIPE,
        )
    finally:
        supervisor.stop()
    return Seed(postgres.data, json.loads(made.stdout.splitlines()[-1]))


class Ground:
    """The servers below `var`; `environment` adds to the settings of the web server."""

    def __init__(self, seed: Seed, var: Path, *, environment: dict[str, str] | None = None) -> None:
        self.seed, self.var = seed, var
        run = var / "run"
        run.mkdir(exist_ok=True)
        self.said: list[str] = []
        self.supervisor = Supervisor(run, say=self.said.append)
        self.postgres = EmbeddedPostgres(var / "postgres", run=run, log=var / "postgres.log")
        self.valkey = EmbeddedValkey(var / "valkey", run=run, log=var / "valkey.log")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self.environment = {
            **SETTINGS,
            "PHASELINE_VAR": str(var),
            "DATABASE_URL": self.postgres.url,
            "CELERY_BROKER_URL": self.valkey.url,
            **(environment or {}),
        }

    def start(self) -> None:
        shutil.copytree(self.seed.data, self.postgres.data)
        self.valkey.home.mkdir(exist_ok=True)
        self.supervisor.start(self.postgres.program())
        self.supervisor.start(self.valkey.program())
        self.supervisor.wait_until_ready("postgres", "valkey")
        self.supervisor.start(
            Program(
                name="web",
                command=[sys.executable, "-m", *up.web_command("127.0.0.1", self.port)],
                log=self.var / "web.log",
                folder=ROOT,
                environment=self.environment,
                is_ready=self.answers,
                stop_seconds=15,
            )
        )
        self.supervisor.wait_until_ready("web")

    def close(self) -> None:
        self.supervisor.stop()

    def answers(self) -> bool:
        """Whether the web server is there at all."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/healthz", timeout=2) as answer:
                return bool(answer.status == 200)
        except (OSError, urllib.error.URLError):
            return False

    def process(self, name: str) -> psutil.Process:
        return psutil.Process(self.supervisor.process_id(name))

    def workers(self) -> list[psutil.Process]:
        """gunicorn's workers."""
        return self.process("web").children()

    def backends(self) -> list[psutil.Process]:
        """The processes of PostgreSQL that serve a connection each, busy or not."""
        found = []
        for process in self.process("postgres").children():
            with_command = process.cmdline()
            if with_command and with_command[0].startswith("postgres: phaseline phaseline"):
                found.append(process)
        return found

    def watch(self, until: Callable[[], bool], *, seconds: float = 40) -> bool:
        """Does what the supervisor does all day, until it is so; False where the time is over."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self.supervisor.restart_dead()
            if until():
                return True
            time.sleep(0.02)
        return False

    def session(self) -> psycopg.Connection[tuple[Any, ...]]:
        """A session of the test's own; as a context it is one transaction."""
        return psycopg.connect(host=str(self.postgres.sockets), user="phaseline", dbname="phaseline", connect_timeout=5)

    def query(self, text: str, *, writes: bool = False) -> list[tuple[Any, ...]]:
        """The rows of one statement; `writes`: also where the database is told to take no writes."""
        with self.session() as session:
            if writes:
                session.execute("SET TRANSACTION READ WRITE")
            found = session.execute(text)
            return found.fetchall() if found.description else []

    def counted(self) -> dict[str, dict[str, list[int]]]:
        """Requests and input tokens by roadmap and cell, as the client's tally has them."""
        found: dict[str, dict[str, list[int]]] = {}
        for slug, model, hour, requests, tokens in self.query(
            "SELECT w.slug, s.model, to_char(h.hour AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24'), "
            "sum(h.requests), sum(h.input_tokens) FROM metrics_usagehour h JOIN metrics_series s ON s.id = h.series_id "
            "JOIN accounts_workload w ON w.id = s.workload_id GROUP BY 1, 2, 3"
        ):
            found.setdefault(slug, {})[f"{model} {hour}"] = [int(requests), int(tokens)]
        return found

    def receipts(self, slug: str) -> set[str]:
        return {
            str(uuid)
            for (uuid,) in self.query(
                "SELECT r.uuid FROM metrics_receipt r JOIN accounts_workload w ON w.id = r.workload_id "
                f"WHERE w.slug = '{slug}'"
            )
        }

    def manage(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT,
            env={**os.environ, **self.environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )


class Storm:
    """The client's process."""

    def __init__(self, ground: Ground, folder: Path, **order: Any) -> None:
        self.ground = ground
        self.folder = Path(tempfile.mkdtemp(dir=folder))
        self.progress, self.stop_file = self.folder / "progress", self.folder / "stop"
        self.progress.touch()
        self.ways = order.pop("ways", WAYS)
        self.order = {
            "port": ground.port,
            "tokens": ground.seed.tokens,
            "ways": self.ways,
            "progress": str(self.progress),
            "stop": str(self.stop_file),
            "records": 12,
            **order,
        }
        self.tally: dict[str, Any] = {}
        with (self.folder / "order").open("w+") as text, (self.folder / "tally").open("w") as tally:
            json.dump(self.order, text)
            text.seek(0)
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.flows.storm.client"], cwd=ROOT, stdin=text, stdout=tally
            )

    @property
    def acknowledged(self) -> int:
        """Pushes so far."""
        return self.progress.stat().st_size

    def goes_on(self, *, pushes: int = 30, seconds: float = 40) -> None:
        """Waits for so many more acknowledged pushes, while the supervisor works."""
        wanted = self.acknowledged + pushes
        assert self.ground.watch(lambda: self.acknowledged >= wanted, seconds=seconds), (
            f"only {self.acknowledged} of {wanted} pushes were acknowledged; {self.ground.said}"
        )

    def rages(self, seconds: float = SECONDS) -> None:
        """Lets it go on for a time."""
        self.ground.watch(lambda: False, seconds=seconds)

    def end(self, *, seconds: float = 90) -> dict[str, Any]:
        """No new records; waits until every one is acknowledged. The tally."""
        self.stop_file.touch()
        assert self.ground.watch(lambda: self.process.poll() is not None, seconds=seconds), "the client does not end"
        self.tally = json.loads((self.folder / "tally").read_text())
        return self.tally

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()


@contextmanager
def storm(ground: Ground, folder: Path, **order: Any) -> Iterator[Storm]:
    one = Storm(ground, folder, **order)
    try:
        yield one
    finally:
        one.kill()


def assert_whole(ground: Ground, tally: dict[str, Any], *, slowest: float = 35) -> None:
    """Every record counts exactly once, by the client's own tally, and it was never told anything but 'send again'."""
    assert tally["refusals"] == []
    assert tally["left"] == 0
    assert tally["slowest"] < slowest, "an answer took too long"
    assert ground.counted() == tally["cells"]
    for way in ("body", "key"):
        # What was sent again is the same push: no receipt that its client does not know.
        assert sorted(tally["receipts"].get(way, [])) == sorted(ground.receipts(way))
    checked = ground.manage("check_ledger")
    assert checked.returncode == 0, checked.stdout

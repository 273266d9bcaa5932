"""The ground every benchmark stands on: servers of its own in a temporary folder, the machine in words, a table, JSON.

    from benchmarks.stack import Stack, Report

    def main() -> None:
        with Stack() as stack:              # PostgreSQL and Valkey, migrated, Django set up; DATABASE_URL is set
            ...                             # fill with the ORM or the write doors
            with stack.web() as address:            # gunicorn, like bin/up's; 'http://127.0.0.1:PORT'
                ...
        report = Report("push", columns=["what", "records/s", "ratio"])
        report.row("COPY", 500_000, 1.0)
        report.finish()                     # machine, table; with --json one object on the last line

    if __name__ == "__main__":
        main()

The servers are as durable as bin/up's, so that a write costs what it costs there.
"""

import contextlib
import json
import os
import platform
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from config.embedded import EmbeddedPostgres, EmbeddedValkey
from config.install import PYTHON, ROOT
from config.keys import ensure_secrets
from config.supervisor import Program, Supervisor


class Stack:
    """Starts servers on entry, stops and removes them on exit. One at a time in a process: Django is set up once."""

    def __enter__(self) -> Self:
        self._folder = tempfile.TemporaryDirectory(prefix="phaseline-bench-", ignore_cleanup_errors=True)
        self.var = Path(self._folder.name)
        run = self.var / "run"
        run.mkdir(mode=0o700)
        self.supervisor = Supervisor(run)
        try:
            self._start(run)
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self.supervisor.stop()
        self._folder.cleanup()

    def _start(self, run: Path) -> None:
        postgres = EmbeddedPostgres(self.var / "postgres", run=run, log=self.var / "postgres.log")
        valkey = EmbeddedValkey(self.var / "valkey", run=run, log=self.var / "valkey.log")
        postgres.initialise()
        self.supervisor.start(postgres.program())
        self.supervisor.start(valkey.program())
        self.supervisor.wait_until_ready("postgres", "valkey")
        postgres.create_database()
        ensure_secrets(self.var)
        (self.var / "build" / "static").mkdir(parents=True)
        os.environ.update(
            PHASELINE_VAR=str(self.var),
            PHASELINE_ENV_FILE=os.devnull,
            DATABASE_URL=postgres.url,
            CELERY_BROKER_URL=valkey.url,
            DJANGO_SETTINGS_MODULE="config.settings",
            LOG_LEVEL="WARNING",
        )
        import django
        from django.core.management import call_command

        django.setup()
        call_command("migrate", "--noinput", "--verbosity=0")

    @contextlib.contextmanager
    def web(self) -> Iterator[str]:
        """gunicorn with bin/up's settings on a free port of loopback; yields its address."""
        collected = self.var / "staticfiles"
        if not collected.is_dir():
            subprocess.run([str(PYTHON), "-m", "config.prepare", "static"], cwd=ROOT, check=True, capture_output=True)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        address = f"http://127.0.0.1:{port}"
        command = [str(PYTHON), "-m", "gunicorn", "config.wsgi:application", "--config", "python:config.gunicorn"]
        command += ["--bind", f"127.0.0.1:{port}"]
        self.supervisor.start(
            Program(name="web", command=command, log=self.var / "web.log", folder=ROOT, is_ready=_answering(address))
        )
        try:
            self.supervisor.wait_until_ready("web")
            yield address
        finally:
            self.supervisor.stop("web")

    @contextlib.contextmanager
    def worker(self, *, concurrency: int = 2) -> Iterator[None]:
        """A Celery worker, as bin/up starts it."""
        command = [str(PYTHON), "-m", "celery", "--app", "config", "worker", "--concurrency", str(concurrency)]
        command += ["--loglevel", "WARNING", "--without-gossip", "--without-mingle"]
        self.supervisor.start(Program(name="worker", command=command, log=self.var / "worker.log", folder=ROOT))
        try:
            yield
        finally:
            self.supervisor.stop("worker")

    @contextlib.contextmanager
    def beat(self) -> Iterator[None]:
        """The schedule, as bin/up starts it."""
        command = [str(PYTHON), "-m", "celery", "--app", "config", "beat", "--loglevel", "WARNING", "--pidfile="]
        command += ["--schedule", str(self.var / "beat-schedule")]
        self.supervisor.start(Program(name="beat", command=command, log=self.var / "beat.log", folder=ROOT))
        try:
            yield
        finally:
            self.supervisor.stop("beat")


def _answering(address: str) -> Callable[[], bool]:
    def answers() -> bool:
        try:
            with urllib.request.urlopen(f"{address}/healthz", timeout=2) as answer:
                return bool(answer.status == 200)
        except (OSError, urllib.error.URLError):
            return False

    return answers


def machine() -> dict[str, Any]:
    """What this ran on: processor, cores that may be used, memory, system, Python."""
    processor = platform.processor()
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                processor = line.split(":", 1)[1].strip()
                break
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "processor": processor or platform.machine(),
        "cores": cores,
        "memory_gib": round(memory, 1),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "load_1_min": round(os.getloadavg()[0], 2),
    }


def median(values: Sequence[float]) -> float:
    """The middle value; the mean of the two in the middle of an even number."""
    ordered = sorted(values)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


def timed(work: Callable[[], object], *, times: int, warm_up: int = 1) -> list[float]:
    """Seconds of each of `times` runs, after `warm_up` that are not counted."""
    for _ in range(warm_up):
        work()
    seconds = []
    for _ in range(times):
        began = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - began)
    return seconds


class Report:
    """One benchmark's result: rows under columns, printed as a table, and as JSON where --json was given."""

    def __init__(self, name: str, *, columns: Sequence[str]) -> None:
        self.name, self.columns = name, list(columns)
        self.rows: list[list[Any]] = []
        self.facts: dict[str, Any] = {}

    def row(self, *cells: Any) -> None:
        """Adds a row: one cell a column."""
        if len(cells) != len(self.columns):
            raise ValueError(f"{len(cells)} cells for {len(self.columns)} columns")
        self.rows.append(list(cells))

    def fact(self, name: str, value: Any) -> None:
        """Something to know beside the table, like the number of queries."""
        self.facts[name] = value

    def finish(self) -> None:
        """Prints the machine, the facts and the table; with --json one object as the last line."""
        ran_on = machine()
        print(
            f"\n{self.name}, on {ran_on['processor']}, {ran_on['cores']} cores, {ran_on['memory_gib']} GiB, "
            f"{ran_on['system']}, Python {ran_on['python']}, load {ran_on['load_1_min']}"
        )
        for name, value in self.facts.items():
            print(f"  {name}: {_shown(value)}")
        table = [self.columns, *[[_shown(cell) for cell in row] for row in self.rows]]
        widths = [max(len(line[column]) for line in table) for column in range(len(self.columns))]
        print()
        for line in table:
            first, *others = zip(line, widths, strict=True)
            cells = [f"{first[0]:<{first[1]}}", *[f"{cell:>{width}}" for cell, width in others]]
            print("  " + "  ".join(cells))
        if "--json" in sys.argv:
            rows = [dict(zip(self.columns, row, strict=True)) for row in self.rows]
            print(
                json.dumps({"benchmark": self.name, "machine": ran_on, "facts": self.facts, "rows": rows}, default=str)
            )


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)

"""bin/bench pull: an hourly round of 200 backends with 5 series each, half statements (OpenAI), half counters (vLLM).

A real worker with 4 processes, PostgreSQL and Valkey; the sources are doubles in a process of their own, on the same
cores. Round 0 makes the series and reads the trailing days for the first time; then each round knows one hour more and
restates the hour before. The last one runs while one backend reads 36 months back.

    bin/bench pull [--backends N] [--rounds N] [--json] [--strict]

Files to import are measured by `benchmarks/imports.py`, where it is there: its `measure(stack)` is called at the end.
"""

import argparse
import contextlib
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil

from benchmarks.push import percentile
from benchmarks.stack import Report, Stack
from config.install import PYTHON, ROOT

PROCESSES = 4
TARGET_SECONDS, TARGET_MEGABYTES = 60, 250
LONGEST_ROUND_SECONDS = 900
MEGABYTE = 2**20


@contextlib.contextmanager
def doubles(rounds: int) -> Iterator[str]:
    """The sources; yields their address."""
    program = "from benchmarks.sources import serve; serve()"
    process = subprocess.Popen(
        [str(PYTHON), "-c", program, str(rounds)], cwd=ROOT, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
    finally:
        process.kill()
        process.wait()


@dataclass
class Memory:
    """What the worker's processes take, looked at while it runs. `peak`: resident bytes of each process id."""

    main: int
    peak: dict[int, int] = field(default_factory=dict)
    peak_pss: dict[int, int] = field(default_factory=dict)
    peak_total_pss: int = 0
    _stop: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> "Memory":
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(0.5):
            self.look()

    def look(self) -> None:
        total = 0
        for process in family(self.main):
            with contextlib.suppress(psutil.Error, OSError):
                resident, shared_out = process.memory_info().rss, pss(process.pid)
                self.peak[process.pid] = max(self.peak.get(process.pid, 0), resident)
                self.peak_pss[process.pid] = max(self.peak_pss.get(process.pid, 0), shared_out)
                total += shared_out
        self.peak_total_pss = max(self.peak_total_pss, total)


def family(main: int) -> list[psutil.Process]:
    """The worker's main process and its pool."""
    with contextlib.suppress(psutil.NoSuchProcess):
        there = psutil.Process(main)
        return [there, *there.children(recursive=True)]
    return []


def pss(pid: int) -> int:
    """Bytes of a process with shared pages divided by who shares them; its resident size where Linux does not say."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return psutil.Process(pid).memory_info().rss


def cpu_seconds(main: int) -> float:
    """Processor time of the worker's processes until now."""
    total = 0.0
    for process in family(main):
        with contextlib.suppress(psutil.Error):
            times = process.cpu_times()
            total += times.user + times.system
    return total


def fill(address: str, count: int) -> None:
    """Half of the backends read an organization of OpenAI, half a vLLM server."""
    from metrics.models import Backend
    from metrics.secrets import seal

    Backend.objects.bulk_create(
        [
            Backend(
                slug=f"org-{number}",
                name=f"Organization {number}",
                connector="openai",
                provider="openai",
                parameters={"address": f"{address}/openai/{number}/v1", "projects": []},
                secrets=seal({"admin_key": f"sk-admin-bench-{number}"}),
            )
            if number % 2
            else Backend(
                slug=f"gpu-{number}",
                name=f"GPU {number}",
                connector="metrics_endpoint",
                provider="vllm",
                parameters={"addresses": [f"{address}/vllm/{number}"], "preset": "vllm"},
                pull_every_minutes=60,
            )
            for number in range(count)
        ]
    )


@dataclass
class Round:
    """One round: seconds from handing out to the last pull's end, each pull's seconds, processor seconds, requests."""

    seconds: float
    pulls: list[float]
    cpu: float
    asked: int
    failed: int


def ask(url: str) -> int:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return int(json.load(answer)["asked"])


def wait_until_quiet() -> None:
    """Counters are read a second time soon after the first; a round begins when nothing of the last one is left."""
    from metrics.models import Backend, Pull

    deadline = time.monotonic() + LONGEST_ROUND_SECONDS
    soon = datetime.now(UTC) + timedelta(minutes=30)
    while (
        Backend.objects.filter(next_pull_at__lt=soon).exists() or Pull.objects.filter(outcome="running").exists()
    ) and Pull.objects.exists():
        if time.monotonic() > deadline:
            raise SystemExit("the round before has not ended; see worker.log")
        time.sleep(0.25)


def run(number: int, address: str, count: int, worker: int) -> Round:
    """Make every backend due, hand them out as beat does, wait for the last."""
    from metrics.models import Backend, Pull
    from metrics.tasks import pull_due_backends

    wait_until_quiet()
    asked, cpu = ask(f"{address}/round/{number}"), cpu_seconds(worker)
    Backend.objects.update(next_pull_at=datetime.now(UTC) - timedelta(seconds=1), resting_until=None)
    began = datetime.now(UTC)
    pull_due_backends.delay()
    deadline = time.monotonic() + LONGEST_ROUND_SECONDS
    mine = Pull.objects.filter(started_at__gte=began, is_backfill=False)
    while mine.exclude(outcome="running").values("backend").distinct().count() < count:
        if time.monotonic() > deadline:
            raise SystemExit(f"round {number} was not done after {LONGEST_ROUND_SECONDS} s; see worker.log")
        time.sleep(0.25)
    rows = list(mine.exclude(outcome="running").values_list("started_at", "ended_at", "outcome", "message"))
    failed = [message for *_, outcome, message in rows if outcome not in ("ok", "nothing_new")]
    if failed:
        print(f"round {number}: {len(failed)} pulls failed: {failed[0]}", file=sys.stderr)
    return Round(
        seconds=(max(end for _, end, *_ in rows) - began).total_seconds(),
        pulls=[(end - start).total_seconds() for start, end, *_ in rows],
        cpu=cpu_seconds(worker) - cpu,
        asked=ask(f"{address}/round/{number}") - asked,
        failed=len(failed),
    )


def read_back(slug: str) -> None:
    """Let one backend read 36 months back."""
    from metrics.models import Backend

    cursor = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    start = cursor.replace(hour=0) - timedelta(days=1096)
    Backend.objects.filter(slug=slug).update(
        backfill_from=start, backfill_cursor=cursor, backfill_until=cursor, backfill_since=datetime.now(UTC)
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="bin/bench pull", description=__doc__)
    parser.add_argument("--backends", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3, help="hourly rounds measured after the first")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--strict", action="store_true", help="end with 1 where a target is missed")
    given = parser.parse_args(sys.argv[1:])
    os.environ["OUTBOUND_ALLOW"] = "127.0.0.0/8"
    report = Report(
        "pull", columns=["round", "s", "x target", "pulls/s", "p50 ms", "p95 ms", "CPU ms a pull", "requests", "failed"]
    )
    # One for each hourly round and the one beside a backfill, so that the last knows all hours.
    rounds = given.rounds + 1
    found: list[Round] = []
    with Stack() as stack, doubles(rounds) as address:
        from metrics.models import Backend, LedgerEntry, Series

        fill(address, given.backends)
        with stack.worker(concurrency=PROCESSES):
            worker = stack.supervisor.process_id("worker")
            with Memory(worker) as memory:
                for number in range(rounds + 1):
                    if number == rounds:
                        read_back("org-1")
                    one = run(number, address, given.backends, worker)
                    found.append(one)
                    name = {0: "first, 3 days", rounds: "beside a backfill"}.get(number, f"hour {number}")
                    report.row(name, *_cells(one))
                memory.look()
        hourly = found[1:-1]
        series = Series.objects.filter(kind="usage").count()
        report.fact("backends", given.backends)
        report.fact("series_of_a_backend", series / given.backends)
        report.fact("ledger_entries", LedgerEntry.objects.count())
        report.fact("processes", PROCESSES)
        report.fact("seconds_of_an_hourly_round", round(statistics.median(one.seconds for one in hourly), 2))
        report.fact("target_seconds", TARGET_SECONDS)
        largest = max(memory.peak.values()) / MEGABYTE
        report.fact("peak_resident_mb_of_each_process", sorted(round(v / MEGABYTE) for v in memory.peak.values()))
        report.fact(
            "peak_proportional_mb_of_each_process", sorted(round(v / MEGABYTE) for v in memory.peak_pss.values())
        )
        report.fact("peak_proportional_mb_of_the_worker", round(memory.peak_total_pss / MEGABYTE))
        report.fact("largest_process_x_target", round(largest / TARGET_MEGABYTES, 2))
        back = Backend.objects.get(slug="org-1")
        report.fact(
            "days_read_back_meanwhile",
            (back.backfill_until - back.backfill_cursor).days if back.backfill_cursor else 1096,
        )
        report.finish()
        _imports(stack)
    missed = largest > TARGET_MEGABYTES or any(one.seconds > TARGET_SECONDS or one.failed for one in found[1:])
    if given.strict and missed:
        raise SystemExit(1)


def _cells(one: Round) -> tuple[float, float, float, float, float, float, int, int]:
    count = len(one.pulls)
    return (
        one.seconds,
        one.seconds / TARGET_SECONDS,
        count / one.seconds,
        percentile(one.pulls, 50) * 1000,
        percentile(one.pulls, 95) * 1000,
        one.cpu / count * 1000,
        one.asked,
        one.failed,
    )


def _imports(stack: Stack) -> None:
    if importlib.util.find_spec("benchmarks.imports") is not None:
        from benchmarks import imports

        imports.measure(stack)


if __name__ == "__main__":
    main()

"""How fast usage is pushed over HTTP, against `\\copy` of the same records into a table of the same server.

The stack is bin/up's: gunicorn with its settings, PostgreSQL with synchronous commit, a Celery worker and beat. The
client is a process of its own on the same cores. Before each run the same records are copied into a table without an
index (U: the fastest that PostgreSQL takes rows) and into one with a unique 16-byte key (K: what it costs at least to
store records so that a repeat is harmless); the ratios of a run are to the COPY just before it. At the end the ledger
is checked, and every record that was acknowledged has to be counted.

    bin/bench push [--case NAME ...] [--full] [--runs N] [--records N] [--json]
    bin/bench push --list
    bin/bench push --case memory [--records 10000000]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

import psutil

from benchmarks.push_shapes import COLUMNS, Shape, copy_lines, full_matrix, rows_of, usual
from benchmarks.stack import Report, Stack, median
from config.install import PYTHON, ROOT

MEMORY = "memory"
# Batches that a run sends, so that it lasts a few seconds.
RECORDS = {10_000: 2_000_000, 1_000: 500_000}
FOLDED_WITHIN_SECONDS = 60


def percentile(values: list[float], q: float) -> float:
    """Nearest rank."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * q // 100).__int__() - 1)]


class Copy:
    """COPY of a shape's records from a file, into a new table each time; rows a second."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: dict[tuple[int, int, bool], Path] = {}

    def rate(self, shape: Shape, count: int, *, with_key: bool) -> float:
        import psycopg
        from django.db import connection

        path = self._file(shape, count, with_key=with_key)
        settings = connection.get_connection_params()
        where = {name: settings[name] for name in ("dbname", "host", "port", "user", "password") if settings.get(name)}
        with psycopg.connect(**where, autocommit=True) as session:
            session.execute("DROP TABLE IF EXISTS copied")
            session.execute(f"CREATE TABLE copied ({'key bytea UNIQUE, ' if with_key else ''}{COLUMNS})")
            began = time.perf_counter()
            # What psql's \copy does: the client reads the file and sends it, in one transaction.
            with session.cursor() as cursor, cursor.copy("COPY copied FROM STDIN") as copy, path.open("rb") as file:
                while piece := file.read(256 * 1024):
                    copy.write(piece)
            seconds = time.perf_counter() - began
            session.execute("DROP TABLE copied")
        return count / seconds

    def _file(self, shape: Shape, count: int, *, with_key: bool) -> Path:
        key = (shape.series, count, with_key)
        if key not in self._files:
            with tempfile.NamedTemporaryFile("w", dir=self._folder, suffix=".tsv", delete=False) as file:
                file.writelines(copy_lines(rows_of(shape, count, 1), with_key=with_key))
            self._files[key] = Path(file.name)
        return self._files[key]


class Processor:
    """CPU seconds of the server's processes since the last look: web, jobs (worker and beat) and database."""

    def __init__(self, pids: dict[str, int]) -> None:
        self._roots = {name: psutil.Process(pid) for name, pid in pids.items()}
        self._last = self._now()

    def since(self) -> dict[str, float]:
        now = self._now()
        found = {name: now[name] - self._last[name] for name in now}
        self._last = now
        return found

    def _now(self) -> dict[str, float]:
        return {name: sum(map(_cpu_seconds, _family(root))) for name, root in self._roots.items()}


def _family(root: psutil.Process) -> list[psutil.Process]:
    return [root, *root.children(recursive=True)]


def _cpu_seconds(process: psutil.Process) -> float:
    """Of the process and of its children that ended."""
    try:
        return float(sum(process.cpu_times()[:4]))
    except psutil.NoSuchProcess:
        return 0.0


class Load:
    """Runs the client against the stack."""

    def __init__(self, address: str) -> None:
        self.address = address
        # A sender each, as formats have: what one makes of series in a day leaves the other's alone.
        self._tokens = {is_otlp: make_token("otlp" if is_otlp else "bench") for is_otlp in (False, True)}
        self.sent = 0
        self._seed = 100

    def run(self, shape: Shape, records: int) -> dict[str, Any]:
        """What the client says of one run; ends the benchmark where a push failed."""
        self._seed += 1
        asked = {"address": self.address, "token": self._tokens[shape.is_otlp], "shape": asdict(shape)}
        client = subprocess.Popen(
            [str(PYTHON), "-c", "from benchmarks.push_client import main; main()"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        if client.stdin is None or client.stdout is None:
            raise AssertionError("both are pipes")
        client.stdin.write(json.dumps({**asked, "records": records, "seed": self._seed}) + "\n")
        client.stdin.flush()
        client.stdout.readline()
        self.on_ready()
        client.stdin.write("go\n")
        client.stdin.flush()
        said = client.stdout.read()
        client.wait()
        if client.returncode or not said:
            raise SystemExit("the load client failed")
        told: dict[str, Any] = json.loads(said)
        if told["failure"]:
            raise SystemExit(f"{shape.name}: a push failed: {told['failure']}")
        acknowledged = sum(number for status, number in told["statuses"].items() if status.startswith("2"))
        if acknowledged != -(-records // shape.batch):
            raise SystemExit(f"{shape.name}: {acknowledged} pushes were acknowledged of {-(-records // shape.batch)}")
        self.sent += records
        return told

    def on_ready(self) -> None:
        """Called between the making of the bodies and the first request."""


def make_token(slug: str) -> str:
    from accounts.models import Membership, Role, User, Workload
    from accounts.tokens import make_token as make

    workload = Workload.objects.create(slug=slug, name=f"Benchmark, {slug}")
    owner = User.objects.create_user(username=slug)
    Membership.objects.create(user=owner, workload=workload, role=Role.MANAGER)
    return make(name=slug, owner=owner, scopes=["push"], workload=workload)[1]


def stored_bytes() -> int:
    """Bytes of all tables of the application, with their indexes."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT sum(pg_total_relation_size(oid)) FROM pg_class WHERE relkind = 'r' AND relname LIKE 'metrics_%'"
        )
        return int(cursor.fetchone()[0])


def pending() -> int:
    """Receipts whose histograms are still to be folded into the hours."""
    from metrics.models import PendingHistograms

    return PendingHistograms.objects.count()


def wait_until_folded() -> float:
    """Seconds until nothing is left that a push put behind it."""
    began = time.perf_counter()
    while pending():
        if time.perf_counter() - began > FOLDED_WITHIN_SECONDS:
            raise SystemExit(f"after {FOLDED_WITHIN_SECONDS} seconds there are histograms that were not folded")
        time.sleep(0.05)
    return time.perf_counter() - began


def measure(report: Report, shape: Shape, load: Load, copy: Copy, processor: Processor, args: Any) -> float:
    """Runs one case and writes it down; records a second, the median."""
    records = args.records or RECORDS.get(shape.batch, 500_000)
    runs = []
    for _ in range(args.runs):
        unindexed = copy.rate(shape, max(records, 200_000), with_key=False)
        unique = copy.rate(shape, max(records, 200_000), with_key=True)
        before = stored_bytes()
        load.on_ready = processor.since  # type: ignore[method-assign]
        told = load.run(shape, records)
        rate = records / told["seconds"]
        cpu = processor.since()
        behind = wait_until_folded()
        runs.append(
            {
                "rate": rate,
                "unindexed": rate / unindexed,
                "unique": rate / unique,
                "p50": percentile(told["latencies_ms"], 50),
                "p99": percentile(told["latencies_ms"], 99),
                "cpu_app": cpu["web"] / records * 1e6,
                "cpu_jobs": cpu["jobs"] / records * 1e6,
                "cpu_database": cpu["database"] / records * 1e6,
                "cpu_client": told["cpu"] / records * 1e6,
                "bytes": (stored_bytes() - before) / records * 1e6,
                "behind": behind,
                "refused": told["statuses"].get("429", 0),
            }
        )
    middle = {name: median([run[name] for run in runs]) for name in runs[0]}
    report.row(
        shape.name,
        round(middle["rate"]),
        *(round(middle[name], 3) for name in ("unindexed", "unique")),
        *(round(middle[name], 1) for name in ("p50", "p99")),
        *(round(middle[name], 2) for name in ("cpu_app", "cpu_jobs", "cpu_database", "cpu_client")),
        round(middle["bytes"] / 1e6, 2),
        round(middle["behind"], 1),
        int(middle["refused"]),
    )
    report.fact(f"ratio_to_copy_unindexed_{shape.name}", round(middle["unindexed"], 3))
    report.fact(f"ratio_to_copy_unique_{shape.name}", round(middle["unique"], 3))
    print(f"  {shape.name}: {middle['rate']:,.0f} records/s, {middle['unindexed']:.2f} U", file=sys.stderr, flush=True)
    return middle["rate"]


def memory(report: Report, load: Load, web: int, records: int) -> None:
    """Resident memory of each web process while `records` are pushed, and its slope after the first million."""
    step = 500_000
    shape = Shape()
    seen: dict[int, list[tuple[float, float]]] = {}
    for done in range(0, records, step):
        load.run(shape, min(step, records - done))
        for process in psutil.Process(web).children():
            held = process.memory_info().rss / 2**20
            seen.setdefault(process.pid, []).append(((done + step) / 1e6, held))
    for number, points in enumerate(seen.values(), start=1):
        late = [point for point in points if point[0] >= 1] or points
        report.fact(f"web_process_{number}_mib_at_most", round(max(held for _, held in points), 1))
        report.fact(f"web_process_{number}_mib_per_million_records", round(_slope(late), 3))
    report.fact("web_processes_seen", len(seen))
    report.fact("records_pushed", records)


def _slope(points: list[tuple[float, float]]) -> float:
    """Least squares."""
    x, y = (sum(values) / len(points) for values in zip(*points, strict=True))
    spread = sum((at - x) ** 2 for at, _ in points)
    return sum((at - x) * (held - y) for at, held in points) / spread if spread else 0.0


def main() -> None:
    parser = argparse.ArgumentParser(prog="bin/bench push", description=__doc__)
    parser.add_argument("--case", action="append", default=[], help="one case by name; --list names them all")
    parser.add_argument("--full", action="store_true", help="every combination; takes half an hour")
    parser.add_argument("--runs", type=int, default=1, help="runs of each case; the median is printed")
    parser.add_argument("--records", type=int, default=0, help="records of each run")
    parser.add_argument("--list", action="store_true", help="print the names of the cases")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args(sys.argv[1:])
    known = {shape.name: shape for shape in [*usual(), *full_matrix()]}
    if args.list:
        print("\n".join([*known, MEMORY]))
        return
    if unknown := [name for name in args.case if name not in known and name != MEMORY]:
        raise SystemExit(f"There is no case {unknown[0]}; bin/bench push --list names them.")
    shapes = [known[name] for name in args.case if name != MEMORY]
    if not args.case:
        shapes = full_matrix() if args.full else usual()
    report = Report(
        "push",
        columns=[
            "case",
            "records/s",
            "x COPY unindexed",
            "x COPY unique",
            "p50 ms",
            "p99 ms",
            "CPU us/record app",
            "jobs",
            "database",
            "client",
            "MB/million",
            "behind s",
            "429s",
        ],
    )
    with Stack() as stack, ExitStack() as running:
        from django.core.management import call_command

        copy = Copy(stack.var)
        address = running.enter_context(stack.web())
        running.enter_context(stack.worker())
        running.enter_context(stack.beat())
        load = Load(address)
        pids = {name: stack.supervisor.process_id(name) for name in ("web", "worker", "postgres")}
        processor = Processor({"web": pids["web"], "jobs": pids["worker"], "database": pids["postgres"]})
        # The first requests load what is loaded once.
        load.run(Shape(batch=1_000), 20_000)
        rates = {shape: measure(report, shape, load, copy, processor, args) for shape in shapes}
        one, sixteen = (rates.get(Shape(batch=1_000, clients=clients)) for clients in (1, 16))
        if one and sixteen:
            report.fact("ratio_16_clients_to_1_on_one_series", round(sixteen / one, 3))
        if MEMORY in args.case:
            memory(report, load, pids["web"], args.records or 10_000_000)
        counted = counted_records()
        if counted != load.sent:
            raise SystemExit(f"{load.sent} records were acknowledged and {counted} are counted")
        report.fact("records_counted", counted)
        call_command("check_ledger")
    report.finish()


def counted_records() -> int:
    from django.db.models import Sum

    from metrics.models import UsageHour

    return int(UsageHour.objects.aggregate(all=Sum("requests"))["all"] or 0)


if __name__ == "__main__":
    main()

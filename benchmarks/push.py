"""How fast usage is pushed over HTTP, against `\\copy` of the same records into a table of the same server.

Two comparisons, measured in the same run: a table without any index (the fastest that PostgreSQL takes rows), and one
with a unique 16-byte key (what storing records so that a repeat is harmless costs at least). The clients share the
cores with the server.

    bin/bench push [--records N] [--json]
"""

from __future__ import annotations

import argparse
import http.client
import json
import statistics
import sys
import threading
import time
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from urllib.parse import urlsplit

from benchmarks.stack import Report, Stack

COLUMNS = "at timestamptz, model text, input_tokens bigint, output_tokens bigint, duration_ms double precision"


def records(count: int, *, hours: int = 1, models: int = 1, with_ids: bool = False) -> list[dict]:
    """Plausible records, the same every time but for their ids: `models` x `hours` cells a batch."""
    random = Random(1)
    now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=1)
    made = []
    for _ in range(count):
        at = now - timedelta(hours=random.randrange(hours), seconds=-random.randrange(3600))
        made.append(
            {
                "timestamp": at.strftime("%Y-%m-%dT%H:%M:%SZ"),
                "provider": "vllm",
                "model": f"model-{random.randrange(models)}",
                "input_tokens": random.randrange(10, 4000),
                "output_tokens": random.randrange(1, 800),
                "duration_ms": round(random.lognormvariate(7, 0.6), 1),
                **({"id": uuid.uuid4().hex} if with_ids else {}),
            }
        )
    return made


def copy_rate(folder: Path, rows: list[dict], *, with_key: bool) -> float:
    """Rows a second of psql's `\\copy` of text into a new table, times of three runs, the median."""
    path = folder / f"rows-{with_key}.tsv"
    random = Random(7)
    with path.open("w") as file:
        for row in rows:
            key = f"\\\\x{random.randbytes(16).hex()}\t" if with_key else ""
            file.write(
                f"{key}{row['timestamp']}\t{row['model']}\t{row['input_tokens']}\t{row['output_tokens']}"
                f"\t{row['duration_ms']}\n"
            )
    table = "copied_unique" if with_key else "copied"
    columns = f"key bytea UNIQUE, {COLUMNS}" if with_key else COLUMNS
    return statistics.median(_copy(path, table, columns, len(rows)) for _ in range(3))


def _copy(path: Path, table: str, columns: str, count: int) -> float:
    import psycopg
    from django.db import connection

    settings = connection.get_connection_params()
    where = {name: settings[name] for name in ("dbname", "host", "port", "user", "password") if settings.get(name)}
    with psycopg.connect(**where, autocommit=True) as session:
        session.execute(f"DROP TABLE IF EXISTS {table}")
        session.execute(f"CREATE TABLE {table} ({columns})")
        began = time.perf_counter()
        # What psql's \copy does: the client reads the file and sends it, in one transaction.
        with session.cursor() as cursor, cursor.copy(f"COPY {table} FROM STDIN") as copy, path.open("rb") as file:
            while piece := file.read(256 * 1024):
                copy.write(piece)
        return count / (time.perf_counter() - began)


def push_all(address: str, token: str, bodies: list[bytes], *, clients: int) -> tuple[float, list[float]]:
    """Seconds in all, and of each request, when `clients` connections send the bodies in turn."""
    waiting = list(enumerate(bodies))
    latencies: list[float] = []
    failures: list[str] = []
    lock = threading.Lock()

    def run() -> None:
        parts = urlsplit(address)
        link = http.client.HTTPConnection(parts.hostname, parts.port, timeout=120)
        while True:
            with lock:
                if not waiting or failures:
                    return
                _, body = waiting.pop()
            began = time.perf_counter()
            link.request(
                "POST",
                "/api/v1/usage",
                body,
                {
                    "Authorization": f"Bearer {token}",
                    "Content-Type": "application/json",
                    # Each body is meant: without a key the same one would be a repeat.
                    "Idempotency-Key": uuid.uuid4().hex,
                },
            )
            answer = link.getresponse()
            text = answer.read()
            took = time.perf_counter() - began
            with lock:
                latencies.append(took)
                if answer.status != 201:
                    failures.append(f"{answer.status} {text[:300]!r}")

    threads = [threading.Thread(target=run) for _ in range(clients)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise SystemExit(f"a push failed: {failures[0]}")
    return time.perf_counter() - began, latencies


def percentile(values: list[float], q: float) -> float:
    """Nearest rank."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * q // 100).__int__() - 1)]


def make_token() -> str:
    from accounts.models import Membership, Role, User, Workload
    from accounts.tokens import make_token as make

    workload = Workload.objects.create(slug="bench", name="Benchmark")
    owner = User.objects.create_user(username="bench")
    Membership.objects.create(user=owner, workload=workload, role=Role.MANAGER)
    return make(name="bench", owner=owner, scopes=["push"], workload=workload)[1]


def main() -> None:
    parser = argparse.ArgumentParser(prog="bin/bench push", description=__doc__)
    parser.add_argument("--records", type=int, default=200_000, help="records of each run")
    parser.add_argument("--json", action="store_true")
    total = parser.parse_args(sys.argv[1:]).records
    report = Report(
        "push",
        columns=["what", "records/s", "x COPY unindexed", "x COPY unique", "p50 ms", "p99 ms"],
    )
    with Stack() as stack:
        from metrics.models import UsageHour

        token = make_token()
        rows = records(total)
        unindexed = copy_rate(stack.var, rows, with_key=False)
        unique = copy_rate(stack.var, rows, with_key=True)
        report.row("COPY, no index", unindexed, 1.0, unindexed / unique, "", "")
        report.row("COPY, unique 16-byte key", unique, unique / unindexed, 1.0, "", "")
        shapes = [
            # hours, models, records a batch, clients, with ids
            (1, 1, 10_000, 1, False),
            (1, 1, 10_000, 4, False),
            (1, 1, 1_000, 1, False),
            (1, 1, 1_000, 4, False),
            (4, 25, 10_000, 4, False),
            (1, 1, 10_000, 4, True),
        ]
        with stack.web(workers=2, threads=8) as address:
            push_all(address, token, bodies_of(records(20_000), 1_000), clients=4)
            sent = 20_000
            for hours, models, size, clients, with_ids in shapes:
                bodies = bodies_of(records(total, hours=hours, models=models, with_ids=with_ids), size)
                seconds, latencies = push_all(address, token, bodies, clients=clients)
                sent += total
                rate = total / seconds
                name = f"push_{hours * models}_cells_{size}_a_batch_{clients}_clients{'_with_ids' if with_ids else ''}"
                report.row(
                    _in_words(hours * models, size, clients, with_ids=with_ids),
                    rate,
                    rate / unindexed,
                    rate / unique,
                    percentile(latencies, 50) * 1000,
                    percentile(latencies, 99) * 1000,
                )
                report.fact(f"ratio_to_copy_unindexed_{name}", round(rate / unindexed, 3))
                report.fact(f"ratio_to_copy_unique_{name}", round(rate / unique, 3))
        counted = sum(row.requests or 0 for row in UsageHour.objects.all())
        if counted != sent:
            raise SystemExit(f"{sent} records were pushed and {counted} are counted")
        report.fact("records_counted", counted)
    report.finish()


def _in_words(cells: int, size: int, clients: int, *, with_ids: bool) -> str:
    words = f"{cells} cell{'s' if cells > 1 else ''}, {size:,} a batch, {clients} client{'s' if clients > 1 else ''}"
    return f"{words}, with ids" if with_ids else words


def bodies_of(rows: list[dict], size: int) -> list[bytes]:
    """The records as bodies of `size` records."""
    return [
        json.dumps({"records": rows[start : start + size]}, separators=(",", ":")).encode()
        for start in range(0, len(rows), size)
    ]


if __name__ == "__main__":
    main()

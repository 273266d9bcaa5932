"""bin/bench scale: what grows with what.

1. The phase page's server time with 1 million and with 100 million requests in the same series and months, posted as
   folded hours through the ledger (`metrics.simulation`, as `manage.py simulate` does).
2. A million records pushed at 10,000 a batch over 100 cells (through the same view as over HTTP): bytes on disk before
   and after compaction, and the percentiles of their log-normal durations against the nearest-rank ones.
"""

import argparse
import json
import math
import os
import sys
import time
from datetime import UTC, datetime, timedelta
from random import Random

from benchmarks.dashboard import make_phase
from benchmarks.stack import Report, Stack, median, timed

REQUESTS = (1_000_000, 10_000_000, 100_000_000)
MODELS, HOURS = 25, 4
BATCH = 10_000
PERCENTS = (50, 95, 99)
MOST_ERROR = 0.025
MOST_MB_PER_MILLION = 1.0
MOST_TIMES = 2.0


def pages(given: argparse.Namespace, report: Report) -> list[str]:
    """The same series and months with more and more requests; what missed its target."""
    from django.test import Client
    from django.utils import timezone

    from accounts.models import User
    from metrics import checking, simulation

    owner = User.objects.create_user(username="bench", organisation_role="admin")
    client = Client(SERVER_NAME="localhost")
    client.force_login(owner)
    first = 0.0
    for requests in given.requests:
        phase, _ = make_phase(f"Scale {requests}", given.months, owner)
        plan = simulation.Plan(
            months=given.months, series=given.series, requests=requests, hours_a_day=given.hours_a_day
        )
        began = time.perf_counter()
        written = simulation.post(plan, [phase.roadmap.workload_id], today=timezone.localdate())
        took = time.perf_counter() - began
        if findings := checking.check():
            raise SystemExit(f"check_ledger: {findings}")
        for table, size in simulation.sizes().items():
            report.fact(f"bytes_{requests}_{table.removeprefix('metrics_')}", size)
        address = phase.get_absolute_url()

        def view(address: str = address) -> None:
            answer = client.get(address)
            if answer.status_code != 200:
                raise SystemExit(f"{address} answered {answer.status_code}")

        view()
        middle = median([value * 1000 for value in timed(view, times=given.times)])
        first = first or middle
        report.row(
            f"{requests:.0e} requests, {given.series} series, {given.months} months",
            written,
            round(took, 1),
            round(sum(simulation.sizes().values()) / 1e6, 1),
            round(middle, 1),
            round(middle / first, 2),
        )
        report.fact(f"page_ms_{requests}", round(middle, 1))
        last = middle
        simulation.remove()
        phase.roadmap.delete()
        _vacuum()
    report.fact("page_ratio_most_to_fewest_requests", round(last / first, 2))
    return [] if last <= MOST_TIMES * first else ["page time"]


def pushes(given: argparse.Namespace, report: Report) -> list[str]:
    """A million records through the push's view; what missed its target."""
    from django.test import Client
    from django.utils import timezone

    from benchmarks.push import make_token
    from metrics import behind, checking, retention, series, simulation
    from metrics.figures import Scope
    from metrics.models import Receipt

    token = make_token("bench")
    client = Client(SERVER_NAME="localhost")
    random = Random(5)
    newest = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=1)
    before = _total()
    durations, began = [], time.perf_counter()
    for number in range(given.records // BATCH):
        records = []
        for _ in range(BATCH):
            ms = round(random.lognormvariate(7, 0.6), 3)
            durations.append(ms)
            at = newest - timedelta(hours=random.randrange(HOURS), seconds=-random.randrange(3600))
            records.append(
                {
                    "timestamp": at.strftime("%Y-%m-%dT%H:%M:%SZ"),
                    "provider": "vllm",
                    "model": f"model-{random.randrange(MODELS)}",
                    "input_tokens": random.randrange(10, 4000),
                    "output_tokens": random.randrange(1, 800),
                    "duration_ms": ms,
                }
            )
        answer = client.post(
            "/api/v1/usage",
            json.dumps({"records": records}),
            content_type="application/json",
            headers={"Authorization": f"Bearer {token}", "Idempotency-Key": f"scale-{number}"},
        )
        if answer.status_code != 201:
            raise SystemExit(f"a push was answered {answer.status_code}: {answer.content[:300]!r}")
    report.fact("seconds_to_push_one_client", round(time.perf_counter() - began, 1))
    behind.fold()
    missed = _percentiles(report, durations, series, Scope, newest)
    millions = given.records / 1e6
    fresh = _total() - before
    Receipt.objects.update(created_at=timezone.now() - timedelta(days=40))
    _drop_keys()
    began = time.perf_counter()
    done = retention.run(timezone.now(), seconds=float("inf"))
    report.fact("entries_merged", sum(one.removed for one in done if one.name == "ledger_entries"))
    report.fact("seconds_to_merge", round(time.perf_counter() - began, 2))
    if findings := checking.check():
        raise SystemExit(f"check_ledger: {findings}")
    _vacuum()
    after = _total() - before
    report.fact("mb_per_million_records_before_compaction", round(fresh / 1e6 / millions, 3))
    report.fact("mb_per_million_records_after_compaction", round(after / 1e6 / millions, 3))
    for table, size in simulation.sizes().items():
        report.fact(f"bytes_after_compaction_{table.removeprefix('metrics_')}", size)
    return missed + ([] if after / 1e6 / millions < MOST_MB_PER_MILLION else ["disk"])


def _percentiles(report: Report, durations: list[float], series, scope_class, newest: datetime) -> list[str]:
    day = timedelta(days=1)
    scope = scope_class((newest - day).date(), (newest + 2 * day).date(), None)
    [row] = [row for row in series.latency(scope) if row.measure == "duration"]
    ordered = sorted(durations)
    missed = []
    for percent in PERCENTS:
        true = ordered[math.ceil(len(ordered) * percent / 100) - 1]
        off = abs(row.histogram.percentile(percent).ms - true) / true
        report.fact(f"p{percent}_off_by_percent", round(100 * off, 2))
        if off > MOST_ERROR:
            missed.append(f"p{percent}")
    return missed


def _total() -> int:
    """Bytes of every table of usage, with indexes."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT sum(pg_total_relation_size(oid)) FROM pg_class WHERE relkind = 'r' AND relname LIKE 'metrics\\_%%'",
            [],
        )
        return int(cursor.fetchone()[0])


def _vacuum() -> None:
    """Give back what was deleted, so that sizes are those of what is there."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SELECT relname FROM pg_class WHERE relkind = 'r' AND relname LIKE 'metrics\\_%%'", [])
        for (name,) in cursor.fetchall():
            cursor.execute(f"VACUUM FULL ANALYZE {name}")


def _drop_keys() -> None:
    """Keys of the pushes, as a day later."""
    from django.utils import timezone

    from metrics import push_keys

    push_keys.drop_expired(timezone.now() + timedelta(days=2))


def main() -> None:
    parser = argparse.ArgumentParser(prog="bin/bench scale", description=__doc__)
    parser.add_argument("--months", type=int, default=36)
    parser.add_argument("--series", type=int, default=40)
    parser.add_argument("--hours-a-day", type=int, default=4)
    parser.add_argument("--requests", type=lambda text: int(float(text)), nargs="*", default=REQUESTS)
    parser.add_argument("--records", type=int, default=1_000_000, help="pushed one by one, for disk and percentiles")
    parser.add_argument("--times", type=int, default=9, help="page views measured")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--strict", action="store_true", help="end with 1 where a target is missed")
    given = parser.parse_args(sys.argv[1:])
    os.environ["PLAIN_STATIC"] = "1"
    report = Report(
        "scale", columns=["usage", "hours of series", "s to post", "MB on disk", "page ms", "x of the first"]
    )
    missed = []
    with Stack():
        import config.wsgi  # noqa: F401 - the web processes' own settings of the garbage collector

        if given.records:
            missed += pushes(given, report)
        if given.requests:
            missed += pages(given, report)
        report.fact("targets_missed", ", ".join(missed) or "none")
    report.finish()
    if given.strict and missed:
        raise SystemExit(1)


if __name__ == "__main__":
    main()

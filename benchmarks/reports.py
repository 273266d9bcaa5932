"""bin/bench reports: a month of 200 roadmaps closed by two real workers, rendered to PDF and queued for mail.

The organisation is that of `bin/bench portfolio`: per roadmap 40 milestones, a gate with criteria, 5 series with 18
months of days. Closed is the last month that is over, as by the admin's button; ten people subscribe to each roadmap's
report. Then the pages of published reports are asked for.
"""

import argparse
import os
import statistics
import sys
import threading
import time
from datetime import timedelta
from typing import Any

import psutil

from benchmarks import portfolio_data
from benchmarks.stack import Report, Stack

SECONDS, WORKER_MB, PAGE_MS = 120, 400, 100
COLUMNS = ["what", "value", "target"]


class Watch:
    """CPU seconds and peak memory of the worker's processes, and CPU of the database's, four times a second."""

    def __init__(self) -> None:
        self.peak_mb = 0.0
        self.cpu: dict[int, float] = {}
        self.database_cpu: dict[int, float] = {}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> "Watch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        me = psutil.Process()
        while not self._over.wait(0.25):
            for process in me.children(recursive=True):
                try:
                    command, times = " ".join(process.cmdline()), process.cpu_times()
                    if "celery" in command:
                        self.peak_mb = max(self.peak_mb, process.memory_info().rss / 1e6)
                        self.cpu[process.pid] = times.user + times.system
                    elif "postgres" in command:
                        self.database_cpu[process.pid] = times.user + times.system
                except psutil.NoSuchProcess:
                    continue


def main() -> int:
    """Measure, print; 1 with --strict where a target is missed."""
    parser = argparse.ArgumentParser(prog="bin/bench reports", description=__doc__)
    parser.add_argument("--roadmaps", type=int, default=200)
    parser.add_argument("--workers", type=int, default=2, help="worker processes")
    parser.add_argument("--subscribers", type=int, default=10, help="of each roadmap's report")
    parser.add_argument("--pages", type=int, default=30, help="report pages asked for")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--strict", action="store_true", help="end with 1 where a target is missed")
    given = parser.parse_args()
    report = Report("reports", columns=COLUMNS)
    # Pages are drawn in this process, which collected no files.
    os.environ["PLAIN_STATIC"] = "1"
    with Stack() as stack:
        missed = measure(given, stack, report)
    report.finish()
    return 1 if missed and given.strict else 0


def measure(given: argparse.Namespace, stack: Stack, report: Report) -> list[str]:
    """In a stack that runs; the targets that were missed."""
    from accounts.access import Asker
    from roadmap.actions.reports import ask_to_close
    from roadmap.models import Report as MonthReport
    from roadmap.models import ReportFile, ReportMail
    from roadmap.tasks import advance_reports

    there = portfolio_data.organisation()
    portfolio_data.grow(there, given.roadmaps)
    _subscribe(given.subscribers)
    month = (there.today.replace(day=1) - timedelta(days=1)).replace(day=1)
    opened = MonthReport.objects.filter(month=month).exclude(state="published")
    with Watch() as watch, stack.worker(concurrency=given.workers):
        # The workers are up before the clock starts.
        time.sleep(8)
        before, database_before = sum(watch.cpu.values()), sum(watch.database_cpu.values())
        began = time.perf_counter()
        advance_reports(ask_to_close(Asker(there.admin), month))
        while opened.exists() and time.perf_counter() - began < 1_800:
            time.sleep(0.25)
        seconds = time.perf_counter() - began
        time.sleep(0.5)
        cpu = sum(watch.cpu.values()) - before
        database_cpu = sum(watch.database_cpu.values()) - database_before
    left = opened.count()
    queries, page_ms = _page(given.pages, there.admin, month)
    rows: list[tuple[str, Any, Any]] = [
        ("reports published", MonthReport.objects.filter(month=month, state="published").count(), given.roadmaps + 1),
        ("reports left", left, 0),
        ("PDFs", ReportFile.objects.filter(kind="pdf").count(), None),
        ("mails queued", ReportMail.objects.count(), given.roadmaps * given.subscribers),
        ("seconds", round(seconds, 1), SECONDS),
        ("CPU seconds of workers", round(cpu, 1), None),
        ("CPU seconds of the database", round(database_cpu, 1), None),
        ("peak MB of a worker", round(watch.peak_mb), WORKER_MB),
        ("report page, median ms", round(page_ms, 1), PAGE_MS),
        ("report page, queries", queries, None),
    ]
    for row in rows:
        report.row(*row)
    checks = ((left, 0, "left"), (seconds, SECONDS, "s"), (watch.peak_mb, WORKER_MB, "MB"), (page_ms, PAGE_MS, "ms"))
    missed = [f"{value:.0f} {what}" for value, target, what in checks if value > target]
    report.fact("targets_missed", ", ".join(missed) or "none")
    return missed


def _subscribe(people: int) -> None:
    from roadmap.models import ReportSubscription, Roadmap
    from roadmap.rules.report_mail import mailbox

    ReportSubscription.objects.bulk_create(
        ReportSubscription(scope="roadmap", roadmap=roadmap, address=address, mailbox=mailbox(address))
        for roadmap in Roadmap.objects.all()
        for address in (f"reader-{number}@bench.example" for number in range(people))
    )


def _page(times: int, admin: Any, month: Any) -> tuple[int, float]:
    """Most queries and median milliseconds of published reports' pages, each asked for once."""
    from django.db import connection
    from django.test import Client
    from django.test.utils import CaptureQueriesContext

    from roadmap.models import Report as MonthReport

    client = Client(SERVER_NAME="localhost")
    client.force_login(admin)
    found = MonthReport.objects.filter(month=month, state="published", scope="roadmap")
    addresses = [f"/reports/{uuid}/" for uuid in found.values_list("uuid", flat=True)[: times + 1]]
    if not addresses:
        return 0, 0.0
    client.get(addresses[0])
    queries, seconds = 0, []
    for address in addresses[1:]:
        with CaptureQueriesContext(connection) as asked:
            began = time.perf_counter()
            answer = client.get(address)
            seconds.append((time.perf_counter() - began) * 1000)
        if answer.status_code != 200:
            raise SystemExit(f"{address} answered {answer.status_code}")
        queries = max(queries, len(asked))
    return queries, statistics.median(seconds)


if __name__ == "__main__":
    sys.exit(main())

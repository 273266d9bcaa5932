"""bin/bench portfolio: server time and queries of the pages over all roadmaps, with 3, 30 and 200 of them.

A roadmap has 40 milestones, a gate with criteria, and 5 series with 18 months of days. Asked are the portfolio, the
spend page and one's own week, by a manager of every roadmap and by an executive.
"""

import argparse
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import portfolio_data
from benchmarks.stack import Report, Stack, median

COUNTS = (3, 30, 200)
# page, at most so many queries, at most so many milliseconds with the most roadmaps
PAGES = (("/", 12, 150), ("/spend/", None, None), ("/me/", None, None))
COLUMNS = [
    "page",
    "by",
    "roadmaps",
    "queries",
    "median ms",
    "p95 ms",
    "CPU ms",
    "database CPU ms",
    "first queries",
    "first CPU ms",
    "first database CPU ms",
    "kB",
    "x of the first",
]


def options(parser: argparse.ArgumentParser) -> None:
    """The arguments that the portfolio's case takes."""
    parser.add_argument("--times", type=int, default=15, help="page views measured")
    parser.add_argument("--roadmaps", type=int, nargs="+", default=list(COUNTS), help="how many, one after the other")
    parser.add_argument("--pages", nargs="+", default=[page for page, _, _ in PAGES])
    parser.add_argument("--check", action="store_true", help="prove at the end that all sums are the ledger's")
    parser.add_argument("--profile", metavar="FILE", help="write where the time of the last '/' went, for pstats")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--strict", action="store_true", help="end with 1 where a target is missed")


def measure(given: argparse.Namespace, report: Report) -> list[str]:
    """Measure in a stack that runs; the targets that were missed."""
    from accounts.models import User

    there = portfolio_data.organisation()
    executive = User.objects.create_user(username="executive", organisation_role="executive")
    # Owns every fifth roadmap, so that the week is not empty, and belongs to all.
    manager = there.managers[0]
    first: dict[tuple[str, str], float] = {}
    missed = []
    for count in sorted(given.roadmaps):
        began = time.perf_counter()
        written = portfolio_data.grow(there, count)
        report.fact(f"s_to_make_{count}", round(time.perf_counter() - began, 1))
        report.fact(f"days_of_series_added_for_{count}", written)
        _belong_everywhere(manager)
        if count == min(given.roadmaps):
            _check(report, count)
        for page, most_queries, most_ms in PAGES:
            for name, user in (("manager", manager), ("executive", executive)):
                if page not in given.pages:
                    continue
                view = _viewer(page, user)
                first_view = _first(view)
                queries, seconds, own_cpu, database_cpu, size = _viewed(view, given.times)
                middle = median(seconds)
                first.setdefault((page, name), middle)
                report.row(
                    page,
                    name,
                    count,
                    queries,
                    round(middle, 1),
                    round(sorted(seconds)[int(0.95 * (len(seconds) - 1) + 0.5)], 1),
                    round(own_cpu, 1),
                    round(database_cpu, 1),
                    *first_view,
                    round(size / 1000),
                    round(middle / first[page, name], 2),
                )
                if most_queries and queries >= most_queries:
                    missed.append(f"{queries} queries of {page}, {count} roadmaps")
                if most_ms and middle > most_ms:
                    missed.append(f"{middle:.0f} ms of {page}, {count} roadmaps")
    if given.check:
        _check(report, there.roadmaps)
    if given.profile:
        _profile(given.profile, manager)
    report.fact("targets", "/ under 12 queries, median under 150 ms")
    report.fact("targets_missed", ", ".join(missed) or "none")
    return missed


def _belong_everywhere(manager: Any) -> None:
    """Make somebody the manager of every roadmap, who is nothing in the organisation."""
    from accounts.models import Membership, Role, Workload

    held = Membership.objects.filter(user=manager).values("workload_id")
    Membership.objects.bulk_create(
        Membership(user=manager, workload=workload, role=Role.MANAGER)
        for workload in Workload.objects.exclude(pk__in=held)
    )


def _check(report: Report, count: int) -> None:
    from metrics import checking

    found = checking.check()
    report.fact(f"sums_of_{count}", "the ledger's" if not found else "; ".join(one.what for one in found))


def _viewer(page: str, user: Any) -> Callable[[], bytes]:
    from django.test import Client

    client = Client(SERVER_NAME="localhost")
    client.force_login(user)

    def view() -> bytes:
        answer = client.get(page)
        if answer.status_code != 200:
            raise SystemExit(f"{page} answered {answer.status_code}")
        return bytes(answer.content)

    return view


def _first(view: Callable[[], bytes]) -> tuple[int, int, int]:
    """Queries and CPU milliseconds, here and in the database, of a view of which this process remembers nothing."""
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    from metrics.reads import sources
    from roadmap.queries import portfolio_memory
    from roadmap.views import portfolio_row

    # Templates and connections are there already: a process makes them once.
    view()
    portfolio_memory.forget()
    sources.forget()
    portfolio_row.forget()
    own, database = time.process_time(), _database_cpu()
    with CaptureQueriesContext(connection) as queries:
        view()
    asked = len(queries)
    return asked, round((time.process_time() - own) * 1000), round((_database_cpu() - database) * 1000)


def _viewed(view: Callable[[], bytes], times: int) -> tuple[int, list[float], float, float, int]:
    """Queries, milliseconds of each view, CPU milliseconds of a view here and in the database, bytes."""
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    view()
    with CaptureQueriesContext(connection) as queries:
        size = len(view())
    # Counted now: every later request clears the log.
    asked = len(queries)
    view()
    seconds = []
    own, database = time.process_time(), _database_cpu()
    for _ in range(times):
        began = time.perf_counter()
        view()
        seconds.append((time.perf_counter() - began) * 1000)
    own_cpu = (time.process_time() - own) * 1000 / times
    return asked, seconds, own_cpu, (_database_cpu() - database) * 1000 / times, size


def _database_cpu() -> float:
    """Seconds of CPU of this connection's process in the database; 0 where the system does not tell."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        pid = cursor.fetchone()[0]
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _profile(file: str, user: Any) -> None:
    import cProfile

    view = _viewer("/", user)
    view()
    profile = cProfile.Profile()
    profile.enable()
    view()
    profile.disable()
    profile.dump_stats(file)


def main() -> None:
    parser = argparse.ArgumentParser(prog="bin/bench portfolio", description=__doc__)
    options(parser)
    run(parser.parse_args(sys.argv[1:]), "portfolio")


def run(given: argparse.Namespace, name: str) -> None:
    """Measure with servers of our own and print the table; ends the program with 1 where a target is missed."""
    os.environ["PLAIN_STATIC"] = "1"
    report = Report(name, columns=COLUMNS)
    with Stack():
        import config.wsgi  # noqa: F401 - the web processes' own settings of the garbage collector

        missed = measure(given, report)
    report.finish()
    if given.strict and missed:
        raise SystemExit(1)


if __name__ == "__main__":
    main()

"""bin/bench dashboard: server time and queries of the phase page, 36 months of 40 series and 12 months of 5.

`--case portfolio`: instead those of the pages over all roadmaps, with 3, 30 and 200 (benchmarks.portfolio).
"""

import argparse
import os
import sys
import time
from datetime import timedelta
from decimal import Decimal

from benchmarks import portfolio
from benchmarks.stack import Report, Stack, median, timed
from benchmarks.usage import REQUESTS_A_DAY, fill

# name, months, series, at most this many milliseconds
CASES = (("36 months, 40 series", 36, 40, 500), ("12 months, 5 series", 12, 5, 100))
MOST_QUERIES = 15


def make_phase(name: str, months: int, owner):
    """An active phase that began so many months ago, with the general template's plan."""
    from django.utils import timezone

    from accounts.access import Asker
    from roadmap.actions.roadmaps import make_roadmap

    start_on = timezone.localdate() - timedelta(days=round(months * 30.44))
    roadmap = make_roadmap(
        Asker(owner),
        name=name,
        owner=owner,
        start_on=start_on,
        months=(months + 2, 6, 6),
        budgets={"poc": Decimal(2_000_000)},
    )
    return roadmap.phases.get(kind="poc"), start_on


def main() -> None:
    parser = argparse.ArgumentParser(prog="bin/bench dashboard", description=__doc__)
    parser.add_argument("--case", choices=("phase", "portfolio"), default="phase", help="which pages (default: phase)")
    portfolio.options(parser)
    given = parser.parse_args(sys.argv[1:])
    if given.case == "portfolio":
        portfolio.run(given, "dashboard, case portfolio")
        return
    os.environ["PLAIN_STATIC"] = "1"
    report = Report(
        "dashboard",
        columns=["page", "hours written", "s to write", "queries", "median ms", "worst ms", "target ms", "x target"],
    )
    missed = []
    with Stack():
        from django.db import connection
        from django.test import Client
        from django.test.utils import CaptureQueriesContext
        from django.utils import timezone

        import config.wsgi  # noqa: F401 - the web processes' own settings of the garbage collector
        from accounts.models import User

        owner = User.objects.create_user(username="bench", organisation_role="admin")
        client = Client(SERVER_NAME="localhost")
        client.force_login(owner)
        for name, months, series, target in CASES:
            phase, start_on = make_phase(name, months, owner)
            began = time.perf_counter()
            written = fill(
                workload_id=phase.roadmap.workload_id,
                series=series,
                start_on=start_on,
                end_on=timezone.localdate() + timedelta(days=1),
                name=f"m{months}",
            )
            with connection.cursor() as cursor:
                cursor.execute("ANALYZE")
            took = time.perf_counter() - began
            address = phase.get_absolute_url()

            def view(address: str = address) -> None:
                answer = client.get(address)
                if answer.status_code != 200:
                    raise SystemExit(f"{address} answered {answer.status_code}")

            view()
            with CaptureQueriesContext(connection) as queries:
                view()
            # Counted now: every later request clears the log.
            asked = len(queries)
            seconds = [value * 1000 for value in timed(view, times=given.times)]
            middle = median(seconds)
            report.row(
                name,
                written,
                round(took, 1),
                asked,
                round(middle, 1),
                round(max(seconds), 1),
                target,
                round(middle / target, 2),
            )
            if middle > target or asked > MOST_QUERIES:
                missed.append(name)
        report.fact("requests_per_series_and_day", REQUESTS_A_DAY)
        report.fact("most_queries", MOST_QUERIES)
        report.fact("targets_missed", ", ".join(missed) or "none")
    report.finish()
    if given.strict and missed:
        raise SystemExit(1)


if __name__ == "__main__":
    main()

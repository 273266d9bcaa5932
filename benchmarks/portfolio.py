"""bin/bench portfolio: server time and queries of the portfolio, with 3 roadmaps and with 30."""

import argparse
import os
import sys
from datetime import timedelta

from benchmarks.dashboard import make_phase
from benchmarks.stack import Report, Stack, median, timed
from benchmarks.usage import fill

COUNTS = (3, 30)
MONTHS = 12
SERIES = 2


def main() -> None:
    parser = argparse.ArgumentParser(prog="bin/bench portfolio", description=__doc__)
    parser.add_argument("--times", type=int, default=10, help="page views measured")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args(sys.argv[1:])
    os.environ["PLAIN_STATIC"] = "1"
    report = Report("portfolio", columns=["roadmaps", "queries", "median ms", "worst ms", "x of the first"])
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
        made, first = 0, 0.0
        for count in COUNTS:
            while made < count:
                phase, start_on = make_phase(f"Roadmap {made}", MONTHS, owner)
                end_on = timezone.localdate() + timedelta(days=1)
                fill(
                    workload_id=phase.roadmap.workload_id,
                    series=SERIES,
                    start_on=start_on,
                    end_on=end_on,
                    name=f"r{made}",
                )
                made += 1
            with connection.cursor() as cursor:
                cursor.execute("ANALYZE")

            def view() -> None:
                answer = client.get("/")
                if answer.status_code != 200:
                    raise SystemExit(f"the portfolio answered {answer.status_code}")

            view()
            with CaptureQueriesContext(connection) as queries:
                view()
            # Counted now: every later request clears the log.
            asked = len(queries)
            seconds = [value * 1000 for value in timed(view, times=given.times)]
            middle = median(seconds)
            first = first or middle
            report.row(count, asked, round(middle, 1), round(max(seconds), 1), round(middle / first, 2))
    report.finish()


if __name__ == "__main__":
    main()

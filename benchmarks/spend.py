"""bin/bench spend: server time and queries of the Spend page, its tabs and files, over 36 months of 40 series."""

import argparse
import os
import sys
from datetime import timedelta

from benchmarks.dashboard import make_phase
from benchmarks.stack import Report, Stack, median, timed
from benchmarks.usage import fill

MONTHS, SERIES = 36, 40
TARGET_MS, MOST_QUERIES = 500, 20
WINDOW = "from={start}&to={end}"
# name, address, whether the target holds for it (files go out as they are read)
CASES = (
    ("by month and roadmap", "/spend/?" + WINDOW, True),
    ("by month and model", "/spend/?by=month,model&" + WINDOW, True),
    ("by phase and provider", "/spend/?by=phase,provider&" + WINDOW, True),
    ("what moved", "/spend/moved/", True),
    ("reconcile", "/spend/reconcile/?" + WINDOW, True),
    ("unallocated", "/spend/unallocated/?" + WINDOW, True),
    ("idle", "/spend/idle/?" + WINDOW, True),
    ("prices", "/spend/prices/", True),
    ("anomalies", "/spend/anomalies/?" + WINDOW, True),
    ("API, four dimensions", "/api/v1/spend?by=month,roadmap,provider,model&" + WINDOW, True),
    ("API, usage and latency", "/api/v1/usage?by=month,model&" + WINDOW, False),
    ("FOCUS by the month", "/spend/focus.csv?grain=month&" + WINDOW, False),
    ("FOCUS by the day", "/spend/focus.csv?" + WINDOW, False),
)


def main() -> None:
    parser = argparse.ArgumentParser(prog="bin/bench spend", description=__doc__)
    parser.add_argument("--times", type=int, default=7, help="page views measured")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--strict", action="store_true", help="end with 1 where a target is missed")
    given = parser.parse_args(sys.argv[1:])
    os.environ["PLAIN_STATIC"] = "1"
    report = Report("spend", columns=["page", "queries", "kB", "median ms", "worst ms"])
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
        phase, start_on = make_phase("Bench", MONTHS, owner)
        end_on = timezone.localdate() + timedelta(days=1)
        written = fill(
            workload_id=phase.roadmap.workload_id, series=SERIES, start_on=start_on, end_on=end_on, name="spend"
        )
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE")
        for name, address, has_target in CASES:
            path = address.format(start=start_on.isoformat(), end=(end_on - timedelta(days=1)).isoformat())
            size = 0

            def view(path: str = path) -> None:
                nonlocal size
                answer = client.get(path)
                if answer.status_code != 200:
                    raise SystemExit(f"{path} answered {answer.status_code}")
                size = sum(len(piece) for piece in answer) if answer.streaming else len(answer.content)

            view()
            with CaptureQueriesContext(connection) as queries:
                view()
            asked = len(queries)
            seconds = [value * 1000 for value in timed(view, times=given.times if has_target else 2, warm_up=0)]
            middle = median(seconds)
            report.row(name, asked, round(size / 1000), round(middle, 1), round(max(seconds), 1))
            if has_target and (middle > TARGET_MS or asked > MOST_QUERIES):
                missed.append(name)
        report.fact("hours_written", written)
        report.fact("months_series", f"{MONTHS} x {SERIES}")
        report.fact("target_ms", TARGET_MS)
        report.fact("targets_missed", ", ".join(missed) or "none")
    report.finish()
    if given.strict and missed:
        raise SystemExit(1)


if __name__ == "__main__":
    main()

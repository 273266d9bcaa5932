"""`manage.py simulate`: usage that nobody had, so that anyone can check the figures of docs/scale.md."""

from __future__ import annotations

import time
from datetime import date
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.models import Workload
from metrics import checking, simulation, sources
from metrics.windows import local_day
from roadmap.demo import simulated

# name, lowest, highest
BOUNDS = (("months", 1, 60), ("series", 1, 100_000), ("roadmaps", 1, 100), ("hours_a_day", 1, 24))
MOST_REQUESTS = 10**15


def _count(text: str) -> int:
    """'1e9' or '1000000'."""
    value = float(text)
    if not value.is_integer():
        raise ValueError(text)
    return int(value)


class Command(BaseCommand):
    help = (
        "Posts simulated usage as folded hours through the ledger, marked as demo data; "
        "started again with the same numbers it goes on where it was stopped."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--months", type=int, default=36)
        parser.add_argument("--series", type=int, default=40)
        parser.add_argument("--requests", type=_count, default=1_000_000, help="In all, like 1e9.")
        parser.add_argument("--roadmaps", type=int, default=4, help="That the series are shared out to.")
        parser.add_argument("--hours-a-day", type=int, default=24, help="UTC hours of a day with traffic.")
        parser.add_argument("--seed", type=int, default=1)
        parser.add_argument("--until", type=date.fromisoformat, help="First day without usage; today unless given.")
        parser.add_argument("--check", action="store_true", help="Then prove that every figure is the ledger's sum.")
        parser.add_argument("--remove", action="store_true", help="Take everything simulated away.")

    def handle(self, *_args: Any, **options: Any) -> None:
        began = time.monotonic()
        if options["remove"]:
            gone = simulated.remove(tell=self.stdout.write)
            self.stdout.write(f"{gone:,} simulated series are gone, in {time.monotonic() - began:.1f} s.")
            return
        self._refuse(options)
        plan = simulation.Plan(
            months=options["months"],
            series=options["series"],
            requests=options["requests"],
            hours_a_day=options["hours_a_day"],
            seed=options["seed"],
        )
        today = options["until"] or local_day(sources.now(), settings.REPORTING_ZONE)
        try:
            workloads = simulated.make_roadmaps(options["roadmaps"], plan.windows(today)[0][0], plan.months)
            written = simulation.post(plan, [one.pk for one in workloads], today=today, tell=self.stdout.write)
        except simulation.OtherPlan as error:
            raise CommandError(f"{error} Take it away with `manage.py simulate --remove` first.") from None
        took = time.monotonic() - began
        self.stdout.write(
            f"{written:,} hours of series written in {took:.1f} s. `manage.py simulate --remove` undoes it."
        )
        for table, size in simulation.sizes().items():
            self.stdout.write(f"  {table}: {size / 2**20:,.1f} MiB")
        if options["check"]:
            findings = checking.check()
            if findings:
                raise CommandError("The ledger and its sums differ: run `manage.py check_ledger`.")
            self.stdout.write("The ledger and its sums agree.")

    def _refuse(self, options: dict[str, Any]) -> None:
        for name, low, high in BOUNDS:
            if not low <= options[name] <= high:
                raise CommandError(f"--{name.replace('_', '-')} is from {low} to {high:,}.")
        if not 1 <= options["requests"] <= MOST_REQUESTS:
            raise CommandError(f"--requests is from 1 to {MOST_REQUESTS:.0e}.")
        if Workload.objects.filter(slug__startswith=simulation.PREFIX, is_demo=False).exists():
            raise CommandError(f"A real roadmap's address begins with '{simulation.PREFIX}'.")

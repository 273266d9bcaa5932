"""`manage.py retain`: what the hourly task merges and drops with age, by hand and to its end."""

from __future__ import annotations

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from metrics import retention, sources


class Command(BaseCommand):
    help = "Merges old ledger entries, thins old receipts and drops what is kept for a time, until all is done."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("jobs", nargs="*", help=f"Any of {', '.join(retention.JOBS)}; all unless given.")
        parser.add_argument("--seconds", type=float, default=float("inf"), help="Stop after about so long.")
        parser.add_argument("--show", action="store_true", help="Only say what was done last.")

    def handle(self, *_args: Any, **options: Any) -> None:
        unknown = sorted(set(options["jobs"]) - set(retention.JOBS))
        if unknown:
            raise CommandError(f"There is no job {', '.join(unknown)}. There are: {', '.join(retention.JOBS)}.")
        if options["show"]:
            self._show()
            return
        found = retention.run(sources.now(), names=options["jobs"], seconds=options["seconds"])
        for one in found:
            rest = "" if one.is_done else ", not done yet"
            rest = f", failed: {one.problem}" if one.problem else rest
            self.stdout.write(f"{one.name}: {one.removed:,} rows taken away in {one.seconds:.1f} s{rest}")
        if any(one.problem for one in found):
            sys.exit(1)

    def _show(self) -> None:
        for job in retention.standing():
            ran = f"last at {job.started_at:%Y-%m-%d %H:%M} UTC" if job.started_at else "never ran"
            done = f", nothing left at {job.done_at:%Y-%m-%d %H:%M}" if job.done_at else ""
            problem = f", failed: {job.problem}" if job.problem else ""
            self.stdout.write(f"{job.name}: {ran}{done}; {job.last_removed:,} rows, {job.removed:,} in all{problem}")

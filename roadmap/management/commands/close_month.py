"""`manage.py close_month 2026-10`: publish a month's reports."""

from __future__ import annotations

from argparse import ArgumentParser
from datetime import datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from metrics.errors import RuleViolation
from roadmap.actions.reports import close_month


class Command(BaseCommand):
    """Publishes what is not published yet; with --revise, a new revision of what has changed since."""

    help = "Publish the reports of a month, for example: close_month 2026-10"

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("month", help="the month, as 2026-10")
        parser.add_argument("--revise", action="store_true", help="revise published reports whose figures have changed")
        parser.add_argument("--why", default="", help="why they are revised; stands in the revisions")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            month = datetime.strptime(options["month"], "%Y-%m").date()  # noqa: DTZ007 (a month has no zone)
        except ValueError as error:
            raise CommandError(f"'{options['month']}' is not a month; write it as 2026-10.") from error
        if options["revise"] and not options["why"].strip():
            raise CommandError("Say why the reports are revised: --why 'OpenAI corrected its usage of October'.")
        try:
            closed = close_month("command close_month", month, revise=options["revise"], why=options["why"].strip())
        except RuleViolation as error:
            raise CommandError(error.message) from error
        for report in (*closed.published, *closed.revised):
            self.stdout.write(f"{report}  sha256 {report.sha256}")
        self.stdout.write(
            f"{month:%B %Y}: {len(closed.published)} published, {len(closed.revised)} revised, "
            f"{closed.unchanged} unchanged."
        )
        for report in closed.waiting:
            self.stdout.write(f"{report}: waits for the reports of its roadmaps.")
        if closed.failed:
            for report, why in closed.failed:
                self.stdout.write(f"{report}: {why}")
            raise CommandError(f"{len(closed.failed)} could not be published; the others are.")

"""`manage.py verify_reports`: check that each published document is the one its hash was made of."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from roadmap.models import Report
from roadmap.reports.snapshot import hash_of


class Command(BaseCommand):
    """Exits 1 and names each report whose document does not match its hash."""

    help = "Check the hash of every report"

    def handle(self, *args: Any, **options: Any) -> None:
        broken = [report for report in Report.objects.iterator() if hash_of(report.payload) != report.sha256]
        for report in broken:
            self.stdout.write(f"{report}: the document does not match its hash {report.sha256}")
        count = Report.objects.count()
        if broken:
            raise CommandError(f"{len(broken)} of {count} reports do not match their hash.")
        self.stdout.write(f"{count} reports match their hash.")

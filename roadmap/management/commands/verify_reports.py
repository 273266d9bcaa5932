"""`manage.py verify_reports`: check that each published document is the one its hash was made of, and has its PDF."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from roadmap.models import Report, ReportFile
from roadmap.reports.snapshot import hash_of

FIRST_WITH_PDF = 2


class Command(BaseCommand):
    """Exits 1 and names each report whose document does not match its hash, or whose PDF is gone."""

    help = "Check the hash of every report"

    def handle(self, *args: Any, **options: Any) -> None:
        published = Report.objects.filter(state=Report.State.PUBLISHED)
        broken = [report for report in published.iterator(chunk_size=100) if hash_of(report.payload) != report.sha256]
        for report in broken:
            self.stdout.write(f"{report}: the document does not match its hash {report.sha256}")
        changed = [
            file
            for file in ReportFile.objects.select_related("report__roadmap__workload").iterator(chunk_size=20)
            if not _holds(file)
        ]
        for file in changed:
            self.stdout.write(f"{file}: the file does not match its hash {file.sha256}")
        # Those of before were published without files.
        bare = list(
            published.defer("payload")
            .filter(schema_version__gte=FIRST_WITH_PDF)
            .exclude(files__kind=ReportFile.Kind.PDF)
        )
        for report in bare:
            self.stdout.write(f"{report}: its PDF is gone")
        count, files = published.count(), ReportFile.objects.count()
        if broken or changed:
            raise CommandError(
                f"{len(broken)} of {count} reports and {len(changed)} of {files} files do not match their hash."
            )
        if bare:
            raise CommandError(f"{len(bare)} of {count} reports have no PDF.")
        self.stdout.write(f"{count} reports and {files} files match their hash.")


def _holds(file: ReportFile) -> bool:
    return sha256(bytes(file.content)).hexdigest() == file.sha256

"""Prove that every figure is the sum of the ledger: `manage.py check_ledger`."""

from __future__ import annotations

import sys

from django.core.management.base import BaseCommand

from metrics import checking


class Command(BaseCommand):
    """Exits with 1 and a listing where something differs."""

    help = "Checks, in one snapshot, that hours equal the ledger's sums, and days and months the hours'."

    def handle(self, *_args: object, **_options: object) -> None:
        findings = checking.check()
        for finding in findings:
            self.stdout.write(f"{finding.count} {finding.what}:")
            for example in finding.examples:
                self.stdout.write(f"  {example}")
            if finding.count > len(finding.examples):
                self.stdout.write(f"  and {finding.count - len(finding.examples)} more")
        if findings:
            self.stdout.write("`manage.py rebuild_usage` sums them again.")
            sys.exit(1)
        self.stdout.write("The ledger and its sums agree.")

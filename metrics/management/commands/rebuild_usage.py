"""Sum hours and days again from the ledger: `manage.py rebuild_usage [--series ID ...]`."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Sequence

from django.core.management.base import BaseCommand

from metrics import checking


class Command(BaseCommand):
    """Runs beside pushes, series by series."""

    help = "Sums hours and histograms again from the ledger, and builds the days."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--series", type=int, nargs="*", help="ids of series; all unless given")

    def handle(
        self, *_args: object, series: Sequence[int] | None = None, verbosity: int = 1, **_options: object
    ) -> None:
        tell = self.stdout.write if verbosity > 1 else lambda _: None
        summed = checking.rebuild(series or None, tell=tell)
        self.stdout.write(f"{summed} hours summed again.")

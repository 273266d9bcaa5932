"""Load exchange rates: `manage.py load_rates [--years 3]`."""

from __future__ import annotations

from argparse import ArgumentParser
from datetime import timedelta

from django.core.management.base import BaseCommand
from django.utils import timezone

from metrics import exchange_rates


class Command(BaseCommand):
    """Idempotent: rates that are there are left as they are."""

    help = "Loads the European Central Bank's exchange rates, up to the release of the package that carries them."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--years", type=int, default=5, help="how far back, 5 unless given")

    def handle(self, *_args: object, **options: int) -> None:
        since = timezone.now().date() - timedelta(days=366 * options["years"])
        loaded = exchange_rates.load(since=since)
        self.stdout.write(f"{loaded} exchange rates loaded.")

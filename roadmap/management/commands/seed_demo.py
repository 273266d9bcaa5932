"""`manage.py seed_demo`: make the demo data."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from metrics.errors import RuleViolation
from roadmap.demo.seed import seed


class Command(BaseCommand):
    """Does nothing where the demo is there already."""

    help = "Make three roadmaps of an invented company, with 18 months of usage"

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            made = seed()
        except RuleViolation as error:
            raise CommandError(error.message) from error
        self.stdout.write("Demo data made." if made else "The demo data is there already.")

"""`manage.py remove_demo`: delete the demo data and keep everything else."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from roadmap.demo.removal import remove


class Command(BaseCommand):
    """Deletes what is marked demo, and says what of it was kept."""

    help = "Delete the demo data; everything that is not demo stays"

    def handle(self, *args: Any, **options: Any) -> None:
        kept = remove("command remove_demo")
        self.stdout.write("The demo data is gone; everything else is as it was.")
        for line in kept:
            self.stdout.write(f"Kept: {line}.")

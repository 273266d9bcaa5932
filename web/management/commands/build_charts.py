"""`manage.py build_charts`: the chart library for the browser. Run before collectstatic."""

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from web.charts import build_bundle, bundle_path


class Command(BaseCommand):
    """Does nothing when the bundle of this version is there."""

    help = "Build the chart library for the browser from the installed vl-convert, unless it is there."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--force", action="store_true", help="Build it even if it is there.")

    def handle(self, *args: Any, **options: Any) -> None:
        built = build_bundle(force=options["force"])
        self.stdout.write(f"{'Built' if built else 'Already there:'} {bundle_path()}")

"""Lists the presets of servers' metrics, or checks one file of an operator's own."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from metrics.connectors.presets.catalogue import DCGM, all_presets
from metrics.connectors.presets.describing import markdown
from metrics.connectors.presets.table import TableError, read_file


class Command(BaseCommand):
    """`manage.py list_presets [FILE]`: the tables as docs/connectors/presets.md has them."""

    help = "List the presets of servers' metrics; with a file: check it and show what it reads."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", nargs="?", type=Path, help="a preset of your own, *.toml")

    def handle(self, *args: Any, file: Path | None = None, **options: Any) -> None:
        if file is None:
            self.stdout.write("\n".join(markdown(preset) for preset in (*all_presets(), DCGM)), ending="")
            return
        try:
            self.stdout.write(markdown(read_file(file, is_own=True)), ending="")
        except TableError as error:
            raise CommandError(f"{file}: {error}.") from None

"""`manage.py import_plan plan.xlsx --as NAME`: a plan from a spreadsheet, previewed unless --confirm is given."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from accounts.access import Asker
from accounts.models import User
from metrics.errors import RuleViolation
from roadmap.imports.cells import DATE_ORDERS, DECIMAL_MARKS, Choices
from roadmap.imports.outcome import ImportResult
from roadmap.imports.run import BY_NAME, run_import
from roadmap.imports.tables import ENCODINGS


class Command(BaseCommand):
    """Ends with status 1 where a row is refused, so that a script notices; the others are imported all the same."""

    help = "Import roadmaps, milestones, KPIs, readings and cost entries from an XLSX or CSV file."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument("--as", dest="person", required=True, help="user name of who imports: their rights count")
        parser.add_argument("--confirm", action="store_true", help="import; without it, say what would change")
        parser.add_argument("--kind", choices=BY_NAME, default="", help="what a CSV holds, where it does not say")
        parser.add_argument("--encoding", choices=ENCODINGS, default="", help="of a CSV that is not UTF-8")
        parser.add_argument("--dates", choices=DATE_ORDERS, default="", help="how days with strokes are written")
        parser.add_argument("--decimal", choices=DECIMAL_MARKS, default="", help="the decimal mark")

    def handle(self, *args: Any, **options: Any) -> None:
        person = User.objects.filter(username=options["person"], is_active=True).first()
        if person is None:
            raise CommandError(f"Nobody who may sign in is called '{options['person']}'.")
        choices = Choices(
            kind=options["kind"],
            encoding=options["encoding"],
            date_order=options["dates"],
            decimal_mark=options["decimal"],
        )
        path: Path = options["file"]
        try:
            content = path.read_bytes()
        except OSError as error:
            raise CommandError(f"{path} cannot be read: {error.strerror}.") from error
        try:
            result = run_import(Asker(person), content, choices, dry_run=not options["confirm"], name=path.name)
        except RuleViolation as error:
            raise CommandError(error.message) from error
        self._say(result)
        self.stdout.write(f"{'Imported' if options['confirm'] else 'Would be'}: {result.words}.")
        if result.counts["refused"]:
            raise CommandError("Not every row was taken.")

    def _say(self, result: ImportResult) -> None:
        for note in result.notes:
            self.stdout.write(note)
        for sheet in result.sheets:
            if sheet.unknown:
                self.stdout.write(f"{sheet.title}: not read: {', '.join(use.header for use in sheet.unknown)}.")
            if sheet.problem:
                self.stdout.write(f"{sheet.title}: {sheet.problem.message}")
            for row in sheet.rows:
                for problem in row.problems:
                    column = f", {problem.column}" if problem.column else ""
                    self.stdout.write(f"{sheet.title}, line {row.line}{column}: {problem.message}")
                for change in row.changes if row.outcome == "changed" else ():
                    self.stdout.write(
                        f"{sheet.title}, line {row.line}, {row.name}: {change.column} {change.before or 'none'} > "
                        f"{change.after or 'none'}"
                    )
            if sheet.missing_count:
                self.stdout.write(f"{sheet.title}: {sheet.missing_count} in Phaseline and not in the file; they stay.")

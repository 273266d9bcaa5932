"""`manage.py reprice`: price usage again at the prices now in force, as receipts of differences."""

from __future__ import annotations

from datetime import date
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from metrics.actions.repricing import follow_capacity, reprice
from metrics.errors import RuleViolation
from metrics.models import Backend


class Command(BaseCommand):
    help = "Prices usage of local days again at the prices now in force, and posts the differences as a receipt."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--from", dest="from_on", type=date.fromisoformat, required=True, help="First day.")
        parser.add_argument("--until", dest="until_on", type=date.fromisoformat, required=True, help="Last day.")
        parser.add_argument("--backend", default="", help="Slug of one backend; all unless given.")
        parser.add_argument("--model", default="", help="One model; all unless given.")
        parser.add_argument("--note", default="", help="Why, for the receipt.")
        parser.add_argument("--dry-run", action="store_true", help="Say what would change, and post nothing.")

    def handle(self, *args: Any, **options: Any) -> None:
        backend = None
        if options["backend"]:
            backend = Backend.objects.filter(slug=options["backend"]).first()
            if backend is None:
                raise CommandError(f"There is no backend '{options['backend']}'.")
        try:
            results = reprice(
                "command reprice",
                from_on=options["from_on"],
                until_on=options["until_on"],
                backend=backend,
                model=options["model"],
                note=options["note"],
                is_trial=options["dry_run"],
            )
        except RuleViolation as error:
            raise CommandError(error.message) from None
        for result in results:
            amounts = ", ".join(f"{amount:+,.2f} {currency}" for currency, amount in sorted(result.amounts.items()))
            what = "would change" if options["dry_run"] else "changed"
            self.stdout.write(f"{result.backend.name}: {result.hours:,} hours {what} {amounts or 'by nothing'}")
            for line in result.left_in_words:
                self.stdout.write(f"  left as they are, {line}")
            if result.receipt is not None:
                self.stdout.write(f"  receipt {result.receipt.uuid}")
        if not results:
            self.stdout.write("No usage in these days.")
        follow_capacity(results, options["from_on"])

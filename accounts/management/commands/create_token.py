"""`manage.py create_token`: makes a token and prints its text alone on the last line."""

from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from accounts.access import Asker
from accounts.actions import issue_token
from accounts.errors import AccessViolation
from accounts.models import Token, User, Workload
from accounts.tokens import TOO_FAR_OFF


class Command(BaseCommand):
    """Under the same rules as the page: a token never may more than its owner."""

    help = "Make a token; its text is printed alone on the last line, and nowhere kept."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--name", required=True, help="what uses it")
        parser.add_argument("--owner", required=True, help="user name of the person it acts for")
        parser.add_argument("--scope", action="append", required=True, choices=Token.SCOPES, help="may be given again")
        parser.add_argument("--roadmap", default="", metavar="SLUG", help="bind it to one roadmap")
        parser.add_argument("--expires-days", type=int, default=0, metavar="N", help="default: never")
        parser.add_argument("--measured-at", default=Token.MeasuredAt.APPLICATION, choices=Token.MeasuredAt.values)
        parser.add_argument("--through", default="", metavar="SLUG", help="gateway or backend its traffic goes through")

    def handle(self, *args: Any, **options: Any) -> None:
        owner = User.objects.filter(username=options["owner"], is_active=True).first()
        if owner is None:
            raise CommandError(f"There is no person '{options['owner']}' who may sign in.")
        workload = None
        if options["roadmap"]:
            workload = Workload.objects.filter(slug=options["roadmap"]).first()
            if workload is None:
                known = ", ".join(Workload.objects.values_list("slug", flat=True)[:20]) or "none yet"
                raise CommandError(f"There is no roadmap '{options['roadmap']}'. Known: {known}.")
        days = options["expires_days"]
        try:
            token, text = issue_token(
                Asker(owner),
                name=options["name"],
                scopes=list(dict.fromkeys(options["scope"])),
                workload=workload,
                measured_at=options["measured_at"],
                through=options["through"],
                expires_at=timezone.now() + timedelta(days=days) if days else None,
            )
        except AccessViolation as violation:
            raise CommandError(violation.message) from violation
        except OverflowError as error:
            raise CommandError(str(TOO_FAR_OFF)) from error
        self.stdout.write(f"Token '{token.name}' of {owner.display_name}. Its text is shown this once:")
        self.stdout.write(text)

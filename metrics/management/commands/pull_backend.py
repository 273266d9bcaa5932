"""`manage.py pull_backend SLUG`: one pull now, without a worker."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from metrics.models import Backend
from metrics.pull import pull
from web import wording


class Command(BaseCommand):
    """Ends with status 1 where the pull failed, so that a script notices."""

    help = "Pulls one backend now and says what was found."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("slug")

    def handle(self, *args: Any, slug: str, **options: Any) -> None:
        backend = Backend.objects.filter(slug=slug).first()
        if backend is None:
            raise CommandError(f"There is no backend '{slug}'.")
        before = backend.pulls.first()
        found = pull(backend.pk)
        log = backend.pulls.first()
        backend.refresh_from_db()
        if found is None and log == before and backend.resting_until is not None:
            raise CommandError(f"The source asked to be left alone until {wording.moment(backend.resting_until)}.")
        if found is None:
            raise CommandError(log.message if log else f"{backend} is not pulled: it is pushed to, or was removed.")
        self.stdout.write(log.message if log else "Read.")

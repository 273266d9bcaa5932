"""`manage.py rotate_secrets`: every stored secret encrypted anew with the first key, so that older keys can go."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from metrics.actions.secrets import rotate_secrets


class Command(BaseCommand):
    """Ends with status 1 where a secret cannot be read with any key."""

    help = (
        "Encrypts every stored secret with the first key of PHASELINE_ENCRYPTION_KEYS; then older keys can be removed."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--check", action="store_true", help="only say how many are under an older key")

    def handle(self, *args: Any, check: bool, **options: Any) -> None:
        try:
            found = rotate_secrets(is_check=check)
        except ValueError:
            raise CommandError("Set PHASELINE_ENCRYPTION_KEYS to Fernet keys first; the first one encrypts.") from None
        verb = "are under an older key" if check else "are encrypted with the first key now"
        self.stdout.write(f"{found.rotated} secrets {verb}, {found.current} were under it already.")
        if found.unreadable:
            names = ", ".join(found.unreadable)
            raise CommandError(
                f"No key fits the secrets of {names}. Put the former key back into PHASELINE_ENCRYPTION_KEYS, "
                "or enter them again: on the backend's page, a person's address under their Notifications."
            )
        if not check or not found.rotated:
            self.stdout.write("The other keys of PHASELINE_ENCRYPTION_KEYS are needed no more, but for older backups.")

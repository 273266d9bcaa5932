"""manage.py first_roadmap: an empty roadmap to begin with. Prints its slug on the last line."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db.models import Q

from accounts.models import OrganisationRole, User
from roadmap.actions.roadmaps import ensure_first_roadmap

NO_ADMIN = "There is no admin yet. Open the set-up link first: manage.py setup_link prints one."


class Command(BaseCommand):
    """Makes 'My first roadmap' where there is none; run again it finds the same one."""

    help = "Make the empty roadmap 'My first roadmap' from the general template, its PoC started today."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--owner", default="", help="user name of its owner; default: the first admin")

    def handle(self, *args: Any, owner: str, **options: Any) -> None:
        person = User.objects.filter(username=owner).first() if owner else self._first_admin()
        if person is None:
            raise CommandError(f"There is no person '{owner}'." if owner else NO_ADMIN)
        # Whoever runs commands here may make roadmaps; the account itself gets no such right, since this is not saved.
        person.is_superuser = True
        roadmap = ensure_first_roadmap(person)
        self.stdout.write(f"'{roadmap.name}' belongs to {roadmap.owner.display_name}.")
        self.stdout.write(roadmap.slug)

    def _first_admin(self) -> User | None:
        """One who is not the demo's comes first: the demo's people go with the demo."""
        admins = User.objects.filter(Q(organisation_role=OrganisationRole.ADMIN) | Q(is_superuser=True), is_active=True)
        return admins.order_by("is_demo", "pk").first()

"""manage.py first_roadmap: an empty roadmap to begin with, for the first admin. Prints its slug on the last line."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db.models import Q

from accounts.models import OrganisationRole, User
from roadmap.actions.roadmaps import ensure_first_roadmap


class Command(BaseCommand):
    """Makes 'My first roadmap' where there is none; run again it finds the same one."""

    help = "Make the empty roadmap 'My first roadmap' from the general template, its PoC started today."

    def handle(self, *args: Any, **options: Any) -> None:
        admins = User.objects.filter(Q(organisation_role=OrganisationRole.ADMIN) | Q(is_superuser=True), is_active=True)
        # One who is not the demo's comes first: the demo's people go with the demo.
        owner = admins.order_by("is_demo", "pk").first()
        if owner is None:
            raise CommandError("There is no admin yet. Open the set-up link first: manage.py setup_link prints one.")
        roadmap = ensure_first_roadmap(owner)
        self.stdout.write(f"'{roadmap.name}' belongs to {roadmap.owner.display_name}.")
        self.stdout.write(roadmap.slug)

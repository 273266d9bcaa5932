"""`manage.py setup_link`: prints a one-time address with which an admin can be made. Valid for one hour."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand
from django.urls import reverse

from accounts.tokens import make_setup_link


class Command(BaseCommand):
    """The address is printed and nowhere stored."""

    help = "Print a one-time address (1 hour) with which an admin can be made."

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(settings.BASE_URL + reverse("setup", args=[make_setup_link()]))

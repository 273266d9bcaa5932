"""A person who signs in."""

from django.contrib.auth.models import AbstractUser
from django.db import models
from django.utils.translation import gettext_lazy


class OrganisationRole(models.TextChoices):
    """What a person may do everywhere; what they may do for one workload is a membership."""

    ADMIN = "admin", gettext_lazy("Admin")
    EXECUTIVE = "executive", gettext_lazy("Executive")
    MEMBER = "member", gettext_lazy("Member")


class User(AbstractUser):
    """Admins change everything, executives read everything, members see the workloads they belong to."""

    organisation_role = models.CharField(
        max_length=16, choices=OrganisationRole.choices, default=OrganisationRole.MEMBER
    )
    is_demo = models.BooleanField(default=False)
    # A code of settings.LANGUAGES; empty: what the browser asks for.
    language = models.CharField(max_length=16, blank=True, default="")

    class Meta(AbstractUser.Meta):
        constraints = [
            models.CheckConstraint(
                condition=models.Q(organisation_role__in=OrganisationRole.values), name="user_organisation_role_known"
            )
        ]

    def __str__(self) -> str:
        return self.display_name

    @property
    def display_name(self) -> str:
        """The full name, else the user name."""
        return self.get_full_name() or self.username

    @property
    def is_admin(self) -> bool:
        return self.is_active and (self.organisation_role == OrganisationRole.ADMIN or self.is_superuser)

    @property
    def reads_all(self) -> bool:
        """Admins and executives see every workload."""
        return self.is_admin or (self.is_active and self.organisation_role == OrganisationRole.EXECUTIVE)

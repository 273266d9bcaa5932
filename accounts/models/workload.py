"""What usage is pushed for and allocated to, and what people are members of."""

from django.conf import settings
from django.core.validators import RegexValidator
from django.db import models
from django.utils.translation import gettext_lazy

slug_validator = RegexValidator(
    r"^[a-z0-9]+(-[a-z0-9]+)*$", gettext_lazy("Use lower-case letters, digits and single hyphens.")
)


class Workload(models.Model):
    """Owned by one roadmap, with the same slug."""

    slug = models.CharField(max_length=80, unique=True, validators=[slug_validator])
    name = models.CharField(max_length=200)
    is_demo = models.BooleanField(default=False)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["name", "id"]

    def __str__(self) -> str:
        return self.name


class Role(models.TextChoices):
    """What a member may do for one workload, each including the ones after it."""

    MANAGER = "manager", gettext_lazy("Manager")
    CONTRIBUTOR = "contributor", gettext_lazy("Contributor")
    VIEWER = "viewer", gettext_lazy("Viewer")


class Membership(models.Model):
    """One person's role for one workload."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="memberships")
    workload = models.ForeignKey(Workload, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=16, choices=Role.choices)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["user", "workload"], name="one_membership_per_person_and_workload"),
            models.CheckConstraint(condition=models.Q(role__in=Role.values), name="membership_role_known"),
        ]

    def __str__(self) -> str:
        return f"{self.user}: {self.get_role_display()} of {self.workload}"

"""Private links: who knows one reads one published report, without signing in."""

from datetime import datetime

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from roadmap.models.report import Report


class ReportLink(models.Model):
    """A link to one revision. Of its secret only the SHA-256 is kept; of its use how often and when last, not by whom.

    It ends with its report, with its maker's account, on its day, or when somebody revokes it.
    """

    class State(models.TextChoices):
        """Whether it is answered."""

        WORKS = "works", _("Works")
        EXPIRED = "expired", _("Expired")
        REVOKED = "revoked", _("Revoked")
        MAKER_LEFT = "maker_left", _("Its maker’s account ended")

    report = models.ForeignKey(Report, on_delete=models.CASCADE, related_name="links")
    digest = models.BinaryField(max_length=32, unique=True)
    label = models.CharField(max_length=100)
    created_at = models.DateTimeField()
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    expires_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True, blank=True)
    revoked_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    uses = models.PositiveBigIntegerField(default=0)
    last_used_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-created_at", "-id"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(expires_at__gt=models.F("created_at")), name="report_link_ends_after_it_begins"
            )
        ]

    def __str__(self) -> str:
        return f"{self.label}: {self.report}"

    def state_at(self, now: datetime) -> State:
        """The first reason for which it is not answered at that moment."""
        if self.revoked_at is not None:
            return self.State.REVOKED
        if self.expires_at <= now:
            return self.State.EXPIRED
        return self.State.WORKS if self.created_by.is_active else self.State.MAKER_LEFT

"""Who changed what, and when. Append-only: a trigger of the database refuses UPDATE, DELETE and TRUNCATE."""

from django.conf import settings
from django.db import models
from django.utils import timezone

from accounts.models.workload import Workload


class AuditEvent(models.Model):
    """One change made by a person, a token or a command. `before` and `after` hold the changed fields as text.

    Person and workload stand as numbers without a constraint, and beside them in words: when one of them is deleted the
    row stays exactly as it was written. The demo's rows may be deleted, and go with the demo.
    """

    at = models.DateTimeField(default=timezone.now, db_index=True)
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.DO_NOTHING,
        db_constraint=False,
        null=True,
        blank=True,
        related_name="+",
    )
    # Who it was, in words, also when the person is gone: "Sanne Visser", "token ci-push", "command seed_demo".
    actor_name = models.CharField(max_length=200)
    # From where: "192.0.2.4", "REST token ci-push, 192.0.2.4", "command create_token", "task roadmap.close_due_months".
    origin = models.CharField(max_length=200, blank=True, default="")
    action = models.CharField(max_length=64)
    subject_type = models.CharField(max_length=64)
    subject_id = models.CharField(max_length=64)
    subject_name = models.CharField(max_length=300)
    workload = models.ForeignKey(
        Workload, on_delete=models.DO_NOTHING, db_constraint=False, null=True, blank=True, related_name="+"
    )
    workload_name = models.CharField(max_length=200, blank=True, default="")
    before = models.JSONField(null=True, blank=True)
    after = models.JSONField(null=True, blank=True)
    is_demo = models.BooleanField(default=False)

    class Meta:
        ordering = ["-at", "-id"]
        indexes = [models.Index(fields=["workload", "-at"]), models.Index(fields=["subject_type", "subject_id"])]

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M} {self.actor_name}: {self.action} {self.subject_name}"

"""What people are told: the outbox of what happened, and one row for each person and channel that hears of it."""

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy

from accounts.models import AuditEvent, Workload


class Notice(models.Model):
    """Something that people may be told of; written once, in the transaction of what happened or when a day has come.

    `key` names the occasion, so that the same one is noted once: "audit:123", "milestone_late:45:2026-12-03". Who is
    told, and in which words, is worked out when it is spread.
    """

    key = models.CharField(max_length=200, unique=True)
    # The action of an audit row, or one of roadmap.rules.notices.DATED.
    kind = models.CharField(max_length=64)
    event = models.ForeignKey(
        AuditEvent, on_delete=models.DO_NOTHING, db_constraint=False, null=True, blank=True, related_name="+"
    )
    # Which row it is about, of the model that the kind says.
    subject_id = models.BigIntegerField(null=True, blank=True)
    # None: of no single roadmap; then only admins, or the person it is made for, are told.
    workload = models.ForeignKey(Workload, on_delete=models.CASCADE, null=True, blank=True, related_name="+")
    # What was known when the day came: title, text, url, people (ids).
    details = models.JSONField(default=dict, blank=True)
    at = models.DateTimeField(default=timezone.now)
    # When its deliveries were made; null: still to do.
    spread_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes = [
            models.Index(fields=["id"], name="notice_to_spread", condition=models.Q(spread_at=None)),
            models.Index(fields=["subject_id", "kind"], name="notice_by_subject"),
        ]

    def __str__(self) -> str:
        return self.key


class Delivery(models.Model):
    """One notice to one person through one channel: sent once. Rows with the same `batch` go in one message."""

    class State(models.TextChoices):
        """`dropped`: the person no longer sees the roadmap, or has chosen otherwise since; nothing was sent."""

        WAITING = "waiting", gettext_lazy("Waiting")
        SENDING = "sending", gettext_lazy("Being sent")
        SENT = "sent", gettext_lazy("Sent")
        FAILED = "failed", gettext_lazy("Not delivered")
        DROPPED = "dropped", gettext_lazy("Dropped")

    notice = models.ForeignKey(Notice, on_delete=models.CASCADE, related_name="deliveries")
    # One of roadmap.rules.notices.KINDS; a notice may be more than one thing to the same person.
    kind = models.CharField(max_length=16)
    person = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    channel = models.CharField(max_length=16)
    title = models.CharField(max_length=300)
    text = models.TextField(blank=True, default="")
    # A path of this installation.
    url = models.CharField(max_length=300, blank=True, default="")
    state = models.CharField(max_length=16, choices=State.choices, default=State.WAITING)
    due_at = models.DateTimeField(default=timezone.now)
    # A worker has it in hand until then; later it is anybody's again.
    claimed_until = models.DateTimeField(null=True, blank=True)
    # Given when it is first taken up, and kept: a message that is repeated carries the same id.
    batch = models.UUIDField(null=True, blank=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    # Why it was not delivered, in words, secrets removed.
    problem = models.TextField(blank=True, default="")
    created_at = models.DateTimeField(default=timezone.now)
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["notice", "kind", "person", "channel"], name="one_delivery_per_person_and_channel"
            ),
            models.CheckConstraint(
                condition=models.Q(state__in=["waiting", "sending", "sent", "failed", "dropped"]),
                name="delivery_state_known",
            ),
        ]
        indexes = [
            models.Index(
                fields=["due_at"], name="delivery_to_do", condition=models.Q(state__in=["waiting", "sending"])
            ),
            models.Index(fields=["person", "-created_at"]),
            models.Index(fields=["batch"], name="delivery_batch"),
        ]

    def __str__(self) -> str:
        return f"{self.channel} to {self.person}: {self.title}"


class NoticeSettings(models.Model):
    """What one person wants to hear and where; without a row, and for a kind that is not named, the defaults hold."""

    person = models.OneToOneField(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="notice_settings")
    # An IANA name; empty: the organisation's.
    zone = models.CharField(max_length=64, blank=True, default="")
    # {"mention": ["mail", "slack"], ...}
    channels = models.JSONField(default=dict, blank=True)

    def __str__(self) -> str:
        return f"Notifications of {self.person}"

"""Who gets reports by mail, and one row for each report and mailbox: the lock under which a report is sent once."""

import uuid

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from roadmap.models.report import Report
from roadmap.models.roadmap import Programme, Roadmap


class ReportSubscription(models.Model):
    """The reports of a roadmap, a programme or the portfolio go to a person, or to a mail address without an account.

    A person's counts only while they may see the report, which is asked when it is sent.
    """

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    scope = models.CharField(max_length=16, choices=Report.Scope.choices)
    roadmap = models.ForeignKey(Roadmap, on_delete=models.CASCADE, null=True, blank=True, related_name="+")
    programme = models.ForeignKey(Programme, on_delete=models.CASCADE, null=True, blank=True, related_name="+")
    person = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, null=True, blank=True, related_name="report_subscriptions"
    )
    # Of a board member without an account; empty for a person, whose own address holds.
    address = models.CharField(max_length=254, blank=True, default="")
    # The address as it is compared (roadmap.rules.report_mail.mailbox).
    mailbox = models.CharField(max_length=320, blank=True, default="")
    # One of roadmap.rules.report_mail.LANGUAGES; empty: the person's, else the organisation's.
    language = models.CharField(max_length=8, blank=True, default="")
    is_on = models.BooleanField(default=True)
    # When the reader ended it by the link in a mail. Nobody else turns it on again.
    ended_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    created_by_name = models.CharField(max_length=200, blank=True, default="")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["scope", "roadmap", "programme", "person"],
                name="one_report_subscription_per_person",
                condition=models.Q(person__isnull=False),
                nulls_distinct=False,
            ),
            models.UniqueConstraint(
                fields=["scope", "roadmap", "programme", "mailbox"],
                name="one_report_subscription_per_mailbox",
                condition=models.Q(person__isnull=True),
                nulls_distinct=False,
            ),
            models.CheckConstraint(
                condition=models.Q(scope="roadmap", roadmap__isnull=False, programme__isnull=True)
                | models.Q(scope="programme", roadmap__isnull=True, programme__isnull=False)
                | models.Q(scope="portfolio", roadmap__isnull=True, programme__isnull=True),
                name="report_subscription_scope_matches",
            ),
            models.CheckConstraint(
                condition=models.Q(person__isnull=False, address="", mailbox="")
                | (models.Q(person__isnull=True) & ~models.Q(address="") & ~models.Q(mailbox="")),
                name="report_subscription_person_or_address",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.about} to {self.reader}"

    @property
    def about(self) -> str:
        """Whose reports: the roadmap's or programme's name, or 'Portfolio'."""
        return str(self.roadmap or self.programme or "Portfolio")

    @property
    def reader(self) -> str:
        """The person's name, else the address."""
        return self.person.display_name if self.person else self.address


class ReportMail(models.Model):
    """One published report to one mailbox. The row is made when the report is published, in the same transaction.

    `waiting` > `sending` (a worker has it, the mail server not) > `handing` (the server was given the last byte,
    its answer is not noted yet) > `sent`. What is found in `handing` after its worker is gone becomes `unknown`
    and is never sent again by itself (docs/adr/0023).
    """

    class State(models.TextChoices):
        """`dropped`: the reader no longer sees the report, or has ended the subscription; nothing was sent."""

        WAITING = "waiting", _("Waiting")
        SENDING = "sending", _("Being sent")
        HANDING = "handing", _("Being handed over")
        SENT = "sent", _("Sent")
        FAILED = "failed", _("Not delivered")
        UNKNOWN = "unknown", _("Perhaps delivered")
        DROPPED = "dropped", _("Dropped")

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    report = models.ForeignKey(Report, on_delete=models.CASCADE, related_name="mails")
    # The mailbox as it is compared; of a person without a mail address 'person:<id>'. With the report: the send lock.
    recipient = models.CharField(max_length=320)
    subscription = models.ForeignKey(
        ReportSubscription, on_delete=models.SET_NULL, null=True, blank=True, related_name="mails"
    )
    person = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    address = models.CharField(max_length=254, blank=True, default="")
    language = models.CharField(max_length=8)
    state = models.CharField(max_length=16, choices=State.choices, default=State.WAITING)
    due_at = models.DateTimeField(default=timezone.now)
    # A worker has it in hand until then; later it is anybody's again, or unknown.
    claimed_until = models.DateTimeField(null=True, blank=True)
    claim = models.UUIDField(null=True, blank=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    # Why it was not delivered, in words, secrets removed; and what the server said when it took it.
    problem = models.TextField(blank=True, default="")
    answer = models.CharField(max_length=300, blank=True, default="")
    created_at = models.DateTimeField(default=timezone.now)
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["report", "recipient"], name="one_mail_per_report_and_mailbox"),
            models.CheckConstraint(
                condition=models.Q(state__in=["waiting", "sending", "handing", "sent", "failed", "unknown", "dropped"]),
                name="report_mail_state_known",
            ),
        ]
        indexes = [
            models.Index(
                fields=["due_at"],
                name="report_mail_to_do",
                condition=models.Q(state__in=["waiting", "sending", "handing"]),
            ),
            models.Index(fields=["report", "state"], name="report_mail_by_state"),
        ]

    def __str__(self) -> str:
        return f"{self.report} to {self.address or self.recipient}"

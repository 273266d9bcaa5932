"""Where a person wants to be told beside their mail address."""

from django.conf import settings
from django.db import models
from django.utils import timezone


class PersonAddress(models.Model):
    """The address of a chat's webhook or of a person's own. Whoever knows it may post there: it is kept as a secret."""

    class Channel(models.TextChoices):
        """What takes an address of its own; mail goes to the person's mail address."""

        SLACK = "slack", "Slack"
        TEAMS = "teams", "Teams"
        WEBHOOK = "webhook", "Webhook"

    person = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="addresses")
    channel = models.CharField(max_length=16, choices=Channel.choices)
    # The address, and a webhook's signing secret, encrypted (metrics.webhooks); never shown again.
    sealed = models.BinaryField()
    # What is shown of it: the host.
    shown = models.CharField(max_length=253)
    changed_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["person", "channel"], name="one_address_per_person_and_channel"),
            models.CheckConstraint(
                condition=models.Q(channel__in=["slack", "teams", "webhook"]), name="person_address_channel_known"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_channel_display()} of {self.person}"

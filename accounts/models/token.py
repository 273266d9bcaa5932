"""Tokens with which programs sign in, and the link that makes the first admin."""

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils.translation import gettext_lazy

from accounts.models.workload import Workload

# Of a token that was not read by its text.
UNREAD = ""


class Token(models.Model):
    """A bearer token. Its text is shown once; only its SHA-256 is kept, and its first characters to recognise it by."""

    SCOPES = ("read", "push", "manage")

    class MeasuredAt(models.TextChoices):
        """Where its sender sees the requests (measures.md, 'Counted once')."""

        APPLICATION = "application", gettext_lazy("Application")
        GATEWAY = "gateway", gettext_lazy("Gateway")
        SERVER = "server", gettext_lazy("Server")

    class Signal(models.TextChoices):
        """Which of OpenTelemetry's two signals counts where both arrive (api.md, OpenTelemetry)."""

        METRICS = "metrics", gettext_lazy("Metrics")
        TRACES = "traces", gettext_lazy("Traces")

    name = models.CharField(max_length=100)
    digest = models.BinaryField(max_length=32, unique=True)
    prefix = models.CharField(max_length=16)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="tokens")
    scopes = ArrayField(models.CharField(max_length=16))
    workload = models.ForeignKey(Workload, on_delete=models.CASCADE, null=True, blank=True, related_name="tokens")
    measured_at = models.CharField(max_length=16, choices=MeasuredAt.choices, default=MeasuredAt.APPLICATION)
    # Slug of the gateway or backend that this sender's traffic goes through; empty where it is not known.
    through = models.CharField(max_length=80, blank=True, default="")
    signal = models.CharField(max_length=8, choices=Signal.choices, default=Signal.METRICS)
    # Whether the tokens that agents, tools and workflows report are nobody else's; else they repeat their calls'.
    counts_step_tokens = models.BooleanField(default=False)
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)
    is_demo = models.BooleanField(default=False)
    # The owner's role for the workload when the token was read; None where they have none, or it has none.
    owner_role: str | None = UNREAD

    class Meta:
        ordering = ["-created_at", "-id"]

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"


class SetupLink(models.Model):
    """A one-time link with which the first admin is made; its text is never stored."""

    digest = models.BinaryField(max_length=32, unique=True)
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"Setup link of {self.created_at:%Y-%m-%d %H:%M}"

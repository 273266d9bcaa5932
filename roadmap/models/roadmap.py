"""The plan to adopt AI for one use case."""

from django.conf import settings
from django.db import models
from django.urls import reverse
from django.utils.translation import gettext_lazy

from accounts.models import Workload


class Programme(models.Model):
    """Roadmaps shown and reported together."""

    name = models.CharField(max_length=120, unique=True)
    is_demo = models.BooleanField(default=False)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class Roadmap(models.Model):
    """Three phases in a row for one use case. Owns one workload, with the same slug and name."""

    class State(models.TextChoices):
        """Where it stands; `live` has passed its last gate."""

        PROPOSED = "proposed", gettext_lazy("Proposed")
        ACTIVE = "active", gettext_lazy("Active")
        PAUSED = "paused", gettext_lazy("Paused")
        STOPPED = "stopped", gettext_lazy("Stopped")
        LIVE = "live", gettext_lazy("Live")

    class RiskClass(models.TextChoices):
        """The EU AI Act's."""

        MINIMAL = "minimal", gettext_lazy("Minimal")
        LIMITED = "limited", gettext_lazy("Limited")
        HIGH = "high", gettext_lazy("High")

    class DataClass(models.TextChoices):
        """The most sensitive data it handles."""

        PUBLIC = "public", gettext_lazy("Public")
        INTERNAL = "internal", gettext_lazy("Internal")
        CONFIDENTIAL = "confidential", gettext_lazy("Confidential")
        PERSONAL = "personal", gettext_lazy("Personal")

    class UnitOfWork(models.TextChoices):
        """What its efficiency is measured in."""

        TOKEN = "token", gettext_lazy("Token")  # noqa: S105 (a unit, not a secret)
        REQUEST = "request", gettext_lazy("Request")
        IMAGE = "image", gettext_lazy("Image")
        AUDIO_SECOND = "audio_second", gettext_lazy("Second of audio")
        VIDEO_SECOND = "video_second", gettext_lazy("Second of video")
        JOB = "job", gettext_lazy("Job")

    workload = models.OneToOneField(Workload, on_delete=models.PROTECT, related_name="roadmap")
    summary = models.TextField(blank=True, default="")
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="owned_roadmaps")
    sponsor = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="sponsored_roadmaps"
    )
    programme = models.ForeignKey(Programme, on_delete=models.SET_NULL, null=True, blank=True, related_name="roadmaps")
    industry = models.CharField(max_length=60, blank=True, default="")
    business_unit = models.CharField(max_length=120, blank=True, default="")
    cost_centre = models.CharField(max_length=60, blank=True, default="")
    risk_class = models.CharField(max_length=16, choices=RiskClass.choices, default=RiskClass.LIMITED)
    data_class = models.CharField(max_length=16, choices=DataClass.choices, default=DataClass.INTERNAL)
    unit_of_work = models.CharField(max_length=16, choices=UnitOfWork.choices, default=UnitOfWork.TOKEN)
    state = models.CharField(max_length=16, choices=State.choices, default=State.PROPOSED)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["workload__name", "id"]

    def __str__(self) -> str:
        return self.workload.name

    def get_absolute_url(self) -> str:
        return reverse("roadmap", args=[self.slug])

    @property
    def slug(self) -> str:
        return self.workload.slug

    @property
    def name(self) -> str:
        return self.workload.name

"""What the manager says and worries about."""

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy

from roadmap.models.roadmap import Roadmap


class Update(models.Model):
    """The manager's status and sentence. Old ones stay readable."""

    class Status(models.TextChoices):
        """In words."""

        ON_TRACK = "on_track", gettext_lazy("On track")
        AT_RISK = "at_risk", gettext_lazy("At risk")
        OFF_TRACK = "off_track", gettext_lazy("Off track")

    roadmap = models.ForeignKey(Roadmap, on_delete=models.CASCADE, related_name="updates")
    status = models.CharField(max_length=16, choices=Status.choices)
    sentence = models.CharField(max_length=300)
    author = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField()

    class Meta:
        ordering = ["-created_at", "-id"]

    def __str__(self) -> str:
        return f"{self.get_status_display()}: {self.sentence}"


class Risk(models.Model):
    """Something that may go wrong."""

    class Category(models.TextChoices):
        """The founding article's."""

        SUPPLY = "supply", gettext_lazy("Supply and price of hardware")
        LOCK_IN = "lock_in", gettext_lazy("Provider lock-in")
        SAFETY = "safety", gettext_lazy("Safety and regulation")
        PRIVACY = "privacy", gettext_lazy("Data and privacy")
        QUALITY = "quality", gettext_lazy("Quality")
        ADOPTION = "adoption", gettext_lazy("Adoption")

    class State(models.TextChoices):
        """Open until somebody closes it."""

        OPEN = "open", gettext_lazy("Open")
        CLOSED = "closed", gettext_lazy("Closed")

    roadmap = models.ForeignKey(Roadmap, on_delete=models.CASCADE, related_name="risks")
    name = models.CharField(max_length=200)
    category = models.CharField(max_length=16, choices=Category.choices)
    likelihood = models.PositiveSmallIntegerField()
    impact = models.PositiveSmallIntegerField()
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    response = models.TextField(blank=True, default="")
    due_on = models.DateField(null=True, blank=True)
    state = models.CharField(max_length=8, choices=State.choices, default=State.OPEN)
    created_at = models.DateTimeField(auto_now_add=True)
    closed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["state", "-likelihood", "-impact", "id"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(likelihood__range=(1, 5), impact__range=(1, 5)), name="risk_scores_from_1_to_5"
            )
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def score(self) -> int:
        """Likelihood x impact, 1 to 25."""
        return self.likelihood * self.impact

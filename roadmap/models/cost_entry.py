"""Money a backend cannot report."""

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy

from roadmap.models.phase import Phase
from roadmap.models.roadmap import Roadmap


class CostEntry(models.Model):
    """Belongs to its roadmap, entered from a phase. One date (no `end_on`), or spread over a period's days."""

    class Category(models.TextChoices):
        """What it paid for."""

        PEOPLE = "people", gettext_lazy("People")
        LICENCES = "licences", gettext_lazy("Licences")
        DATA = "data", gettext_lazy("Data")
        TRAINING = "training", gettext_lazy("Training")
        HARDWARE = "hardware", gettext_lazy("Hardware that serves no backend")
        OPENING_BALANCE = "opening_balance", gettext_lazy("Opening balance")
        OTHER = "other", gettext_lazy("Other")

    class Kind(models.TextChoices):
        """How finance books it."""

        OPEX = "opex", gettext_lazy("Opex")
        CAPEX = "capex", gettext_lazy("Capex")

    class Status(models.TextChoices):
        """How sure it is."""

        PLANNED = "planned", gettext_lazy("Planned")
        COMMITTED = "committed", gettext_lazy("Committed")
        ACTUAL = "actual", gettext_lazy("Actual")

    roadmap = models.ForeignKey(Roadmap, on_delete=models.CASCADE, related_name="cost_entries")
    phase = models.ForeignKey(Phase, on_delete=models.SET_NULL, null=True, blank=True, related_name="cost_entries")
    name = models.CharField(max_length=200)
    category = models.CharField(max_length=16, choices=Category.choices)
    kind = models.CharField(max_length=8, choices=Kind.choices, default=Kind.OPEX)
    status = models.CharField(max_length=16, choices=Status.choices, default=Status.ACTUAL)
    amount = models.DecimalField(max_digits=20, decimal_places=2)
    currency = models.CharField(max_length=3)
    start_on = models.DateField()
    end_on = models.DateField(null=True, blank=True)
    outside_key = models.CharField(max_length=80, blank=True, default="")
    author = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name_plural = gettext_lazy("cost entries")
        ordering = ["-start_on", "-id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(end_on__isnull=True) | Q(end_on__gte=F("start_on")), name="cost_entry_end_after_start"
            ),
            models.UniqueConstraint(
                fields=["roadmap", "outside_key"],
                condition=~Q(outside_key=""),
                name="one_cost_entry_per_outside_key",
            ),
        ]

    def __str__(self) -> str:
        return self.name

"""Measures with a target, and their readings."""

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy

from accounts.models import Token
from roadmap.models.phase import Phase


class Kpi(models.Model):
    """A measure with a unit, a direction, a baseline and a target.

    Computed from usage (`measure` set), by a formula from other KPIs of its phase (`formula` set), or read.
    """

    class Direction(models.TextChoices):
        """Which way is better; required."""

        HIGHER = "higher", gettext_lazy("Higher is better")
        LOWER = "lower", gettext_lazy("Lower is better")

    class Combine(models.TextChoices):
        """How readings over a window make one value."""

        LAST = "last", gettext_lazy("Last reading")
        MEAN = "mean", gettext_lazy("Mean of the readings")
        SUM = "sum", gettext_lazy("Sum of the readings")

    class Source(models.TextChoices):
        """Where its values come from."""

        COMPUTED = "computed", gettext_lazy("Computed from usage")
        READ = "read", gettext_lazy("Read by hand or over REST")
        FORMULA = "formula", gettext_lazy("A formula over other KPIs")

    phase = models.ForeignKey(Phase, on_delete=models.CASCADE, related_name="kpis")
    name = models.CharField(max_length=120)
    # What formulas call it: made of the name at the start, and the same from then on.
    key = models.CharField(max_length=60, blank=True, default="")
    unit = models.CharField(max_length=40, blank=True, default="")
    direction = models.CharField(max_length=8, choices=Direction.choices)
    source = models.CharField(max_length=16, choices=Source.choices, default=Source.READ)
    # Name of a measure in roadmap.kpis, for computed ones.
    measure = models.CharField(max_length=60, blank=True, default="")
    # Over keys of KPIs of the same phase (roadmap.rules.formulas).
    formula = models.CharField(max_length=300, blank=True, default="")
    # Days back from the end of the last complete day; null: the phase to date.
    window_days = models.PositiveSmallIntegerField(null=True, blank=True, default=28)
    combine = models.CharField(max_length=8, choices=Combine.choices, default=Combine.LAST)
    minimum_sample = models.PositiveIntegerField(default=0)
    baseline = models.DecimalField(max_digits=30, decimal_places=6, null=True, blank=True)
    target = models.DecimalField(max_digits=30, decimal_places=6, null=True, blank=True)
    target_on = models.DateField(null=True, blank=True)
    # The template's target of others, for orientation; judges nothing.
    example = models.DecimalField(max_digits=30, decimal_places=6, null=True, blank=True)
    is_value = models.BooleanField(default=False)
    # Money per unit of a value KPI, its owner and source.
    rate_amount = models.DecimalField(max_digits=20, decimal_places=6, null=True, blank=True)
    rate_currency = models.CharField(max_length=3, blank=True, default="")
    rate_source = models.CharField(max_length=200, blank=True, default="")
    rate_owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    # The KPI of the phase before that this one goes on from, with its history.
    carried_from = models.ForeignKey(
        "self", on_delete=models.SET_NULL, null=True, blank=True, related_name="carried_to"
    )
    position = models.PositiveSmallIntegerField(default=0)

    class Meta:
        ordering = ["position", "id"]
        constraints = [
            models.UniqueConstraint(fields=["phase", "name"], name="one_kpi_per_name"),
            models.UniqueConstraint(fields=["phase", "key"], condition=~models.Q(key=""), name="one_kpi_per_key"),
            models.UniqueConstraint(
                fields=["phase"], condition=models.Q(is_value=True), name="one_value_kpi_per_phase"
            ),
        ]

    def __str__(self) -> str:
        return self.name


class Reading(models.Model):
    """One value of a KPI at one time; the same time again replaces."""

    kpi = models.ForeignKey(Kpi, on_delete=models.CASCADE, related_name="readings")
    at = models.DateTimeField()
    value = models.DecimalField(max_digits=30, decimal_places=6)
    # How many cases the value rests on, where somebody says so: shown beside it, in no arithmetic.
    sample_count = models.BigIntegerField(null=True, blank=True)
    note = models.CharField(max_length=300, blank=True, default="")
    author = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+")
    token = models.ForeignKey(Token, on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    recorded_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["-at", "-id"]
        constraints = [models.UniqueConstraint(fields=["kpi", "at"], name="one_reading_per_kpi_and_time")]

    def __str__(self) -> str:
        return f"{self.kpi}: {self.value:f}"

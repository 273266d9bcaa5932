"""Series of usage, to whom they are allocated, and which of them look like the same traffic."""

from django.db import models
from django.utils.translation import gettext_lazy

from accounts.models import Workload
from metrics.models.backend import Backend
from metrics.usage import MeasuredAt, SeriesKind


class Series(models.Model):
    """One stream of usage. `digest` is the 16-byte key over all of its identifying columns (metrics.fold)."""

    digest = models.BinaryField(max_length=16, unique=True)
    kind = models.CharField(max_length=16, choices=[(k.value, k.value) for k in SeriesKind], default=SeriesKind.USAGE)
    provider = models.CharField(max_length=60)
    backend = models.ForeignKey(Backend, on_delete=models.PROTECT, related_name="series")
    model = models.CharField(max_length=200, blank=True)
    operation = models.CharField(max_length=60, default="chat")
    service_tier = models.CharField(max_length=40, default="standard")
    labels = models.JSONField(default=dict, blank=True)
    # For pushes only: the workload it was pushed for (null: unallocated), where it was measured, what it went through.
    workload = models.ForeignKey(
        Workload, on_delete=models.PROTECT, null=True, blank=True, related_name="pushed_series"
    )
    is_pushed = models.BooleanField(default=False)
    measured_at = models.CharField(max_length=16, default=MeasuredAt.SERVER)
    through = models.ForeignKey(
        Backend, on_delete=models.SET_NULL, null=True, blank=True, related_name="passing_series"
    )
    # From this local day on another, linked source counts for this traffic; null: this one counts (metrics.counting).
    uncounted_from_on = models.DateField(null=True, blank=True)
    # The backend's default when the series was new: whose it is where no person and no rule says otherwise.
    default_workload = models.ForeignKey(
        Workload, on_delete=models.SET_NULL, null=True, blank=True, related_name="+", db_index=False
    )
    # From this local day on a person has said whose it is; rules place the days before it. Null: never.
    hand_from_on = models.DateField(null=True, blank=True)
    is_demo = models.BooleanField(default=False)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name_plural = "series"
        ordering = ["id"]
        indexes = [models.Index(fields=["backend", "model"])]

    def __str__(self) -> str:
        return f"{self.provider} {self.model or self.kind} {self.operation}"


class Allocation(models.Model):
    """A share of a series for one workload, until the day before `valid_until_on`. Shares of a day sum to at most 1."""

    class Source(models.TextChoices):
        """Who said so."""

        HAND = "hand", gettext_lazy("By hand")
        PUSH = "push", gettext_lazy("Pushed for it")
        RULE = "rule", gettext_lazy("By a rule")
        DEFAULT = "default", gettext_lazy("The backend's default")
        BUSY = "busy", gettext_lazy("As the busy part")

    series = models.ForeignKey(Series, on_delete=models.CASCADE, related_name="allocations")
    workload = models.ForeignKey(Workload, on_delete=models.PROTECT, related_name="allocations")
    share_ratio = models.DecimalField(max_digits=12, decimal_places=10)
    valid_from_on = models.DateField()
    valid_until_on = models.DateField(null=True, blank=True)
    source = models.CharField(max_length=8, choices=Source.choices, default=Source.HAND)
    rule = models.ForeignKey(
        "metrics.AllocationRule", on_delete=models.SET_NULL, null=True, blank=True, related_name="allocations"
    )

    class Meta:
        ordering = ["series_id", "valid_from_on", "workload_id"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(share_ratio__gt=0, share_ratio__lte=1), name="allocation_share_in_range"
            ),
            models.UniqueConstraint(
                fields=["series", "workload", "valid_from_on"], name="one_share_per_series_workload_and_day"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.share_ratio:f} of {self.series} to {self.workload}"


class LookAlike(models.Model):
    """Two unlinked sources that report the same model with nearly the same tokens for a day."""

    class Decision(models.TextChoices):
        """What a person said."""

        OPEN = "open", gettext_lazy("Needs a decision")
        LINKED = "linked", gettext_lazy("Linked")
        DIFFERENT = "different", gettext_lazy("Different traffic")

    first = models.ForeignKey(Series, on_delete=models.CASCADE, related_name="+")
    second = models.ForeignKey(Series, on_delete=models.CASCADE, related_name="+")
    model = models.CharField(max_length=200)
    on = models.DateField()
    first_tokens = models.BigIntegerField()
    second_tokens = models.BigIntegerField()
    decision = models.CharField(max_length=16, choices=Decision.choices, default=Decision.OPEN)
    found_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["first", "second"], name="one_look_alike_per_pair")]

    def __str__(self) -> str:
        return f"{self.first} ~ {self.second}"

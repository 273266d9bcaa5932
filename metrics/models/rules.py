"""Allocation rules: whose a series is where nobody said so by hand."""

from django.db import models

from accounts.models import Workload
from metrics.models.backend import Backend


class AllocationRule(models.Model):
    """Of the rules in order of `position`, the first that matches a series places it, from a local day on.

    Empty fields match everything; a pattern is exact but for `*` (any characters). How it is matched and what follows
    is in `metrics.placing`.
    """

    position = models.PositiveIntegerField()
    backend = models.ForeignKey(
        Backend, on_delete=models.CASCADE, null=True, blank=True, related_name="allocation_rules", db_index=False
    )
    provider = models.CharField(max_length=60, blank=True, default="")
    model = models.CharField(max_length=200, blank=True, default="")
    label_name = models.CharField(max_length=60, blank=True, default="")
    label_value = models.CharField(max_length=200, blank=True, default="")
    api_key = models.CharField(max_length=200, blank=True, default="")
    project = models.CharField(max_length=200, blank=True, default="")
    # Null: from the beginning.
    valid_from_on = models.DateField(null=True, blank=True)
    note = models.CharField(max_length=200, blank=True, default="")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["position", "pk"]

    def __str__(self) -> str:
        return f"rule {self.position}"


class RuleShare(models.Model):
    """A workload's share of what a rule places; what the shares leave of 1 stays unallocated."""

    rule = models.ForeignKey(AllocationRule, on_delete=models.CASCADE, related_name="shares")
    workload = models.ForeignKey(Workload, on_delete=models.CASCADE, related_name="+")
    share_ratio = models.DecimalField(max_digits=12, decimal_places=10)

    class Meta:
        ordering = ["workload__name", "workload_id"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(share_ratio__gt=0, share_ratio__lte=1), name="rule_share_in_range"
            ),
            models.UniqueConstraint(fields=["rule", "workload"], name="one_share_per_rule_and_workload"),
        ]

    def __str__(self) -> str:
        return f"{self.share_ratio:f} of {self.rule} to {self.workload}"

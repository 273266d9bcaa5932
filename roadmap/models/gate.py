"""The decision at the end of a phase."""

import uuid

from django.conf import settings
from django.db import models
from django.urls import reverse
from django.utils.translation import gettext_lazy

from roadmap.models.kpi import Kpi
from roadmap.models.milestone import ChecklistItem, Milestone
from roadmap.models.phase import Phase


class Gate(models.Model):
    """One gate per phase; a hold moves its date and needs another decision."""

    phase = models.OneToOneField(Phase, on_delete=models.CASCADE, related_name="gate")
    due_on = models.DateField()
    baseline_due_on = models.DateField()
    gatekeeper = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )

    def __str__(self) -> str:
        return f"Gate of {self.phase}"

    def get_absolute_url(self) -> str:
        return reverse("gate", args=[self.pk])


class GateCriterion(models.Model):
    """What must or should hold: a KPI on target, a milestone done, a checklist item ticked; one of the three."""

    class Needs(models.TextChoices):
        """What a KPI has to be; milestones and checklist items have to be done."""

        ON_TARGET = "on_target", gettext_lazy("On target")
        MEASURED = "measured", gettext_lazy("Measured on its minimum sample")

    gate = models.ForeignKey(Gate, on_delete=models.CASCADE, related_name="criteria")
    needs = models.CharField(max_length=16, choices=Needs.choices, default=Needs.ON_TARGET)
    kpi = models.ForeignKey(Kpi, on_delete=models.CASCADE, null=True, blank=True, related_name="criteria")
    milestone = models.ForeignKey(Milestone, on_delete=models.CASCADE, null=True, blank=True, related_name="criteria")
    checklist_item = models.ForeignKey(
        ChecklistItem, on_delete=models.CASCADE, null=True, blank=True, related_name="criteria"
    )
    is_must = models.BooleanField(default=True)
    position = models.PositiveSmallIntegerField(default=0)

    class Meta:
        ordering = ["position", "id"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(kpi__isnull=False, milestone__isnull=True, checklist_item__isnull=True)
                | models.Q(kpi__isnull=True, milestone__isnull=False, checklist_item__isnull=True)
                | models.Q(kpi__isnull=True, milestone__isnull=True, checklist_item__isnull=False),
                name="criterion_has_one_subject",
            )
        ]

    def __str__(self) -> str:
        return str(self.kpi or self.milestone or self.checklist_item)


class GateDecision(models.Model):
    """A decision with its evidence as it stood then (canonical JSON, SHA-256). Never changed, which the database
    itself sees to; undoing is a new one."""

    class Outcome(models.TextChoices):
        """See product.md, States."""

        GO = "go", gettext_lazy("Go")
        CONDITIONAL = "conditional", gettext_lazy("Conditional go")
        HOLD = "hold", gettext_lazy("Hold")
        STOP = "stop", gettext_lazy("Stop")

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    gate = models.ForeignKey(Gate, on_delete=models.CASCADE, related_name="decisions")
    outcome = models.CharField(max_length=16, choices=Outcome.choices)
    reason = models.TextField()
    decided_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+")
    # For a gate passed before the roadmap was entered: who, as text; `evidence` is then empty ('recorded later').
    decided_by_name = models.CharField(max_length=200, blank=True, default="")
    decided_on = models.DateField()
    recorded_at = models.DateTimeField(auto_now_add=True)
    is_recorded_later = models.BooleanField(default=False)
    link = models.URLField(blank=True, default="")
    # The decision that this one takes back.
    undoes = models.OneToOneField("self", on_delete=models.PROTECT, null=True, blank=True, related_name="undone_by")
    evidence = models.JSONField(null=True, blank=True)
    evidence_sha256 = models.CharField(max_length=64, blank=True, default="")

    class Meta:
        ordering = ["-recorded_at", "-id"]

    def __str__(self) -> str:
        return f"{self.gate}: {self.get_outcome_display()}"

"""What is to be done in a phase."""

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy

from roadmap.models.phase import Phase


class Milestone(models.Model):
    """Something to be done by a date. `baseline_due_on` is the date first promised and stays."""

    class State(models.TextChoices):
        """`dropped` needs a reason."""

        OPEN = "open", gettext_lazy("Open")
        DONE = "done", gettext_lazy("Done")
        DROPPED = "dropped", gettext_lazy("Dropped")

    phase = models.ForeignKey(Phase, on_delete=models.CASCADE, related_name="milestones")
    name = models.CharField(max_length=200)
    state = models.CharField(max_length=16, choices=State.choices, default=State.OPEN)
    due_on = models.DateField()
    baseline_due_on = models.DateField()
    done_on = models.DateField(null=True, blank=True)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    evidence_url = models.URLField(blank=True, default="")
    outside_key = models.CharField(max_length=80, blank=True, default="")
    dropped_reason = models.CharField(max_length=300, blank=True, default="")
    # Set where a conditional gate made it.
    is_condition = models.BooleanField(default=False)
    depends_on = models.ManyToManyField("self", symmetrical=False, blank=True, related_name="successors")
    # Goes up with every change, so that a form over an old state is noticed.
    version = models.PositiveIntegerField(default=1)

    class Meta:
        ordering = ["due_on", "id"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(state="done", done_on__isnull=False) | ~models.Q(state="done"),
                name="milestone_done_has_date",
            ),
            models.CheckConstraint(
                condition=~models.Q(state="dropped", dropped_reason=""), name="milestone_dropped_has_reason"
            ),
            models.UniqueConstraint(
                fields=["phase", "outside_key"],
                condition=~models.Q(outside_key=""),
                name="one_milestone_per_outside_key",
            ),
        ]

    def __str__(self) -> str:
        return self.name


class MilestoneDate(models.Model):
    """From `at` on a milestone was due on `due_on` and in this state. A trigger of the database writes these."""

    milestone = models.ForeignKey(Milestone, on_delete=models.CASCADE, related_name="dates")
    at = models.DateTimeField()
    due_on = models.DateField()
    state = models.CharField(max_length=16)

    class Meta:
        ordering = ["at", "id"]

    def __str__(self) -> str:
        return f"{self.milestone_id}: {self.due_on} from {self.at}"


class ChecklistItem(models.Model):
    """A named item of a phase to tick, with evidence."""

    class Category(models.TextChoices):
        """What it is about."""

        DATA = "data", gettext_lazy("Data")
        GUARDRAILS = "guardrails", gettext_lazy("Guardrails")
        PRIVACY = "privacy", gettext_lazy("Privacy")
        MONITORING = "monitoring", gettext_lazy("Monitoring")
        PORTABILITY = "portability", gettext_lazy("Portability")

    phase = models.ForeignKey(Phase, on_delete=models.CASCADE, related_name="checklist")
    category = models.CharField(max_length=16, choices=Category.choices)
    name = models.CharField(max_length=200)
    position = models.PositiveSmallIntegerField(default=0)
    is_done = models.BooleanField(default=False)
    done_at = models.DateTimeField(null=True, blank=True)
    done_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    evidence_url = models.URLField(blank=True, default="")

    class Meta:
        ordering = ["category", "position", "id"]

    def __str__(self) -> str:
        return self.name

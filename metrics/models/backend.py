"""Backends and what their pulls found."""

from django.db import models
from django.utils.translation import gettext_lazy

from accounts.models import Workload
from accounts.models.workload import slug_validator
from metrics.usage import MeasuredAt


class Backend(models.Model):
    """Something that serves inference and can be asked what it did, or whose usage is pushed ('push_only')."""

    slug = models.CharField(max_length=80, unique=True, validators=[slug_validator])
    name = models.CharField(max_length=200)
    connector = models.CharField(max_length=40)
    provider = models.CharField(max_length=60, default="unknown")
    parameters = models.JSONField(default=dict, blank=True)
    # Secret parameters, encrypted (metrics.secrets); never shown again.
    secrets = models.BinaryField(null=True, blank=True)
    measured_at = models.CharField(
        max_length=16, choices=[(m.value, m.value.capitalize()) for m in MeasuredAt], default=MeasuredAt.SERVER
    )
    behind = models.ForeignKey("self", on_delete=models.SET_NULL, null=True, blank=True, related_name="in_front_of")
    # The first local day on which the gateway counts for this backend's traffic.
    behind_from_on = models.DateField(null=True, blank=True)
    hardware = models.CharField(max_length=100, blank=True, default="")
    # New series of this backend are allocated to it; none: unallocated until somebody decides.
    default_workload = models.ForeignKey(
        Workload, on_delete=models.SET_NULL, null=True, blank=True, related_name="default_backends"
    )
    pull_every_minutes = models.PositiveIntegerField(default=60)
    is_enabled = models.BooleanField(default=True)
    next_pull_at = models.DateTimeField(null=True, blank=True, db_index=True)
    # End of the last window that was read to its end; figures are cut there.
    data_until = models.DateTimeField(null=True, blank=True)
    failures_in_a_row = models.PositiveIntegerField(default=0)
    # The last failure, in words, secrets redacted; empty after a good pull.
    problem = models.TextField(blank=True, default="")
    is_problem_permanent = models.BooleanField(default=False)
    # Hours that are read again at each pull, at the first of a UTC day, and until a statement is final; null: as the
    # connector says.
    trailing_hours = models.PositiveSmallIntegerField(null=True, blank=True)
    daily_trailing_hours = models.PositiveSmallIntegerField(null=True, blank=True)
    settling_hours = models.PositiveSmallIntegerField(null=True, blank=True)
    # When the daily trailing window was read last.
    wide_pull_at = models.DateTimeField(null=True, blank=True)
    # The source asked to be left alone until then, by pull and backfill.
    resting_until = models.DateTimeField(null=True, blank=True)
    # Requests of the UTC day `requests_on`, where the source allows so many a day.
    requests_on = models.DateField(null=True, blank=True)
    requests_made = models.PositiveIntegerField(default=0)
    # Backfill as a row with a cursor: the part from `backfill_from` to `backfill_cursor` is still to be read.
    backfill_from = models.DateTimeField(null=True, blank=True)
    backfill_cursor = models.DateTimeField(null=True, blank=True)
    # Where it began to read back, and since when it has been at it (started, or taken up again).
    backfill_until = models.DateTimeField(null=True, blank=True)
    backfill_since = models.DateTimeField(null=True, blank=True)
    # The next step is due then; until `backfill_claimed_until` a worker has one in hand.
    backfill_next_at = models.DateTimeField(null=True, blank=True)
    backfill_claimed_until = models.DateTimeField(null=True, blank=True)
    # A step's length in days, where the connector's was too much; null: the connector's.
    backfill_step_days = models.PositiveSmallIntegerField(null=True, blank=True)
    backfill_failures = models.PositiveSmallIntegerField(default=0)
    backfill_problem = models.TextField(blank=True, default="")
    # Stopped by a person (no problem) or by a failure that needs one; resumed from the cursor.
    is_backfill_stopped = models.BooleanField(default=False)
    # Everything since then was read, once a backfill has ended.
    history_from = models.DateTimeField(null=True, blank=True)
    # What the source calls the values of labels, for people to read: {"project": {"proj_a1": "Claims"}}.
    label_names = models.JSONField(default=dict, blank=True)
    is_demo = models.BooleanField(default=False)
    is_example = models.BooleanField(default=False)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["name", "id"]
        constraints = [
            models.CheckConstraint(condition=~models.Q(behind=models.F("id")), name="backend_not_behind_itself"),
            models.CheckConstraint(
                condition=models.Q(measured_at__in=[m.value for m in MeasuredAt]), name="backend_measured_at_known"
            ),
        ]

    def __str__(self) -> str:
        return self.name


class Pull(models.Model):
    """One attempt to read a backend: the pull log of its page."""

    class Outcome(models.TextChoices):
        """How it ended."""

        RUNNING = "running", gettext_lazy("Running")
        OK = "ok", gettext_lazy("Read")
        NOTHING_NEW = "nothing_new", gettext_lazy("Nothing new")
        TRANSIENT = "transient", gettext_lazy("Failed, tried again")
        PERMANENT = "permanent", gettext_lazy("Failed, needs you")

    backend = models.ForeignKey(Backend, on_delete=models.CASCADE, related_name="pulls")
    started_at = models.DateTimeField(auto_now_add=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    window_start = models.DateTimeField(null=True, blank=True)
    window_end = models.DateTimeField(null=True, blank=True)
    outcome = models.CharField(max_length=16, choices=Outcome.choices, default=Outcome.RUNNING)
    message = models.TextField(blank=True, default="")
    receipt = models.ForeignKey("metrics.Receipt", on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    cells = models.PositiveIntegerField(default=0)
    is_backfill = models.BooleanField(default=False)

    class Meta:
        ordering = ["-started_at", "-id"]
        indexes = [models.Index(fields=["backend", "-started_at"])]

    def __str__(self) -> str:
        return f"{self.backend} {self.started_at:%Y-%m-%d %H:%M}: {self.get_outcome_display()}"

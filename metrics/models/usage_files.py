"""Files of usage that people choose on the Send data page, on their way into the ledger."""

import uuid

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy

from accounts.models import Workload


class UsageFile(models.Model):
    """A CSV of usage and what became of it. Long work is this row, with `rows_read` and `rows_posted` as cursors."""

    class State(models.TextChoices):
        """How far it is. `ready` waits for a person, those in AT_WORK for a worker."""

        READING = "reading", gettext_lazy("Being read")
        READY = "ready", gettext_lazy("Read, to be confirmed")
        POSTING = "posting", gettext_lazy("Being counted")
        DONE = "done", gettext_lazy("Counted")
        TAKING_BACK = "taking_back", gettext_lazy("Being taken back")
        TAKEN_BACK = "taken_back", gettext_lazy("Taken back")
        FAILED = "failed", gettext_lazy("Not counted")
        DISCARDED = "discarded", gettext_lazy("Discarded")

    LIVE = (State.READING, State.READY, State.POSTING, State.DONE, State.TAKING_BACK)
    AT_WORK = (State.READING, State.POSTING, State.TAKING_BACK)

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+")
    taken_back_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    # Of rows that name no roadmap. A file goes with its roadmap; without one its rows would count as nobody's.
    workload = models.ForeignKey(Workload, on_delete=models.CASCADE, null=True, blank=True, related_name="+")
    # The slug for rows that name no backend; empty: by provider.
    backend = models.CharField(max_length=100, blank=True, default="")
    # Of times that do not say theirs; empty: they are refused.
    zone = models.CharField(max_length=60, blank=True, default="")
    name = models.CharField(max_length=200)
    size = models.BigIntegerField()
    # SHA-256 of its bytes, and of its roadmap where its rows do not name theirs: what counts once.
    digest = models.BinaryField(max_length=32)
    state = models.CharField(max_length=16, choices=State.choices, default=State.READING)
    container = models.CharField(max_length=100, blank=True, default="")
    # [[name in the header, field of a record or ""]].
    columns = models.JSONField(default=list, blank=True)
    # The first rows: [{"line", "cells", "counts": [roadmap, backend, hour] or null, "code", "detail"}].
    sample = models.JSONField(default=list, blank=True)
    # What the rows add up to, as `metrics.usage_file_sums` writes it.
    sums = models.JSONField(default=dict, blank=True)
    rows_read = models.BigIntegerField(default=0)
    rows_posted = models.BigIntegerField(default=0)
    read_share = models.FloatField(default=0)
    accepted = models.BigIntegerField(default=0)
    duplicates = models.BigIntegerField(default=0)
    not_priced = models.BigIntegerField(default=0)
    # [{"line", "column", "code", "detail"}], at most 100; `rejected_count` counts all, pieces hold all.
    rejected = models.JSONField(default=list, blank=True)
    rejected_count = models.BigIntegerField(default=0)
    # Sentence: how many records it is about.
    warnings = models.JSONField(default=dict, blank=True)
    problem = models.TextField(blank=True, default="")
    # No foreign keys: old receipts are thinned.
    receipts = ArrayField(models.BigIntegerField(), default=list, blank=True)
    # New series that its labels made, of the 1,000 that a person's files may make a UTC day.
    series_made = models.IntegerField(default=0)
    # When a worker last came forward; one that is at work and silent for long was killed.
    touched_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["-created_at", "-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["digest"],
                condition=Q(state__in=["reading", "ready", "posting", "done", "taking_back"]),
                name="one_live_usage_file_per_digest",
            )
        ]

    def __str__(self) -> str:
        return self.name


class UsageFilePiece(models.Model):
    """A piece of the file as it came, or of its rejected rows: web and worker may be different machines."""

    class Kind(models.TextChoices):
        """The file goes once it counts; the rejected rows stay as long as it can be taken back."""

        FILE = "file", gettext_lazy("File")
        REJECTED = "rejected", gettext_lazy("Rejected rows")

    file = models.ForeignKey(UsageFile, on_delete=models.CASCADE, related_name="pieces")
    kind = models.CharField(max_length=8, choices=Kind.choices)
    number = models.IntegerField()
    content = models.BinaryField()

    class Meta:
        ordering = ["number"]
        constraints = [models.UniqueConstraint(fields=["file", "kind", "number"], name="one_usage_file_piece")]

    def __str__(self) -> str:
        return f"{self.file_id} {self.kind} {self.number}"

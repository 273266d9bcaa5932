"""Spreadsheets on their way in, and what became of them."""

import uuid

from django.conf import settings
from django.db import models
from django.urls import reverse
from django.utils import timezone


class PlanImport(models.Model):
    """A file that somebody wants to import. `content` is kept until it is imported; `result` from then on.

    Only who sent it sees it. `choices` and `result` are documents of roadmap.imports.
    """

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="plan_imports")
    name = models.CharField(max_length=200)
    content = models.BinaryField(null=True)
    sha256 = models.CharField(max_length=64)
    choices = models.JSONField(default=dict)
    created_at = models.DateTimeField(default=timezone.now)
    imported_at = models.DateTimeField(null=True, blank=True)
    result = models.JSONField(null=True, blank=True)

    class Meta:
        ordering = ["-created_at", "-id"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(imported_at=None, result=None, content__isnull=False)
                | models.Q(imported_at__isnull=False, result__isnull=False, content=None),
                name="plan_import_waits_or_is_done",
            )
        ]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("plan_import", args=[self.uuid])

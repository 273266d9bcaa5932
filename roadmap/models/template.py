"""The organisation's own templates."""

from django.conf import settings
from django.db import models


class PlanTemplate(models.Model):
    """A template made here: a roadmap saved as one, or imported. `document` is its YAML; retired ones are kept."""

    slug = models.SlugField(max_length=80, unique=True)
    name = models.CharField(max_length=120)
    document = models.TextField()
    made_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    made_at = models.DateTimeField(auto_now_add=True)
    retired_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["name", "id"]

    def __str__(self) -> str:
        return self.name

"""Under which private addresses calendar programs read the plan."""

from django.conf import settings
from django.db import models

from roadmap.models.roadmap import Roadmap


class CalendarAddress(models.Model):
    """A person's address for everything that they see, or for one roadmap. Only the SHA-256 of its text is kept."""

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="calendar_addresses")
    roadmap = models.ForeignKey(Roadmap, on_delete=models.CASCADE, null=True, blank=True, related_name="+")
    digest = models.BinaryField(max_length=32, unique=True)
    made_at = models.DateTimeField()
    last_used_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["roadmap__workload__name", "id"]
        constraints = [
            models.UniqueConstraint(fields=["owner", "roadmap"], name="one_calendar_address_each", nulls_distinct=False)
        ]

    def __str__(self) -> str:
        return f"Calendar of {self.roadmap.name if self.roadmap else 'every roadmap'}"

"""What people say about a roadmap and its parts."""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from roadmap.models.gate import Gate
from roadmap.models.milestone import Milestone
from roadmap.models.phase import Phase
from roadmap.models.roadmap import Roadmap
from roadmap.models.steering import Risk

PARTS = ("phase", "milestone", "gate", "risk")


class Comment(models.Model):
    """Plain text about a roadmap or one of its parts. When the part is deleted the comment stays with the roadmap."""

    roadmap = models.ForeignKey(Roadmap, on_delete=models.CASCADE, related_name="comments")
    phase = models.ForeignKey(Phase, on_delete=models.SET_NULL, null=True, blank=True, related_name="comments")
    milestone = models.ForeignKey(Milestone, on_delete=models.SET_NULL, null=True, blank=True, related_name="comments")
    gate = models.ForeignKey(Gate, on_delete=models.SET_NULL, null=True, blank=True, related_name="comments")
    risk = models.ForeignKey(Risk, on_delete=models.SET_NULL, null=True, blank=True, related_name="comments")
    text = models.TextField(max_length=4000)
    author = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+")
    # Also when the person is gone.
    author_name = models.CharField(max_length=200)
    created_at = models.DateTimeField(default=timezone.now)
    edited_at = models.DateTimeField(null=True, blank=True)
    mentioned = models.ManyToManyField(settings.AUTH_USER_MODEL, blank=True, related_name="+")

    class Meta:
        ordering = ["-created_at", "-id"]
        indexes = [models.Index(fields=["roadmap", "-created_at"])]
        constraints = [
            models.CheckConstraint(
                condition=Q(phase=None, milestone=None, gate=None)
                | Q(phase=None, milestone=None, risk=None)
                | Q(phase=None, gate=None, risk=None)
                | Q(milestone=None, gate=None, risk=None),
                name="comment_on_one_part_at_most",
            )
        ]

    def __str__(self) -> str:
        return " ".join(self.text.split())[:80]

    @property
    def part(self) -> Phase | Milestone | Gate | Risk | None:
        """What it is about; None: the roadmap."""
        return self.phase or self.milestone or self.gate or self.risk

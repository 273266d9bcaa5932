"""What a manager says of a month, beside its figures."""

from django.conf import settings
from django.db import models

from roadmap.models.report import Report

LONGEST_WORDS = 1_500
LONGEST_ACTION = 300


class ReportWords(models.Model):
    """The words of one report; they can be changed until it is published, and go into its payload then."""

    report = models.OneToOneField(Report, on_delete=models.CASCADE, related_name="words")
    # Paragraphs with an empty line between them.
    text = models.TextField(blank=True, default="", max_length=LONGEST_WORDS)
    # What is done next about a part of the change of spend: {cause (roadmap.rules.moved.CAUSES): sentence}.
    next_actions = models.JSONField(default=dict, blank=True)
    # The manager says that the report may be shown.
    is_ready = models.BooleanField(default=False)
    # Counts up with each change; who changes an older version than the last is told.
    version = models.PositiveIntegerField(default=0)
    changed_at = models.DateTimeField(null=True, blank=True)
    changed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    changed_by_name = models.CharField(max_length=200, blank=True, default="")

    class Meta:
        verbose_name_plural = "report words"

    def __str__(self) -> str:
        return f"Words for {self.report}"

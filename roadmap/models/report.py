"""The month of one roadmap or the portfolio, frozen when published."""

import uuid

from django.conf import settings
from django.db import models
from django.urls import reverse

from roadmap.models.roadmap import Roadmap


class Report(models.Model):
    """`payload` is the whole document; the page is drawn from it alone. A correction is the next revision beside it."""

    class Scope(models.TextChoices):
        """What it is about."""

        ROADMAP = "roadmap", "Roadmap"
        PORTFOLIO = "portfolio", "Portfolio"

    class State(models.TextChoices):
        """A published one never changes."""

        DRAFT = "draft", "Draft"
        PROVISIONAL = "provisional", "Provisional"
        PUBLISHED = "published", "Published"

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    scope = models.CharField(max_length=16, choices=Scope.choices)
    roadmap = models.ForeignKey(Roadmap, on_delete=models.CASCADE, null=True, blank=True, related_name="reports")
    month = models.DateField()
    revision = models.PositiveSmallIntegerField(default=1)
    state = models.CharField(max_length=16, choices=State.choices, default=State.DRAFT)
    schema_version = models.PositiveSmallIntegerField(default=1)
    payload = models.JSONField()
    sha256 = models.CharField(max_length=64)
    created_at = models.DateTimeField(auto_now_add=True)
    published_at = models.DateTimeField(null=True, blank=True)
    published_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    # Where a command or the schedule published it.
    published_by_name = models.CharField(max_length=200, blank=True, default="")
    is_demo = models.BooleanField(default=False)

    class Meta:
        ordering = ["-month", "scope", "roadmap_id", "-revision"]
        constraints = [
            models.UniqueConstraint(
                fields=["scope", "roadmap", "month", "revision", "is_demo"],
                name="one_report_per_month_and_revision",
                nulls_distinct=False,
            ),
            models.CheckConstraint(
                condition=models.Q(scope="roadmap", roadmap__isnull=False)
                | models.Q(scope="portfolio", roadmap__isnull=True),
                name="report_scope_matches_roadmap",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.roadmap or 'Portfolio'}, {self.month:%B %Y}, revision {self.revision}"

    def get_absolute_url(self) -> str:
        return reverse("report", args=[self.uuid])


class ReportFile(models.Model):
    """A published report as a file, drawn once and served for ever. Frozen with its report by a trigger."""

    class Kind(models.TextChoices):
        """What kind of file."""

        PDF = "pdf", "PDF"
        # Subject, text, HTML and pictures (RFC 5322), to nobody yet; the PDF beside it is attached when it is sent.
        MAIL = "mail", "Mail"

    report = models.ForeignKey(Report, on_delete=models.CASCADE, related_name="files")
    kind = models.CharField(max_length=8, choices=Kind.choices)
    language = models.CharField(max_length=8)
    content = models.BinaryField()
    sha256 = models.CharField(max_length=64)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["report", "kind", "language"], name="one_report_file_per_kind_and_language")
        ]

    def __str__(self) -> str:
        return f"{self.report}, {self.get_kind_display()} in {self.language}"

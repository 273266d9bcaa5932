"""The month of one roadmap, a programme or the portfolio: drafted, published once, and corrected beside itself."""

import uuid

from django.conf import settings
from django.db import models
from django.urls import reverse
from django.utils.text import slugify

from roadmap.models.roadmap import Programme, Roadmap


class Report(models.Model):
    """The row begins as a draft when its month is over. Published, `payload` is the whole document, and page and files
    are drawn from it alone; the database refuses any change. A correction is the next revision beside it.

    Of a draft, `payload` is what the last run of the schedule knew ({} before the first), without a hash.
    """

    class Scope(models.TextChoices):
        """What it is about."""

        ROADMAP = "roadmap", "Roadmap"
        PROGRAMME = "programme", "Programme"
        PORTFOLIO = "portfolio", "Portfolio"

    class State(models.TextChoices):
        """Draft: figures are still expected. Provisional: they are all there. A published one never changes."""

        DRAFT = "draft", "Draft"
        PROVISIONAL = "provisional", "Provisional"
        PUBLISHED = "published", "Published"

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    scope = models.CharField(max_length=16, choices=Scope.choices)
    roadmap = models.ForeignKey(Roadmap, on_delete=models.CASCADE, null=True, blank=True, related_name="reports")
    programme = models.ForeignKey(Programme, on_delete=models.CASCADE, null=True, blank=True, related_name="reports")
    # Which roadmaps it names: one, those of the programme, or all. Who sees a programme's report follows from them.
    covers = models.ManyToManyField(Roadmap, related_name="covered_by", blank=True)
    month = models.DateField()
    revision = models.PositiveSmallIntegerField(default=1)
    state = models.CharField(max_length=16, choices=State.choices, default=State.DRAFT)
    schema_version = models.PositiveSmallIntegerField(default=1)
    payload = models.JSONField(default=dict, blank=True)
    # Empty until it is published.
    sha256 = models.CharField(max_length=64, blank=True, default="")
    # Why this revision was made, in the words of who made it. Empty for the first one.
    why = models.TextField(blank=True, default="")
    # Of a draft, which sources do not reach the month's end: [{"name": "OpenAI", "until": "2026-10-29" or None}].
    gaps = models.JSONField(default=list, blank=True)
    # When the payload of a draft was drawn.
    drawn_at = models.DateTimeField(null=True, blank=True)
    # Somebody asked to publish it before its day; the next worker does.
    asked_at = models.DateTimeField(null=True, blank=True)
    asked_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    # How often publishing was begun, when last, and why it failed. Counted before the work, so that a kill counts.
    attempts = models.PositiveSmallIntegerField(default=0)
    tried_at = models.DateTimeField(null=True, blank=True)
    problem = models.TextField(blank=True, default="")
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
                fields=["scope", "roadmap", "programme", "month", "revision", "is_demo"],
                name="one_report_per_month_and_revision",
                nulls_distinct=False,
            ),
            models.CheckConstraint(
                condition=models.Q(scope="roadmap", roadmap__isnull=False, programme__isnull=True)
                | models.Q(scope="programme", roadmap__isnull=True, programme__isnull=False)
                | models.Q(scope="portfolio", roadmap__isnull=True, programme__isnull=True),
                name="report_scope_matches_subject",
            ),
            models.CheckConstraint(
                condition=models.Q(state__in=["draft", "provisional"], sha256="")
                | models.Q(state="published") & ~models.Q(payload={}) & ~models.Q(sha256=""),
                name="report_published_with_payload",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.subject or 'Portfolio'}, {self.month:%B %Y}, revision {self.revision}"

    def get_absolute_url(self) -> str:
        return reverse("report", args=[self.uuid])

    @property
    def subject(self) -> Roadmap | Programme | None:
        """What it is about; None for the portfolio."""
        return self.roadmap or self.programme

    @property
    def subject_slug(self) -> str:
        """What it is about, as part of a file's name."""
        if self.roadmap is not None:
            return self.roadmap.slug
        return slugify(self.programme.name)[:80] or "programme" if self.programme is not None else "portfolio"

    @property
    def is_published(self) -> bool:
        return self.state == self.State.PUBLISHED


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

"""Files that show that a milestone is done."""

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy

from roadmap.models.milestone import Milestone


class EvidenceFile(models.Model):
    """What is known of a file; its bytes stand apart, so that a list of files never loads them."""

    class Kind(models.TextChoices):
        """What may be kept (roadmap.rules.evidence tells them apart)."""

        PDF = "pdf", "PDF"
        PNG = "png", "PNG"
        JPG = "jpg", "JPEG"
        CSV = "csv", "CSV"
        XLSX = "xlsx", gettext_lazy("Excel workbook")
        DOCX = "docx", gettext_lazy("Word document")
        PPTX = "pptx", gettext_lazy("PowerPoint presentation")
        TXT = "txt", gettext_lazy("Text")
        MD = "md", "Markdown"

    milestone = models.ForeignKey(Milestone, on_delete=models.CASCADE, related_name="files")
    name = models.CharField(max_length=200)
    kind = models.CharField(max_length=8, choices=Kind.choices)
    size = models.PositiveIntegerField()
    sha256 = models.CharField(max_length=64)
    added_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+")
    # Also when the person is gone.
    added_by_name = models.CharField(max_length=200)
    added_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["added_at", "id"]
        constraints = [
            models.UniqueConstraint(fields=["milestone", "sha256"], name="one_evidence_file_per_content"),
        ]

    def __str__(self) -> str:
        return self.name


class EvidenceContent(models.Model):
    """The bytes of a file, as they were sent. Nothing here opens them."""

    file = models.OneToOneField(EvidenceFile, on_delete=models.CASCADE, primary_key=True, related_name="content")
    data = models.BinaryField()

    def __str__(self) -> str:
        return f"Content of {self.file_id}"

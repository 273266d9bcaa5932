"""A report as a file, for its page and for REST alike. The caller has found the report among those the asker sees."""

from __future__ import annotations

from django.http import Http404
from django.http.response import HttpResponseBase
from django.utils.text import slugify

from roadmap.models import Report, ReportFile
from roadmap.reports.documents import document_of
from roadmap.reports.outputs.flat import csv_of
from roadmap.reports.outputs.pdf import pdf_of
from roadmap.reports.outputs.workbook import workbook_of
from roadmap.rules.gates import canonical_json
from web.spreadsheets import attachment

PDF, XLSX, CSV, JSON = "pdf", "xlsx", "csv", "json"
KINDS = (PDF, XLSX, CSV, JSON)
CONTENT_TYPES = {
    PDF: "application/pdf",
    XLSX: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    CSV: "text/csv; charset=utf-8",
    JSON: "application/json",
}


def file_response(report: Report, kind: str, language: str = "en") -> HttpResponseBase:
    """The report as one of `KINDS`, to keep under a name that says what it is. Raises Http404 for any other.

    `language` as in `document_of`; JSON has none.
    """
    if kind not in KINDS:
        raise Http404(f"A report comes as {', '.join(KINDS)}.")
    name = f"{subject_name(report)}-{report.month:%Y-%m}-revision-{report.revision}.{kind}"
    return attachment(_content(report, kind, language), name, CONTENT_TYPES[kind])


def subject_name(report: Report) -> str:
    """What the report is about, as part of a file's name."""
    if report.roadmap is not None:
        return report.roadmap.slug
    return slugify(report.programme.name)[:80] or "programme" if report.programme is not None else "portfolio"


def _content(report: Report, kind: str, language: str) -> bytes:
    if kind == JSON:
        # Byte by byte what the hash at the foot of the page was made of.
        return canonical_json(report.payload).encode()
    document = document_of(report.payload, language)
    if kind == XLSX:
        return workbook_of(document, report.sha256)
    if kind == CSV:
        return csv_of(document).encode()
    kept = report.files.filter(kind=ReportFile.Kind.PDF, language=document.language).first()
    # A report that was published before files were kept is drawn again, to the same bytes each time.
    return bytes(kept.content) if kept else pdf_of(document, report.sha256)

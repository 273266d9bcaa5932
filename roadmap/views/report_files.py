"""A report as a file, for its page and for REST alike. The caller has found the report among those the asker sees."""

from __future__ import annotations

from django.http import Http404
from django.http.response import HttpResponseBase
from django.utils import timezone

from roadmap.actions.report_drafts import words_of
from roadmap.models import Report, ReportFile
from roadmap.reports.document import Document, Json
from roadmap.reports.documents import document_of
from roadmap.reports.drafts import draft_document
from roadmap.reports.fresh import fresh
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
    which = f"revision-{report.revision}" if report.is_published else report.state
    name = f"{report.subject_slug}-{report.month:%Y-%m}-{which}.{kind}"
    return attachment(_content(report, kind, language), name, CONTENT_TYPES[kind])


def shown_payload(report: Report) -> Json:
    """What a reader gets: as it was published; of a draft, what is known now."""
    if report.is_published:
        return report.payload
    return fresh(report, dated_on=timezone.localdate(), words=words_of(report)).payload


def shown_document(report: Report, language: str) -> Document:
    """The same in words; a draft says that it is one."""
    document = document_of(shown_payload(report), language)
    return document if report.is_published else draft_document(document, report)


def _content(report: Report, kind: str, language: str) -> bytes:
    if kind == JSON:
        # Byte by byte what the hash at the foot of the page was made of.
        payload = shown_payload(report)
        return canonical_json(payload if report.is_published else {"state": report.state, **payload}).encode()
    document = shown_document(report, language)
    if kind == XLSX:
        return workbook_of(document, report.sha256)
    if kind == CSV:
        return csv_of(document).encode()
    if not report.is_published:
        return pdf_of(document, "")
    kept = report.files.filter(kind=ReportFile.Kind.PDF, language=document.language).first()
    # A report that was published before files were kept is drawn again, to the same bytes each time.
    return bytes(kept.content) if kept else pdf_of(document, report.sha256)

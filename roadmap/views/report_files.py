"""A report as a file, for its page and for REST alike. The caller has found the report among those the asker sees."""

from __future__ import annotations

from django.http import Http404
from django.http.response import HttpResponseBase

from roadmap.models import Report, ReportFile
from roadmap.reports.documents import document_of
from roadmap.reports.outputs.flat import csv_of
from roadmap.reports.outputs.pdf import pdf_of
from roadmap.reports.outputs.workbook import workbook_of
from roadmap.rules.gates import canonical_json
from web.spreadsheets import attachment

PDF, XLSX, CSV, JSON = "pdf", "xlsx", "csv", "json"
KINDS = (PDF, XLSX, CSV, JSON)
_CONTENT_TYPES = {
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
    about = report.roadmap.slug if report.roadmap else "portfolio"
    name = f"{about}-{report.month:%Y-%m}-revision-{report.revision}.{kind}"
    return attachment(_content(report, kind, language), name, _CONTENT_TYPES[kind])


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

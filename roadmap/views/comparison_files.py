"""A comparison of two reports as a file, for its page and for REST alike."""

from __future__ import annotations

from django.http import Http404
from django.http.response import HttpResponseBase
from django.utils import translation

from roadmap.models import Report
from roadmap.reports.comparison import comparison_json, comparison_of
from roadmap.reports.comparison_words import comparison_document
from roadmap.reports.document import Json
from roadmap.reports.outputs.flat import csv_of
from roadmap.reports.outputs.pdf import pdf_of
from roadmap.reports.outputs.workbook import workbook_of
from roadmap.rules.gates import canonical_json, sha256_of
from roadmap.views.report_files import CONTENT_TYPES, CSV, JSON, KINDS, PDF
from web.spreadsheets import attachment

__all__ = ["KINDS", "comparison_content", "comparison_response"]


def comparison_content(was: Report, now: Report) -> Json:
    """The second report against the first, for programs: in English, whoever asks."""
    with translation.override("en"):
        found = comparison_of(was.payload, now.payload)
        return comparison_json(found, first=_named(was), second=_named(now))


def comparison_response(was: Report, now: Report, kind: str, language: str) -> HttpResponseBase:
    """The comparison as one of `KINDS`. On paper stands the hash of its JSON, which names both reports' hashes."""
    if kind not in KINDS:
        raise Http404
    name = f"{now.subject_slug}-{_short(was)}-{_short(now)}.{kind}"
    return attachment(_content(was, now, kind, language), name, CONTENT_TYPES[kind])


def _content(was: Report, now: Report, kind: str, language: str) -> bytes:
    document = comparison_document(was.payload, now.payload, language)
    if kind == CSV:
        return csv_of(document).encode()
    content = comparison_content(was, now)
    if kind == JSON:
        return canonical_json(content).encode()
    draw = pdf_of if kind == PDF else workbook_of
    return draw(document, sha256_of(content))


def _named(report: Report) -> Json:
    return {
        "id": str(report.uuid),
        "month": report.month.isoformat(),
        "revision": report.revision,
        "schema_version": report.schema_version,
        "sha256": report.sha256,
    }


def _short(report: Report) -> str:
    return f"{report.month:%Y-%m}-r{report.revision}"

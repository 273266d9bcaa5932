"""`/settings/audit/`: who changed what, and when; the same as a file."""

from __future__ import annotations

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from accounts.access import Asker, can_read_trail
from accounts.authentication import asker_of
from accounts.trail import (
    COLUMNS,
    EXPORT_ROWS,
    TrailFilters,
    changed_fields,
    export_rows,
    parse_trail_filters,
    trail,
    trail_page,
)
from accounts.trail_words import action_words, subject_words
from web.htmx import render
from web.spreadsheets import attachment, csv_pieces, xlsx_file


def _asker(request: HttpRequest) -> Asker:
    asker = asker_of(request)
    if not can_read_trail(asker):
        raise PermissionDenied(_("The audit trail is read by admins, executives, and managers of a roadmap."))
    return asker


@require_safe
def audit_trail(request: HttpRequest) -> HttpResponse:
    """The rows that the asker may read, filtered, the newest first."""
    asker = _asker(request)
    filters = parse_trail_filters(request.GET)
    page = trail_page(asker, filters, before=request.GET.get("before", ""))
    context = {
        "page": page,
        "filters": filters,
        "lines": [
            {
                "event": event,
                "action": action_words(event.action),
                "subject_type": subject_words(event.subject_type),
                "changes": changed_fields(event),
            }
            for event in page.rows
        ],
        "selects": [
            {
                "name": "roadmap",
                "label": _("Roadmap"),
                "all": _("All"),
                "options": page.roadmaps,
                "value": filters.roadmap,
            },
            {"name": "action", "label": _("Action"), "all": _("All"), "options": page.actions, "value": filters.action},
            {
                "name": "subject",
                "label": _("Subject"),
                "all": _("All"),
                "options": page.subjects,
                "value": filters.subject,
            },
        ],
        "reads_all": asker.user.is_admin,
    }
    return render(request, "accounts/audit.html", context, part="trail")


def _file_filters(request: HttpRequest) -> tuple[TrailFilters, HttpResponse | None]:
    filters = parse_trail_filters(request.GET)
    if filters.problems:
        text = "\n".join(problem.message for problem in filters.problems)
        return filters, HttpResponse(text, status=422, content_type="text/plain; charset=utf-8")
    return filters, None


@require_safe
def audit_csv(request: HttpRequest) -> HttpResponseBase:
    """The filtered rows as CSV."""
    asker = _asker(request)
    filters, refused = _file_filters(request)
    if refused is not None:
        return refused
    rows = export_rows(trail(asker, filters))
    name = f"audit-trail-{timezone.localdate().isoformat()}.csv"
    return attachment(csv_pieces([column.name for column in COLUMNS], rows), name, "text/csv; charset=utf-8")


@require_safe
def audit_xlsx(request: HttpRequest) -> HttpResponseBase:
    """The filtered rows as a workbook."""
    asker = _asker(request)
    filters, refused = _file_filters(request)
    if refused is not None:
        return refused
    today = timezone.localdate().isoformat()
    notes = [
        f"Audit trail as of {today}. Filter: {filters.query or 'none'}",
        f"Moments are UTC. The newest first, at most {EXPORT_ROWS:,} rows.",
    ]
    content = xlsx_file(COLUMNS, export_rows(trail(asker, filters)), sheet="Audit trail", notes=notes)
    kind = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
    return attachment(content, f"audit-trail-{today}.xlsx", kind)

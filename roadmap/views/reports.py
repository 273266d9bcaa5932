"""The list of reports, and one report drawn from its frozen document alone."""

from __future__ import annotations

from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_GET, require_POST

from accounts.authentication import asker_of
from metrics.errors import RuleViolation
from roadmap.actions.reports import close_month
from roadmap.forms.reports import CloseMonthForm, ReportFilterForm
from roadmap.models import Report
from roadmap.queries.report_comparison import nearby_reports
from roadmap.queries.report_links import may_link
from roadmap.queries.reports import visible_reports
from roadmap.reports.documents import document_of
from roadmap.views.report_files import file_response
from web.htmx import done

PER_PAGE = 50


@login_required
@require_GET
def reports(request: HttpRequest) -> HttpResponse:
    """Newest month first; filtered by month and roadmap in the URL."""
    return _list(request, CloseMonthForm())


@login_required
@require_POST
def report_close(request: HttpRequest) -> HttpResponse:
    """Publishes the reports of a month that are not published yet. Admins only."""
    form = CloseMonthForm(request.POST)
    if not form.is_valid():
        return _list(request, form, status=422)
    try:
        closed = close_month(asker_of(request), form.cleaned_data["month"], revise=form.cleaned_data["revise"])
    except RuleViolation as error:
        form.add_violation(error)
        return _list(request, form, status=422)
    said = f"{closed.month:%B %Y}: {len(closed.published)} published, {len(closed.revised)} revised."
    return done(request, "/reports/", said)


@login_required
@require_GET
def report(request: HttpRequest, uuid: UUID) -> HttpResponse:
    """One revision; what it links to are the other revisions of its month."""
    asker = asker_of(request)
    mine = visible_reports(asker)
    found = get_object_or_404(mine, uuid=uuid)
    others = mine.filter(scope=found.scope, roadmap=found.roadmap, month=found.month, is_demo=found.is_demo)
    context = {
        "document": document_of(found.payload),
        "report": found,
        "revisions": others.order_by("revision"),
        "may_link": may_link(asker, found),
        "nearby": nearby_reports(asker, found),
    }
    return render(request, "reports/report.html", context)


@login_required
@require_GET
def report_file(request: HttpRequest, uuid: UUID, kind: str) -> HttpResponseBase:
    """The same revision as a file: the PDF as it was published, and the document as a workbook, CSV or JSON."""
    found = get_object_or_404(visible_reports(asker_of(request)), uuid=uuid)
    return file_response(found, kind)


def _list(request: HttpRequest, close_form: CloseMonthForm, status: int = 200) -> HttpResponse:
    asker = asker_of(request)
    found = visible_reports(asker).defer("payload")
    filters = ReportFilterForm(request.GET or None, reports=found)
    if filters.is_bound and filters.is_valid():
        if month := filters.cleaned_data["month"]:
            found = found.filter(month=month)
        if slug := filters.cleaned_data["roadmap"]:
            found = found.filter(roadmap__workload__slug=slug)
    page = Paginator(found.order_by("-month", "scope", "roadmap__workload__name", "-revision"), PER_PAGE)
    context = {
        "page": page.get_page(request.GET.get("page")),
        "filters": filters,
        "close_form": close_form,
        "may_close": asker.user.is_admin,
        "Scope": Report.Scope,
    }
    return render(request, "roadmap/reports.html", context, status=status)

"""`/reports/compare/?a=<uuid>&b=<uuid>`: two reports of the same thing side by side, and as a file."""

from __future__ import annotations

from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_safe

from accounts.access import Asker
from accounts.authentication import asker_of
from metrics.errors import RuleViolation
from roadmap.forms.report_comparison import ComparisonForm
from roadmap.models import Report
from roadmap.queries.report_comparison import comparable_reports, two_reports
from roadmap.queries.reports import visible_reports
from roadmap.reports.comparison_words import comparison_document
from roadmap.views.comparison_files import KINDS, comparison_response
from roadmap.views.report_languages import language_asked


@login_required
@require_safe
def report_comparison(request: HttpRequest) -> HttpResponse:
    """The comparison, and above it the choice of both; with one of the two given, the choice alone."""
    asker = asker_of(request)
    first, second = (_uuid(request.GET.get(name, "")) for name in ("a", "b"))
    one = second or first
    if one is None:
        return HttpResponseRedirect(reverse("reports"))
    report = _report(asker, one)
    choices = list(comparable_reports(asker, report))
    initial = {name: str(value) for name, value in (("a", first), ("b", second)) if value}
    form = ComparisonForm(initial or None, reports=choices) if first and second else None
    context = {"report": report, "kinds": KINDS}
    status = 200
    if form is not None and first and second:
        try:
            both = two_reports(asker, first, second)
        except RuleViolation as error:
            form.full_clean()
            form.add_violation(error)
            status = 422
        else:
            if both is None:
                raise Http404
            was, now = both
            context["document"] = comparison_document(was.payload, now.payload, language_asked(request))
            context |= {"was": was, "now": now}
    context["form"] = form or ComparisonForm(initial=initial, reports=choices)
    return render(request, "reports/compare.html", context, status=status)


@login_required
@require_safe
def report_comparison_file(request: HttpRequest, kind: str) -> HttpResponseBase:
    """The same as PDF, workbook, CSV or JSON. 404 for whatever cannot be compared."""
    first, second = (_uuid(request.GET.get(name, "")) for name in ("a", "b"))
    if first is None or second is None:
        raise Http404
    try:
        both = two_reports(asker_of(request), first, second)
    except RuleViolation as error:
        raise Http404(error.message) from error
    if both is None:
        raise Http404
    return comparison_response(*both, kind, language_asked(request))


def _report(asker: Asker, uuid: UUID) -> Report:
    found = visible_reports(asker).filter(uuid=uuid, state=Report.State.PUBLISHED).defer("payload").first()
    if found is None:
        raise Http404
    return found


def _uuid(text: str) -> UUID | None:
    """The address's UUID, None for nothing. Http404 for what is none."""
    if not text:
        return None
    try:
        return UUID(text)
    except ValueError as error:
        raise Http404 from error

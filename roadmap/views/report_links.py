"""`/reports/<uuid>/links/`: who reads a report without signing in; made and revoked by who keeps the report's links."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from accounts.access import Asker
from accounts.authentication import asker_of
from metrics.errors import RuleViolation
from roadmap.actions.report_links import make_report_link, revoke_report_link
from roadmap.forms.report_links import ReportLinkForm
from roadmap.models import Report
from roadmap.queries.report_links import are_links_on, links_of, may_link
from roadmap.queries.reports import visible_reports
from web.htmx import done, render


@login_required
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def report_links(request: HttpRequest, uuid: UUID) -> HttpResponse:
    """The links and the form. A new one is in the answer to the POST and never again."""
    asker, report = asker_of(request), _report(request, uuid)
    if request.method != "POST":
        return _page(request, report, ReportLinkForm())
    form = ReportLinkForm(request.POST)
    if form.is_valid():
        try:
            label, expires_at = form.cleaned_data["label"], form.expires_at()
            link, secret = make_report_link(asker, report, label=label, expires_at=expires_at)
        except RuleViolation as error:
            form.add_violation(error)
        else:
            url = settings.BASE_URL + reverse("linked_report", args=[secret])
            return _page(request, report, ReportLinkForm(), made=link, url=url)
    return _page(request, report, form, status=422)


@login_required
@require_POST
def report_link_revoke(request: HttpRequest, uuid: UUID, pk: int) -> HttpResponse:
    """Ends a link at once."""
    report = _report(request, uuid)
    link = get_object_or_404(links_of(report).select_related("report__roadmap__workload"), pk=pk)
    back = reverse("report_links", args=[uuid])
    try:
        revoke_report_link(asker_of(request), link)
    except RuleViolation as error:
        return done(request, back, error.message, tone="amber")
    return done(request, back, _("The link is revoked: it does not work any more."))


def _report(request: HttpRequest, uuid: UUID) -> Report:
    """A report whose links the asker keeps; 404 where they do not see it, 403 where they only read it."""
    asker: Asker = asker_of(request)
    found = get_object_or_404(visible_reports(asker).defer("payload"), uuid=uuid)
    if not may_link(asker, found):
        raise PermissionDenied(_("Only managers of the roadmap, and for other reports admins, keep private links."))
    return found


def _page(
    request: HttpRequest, report: Report, form: ReportLinkForm, *, status: int = 200, **made: Any
) -> HttpResponse:
    now = timezone.now()
    context = {
        "report": report,
        "form": form,
        "links": [(link, link.state_at(now)) for link in links_of(report)],
        "are_on": are_links_on(),
        "is_published": report.state == Report.State.PUBLISHED,
        **made,
    }
    return render(request, "reports/links.html", context, status=status)

"""The list of reports, and one report: as it was published, or as a draft of what is known now."""

from __future__ import annotations

from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404
from django.utils.translation import ngettext
from django.views.decorators.http import require_GET, require_POST

from accounts.access import Asker
from accounts.authentication import asker_of
from metrics.errors import RuleViolation
from roadmap.actions.report_publishing import may_publish
from roadmap.actions.report_words import may_give_words
from roadmap.actions.reports import ask_to_close, published_reports
from roadmap.forms.reports import CloseMonthForm, ReportFilterForm
from roadmap.models import Report
from roadmap.queries.report_comparison import nearby_reports
from roadmap.queries.report_links import may_link
from roadmap.queries.report_list import failed, listed, progress, revisions_of, waiting_for_words
from roadmap.queries.report_parts import is_given_up
from roadmap.queries.reports import visible_reports
from roadmap.reports.drafts import TONES, gaps_text, state_word
from roadmap.tasks import advance_reports, revise_reports
from roadmap.views.report_files import file_response, shown_document
from roadmap.views.report_languages import language_asked
from roadmap.views.report_mail import by_mail
from web.htmx import done, render

PER_PAGE = 50
# The filter above has a month as well.
CLOSE_ID = "close-%s"
TONE_OF = {**TONES, Report.State.PUBLISHED: "green"}


@login_required
@require_GET
def reports(request: HttpRequest) -> HttpResponse:
    """Newest month first; filtered in the URL. htmx asks for the progress of a month that is being closed."""
    return _list(request, CloseMonthForm(auto_id=CLOSE_ID))


@login_required
@require_POST
def report_close(request: HttpRequest) -> HttpResponse:
    """Has workers publish the reports of a month that are not published yet. Admins only."""
    form = CloseMonthForm(request.POST, auto_id=CLOSE_ID)
    if not form.is_valid():
        return _list(request, form, status=422)
    asker, month = asker_of(request), form.cleaned_data["month"]
    try:
        wanted = ask_to_close(asker, month)
    except RuleViolation as error:
        form.add_violation(error)
        return _list(request, form, status=422)
    advance_reports(wanted)
    said = ngettext("%(count)d report is being published.", "%(count)d reports are being published.", len(wanted))
    said %= {"count": len(wanted)}
    if form.cleaned_data["revise"]:
        revised = published_reports(month)
        revise_reports(revised, asker.user.pk, form.cleaned_data["why"])
        again = ngettext("%(count)d is looked at again.", "%(count)d are looked at again.", len(revised))
        said = f"{said} {again % {'count': len(revised)}}"
    return done(request, "/reports/", said)


@login_required
@require_GET
def report(request: HttpRequest, uuid: UUID) -> HttpResponse:
    """One revision; what it links to are the other revisions of its month."""
    asker = asker_of(request)
    mine = visible_reports(asker)
    found = get_object_or_404(mine, uuid=uuid)
    revisions = list(revisions_of(found).filter(pk__in=mine.values("pk")).order_by("revision"))
    published = [one for one in revisions if one.is_published]
    newest = published[-1] if published else None
    language = language_asked(request)
    context = {
        "document": shown_document(found, language),
        "report": found,
        "state": _state(found),
        "revisions": revisions,
        "newer": newest if newest and found.is_published and newest.revision > found.revision else None,
        "may_link": found.is_published and may_link(asker, found),
        "may_publish": not found.is_published and may_publish(asker, found),
        "may_revise": found.is_published and found == newest and may_publish(asker, found),
        "has_words": found.roadmap is not None and not found.is_published,
        "may_give_words": not found.is_published and may_give_words(asker, found),
        "is_given_up": is_given_up(found),
        "nearby": nearby_reports(asker, found) if found.is_published else None,
        "mail": by_mail(asker, found) if found.is_published else None,
    }
    return render(request, "reports/report.html", context)


@login_required
@require_GET
def report_file(request: HttpRequest, uuid: UUID, kind: str) -> HttpResponseBase:
    """The same revision as a file: the PDF as it was published, and the document as a workbook, CSV or JSON."""
    found = get_object_or_404(visible_reports(asker_of(request)), uuid=uuid)
    return file_response(found, kind, language_asked(request))


def _state(report: Report) -> tuple[str, str, str]:
    """(tone, word, why it is no further)."""
    return TONE_OF[report.state], state_word(report), gaps_text(report.gaps)


def _list(request: HttpRequest, close_form: CloseMonthForm, status: int = 200) -> HttpResponse:
    asker = asker_of(request)
    running = progress(asker)
    if request.method == "GET" and request.headers.get("HX-Target") == "closing":
        # Polled: the count alone, and no more of it once it is over.
        return render(request, "roadmap/reports.html", {"running": running}, part="closing")
    found = visible_reports(asker)
    filters = ReportFilterForm(request.GET or None, reports=found)
    page = Paginator(listed(filters.apply(found)), PER_PAGE).get_page(request.GET.get("page"))
    context = {
        "page": page,
        "rows": [(item, _state(item)) for item in page.object_list],
        "filters": filters,
        "close_form": close_form,
        "may_close": _may_close(asker),
        "waiting": waiting_for_words(asker),
        "failed": failed(asker),
        "running": running,
        "Scope": Report.Scope,
    }
    return render(request, "roadmap/reports.html", context, status=status)


def _may_close(asker: Asker) -> bool:
    return asker.user.is_admin

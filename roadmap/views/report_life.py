"""What a person does to a report: giving it words, publishing it, correcting it."""

from __future__ import annotations

from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from accounts.access import Asker
from accounts.authentication import asker_of
from metrics.errors import RuleViolation
from roadmap.actions.report_drafts import words_of
from roadmap.actions.report_publishing import check_may_publish, publish_report, revise_report
from roadmap.actions.report_words import WordsChanged, give_words, may_give_words
from roadmap.actions.reports import following
from roadmap.forms.reports import ReviseForm, WordsForm
from roadmap.models import Report, ReportWords
from roadmap.queries.reports import reports_with_words, visible_reports
from roadmap.reports.snapshot import section_value
from roadmap.tasks import advance_reports
from roadmap.views.report_files import shown_payload
from web.htmx import done, render


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def report_words(request: HttpRequest, uuid: UUID) -> HttpResponse:
    """The words: managers change them until the report is published, members read them."""
    asker = asker_of(request)
    found = get_object_or_404(reports_with_words(asker), uuid=uuid)
    may_change = may_give_words(asker, found) and not found.is_published
    if request.method != "POST":
        return _words_page(request, asker, found, may_change=may_change)
    if not may_give_words(asker, found):
        raise PermissionDenied(_("Only a manager of the roadmap gives a report its words."))
    form = WordsForm(request.POST, causes=causes_of(found, words_of(found)), words=words_of(found))
    held: ReportWords | None = None
    if form.is_valid():
        try:
            words = give_words(
                asker,
                found,
                text=form.cleaned_data["text"],
                next_actions=form.next_actions(),
                is_ready=form.cleaned_data["is_ready"],
                version=form.cleaned_data["version"],
            )
        except WordsChanged as error:
            # Both stand on the page: what is saved, and what was typed, which can be saved after reading the other.
            held = error.held
            form.add_violation(error)
            form.put_version(held.version)
        except RuleViolation as error:
            form.add_violation(error)
        else:
            said = _("Words saved; the report is ready.") if words.is_ready else _("Words saved.")
            return done(request, reverse("report_words", args=[uuid]), said)
    return _words_page(request, asker, found, may_change=may_change, form=form, held=held, status=422)


@login_required
@require_POST
def report_publish(request: HttpRequest, uuid: UUID) -> HttpResponse:
    """Publishes a draft before its day."""
    asker, found = _found(request, uuid)
    back = reverse("report", args=[uuid])
    try:
        published = publish_report(asker, found)
    except RuleViolation as error:
        return done(request, back, error.message, tone="red")
    advance_reports(following(published))
    return done(request, back, _("Published."))


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def report_revise(request: HttpRequest, uuid: UUID) -> HttpResponse:
    """Publishes the next revision of a published report, where something has changed."""
    asker, found = _found(request, uuid)
    check_may_publish(asker, found)
    if not found.is_published:
        raise Http404
    form = ReviseForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            revision = revise_report(asker, found, why=form.cleaned_data["why"])
        except RuleViolation as error:
            form.add_violation(error)
        else:
            if revision is None:
                said = _("Nothing has changed since it was published, so nothing was published.")
                return done(request, reverse("report", args=[uuid]), said, tone="amber")
            advance_reports(following(revision))
            said = _("Revision %(number)d is published.") % {"number": revision.revision}
            return done(request, reverse("report", args=[revision.uuid]), said)
    status = 422 if request.method == "POST" else 200
    return render(request, "reports/revise.html", {"report": found, "form": form}, status=status)


def causes_of(report: Report, words: ReportWords | None) -> list[str]:
    """The three things that moved most, and those for which a next action is noted already."""
    movers = section_value(shown_payload(report), "movers") or {"rows": []}
    moved = [row["cause"] for row in movers["rows"]]
    noted = list(words.next_actions) if words is not None else []
    return list(dict.fromkeys([*moved, *noted]))


def _found(request: HttpRequest, uuid: UUID) -> tuple[Asker, Report]:
    asker = asker_of(request)
    return asker, get_object_or_404(visible_reports(asker), uuid=uuid)


def _words_page(
    request: HttpRequest,
    asker: Asker,
    report: Report,
    *,
    may_change: bool,
    form: WordsForm | None = None,
    held: ReportWords | None = None,
    status: int = 200,
) -> HttpResponse:
    words = words_of(report)
    may_open = visible_reports(asker).filter(pk=report.pk).exists()
    causes = causes_of(report, words) if may_change and form is None else []
    context = {
        "report": report,
        "words": words,
        "held": held,
        "may_change": may_change,
        "may_open": may_open,
        "form": form or WordsForm(causes=causes, words=words),
    }
    return render(request, "reports/words.html", context, status=status)

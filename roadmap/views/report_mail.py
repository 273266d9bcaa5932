"""Pages of reports by mail: who gets them, what became of each mail, and the mail itself."""

from __future__ import annotations

import base64
from typing import Any
from uuid import UUID

from csp.constants import NONE
from csp.decorators import csp
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_GET, require_POST

from accounts.access import Asker
from accounts.authentication import asker_of
from metrics.errors import RuleViolation
from roadmap.actions.report_mails import send_report_mail_again, send_report_mails_again
from roadmap.actions.report_subscriptions import (
    add_report_subscribers,
    change_report_subscriber,
    remove_report_subscriber,
    subscribe_to_reports,
    unsubscribe_from_reports,
)
from roadmap.forms.report_mail import AddReadersForm, SubscribeForm
from roadmap.mailing.compose import mail_for
from roadmap.mailing.hand_over import is_set_up
from roadmap.models import Programme, Report, ReportMail, ReportSubscription, Roadmap
from roadmap.queries.report_mail import (
    AGAIN,
    PORTFOLIO,
    TONES,
    Subject,
    mailing_of,
    mails_of,
    manages,
    sees,
    subject_of,
    subscription_of_person,
    subscriptions,
)
from roadmap.queries.reports import visible_reports
from roadmap.reports.outputs.mail import UNSUBSCRIBE, read_mail
from roadmap.views.report_languages import language_asked, languages_of
from web.htmx import done, render
from web.spreadsheets import attachment

Scope = Report.Scope
MOST_SHOWN = 1_000


def address_of(subject: Subject) -> str:
    """The page on which one chooses whether these reports come by mail."""
    if subject.roadmap is not None:
        return reverse("report_mail", args=["roadmap", subject.roadmap.slug])
    if subject.programme is not None:
        return reverse("report_mail", args=["programme", str(subject.programme.pk)])
    return reverse("report_mail", args=["portfolio", "all"])


def by_mail(asker: Asker, report: Report) -> dict[str, Any]:
    """What the page of a report says of its mails: `mailing` for who manages it alone."""
    subject = subject_of(report)
    mine = subscription_of_person(asker, subject)
    return {
        "mailing": mailing_of(report) if manages(asker, subject) else None,
        "list_url": address_of(subject),
        "is_mine": mine is not None and mine.is_on,
    }


@login_required
@require_GET
def report_mail(request: HttpRequest, scope: str, name: str) -> HttpResponse:
    """One's own subscription, and for who manages it everybody's."""
    asker = asker_of(request)
    return _page(request, asker, _subject(asker, scope, name))


@login_required
@require_POST
def report_mail_mine(request: HttpRequest, scope: str, name: str) -> HttpResponse:
    """Subscribes the asker, or ends it (`off`)."""
    asker = asker_of(request)
    subject = _subject(asker, scope, name)
    form = SubscribeForm(request.POST)
    back = address_of(subject)
    if not form.is_valid():
        return _page(request, asker, subject, form=form, status=422)
    try:
        if "off" in request.POST:
            unsubscribe_from_reports(asker, subject)
            said = _("You get these reports by mail no more.")
        else:
            subscribe_to_reports(asker, subject, language=form.cleaned_data["language"])
            said = _("You get these reports by mail, from the next one on.")
    except RuleViolation as violation:
        return done(request, back, violation.message, tone="amber")
    return done(request, back, said)


@login_required
@require_POST
def report_mail_add(request: HttpRequest, scope: str, name: str) -> HttpResponse:
    """Adds what was pasted; each that is bad is named, and stays in the form."""
    asker = asker_of(request)
    subject = _subject(asker, scope, name)
    if not manages(asker, subject):
        raise PermissionDenied("Only who manages it says who else gets the reports.")
    form = AddReadersForm(request.POST)
    if not form.is_valid():
        return _page(request, asker, subject, add=form, status=422)
    try:
        added = add_report_subscribers(
            asker, subject, readers=form.cleaned_data["readers"], language=form.cleaned_data["language"]
        )
    except RuleViolation as violation:
        form.add_violation(violation)
        return _page(request, asker, subject, add=form, status=422)
    if added.refused:
        left = AddReadersForm(
            initial={
                "readers": "\n".join(typed for typed, _why in added.refused),
                "language": form.cleaned_data["language"],
            }
        )
        return _page(request, asker, subject, add=left, added=added, status=422)
    return done(request, address_of(subject), _said_added(len(added.added), added.already))


@login_required
@require_POST
def report_subscriber_change(request: HttpRequest, uuid: UUID) -> HttpResponse:
    """Off, on, or off the list (`what`)."""
    asker = asker_of(request)
    held = get_object_or_404(ReportSubscription.objects.select_related("roadmap__workload", "programme"), uuid=uuid)
    subject = subject_of(held)
    if held.person_id != asker.user.pk and not manages(asker, subject):
        raise Http404
    what = request.POST.get("what", "")
    # A person who no longer sees the roadmap comes back to their own page.
    back = address_of(subject) if sees(asker, subject) else reverse("notifications")
    if request.POST.get("back") == "mine":
        back = reverse("notifications")
    try:
        if what == "remove":
            remove_report_subscriber(asker, held)
            said = _("%(reader)s gets no more of these reports.") % {"reader": held.reader}
        elif what in ("on", "off"):
            change_report_subscriber(asker, held, is_on=what == "on")
            said = _("Saved.")
        else:
            raise Http404
    except RuleViolation as violation:
        return done(request, back, violation.message, tone="amber")
    return done(request, back, said)


@login_required
@require_GET
def report_mailing(request: HttpRequest, uuid: UUID) -> HttpResponse:
    """What became of each mail of a report; for who manages it."""
    asker, report = _managed(request, uuid)
    rows = [(mail, TONES.get(mail.state, "none"), mail.state in AGAIN) for mail in mails_of(report)[:MOST_SHOWN]]
    context = {
        "report": report,
        "subject": subject_of(report),
        "mailing": mailing_of(report),
        "rows": rows,
        "is_set_up": is_set_up(),
        "list_url": address_of(subject_of(report)),
    }
    return render(request, "roadmap/report_mailing.html", context)


@login_required
@require_POST
def report_mailing_again(request: HttpRequest, uuid: UUID) -> HttpResponse:
    """Sends all again that failed, or the one that is named (`mail`)."""
    asker, report = _managed(request, uuid)
    back = reverse("report_mailing", args=[report.uuid])
    named = request.POST.get("mail", "")
    try:
        if named:
            mail = get_object_or_404(report.mails.select_related("report__roadmap__workload"), pk=_number(named))
            send_report_mail_again(asker, mail)
            said = _("It is sent again within a minute.")
        else:
            count = send_report_mails_again(asker, report)
            said = ngettext(
                "%(count)s mail is sent again within a minute.",
                "%(count)s mails are sent again within a minute.",
                count,
            ) % {"count": count}
    except RuleViolation as violation:
        return done(request, back, violation.message, tone="amber")
    return done(request, back, said)


@login_required
@require_GET
@csp(  # type: ignore[arg-type]
    {
        "default-src": [NONE],
        "style-src": ["'unsafe-inline'"],
        "img-src": ["data:"],
        "script-src": [NONE],
        "form-action": [NONE],
        "base-uri": [NONE],
        "sandbox": ["allow-popups"],
    }
)
def report_mail_shown(request: HttpRequest, uuid: UUID) -> HttpResponse:
    """The mail as its readers get it, in a page that can run and fetch nothing; its link to end the mails is dead."""
    report = _published(request, uuid)
    mail = read_mail(mail_for(report, _language(request, report)))
    html = mail.html.replace(UNSUBSCRIBE, "#")
    for picture in mail.pictures:
        html = html.replace(f"cid:{picture.cid}", f"data:image/png;base64,{base64.b64encode(picture.content).decode()}")
    response = HttpResponse(html)
    response.headers["Content-Language"] = mail.language
    return response


@login_required
@require_GET
def report_mail_file(request: HttpRequest, uuid: UUID) -> HttpResponseBase:
    """The mail as it was kept, to open in a mail program."""
    report = _published(request, uuid)
    language = _language(request, report)
    name = f"{report.subject_slug}-{report.month:%Y-%m}-revision-{report.revision}-{language}.eml"
    return attachment(mail_for(report, language), name, "message/rfc822")


def _subject(asker: Asker, scope: str, name: str) -> Subject:
    """What the address names, where the asker sees it; else 404."""
    subject = None
    if scope == Scope.PORTFOLIO and name == "all":
        subject = PORTFOLIO
    elif scope == Scope.ROADMAP:
        roadmap = get_object_or_404(Roadmap.objects.select_related("workload"), workload__slug=name)
        subject = Subject(Scope.ROADMAP, roadmap=roadmap)
    elif scope == Scope.PROGRAMME:
        subject = Subject(Scope.PROGRAMME, programme=get_object_or_404(Programme, pk=_number(name)))
    if subject is None or not sees(asker, subject):
        raise Http404
    return subject


def _number(text: str) -> int:
    if not text.isdecimal() or len(text) > 18:
        raise Http404
    return int(text)


def _published(request: HttpRequest, uuid: UUID) -> Report:
    return get_object_or_404(visible_reports(asker_of(request)), uuid=uuid, state=Report.State.PUBLISHED)


def _managed(request: HttpRequest, uuid: UUID) -> tuple[Asker, Report]:
    asker, report = asker_of(request), _published(request, uuid)
    if not manages(asker, subject_of(report)):
        raise Http404
    return asker, report


def _language(request: HttpRequest, report: Report) -> str:
    languages = dict(languages_of(report.payload))
    asked = language_asked(request)
    return asked if asked in languages else next(iter(languages))


def _said_added(count: int, already: int) -> str:
    return _("%(count)s added, %(already)s were on the list.") % {"count": count, "already": already}


def _last(row: ReportSubscription) -> tuple[str, str]:
    """What became of the reader's last mail: tone and word, empty before the first."""
    state = getattr(row, "last_state", None)
    return (TONES.get(state, "none"), str(ReportMail.State(state).label)) if state else ("none", "")


def _page(
    request: HttpRequest,
    asker: Asker,
    subject: Subject,
    *,
    form: SubscribeForm | None = None,
    add: AddReadersForm | None = None,
    added: Any = None,
    status: int = 200,
) -> HttpResponse:
    mine = subscription_of_person(asker, subject)
    may_manage = manages(asker, subject)
    rows = []
    if may_manage:
        rows = [(row, *_last(row)) for row in subscriptions(subject)[:MOST_SHOWN]]
    names = {"scope": subject.scope, "name": request.resolver_match.kwargs["name"] if request.resolver_match else ""}
    context = {
        "subject": subject,
        "names": names,
        "mine": mine,
        "is_on": mine is not None and mine.is_on,
        "form": form or SubscribeForm(initial={"language": mine.language if mine else ""}),
        "may_manage": may_manage,
        "add": add or AddReadersForm(auto_id="add-%s"),
        "added": added,
        "added_said": _said_added(len(added.added), added.already) if added else "",
        "rows": rows,
        "is_set_up": is_set_up(),
        "address": asker.user.email,
    }
    return render(request, "roadmap/report_mail.html", context, status=status)

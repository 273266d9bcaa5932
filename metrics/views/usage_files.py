"""A file of usage: choosing it, what it would count as, letting it count, taking it back."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils.translation import gettext, ngettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST
from django_htmx.http import HttpResponseClientRefresh

from accounts.access import Asker
from metrics import sources, usage_file_pieces, usage_files
from metrics.actions import usage_files as actions
from metrics.api.usage import address_of
from metrics.errors import RuleViolation
from metrics.models import UsageFile
from metrics.spoken import spoken
from metrics.tasks import advance_usage_file, enqueue_on_commit
from metrics.usage_file_forms import UsageFileForm
from metrics.usage_file_page import usage_file_page
from metrics.usage_file_steps import advance
from metrics.views.send import sender_of, workloads_to_push_to
from web import wording
from web.htmx import done, is_partial, render
from web.spreadsheets import attachment, csv_pieces

TEMPLATE = "metrics/usage_file.html"
CSV = "text/csv; charset=utf-8"
State = UsageFile.State
# What a request works on a file itself, so that a small one needs no worker; larger ones go on behind it.
INLINE_SECONDS = 1.0


@login_required
@require_GET
def usage_template(request: HttpRequest) -> HttpResponse:
    """A CSV to begin with."""
    sender_of(request)
    response = HttpResponse(usage_files.template(sources.now()), content_type=CSV)
    response["Content-Disposition"] = 'attachment; filename="usage-template.csv"'
    return response


@never_cache
@login_required
@require_http_methods(["GET", "POST"])
def usage_file_new(request: HttpRequest) -> HttpResponse:
    """Choose a file. A small one is read at once."""
    asker = sender_of(request)
    workloads = workloads_to_push_to(asker)
    form = UsageFileForm(
        request.POST or None,
        request.FILES or None,
        asker=asker,
        workloads=workloads,
        initial={"workload": workloads[0].slug if workloads else ""},
    )
    context: dict[str, Any] = {
        "form": form,
        "most_mib": settings.USAGE_FILE_MAX_BYTES // 2**20,
        "most_rows": settings.USAGE_FILE_MAX_ROWS,
    }
    if request.method == "GET":
        return render(request, "metrics/usage_file_new.html", context)
    if form.is_valid():
        data = form.cleaned_data
        try:
            sent = actions.send_file(
                asker,
                pieces=data["file"].chunks(),
                name=data["file"].name,
                workload=data["workload"],
                backend=data["backend"],
                zone=data["zone"],
            )
        except RuleViolation as problem:
            problem.field = problem.field or "file"
            form.add_violation(problem)
        else:
            return _sent(request, sent)
    return render(request, "metrics/usage_file_new.html", context, status=422)


def _sent(request: HttpRequest, sent: actions.Sent) -> HttpResponse:
    url = reverse("usage_file", args=[sent.one.uuid])
    if sent.is_repeat:
        if sent.one.state == State.DONE:
            said = gettext("This file is counted already, as %(name)s: nothing was added.")
        elif sent.one.state == State.READY:
            said = gettext("This file is here already, to be confirmed, as %(name)s: nothing was added.")
        else:
            said = gettext("This file is here already, as %(name)s: nothing was added.")
        return done(request, url, said % {"name": sent.one.name}, tone="amber")
    _work(sent.one)
    return done(request, url)


@never_cache
@login_required
@require_GET
def usage_file(request: HttpRequest, uuid: UUID) -> HttpResponse:
    """One file. While it is worked on, the page looks again by itself."""
    asker, one = _find(request, uuid)
    part = "live" if request.GET.get("part") == "live" else ""
    if part and is_partial(request) and one.state not in UsageFile.AT_WORK:
        # The page around the part is another one by now.
        return HttpResponseClientRefresh()
    page = usage_file_page(asker, one)
    context = {"page": page, "one": one, "see": address_of(page.see)}
    return render(request, TEMPLATE, context, part=part)


@login_required
@require_POST
def usage_file_confirm(request: HttpRequest, uuid: UUID) -> HttpResponse:
    """Let a file that was read count."""
    asker, one = _find(request, uuid)
    url = reverse("usage_file", args=[uuid])
    try:
        actions.confirm_file(asker, one)
    except RuleViolation as problem:
        return done(request, url, spoken(problem.message), tone="red")
    _work(one)
    one.refresh_from_db()
    if one.state != State.DONE:
        return done(request, url, gettext("The file is being counted."))
    return done(
        request,
        url,
        ngettext("%(count)s record counted.", "%(count)s records counted.", one.accepted)
        % {"count": wording.count(one.accepted)},
    )


@login_required
@require_POST
def usage_file_discard(request: HttpRequest, uuid: UUID) -> HttpResponse:
    """Drop a file that does not count."""
    asker, one = _find(request, uuid)
    try:
        actions.discard_file(asker, one)
    except RuleViolation as problem:
        return done(request, reverse("usage_file", args=[uuid]), spoken(problem.message), tone="red")
    return done(
        request, reverse("send_data"), gettext("%(name)s is discarded. Nothing of it was counted.") % {"name": one.name}
    )


@login_required
@require_POST
def usage_file_take_back(request: HttpRequest, uuid: UUID) -> HttpResponse:
    """Reverse all of a file's receipts."""
    asker, one = _find(request, uuid)
    url = reverse("usage_file", args=[uuid])
    try:
        actions.take_file_back(asker, one)
    except RuleViolation as problem:
        return done(request, url, spoken(problem.message), tone="red")
    _work(one)
    return done(request, url, gettext("Taken back: its figures are gone, and a corrected file will count."))


@login_required
@require_GET
def usage_file_rejected(request: HttpRequest, uuid: UUID) -> HttpResponseBase:
    """The rejected rows as CSV: their cells, and line, column and reason behind them."""
    _, one = _find(request, uuid)
    heads = [*(name for name, _ in one.columns), *usage_files.REJECTED_COLUMNS]
    return attachment(csv_pieces(heads, usage_file_pieces.rejected_rows(one)), f"rejected-{one.uuid}.csv", CSV)


def _work(one: UsageFile) -> None:
    """Works on the file for a moment; what is left is a worker's."""
    after = advance(one.pk, seconds=INLINE_SECONDS)
    if after is None or after.state in UsageFile.AT_WORK:
        enqueue_on_commit(advance_usage_file, one.pk)


def _find(request: HttpRequest, uuid: UUID) -> tuple[Asker, UsageFile]:
    asker = sender_of(request)
    one = actions.visible_files(asker).filter(uuid=uuid).first()
    if one is None:
        raise Http404
    if request.method == "POST" and not actions.can_change_file(asker, one):
        raise PermissionDenied(gettext("Only who sent a file, and admins, decide about it."))
    return asker, one

"""Billing files: the list, choosing one, what was found in it, letting it count, taking it back."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.translation import gettext
from django.views.decorators.http import require_GET, require_http_methods, require_POST
from django_htmx.http import HttpResponseClientRefresh

from accounts.access import Asker, can_change_backends, can_see_backends
from accounts.authentication import asker_of
from metrics.actions import imports as actions
from metrics.actions.usage import reverse_receipt
from metrics.bills import (
    ImportPage,
    can_see_imports,
    candidates,
    import_page,
    latest_import,
    open_questions,
    preview_of,
    visible_imports,
)
from metrics.errors import RuleViolation
from metrics.import_forms import ConfirmForm, MappingForm, PaysForForm, UploadForm
from metrics.models import BillingImport, BillingSource
from metrics.spoken import spoken
from metrics.tasks import enqueue_on_commit, post_import, read_import
from web.htmx import done, is_partial, render

PAGE_SIZE = 25
TEMPLATE = "metrics/import.html"
State = BillingImport.State


@login_required
@require_GET
def imports(request: HttpRequest) -> HttpResponse:
    """Every file, newest first."""
    asker = _reader(request)
    page = Paginator(visible_imports(asker), PAGE_SIZE).get_page(request.GET.get("page"))
    context = {"page": page, "questions": open_questions(asker), "may_change": can_change_backends(asker)}
    return render(request, "metrics/imports.html", context)


@login_required
@require_http_methods(["GET", "POST"])
def import_new(request: HttpRequest) -> HttpResponse:
    """Choose a file. What it is, is said at once; what is in it, when it was read."""
    asker = _admin(request)
    form = UploadForm(request.POST or None, request.FILES or None)
    context: dict[str, Any] = {"form": form, "most_mib": settings.IMPORT_MAX_BYTES // 1024**2}
    if request.method == "GET":
        return render(request, "metrics/import_new.html", context)
    if form.is_valid():
        file = form.cleaned_data["file"]
        try:
            found = actions.upload(
                asker,
                pieces=file.chunks(),
                name=file.name,
                source=None if form.cleaned_data["source_name"] else form.cleaned_data["source"],
                source_name=form.cleaned_data["source_name"],
                workload=form.cleaned_data["workload"],
            )
        except RuleViolation as problem:
            problem.field = problem.field or "file"
            form.add_violation(problem)
        else:
            return _uploaded(request, found)
    return render(request, "metrics/import_new.html", context, status=422)


def _uploaded(request: HttpRequest, found: actions.Uploaded) -> HttpResponse:
    one = found.one
    url = reverse("import", args=[one.uuid])
    if found.is_repeat:
        if one.state == State.DONE:
            said = gettext("This file was imported already, as %(name)s: nothing was added.")
        else:
            said = gettext("This file is here already, as %(name)s: nothing was added.")
        return done(request, url, said % {"name": one.name}, tone="amber")
    if one.state == State.READING:
        enqueue_on_commit(read_import, one.pk)
        return done(request, url, gettext("The file is here and is being read."))
    return done(request, url, gettext("The file is here. Say what its columns mean."))


@login_required
@require_GET
def import_detail(request: HttpRequest, uuid: UUID) -> HttpResponse:
    """One file. While a worker has it, the page looks again by itself."""
    asker = _reader(request)
    return _draw(request, asker, _find(asker, uuid))


@login_required
@require_POST
def import_mapping(request: HttpRequest, uuid: UUID) -> HttpResponse:
    """What the columns mean; with `do=preview` only how the first rows are understood then."""
    asker = _admin(request)
    one = _find(asker, uuid)
    form = MappingForm(request.POST, one=one)
    if not form.is_valid():
        return _draw(request, asker, one, status=422, mapping_form=form)
    if request.POST.get("do") == "preview":
        return _draw(request, asker, one, mapping_form=form, mapping=form.mapping)
    try:
        actions.map_columns(asker, one, form.mapping)
    except RuleViolation as problem:
        form.add_violation(problem)
        return _draw(request, asker, one, status=422, mapping_form=form)
    enqueue_on_commit(read_import, one.pk)
    return done(request, reverse("import", args=[uuid]), gettext("The file is being read."))


@login_required
@require_POST
def import_confirm(request: HttpRequest, uuid: UUID) -> HttpResponse:
    """Let a file that was read count."""
    asker = _admin(request)
    one = _find(asker, uuid)
    page = import_page(asker, one)
    form = _confirm_form(page, request.POST)
    if one.state == State.READY and not form.is_valid():
        return _draw(request, asker, one, status=422, confirm_form=form)
    try:
        actions.confirm(asker, one, form.choices if one.state == State.READY else actions.Choices())
    except RuleViolation as problem:
        if one.state != State.READY:
            return done(request, reverse("import", args=[uuid]), spoken(problem.message), tone="red")
        form.add_violation(problem)
        return _draw(request, asker, one, status=422, confirm_form=form)
    enqueue_on_commit(post_import, one.pk)
    return done(request, reverse("import", args=[uuid]), gettext("The file is being counted."))


@login_required
@require_POST
def import_discard(request: HttpRequest, uuid: UUID) -> HttpResponse:
    """Drop a file that does not count."""
    asker = _admin(request)
    one = _find(asker, uuid)
    try:
        actions.discard(asker, one)
    except RuleViolation as problem:
        return done(request, reverse("import", args=[uuid]), spoken(problem.message), tone="red")
    return done(
        request, reverse("imports"), gettext("%(name)s is discarded. Nothing of it was counted.") % {"name": one.name}
    )


@login_required
@require_POST
def import_take_back(request: HttpRequest, uuid: UUID) -> HttpResponse:
    """Reverse the file's receipt; what it had replaced counts again."""
    asker = _admin(request)
    one = _find(asker, uuid)
    url = reverse("import", args=[uuid])
    if one.receipt is None:
        return done(request, url, gettext("This file does not count."), tone="red")
    try:
        reverse_receipt(asker, one.receipt)
    except RuleViolation as problem:
        return done(request, url, spoken(problem.message), tone="red")
    return done(request, url, gettext("Taken back: its figures are gone. What it had replaced counts again."))


@login_required
@require_http_methods(["GET", "POST"])
def bill_pays_for(request: HttpRequest, slug: str) -> HttpResponse:
    """Which backends' traffic the bills of an account pay for."""
    asker = _admin(request)
    source = get_object_or_404(BillingSource.objects.select_related("backend"), backend__slug=slug)
    data = request.POST if request.method == "POST" else None
    form = PaysForForm(data, candidates=candidates(source), is_decided=source.is_decided)
    if request.method == "POST" and form.is_valid():
        said = form.backends()
        if said is None:
            form.add_error("pays_for", gettext("Tick what it pays for, or 'None of these'."))
        else:
            try:
                actions.set_pays_for(asker, source, said)
            except RuleViolation as problem:
                form.add_violation(problem)
            else:
                return done(
                    request,
                    reverse("imports"),
                    gettext("Saved what %(backend)s pays for.") % {"backend": source.backend},
                )
    context = {"form": form, "source": source, "latest": latest_import(source)}
    return render(request, "metrics/bill_pays_for.html", context, status=422 if form.errors else 200)


def _draw(
    request: HttpRequest,
    asker: Asker,
    one: BillingImport,
    *,
    status: int = 200,
    mapping: dict[str, Any] | None = None,
    **forms: Any,
) -> HttpResponse:
    part = "live" if request.method == "GET" and request.GET.get("part") == "live" else ""
    if part and is_partial(request) and one.state not in BillingImport.AT_WORK:
        # The page around the part is another one by now.
        return HttpResponseClientRefresh()
    page = import_page(asker, one)
    context: dict[str, Any] = {"page": page, "one": one, "may_change": page.may_change}
    if page.may_change and one.state == State.MAPPING:
        guessed = actions.first_guess(one)
        context["mapping_form"] = MappingForm(one=one, initial=MappingForm.initial_of(guessed))
        page.preview = preview_of(one, mapping or guessed)
    if page.may_change and one.state == State.READY:
        context["confirm_form"] = _confirm_form(page, None)
    context |= forms
    return render(request, TEMPLATE, context, part=part, status=status)


def _confirm_form(page: ImportPage, data: Any) -> ConfirmForm:
    return ConfirmForm(
        data,
        one=page.one,
        services=page.services,
        candidates=page.candidates,
        is_decided=page.one.source.is_decided,
    )


def _find(asker: Asker, uuid: UUID) -> BillingImport:
    one = visible_imports(asker).filter(uuid=uuid).first()
    if one is None:
        raise Http404
    return one


def _reader(request: HttpRequest) -> Asker:
    asker = asker_of(request)
    if not can_see_backends(asker):
        raise Http404
    if not can_see_imports(asker):
        raise PermissionDenied(gettext("Billing files show everyone's spend: admins and executives see them."))
    return asker


def _admin(request: HttpRequest) -> Asker:
    asker = _reader(request)
    if not can_change_backends(asker):
        raise PermissionDenied(gettext("Only admins import billing files."))
    return asker

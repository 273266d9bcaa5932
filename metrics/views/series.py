"""Whose a series is, what it goes through, and which sources look like the same traffic."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext
from django.views.decorators.http import require_http_methods, require_POST

from accounts.access import can_change_backends, visible_workloads
from accounts.authentication import asker_of
from metrics import counting
from metrics.actions.allocations import THE_BEGINNING, allocate, allocate_by_rules, in_force
from metrics.actions.links import decide_look_alike, link_backend, link_push
from metrics.errors import RuleViolation
from metrics.forms import AllocationForm, LinkForm, ThroughForm
from metrics.models import LookAlike, Series
from metrics.spoken import spoken
from metrics.tasks import post_capacity_since
from metrics.views.backends import draw_page
from metrics.visible import visible_backends, visible_series
from web.htmx import done, render


@login_required
@require_http_methods(["GET", "POST"])
def series_allocation(request: HttpRequest, pk: int) -> HttpResponse:
    """Shares of one series, edited in place."""
    series = get_object_or_404(visible_series(asker_of(request)).select_related("backend"), pk=pk)
    _require_admin(request)
    today = counting.local_day(timezone.now())
    shares = {one.workload_id: one.share_ratio for one in in_force(series, today)}
    form = AllocationForm(request.POST or None, workloads=visible_workloads(asker_of(request)), shares=shares)
    context: dict[str, Any] = {
        "series": series,
        "form": form,
        "through_form": _through_form(series),
        "is_from_the_beginning": series.hand_from_on == THE_BEGINNING,
    }
    if request.method == "GET":
        return render(request, "metrics/allocation.html", context, part="form")
    if form.is_valid():
        try:
            allocate(
                asker_of(request),
                series,
                shares=form.shares,
                from_on=form.cleaned_data["from_on"] or THE_BEGINNING,
            )
        except RuleViolation as error:
            form.add_violation(error)
        else:
            return done(request, reverse("backend", args=[series.backend.slug]), gettext("Allocated."))
    return render(request, "metrics/allocation.html", context, part="form", status=422)


@login_required
@require_POST
def series_by_rules(request: HttpRequest, pk: int) -> HttpResponse:
    """Take back what was said by hand, so that the rules place it again."""
    series = get_object_or_404(visible_series(asker_of(request)).select_related("backend"), pk=pk)
    _require_admin(request)
    allocate_by_rules(asker_of(request), series)
    return done(request, reverse("backend", args=[series.backend.slug]), gettext("The rules say whose it is again."))


@login_required
@require_POST
def series_through(request: HttpRequest, pk: int) -> HttpResponse:
    """Which backend the traffic of a push goes through."""
    series = get_object_or_404(visible_series(asker_of(request)).select_related("backend"), pk=pk)
    _require_admin(request)
    form = ThroughForm(request.POST)
    if form.is_valid():
        try:
            link_push(asker_of(request), series, backend=form.cleaned_data["backend"])
        except RuleViolation as error:
            form.add_violation(error)
        else:
            return done(request, reverse("backend", args=[series.backend.slug]), gettext("Linked: it is counted once."))
    context = {"series": series, "through_form": form, "form": None}
    return render(request, "metrics/allocation.html", context, part="form", status=422)


@login_required
@require_POST
def backend_link(request: HttpRequest, slug: str) -> HttpResponse:
    """What a backend stands behind."""
    backend = get_object_or_404(visible_backends(asker_of(request)), slug=slug)
    _require_admin(request)
    form, before = LinkForm(request.POST, backend=backend), backend.behind_from_on
    if form.is_valid():
        try:
            link_backend(
                asker_of(request),
                backend,
                gateway=form.cleaned_data["gateway"],
                from_on=form.cleaned_data["from_on"],
            )
        except RuleViolation as error:
            form.add_error("gateway" if error.field == "behind" else None, error.message)
        else:
            post_capacity_since(backend.pk, before, form.cleaned_data["from_on"])
            return done(request, reverse("backend", args=[slug]), gettext("Saved. Its traffic is counted once."))
    return draw_page(request, slug, status=422, link_form=form)


@login_required
@require_POST
def look_alike_decide(request: HttpRequest, pk: int) -> HttpResponse:
    """'Link them' or 'Different traffic'."""
    _require_admin(request)
    found = get_object_or_404(LookAlike, pk=pk)
    decision = request.POST.get("decision", "")
    try:
        decide_look_alike(asker_of(request), found, decision=decision)
    except RuleViolation as error:
        return done(request, _back(request), spoken(error.message), tone="red")
    linked = decision == LookAlike.Decision.LINKED
    for backend_id in {found.first.backend_id, found.second.backend_id} if linked else ():
        days = Series.objects.filter(backend=backend_id).values_list("uncounted_from_on", flat=True)
        post_capacity_since(backend_id, found.on, *days)
    said = gettext("Linked: counted once from now on.") if linked else gettext("Kept apart: both count.")
    return done(request, _back(request), said)


def _through_form(series: Series) -> ThroughForm | None:
    return ThroughForm(initial={"backend": series.through}) if series.is_pushed else None


def _back(request: HttpRequest) -> str:
    """The page it was decided on, where that is one of ours."""
    slug = request.POST.get("backend", "")
    if slug and "\0" not in slug and visible_backends(asker_of(request)).filter(slug=slug).exists():
        return reverse("backend", args=[slug])
    return "/" if request.POST.get("from") == "portfolio" else reverse("backends")


def _require_admin(request: HttpRequest) -> None:
    if not can_change_backends(asker_of(request)):
        raise PermissionDenied(gettext("Only admins change what counts and whose it is."))

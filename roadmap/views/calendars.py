"""`/me/calendar/`: one's private calendar addresses; `/calendar/<secret>.ics`: what a calendar program reads there."""

from __future__ import annotations

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext, override
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts.access import Asker
from accounts.authentication import asker_of
from accounts.languages import language_of
from metrics.errors import RuleViolation
from roadmap.actions.calendars import make_calendar_address, renew_calendar_address, revoke_calendar_address
from roadmap.forms.calendars import CalendarForm
from roadmap.ical import ical_of
from roadmap.models import CalendarAddress
from roadmap.queries.calendar import find_calendar_address, plan_calendar
from web.htmx import done, render


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def calendar_addresses(request: HttpRequest) -> HttpResponse:
    """The addresses and the form. A new one is in the answer to the POST and never again."""
    asker = asker_of(request)
    if request.method != "POST":
        return _page(request, asker, CalendarForm(asker=asker, chosen=request.GET.get("roadmap", "")))
    form = CalendarForm(request.POST, asker=asker)
    if form.is_valid():
        try:
            address, secret = make_calendar_address(asker, roadmap=form.cleaned_data["roadmap"])
        except RuleViolation as error:
            form.add_violation(error)
        else:
            return _page(request, asker, CalendarForm(asker=asker), address=address, secret=secret)
    return _page(request, asker, form, status=422)


@never_cache
@require_POST
def calendar_renew(request: HttpRequest, pk: int) -> HttpResponse:
    """Another address in the place of the one before, shown in this answer only."""
    asker = asker_of(request)
    address = get_object_or_404(CalendarAddress, pk=pk, owner=asker.user)
    try:
        secret = renew_calendar_address(asker, address)
    except RuleViolation as error:
        raise Http404 from error
    return _page(request, asker, CalendarForm(asker=asker), address=address, secret=secret)


@require_POST
def calendar_revoke(request: HttpRequest, pk: int) -> HttpResponse:
    """Ends an address."""
    asker = asker_of(request)
    address = get_object_or_404(CalendarAddress, pk=pk, owner=asker.user)
    try:
        revoke_calendar_address(asker, address)
    except RuleViolation as error:
        raise Http404 from error
    return done(
        request,
        reverse("calendar_addresses"),
        gettext("The address is revoked. Calendars that read it stay as they are."),
    )


def _page(
    request: HttpRequest,
    asker: Asker,
    form: CalendarForm,
    *,
    address: CalendarAddress | None = None,
    secret: str = "",
    status: int = 200,
) -> HttpResponse:
    url = settings.BASE_URL + reverse("calendar_file", args=[secret]) if secret else ""
    context = {
        "form": form,
        "made": address,
        "url": url,
        "webcal": f"webcal://{url.partition('://')[2]}" if url else "",
        "addresses": CalendarAddress.objects.filter(owner=asker.user).select_related("roadmap__workload"),
    }
    return render(request, "roadmap/calendar.html", context, status=status)


@login_not_required
@never_cache
@require_safe
def calendar_file(request: HttpRequest, secret: str) -> HttpResponse:
    """What the address shows today, in its owner's language and without signing in. 404 for any other address."""
    address = find_calendar_address(secret)
    if address is None:
        raise Http404
    # A calendar program asks for no language, or for its maker's.
    language = language_of(address.owner)
    with override(language):
        found = plan_calendar(address, today=timezone.localdate())
        content = ical_of(found, base_url=settings.BASE_URL, now=timezone.now())
    response = HttpResponse(content, content_type="text/calendar; charset=utf-8")
    response.headers["Content-Disposition"] = 'inline; filename="phaseline.ics"'
    response.headers["Content-Language"] = language
    response.headers["Referrer-Policy"] = "no-referrer"
    return response

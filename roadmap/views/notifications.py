"""`/me/notifications/`: what a person is told of, and where; `/settings/notifications/`: what was not delivered."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts.authentication import asker_of
from accounts.models import PersonAddress
from metrics.errors import ConnectorError, RuleViolation
from roadmap.actions.notices import choose_notices, remove_address, retry_delivery, send_test_notice, set_address
from roadmap.channels import channel_for
from roadmap.forms.notifications import AddressForm, NoticeForm
from roadmap.models import Delivery
from roadmap.queries.notice_page import notifications, settings_of, undelivered
from roadmap.queries.report_mail import own_subscriptions, undelivered_reports
from roadmap.rules.notices import CHANNELS
from web.htmx import done, render

PAGE = "roadmap/notifications.html"


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def notifications_page(request: HttpRequest) -> HttpResponse:
    """The choices as a table, own addresses, and the last things that were told."""
    asker = asker_of(request)
    if request.method != "POST":
        return _page(request)
    form = NoticeForm(request.POST)
    if form.is_valid():
        try:
            choose_notices(asker, channels=form.channels(), zone=form.cleaned_data["zone"])
        except RuleViolation as violation:
            form.add_violation(violation)
        else:
            return done(request, reverse("notifications"), _("Your choices are saved."))
    return _page(request, form=form, status=422)


@never_cache
@require_POST
def notification_address(request: HttpRequest, channel: str) -> HttpResponse:
    """Sets the address of a channel; a webhook's signing secret is shown in this answer only."""
    asker = asker_of(request)
    if channel not in PersonAddress.Channel.values:
        raise Http404
    form = AddressForm(request.POST, channel=channel, is_change=False)
    if form.is_valid():
        try:
            secret = set_address(asker, channel=channel, address=form.cleaned_data["address"])
        except RuleViolation as violation:
            form.add_violation(violation)
        else:
            if secret:
                return _page(request, secret=secret)
            label = channel_for(channel).label
            return done(
                request,
                reverse("notifications"),
                _("%(channel)s is set. Send a test to see that it arrives.") % {"channel": label},
            )
    return _page(request, addresses={channel: form}, status=422)


@require_POST
def notification_address_remove(request: HttpRequest, channel: str) -> HttpResponse:
    """Forgets an address."""
    asker = asker_of(request)
    try:
        remove_address(asker, channel=channel)
    except RuleViolation as violation:
        return done(request, reverse("notifications"), violation.message, tone="amber")
    return done(request, reverse("notifications"), _("The address is forgotten."))


@require_POST
def notification_test(request: HttpRequest, channel: str) -> HttpResponse:
    """Sends a test now, and says how it went."""
    asker = asker_of(request)
    if channel not in CHANNELS:
        raise Http404
    try:
        where = send_test_notice(asker, channel=channel)
    except RuleViolation as violation:
        return done(request, reverse("notifications"), violation.message, tone="amber")
    except ConnectorError as error:
        return done(
            request,
            reverse("notifications"),
            _("The test did not arrive. %(problem)s") % {"problem": error},
            tone="red",
        )
    return done(request, reverse("notifications"), _("A test is sent to %(where)s.") % {"where": where})


@require_safe
def undelivered_page(request: HttpRequest) -> HttpResponse:
    """What could not be delivered, for admins."""
    if not asker_of(request).user.is_admin:
        raise PermissionDenied(_("What could not be delivered to others is shown to admins."))
    return render(request, "roadmap/undelivered.html", {"lines": undelivered(), "reports": undelivered_reports()})


@require_POST
def delivery_retry(request: HttpRequest, pk: int) -> HttpResponse:
    """Has a delivery tried again that was given up."""
    asker = asker_of(request)
    delivery = get_object_or_404(Delivery, pk=pk)
    back = reverse("notifications")
    if delivery.person_id != asker.user.pk:
        if not asker.user.is_admin:
            raise Http404
        back = reverse("undelivered")
    try:
        retry_delivery(asker, delivery)
    except RuleViolation as violation:
        return done(request, back, violation.message, tone="amber")
    return done(request, back, _("It is tried again within a minute."))


def _page(
    request: HttpRequest,
    *,
    form: NoticeForm | None = None,
    addresses: dict[str, AddressForm] | None = None,
    secret: str = "",
    status: int = 200,
) -> HttpResponse:
    asker = asker_of(request)
    page = notifications(asker)
    context: dict[str, Any] = {
        "page": page,
        "form": form or NoticeForm(initial={"zone": settings_of(asker.user).zone}),
        "places": [(place, _address_form(place.code, place.where, addresses or {})) for place in page.places],
        "secret": secret,
        "is_admin": asker.user.is_admin,
        "subscriptions": own_subscriptions(asker),
    }
    return render(request, PAGE, context, status=status)


def _address_form(channel: str, where: str, given: dict[str, AddressForm]) -> AddressForm | None:
    if channel not in PersonAddress.Channel.values:
        return None
    return given.get(channel) or AddressForm(channel=channel, is_change=bool(where))

"""Own prices of every backend in one place, and pricing usage again."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.translation import gettext, ngettext
from django.views.decorators.http import require_GET, require_POST

from accounts.access import Asker, can_change_backends, can_see_backends, sees_everything
from accounts.authentication import asker_of
from metrics.actions.prices import remove_own_price, set_own_price
from metrics.actions.repricing import reprice
from metrics.actions.usage import reverse_receipt, visible_receipts
from metrics.errors import RuleViolation
from metrics.models import OwnPrice, Receipt
from metrics.price_forms import PriceForm, RepriceForm
from metrics.repricing import KIND
from metrics.spoken import spoken
from metrics.tasks import follow_repricing
from metrics.visible import visible_backends
from web import wording
from web.htmx import done, is_partial, render

REPRICINGS_SHOWN = 20
# Two forms of one page have fields of the same names.
AGAIN_ID = "again_%s"


@login_required
@require_GET
def prices(request: HttpRequest) -> HttpResponse:
    """Own prices, what was priced again, and for admins the forms of both."""
    return _draw(request)


@login_required
@require_POST
def price_add(request: HttpRequest) -> HttpResponse:
    """Add an own price, for one backend or for all."""
    _require_admin(request)
    form = PriceForm(request.POST)
    if form.is_valid():
        try:
            set_own_price(asker_of(request), **form.cleaned_data, is_confirmed=bool(request.POST.get("is_confirmed")))
        except RuleViolation as error:
            form.add_violation(error)
        else:
            return done(
                request, reverse("prices"), gettext("The price is saved; it holds for usage priced from now on.")
            )
    return _draw(request, status=422, price_form=form)


@login_required
@require_POST
def price_remove(request: HttpRequest, pk: int) -> HttpResponse:
    """Take an own price away; what was priced with it stays."""
    _require_admin(request)
    remove_own_price(asker_of(request), get_object_or_404(OwnPrice, pk=pk))
    return done(request, reverse("prices"), gettext("The price is removed."))


@login_required
@require_POST
def price_again(request: HttpRequest) -> HttpResponse:
    """Price usage again; with `do=preview` only say what would change."""
    _require_admin(request)
    form = RepriceForm(request.POST, auto_id=AGAIN_ID)
    is_trial = request.POST.get("do") != "reprice"
    results = None
    if form.is_valid():
        try:
            results = reprice(asker_of(request), **form.cleaned_data, is_trial=is_trial)
        except RuleViolation as error:
            form.add_violation(error)
        else:
            if not is_trial:
                follow_repricing([one.backend.pk for one in results if one.receipt], form.cleaned_data["from_on"])
                hours = sum(one.hours for one in results)
                said = gettext("Nothing has another price now.")
                if hours:
                    said = ngettext("%(count)s hour priced again.", "%(count)s hours priced again.", hours)
                    said %= {"count": wording.count(hours)}
                return done(request, reverse("prices"), said)
    return _draw(request, status=422 if form.errors else 200, reprice_form=form, results=results, part="result")


@login_required
@require_POST
def price_take_back(request: HttpRequest, uuid: str) -> HttpResponse:
    """Take a repricing back."""
    _require_admin(request)
    receipt = get_object_or_404(visible_receipts(asker_of(request)).filter(kind=KIND), uuid=uuid)
    try:
        reverse_receipt(asker_of(request), receipt)
    except RuleViolation as error:
        return done(request, reverse("prices"), spoken(error.message), tone="red")
    if receipt.backend_id and receipt.window_start:
        follow_repricing([receipt.backend_id], receipt.window_start.date())
    return done(request, reverse("prices"), gettext("Taken back: the estimates are as they were."))


def _draw(request: HttpRequest, *, status: int = 200, part: str = "", **context: Any) -> HttpResponse:
    asker = asker_of(request)
    if not can_see_backends(asker):
        raise PermissionDenied(gettext("Prices are shown to managers, contributors, executives and admins."))
    may_change = can_change_backends(asker)
    # A receipt's difference is all of the backend's, of every roadmap that it serves.
    sees_all = sees_everything(asker)
    receipts = Receipt.objects.filter(kind=KIND) if sees_all else Receipt.objects.none()
    receipts = receipts.select_related("backend", "user", "reversed_by")
    page: dict[str, Any] = {
        "own_prices": own_prices(asker),
        "repricings": receipts.prefetch_related("restatements").order_by("-pk")[:REPRICINGS_SHOWN],
        "sees_repricings": sees_all,
        "may_change": may_change,
        "price_form": PriceForm() if may_change else None,
        "reprice_form": RepriceForm(auto_id=AGAIN_ID) if may_change else None,
        "is_part": is_partial(request),
    }
    return render(request, "metrics/prices.html", {**page, **context}, part=part, status=status)


def own_prices(asker: Asker) -> QuerySet[OwnPrice]:
    """Those of the backends that the asker sees, and of all."""
    return OwnPrice.objects.filter(Q(backend__in=visible_backends(asker)) | Q(backend=None)).select_related("backend")


def _require_admin(request: HttpRequest) -> None:
    if not can_change_backends(asker_of(request)):
        raise PermissionDenied(gettext("Only admins set prices."))

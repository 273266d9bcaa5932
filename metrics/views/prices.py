"""Rate cards and own prices of a backend."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.translation import gettext
from django.views.decorators.http import require_POST

from accounts.access import can_change_backends, can_see_backends
from accounts.authentication import asker_of
from metrics.actions.prices import remove_own_price, remove_rate_card, set_own_price, set_rate_card
from metrics.errors import RuleViolation
from metrics.forms import OwnPriceForm, RateCardForm
from metrics.models import Backend, OwnPrice, RateCard
from metrics.tasks import post_capacity_since
from metrics.views.backends import draw_page
from web.htmx import done


@login_required
@require_POST
def rate_card_add(request: HttpRequest, slug: str) -> HttpResponse:
    """Add a rate card; its hours are posted at once."""
    backend = _backend(request, slug)
    form = RateCardForm(request.POST)
    if form.is_valid() and _saved(request, form, backend, None):
        return done(
            request, reverse("backend", args=[slug]), gettext("The rate card is saved. Its hours are being posted.")
        )
    return draw_page(request, slug, status=422, card_form=form)


@login_required
@require_POST
def rate_card_change(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Change a rate card; its hours are compared again."""
    backend = _backend(request, slug)
    card = get_object_or_404(RateCard, pk=pk, backend=backend)
    form = RateCardForm(request.POST, instance=card, prefix=f"card{card.pk}")
    if form.is_valid() and _saved(request, form, backend, card):
        return done(
            request, reverse("backend", args=[slug]), gettext("The rate card is saved. Its hours are being posted.")
        )
    forms = [
        (one, form if one.pk == card.pk else RateCardForm(instance=one, prefix=f"card{one.pk}"))
        for one in backend.rate_cards.order_by("-valid_from_on")
    ]
    return draw_page(request, slug, status=422, card_forms=forms)


@login_required
@require_POST
def rate_card_remove(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Take a rate card away, and with it what it posted."""
    backend = _backend(request, slug)
    card = get_object_or_404(RateCard, pk=pk, backend=backend)
    since = card.valid_from_on
    remove_rate_card(asker_of(request), card)
    post_capacity_since(backend.pk, since)
    return done(request, reverse("backend", args=[slug]), gettext("The rate card is removed."))


@login_required
@require_POST
def own_price_add(request: HttpRequest, slug: str) -> HttpResponse:
    """Add an own price of this backend."""
    backend = _backend(request, slug)
    form = OwnPriceForm(request.POST)
    if form.is_valid():
        try:
            set_own_price(asker_of(request), backend=backend, is_confirmed=is_confirmed(request), **form.cleaned_data)
        except RuleViolation as error:
            form.add_violation(error)
        else:
            return done(request, reverse("backend", args=[slug]), gettext("The price is saved; it holds from now on."))
    return draw_page(request, slug, status=422, price_form=form)


@login_required
@require_POST
def own_price_remove(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Take an own price away."""
    backend = _backend(request, slug)
    remove_own_price(asker_of(request), get_object_or_404(OwnPrice, pk=pk, backend=backend))
    return done(request, reverse("backend", args=[slug]), gettext("The price is removed."))


def _saved(request: HttpRequest, form: RateCardForm, backend: Backend, card: RateCard | None) -> bool:
    fields: dict[str, Any] = dict(form.cleaned_data)
    since = None if card is None else RateCard.objects.get(pk=card.pk).valid_from_on
    try:
        saved = set_rate_card(
            asker_of(request),
            backend,
            card=None if card is None else RateCard.objects.get(pk=card.pk),
            is_confirmed=is_confirmed(request),
            **fields,
        )
    except RuleViolation as error:
        form.add_violation(error)
        return False
    post_capacity_since(backend.pk, saved.valid_from_on, since)
    return True


def is_confirmed(request: HttpRequest) -> bool:
    """Whether an odd value was said to be meant."""
    return bool(request.POST.get("is_confirmed"))


def _backend(request: HttpRequest, slug: str) -> Backend:
    asker = asker_of(request)
    if not can_see_backends(asker):
        raise Http404
    if not can_change_backends(asker):
        raise PermissionDenied(gettext("Only admins set prices."))
    return get_object_or_404(Backend, slug=slug)

"""Adding a backend whose usage is pushed, with its rate card in the same go."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.translation import gettext
from django.views.decorators.http import require_http_methods

from accounts.access import can_change_backends, can_see_backends
from accounts.authentication import asker_of
from metrics.actions.pushed import add_pushed_backend
from metrics.errors import RuleViolation
from metrics.forms import PushedBackendForm, RateCardForm
from metrics.tasks import post_capacity_since
from web.htmx import done, render

CARD = "card"
# Whoever fills one of these has begun a rate card; the others have values of their own.
CARD_BEGUN = ("units", "rate_per_unit_hour", "purchase_amount", "purchased_on", "amortisation_months")


@login_required
@require_http_methods(["GET", "POST"])
def backend_new_pushed(request: HttpRequest) -> HttpResponse:
    """The form of both; what is wrong with one of them keeps nothing."""
    asker = asker_of(request)
    if not can_see_backends(asker):
        raise Http404
    if not can_change_backends(asker):
        raise PermissionDenied(gettext("Only admins add and change backends."))
    has_card = any(request.POST.get(f"{CARD}-{name}", "").strip() for name in CARD_BEGUN)
    form = PushedBackendForm(request.POST or None)
    card = RateCardForm(request.POST if has_card else None, prefix=CARD)
    if request.method == "POST" and form.is_valid() and (not has_card or card.is_valid()):
        fields: dict[str, Any] | None = card.cleaned_data if has_card else None
        try:
            backend = add_pushed_backend(asker, **form.cleaned_data, card=fields)
        except RuleViolation as error:
            (card if has_card and error.field in card.fields else form).add_violation(error)
        else:
            if fields is not None:
                post_capacity_since(backend.pk, fields["valid_from_on"])
            return done(
                request,
                reverse("backend", args=[backend.slug]),
                gettext("%(backend)s is added. Send its usage to it.") % {"backend": backend},
            )
    status = 422 if request.method == "POST" else 200
    return render(request, "metrics/pushed_form.html", {"form": form, "card_form": card}, status=status)

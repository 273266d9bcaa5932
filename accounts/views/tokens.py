"""`/tokens/`: one's tokens; make one, change how its OpenTelemetry counts, revoke one."""

from __future__ import annotations

from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts.access import Asker, changeable_tokens
from accounts.actions import change_token, issue_token, revoke_token
from accounts.authentication import asker_of
from accounts.errors import AccessViolation
from accounts.forms import TokenChangeForm, TokenForm
from accounts.models import Token
from accounts.tables import TOKENS
from web.file_tables import table_file
from web.htmx import done, render


@never_cache
@require_http_methods(["GET", "POST"])
def tokens(request: HttpRequest) -> HttpResponse:
    """The list and the form. The new token's text is in the answer to the POST and never again."""
    asker = asker_of(request)
    form = TokenForm(request.POST or None, asker=asker)
    made, text, status = None, "", 200
    if request.method == "POST":
        status = 422
        if form.is_valid():
            try:
                made, text = issue_token(
                    asker,
                    name=form.cleaned_data["name"],
                    scopes=form.cleaned_data["scopes"],
                    workload=form.cleaned_data["workload"],
                    measured_at=form.cleaned_data["measured_at"],
                    through=form.cleaned_data["through"],
                    signal=form.cleaned_data["signal"],
                    counts_step_tokens=form.cleaned_data["counts_step_tokens"],
                    expires_at=form.expires_at(),
                )
            except AccessViolation as violation:
                form.add_violation(violation)
            else:
                form, status = TokenForm(asker=asker), 200
    context = {"form": form, "made": made, "text": text, "tokens": _shown(asker), "is_admin": asker.user.is_admin}
    return render(request, "accounts/tokens.html", context, status=status)


def _shown(asker: Asker) -> QuerySet[Token]:
    """One's own, for admins everybody's."""
    rows = Token.objects.select_related("owner", "workload").order_by("revoked_at", "-created_at")
    return rows if asker.user.is_admin else rows.filter(owner=asker.user)


@require_safe
def tokens_file(request: HttpRequest, form: str) -> HttpResponseBase:
    """The same table as a file."""
    return table_file(TOKENS, _shown(asker_of(request)), form, name="tokens")


@require_POST
def revoke(request: HttpRequest, pk: int) -> HttpResponse:
    """Ends a token of one's own; an admin anybody's. Others' tokens are not there."""
    token = get_object_or_404(Token, pk=pk)
    try:
        revoke_token(asker_of(request), token)
    except AccessViolation as violation:
        raise Http404 from violation
    return done(request, reverse("tokens"), _("'%(name)s' is revoked. What it pushed stays.") % {"name": token.name})


@never_cache
@require_http_methods(["GET", "POST"])
def token(request: HttpRequest, pk: int) -> HttpResponse:
    """One token, and which of OpenTelemetry's signals counts: for its owner, managers of its roadmap, admins."""
    asker = asker_of(request)
    found = get_object_or_404(changeable_tokens(asker), pk=pk)
    present = {"signal": found.signal, "counts_step_tokens": found.counts_step_tokens}
    form = TokenChangeForm(request.POST or None, initial=present)
    status = 200
    if request.method == "POST":
        status = 422
        if form.is_valid():
            try:
                change_token(asker, found, **form.cleaned_data)
            except AccessViolation as violation:
                form.add_violation(violation)
            else:
                return done(
                    request, reverse("token", args=[pk]), _("'%(name)s' counts so from now on.") % {"name": found.name}
                )
    return render(request, "accounts/token.html", {"form": form, "token": found}, status=status)


@require_POST
def count_signal(request: HttpRequest, pk: int) -> HttpResponse:
    """The button of 'Needs a decision': this signal of the token counts from now on."""
    asker = asker_of(request)
    found = get_object_or_404(changeable_tokens(asker), pk=pk)
    wanted = request.POST.get("signal", "")
    if wanted not in Token.Signal.values:
        return done(request, reverse("token", args=[pk]), _("Choose metrics or traces."), tone="red")
    try:
        change_token(asker, found, signal=wanted)
    except AccessViolation as violation:
        return done(request, reverse("token", args=[pk]), violation.message, tone="red")
    return done(
        request,
        reverse("token", args=[pk]),
        _("'%(name)s': %(signal)s count from now on.") % {"name": found.name, "signal": wanted},
    )

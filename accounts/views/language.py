"""`/language/`: the language of the pages, for the one signed in by their account, for everybody by a cookie."""

from __future__ import annotations

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import translation
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from accounts.actions import choose_language
from accounts.authentication import asker_of
from accounts.forms import LanguageForm
from accounts.models import User
from web.htmx import done, render


@login_not_required
@require_http_methods(["GET", "POST"])
def language(request: HttpRequest) -> HttpResponse:
    """A choice among settings.LANGUAGES or none, kept with the account and in the browser; back to `next`."""
    person = request.user if isinstance(request.user, User) else None
    held = person.language if person else request.COOKIES.get(settings.LANGUAGE_COOKIE_NAME, "")
    form = LanguageForm(request.POST or None, initial={"language": held})
    if request.method != "POST" or not form.is_valid():
        status = 422 if request.method == "POST" else 200
        return render(request, "accounts/language.html", {"form": form}, status=status)
    chosen = form.cleaned_data["language"]
    if person:
        choose_language(asker_of(request), chosen)
    # What is said next is said in it; without one, in what the browser asks for.
    request.COOKIES.pop(settings.LANGUAGE_COOKIE_NAME, None)
    translation.activate(chosen or translation.get_language_from_request(request))
    response = done(request, _next(request), _("The language is set."))
    name = settings.LANGUAGE_COOKIE_NAME
    if chosen:
        response.set_cookie(
            name,
            chosen,
            max_age=settings.LANGUAGE_COOKIE_AGE,
            secure=settings.LANGUAGE_COOKIE_SECURE,
            httponly=settings.LANGUAGE_COOKIE_HTTPONLY,
            samesite="Lax",
        )
    else:
        response.delete_cookie(name, samesite="Lax")
    return response


def _next(request: HttpRequest) -> str:
    """The address to go back to, of ours alone."""
    given = request.POST.get("next", "")
    is_ours = url_has_allowed_host_and_scheme(given, {request.get_host()}, require_https=request.is_secure())
    return given if given and is_ours else reverse("language")

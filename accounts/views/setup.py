"""`/setup/<link>/`: makes the first admin, once."""

from __future__ import annotations

from django.contrib.auth import login
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from accounts.actions import make_first_admin
from accounts.errors import AccessViolation
from accounts.forms import FirstAdminForm
from accounts.tokens import is_setup_link_valid
from web.htmx import done, render


@login_not_required
@never_cache
@sensitive_post_parameters("password", "password_again")
@require_http_methods(["GET", "POST"])
def setup(request: HttpRequest, link: str) -> HttpResponse:
    """The form while the link is good; 410 with what to do once it is not."""
    if not is_setup_link_valid(link):
        return render(request, "accounts/setup_over.html", {}, status=410)
    form = FirstAdminForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        names = ("username", "password", "first_name", "last_name", "email")
        try:
            person = make_first_admin(link, **{name: form.cleaned_data[name] for name in names})
        except AccessViolation:
            return render(request, "accounts/setup_over.html", {}, status=410)
        login(request, person, backend="allauth.account.auth_backends.AuthenticationBackend")
        return done(request, "/", _("You are the admin now. Make a roadmap, or add people under your name."))
    return render(request, "accounts/setup.html", {"form": form}, status=422 if request.method == "POST" else 200)

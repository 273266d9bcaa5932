"""The page that says what is demo and what is not, and removes the demo with one click."""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext
from django.views.decorators.http import require_GET, require_POST

from accounts import demo
from accounts.authentication import asker_of
from roadmap.demo.removal import remove
from roadmap.queries.demo import demo_contents
from web.htmx import done


@login_required
@require_GET
def demo_page(request: HttpRequest) -> HttpResponse:
    """What goes and what stays."""
    asker = asker_of(request)
    context = {"contents": demo_contents(asker), "may_remove": asker.user.is_admin}
    return render(request, "roadmap/demo.html", context)


@login_required
@require_POST
def demo_remove(request: HttpRequest) -> HttpResponse:
    """Removes the demo. Admins only."""
    if not demo.is_present():
        return done(request, "/", gettext("There is no demo data."))
    kept = remove(asker_of(request))
    said = gettext("The demo data is gone; everything else is as it was.")
    if kept:
        told = gettext("Kept: %(kept)s.") % {"kept": "; ".join(kept)}
        said = f"{said} {told}"
    return done(request, "/", said)

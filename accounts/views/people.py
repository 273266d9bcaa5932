"""`/settings/people/`: who may sign in, and with which role. For admins."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts.actions import add_person, change_person, reset_password
from accounts.authentication import asker_of
from accounts.errors import AccessViolation
from accounts.forms import PersonForm, PersonRolesForm
from accounts.models import User
from accounts.tables import PEOPLE
from web.file_tables import table_file
from web.htmx import done, render


def admins_only(view: Callable[..., HttpResponseBase]) -> Callable[..., HttpResponseBase]:
    """403 in words for everybody else."""

    @wraps(view)
    def wrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if not asker_of(request).user.is_admin:
            raise PermissionDenied(_("People and roles are set by admins."))
        return view(request, *args, **kwargs)

    return wrapped


@never_cache
@admins_only
@require_http_methods(["GET", "POST"])
def people(request: HttpRequest) -> HttpResponse:
    """Everybody, and the form to add one. A new person's password is shown this once."""
    form = PersonForm(request.POST or None)
    added, password, status = None, "", 200
    if request.method == "POST":
        status = 422
        if form.is_valid():
            try:
                added, password = add_person(asker_of(request), **form.cleaned_data)
            except AccessViolation as violation:
                form.add_violation(violation)
            else:
                form, status = PersonForm(), 200
    context = {"form": form, "people": _everybody(), "added": added, "password": password}
    return render(request, "accounts/people.html", context, status=status)


def _everybody() -> QuerySet[User]:
    return User.objects.prefetch_related("memberships__workload").order_by("-is_active", "last_name", "username")


@admins_only
@require_safe
def people_file(request: HttpRequest, form: str) -> HttpResponseBase:
    """The same table as a file."""
    return table_file(PEOPLE, _everybody(), form, name="people")


@admins_only
@require_http_methods(["GET", "POST"])
def person(request: HttpRequest, pk: int) -> HttpResponse:
    """One person: name, organisation role, role per roadmap."""
    subject = get_object_or_404(User, pk=pk)
    form = PersonRolesForm(request.POST or None, person=subject)
    if request.method == "POST" and form.is_valid():
        fields = ("first_name", "last_name", "email", "organisation_role", "is_active")
        try:
            change_person(
                asker_of(request), subject, roles=form.roles(), **{name: form.cleaned_data[name] for name in fields}
            )
        except AccessViolation as violation:
            form.add_violation(violation)
        else:
            return done(request, reverse("people"), _("%(name)s is saved.") % {"name": subject.display_name})
    context = {"form": form, "person": subject}
    return render(request, "accounts/person.html", context, status=422 if request.method == "POST" else 200)


@never_cache
@admins_only
@require_POST
def new_password(request: HttpRequest, pk: int) -> HttpResponse:
    """A new random password, shown in this answer only."""
    subject = get_object_or_404(User, pk=pk)
    password = reset_password(asker_of(request), subject)
    context = {"form": PersonRolesForm(person=subject), "person": subject, "password": password}
    return render(request, "accounts/person.html", context)

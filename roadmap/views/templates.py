"""The templates a roadmap can be made from: the list, one of them, and the organisation's own."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.translation import gettext
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts.access import can_make_roadmaps
from accounts.authentication import asker_of
from accounts.models import Role
from metrics.errors import RuleViolation
from roadmap.actions.templates import (
    import_template,
    may_change,
    rename_template,
    retire_template,
    save_as_template,
)
from roadmap.forms.templates import ImportForm, NameForm
from roadmap.models import PlanTemplate
from roadmap.queries.templates import own_template, preview_of
from roadmap.template import Template
from roadmap.template_files import load_templates, shipped, write_template
from roadmap.views.place import allow, roadmap_or_404
from web.htmx import done, render


@require_http_methods(["GET", "HEAD", "POST"])
def templates(request: HttpRequest) -> HttpResponse:
    """Every template; a POST imports one from YAML."""
    asker = asker_of(request)
    may = can_make_roadmaps(asker)
    form, status = ImportForm(), 200
    if request.method == "POST":
        if not may:
            raise PermissionDenied(gettext("Only an admin, or who manages a roadmap, may import a template."))
        form = ImportForm(request.POST, request.FILES)
        if form.is_valid():
            try:
                made = import_template(asker, form.text(), name=form.cleaned_data["name"])
            except RuleViolation as error:
                form.add_violation(error)
            else:
                return done(
                    request,
                    reverse("template", args=[made.slug]),
                    gettext("'%(name)s' imported.") % {"name": made.name},
                )
        status = 422
    context = {
        "shipped": load_templates(),
        "own": PlanTemplate.objects.select_related("made_by").order_by("retired_at", "name"),
        "form": form,
        "may_import": may,
    }
    return render(request, "roadmap/templates.html", context, status=status)


@require_http_methods(["GET", "HEAD", "POST"])
def template(request: HttpRequest, slug: str) -> HttpResponse:
    """One template; a POST renames an own one."""
    asker = asker_of(request)
    found, row = _find(slug)
    form: NameForm | None = None
    status = 200
    if row is not None and may_change(asker, row):
        form = NameForm(initial={"name": row.name})
    if request.method == "POST":
        if row is None or form is None:
            raise PermissionDenied(gettext("Only an admin, or who made this template, may change it."))
        form = NameForm(request.POST)
        if form.is_valid():
            try:
                rename_template(asker, row, name=form.cleaned_data["name"])
            except RuleViolation as error:
                form.add_violation(error)
            else:
                return done(request, request.path, "Renamed.")
        status = 422
    context = {
        "item": found,
        "row": row,
        "preview": preview_of(found),
        "form": form,
        "may_make": can_make_roadmaps(asker),
    }
    return render(request, "roadmap/template.html", context, status=status)


@require_safe
def template_yaml(request: HttpRequest, slug: str) -> HttpResponse:
    """The template as a YAML file."""
    found, _ = _find(slug)
    response = HttpResponse(write_template(found), content_type="application/yaml; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{found.slug}.yaml"'
    return response


@require_POST
def template_retire(request: HttpRequest, slug: str) -> HttpResponse:
    """Offers an own template no longer, or again."""
    row = get_object_or_404(PlanTemplate, slug=slug)
    is_retired = request.POST.get("again") != "1"
    retire_template(asker_of(request), row, is_retired=is_retired)
    words = gettext("is no longer offered.") if is_retired else gettext("is offered again.")
    return done(request, reverse("template", args=[slug]), f"'{row.name}' {words}")


@require_http_methods(["GET", "HEAD", "POST"])
def template_new(request: HttpRequest, slug: str) -> HttpResponse:
    """Saves a roadmap's plan as a template."""
    asker, roadmap = roadmap_or_404(request, slug)
    allow(asker, Role.MANAGER, roadmap)
    form, status = NameForm(initial={"name": roadmap.name[:120]}), 200
    if request.method == "POST":
        form = NameForm(request.POST)
        if form.is_valid():
            try:
                made = save_as_template(asker, roadmap, name=form.cleaned_data["name"])
            except RuleViolation as error:
                form.add_violation(error)
            else:
                return done(
                    request,
                    reverse("template", args=[made.slug]),
                    gettext("'%(name)s' saved as a template.") % {"name": made.name},
                )
        status = 422
    return render(request, "roadmap/template_new.html", {"roadmap": roadmap, "form": form}, status=status)


def _find(slug: str) -> tuple[Template, Any]:
    if slug in shipped():
        return shipped()[slug], None
    row = PlanTemplate.objects.select_related("made_by").filter(slug=slug).first()
    if row is None:
        raise Http404
    return own_template(row), row

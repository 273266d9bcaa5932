"""Updates and risks of a roadmap, in place."""

from __future__ import annotations

from django.http import Http404, HttpRequest, HttpResponse
from django.utils.translation import gettext
from django.views.decorators.http import require_http_methods, require_POST

from accounts.access import Asker, visible_workloads
from accounts.authentication import asker_of
from accounts.models import Role
from roadmap.actions.risks import add_risk, change_risk, close_risk, reopen_risk
from roadmap.actions.updates import post_update
from roadmap.forms.steering import RiskForm, UpdateForm
from roadmap.models import Risk
from roadmap.queries.roadmap_page import steering
from roadmap.views.place import act, allow, form_view, roadmap_or_404, roadmap_place
from web.htmx import render


@require_http_methods(["GET", "HEAD"])
def updates(request: HttpRequest, slug: str) -> HttpResponse:
    """Every update of a roadmap, newest first."""
    asker, roadmap = roadmap_or_404(request, slug)
    context = {"roadmap": roadmap, "steering": steering(asker, roadmap, every_update=True)}
    return render(request, "roadmap/updates.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
def update_new(request: HttpRequest, slug: str) -> HttpResponse:
    """Posts an update."""
    asker, roadmap = roadmap_or_404(request, slug)
    allow(asker, Role.MANAGER, roadmap)

    def save(form: UpdateForm) -> str:
        post_update(asker, roadmap, **form.cleaned_data)
        return gettext("Update posted.")

    return form_view(
        request,
        asker,
        roadmap_place(roadmap, "updates"),
        make=UpdateForm,
        save=save,
        title=gettext("Post an update"),
        submit=gettext("Post"),
    )


@require_http_methods(["GET", "HEAD", "POST"])
def risk_new(request: HttpRequest, slug: str) -> HttpResponse:
    """Adds a risk."""
    asker, roadmap = roadmap_or_404(request, slug)
    allow(asker, Role.MANAGER, roadmap)

    def save(form: RiskForm) -> str:
        return gettext("'%(name)s' added.") % {"name": add_risk(asker, roadmap, **form.cleaned_data).name}

    return form_view(
        request,
        asker,
        roadmap_place(roadmap, "risks"),
        make=lambda **kwargs: RiskForm(roadmap=roadmap, **kwargs),
        save=save,
        title=gettext("Add a risk"),
        submit=gettext("Add"),
    )


def _find(request: HttpRequest, pk: int) -> tuple[Asker, Risk]:
    asker = asker_of(request)
    risk = (
        Risk.objects.select_related("roadmap__workload", "owner")
        .filter(pk=pk, roadmap__workload__in=visible_workloads(asker))
        .first()
    )
    if risk is None:
        raise Http404
    return asker, risk


@require_http_methods(["GET", "HEAD", "POST"])
def risk_edit(request: HttpRequest, pk: int) -> HttpResponse:
    """Changes a risk."""
    asker, risk = _find(request, pk)
    allow(asker, Role.MANAGER, risk.roadmap)

    def save(form: RiskForm) -> str:
        return gettext("'%(name)s' saved.") % {"name": change_risk(asker, risk, **form.cleaned_data).name}

    return form_view(
        request,
        asker,
        roadmap_place(risk.roadmap, "risks"),
        make=lambda **kwargs: RiskForm(roadmap=risk.roadmap, instance=risk, **kwargs),
        save=save,
        title=f"Change '{risk.name}'",
        row_id=risk.pk,
    )


@require_POST
def risk_close(request: HttpRequest, pk: int) -> HttpResponse:
    """Closes a risk."""
    asker, risk = _find(request, pk)
    place = roadmap_place(risk.roadmap, "risks")
    return act(
        request, asker, place, lambda: close_risk(asker, risk), gettext("'%(name)s' closed.") % {"name": risk.name}
    )


@require_POST
def risk_reopen(request: HttpRequest, pk: int) -> HttpResponse:
    """Opens a closed risk again."""
    asker, risk = _find(request, pk)
    place = roadmap_place(risk.roadmap, "risks")
    return act(
        request,
        asker,
        place,
        lambda: reopen_risk(asker, risk),
        gettext("'%(name)s' is open again.") % {"name": risk.name},
    )

"""Cost entries in place."""

from __future__ import annotations

from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.translation import gettext
from django.views.decorators.http import require_http_methods, require_POST

from accounts.access import Asker, visible_workloads
from accounts.authentication import asker_of
from accounts.models import Role
from roadmap.actions.cost_entries import add_cost_entry, change_cost_entry, delete_cost_entry
from roadmap.forms.cost_entries import CostEntryForm
from roadmap.models import CostEntry, Phase
from roadmap.views.place import More, Place, act, allow, form_view, phase_or_404, phase_place

SECTION = "costs"


def _find(request: HttpRequest, pk: int) -> tuple[Asker, CostEntry, Place]:
    asker = asker_of(request)
    entry = (
        CostEntry.objects.select_related("roadmap__workload", "phase__roadmap__workload")
        .filter(pk=pk, roadmap__workload__in=visible_workloads(asker))
        .first()
    )
    if entry is None:
        raise Http404
    phase = entry.phase or Phase.objects.select_related("roadmap__workload").filter(roadmap=entry.roadmap).first()
    if phase is None:
        raise Http404
    return asker, entry, phase_place(phase, SECTION)


@require_http_methods(["GET", "HEAD", "POST"])
def cost_entry_new(request: HttpRequest, phase_id: int) -> HttpResponse:
    """Adds a cost entry from a phase."""
    asker, phase = phase_or_404(request, phase_id)
    allow(asker, Role.CONTRIBUTOR, phase.roadmap)

    def save(form: CostEntryForm) -> str:
        return gettext("'%(name)s' added.") % {"name": add_cost_entry(asker, phase, **form.cleaned_data).name}

    return form_view(
        request,
        asker,
        phase_place(phase, SECTION),
        make=CostEntryForm,
        save=save,
        title=gettext("Add a cost entry"),
        submit=gettext("Add"),
    )


@require_http_methods(["GET", "HEAD", "POST"])
def cost_entry_edit(request: HttpRequest, pk: int) -> HttpResponse:
    """Changes a cost entry."""
    asker, entry, place = _find(request, pk)
    allow(asker, Role.CONTRIBUTOR, entry.roadmap)

    def save(form: CostEntryForm) -> str:
        return gettext("'%(name)s' saved.") % {"name": change_cost_entry(asker, entry, **form.cleaned_data).name}

    return form_view(
        request,
        asker,
        place,
        make=lambda **kwargs: CostEntryForm(instance=entry, **kwargs),
        save=save,
        title=gettext("Change '%(name)s'") % {"name": entry.name},
        row_id=entry.pk,
        deletes=[
            More(
                reverse("cost_entry_delete", args=[pk]),
                gettext("Delete"),
                gettext("Delete the cost entry '%(name)s'?") % {"name": entry.name},
            )
        ],
    )


@require_POST
def cost_entry_delete(request: HttpRequest, pk: int) -> HttpResponse:
    """Deletes a cost entry."""
    asker, entry, place = _find(request, pk)
    return act(
        request,
        asker,
        place,
        lambda: delete_cost_entry(asker, entry),
        gettext("'%(name)s' deleted.") % {"name": entry.name},
    )

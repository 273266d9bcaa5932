"""The checklist in place."""

from __future__ import annotations

from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.translation import gettext
from django.views.decorators.http import require_http_methods, require_POST

from accounts.access import Asker, visible_workloads
from accounts.authentication import asker_of
from accounts.models import Role
from roadmap.actions.checklists import (
    add_checklist_item,
    change_checklist_item,
    delete_checklist_item,
    tick_checklist_item,
)
from roadmap.forms.milestones import ChecklistForm
from roadmap.models import ChecklistItem
from roadmap.views.place import More, act, allow, form_view, phase_or_404, phase_place

SECTION = "checklist"


def _find(request: HttpRequest, pk: int) -> tuple[Asker, ChecklistItem]:
    asker = asker_of(request)
    item = (
        ChecklistItem.objects.select_related("phase__roadmap__workload")
        .filter(pk=pk, phase__roadmap__workload__in=visible_workloads(asker))
        .first()
    )
    if item is None:
        raise Http404
    return asker, item


@require_http_methods(["GET", "HEAD", "POST"])
def checklist_new(request: HttpRequest, phase_id: int) -> HttpResponse:
    """Adds an item to a phase's checklist."""
    asker, phase = phase_or_404(request, phase_id)
    allow(asker, Role.MANAGER, phase.roadmap)

    def save(form: ChecklistForm) -> str:
        return gettext("'%(name)s' added.") % {"name": add_checklist_item(asker, phase, **form.cleaned_data).name}

    return form_view(
        request,
        asker,
        phase_place(phase, SECTION),
        make=ChecklistForm,
        save=save,
        title=gettext("Add a checklist item"),
        submit=gettext("Add"),
    )


@require_http_methods(["GET", "HEAD", "POST"])
def checklist_edit(request: HttpRequest, pk: int) -> HttpResponse:
    """Changes an item."""
    asker, item = _find(request, pk)
    allow(asker, Role.MANAGER, item.phase.roadmap)

    def save(form: ChecklistForm) -> str:
        return gettext("'%(name)s' saved.") % {"name": change_checklist_item(asker, item, **form.cleaned_data).name}

    return form_view(
        request,
        asker,
        phase_place(item.phase, SECTION),
        make=lambda **kwargs: ChecklistForm(instance=item, **kwargs),
        save=save,
        title=gettext("Change '%(name)s'") % {"name": item.name},
        row_id=item.pk,
        deletes=[
            More(
                reverse("checklist_delete", args=[pk]),
                gettext("Delete"),
                gettext("Delete the item '%(name)s'?") % {"name": item.name},
            )
        ],
    )


@require_POST
def checklist_tick(request: HttpRequest, pk: int) -> HttpResponse:
    """Ticks an item, or takes the tick away; `is_done` says which, so that a second click does not undo the first."""
    asker, item = _find(request, pk)
    is_done = request.POST.get("is_done") == "1"
    return act(
        request,
        asker,
        phase_place(item.phase, SECTION),
        lambda: tick_checklist_item(asker, item, is_done=is_done),
        (gettext("'%(name)s' ticked.") if is_done else gettext("'%(name)s' open again.")) % {"name": item.name},
    )


@require_POST
def checklist_delete(request: HttpRequest, pk: int) -> HttpResponse:
    """Deletes an item."""
    asker, item = _find(request, pk)
    return act(
        request,
        asker,
        phase_place(item.phase, SECTION),
        lambda: delete_checklist_item(asker, item),
        gettext("'%(name)s' deleted.") % {"name": item.name},
    )

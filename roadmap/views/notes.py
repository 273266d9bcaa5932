"""Notes that mark a phase's charts, in place."""

from __future__ import annotations

from django.http import Http404, HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.translation import gettext
from django.views.decorators.http import require_http_methods, require_POST

from accounts.access import visible_workloads
from accounts.authentication import asker_of
from accounts.models import Role
from roadmap.actions.phases import annotate, delete_annotation
from roadmap.forms.steering import NoteForm
from roadmap.models import Annotation
from roadmap.views.place import act, allow, form_view, phase_or_404, phase_place

SECTION = "notes"


@require_http_methods(["GET", "HEAD", "POST"])
def note_new(request: HttpRequest, phase_id: int) -> HttpResponse:
    """Adds a note to a phase."""
    asker, phase = phase_or_404(request, phase_id)
    allow(asker, Role.CONTRIBUTOR, phase.roadmap)

    def save(form: NoteForm) -> str:
        annotate(asker, phase, **form.cleaned_data)
        return gettext("Note added. Reload the page to see it on the charts.")

    return form_view(
        request,
        asker,
        phase_place(phase, SECTION),
        make=lambda **kwargs: NoteForm(initial={"on": timezone.localdate()}, **kwargs),
        save=save,
        title=gettext("Add a note"),
        submit=gettext("Add"),
    )


@require_POST
def note_delete(request: HttpRequest, pk: int) -> HttpResponse:
    """Takes a note away."""
    asker = asker_of(request)
    note = (
        Annotation.objects.select_related("phase__roadmap__workload")
        .filter(pk=pk, phase__roadmap__workload__in=visible_workloads(asker))
        .first()
    )
    if note is None:
        raise Http404
    return act(
        request,
        asker,
        phase_place(note.phase, SECTION),
        lambda: delete_annotation(asker, note),
        gettext("Note deleted."),
    )

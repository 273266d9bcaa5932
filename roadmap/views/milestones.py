"""Milestones in place."""

from __future__ import annotations

from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.translation import gettext, ngettext
from django.views.decorators.http import require_http_methods, require_POST

from accounts.access import Asker, visible_workloads
from accounts.authentication import asker_of
from accounts.models import Role
from roadmap.actions.milestones import (
    add_milestone,
    change_milestone,
    delete_milestone,
    drop_milestone,
    reopen_milestone,
    tick_milestone,
)
from roadmap.forms.milestones import DateForm, DropForm, MilestoneForm, TickForm
from roadmap.models import Milestone
from roadmap.views.place import More, act, allow, form_view, phase_or_404, phase_place, timeline_place
from web import wording

SECTION = "milestones"
FIELDS = ("name", "due_on", "owner", "evidence_url", "outside_key", "depends_on")


def find_milestone(request: HttpRequest, pk: int) -> tuple[Asker, Milestone]:
    """Who asks, and the milestone of a roadmap that they see. Raises Http404."""
    asker = asker_of(request)
    milestone = (
        Milestone.objects.select_related("phase__roadmap__workload", "owner")
        .filter(pk=pk, phase__roadmap__workload__in=visible_workloads(asker))
        .first()
    )
    if milestone is None:
        raise Http404
    return asker, milestone


def _saved(name: str, along: int) -> str:
    if not along:
        return gettext("'%(name)s' saved.") % {"name": name}
    text = ngettext(
        "'%(name)s' saved, and %(count)s milestone moved along.",
        "'%(name)s' saved, and %(count)s milestones moved along.",
        along,
    )
    return text % {"name": name, "count": wording.count(along)}


@require_http_methods(["GET", "HEAD", "POST"])
def milestone_new(request: HttpRequest, phase_id: int) -> HttpResponse:
    """Adds a milestone to a phase."""
    asker, phase = phase_or_404(request, phase_id)
    allow(asker, Role.MANAGER, phase.roadmap)

    def save(form: MilestoneForm) -> str:
        added = add_milestone(asker, phase, **{name: form.cleaned_data[name] for name in FIELDS})
        return gettext("'%(name)s' added.") % {"name": added.name}

    return form_view(
        request,
        asker,
        phase_place(phase, SECTION),
        make=lambda **kwargs: MilestoneForm(roadmap=phase.roadmap, **kwargs),
        save=save,
        title=gettext("Add a milestone"),
        submit=gettext("Add"),
    )


@require_http_methods(["GET", "HEAD", "POST"])
def milestone_edit(request: HttpRequest, pk: int) -> HttpResponse:
    """Changes a milestone; a second person sees the first's change."""
    asker, milestone = find_milestone(request, pk)
    allow(asker, Role.MANAGER, milestone.phase.roadmap)

    def make(**kwargs: Any) -> MilestoneForm:
        present = Milestone.objects.select_related("phase__roadmap").get(pk=pk)
        return MilestoneForm(roadmap=milestone.phase.roadmap, instance=present, **kwargs)

    def save(form: MilestoneForm) -> str:
        changes = {name: form.cleaned_data[name] for name in FIELDS}
        along = form.along()
        change_milestone(asker, milestone, version=form.cleaned_data.get("version"), move_successors=along, **changes)
        return _saved(changes["name"], len(along))

    return form_view(
        request,
        asker,
        phase_place(milestone.phase, SECTION),
        make=make,
        save=save,
        title=gettext("Change '%(name)s'") % {"name": milestone.name},
        row_id=milestone.pk,
        deletes=[
            More(reverse("milestone_drop", args=[pk]), gettext("Drop it")),
            More(
                reverse("milestone_delete", args=[pk]),
                gettext("Delete"),
                gettext("Delete the milestone '%(name)s' with its files?") % {"name": milestone.name},
            ),
        ],
    )


@require_http_methods(["GET", "HEAD", "POST"])
def milestone_date(request: HttpRequest, pk: int) -> HttpResponse:
    """Moves a milestone from the timeline of its roadmap."""
    asker, milestone = find_milestone(request, pk)
    roadmap = milestone.phase.roadmap
    allow(asker, Role.MANAGER, roadmap)

    def make(**kwargs: Any) -> DateForm:
        return DateForm(milestone=Milestone.objects.select_related("phase__roadmap").get(pk=pk), **kwargs)

    def save(form: DateForm) -> str:
        data, along = form.cleaned_data, form.along()
        change_milestone(asker, milestone, version=data["version"], due_on=data["due_on"], move_successors=along)
        return _saved(milestone.name, len(along))

    return form_view(
        request,
        asker,
        timeline_place(roadmap),
        make=make,
        save=save,
        title=gettext("Move '%(name)s'") % {"name": milestone.name},
        row_id=milestone.pk,
        deletes=[
            More(
                reverse("milestone_edit", args=[pk]),
                gettext("Change everything else of it"),
                is_elsewhere=True,
            )
        ],
    )


@require_POST
def milestone_tick(request: HttpRequest, pk: int) -> HttpResponse:
    """Done, or open again when it was done."""
    asker, milestone = find_milestone(request, pk)
    form = TickForm(request.POST)
    version = form.cleaned_data["version"] if form.is_valid() else None
    place = phase_place(milestone.phase, SECTION)
    if milestone.state == Milestone.State.OPEN:
        return act(
            request,
            asker,
            place,
            lambda: tick_milestone(asker, milestone, version=version),
            gettext("'%(name)s' is done.") % {"name": milestone.name},
        )
    return act(
        request,
        asker,
        place,
        lambda: reopen_milestone(asker, milestone, version=version),
        gettext("'%(name)s' is open again.") % {"name": milestone.name},
    )


@require_http_methods(["GET", "HEAD", "POST"])
def milestone_drop(request: HttpRequest, pk: int) -> HttpResponse:
    """Gives a milestone up, with a reason."""
    asker, milestone = find_milestone(request, pk)
    allow(asker, Role.MANAGER, milestone.phase.roadmap)

    def save(form: DropForm) -> str:
        drop_milestone(asker, milestone, reason=form.cleaned_data["reason"], version=form.cleaned_data["version"])
        return gettext("'%(name)s' dropped.") % {"name": milestone.name}

    return form_view(
        request,
        asker,
        phase_place(milestone.phase, SECTION),
        make=lambda **kwargs: DropForm(
            initial={"version": Milestone.objects.values_list("version", flat=True).get(pk=pk)}, **kwargs
        ),
        save=save,
        title=gettext("Drop '%(name)s'") % {"name": milestone.name},
        submit=gettext("Drop"),
        row_id=milestone.pk,
    )


@require_POST
def milestone_delete(request: HttpRequest, pk: int) -> HttpResponse:
    """Deletes a milestone."""
    asker, milestone = find_milestone(request, pk)
    return act(
        request,
        asker,
        phase_place(milestone.phase, SECTION),
        lambda: delete_milestone(asker, milestone),
        gettext("'%(name)s' deleted.") % {"name": milestone.name},
    )

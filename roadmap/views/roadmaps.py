"""A roadmap's page, a new one, its settings, people and phases."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.utils.translation import gettext
from django.views.decorators.http import require_http_methods, require_POST

from accounts.access import can_make_roadmaps, can_read_trail
from accounts.authentication import asker_of
from accounts.models import Membership, Role, User
from metrics.errors import RuleViolation
from roadmap.actions.people import remove_membership, set_membership
from roadmap.actions.phases import change_phase, start_phase
from roadmap.actions.roadmaps import change_roadmap, ensure_first_roadmap, make_roadmap, set_state
from roadmap.forms.roadmaps import (
    MemberForm,
    MiddleRoadmapForm,
    NewRoadmapForm,
    PhaseForm,
    RoadmapForm,
    StartForm,
    programmes,
)
from roadmap.queries.activity import LONGEST, activity
from roadmap.queries.comments import thread
from roadmap.queries.roadmap_page import roadmap_page
from roadmap.queries.templates import all_templates, by_industry, preview_of
from roadmap.views.place import (
    act,
    allow,
    focused,
    form_view,
    phase_or_404,
    roadmap_or_404,
    settings_context,
    settings_place,
    steering_context,
)
from web.htmx import done, render


@require_http_methods(["GET", "HEAD"])
def roadmap(request: HttpRequest, slug: str) -> HttpResponse:
    """The timeline, updates, risks and phases of a roadmap."""
    asker, found = roadmap_or_404(request, slug)
    page = roadmap_page(asker, found, today=timezone.localdate())
    context = {
        "page": page,
        "activity": activity(asker, found),
        "talk": thread(asker, found, manages=page.rights.can_manage),
        **steering_context(asker, found, page.rights),
    }
    return render(request, "roadmap/roadmap.html", context)


@require_http_methods(["GET", "HEAD"])
def roadmap_activity(request: HttpRequest, slug: str) -> HttpResponse:
    """What happened on a roadmap, longer than its page shows."""
    asker, found = roadmap_or_404(request, slug)
    context = {
        "roadmap": found,
        "activity": activity(asker, found, limit=LONGEST),
        "reads_trail": can_read_trail(asker),
    }
    return render(request, "roadmap/activity.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
def roadmap_new(request: HttpRequest) -> HttpResponse:
    """A new roadmap: from one start date, or in the middle of its life (`?way=middle`)."""
    asker = asker_of(request)
    if not can_make_roadmaps(asker):
        raise PermissionDenied(gettext("Only an admin, or who already manages a roadmap, may make another."))
    is_middle = request.GET.get("way") == "middle"
    make = MiddleRoadmapForm if is_middle else NewRoadmapForm
    templates, status = all_templates(), 200
    asked = request.POST.get("template") or request.GET.get("template")
    chosen = next((item for item in templates if item.slug == asked), templates[0])
    if request.method == "POST":
        form = make(request.POST, asker=asker, templates=templates, chosen=chosen)
        if form.is_valid():
            try:
                made = make_roadmap(asker, **form.facts())
            except RuleViolation as error:
                form.add_violation(error)
            else:
                return done(
                    request,
                    made.get_absolute_url(),
                    gettext("'%(name)s' is there, with its plan.") % {"name": made.name},
                )
        status = 422
        focused(form)
    else:
        initial = {} if is_middle else {"start_on": timezone.localdate()}
        form = make(asker=asker, initial=initial, templates=templates, chosen=chosen)
    context = {
        "form": form,
        "is_middle": is_middle,
        "groups": by_industry(templates),
        "chosen": chosen,
        "preview": preview_of(chosen),
        "programmes": programmes(),
    }
    return render(request, "roadmap/roadmap_new.html", context, status=status)


@require_POST
def roadmap_first(request: HttpRequest) -> HttpResponse:
    """The empty roadmap to begin with, from one button."""
    asker = asker_of(request)
    if not can_make_roadmaps(asker):
        raise PermissionDenied(gettext("Only an admin, or who already manages a roadmap, may make another."))
    made = ensure_first_roadmap(asker.user)
    return done(
        request, made.get_absolute_url(), gettext("'%(name)s' is there, its PoC started today.") % {"name": made.name}
    )


@require_http_methods(["GET", "HEAD", "POST"])
def roadmap_settings(request: HttpRequest, slug: str) -> HttpResponse:
    """What a roadmap is, who belongs to it, and its phases."""
    asker, found = roadmap_or_404(request, slug)
    allow(asker, Role.MANAGER, found)
    status = 200
    if request.method == "POST":
        form = RoadmapForm(request.POST, instance=found)
        if form.is_valid():
            try:
                change_roadmap(asker, found, **form.cleaned_data)
            except RuleViolation as error:
                form.add_violation(error)
            else:
                return done(request, request.path, "Saved.")
        status = 422
        _, found = roadmap_or_404(request, slug)
    else:
        form = RoadmapForm(instance=found)
    context = {
        "roadmap": found,
        "form": form,
        "member_form": MemberForm(),
        "programmes": programmes(),
        **settings_context(asker, found),
    }
    return render(request, "roadmap/settings.html", context, status=status)


@require_POST
def roadmap_state(request: HttpRequest, slug: str) -> HttpResponse:
    """Pauses a roadmap, goes on with it, or stops one that never started."""
    asker, found = roadmap_or_404(request, slug)
    state = request.POST.get("state", "")
    said = {
        "paused": gettext("'%(name)s' is paused."),
        "active": gettext("'%(name)s' is active."),
        "stopped": gettext("'%(name)s' is stopped."),
    }
    return act(
        request,
        asker,
        settings_place(found, "phases"),
        lambda: set_state(asker, found, state=state),
        said.get(state, "") % {"name": found.name},
    )


@require_http_methods(["GET", "HEAD", "POST"])
def member_new(request: HttpRequest, slug: str) -> HttpResponse:
    """Gives a person a role."""
    asker, found = roadmap_or_404(request, slug)
    allow(asker, Role.MANAGER, found)

    def save(form: MemberForm) -> str:
        data = form.cleaned_data
        set_membership(asker, found, user=data["person"], role=data["role"])
        return _is_now(data["person"], data["role"])

    return form_view(
        request,
        asker,
        settings_place(found, "people"),
        make=MemberForm,
        save=save,
        title=gettext("Add a person"),
        submit=gettext("Add"),
    )


def _member(request: HttpRequest, slug: str, pk: int) -> tuple[Any, Any, Membership]:
    asker, found = roadmap_or_404(request, slug)
    membership = Membership.objects.select_related("user").filter(pk=pk, workload=found.workload).first()
    if membership is None:
        raise Http404
    return asker, found, membership


@require_POST
def member_change(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Gives a member another role."""
    asker, found, membership = _member(request, slug, pk)
    role = request.POST.get("role", "")
    return act(
        request,
        asker,
        settings_place(found, "people"),
        lambda: set_membership(asker, found, user=membership.user, role=role),
        _is_now(membership.user, role),
    )


@require_POST
def member_remove(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Takes a member out; who takes out themselves lands on the portfolio."""
    asker, found, membership = _member(request, slug, pk)
    name, is_self = membership.user.display_name, membership.user_id == asker.user.pk
    place = settings_place(found, "people")
    if is_self and not asker.user.is_admin:
        try:
            remove_membership(asker, found, membership)
        except RuleViolation as error:
            return done(request, place.url, error.message, tone="red")
        return redirect("/")
    return act(
        request,
        asker,
        place,
        lambda: remove_membership(asker, found, membership),
        gettext("%(name)s no longer belongs to it.") % {"name": name},
    )


@require_http_methods(["GET", "HEAD", "POST"])
def phase_edit(request: HttpRequest, pk: int) -> HttpResponse:
    """Changes dates, owner and budget of a phase."""
    asker, phase = phase_or_404(request, pk)
    allow(asker, Role.MANAGER, phase.roadmap)

    def save(form: PhaseForm) -> str:
        change_phase(asker, phase, **form.cleaned_data)
        return gettext("%(kind)s saved.") % {"kind": phase.get_kind_display()}

    def make(**kwargs: Any) -> PhaseForm:
        _, present = phase_or_404(request, pk)
        return PhaseForm(instance=present, **kwargs)

    return form_view(
        request,
        asker,
        settings_place(phase.roadmap, "phases"),
        make=make,
        save=save,
        title=gettext("Change %(name)s") % {"name": phase.get_kind_display()},
        row_id=phase.pk,
    )


@require_http_methods(["GET", "HEAD", "POST"])
def phase_start(request: HttpRequest, pk: int) -> HttpResponse:
    """Starts a planned phase."""
    asker, phase = phase_or_404(request, pk)
    allow(asker, Role.MANAGER, phase.roadmap)

    def save(form: StartForm) -> str:
        start_phase(asker, phase, on=form.cleaned_data["on"])
        return gettext("%(kind)s started.") % {"kind": phase.get_kind_display()}

    return form_view(
        request,
        asker,
        settings_place(phase.roadmap, "phases"),
        make=lambda **kwargs: StartForm(initial={"on": timezone.localdate()}, **kwargs),
        save=save,
        title=gettext("Start %(name)s") % {"name": phase.get_kind_display()},
        submit=gettext("Start"),
        row_id=phase.pk,
    )


def _is_now(person: User, role: str) -> str:
    label = str(Role(role).label).lower() if role in Role.values else role
    return gettext("%(name)s is %(role)s now.") % {"name": person.display_name, "role": label}

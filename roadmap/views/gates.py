"""A gate's page, and deciding it."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.translation import gettext
from django.views.decorators.http import require_http_methods, require_POST

from accounts.access import Asker, visible_workloads
from accounts.authentication import asker_of
from accounts.models import Role
from metrics.errors import RuleViolation
from roadmap.actions.gates import (
    add_criterion,
    change_gate,
    decide_gate,
    may_decide,
    remove_criterion,
)
from roadmap.actions.late_costs import late_entries
from roadmap.actions.undoing import undo_decision
from roadmap.forms.gates import CriterionForm, DecideForm, GateForm, UndoForm
from roadmap.models import Gate, GateCriterion, Phase
from roadmap.queries.comments import thread
from roadmap.queries.kpi_values import kpi_values
from roadmap.views.place import act, allow, focused, form_view, gate_context, gate_place
from web.htmx import done, render

SECTION = "criteria"


def _find(request: HttpRequest, pk: int) -> tuple[Asker, Gate]:
    asker = asker_of(request)
    gate = (
        Gate.objects.select_related("phase__roadmap__workload", "phase__owner", "gatekeeper")
        .filter(pk=pk, phase__roadmap__workload__in=visible_workloads(asker))
        .first()
    )
    if gate is None:
        raise Http404
    return asker, gate


@require_http_methods(["GET", "HEAD", "POST"])
def gate(request: HttpRequest, pk: int) -> HttpResponse:
    """The criteria live, the decision to take, and what was decided; POST decides."""
    asker, found = _find(request, pk)
    decides = may_decide(asker, found) and found.phase.state == Phase.State.ACTIVE
    late = late_entries(found.phase.roadmap) if decides else []
    form = DecideForm(gate=found, late=late)
    status = 200
    if request.method == "POST":
        if not may_decide(asker, found):
            raise PermissionDenied(
                gettext("Only the gatekeeper or an admin decides this gate, and never the phase's owner.")
            )
        form = DecideForm(request.POST, gate=found, late=late)
        if form.is_valid():
            try:
                decision = decide_gate(asker, found, values_of=kpi_values, **form.facts())
            except RuleViolation as error:
                form.add_violation(error)
            else:
                message = gettext("Decided: %(lower)s. The evidence is frozen.") % {
                    "lower": decision.get_outcome_display().lower()
                }
                return done(request, found.get_absolute_url(), message)
        status = 422
        focused(form)
        asker, found = _find(request, pk)
    context = {"form": form, "decides": decides, **_undo_context(asker, found), **_page_context(asker, found)}
    return render(request, "roadmap/gate.html", context, status=status)


def _page_context(asker: Asker, found: Gate) -> dict[str, Any]:
    return {"talk": thread(asker, found.phase.roadmap, about=found), **gate_context(asker, found)}


def _undo_context(asker: Asker, found: Gate, form: UndoForm | None = None) -> dict[str, Any]:
    return {"undo": (form or UndoForm(prefix="undo")) if may_decide(asker, found) else None}


@require_POST
def gate_undo(request: HttpRequest, pk: int) -> HttpResponse:
    """Takes the decision that closed the phase back, with a new one."""
    asker, found = _find(request, pk)
    if not may_decide(asker, found):
        raise PermissionDenied(
            gettext("Only the gatekeeper or an admin takes a decision back, and never the phase's owner.")
        )
    form = UndoForm(request.POST, prefix="undo")
    if form.is_valid():
        try:
            undo_decision(asker, found, values_of=kpi_values, **form.cleaned_data)
        except RuleViolation as error:
            form.add_violation(error)
        else:
            message = gettext("Taken back. %(kind)s runs again; what was decided stays below.") % {
                "kind": found.phase.get_kind_display()
            }
            return done(request, found.get_absolute_url(), message)
    focused(form)
    asker, found = _find(request, pk)
    context = {"decides": False, **_undo_context(asker, found, form), **_page_context(asker, found)}
    return render(request, "roadmap/gate.html", context, status=422)


@require_http_methods(["GET", "HEAD", "POST"])
def gate_edit(request: HttpRequest, pk: int) -> HttpResponse:
    """Changes due date and gatekeeper."""
    asker, found = _find(request, pk)
    allow(asker, Role.MANAGER, found.phase.roadmap)

    def save(form: GateForm) -> str:
        change_gate(asker, found, **form.cleaned_data)
        return gettext("Gate saved.")

    return form_view(
        request,
        asker,
        gate_place(found, SECTION),
        make=lambda **kwargs: GateForm(instance=_find(request, pk)[1], **kwargs),
        save=save,
        title=gettext("Change due date and gatekeeper"),
        then=lambda: done(request, found.get_absolute_url(), gettext("Gate saved.")),
    )


@require_http_methods(["GET", "HEAD", "POST"])
def criterion_new(request: HttpRequest, pk: int) -> HttpResponse:
    """Adds a criterion."""
    asker, found = _find(request, pk)
    allow(asker, Role.MANAGER, found.phase.roadmap)

    def save(form: CriterionForm) -> str:
        data = form.cleaned_data
        needs = data["needs"] or GateCriterion.Needs.ON_TARGET
        added = add_criterion(asker, found, subject=data["subject"], is_must=data["is_must"], needs=needs)
        return gettext("The gate asks for '%(added)s' now.") % {"added": added}

    return form_view(
        request,
        asker,
        gate_place(found, SECTION),
        make=lambda **kwargs: CriterionForm(gate=found, **kwargs),
        save=save,
        title=gettext("Add a criterion"),
        submit=gettext("Add"),
    )


@require_POST
def criterion_delete(request: HttpRequest, pk: int) -> HttpResponse:
    """Takes a criterion out of the gate."""
    asker = asker_of(request)
    criterion = (
        GateCriterion.objects.select_related(
            "gate__phase__roadmap__workload", "gate__phase__owner", "kpi", "milestone", "checklist_item"
        )
        .filter(pk=pk, gate__phase__roadmap__workload__in=visible_workloads(asker))
        .first()
    )
    if criterion is None:
        raise Http404
    return act(
        request,
        asker,
        gate_place(criterion.gate, SECTION),
        lambda: remove_criterion(asker, criterion),
        gettext("The gate no longer asks for '%(criterion)s'.") % {"criterion": criterion},
    )

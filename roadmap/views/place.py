"""How adding, editing and deleting in place works, for every section of the plan alike.

A section is a part of a page with an id. A form has an address of its own: a browser without JavaScript gets it as a
page and comes back to the section; htmx gets the section with the form open in its place.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django import forms
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy

from accounts.access import Asker, can, visible_workloads
from accounts.authentication import asker_of
from accounts.models import Role
from metrics.errors import RuleViolation
from roadmap.actions.changes import WORDS
from roadmap.kpi import KpiValue
from roadmap.models import Gate, Phase, Roadmap
from roadmap.queries.gate_page import gate_page
from roadmap.queries.kpi_values import kpi_values
from roadmap.queries.phase_plan import Rights, phase_plan
from roadmap.queries.phase_rows import PhaseRows, phase_rows
from roadmap.queries.roadmap_page import roadmap_page, roadmap_setup, steering
from web.htmx import done, is_partial, render, with_message

FORM_PAGE = "roadmap/form_page.html"
_SAVE = gettext_lazy("Save")


@dataclass(frozen=True, slots=True)
class More:
    """Another thing to do with the row of an open form; with a question it is a POST that asks once.

    `is_elsewhere`: a form of another page, so that htmx leaves the link to the browser.
    """

    url: str
    label: str
    question: str = ""
    is_elsewhere: bool = False


@dataclass(frozen=True, slots=True)
class Opened:
    """A form that stands open in a section: in the place of the row `row_id`, or at the end for a new one."""

    section: str
    form: forms.BaseForm
    action: str
    title: str
    submit: str
    back: str
    row_id: int | None = None
    deletes: Sequence[More] = ()


@dataclass(frozen=True, slots=True)
class Place:
    """A section of a page: where the page is, and what the section's template needs."""

    roadmap: Roadmap
    section: str
    page_url: str
    context: Callable[[Asker], dict[str, Any]]

    @property
    def url(self) -> str:
        """The page with the section in sight."""
        return f"{self.page_url}#{self.section}"

    @property
    def template(self) -> str:
        return f"roadmap/sections/{self.section}.html"


def phase_place(phase: Phase, section: str) -> Place:
    """A section of a phase's plan."""
    return Place(phase.roadmap, section, phase.get_absolute_url(), lambda asker: phase_context(asker, phase))


def roadmap_place(roadmap: Roadmap, section: str) -> Place:
    """The risks or updates of a roadmap's page."""
    return Place(roadmap, section, roadmap.get_absolute_url(), lambda asker: steering_context(asker, roadmap))


def timeline_place(roadmap: Roadmap) -> Place:
    """The timeline of a roadmap's page."""
    return Place(roadmap, "timeline", roadmap.get_absolute_url(), lambda asker: timeline_context(asker, roadmap))


def settings_place(roadmap: Roadmap, section: str) -> Place:
    """The people or phases of a roadmap's settings."""
    return Place(
        roadmap,
        section,
        reverse("roadmap_settings", args=[roadmap.slug]),
        lambda asker: settings_context(asker, roadmap),
    )


def gate_place(gate: Gate, section: str) -> Place:
    """The criteria of a gate's page."""
    return Place(gate.phase.roadmap, section, gate.get_absolute_url(), lambda asker: gate_context(asker, gate))


def phase_or_404(request: HttpRequest, pk: int) -> tuple[Asker, Phase]:
    """The phase of a roadmap that the asker may see."""
    asker = asker_of(request)
    phase = (
        Phase.objects.select_related("roadmap__workload", "owner", "budget_owner")
        .filter(pk=pk, roadmap__workload__in=visible_workloads(asker))
        .first()
    )
    if phase is None:
        raise Http404
    return asker, phase


def roadmap_or_404(request: HttpRequest, slug: str) -> tuple[Asker, Roadmap]:
    """The roadmap with this slug, where the asker may see it."""
    asker = asker_of(request)
    roadmap = (
        Roadmap.objects.select_related("workload", "owner", "sponsor", "programme")
        .filter(workload__slug=slug, workload__in=visible_workloads(asker))
        .first()
    )
    if roadmap is None:
        raise Http404
    return asker, roadmap


def allow(asker: Asker, role: Role, roadmap: Roadmap) -> None:
    """PermissionDenied before a form is shown that could not be saved."""
    if not can(asker, role, roadmap.workload):
        raise PermissionDenied(WORDS[role])


def plan_context(rows: PhaseRows, values: Mapping[int, KpiValue]) -> dict[str, Any]:
    """What templates/roadmap/phase_plan.html and its sections need."""
    return {"plan": phase_plan(rows, values=values, today=timezone.localdate())}


def phase_context(asker: Asker, phase: Phase) -> dict[str, Any]:
    """The same, read now, for a section that is drawn alone."""
    rows = phase_rows(asker, phase_id=phase.pk)
    values = kpi_values(rows.phase, kpis=rows.kpis, readings=rows.readings, entries=rows.costs)
    return plan_context(rows, values)


def steering_context(asker: Asker, roadmap: Roadmap, rights: Rights | None = None) -> dict[str, Any]:
    """What the risks and updates of a roadmap need."""
    return {"steering": steering(asker, roadmap, rights=rights)}


def timeline_context(asker: Asker, roadmap: Roadmap) -> dict[str, Any]:
    """What the timeline of a roadmap needs."""
    return {"page": roadmap_page(asker, roadmap, today=timezone.localdate())}


def settings_context(asker: Asker, roadmap: Roadmap) -> dict[str, Any]:
    """What the people and phases of a roadmap's settings need."""
    return {"setup": roadmap_setup(asker, roadmap)}


def gate_context(asker: Asker, gate: Gate) -> dict[str, Any]:
    """What a gate's page needs."""
    values = kpi_values(gate.phase)
    return {"gate_page": gate_page(asker, gate, values=values, today=timezone.localdate())}


def show(
    request: HttpRequest,
    asker: Asker,
    place: Place,
    *,
    opened: Opened | None = None,
    message: str = "",
    tone: str = "green",
    status: int = 200,
) -> HttpResponse:
    """The section to htmx, with a form open where one is; else the form's own page, or back to the section."""
    if not is_partial(request):
        if opened is None:
            return done(request, place.url, message, tone=tone)
        return render(request, FORM_PAGE, {"opened": opened, "roadmap": place.roadmap}, status=status)
    context = place.context(asker) | {"opened": opened, "is_swap": True}
    response = render(request, FORM_PAGE, context, part=place.template, status=status)
    return with_message(response, message, tone=tone) if message else response


def form_view(
    request: HttpRequest,
    asker: Asker,
    place: Place,
    *,
    make: Callable[..., forms.BaseForm],
    save: Callable[[Any], str],
    title: str,
    submit: str | Promise = _SAVE,
    row_id: int | None = None,
    deletes: Sequence[More] = (),
    then: Callable[[], HttpResponse] | None = None,
) -> HttpResponse:
    """GET opens the form `make()` in the place; POST saves `make(data=...)` and says what `save` returns.

    A mistake, of the input or of a rule, answers 422 with the form and everything typed. `then` answers instead of the
    section after a change that moves elsewhere.
    """
    opened: dict[str, Any] = {
        "section": place.section,
        "action": request.path,
        "title": title,
        "submit": submit,
        "row_id": row_id,
        "back": place.url,
        "deletes": deletes,
    }
    if request.method != "POST":
        if request.GET.get("close"):
            return show(request, asker, place)
        return show(request, asker, place, opened=Opened(form=focused(make()), **opened))
    form = make(data=request.POST)
    if form.is_valid():
        try:
            message = save(form)
        except RuleViolation as error:
            form.add_violation(error)  # type: ignore[attr-defined]
            _take_present_version(form, make, error)
        else:
            return then() if then else show(request, asker, place, message=message)
    return show(request, asker, place, opened=Opened(form=focused(form), **opened), status=422)


def focused(form: forms.BaseForm) -> forms.BaseForm:
    """The form with the caret in its first field, or in the first one with a mistake."""
    visible = [name for name in form.fields if not form[name].is_hidden]
    wrong = [name for name in visible if form.is_bound and form.errors.get(name)]
    for name in (wrong or visible)[:1]:
        form.fields[name].widget.attrs["autofocus"] = True
    return form


def _take_present_version(form: forms.BaseForm, make: Callable[..., forms.BaseForm], error: RuleViolation) -> None:
    """After somebody else's change the form, sent again, is meant for the state that it now tells of."""
    if error.code != "conflict_changed_meanwhile" or "version" not in form.fields:
        return
    data = form.data.copy()  # type: ignore[attr-defined]
    data[form.add_prefix("version")] = str(make().initial.get("version", ""))
    form.data = data


def act(request: HttpRequest, asker: Asker, place: Place, do: Callable[[], object], message: str) -> HttpResponse:
    """A button without input: does it and shows the section; a rule's refusal is said and changes nothing."""
    try:
        do()
    except RuleViolation as error:
        return show(request, asker, place, message=error.message, tone="red")
    return show(request, asker, place, message=message)

"""KPIs and their readings in place."""

from __future__ import annotations

from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.translation import gettext
from django.views.decorators.http import require_http_methods, require_POST

from accounts.access import Asker, visible_workloads
from accounts.authentication import asker_of
from accounts.models import Role
from metrics.errors import RuleViolation
from roadmap.actions.kpis import add_kpi, change_kpi, delete_kpi, delete_reading, record_reading
from roadmap.forms.kpis import KpiForm, ReadingForm
from roadmap.kpi import is_reached, text_of
from roadmap.kpis import BY_NAME
from roadmap.models import Kpi, Phase, Reading
from roadmap.queries.kpi_values import kpi_values, last_value
from roadmap.queries.phase_plan import example_of, rights_of
from roadmap.views.place import More, act, allow, form_view, phase_or_404, phase_place
from web.htmx import done, render

SECTION = "kpis"
# A page of readings; older ones are in the API.
SHOWN_READINGS = 200


def find_kpi(request: HttpRequest, pk: int) -> tuple[Asker, Kpi]:
    """Who asks, and the KPI. Http404 where they do not see it."""
    asker = asker_of(request)
    kpi = (
        Kpi.objects.select_related("phase__roadmap__workload", "carried_from__phase", "rate_owner")
        .filter(pk=pk, phase__roadmap__workload__in=visible_workloads(asker))
        .first()
    )
    if kpi is None:
        raise Http404
    return asker, kpi


def _keys(phase: Phase) -> list[str]:
    return list(phase.kpis.exclude(key="").values_list("key", flat=True))


def _said(kpi: Kpi, said: str) -> str:
    """What happened (`said`), and what a baseline at or past its target means."""
    if kpi.baseline is None or kpi.target is None:
        return said
    if is_reached(kpi.baseline, kpi.target, "higher" if kpi.direction == Kpi.Direction.HIGHER else "lower"):
        said += gettext(" Its baseline is at or past its target already, so the target is a limit that must hold.")
    return said


@require_http_methods(["GET", "HEAD", "POST"])
def kpi_new(request: HttpRequest, phase_id: int) -> HttpResponse:
    """Adds a KPI to a phase."""
    asker, phase = phase_or_404(request, phase_id)
    allow(asker, Role.MANAGER, phase.roadmap)

    def save(form: KpiForm) -> str:
        added = add_kpi(asker, phase, **form.facts())
        return _said(added, gettext("'%(name)s' added.") % {"name": added.name})

    return form_view(
        request,
        asker,
        phase_place(phase, SECTION),
        make=lambda **kwargs: KpiForm(roadmap=phase.roadmap, keys=_keys(phase), **kwargs),
        save=save,
        title=gettext("Add a KPI"),
        submit=gettext("Add"),
    )


@require_http_methods(["GET", "HEAD", "POST"])
def kpi_edit(request: HttpRequest, pk: int) -> HttpResponse:
    """Changes a KPI."""
    asker, kpi = find_kpi(request, pk)
    allow(asker, Role.MANAGER, kpi.phase.roadmap)

    def save(form: KpiForm) -> str:
        changed = change_kpi(asker, kpi, **form.facts())
        return _said(changed, gettext("'%(name)s' saved.") % {"name": changed.name})

    return form_view(
        request,
        asker,
        phase_place(kpi.phase, SECTION),
        make=lambda **kwargs: KpiForm(roadmap=kpi.phase.roadmap, keys=_keys(kpi.phase), instance=kpi, **kwargs),
        save=save,
        title=gettext("Change '%(name)s'") % {"name": kpi.name},
        row_id=kpi.pk,
        deletes=[
            More(
                reverse("kpi_delete", args=[pk]),
                gettext("Delete"),
                gettext("Delete the KPI '%(name)s' with its readings?") % {"name": kpi.name},
            )
        ],
    )


@require_POST
def kpi_delete(request: HttpRequest, pk: int) -> HttpResponse:
    """Deletes a KPI with its readings."""
    asker, kpi = find_kpi(request, pk)
    return act(
        request,
        asker,
        phase_place(kpi.phase, SECTION),
        lambda: delete_kpi(asker, kpi),
        gettext("'%(name)s' deleted.") % {"name": kpi.name},
    )


@require_http_methods(["GET", "HEAD", "POST"])
def reading_new(request: HttpRequest, pk: int) -> HttpResponse:
    """Records one reading of a KPI."""
    asker, kpi = find_kpi(request, pk)
    allow(asker, Role.CONTRIBUTOR, kpi.phase.roadmap)

    def save(form: ReadingForm) -> str:
        data = form.cleaned_data
        recorded = record_reading(asker, kpi, at=data["at"], value=data["value"], note=data["note"])
        if recorded.unchanged:
            return gettext("Nothing changed: this reading is here already.")
        return gettext("Reading replaced.") if recorded.replaced else gettext("Reading recorded.")

    return form_view(
        request,
        asker,
        phase_place(kpi.phase, SECTION),
        make=ReadingForm,
        save=save,
        title=gettext("Record '%(name)s'") % {"name": kpi.name},
        submit=gettext("Record"),
        row_id=kpi.pk,
    )


@require_http_methods(["GET", "HEAD"])
def kpi_page(request: HttpRequest, pk: int) -> HttpResponse:
    """A KPI with its definition, its value now, and its readings, newest first."""
    asker, kpi = find_kpi(request, pk)
    value = kpi_values(kpi.phase).get(kpi.pk)
    context = {
        "kpi": kpi,
        "measure": BY_NAME.get(kpi.measure),
        "value": value,
        "figure": text_of(value) if value else "",
        "last": last_value(kpi),
        "example": example_of(kpi),
        "roadmap": kpi.phase.roadmap,
        "phase": kpi.phase,
        "rights": rights_of(asker, kpi.phase.roadmap),
        "readings": kpi.readings.select_related("author", "token")[:SHOWN_READINGS],
        "count": kpi.readings.count(),
    }
    return render(request, "roadmap/kpi.html", context)


@require_POST
def kpi_baseline(request: HttpRequest, pk: int) -> HttpResponse:
    """Takes the value at which the phase before ended as this one's baseline."""
    asker, kpi = find_kpi(request, pk)
    url = reverse("kpi", args=[pk])
    allow(asker, Role.MANAGER, kpi.phase.roadmap)
    last = last_value(kpi)
    if last is None or last.value is None:
        return done(request, url, gettext("The phase before left no value to take."), tone="red")
    try:
        changed = change_kpi(asker, kpi, baseline=last.value)
    except RuleViolation as error:
        return done(request, url, error.message, tone="red")
    said = gettext("'%(name)s' starts from %(last)s now.") % {"name": changed.name, "last": text_of(last)}
    return done(request, url, _said(changed, said))


@require_POST
def reading_delete(request: HttpRequest, pk: int) -> HttpResponse:
    """Takes a reading away."""
    asker = asker_of(request)
    reading = (
        Reading.objects.select_related("kpi__phase__roadmap__workload")
        .filter(pk=pk, kpi__phase__roadmap__workload__in=visible_workloads(asker))
        .first()
    )
    if reading is None:
        raise Http404
    url = reverse("kpi", args=[reading.kpi_id])
    try:
        delete_reading(asker, reading)
    except RuleViolation as error:
        return done(request, url, error.message, tone="red")
    return done(request, url, gettext("Reading deleted."))

"""The tables of a roadmap's pages as CSV and XLSX."""

from __future__ import annotations

from django.http import Http404, HttpRequest
from django.http.response import HttpResponseBase
from django.views.decorators.http import require_safe

from accounts.access import visible_workloads
from accounts.authentication import asker_of
from roadmap.models import Kpi
from roadmap.tables import PLAN_TABLES
from roadmap.tables.plan import READINGS, reading_rows
from roadmap.views.place import allow, roadmap_or_404
from web.file_tables import table_file


@require_safe
def roadmap_file(request: HttpRequest, slug: str, table: str, form: str) -> HttpResponseBase:
    """A table of a roadmap; `?phase=` keeps one phase of it, as that phase's page does."""
    asker, roadmap = roadmap_or_404(request, slug)
    wanted = PLAN_TABLES.get(table)
    if wanted is None:
        raise Http404
    allow(asker, wanted.role, roadmap)
    phases = list(roadmap.phases.select_related("owner").order_by("position"))
    kind = request.GET.get("phase", "")
    if kind:
        phases = [phase for phase in phases if phase.kind == kind]
        if not phases:
            raise Http404
    for phase in phases:
        phase.roadmap = roadmap
    notes = [roadmap.name, *([f"Phase: {phases[0].get_kind_display()}"] if kind else [])]
    rows = wanted.rows(asker, roadmap, phases)
    return table_file(wanted.table, rows, form, name=f"{table}-{slug}{f'-{kind}' if kind else ''}", notes=notes)


@require_safe
def readings_file(request: HttpRequest, pk: int, form: str) -> HttpResponseBase:
    """Every reading of a KPI."""
    kpi = (
        Kpi.objects.select_related("phase__roadmap__workload")
        .filter(pk=pk, phase__roadmap__workload__in=visible_workloads(asker_of(request)))
        .first()
    )
    if kpi is None:
        raise Http404
    notes = [f"{kpi.name}, {kpi.phase.get_kind_display()}, {kpi.phase.roadmap.name}"]
    return table_file(
        READINGS, reading_rows(kpi), form, name=f"readings-{kpi.phase.roadmap.slug}-{kpi.pk}", notes=notes
    )

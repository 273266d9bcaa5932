"""The page of a phase: its dashboard above, its plan below. One address for the page and for htmx's part of it."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils import timezone
from django.views.decorators.http import require_safe

from accounts.access import visible_workloads
from accounts.authentication import asker_of
from roadmap.models import Phase, Roadmap, Update
from roadmap.queries.dashboard_filters import parse_filters
from roadmap.queries.gate_state import criterion_states, standings_of
from roadmap.queries.phase_dashboard import PhaseDashboard, phase_dashboard
from roadmap.queries.roadmap_page import phase_tabs
from roadmap.rules.gates import met_count
from roadmap.views.place import plan_context
from web.htmx import render
from web.wording import moment, zone_name

TONES = {Update.Status.ON_TRACK: "green", Update.Status.AT_RISK: "amber", Update.Status.OFF_TRACK: "red"}


@require_safe
def phase(request: HttpRequest, slug: str, kind: str) -> HttpResponse:
    """The phase page; a filter that cannot be applied is answered in words beside the others' result."""
    try:
        dashboard = phase_dashboard(asker_of(request), slug=slug, kind=kind, filters=parse_filters(request.GET))
    except Phase.DoesNotExist as error:
        raise Http404 from error
    context = dashboard_context(dashboard) | plan_context(dashboard.rows, dashboard.values)
    return render(request, "roadmap/phase.html", context, part="dashboard")


@require_safe
def present_phase(request: HttpRequest, slug: str) -> HttpResponse:
    """On to the dashboard of the phase that is running, else of the last one that ran, else to the roadmap."""
    roadmap = get_object_or_404(
        Roadmap.objects.select_related("workload"),
        workload__in=visible_workloads(asker_of(request)),
        workload__slug=slug,
    )
    begun = roadmap.phases.filter(started_on__lte=timezone.localdate()).order_by("-position").first()
    return redirect("phase", slug, begun.kind) if begun else redirect(roadmap)


def dashboard_context(dashboard: PhaseDashboard) -> dict[str, Any]:
    """What the upper half of the page needs beside the dashboard itself."""
    rows = dashboard.rows
    states = criterion_states(rows.criteria, values=dashboard.values, today=dashboard.today)
    met, total = met_count(standings_of(states))
    return {
        "dashboard": dashboard,
        "roadmap": rows.roadmap,
        "phase": rows.phase,
        "tabs": phase_tabs(rows.roadmap, rows.phases, current=rows.phase),
        "update_tone": TONES[Update.Status(rows.update.status)] if rows.update else "none",
        "criteria_met": met,
        "criteria_total": total,
        "sources": [_source(item, dashboard.today) for item in dashboard.freshness],
        "is_demo": rows.roadmap.workload.is_demo,
        "zone": settings.REPORTING_TIME_ZONE,
    }


def _source(item: Any, today: date) -> dict[str, Any]:
    """A source's freshness in words: 'data until 14:00 UTC', or what is wrong with it."""
    until = max((at for at in (item.data_until, item.last_push_at) if at is not None), default=None)
    return {
        "name": item.name,
        "slug": item.slug,
        "until": _short_moment(until, today) if until else "",
        "is_latency_behind": item.is_latency_behind,
        "problem": item.problem,
        "is_permanent": item.is_problem_permanent,
    }


def _short_moment(at: datetime, today: date) -> str:
    """'14:00 UTC' of today, else with its day."""
    local = at.astimezone(settings.REPORTING_ZONE)
    if local.date() == today:
        return f"{local:%H:%M} {zone_name(local)}"
    return moment(at, settings.REPORTING_ZONE)

"""`/me/`: what waits for the person who asks."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.http import require_safe

from accounts.authentication import asker_of
from roadmap.queries.my_week import GATE_DAYS, MILESTONE_DAYS, my_week
from web.htmx import render


@require_safe
def my_week_page(request: HttpRequest) -> HttpResponse:
    """Milestones, gates, updates and readings of the person, the most urgent first."""
    week = my_week(asker_of(request), today=timezone.localdate())
    parts = [
        ("milestones", "Milestones", f"Due in {MILESTONE_DAYS} days, or late", week.milestones),
        ("gates", "Gates", f"Due in {GATE_DAYS} days, or late", week.gates),
        ("updates", "Updates", "Roadmaps of yours that have not said for a while where they stand", week.updates),
        ("readings", "Readings", "KPIs that no backend knows", week.readings),
    ]
    return render(request, "roadmap/me.html", {"week": week, "parts": [part for part in parts if part[3]]})

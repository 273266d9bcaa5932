"""`/me/`: what waits for the person who asks."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from accounts.authentication import asker_of
from roadmap.queries.my_week import GATE_DAYS, MILESTONE_DAYS, my_week
from web.htmx import render


@require_safe
def my_week_page(request: HttpRequest) -> HttpResponse:
    """Milestones, gates, updates and readings of the person, the most urgent first."""
    week = my_week(asker_of(request), today=timezone.localdate())
    parts = [
        ("milestones", _("Milestones"), _("Due in %(days)s days, or late") % {"days": MILESTONE_DAYS}, week.milestones),
        ("gates", _("Gates"), _("Due in %(days)s days, or late") % {"days": GATE_DAYS}, week.gates),
        ("updates", _("Updates"), _("Roadmaps of yours that have not said for a while where they stand"), week.updates),
        ("readings", _("Readings"), _("KPIs that no backend knows"), week.readings),
    ]
    return render(request, "roadmap/me.html", {"week": week, "parts": [part for part in parts if part[3]]})

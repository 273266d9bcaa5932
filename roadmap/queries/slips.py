"""What slipped and what was added on a roadmap, month by month, in local days of the reporting zone."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from django.conf import settings

from roadmap.models import MilestoneDate, Roadmap
from roadmap.rules.slips import Entry, MonthOfPlan, Track, month_of_plan

MAX_MONTHS = 60


def months_of_plan(roadmap: Roadmap, months: Sequence[date], *, today: date) -> list[MonthOfPlan]:
    """What happened to the roadmap's milestones in each month, given by its first day. One query.

    A milestone that was there on the day the roadmap was made counts as planned, a later one as added.
    """
    zone = settings.REPORTING_ZONE
    made_on = roadmap.created_at.astimezone(zone).date()
    rows = (
        MilestoneDate.objects.filter(milestone__phase__roadmap=roadmap)
        .order_by("at", "pk")
        .values_list("milestone_id", "milestone__name", "at", "due_on", "state")
    )
    names: dict[int, str] = {}
    entries: dict[int, list[Entry]] = {}
    for pk, name, at, due_on, state in rows:
        names[pk] = name
        entries.setdefault(pk, []).append(Entry(at.astimezone(zone).date(), due_on, state))
    tracks = [Track(pk, names[pk], found, found[0].on <= made_on) for pk, found in entries.items()]
    return [month_of_plan(tracks, month, today=today) for month in months]

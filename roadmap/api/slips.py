"""What slipped and what was added, by month, over REST."""

from __future__ import annotations

from datetime import date
from typing import Any

from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from metrics.errors import RuleViolation
from roadmap.api.roadmaps import OneRoadmap
from roadmap.api.rows import PROBLEMS
from roadmap.queries.slips import MAX_MONTHS, months_of_plan
from roadmap.rules.phases import check_day, months_after
from roadmap.rules.slips import months_back


class SlipOut(serializers.Serializer[Any]):
    """A milestone in a month; `days` it moved by (negative: earlier), or was overdue by at the month's end."""

    id = serializers.IntegerField()
    name = serializers.CharField()
    was_due_on = serializers.DateField(allow_null=True)
    due_on = serializers.DateField()
    days = serializers.IntegerField()


class MonthOut(serializers.Serializer[Any]):
    """A month, or what of it has passed."""

    month = serializers.DateField(help_text="Its first day.")
    added = SlipOut(many=True)
    slipped = SlipOut(many=True)
    earlier = SlipOut(many=True)
    dropped = SlipOut(many=True)
    done = SlipOut(many=True)
    overdue = SlipOut(many=True)


class SlipsOut(serializers.Serializer[Any]):
    """The months, newest first."""

    months = MonthOut(many=True)


@extend_schema(
    tags=["milestones"],
    summary="What slipped and what was added, by month",
    parameters=[
        OpenApiParameter("from", str, description="First month, 2026-01; with `to`. The last 12 months without."),
        OpenApiParameter("to", str, description="Last month."),
    ],
    responses={200: SlipsOut, **PROBLEMS},
)
class RoadmapSlips(OneRoadmap):
    """In local days of the reporting zone."""

    serializer_class: Any = SlipsOut

    def get(self, request: Request, slug: str) -> Response:
        found = self.find(slug)
        months = _asked(request)
        rows = months_of_plan(found, months, today=timezone.localdate())
        return Response(SlipsOut({"months": rows}).data)


def _asked(request: Request) -> list[date]:
    given = [name for name in ("from", "to") if request.query_params.get(name)]
    today = timezone.localdate()
    if not given:
        return months_back(today, 12)
    if len(given) == 1:
        raise RuleViolation("one_month", "Give from and to, or neither.", given[0])
    first, last = (_month(request.query_params[name], name) for name in given)
    last = min(last, today.replace(day=1))
    if first > last:
        raise RuleViolation("months_reversed", "'from' is a month up to 'to' and up to the present one.", "from")
    months = [last]
    while months[-1] > first:
        if len(months) == MAX_MONTHS:
            raise RuleViolation("too_many_months", f"Ask for at most {MAX_MONTHS} months at once.", "from")
        months.append(months_after(months[-1], -1))
    return months


def _month(text: str, field: str) -> date:
    try:
        day = date.fromisoformat(f"{text}-01") if len(text) == 7 else date.fromisoformat(text).replace(day=1)
    except ValueError as error:
        raise RuleViolation("invalid", "Give a month like 2026-01.", field) from error
    check_day(day, field=field)
    return day

"""Which reports there are, and which roadmaps a month's report is made for."""

from __future__ import annotations

from datetime import date
from itertools import groupby

from django.db.models import Q, QuerySet

from accounts.access import Asker, visible_workloads
from metrics import series
from roadmap.models import CostEntry, Report, Roadmap
from roadmap.rules.reports import next_month


def visible_reports(asker: Asker) -> QuerySet[Report]:
    """Reports of the roadmaps that the asker sees; the portfolio's only for those who see every roadmap."""
    mine = Q(roadmap__workload__in=visible_workloads(asker))
    if asker.user.reads_all and (asker.token is None or asker.token.workload_id is None):
        mine |= Q(scope=Report.Scope.PORTFOLIO)
    return Report.objects.filter(mine).select_related("roadmap__workload")


def reportable_roadmaps(month: date) -> list[tuple[bool, list[Roadmap]]]:
    """(is demo, roadmaps) for both kinds: those with a phase under way in the local month."""
    found = (
        Roadmap.objects.filter(phases__started_on__lt=next_month(month))
        .filter(Q(phases__ended_on__isnull=True) | Q(phases__ended_on__gte=month))
        .select_related("workload", "owner", "programme")
        .order_by("workload__is_demo", "workload__name", "id")
        .distinct()
    )
    return [(is_demo, list(rows)) for is_demo, rows in groupby(found, key=lambda roadmap: roadmap.workload.is_demo)]


def has_real_data() -> bool:
    """Whether anything that is not demo has been counted; from then on the demo is in no total."""
    return series.has_real_usage() or CostEntry.objects.filter(roadmap__workload__is_demo=False).exists()

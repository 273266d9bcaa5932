"""Which reports there are, and which roadmaps a month's report is made for."""

from __future__ import annotations

from datetime import date
from itertools import groupby

from django.db.models import Exists, OuterRef, Q, QuerySet

from accounts.access import Asker, can, sees_everything, visible_workloads
from accounts.models import Role, Workload
from metrics import series
from roadmap.models import CostEntry, Report, Roadmap
from roadmap.rules.reports import next_month


def visible_reports(asker: Asker) -> QuerySet[Report]:
    """The reports that the asker may open, each with what it is about.

    A roadmap's: published and provisional ones for those who see the roadmap, drafts for its managers. A programme's
    names each of its roadmaps, so it is for those who see all of them. The portfolio's is for those who see every
    roadmap. Drafts of programmes and the portfolio are for admins.
    """
    workloads = visible_workloads(asker)
    shown = ~Q(state=Report.State.DRAFT)
    if sees_everything(asker):
        # An empty Q would be lost beside another, and with it all that is not a roadmap's.
        mine = Q(pk__isnull=False) if asker.user.is_admin else shown
    else:
        mine = Q(roadmap__workload__in=workloads) & shown
        hidden = Report.covers.through.objects.filter(report=OuterRef("pk")).exclude(roadmap__workload__in=workloads)
        mine |= (
            Q(scope=Report.Scope.PROGRAMME)
            & shown
            & Exists(Report.covers.through.objects.filter(report=OuterRef("pk")))
            & ~Exists(hidden)
        )
    mine |= Q(scope=Report.Scope.ROADMAP, roadmap__workload__in=managed_workloads(asker))
    return Report.objects.filter(mine).select_related("roadmap__workload", "programme")


def same_subject(report: Report) -> Q:
    """Reports of the same roadmap, of the same programme, or of the portfolio; of the demo's or not."""
    return Q(scope=report.scope, roadmap=report.roadmap_id, programme=report.programme_id, is_demo=report.is_demo)


def manages_reports(asker: Asker, roadmap: Roadmap | None) -> bool:
    """Whether the asker answers for a roadmap's reports, as its managers do; for all others (None) admins."""
    if roadmap is not None:
        return can(asker, Role.MANAGER, roadmap.workload)
    return asker.user.is_admin and sees_everything(asker)


def managed_workloads(asker: Asker) -> QuerySet[Workload]:
    """The workloads for which the asker is a manager; for admins all that they see."""
    workloads = visible_workloads(asker)
    if asker.user.is_admin:
        return workloads
    return workloads.filter(memberships__user=asker.user, memberships__role=Role.MANAGER)


def reportable_roadmaps(month: date) -> list[tuple[bool, list[Roadmap]]]:
    """(is demo, roadmaps) for both kinds: those with a phase under way in the local month."""
    found = (
        # In one filter, so that both are asked of the same phase and not of one that has not begun.
        Roadmap.objects.filter(
            Q(phases__ended_on__isnull=True) | Q(phases__ended_on__gte=month),
            phases__started_on__lt=next_month(month),
        )
        .select_related("workload", "owner", "programme")
        .order_by("workload__is_demo", "workload__name", "id")
        .distinct()
    )
    return [(is_demo, list(rows)) for is_demo, rows in groupby(found, key=lambda roadmap: roadmap.workload.is_demo)]


def has_real_data() -> bool:
    """Whether anything that is not demo has been counted; from then on the demo is in no total."""
    return series.has_real_usage() or CostEntry.objects.filter(roadmap__workload__is_demo=False).exists()


def reports_with_words(asker: Asker) -> QuerySet[Report]:
    """Reports of roadmaps whose words the asker reads: those that they may open, and drafts of roadmaps of theirs."""
    drafts = Report.objects.filter(roadmap__workload__in=visible_workloads(asker).filter(memberships__user=asker.user))
    wanted = Q(pk__in=visible_reports(asker).values("pk")) | Q(pk__in=drafts.values("pk"))
    return Report.objects.filter(wanted, scope=Report.Scope.ROADMAP).select_related("roadmap__workload", "programme")

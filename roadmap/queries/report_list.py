"""What the Reports page shows beside the reports themselves: what was replaced, waits or failed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from django.db.models import Count, Exists, F, OuterRef, Q, QuerySet

from accounts.access import Asker
from roadmap.models import Report, ReportWords
from roadmap.queries.reports import managed_workloads, visible_reports


def revisions_of(report: Report) -> QuerySet[Report]:
    """Every revision of the same month of the same thing, without payloads."""
    return Report.objects.filter(
        scope=report.scope,
        roadmap=report.roadmap_id,
        programme=report.programme_id,
        month=report.month,
        is_demo=report.is_demo,
    ).defer("payload")


def listed(reports: QuerySet[Report]) -> QuerySet[Report]:
    """With `is_superseded` (a later one is published) and `has_words`; newest month first, the portfolio on top."""
    later = Report.objects.filter(
        Q(roadmap=OuterRef("roadmap")) | Q(programme=OuterRef("programme")) | Q(scope=Report.Scope.PORTFOLIO),
        scope=OuterRef("scope"),
        month=OuterRef("month"),
        is_demo=OuterRef("is_demo"),
        revision__gt=OuterRef("revision"),
        state=Report.State.PUBLISHED,
    )
    words = ReportWords.objects.filter(report=OuterRef("pk")).exclude(text="")
    return (
        reports.defer("payload")
        .annotate(is_superseded=Exists(later), has_words=Exists(words))
        .order_by("-month", "scope", "programme__name", "roadmap__workload__name", "-revision")
    )


def waiting_for_words(asker: Asker) -> list[Report]:
    """The asker's own: reports of roadmaps that they manage, not published and without words."""
    words = ReportWords.objects.filter(report=OuterRef("pk")).exclude(text="")
    managed = managed_workloads(asker)
    mine = Q(roadmap__owner=asker.user) | Q(roadmap__workload__in=managed.filter(memberships__user=asker.user))
    found = visible_reports(asker).filter(mine, roadmap__workload__in=managed)
    return list(
        found.exclude(state=Report.State.PUBLISHED)
        .exclude(Exists(words))
        .defer("payload")
        .order_by("month", "roadmap__workload__name")
    )


def failed(asker: Asker) -> list[Report]:
    """What could not be published when it was tried last, of those that the asker could publish."""
    found = visible_reports(asker).exclude(problem="").exclude(state=Report.State.PUBLISHED).defer("payload")
    if not asker.user.is_admin:
        found = found.filter(roadmap__workload__in=managed_workloads(asker))
    return list(found.order_by("month", "scope", "roadmap__workload__name"))


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a month is that an admin asked to close."""

    month: date
    published: int
    failed: int
    total: int

    @property
    def is_over(self) -> bool:
        return self.published + self.failed >= self.total


def progress(asker: Asker) -> list[Progress]:
    """Months with reports that were asked to be published and are not; for who may close a month."""
    if not asker.user.is_admin:
        return []
    running = Report.objects.filter(asked_at__isnull=False).exclude(state=Report.State.PUBLISHED)
    rows = (
        Report.objects.filter(asked_at__isnull=False, month__in=running.values("month"))
        .values("month")
        .annotate(
            published=Count("pk", filter=Q(state=Report.State.PUBLISHED)),
            failed=Count("pk", filter=~Q(problem="") & Q(tried_at__gte=F("asked_at"))),
            total=Count("pk"),
        )
        .order_by("month")
    )
    return [Progress(row["month"], row["published"], row["failed"], row["total"]) for row in rows]

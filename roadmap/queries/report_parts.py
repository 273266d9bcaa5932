"""Of which reports of roadmaps the report of a programme or the portfolio is made."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

from django.db.models import Q, QuerySet

from roadmap.models import Report
from roadmap.rules.report_life import MOST_ATTEMPTS
from roadmap.rules.reports import previous_month

PUBLISHED = Report.State.PUBLISHED


def latest(reports: Iterable[Report]) -> list[Report]:
    """The last revision of each roadmap's, in the order given."""
    found: dict[int | None, Report] = {}
    for report in reports:
        held = found.get(report.roadmap_id)
        if held is None or report.revision > held.revision:
            found[report.roadmap_id] = report
    return list(found.values())


def parts_of(report: Report) -> list[Report]:
    """The last revision of each roadmap's report that a programme's or the portfolio's is made of, by name."""
    return latest(_parts(report))


def _parts(report: Report) -> QuerySet[Report]:
    found = (
        Report.objects.filter(scope=Report.Scope.ROADMAP, month=report.month, is_demo=report.is_demo)
        .select_related("roadmap__workload")
        .order_by("roadmap__workload__name", "roadmap_id")
    )
    if report.programme_id is None:
        return found
    # Whoever was in it when it was published stays in what corrects it.
    before = Report.objects.filter(
        scope=report.scope, programme=report.programme_id, month=report.month, state=PUBLISHED
    )
    return found.filter(Q(roadmap__programme=report.programme_id) | Q(roadmap__covered_by__in=before)).distinct()


def waits_for(report: Report) -> list[Report]:
    """The reports of roadmaps that a programme's or the portfolio's still waits for.

    One that failed `MOST_ATTEMPTS` times is waited for no longer: the others are published without it.
    """
    # Asked after each roadmap of the month: without what all the others say.
    parts = latest(_parts(report).defer("payload"))
    return [part for part in parts if part.state != PUBLISHED and not is_given_up(part)]


def is_given_up(report: Report) -> bool:
    return report.attempts >= MOST_ATTEMPTS


def has_newer_parts(report: Report) -> bool:
    """Whether a roadmap's report was published or revised since this one of a programme or the portfolio was."""
    return bool(newer_parts(report))


def newer_parts(report: Report) -> list[Report]:
    """The reports of roadmaps that were published or revised since this one of a programme or the portfolio was."""
    if report.published_at is None:
        return []
    return latest(_parts(report).filter(state=PUBLISHED, published_at__gt=report.published_at).defer("payload"))


def summaries_of(month: date, *, is_demo: bool, programme_id: int | None) -> list[Report]:
    """The last revisions of the portfolio's report, and of the programme's where one is given, without payloads."""
    about = Q(scope=Report.Scope.PORTFOLIO)
    if programme_id is not None:
        about |= Q(scope=Report.Scope.PROGRAMME, programme=programme_id)
    found: dict[tuple[str, int | None], Report] = {}
    rows = Report.objects.filter(about, month=month, is_demo=is_demo).select_related("programme").defer("payload")
    for report in rows.order_by("revision"):
        found[report.scope, report.programme_id] = report
    return list(found.values())


def published_before(report: Report) -> Report | None:
    """Last month's report about the same, as it was published last."""
    return (
        Report.objects.filter(
            scope=report.scope,
            roadmap=report.roadmap,
            programme=report.programme,
            is_demo=report.is_demo,
            month=previous_month(report.month),
            state=PUBLISHED,
        )
        .order_by("-revision")
        .first()
    )

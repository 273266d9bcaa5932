"""The row that a report begins as, and the figures that its draft shows."""

from __future__ import annotations

from datetime import date

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from roadmap.models import Report, ReportWords, Roadmap
from roadmap.queries.reports import has_real_data, reportable_roadmaps
from roadmap.reports.fresh import Fresh, fresh
from roadmap.rules.report_life import day_of_life, is_provisional

State = Report.State


@transaction.atomic
def make_drafts(month: date) -> int:
    """A draft for each roadmap with a phase under way in the month, its programme and the portfolio; how many are new.

    The schedule's, not a person's. Safe to call again and by two at once.
    """
    before = Report.objects.filter(month=month).count()
    for is_demo, roadmaps in reportable_roadmaps(month):
        wanted = [Report(scope=Report.Scope.ROADMAP, roadmap=roadmap) for roadmap in roadmaps]
        programmes = {roadmap.programme_id: roadmap.programme for roadmap in roadmaps if roadmap.programme}
        wanted += [Report(scope=Report.Scope.PROGRAMME, programme=programme) for programme in programmes.values()]
        if not is_demo or not has_real_data():
            wanted.append(Report(scope=Report.Scope.PORTFOLIO))
        for report in wanted:
            report.month, report.is_demo = month, is_demo
        Report.objects.bulk_create(wanted, ignore_conflicts=True)
        _cover(month, roadmaps, is_demo=is_demo)
    return Report.objects.filter(month=month).count() - before


def _cover(month: date, roadmaps: list[Roadmap], *, is_demo: bool) -> None:
    """Who sees a draft follows from what it will name."""
    through = Report.covers.through
    rows = Report.objects.filter(month=month, is_demo=is_demo, revision=1).exclude(state=State.PUBLISHED)
    made = [
        through(report_id=report.pk, roadmap_id=roadmap.pk)
        for report in rows
        for roadmap in roadmaps
        if report.roadmap_id in (None, roadmap.pk) and report.programme_id in (None, roadmap.programme_id)
    ]
    through.objects.bulk_create(made, ignore_conflicts=True)


def refresh_draft(report_id: int) -> Report | None:
    """Draws a draft's figures anew and says whether they are complete; None where it is published or in hand.

    The schedule's, not a person's.
    """
    with transaction.atomic():
        report = lock_open(report_id)
        if report is None:
            return None
        words = words_of(report)
        now = fresh(report, dated_on=timezone.localdate(), words=words)
        report.payload, report.drawn_at, report.gaps = now.payload, timezone.now(), now.gaps
        report.schema_version = now.payload["schema_version"]
        report.state = state_of(report, now, words)
        report.save(update_fields=["payload", "drawn_at", "gaps", "schema_version", "state"])
        report.covers.set(now.covers)
        return report


def lock_open(report_id: int) -> Report | None:
    """The row of a report that is not published, ours until the transaction ends; None where another has it."""
    return (
        Report.objects.select_for_update(skip_locked=True, of=("self",))
        .select_related("roadmap__workload", "roadmap__owner", "roadmap__programme", "programme", "asked_by")
        .exclude(state=State.PUBLISHED)
        .filter(pk=report_id)
        .first()
    )


def state_of(report: Report, now: Fresh, words: ReportWords | None) -> str:
    """Draft or provisional."""
    complete = is_provisional(
        now.gaps,
        is_ready=words is not None and words.is_ready,
        today=timezone.localdate(),
        provisional_on=day_of_life(report.month, settings.REPORT_PROVISIONAL_DAY),
    )
    return State.PROVISIONAL if complete else State.DRAFT


def words_of(report: Report) -> ReportWords | None:
    """The manager's words for a report, None where none were given."""
    return ReportWords.objects.filter(report=report).first()

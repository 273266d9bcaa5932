"""With which reports a report can be compared: published ones of the same thing that the asker sees."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from django.db.models import QuerySet
from django.utils.translation import gettext as _

from accounts.access import Asker
from metrics.errors import RuleViolation
from roadmap.models import Report
from roadmap.queries.reports import same_subject, visible_reports
from roadmap.rules.reports import previous_month


@dataclass(frozen=True, slots=True)
class Nearby:
    """What a report is compared with most: the month before, the same month a year before, its own revisions."""

    month_before: Report | None
    year_before: Report | None
    revisions: Sequence[Report]
    has_others: bool


def comparable_reports(asker: Asker, report: Report) -> QuerySet[Report]:
    """Every published report of the same roadmap, programme or portfolio, this one included; newest first."""
    found = visible_reports(asker).filter(same_subject(report), state=Report.State.PUBLISHED)
    return found.defer("payload").order_by("-month", "-revision")


def nearby_reports(asker: Asker, report: Report) -> Nearby:
    """The usual choices for a report, in one query; the last revision of each other month."""
    before = previous_month(report.month)
    year_ago = report.month.replace(year=report.month.year - 1)
    others = [row for row in comparable_reports(asker, report) if row.pk != report.pk]
    return Nearby(
        month_before=next((row for row in others if row.month == before), None),
        year_before=next((row for row in others if row.month == year_ago), None),
        revisions=[row for row in others if row.month == report.month],
        has_others=bool(others),
    )


def two_reports(asker: Asker, first: UUID, second: UUID) -> tuple[Report, Report] | None:
    """Both reports with their payloads, None where one of them is not there for the asker.

    RuleViolation 'same_report' where they are one, 'not_alike' where they are about two things.
    """
    published = visible_reports(asker).filter(state=Report.State.PUBLISHED, uuid__in=(first, second))
    found = {report.uuid: report for report in published}
    if first not in found or second not in found:
        return None
    if first == second:
        raise RuleViolation("same_report", _("Choose two reports: this is one and the same."), "b")
    was, now = found[first], found[second]
    if subject_of(was) != subject_of(now):
        raise RuleViolation("not_alike", _("These are reports of two things: choose two of the same."), "b")
    return was, now


def subject_of(report: Report) -> tuple[object, ...]:
    """What a report is about."""
    return report.scope, report.roadmap_id, report.programme_id, report.is_demo

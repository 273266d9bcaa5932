"""Closing a month: a draft for each report, and each published by itself, so that one that fails stops no other.

The schedule, `manage.py close_month` and the admin's button go the same way. First come the reports of roadmaps, in any
order and on any number of workers; programmes and the portfolio follow once those that they wait for are published.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts import audit
from accounts.access import Asker, sees_everything
from accounts.models import User
from metrics.errors import RuleViolation
from roadmap.actions.report_drafts import make_drafts, refresh_draft
from roadmap.actions.report_publishing import publish_now, revise_now, revise_report
from roadmap.models import Report
from roadmap.queries.report_parts import has_newer_parts, newer_parts, summaries_of, waits_for
from roadmap.reports.outputs.pdf import PdfRefusedError
from roadmap.rules.report_life import day_of_life
from roadmap.rules.reports import next_month
from web import wording

SCHEDULE = "the schedule"


@dataclass(slots=True)
class Closed:
    """What closing a month did. `waiting`: programmes and the portfolio, while a roadmap's could not be published."""

    month: date
    published: tuple[Report, ...] = ()
    revised: tuple[Report, ...] = ()
    failed: tuple[tuple[Report, str], ...] = ()
    waiting: tuple[Report, ...] = ()
    unchanged: int = 0


def close_month(asker: Asker | str, month: date, *, revise: bool = False, why: str = "") -> Closed:
    """Publishes the reports of a local month that are not published yet, here and now, one after the other.

    With `revise`, a published report whose figures have changed since gets its next revision beside it, with `why` and
    the list of what moved. Raises RuleViolation for a month that is not over, PermissionDenied for who is not an admin.
    """
    _check_may_close(asker, month)
    make_drafts(month)
    closed = Closed(month)
    for scopes in ([Report.Scope.ROADMAP], [Report.Scope.PROGRAMME, Report.Scope.PORTFOLIO]):
        for report in _last_of(month, scopes):
            _close_one(asker, report, closed, revise=revise, why=why)
    return closed


def ask_to_close(asker: Asker, month: date) -> list[int]:
    """Asks for the month's open reports to be published before their day; the ids for the workers, roadmaps first."""
    _check_may_close(asker, month)
    make_drafts(month)
    with transaction.atomic():
        opened = Report.objects.filter(month=month).exclude(state=Report.State.PUBLISHED)
        opened.update(asked_at=timezone.now(), asked_by=asker.user)
        first = opened.order_by("pk").first()
        if first is not None:
            count = opened.count()
            audit.record(asker, action="close_month", subject=first, after={"month": month, "reports": count})
    return open_reports(month)


def due_reports() -> list[int]:
    """What the schedule has workers do: a draft for each report of the last month, and the ids of all that are open.

    Older months that are not closed, for no worker ran, are among them; and what was made of reports that were
    corrected since. The schedule's, not a person's.
    """
    today = timezone.localdate()
    last = (today.replace(day=1) - timedelta(days=1)).replace(day=1)
    make_drafts(last)
    behind = [
        report.pk
        for report in Report.objects.filter(state=Report.State.PUBLISHED, month__gte=_months_ago(last, 12))
        .exclude(scope=Report.Scope.ROADMAP)
        .defer("payload")
        if report in _latest_summaries(report) and has_newer_parts(report)
    ]
    return [*open_reports(), *behind]


def advance_report(report_id: int) -> list[int]:
    """The next step of one report: a draft is drawn anew, published when its day has come, or waits for others.

    Returns the ids of programmes and the portfolio that can go on now. Safe to call again, by two at once, and after a
    kill: each step is one transaction. The schedule's, not a person's.
    """
    report = Report.objects.select_related("roadmap", "programme", "asked_by").filter(pk=report_id).first()
    if report is None:
        return []
    if report.is_published:
        if report.roadmap_id is None:
            follow_parts(report)
        return []
    if not is_due(report):
        refresh_draft(report_id)
        return []
    if report.roadmap_id is None and waits_for(report):
        refresh_draft(report_id)
        return []
    publish_now(_who(report), report_id)
    return following(report)


def revise_one(report_id: int, person_id: int, why: str) -> list[int]:
    """Revises one published report as a person asked for all of a month; the ids of what follows.

    `revise_report` checks once more that the person may.
    """
    report = Report.objects.select_related("roadmap__workload", "programme").get(pk=report_id)
    revision = revise_report(Asker(User.objects.get(pk=person_id)), report, why=why)
    return following(revision) if revision else []


def published_reports(month: date) -> list[int]:
    """The ids of the last revisions of what is published of a month's roadmaps."""
    return [report.pk for report in _last_of(month, [Report.Scope.ROADMAP]) if report.is_published]


def following(report: Report) -> list[int]:
    """The ids of programmes and the portfolio that can go on after a roadmap's report was published or revised."""
    if report.roadmap is None:
        return []
    found = summaries_of(report.month, is_demo=report.is_demo, programme_id=report.roadmap.programme_id)
    return [
        one.pk for one in found if (has_newer_parts(one) if one.is_published else is_due(one) and not waits_for(one))
    ]


def follow_parts(report: Report) -> Report | None:
    """Revises a programme's or the portfolio's report after one of its roadmaps was revised or came late."""
    if not has_newer_parts(report):
        return None
    newer = newer_parts(report)
    why = "; ".join(" ".join(filter(None, [f"{one.subject} ({one.revision})", one.why])) for one in newer)
    return revise_now(SCHEDULE, report, why=why)


def is_due(report: Report) -> bool:
    """Whether a draft is to be published: its closing day has come, or somebody asked for it."""
    if report.asked_at is not None:
        return True
    return timezone.localdate() >= day_of_life(report.month, settings.REPORT_CLOSE_DAY)


def close_due_months() -> Closed | None:
    """Closes the month before this one here and now, once its closing day has come; None before. For one process."""
    last = (timezone.localdate().replace(day=1) - timedelta(days=1)).replace(day=1)
    if timezone.localdate() < day_of_life(last, settings.REPORT_CLOSE_DAY):
        return None
    return close_month(SCHEDULE, last)


def open_reports(month: date | None = None) -> list[int]:
    """The ids of what is not published, roadmaps first, the oldest month first."""
    found = Report.objects.exclude(state=Report.State.PUBLISHED)
    if month is not None:
        found = found.filter(month=month)
    rows = found.values_list("pk", "month", "roadmap_id")
    return [pk for pk, _month, _roadmap in sorted(rows, key=lambda row: (row[2] is None, row[1], row[0]))]


def _check_may_close(asker: Asker | str, month: date) -> None:
    if isinstance(asker, Asker) and not (asker.user.is_admin and sees_everything(asker)):
        raise PermissionDenied(_("Only an admin closes a month."))
    if month.day != 1:
        raise RuleViolation("not_a_month", _("Name a month by its first day."), "month")
    if next_month(month) > timezone.localdate():
        text = _("%(month)s is not over yet; it can be closed from the next day on.") % {"month": wording.month(month)}
        raise RuleViolation("month_not_over", text, "month")


def _last_of(month: date, scopes: list[Report.Scope]) -> list[Report]:
    rows = (
        Report.objects.filter(month=month, scope__in=scopes)
        .defer("payload")
        .select_related("roadmap__workload", "programme")
        .order_by("is_demo", "roadmap__workload__name", "programme__name", "pk")
    )
    last: dict[tuple[object, ...], Report] = {}
    for report in rows:
        key = (report.scope, report.roadmap_id, report.programme_id, report.is_demo)
        if key not in last or last[key].revision < report.revision:
            last[key] = report
    return list(last.values())


def _close_one(asker: Asker | str, report: Report, closed: Closed, *, revise: bool, why: str) -> None:
    try:
        if report.is_published:
            revision = revise_now(asker, report, why=why) if revise else None
            closed.revised += (revision,) if revision else ()
            closed.unchanged += revision is None
        elif report.roadmap_id is None and waits_for(report):
            closed.waiting += (report,)
        else:
            published = publish_now(asker, report.pk)
            closed.published += (published,) if published else ()
    except RuleViolation as error:
        closed.failed += ((report, error.message),)
    except PdfRefusedError as error:
        # A revision that cannot be drawn; one that is published for the first time says so as RuleViolation.
        closed.failed += ((report, str(error)),)


def _who(report: Report) -> Asker | str:
    """Who asked for it, while they may sign in; else the schedule."""
    asked_by = report.asked_by
    return Asker(asked_by) if asked_by is not None and asked_by.is_active else SCHEDULE


def _latest_summaries(report: Report) -> list[Report]:
    return summaries_of(report.month, is_demo=report.is_demo, programme_id=report.programme_id)


def _months_ago(month: date, months: int) -> date:
    number = month.year * 12 + month.month - 1 - months
    return date(number // 12, number % 12 + 1, 1)

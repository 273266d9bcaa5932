"""Celery's entry points: each takes ids, is idempotent and does nothing but call an action."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from celery import Task, shared_task
from django.utils import timezone
from kombu.exceptions import OperationalError as BrokerDown

from metrics.errors import RuleViolation
from roadmap import deliver
from roadmap.actions import occasions, reports
from roadmap.imports.uploads import forget_old
from roadmap.mailing import post

logger = logging.getLogger(__name__)
# The schedule asks every six hours; what has not begun by then is asked for again.
ADVANCE_EXPIRES = 6 * 3600 - 60


@shared_task(name="roadmap.close_due_months")
def close_due_months() -> None:
    """Makes last month's drafts and has each open report taken a step further, on all workers that there are."""
    advance_reports(reports.due_reports())


@shared_task(name="roadmap.advance_report")
def advance_report(report_id: int) -> None:
    """Draws a draft anew or publishes it; what waited for it is next. One that fails says so, and is tried again."""
    try:
        advance_reports(reports.advance_report(report_id))
    except RuleViolation as error:
        logger.warning("Report %s: %s", report_id, error.message)


def advance_reports(report_ids: Iterable[int]) -> None:
    """Hands reports to the workers. What a broker that is down loses, the schedule finds."""
    for pk in report_ids:
        _start(advance_report, pk)


@shared_task(name="roadmap.revise_report")
def revise_report(report_id: int, person_id: int, why: str) -> None:
    """Revises one published report for the admin who asked for it; programmes and the portfolio follow."""
    try:
        advance_reports(reports.revise_one(report_id, person_id, why))
    except RuleViolation as error:
        logger.warning("Report %s: %s", report_id, error.message)


def revise_reports(report_ids: Iterable[int], person_id: int, why: str) -> None:
    """Has workers revise these reports."""
    for pk in report_ids:
        _start(revise_report, pk, person_id, why)


def _start(task: Task, *args: object) -> None:
    try:
        task.apply_async(args=args, expires=ADVANCE_EXPIRES, retry=False)
    except BrokerDown:
        logger.warning("The broker does not answer; %s waits for the schedule.", task.name)


@shared_task(name="roadmap.forget_plan_imports")
def forget_plan_imports() -> None:
    """Deletes spreadsheets that nobody imported for a day, and results that are old."""
    forget_old()


@shared_task(name="roadmap.deliver_notices")
def deliver_notices() -> None:
    """Tells people what waits in the outbox."""
    deliver.work_off()


@shared_task(name="roadmap.mail_reports")
def mail_reports() -> None:
    """Sends the mails of reports that wait."""
    post.work_off()


@shared_task(name="roadmap.note_occasions")
def note_occasions() -> None:
    """Puts into the outbox what became due."""
    occasions.note_occasions(timezone.now())


@shared_task(name="roadmap.note_mondays")
def note_mondays() -> None:
    """Puts the Monday mails into the outbox whose hour has come."""
    occasions.note_mondays(timezone.now())


@shared_task(name="roadmap.drop_old_notices")
def drop_old_notices() -> None:
    """Forgets what was told long ago."""
    occasions.drop_old_notices(timezone.now())

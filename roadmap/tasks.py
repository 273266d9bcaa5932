"""Celery's entry points: each takes ids, is idempotent and does nothing but call an action."""

from __future__ import annotations

from celery import shared_task
from django.utils import timezone

from roadmap import deliver
from roadmap.actions import occasions
from roadmap.actions.reports import close_due_months as close_due
from roadmap.imports.uploads import forget_old
from roadmap.mailing import post


@shared_task(name="roadmap.close_due_months")
def close_due_months() -> None:
    """Publishes last month's reports once their day has come."""
    close_due()


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

"""Celery's entry points: each takes ids, is idempotent and does nothing but call an action."""

from __future__ import annotations

from celery import shared_task

from roadmap.actions.reports import close_due_months as close_due
from roadmap.imports.uploads import forget_old


@shared_task(name="roadmap.close_due_months")
def close_due_months() -> None:
    """Publishes last month's reports once their day has come."""
    close_due()


@shared_task(name="roadmap.forget_plan_imports")
def forget_plan_imports() -> None:
    """Deletes spreadsheets that nobody imported for a day, and results that are old."""
    forget_old()

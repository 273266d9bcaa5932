"""Reading back: starting, stopping and taking it up again, and how far back it can go."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta

from django.conf import settings
from django.db import transaction
from django.utils.translation import gettext

from accounts.access import Asker
from accounts.audit import record
from metrics import sources
from metrics.actions.permission import require_backend_admin
from metrics.connector import StatementConnector
from metrics.errors import RuleViolation
from metrics.meter import History
from metrics.models import Backend
from web import wording

LONGEST_BACKFILL = timedelta(days=3 * 366)
# What `read_again`, `start_backfill` and their like change, for `save(update_fields=...)`.
BACKFILL_FIELDS = (
    "backfill_from",
    "backfill_cursor",
    "backfill_until",
    "backfill_since",
    "backfill_next_at",
    "backfill_step_days",
    "backfill_failures",
    "backfill_problem",
    "is_backfill_stopped",
)


def can_be_read_back(kind: str) -> bool:
    """Whether a backend of this kind knows more than the present."""
    return _statement_connector(kind) is not None


def history_of(backend: Backend) -> History:
    """Return how far back the backend's source answers."""
    connector = _statement_connector(backend.connector)
    return connector.history(backend.parameters) if connector else History()


def earliest_day(history: History) -> date:
    """Return the first local day that can be read back to: three years, what is kept, what the source knows."""
    today = _today()
    months = today.year * 12 + today.month - 1 - settings.USAGE_RETENTION_MONTHS
    kept_from = date(months // 12, months % 12 + 1, 1)
    days = [today - LONGEST_BACKFILL, kept_from]
    if history.days is not None:
        days.append(today - timedelta(days=history.days - 1))
    return max(days)


@transaction.atomic
def start_backfill(asker: Asker, backend: Backend, *, from_on: date) -> Backend:
    """Read back to a local day, step by step. Raises RuleViolation, PermissionDenied."""
    require_backend_admin(asker)
    backend = held(backend)
    set_backfill(backend, from_on, field="from_on")
    backend.save(update_fields=BACKFILL_FIELDS)
    record(asker, action="start_backfill", subject=backend, after={"from": from_on})
    return backend


@transaction.atomic
def cancel_backfill(asker: Asker, backend: Backend) -> Backend:
    """Stop reading back; what was read stays, and it can be taken up again there. Raises PermissionDenied."""
    require_backend_admin(asker)
    backend = held(backend)
    before = {"from": backend.backfill_from, "read_back_to": backend.backfill_cursor}
    backend.is_backfill_stopped = backend.backfill_cursor is not None
    backend.backfill_problem = ""
    backend.save(update_fields=BACKFILL_FIELDS)
    record(asker, action="cancel_backfill", subject=backend, before=before)
    return backend


@transaction.atomic
def resume_backfill(asker: Asker, backend: Backend) -> Backend:
    """Go on where it was stopped. Raises RuleViolation, PermissionDenied."""
    require_backend_admin(asker)
    backend = held(backend)
    if backend.backfill_cursor is None:
        raise RuleViolation(
            "nothing_to_resume", gettext("Nothing is left to read back; say to which day it should go.")
        )
    if not backend.is_enabled:
        raise RuleViolation("not_pulled", gettext("This backend is no longer pulled."))
    resume(backend)
    backend.save(update_fields=BACKFILL_FIELDS)
    record(asker, action="resume_backfill", subject=backend, after={"from": backend.backfill_from})
    return backend


def resume(backend: Backend) -> None:
    """Let it go on from its cursor; the caller holds the row and saves BACKFILL_FIELDS."""
    backend.is_backfill_stopped, backend.backfill_problem, backend.backfill_failures = False, "", 0
    backend.backfill_next_at, backend.backfill_since = None, sources.now()


def read_again(backend: Backend, since: date | None) -> bool:
    """Plan to read statements again from a local day on, so that their money goes to the series that count now.

    What a backfill has still to read stays planned. Call it with the row held; the caller saves BACKFILL_FIELDS.
    Returns whether there is anything to read.
    """
    if since is None or not can_be_read_back(backend.connector) or not backend.is_enabled or backend.is_demo:
        return False
    former = backend.backfill_from
    set_backfill(backend, min(max(since, earliest_day(history_of(backend))), _today()), field="from_on")
    if former is not None and backend.backfill_from is not None:
        backend.backfill_from = min(former, backend.backfill_from)
    return True


def set_backfill(backend: Backend, from_on: date, *, field: str) -> None:
    """Plan to read back to a local day. Raises RuleViolation on `field`."""
    if not can_be_read_back(backend.connector):
        raise RuleViolation(
            "knows_only_the_present",
            gettext("This backend counts from its first pull on; it cannot be read back."),
            field,
        )
    now = sources.now()
    if from_on > _today():
        raise RuleViolation("in_the_future", gettext("Reading back begins on a day that has been."), field)
    history = history_of(backend)
    first = earliest_day(history)
    if from_on < first:
        raise RuleViolation("too_far_back", _why_not(first, history), field)
    start = datetime.combine(from_on, time(), tzinfo=settings.REPORTING_ZONE)
    backend.backfill_from = start.astimezone(now.tzinfo).replace(minute=0)
    backend.backfill_cursor = (backend.data_until or now).replace(minute=0, second=0, microsecond=0)
    backend.backfill_until, backend.backfill_step_days = backend.backfill_cursor, None
    resume(backend)
    if backend.backfill_cursor <= backend.backfill_from:
        backend.backfill_from = backend.backfill_cursor = backend.backfill_until = None


def held(backend: Backend) -> Backend:
    """The row, held until the transaction ends. Raises RuleViolation for the demo's."""
    found = Backend.objects.select_for_update().get(pk=backend.pk)
    if found.is_demo:
        raise RuleViolation(
            "is_demo", gettext("This backend is demo data: it cannot be pulled, and goes with the demo.")
        )
    return found


def _why_not(first: date, history: History) -> str:
    today = _today()
    if history.days is not None and first == today - timedelta(days=history.days - 1):
        why = gettext("This source answers for the last %(days)s days.") % {"days": history.days}
    elif first == today - LONGEST_BACKFILL:
        why = gettext("Reading back goes three years at most.")
    else:
        why = gettext("Usage is kept for %(months)s months (USAGE_RETENTION_MONTHS).") % {
            "months": settings.USAGE_RETENTION_MONTHS
        }
    return f"{why} " + gettext("The earliest day is %(day)s.") % {"day": wording.day(first)}


def _statement_connector(kind: str) -> type[StatementConnector] | None:
    if kind == sources.PUSH_ONLY:
        return None
    try:
        connector = sources.connector_for(kind)
    except RuleViolation:
        return None
    return connector if issubclass(connector, StatementConnector) else None


def _today() -> date:
    return sources.now().astimezone(settings.REPORTING_ZONE).date()

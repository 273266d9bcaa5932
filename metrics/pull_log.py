"""What became of a pull: written down on its row and on its backend, in words, without secrets.

A pull that cannot even write that down (the database is away, the disk is full) leaves its row as 'running'; the next
one, or `close_stopped`, finds it and says that it stopped half-way. Nothing of such a pull was counted: what it read is
posted in one transaction.
"""

from __future__ import annotations

import contextlib
import logging
import random
import traceback
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, TypeVar

from billiard.exceptions import SoftTimeLimitExceeded
from django.db import DatabaseError, InterfaceError, OperationalError, connection
from django.db.models import OuterRef, QuerySet, Subquery

from metrics import sources
from metrics.deadlocks import done_again
from metrics.errors import ConnectorError, RuleViolation
from metrics.http import StatusError
from metrics.models import Backend, Pull
from metrics.redaction import all_spellings, redact
from metrics.secrets import open_sealed
from metrics.windows import Window

logger = logging.getLogger(__name__)

FIRST_RETRY = timedelta(minutes=1)
LONGEST_RETRY = timedelta(hours=1)
# A pull that has not ended by then was killed: tasks end within 330 seconds.
LONGEST_PULL = timedelta(minutes=10)
# How long rows of the log are kept: all of them, failures, and the last one of each day.
KEPT_FOR = timedelta(days=14)
FAILURES_KEPT_FOR = timedelta(days=90)
LAST_OF_DAY_KEPT_FOR = timedelta(days=400)
STOPPED = "Stopped half-way; nothing of it was counted."
TOO_SLOW = "It did not finish within five minutes; nothing of it was counted."
NO_DATABASE = "The database did not answer; nothing of it was counted."
NO_NOTE = "What was read is counted, but the database took no note of the pull; it is read again, which adds nothing."
DISK_FULL = "The database has no room left on its disk; nothing of it was counted."
# PostgreSQL's classes of errors: 53 insufficient resources (53100: disk full), 08 connection, 57P shut down.
SQL_DISK_FULL = "53100"

T = TypeVar("T")


def begin(backend: Backend, now: datetime, window: Window | None = None, *, is_backfill: bool = False) -> Pull:
    """Open a row of the log."""
    close_stopped(now, Pull.objects.filter(backend=backend))
    return Pull.objects.create(
        backend=backend,
        window_start=window.start if window else None,
        window_end=window.end if window else None,
        is_backfill=is_backfill,
    )


def close_stopped(now: datetime, pulls: QuerySet[Pull] | None = None) -> int:
    """Say of pulls that were killed that they stopped; return how many."""
    rows = Pull.objects.all() if pulls is None else pulls
    return rows.filter(outcome=Pull.Outcome.RUNNING, started_at__lt=now - LONGEST_PULL).update(
        outcome=Pull.Outcome.TRANSIENT, ended_at=now, message=STOPPED
    )


def guarded(backend: Backend, read: Callable[[], T]) -> tuple[T | None, ConnectorError | None]:
    """Return what `read` found, or why it could not, in words for the log and the page."""
    try:
        return done_again(read), None
    except ConnectorError as error:
        return None, error
    except RuleViolation as violation:
        return None, ConnectorError(violation.message, permanent=True, hint="Change the backend's settings.")
    except SoftTimeLimitExceeded:
        return None, TooSlow(TOO_SLOW, permanent=False, hint="It is tried again with less at a time.")
    except (OperationalError, InterfaceError) as error:
        _log(backend)
        # A connection that is gone is not used again; the next query opens a new one.
        connection.close()
        is_full = getattr(error.__cause__, "sqlstate", None) == SQL_DISK_FULL
        hint = "Free some space; it is tried again." if is_full else "It is tried again."
        return None, ConnectorError(DISK_FULL if is_full else NO_DATABASE, permanent=False, hint=hint)
    except Exception as error:  # noqa: BLE001 - the pull log is where its failure is recorded
        _log(backend)
        return None, ConnectorError(
            f"The pull failed inside Phaseline ({type(error).__name__}); the worker's log says more.", permanent=False
        )


class TooSlow(ConnectorError):  # noqa: N818 - says what happened
    """The task's time was up; asking for less may help."""


def fail(
    backend: Backend, log: Pull, error: ConnectorError, now: datetime, *, may_rest: bool = True, **changes: Any
) -> None:
    """Write down a failure. `changes` are what it changes of the backend beside its rest.

    A source that asked to slow down is left alone by pull and backfill alike (unless not `may_rest`).
    """
    log.outcome = Pull.Outcome.PERMANENT if error.permanent else Pull.Outcome.TRANSIENT
    log.ended_at, log.message = now, redacted(backend, str(error))
    if may_rest and is_throttled(error):
        wait = retry_in(1, error.retry_after_seconds)
        changes["resting_until"] = max(now + wait, backend.resting_until or now)
    try:
        log.save()
        Backend.objects.filter(pk=backend.pk).update(**changes)
    except DatabaseError:
        logger.error("The pull of %s failed, and the database takes no note of it: %s", backend.slug, log.message)  # noqa: TRY400
        connection.close()


def is_throttled(error: ConnectorError) -> bool:
    """Whether the source itself asked to be left alone for a while."""
    if isinstance(error, StatusError) and error.status == 429:
        return True
    return error.retry_after_seconds is not None


def retry_in(failures: int, retry_after_seconds: float | None) -> timedelta:
    """One minute, then twice as long each time up to an hour, a tenth more or less; never sooner than was asked for."""
    wait = min(FIRST_RETRY * 2 ** min(failures - 1, 10), LONGEST_RETRY)
    wait *= random.uniform(0.9, 1.1)  # noqa: S311 - so that many backends do not come back at once
    return max(wait, timedelta(seconds=retry_after_seconds or 0))


def redacted(backend: Backend, text: str) -> str:
    """Return the text without the backend's secrets."""
    try:
        values = open_sealed(backend.secrets)
    except ConnectorError:
        return text
    secrets = [line for value in values.values() for line in ([value] if isinstance(value, str) else value)]
    with contextlib.suppress(RuleViolation):
        secrets += sources.connector_for(backend.connector).secrets({**backend.parameters, **values})
    return redact(text, all_spellings(secrets))


def drop_old(now: datetime) -> int:
    """Drop rows of the log that nobody needs any more; return how many.

    Kept are 14 days in full, failures for 90, and of each backend and UTC day the last row for 400.
    """
    later = Pull.objects.filter(
        backend=OuterRef("backend"), started_at__date=OuterRef("started_at__date"), pk__gt=OuterRef("pk")
    )
    failed = (Pull.Outcome.TRANSIENT, Pull.Outcome.PERMANENT)
    old = Pull.objects.filter(started_at__lt=now - KEPT_FOR).annotate(later=Subquery(later.values("pk")[:1]))
    dropped, _ = Pull.objects.filter(started_at__lt=now - LAST_OF_DAY_KEPT_FOR).delete()
    passed = old.exclude(later=None)
    for rows in (
        passed.exclude(outcome__in=failed),
        passed.filter(outcome__in=failed, started_at__lt=now - FAILURES_KEPT_FOR),
    ):
        dropped += Pull.objects.filter(pk__in=list(rows.values_list("pk", flat=True))).delete()[0]
    return dropped


def _log(backend: Backend) -> None:
    # Not logger.exception, which would write the message as it is.
    logger.error("The pull of %s failed: %s", backend.slug, redacted(backend, traceback.format_exc()))

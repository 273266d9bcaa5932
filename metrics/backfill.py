"""Reading back: one step a task, the row is the cursor, the newest time first (architecture.md, 'a backfill is a row').

At most `BACKFILLS_AT_ONCE` steps are in hand at a time, and the one that waited longest is next: the hourly pulls find
a free process, and each backfill gets its turn. A step that its worker did not end is handed out again once its claim
has run out; reading the same hours twice adds nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import DatabaseError, connection, transaction
from django.db.models import F, Q

from metrics import pull, pull_log, sources
from metrics.connector import StatementConnector
from metrics.errors import ConnectorError
from metrics.http import AnswerTooLarge
from metrics.meter import AllowanceUsedUp
from metrics.models import Backend, Pull
from metrics.windows import Window

# A step that no worker ended is due again after this; tasks end within 330 seconds.
CLAIMED_FOR = timedelta(minutes=6)
LONGEST_STEP_DAYS = 31
# Handing out is done by one at a time; the key beside metrics.ledger.FEED_LOCK.
HAND_OUT_LOCK = 7302
STEPS_LOOKED_AT = 8
DAYS_A_MONTH = 30.44


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the reading back has come. `seconds_left`: None until a step has ended."""

    start: datetime
    until: datetime
    cursor: datetime
    is_stopped: bool
    problem: str
    next_at: datetime | None
    is_in_hand: bool
    seconds_left: float | None

    @property
    def days(self) -> int:
        return max((self.until - self.start).days, 1)

    @property
    def days_done(self) -> int:
        return min(max((self.until - self.cursor).days, 0), self.days)

    @property
    def months(self) -> int:
        return round(self.days / DAYS_A_MONTH)

    @property
    def months_done(self) -> int:
        return int(self.days_done / DAYS_A_MONTH)


def hand_out(now: datetime) -> list[int]:
    """Claim the steps that may begin now and return their backends' ids; whoever calls it starts their tasks."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s, 0)", [HAND_OUT_LOCK])
        in_hand = Backend.objects.filter(backfill_claimed_until__gt=now).count()
        free = settings.BACKFILLS_AT_ONCE - in_hand
        if free <= 0:
            return []
        waiting = (
            Backend.objects.filter(is_enabled=True, backfill_cursor__isnull=False, is_backfill_stopped=False)
            .exclude(connector__in=sources.NOT_PULLED)
            .exclude(is_problem_permanent=True)
            .filter(Q(backfill_next_at=None) | Q(backfill_next_at__lte=now))
            .filter(Q(backfill_claimed_until=None) | Q(backfill_claimed_until__lte=now))
            .filter(Q(resting_until=None) | Q(resting_until__lte=now))
        )
        ids = list(waiting.order_by(F("backfill_next_at").asc(nulls_first=True), "pk").values_list("pk", flat=True))
        ids = ids[:free]
        Backend.objects.filter(pk__in=ids).update(backfill_claimed_until=now + CLAIMED_FOR)
    return ids


def step(backend_id: int, *, clock: Callable[[], datetime] = sources.now) -> bool:
    """Read one step further back; return whether more is left to read now."""
    waiting = Backend.objects.filter(is_enabled=True, is_backfill_stopped=False)
    backend = waiting.filter(pk=backend_id, backfill_from__isnull=False, backfill_cursor__isnull=False).first()
    if backend is None or backend.backfill_from is None or backend.backfill_cursor is None:
        return False
    if backend.resting_until is not None and backend.resting_until > clock():
        _change(backend, backfill_next_at=backend.resting_until)
        return False
    cursor = backend.backfill_cursor
    days = step_days(backend)
    # Whole days: a day's statement is spread over all of it, and one that is cut would be taken as withdrawn.
    start = max(backend.backfill_from, cursor - timedelta(days=days)).replace(hour=0, minute=0)
    window = Window(start, cursor)
    log = pull_log.begin(backend, clock(), window, is_backfill=True)
    found, error = pull_log.guarded(backend, lambda: _read(backend, window, clock))
    if error is not None or found is None:
        _failed(backend, log, error, clock(), days)
        return False
    now = clock()
    is_done = window.start <= backend.backfill_from
    changes: dict[str, Any] = {"backfill_failures": 0, "backfill_problem": "", "backfill_next_at": now}
    if is_done:
        changes |= {"backfill_from": None, "backfill_cursor": None, "backfill_until": None, "backfill_step_days": None}
        if backend.history_from is None or backend.backfill_from < backend.history_from:
            changes["history_from"] = backend.backfill_from
    else:
        changes["backfill_cursor"] = window.start
    try:
        pull.note(log, found, now)
        # Cancelled or moved meanwhile: leave it as it is now.
        moved = Backend.objects.filter(pk=backend.pk, backfill_cursor=cursor, backfill_from=backend.backfill_from)
        return bool(moved.update(**changes)) and not is_done
    except DatabaseError:
        # What was read is counted. The same hours are read again, which adds nothing.
        connection.close()
        return False


def step_days(backend: Backend) -> int:
    """Return how many days the next step reads: as the connector says, fewer where that was too much."""
    connector = sources.connector_for(backend.connector)
    most = min(connector.backfill_step_days, LONGEST_STEP_DAYS) if issubclass(connector, StatementConnector) else 1
    return min(backend.backfill_step_days or most, most)


def progress(backend: Backend, now: datetime) -> Progress | None:
    """Return how far a backfill has come; None where there is none. One query."""
    if backend.backfill_from is None or backend.backfill_cursor is None:
        return None
    steps = [
        (start, end, covered)
        for start, end, covered in _last_steps(backend)
        if backend.backfill_since is None or start >= backend.backfill_since
    ]
    seconds = None
    if steps:
        took = (max(end for _, end, _ in steps) - min(start for start, _, _ in steps)).total_seconds()
        read = sum(covered for _, _, covered in steps)
        left = (backend.backfill_cursor - backend.backfill_from).total_seconds()
        seconds = took / read * left if read else None
    return Progress(
        start=backend.backfill_from,
        until=backend.backfill_until or backend.data_until or now,
        cursor=backend.backfill_cursor,
        is_stopped=backend.is_backfill_stopped,
        problem=backend.backfill_problem,
        next_at=max(filter(None, (backend.backfill_next_at, backend.resting_until)), default=None),
        is_in_hand=backend.backfill_claimed_until is not None and backend.backfill_claimed_until > now,
        seconds_left=seconds,
    )


def _last_steps(backend: Backend) -> list[tuple[datetime, datetime, float]]:
    """(began, ended, seconds of time that it read) of the last steps that went well."""
    rows = backend.pulls.filter(
        is_backfill=True, ended_at__isnull=False, outcome__in=(Pull.Outcome.OK, Pull.Outcome.NOTHING_NEW)
    )
    return [
        (row.started_at, row.ended_at, (row.window_end - row.window_start).total_seconds())
        for row in rows[:STEPS_LOOKED_AT]
        if row.ended_at and row.window_start and row.window_end
    ]


def _read(backend: Backend, window: Window, clock: Callable[[], datetime]) -> pull.Found:
    with sources.connector_of(backend, is_backfill=True) as connector:
        if not isinstance(connector, StatementConnector):
            raise ConnectorError("Counters know only the present: there is nothing to read back.", permanent=True)
        # A step comes once: what is read again, because a link or a bill has changed, may have been stated today.
        return pull.fetch_and_post(backend, connector, window, clock, asks_costs=True)


def _failed(backend: Backend, log: Pull, error: ConnectorError | None, now: datetime, days: int) -> None:
    """A step that failed never holds the hourly pull back, unless the source asked to be left alone."""
    error = error or ConnectorError("Nothing came of it.", permanent=False)
    problem = pull_log.redacted(backend, str(error))
    if isinstance(error, AnswerTooLarge | pull_log.TooSlow) and days > 1:
        less = max(days // 2, 1)
        error = ConnectorError(f"{error.message} It goes on with {less} days at a time.", permanent=False)
        pull_log.fail(backend, log, error, now, backfill_step_days=less, backfill_next_at=now, backfill_problem="")
        return
    failures = backend.backfill_failures + 1
    changes: dict[str, Any] = {"backfill_failures": failures, "backfill_problem": problem}
    if error.permanent:
        changes["is_backfill_stopped"] = True
    else:
        changes["backfill_next_at"] = now + pull_log.retry_in(failures, error.retry_after_seconds)
    is_ours = isinstance(error, AllowanceUsedUp)
    pull_log.fail(backend, log, error, now, may_rest=not is_ours, **changes)


def _change(backend: Backend, **changes: Any) -> None:
    Backend.objects.filter(pk=backend.pk).update(**changes)


def release(backend_id: int) -> None:
    """Give the claim back, so that another step may begin."""
    Backend.objects.filter(pk=backend_id).update(backfill_claimed_until=None)

"""What is merged or dropped with age, in steps that may be killed: each is one transaction, with its cursor.

Runs beside pushes: a step takes a second or so, and locks only rows that no push touches.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from metrics import stream_state
from metrics.compaction import Step, merge_step, thin_step
from metrics.deadlocks import done_again
from metrics.models import PushProblem, RetentionJob, SeriesAllowance, StatedPercentile

logger = logging.getLogger(__name__)

# Well under the five minutes that a task has.
SECONDS = 200.0
ROWS_AT_ONCE = 20_000
ALLOWANCES_KEPT_FOR = timedelta(days=2)
PROBLEMS_KEPT_FOR = timedelta(days=35)

Stepping = Callable[[dict[str, Any], datetime], Step]


@dataclass(frozen=True, slots=True)
class Done:
    """What a run did of one job: rows taken away, steps, seconds, and whether nothing is left."""

    name: str
    removed: int
    steps: int
    seconds: float
    is_done: bool
    problem: str = ""


def run(now: datetime, *, names: Iterable[str] = (), seconds: float = SECONDS) -> list[Done]:
    """Take steps of each job until all is done or the time is up; `names` of JOBS, all unless given."""
    until = time.monotonic() + seconds
    found = []
    for name in tuple(names) or tuple(JOBS):
        found.append(_run(name, now, until))
        if time.monotonic() >= until:
            break
    return found


def _run(name: str, now: datetime, until: float) -> Done:
    began, removed, steps, is_done, problem = time.monotonic(), 0, 0, False, ""
    RetentionJob.objects.get_or_create(name=name)
    RetentionJob.objects.filter(name=name).update(started_at=timezone.now(), last_removed=0)
    try:
        while not is_done and (steps == 0 or time.monotonic() < until):
            step = done_again(lambda: _step(name, now))
            if step is None:
                break
            removed, steps, is_done = removed + step.removed, steps + 1, step.is_done
    except Exception as error:
        # The other jobs go on; this one begins where its last step ended.
        logger.exception("Retention: %s failed", name)
        problem = f"{type(error).__name__}; the worker's log says more."
        RetentionJob.objects.filter(name=name).update(problem=problem)
    took = time.monotonic() - began
    if removed or problem:
        logger.info("Retention: %s took away %s rows in %s steps, %.1f s", name, f"{removed:,}", steps, took)
    return Done(name, removed, steps, took, is_done, problem)


@transaction.atomic
def _step(name: str, now: datetime) -> Step | None:
    """One step and its cursor; None where another process is at it."""
    job = RetentionJob.objects.select_for_update(skip_locked=True).filter(name=name).first()
    if job is None:
        return None
    step = JOBS[name](job.cursor, now)
    job.cursor, job.problem = step.cursor, ""
    job.last_removed += step.removed
    job.removed += step.removed
    if step.is_done:
        job.done_at = timezone.now()
    job.save()
    return step


def _deleting(rows: Callable[[datetime], Any]) -> Stepping:
    """A job that deletes rows that are due, some at a time; it needs no cursor."""

    def step(_cursor: dict[str, Any], now: datetime) -> Step:
        ids = list(rows(now).order_by("pk").values_list("pk", flat=True)[:ROWS_AT_ONCE])
        model = rows(now).model
        removed, _ = model.objects.filter(pk__in=ids).delete()
        return Step({}, removed, is_done=len(ids) < ROWS_AT_ONCE)

    return step


def oldest_kept(now: datetime) -> datetime:
    """The start of the UTC month before which hours are not kept."""
    months = now.year * 12 + now.month - 1 - settings.USAGE_RETENTION_MONTHS
    return datetime(months // 12, months % 12 + 1, 1, tzinfo=UTC)


# In this order; a name is what Operations and `manage.py retain` call it.
JOBS: dict[str, Stepping] = {
    "series_allowances": _deleting(
        lambda now: SeriesAllowance.objects.filter(day__lt=(now - ALLOWANCES_KEPT_FOR).astimezone(UTC).date())
    ),
    "push_problems": _deleting(lambda now: PushProblem.objects.filter(at__lt=now - PROBLEMS_KEPT_FOR)),
    # Of a pulled counter the last sample is kept: its source may be away for longer, and counts on meanwhile.
    "pushed_streams": lambda _cursor, now: Step({}, stream_state.drop_expired(now), is_done=True),
    "stated_percentiles": _deleting(lambda now: StatedPercentile.objects.filter(end__lt=oldest_kept(now))),
    "ledger_entries": merge_step,
    "receipts": thin_step,
}


def standing() -> list[RetentionJob]:
    """Every job, with what it did last; one that never ran as well."""
    rows = {row.name: row for row in RetentionJob.objects.all()}
    return [rows.get(name, RetentionJob(name=name)) for name in JOBS]

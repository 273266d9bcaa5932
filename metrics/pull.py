"""One pull of one backend: read outside the transaction, post the difference in one, write down what was found.

Two pulls of the same backend may race: every posting takes the feed's lock first, and a counter's last point moves in
the transaction that posts what it counted, so that whatever is read twice counts once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db import DatabaseError, transaction

from metrics import counting, ledger, pull_log, sources
from metrics.answers import refuse_impossible
from metrics.connector import (
    Connector,
    CostStatement,
    CounterConnector,
    NotStated,
    PercentileStatement,
    StatementConnector,
)
from metrics.counter_state import keep_points, last_points
from metrics.counters import counter_differences, usage_cells
from metrics.errors import ConnectorError
from metrics.estimating import Told, estimates_of, restated_estimates
from metrics.identity import SeriesIdentity, series_ids, unknown
from metrics.ledger import PostedCell
from metrics.models import Backend, Pull, Receipt, Series, UsageHour
from metrics.percentiles import post_stated
from metrics.settling import costs_are_due, post_statements
from metrics.usage import FeedKind, MeasuredAt, UsageCell
from metrics.windows import HOUR, Window

# The first pull of a counter finds nothing to subtract from; the next one follows soon, so that figures appear.
SECOND_READING_SECONDS = 20
# The longest trailing window, from the midnight before it begins.
LONGEST_WINDOW = timedelta(days=32)
# A permanent failure waits for a person, and is looked at once a day in case the other side has changed.
PERMANENT_RETRY = timedelta(days=1)
# Of what a source calls its projects, so many are kept, and so much of each name.
MOST_NAMES, LONGEST_NAME = 2_000, 100
# A clock that differs by less is not worth a word.
CLOCKS_AGREE = timedelta(minutes=2)


@dataclass(slots=True)
class Found:
    """What a pull brought. `again_in_seconds`: when to pull next, where that is sooner than the schedule."""

    data_until: datetime
    window: Window | None = None
    receipt: Receipt | None = None
    cells: int = 0
    lines: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    again_in_seconds: int | None = None
    is_wide: bool = False
    label_names: dict[str, dict[str, str]] = field(default_factory=dict)


def pull(backend_id: int, *, clock: Callable[[], datetime] = sources.now) -> Found | None:
    """Pull the backend once and write the pull log; None where it failed, rests, or is not pulled."""
    backend = Backend.objects.filter(pk=backend_id, is_enabled=True).exclude(connector__in=sources.NOT_PULLED).first()
    if backend is None:
        return None
    now = clock()
    if backend.resting_until is not None and backend.resting_until > now:
        Backend.objects.filter(pk=backend.pk, next_pull_at__lt=backend.resting_until).update(
            next_pull_at=backend.resting_until
        )
        return None
    log = pull_log.begin(backend, now)
    found, error = pull_log.guarded(backend, lambda: _read(backend, clock))
    now = clock()
    if error is None and found is not None:
        try:
            _succeeded(backend, log, found, now)
        except DatabaseError as failure:
            # What was read is counted; only the note of it is missing, and reading it again adds nothing.
            error = ConnectorError(f"{pull_log.NO_NOTE} ({type(failure).__name__})", permanent=False)
    if error is not None:
        failures = backend.failures_in_a_row + 1
        wait = PERMANENT_RETRY if error.permanent else pull_log.retry_in(failures, error.retry_after_seconds)
        pull_log.fail(
            backend,
            log,
            error,
            now,
            failures_in_a_row=failures,
            problem=pull_log.redacted(backend, str(error)),
            is_problem_permanent=error.permanent,
            next_pull_at=now + wait,
        )
        return None
    return found


def next_window(backend: Backend, connector: StatementConnector, now: datetime) -> tuple[Window, bool]:
    """The trailing hours before what was read last, up to the last complete hour, resumed where a pull was missed.

    The second value says whether it is the day's first, for which a longer trailing window may hold.
    """
    end = now.replace(minute=0, second=0, microsecond=0)
    until = min(backend.data_until or end, end)
    trailing = connector.trailing_hours if backend.trailing_hours is None else backend.trailing_hours
    daily = connector.daily_trailing_hours if backend.daily_trailing_hours is None else backend.daily_trailing_hours
    is_wide = daily > trailing and (backend.wide_pull_at is None or backend.wide_pull_at.date() < now.date())
    start = until - timedelta(hours=max(daily if is_wide else trailing, 1))
    if connector.finest_grain == "day" or "billed_cost" in connector.reports:
        # A day's statement is spread over all of the day.
        start = start.replace(hour=0)
    start = start.replace(minute=0, second=0, microsecond=0)
    return Window(start, min(end, start + LONGEST_WINDOW)), is_wide


# --- Reading


def _read(backend: Backend, clock: Callable[[], datetime]) -> Found:
    with sources.connector_of(backend) as connector:
        if isinstance(connector, CounterConnector):
            return _read_counters(backend, connector)
        if not isinstance(connector, StatementConnector):
            raise ConnectorError(f"{connector.title} cannot be pulled.", permanent=True)
        window, is_wide = next_window(backend, connector, clock())
        found = fetch_and_post(backend, connector, window, clock)
        found.is_wide = is_wide
        # Names change seldom: the day's first pull asks for them.
        if not backend.label_names or (backend.data_until or window.end).date() < window.end.date():
            found.label_names = _label_names(connector)
        if window.end < clock().replace(minute=0, second=0, microsecond=0):
            found.again_in_seconds = 0
        return found


def fetch_and_post(
    backend: Backend,
    connector: StatementConnector,
    window: Window,
    clock: Callable[[], datetime],
    *,
    asks_costs: bool = False,
) -> Found:
    """Read a window to its end, then post what differs, in one transaction. Raises ConnectorError.

    `asks_costs`: also where they were asked for today.
    """
    as_of = clock()
    if connector.asks_costs_once_a_day and not asks_costs:
        connector.costs_are_due = costs_are_due(
            backend, window, as_of=as_of, settling_hours=settling_hours(backend, connector)
        )
    cells: list[UsageCell] = []
    statements: list[CostStatement] = []
    percentiles: list[PercentileStatement] = []
    not_stated: list[Window] = []
    dropped: list[Window] = []
    data_until = window.end
    for item in connector.fetch(window):
        if isinstance(item, CostStatement):
            statements.append(item)
        elif isinstance(item, PercentileStatement):
            percentiles.append(item)
        elif isinstance(item, NotStated):
            not_stated.append(Window(item.start, item.end))
            if item.is_to_come:
                data_until = max(min(data_until, item.start), window.start)
            else:
                dropped.append(not_stated[-1])
        else:
            cells.append(item)
    found = Found(data_until=data_until, window=window, cells=len(cells) + len(statements) + len(percentiles))
    receipt = Receipt(
        kind=FeedKind.USAGE,
        backend=backend,
        as_of=as_of,
        window_start=window.start,
        window_end=window.end,
        accepted=found.cells,
        is_demo=backend.is_demo,
    )
    with transaction.atomic():
        posted, is_new = _posted(backend, cells)
        usage_feed, estimate_feed = ledger.feed(FeedKind.USAGE, backend), ledger.feed(FeedKind.ESTIMATE, backend)
        told = Told()
        estimates = restated_estimates(
            backend,
            posted,
            window,
            usage_feed=usage_feed,
            estimate_feed=estimate_feed,
            series=_series_of(posted),
            told=told,
        )
        receipt.note = told.note
        found.lines += told.lines
        said: dict[str, Any] = {"receipt": receipt, "window": window, "as_of": as_of, "not_stated": not_stated}
        changed = ledger.post_statement(feed=usage_feed, cells=posted, **said)
        changed = ledger.post_statement(feed=estimate_feed, cells=estimates, **said) or changed
        stated, has_new_series = post_stated(backend, percentiles, **said)
        changed = stated or changed
        if is_new or has_new_series:
            counting.recount([backend.pk])
        if "billed_cost" in connector.reports and connector.costs_are_due:
            settled, lines = post_statements(
                backend,
                statements,
                window,
                receipt=receipt,
                as_of=as_of,
                settling_hours=settling_hours(backend, connector),
                not_stated=not_stated,
            )
            changed = settled or changed
            found.lines += lines
    found.receipt = changed
    found.lines.insert(0, _what_was_read(cells, statements, percentiles, is_changed=changed is not None))
    if dropped:
        hours = sum(1 for part in dropped for _ in part.hours())
        found.lines.append(f"It keeps nothing of {hours} of these hours any more; what was read of them before stays.")
    found.lines += _clocks(connector)
    return found


def _read_counters(backend: Backend, connector: CounterConnector) -> Found:
    sample = connector.sample()
    found = Found(data_until=sample.at, problems=list(sample.problems))
    with transaction.atomic():
        feed = ledger.feed(FeedKind.USAGE, backend)
        ledger.lock_feed(feed)
        before = last_points(backend)
        differences = list(counter_differences(before, sample))
        keep_points(backend, sample.points, before)
        cells = [cell for cell in usage_cells(differences) if cell.sums or cell.histograms]
        if cells:
            start, end = min(d.start for d in differences), max(d.end for d in differences)
            receipt = Receipt(
                kind=FeedKind.USAGE,
                backend=backend,
                as_of=sample.at,
                window_start=start,
                window_end=end,
                is_demo=backend.is_demo,
            )
            found.window = Window(start, end)
            posted, is_new = _posted(backend, cells)
            posted = _without_known_zeros(posted)
            found.cells = receipt.accepted = len(posted)
            if posted:
                told = Told()
                estimates = estimates_of(backend, posted, _series_of(posted), told)
                receipt.note = told.note
                found.lines += told.lines
                found.receipt = ledger.post(receipt, feed, posted)
                if estimates:
                    ledger.post(found.receipt, ledger.feed(FeedKind.ESTIMATE, backend), estimates)
            if is_new:
                counting.recount([backend.pk])
    found.lines += _clocks(connector)
    if not before:
        found.lines.append(f"First reading of {len(sample.points)} counters: counting starts here.")
        found.again_in_seconds = SECOND_READING_SECONDS if sample.points else None
    else:
        found.lines.append(_what_was_counted(cells))
        if any(difference.is_reset for difference in differences):
            found.lines.append("The server restarted in between; what it counted just before that is not known.")
    return found


def _posted(backend: Backend, cells: Iterable[UsageCell]) -> tuple[list[PostedCell], bool]:
    """The cells under their series, and whether one of these is new."""
    cells = list(cells)
    refuse_impossible(cells, backend.name)
    identities = {
        cell.key: SeriesIdentity(key=cell.key, backend_id=backend.pk, measured_at=MeasuredAt(backend.measured_at))
        for cell in cells
    }
    is_new = bool(unknown(identities.values()))
    ids = series_ids(identities.values(), is_demo=backend.is_demo)
    posted = []
    for cell in cells:
        series_id = ids[identities[cell.key]]
        foreign = {name: counts for name, counts in cell.histograms.items() if any(counts.counts)}
        posted.append(PostedCell(series_id, cell.hour, cell.sums, foreign, cell.currency))
        if cell.windows:
            # Beside the foreign ones and not in their place: a cell may have both.
            posted.append(PostedCell(series_id, cell.hour, {}, dict(cell.windows), cell.currency))
    return posted, is_new


def _series_of(cells: Iterable[PostedCell]) -> dict[int, Series]:
    return Series.objects.in_bulk({cell.series_id for cell in cells})


def _without_known_zeros(cells: list[PostedCell]) -> list[PostedCell]:
    """An idle server says zero at each pull; once an hour is known to be zero there is nothing to add."""
    idle = [cell for cell in cells if not any(cell.sums.values()) and not cell.histograms]
    if not idle:
        return cells
    known = set(
        UsageHour.objects.filter(
            series__in={cell.series_id for cell in idle}, hour__in={cell.hour for cell in idle}
        ).values_list("series_id", "hour")
    )
    return [cell for cell in cells if cell not in idle or (cell.series_id, cell.hour) not in known]


def settling_hours(backend: Backend, connector: StatementConnector) -> int:
    """Return how many hours after its end a statement of this backend is final."""
    return connector.settling_hours if backend.settling_hours is None else backend.settling_hours


def _label_names(connector: Connector) -> dict[str, dict[str, str]]:
    """What the source calls the values of labels. A key that may not read that, or a tired source, is no failure."""
    try:
        told = connector.label_names()
    except ConnectorError:
        return {}
    return {
        label: {value: name[:LONGEST_NAME] for value, name in list(names.items())[:MOST_NAMES]}
        for label, names in told.items()
    }


def _clocks(connector: Connector) -> list[str]:
    """A word about clocks that differ: hours are split by this machine's."""
    ahead = connector.http.meter.ahead_seconds
    if ahead is None or abs(ahead) < CLOCKS_AGREE.total_seconds():
        return []
    minutes, which = round(abs(ahead) / 60), "ahead of" if ahead > 0 else "behind"
    return [
        f"This machine's clock is {minutes:,} minutes {which} the source's: set it right, or hours are split wrongly."
    ]


# --- What became of it


def _succeeded(backend: Backend, log: Pull, found: Found, now: datetime) -> None:
    every = timedelta(minutes=backend.pull_every_minutes)
    wait = every if found.again_in_seconds is None else timedelta(seconds=found.again_in_seconds)
    changes: dict[str, Any] = {
        "failures_in_a_row": 0,
        "problem": " ".join(found.problems),
        "is_problem_permanent": False,
        "next_pull_at": now + wait,
    }
    if backend.data_until is None or found.data_until > backend.data_until:
        changes["data_until"] = found.data_until
    if found.is_wide:
        changes["wide_pull_at"] = now
    if found.label_names and found.label_names != backend.label_names:
        changes["label_names"] = found.label_names
    note(log, found, now)
    Backend.objects.filter(pk=backend.pk).update(**changes)


def note(log: Pull, found: Found, now: datetime) -> None:
    """Write down what was found."""
    log.outcome = Pull.Outcome.OK if found.receipt else Pull.Outcome.NOTHING_NEW
    log.ended_at, log.receipt, log.cells = now, found.receipt, found.cells
    if found.window:
        log.window_start, log.window_end = found.window.start, found.window.end
    log.message = " ".join([*found.lines, *found.problems])
    log.save()


def _what_was_read(
    cells: list[UsageCell], statements: list[CostStatement], percentiles: list[PercentileStatement], *, is_changed: bool
) -> str:
    if not cells and not statements and not percentiles:
        return "Nothing was used in this time."
    parts = []
    if cells:
        hours = len({cell.hour for cell in cells})
        parts.append(f"usage of {hours} hours")
    if statements:
        parts.append(f"{len(statements)} cost statements")
    if percentiles:
        parts.append(f"{len(percentiles)} percentiles that the source states")
    return f"Read {' and '.join(parts)}{'' if is_changed else ', all known already'}."


def _what_was_counted(cells: list[UsageCell]) -> str:
    def total(name: str) -> int | None:
        known = [int(cell.sums[name]) for cell in cells if name in cell.sums]
        return sum(known) if known else None

    requests, tokens_in, tokens_out = (total(name) for name in ("requests", "input_tokens", "output_tokens"))
    parts = []
    if requests is not None:
        parts.append(f"{requests:,} request{'' if requests == 1 else 's'}")
    if tokens_in is not None:
        parts.append(f"{tokens_in:,} input tokens")
    if tokens_out is not None:
        parts.append(f"{tokens_out:,} output tokens")
    return f"Counted since the last reading: {', '.join(parts)}." if parts else "No counter has moved on."


__all__ = ["HOUR", "Found", "fetch_and_post", "next_window", "note", "pull"]

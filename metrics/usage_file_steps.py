"""A file of usage on its way into the ledger: read in steps, then counted in steps, a receipt each.

A step is some rows and one transaction, which moves the cursor with what it wrote: a worker killed half-way loses a
step at most, and no row counts twice. Reading counts nothing: places are looked for, and made, in a savepoint that is
rolled back.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any
from zoneinfo import ZoneInfo

from django.db import DataError, IntegrityError, transaction
from django.db.models import Sum
from django.utils.translation import gettext

from accounts.access import Asker
from metrics import identity, sources, usage_file_pieces, usage_files
from metrics.actions.counts import NothingAccepted, count_batch, limits_at
from metrics.actions.usage import take_out
from metrics.deadlocks import done_again
from metrics.errors import RuleViolation
from metrics.fold import DEFAULTS, Folded, fold, place_keys
from metrics.format import FIELDS, Batch, Limits, Rejection, Unreadable, storable
from metrics.formats.usage_table import Columns
from metrics.identity import SeriesGone
from metrics.imports.csv_table import CsvTable
from metrics.models import Receipt, UsageFile
from metrics.push_places import Places, find_places, refusals
from metrics.usage_file_sums import FileSums

State, Kind = usage_file_pieces.State, usage_file_pieces.Kind
Clock = Callable[[], datetime]

# A step: a receipt, where it is counted. A task has 300 seconds.
STEP_ROWS = 20_000
STEP_SECONDS = 45.0
SAMPLE_ROWS, SAMPLE_CHARACTERS = 10, 80
MAX_LISTED = 100
# A file that nobody confirms is dropped after this.
WAITS_FOR = timedelta(days=14)


@dataclass(frozen=True, slots=True)
class _Rows:
    """Some rows of a file: `begin` is the index of the first, `lines` where each begins in the file."""

    begin: int
    lines: list[int]
    cells: list[Sequence[Any] | str]
    is_last: bool

    def line(self, index: int) -> int:
        return self.lines[index - self.begin]


def advance(file_id: int, *, seconds: float = STEP_SECONDS, clock: Clock | None = None) -> UsageFile | None:
    """Work on a file until it waits for nobody or the time is over; return it, None where there was nothing to do.

    Its state says what is next. Safe to be killed, and to be done by two at once: one of them leaves.
    """
    clock = clock or sources.now
    until = time.monotonic() + seconds
    one = UsageFile.objects.filter(pk=file_id, state__in=UsageFile.AT_WORK).first()
    if one is None:
        return None
    if one.state == State.TAKING_BACK:
        return _take_back(one, until)
    try:
        limits = limits_at(clock())
        with (
            usage_file_pieces.kept(one) as path,
            usage_files.opened(path, usage_files.limits_of_file(limits), too_large=usage_files.too_large()) as table,
        ):
            return _walk(one, table, limits, until)
    except Unreadable as problem:
        return _fail(file_id, problem.message)
    except DataError:
        return _fail(file_id, "Its sums are too large to keep.")


def columns_of(table: CsvTable, zone: str) -> Columns:
    """What the columns of the file hold. Raises Unreadable."""
    return Columns.of(
        usage_files.read_columns(table),
        is_decimal_comma=usage_files.is_decimal_comma(table),
        zone=UTC if zone == "UTC" else ZoneInfo(zone) if zone else None,
    )


def _walk(one: UsageFile, table: CsvTable, limits: Limits, until: float) -> UsageFile | None:
    columns = columns_of(table, one.zone)
    step = _check if one.state == State.READING else _post
    begin = one.rows_read if one.state == State.READING else one.rows_posted
    found: UsageFile | None = one
    for rows in _steps(table, begin):
        try:
            found = done_again(lambda rows=rows: step(one.pk, columns, rows, limits, table))  # type: ignore[misc]
        except (SeriesGone, IntegrityError):
            # A series or its backend was deleted meanwhile; the second time it is made anew.
            identity.forget()
            found = done_again(lambda rows=rows: step(one.pk, columns, rows, limits, table))  # type: ignore[misc]
        if found is None or rows.is_last or time.monotonic() > until:
            break
    return found


def _steps(table: CsvTable, begin: int) -> Iterator[_Rows]:
    rows = table.rows(usage_files.read_columns(table), skip=begin)
    while True:
        lines: list[int] = []
        cells: list[Sequence[Any] | str] = []
        for row in islice(rows, STEP_ROWS):
            lines.append(table.line)
            cells.append(usage_files.cells_of(row))
        yield _Rows(begin, lines, cells, is_last=len(cells) < STEP_ROWS)
        if len(cells) < STEP_ROWS:
            return
        begin += len(cells)


def _held(file_id: int, state: str) -> UsageFile | None:
    """The row, unless somebody else is at it."""
    return (
        UsageFile.objects.select_for_update(skip_locked=True, of=("self",))
        .select_related("workload", "user")
        .filter(pk=file_id, state=state)
        .first()
    )


def _batch(one: UsageFile, columns: Columns, rows: _Rows, limits: Limits) -> Batch:
    """The rows as records, with the roadmap and backend that were chosen for those that name none."""
    batch = columns.batch(rows.cells, replace(limits, max_records=STEP_ROWS), first=rows.begin)
    for name, chosen in (("roadmap", one.workload.slug if one.workload else ""), ("backend", one.backend)):
        if chosen and batch.records:
            for record in batch.records:
                if getattr(record, name) is None:
                    setattr(record, name, chosen)
            batch.fields |= {name}
    return batch


# --- Reading


@transaction.atomic
def _check(file_id: int, columns: Columns, rows: _Rows, limits: Limits, table: CsvTable) -> UsageFile | None:
    one = _held(file_id, State.READING)
    if one is None or one.rows_read != rows.begin:
        return None
    batch = _batch(one, columns, rows, limits)
    places, folded = _tried(one, batch)
    sums = FileSums.of(one.sums)
    roadmaps = {pk: workload.name for pk, workload in places.workloads.items()}
    sums.add(batch, folded, roadmaps, {pk: backend.name for pk, backend in places.backends.items()})
    one.sums = sums.as_json()
    one.accepted += len(batch.records)
    if rows.begin == 0:
        one.sample = _sample(batch, rows, places)
    _note(one, batch, rows)
    one.rows_read += len(rows.cells)
    one.read_share = 1.0 if rows.is_last else table.read_share
    if rows.is_last:
        _end_reading(one)
    one.save()
    return one


def _tried(one: UsageFile, batch: Batch) -> tuple[Places, Folded]:
    """Where the records would go and what they would fold to. Nothing that is made for it stays."""
    if one.user is None:
        raise Unreadable(400, "sender_gone", "Who sent this file is no longer here. Send it again.")
    with transaction.atomic():
        places = find_places(Asker(user=one.user), place_keys(batch))
        if places.refused:
            batch.reject(refusals(batch, places))
        folded = fold(batch, places.found)
        transaction.set_rollback(True)
    return places, folded


def _sample(batch: Batch, rows: _Rows, places: Places) -> list[dict[str, Any]]:
    """The first rows, with what each will count as."""
    rejected = {one.index: one for one in batch.rejections}
    records = dict(zip(batch.indexes, batch.records, strict=True))
    found = []
    for index, cells in enumerate(rows.cells[:SAMPLE_ROWS]):
        told = [storable(cell or "")[:SAMPLE_CHARACTERS] for cell in cells] if not isinstance(cells, str) else []
        row: dict[str, Any] = {"line": rows.line(index), "cells": told, "counts": None, "detail": ""}
        if index in records:
            one = records[index]
            place = places.found[one.roadmap, one.provider or DEFAULTS["provider"], one.backend]
            workload = places.workloads.get(place.workload_id or 0)
            row["counts"] = {
                "roadmap": workload.name if workload else "",
                "backend": places.backends[place.backend_id].name,
                "hour": one.timestamp.astimezone(UTC).replace(minute=0, second=0, microsecond=0).isoformat(),
                "requests": one.requests or 1,
            }
        elif index in rejected:
            row["detail"] = rejected[index].detail
        found.append(row)
    return found


def _note(one: UsageFile, batch: Batch, rows: _Rows) -> None:
    """Keep what was rejected of these rows, and what was warned of."""
    told = [_told(one, rejection, rows) for rejection in sorted(batch.rejections)]
    if told:
        kept = [[row["line"], row["column"], row["detail"], cells] for row, cells in told]
        usage_file_pieces.keep_rejected(one, rows.begin, kept)
        one.rejected_count += len(told)
        one.rejected = [*one.rejected, *(row for row, _ in told)][:MAX_LISTED]
    for (_, detail), count in batch.warnings.items():
        if detail in one.warnings or len(one.warnings) < MAX_LISTED:
            one.warnings[detail] = one.warnings.get(detail, 0) + count


def _told(one: UsageFile, rejection: Rejection, rows: _Rows) -> tuple[dict[str, Any], list[Any] | None]:
    """Line, column and reason of a rejected row, and its cells."""
    cells = rows.cells[rejection.index - rows.begin]
    name = rejection.detail.partition(":")[0]
    # As its header calls it; a sentence that is about no field begins with a word that is none.
    column = next((said for said, field in one.columns if field == name), name if name in FIELDS else "")
    row = {"line": rows.line(rejection.index), "column": column, "code": rejection.code, "detail": rejection.detail}
    return row, None if isinstance(cells, str) else list(cells)


def _end_reading(one: UsageFile) -> None:
    if not one.rows_read:
        raise Unreadable(400, "empty", "There is no row below the header. Add one, and choose the file again.")
    if one.accepted:
        one.state = State.READY
        return
    one.state = State.FAILED
    one.problem = f"None of its {one.rows_read:,} rows can count. Put right what is listed and choose it again."
    usage_file_pieces.drop(one, Kind.FILE)


@transaction.atomic
def _fail(file_id: int, message: str) -> UsageFile | None:
    """The file cannot be read, or counted further. What counts by then stays, and can be taken back."""
    one = UsageFile.objects.select_for_update().filter(pk=file_id, state__in=UsageFile.AT_WORK).first()
    if one is None:
        return None
    one.problem = message
    one.state = State.DONE if one.receipts else State.FAILED
    if one.receipts:
        one.problem = f"It was counted as far as row {one.rows_posted:,}. {message}"
    one.save()
    usage_file_pieces.drop(one, Kind.FILE)
    return one


# --- Counting


@transaction.atomic
def _post(file_id: int, columns: Columns, rows: _Rows, limits: Limits, table: CsvTable) -> UsageFile | None:
    one = _held(file_id, State.POSTING)
    if one is None or one.rows_posted != rows.begin:
        return None
    if one.user is None:
        raise Unreadable(400, "sender_gone", "Who sent this file is no longer here.")
    batch = _batch(one, columns, rows, limits)
    receipt = _counted(one, batch, limits)
    if receipt is not None:
        one.receipts.append(receipt.pk)
        one.accepted += receipt.accepted
        one.duplicates += receipt.duplicates
        one.not_priced += receipt.not_priced
    _note(one, batch, rows)
    one.rows_posted += len(rows.cells)
    one.read_share = 1.0 if rows.is_last else table.read_share
    if rows.is_last:
        one.state = State.DONE if one.receipts else State.FAILED
        one.problem = "" if one.receipts else "None of its rows counted: see the list."
        usage_file_pieces.drop(one, Kind.FILE)
    one.save()
    return one


def _counted(one: UsageFile, batch: Batch, limits: Limits) -> Receipt | None:
    """The receipt of a step; there is none of nothing."""
    if one.user is None or not batch.records:
        return None
    try:
        with transaction.atomic():
            return count_batch(Asker(user=one.user), None, batch, limits.now, made=_made(one, limits.now))
    except NothingAccepted:
        return None


def _made(one: UsageFile, now: datetime) -> Callable[[int], int]:
    """How many series the person's files made today, as `metrics.new_series` asks."""

    def made(more: int) -> int:
        one.series_made += more
        midnight = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        others = UsageFile.objects.filter(user=one.user, touched_at__gte=midnight).exclude(pk=one.pk)
        return one.series_made + int(others.aggregate(made=Sum("series_made"))["made"] or 0)

    return made


# --- Taking back


def _take_back(one: UsageFile, until: float) -> UsageFile | None:
    for receipt_id in one.receipts:
        try:
            if not done_again(lambda pk=receipt_id: _take_one(one.pk, pk)):  # type: ignore[misc]
                return None
        except RuleViolation as problem:
            UsageFile.objects.filter(pk=one.pk, state=State.TAKING_BACK).update(
                state=State.DONE, problem=problem.message, touched_at=sources.now()
            )
            break
        if time.monotonic() > until:
            break
    return UsageFile.objects.filter(pk=one.pk).first()


@transaction.atomic
def _take_one(file_id: int, receipt_id: int) -> bool:
    """Take one of its receipts back, unless that was done. False where somebody else is at the file."""
    one = UsageFile.objects.select_for_update(skip_locked=True, of=("self",)).select_related("taken_back_by")
    held = one.filter(pk=file_id, state=State.TAKING_BACK).first()
    if held is None:
        return False
    receipt = Receipt.objects.select_related("workload").filter(pk=receipt_id, is_void=False).first()
    if receipt is None:
        return True
    if held.taken_back_by is None:
        raise RuleViolation("taker_gone", gettext("Who takes this file back is no longer here. Take it back again."))
    take_out(Asker(user=held.taken_back_by), receipt)
    return True


def discard_forgotten(now: datetime) -> None:
    """Discard files that waited for a person for a fortnight, and forget rejected rows of old ones."""
    for pk in UsageFile.objects.filter(state=State.READY, touched_at__lt=now - WAITS_FOR).values_list("pk", flat=True):
        with transaction.atomic():
            one = UsageFile.objects.select_for_update(skip_locked=True).filter(pk=pk, state=State.READY).first()
            if one is None:
                continue
            one.state, one.problem = State.DISCARDED, "Nobody confirmed it within two weeks."
            one.save(update_fields=["state", "problem", "touched_at"])
            usage_file_pieces.drop(one, Kind.FILE, Kind.REJECTED)
    usage_file_pieces.drop_old(now)

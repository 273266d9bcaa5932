"""A billing file on its way into the ledger: read in steps, then counted in one posting that may be done again.

The file is read in steps of a bounded number of rows, each in a transaction that moves the cursor with what it wrote:
a worker killed half-way loses a step at most. Counting compares all charges that stand for the days concerned with
what the source's feed holds, and posts the difference (architecture.md, 'Every entry has a feed').
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import F, Max, Min, Q, Sum

from metrics import billed_elsewhere, counting, ledger, sources, uploads
from metrics.bill_cells import BillCells
from metrics.charge_rows import ChargeFold
from metrics.deadlocks import done_again
from metrics.focus import AI_CATEGORY
from metrics.importer import BrokenRow, Charge, Layout, Limits, Row, RowRejected, Table, Unreadable
from metrics.imports import open_table
from metrics.imports.focus_layout import FocusLayout
from metrics.imports.mapped_layout import ColumnMapping, MappedLayout
from metrics.labels import kept_tags
from metrics.models import Backend, BillingImport, BillingSource, ImportedCharge, ImportPeriod, Receipt
from metrics.usage import FeedKind
from metrics.windows import HOUR, Window, hour_of

State = BillingImport.State
Clock = Callable[[], datetime]

# A step ends after so many rows or seconds: a task has 300.
STEP_ROWS = 200_000
STEP_SECONDS = 45.0
MAX_LISTED = 100
# Said before the file is read: every service counts.
ALL = ["*"]
# Spreadsheets count the header as row 1.
FIRST_ROW = 2
# An upload that nobody confirms is dropped after this.
WAITS_FOR = timedelta(days=14)
# Bound on how many times the window grows to hold charges that reach over its edge; then it holds all.
_WIDENED = 12


def limits_at(now: datetime) -> Limits:
    """What a file may hold now."""
    months = now.year * 12 + now.month - 1 - settings.USAGE_RETENTION_MONTHS
    return Limits(
        oldest=datetime(months // 12, months % 12 + 1, 1, tzinfo=now.tzinfo),
        newest=now,
        unpacked_bytes=settings.IMPORT_MAX_UNPACKED_BYTES,
        rows=settings.IMPORT_MAX_ROWS,
    )


def layout_of(one: BillingImport, table: Table, limits: Limits) -> Layout | None:
    """What the file's columns mean; None where a person has to say it first. Raises Unreadable, RuleViolation."""
    if one.mapping:
        return MappedLayout.of(ColumnMapping.of(one.mapping, table.columns), limits, kept_tags)
    return FocusLayout.of(list(table.columns), limits, kept_tags)


# --- Reading


def read_step(import_id: int, *, clock: Clock | None = None) -> BillingImport | None:
    """Read some rows; return the import, None where there was nothing to do. Its state says what is next."""
    try:
        return done_again(lambda: _read_step(import_id, clock or sources.now))
    except Unreadable as problem:
        fail(import_id, problem.message)
        return BillingImport.objects.filter(pk=import_id).first()


def fail(import_id: int, message: str) -> None:
    """The file cannot be read: nothing of it is kept but why."""
    with transaction.atomic():
        one = BillingImport.objects.select_for_update().filter(pk=import_id, state=State.READING).first()
        if one is None:
            return
        one.state, one.problem = State.FAILED, message
        one.save(update_fields=["state", "problem", "touched_at"])
        forget(one)


def forget(one: BillingImport) -> None:
    """Drop the upload and the charges of an import that does not count."""
    uploads.drop(one)
    ImportedCharge.objects.filter(period__billing_import=one).delete()
    ImportPeriod.objects.filter(billing_import=one).delete()


@transaction.atomic
def _read_step(import_id: int, clock: Clock) -> BillingImport | None:
    # A second worker with the same task finds the row held, and leaves.
    one = (
        BillingImport.objects.select_for_update(skip_locked=True, of=("self",))
        .select_related("source")
        .filter(pk=import_id, state=State.READING)
        .first()
    )
    if one is None:
        return None
    with uploads.file_of(one) as path:
        limits = limits_at(clock())
        table = open_table(path, limits)
        try:
            layout = layout_of(one, table, limits)
            if layout is None:
                raise Unreadable("no_mapping", "Say which columns hold what first.")
            is_at_end = _read_rows(one, table, layout)
        finally:
            table.close()
    if is_at_end:
        _end_reading(one)
    one.save()
    return one


def _read_rows(one: BillingImport, table: Table, layout: Layout) -> bool:
    """Read a step's rows into charges; whether the file is at its end."""
    fold = ChargeFold(one)
    until = time.monotonic() + STEP_SECONDS
    begun = number = one.rows_read
    accepted, rejected = 0, 0
    at_end = True
    for row in table.rows(layout.names, skip=begun):
        if number - begun >= STEP_ROWS or (not number % 1_000 and number > begun and time.monotonic() > until):
            at_end = False
            break
        number += 1
        try:
            fold.add(_charge_of(row, layout))
            accepted += 1
        except RowRejected as problem:
            rejected += 1
            if len(one.rejected) < MAX_LISTED:
                one.rejected.append(
                    {"index": number - 1 + FIRST_ROW, "code": problem.code, "detail": problem.detail[:300]}
                )
    fold.write()
    one.rows_read = number
    one.rows_accepted += accepted
    one.rows_rejected += rejected
    one.rows_repeated += table.repeated
    one.read_share = 1.0 if at_end else table.read_share
    one.notes = dict(Counter(one.notes) + layout.notes)
    return at_end


def _charge_of(row: Row | BrokenRow, layout: Layout) -> Charge:
    if isinstance(row, BrokenRow):
        raise RowRejected("broken_row", row.detail)
    return layout.charge(row)


def _end_reading(one: BillingImport) -> None:
    if not one.rows_read:
        raise Unreadable("no_rows", "The file has a header and no rows. Export a period in which something was used.")
    if not one.rows_accepted:
        first = one.rejected[0]
        raise Unreadable(
            "all_rejected",
            f"None of its {one.rows_read:,} rows can count. Row {first['index']:,}: {first['detail']}",
        )
    # A correction speaks of a period that an earlier file states, so it covers nothing by itself.
    until = ImportedCharge.objects.filter(
        period__billing_import=one, is_correction=False, start__lt=F("period__end"), start__gte=F("period__start")
    )
    ends = {row["period"]: row["last"] for row in until.values("period").annotate(last=Max("end"))}
    periods = list(ImportPeriod.objects.filter(billing_import=one))
    for period in periods:
        period.charged_until = ends.get(period.pk)
    ImportPeriod.objects.bulk_update(periods, ["charged_until"], batch_size=1000)
    one.services = default_services(one)
    one.state = State.POSTING if one.is_confirmed else State.READY
    uploads.drop(one)


def default_services(one: BillingImport) -> list[str] | None:
    """The services that count unless somebody says otherwise: as last time, new ones where they are AI; None: all."""
    if one.services is not None:
        return None if one.services == ALL else one.services
    seen = set(
        ImportedCharge.objects.filter(period__billing_import=one)
        .values_list("service", "service_category")
        .distinct()
        .order_by()
    )
    told = one.source.services or {}
    chosen, refused = set(told.get("chosen", ())), set(told.get("refused", ()))
    ai = {service for service, category in seen if category == AI_CATEGORY}
    everything = {service for service, _ in seen}
    if not chosen and not refused and not ai:
        return None
    found = {service for service in everything if service in chosen or (service in ai and service not in refused)}
    if not found or found == everything:
        return None
    return sorted(found)


def discard_forgotten(now: datetime) -> None:
    """Discard uploads that waited for a person for a fortnight; one that somebody is at is left to them."""
    waiting = BillingImport.objects.filter(state__in=[State.MAPPING, State.READY], touched_at__lt=now - WAITS_FOR)
    for pk in waiting.values_list("pk", flat=True):
        with transaction.atomic():
            one = waiting.select_for_update(skip_locked=True).filter(pk=pk).first()
            if one is None:
                continue
            one.state, one.problem = State.DISCARDED, "Nobody confirmed it within two weeks."
            one.save(update_fields=["state", "problem", "touched_at"])
            forget(one)


# --- Counting


def post_step(import_id: int, *, clock: Clock | None = None) -> BillingImport | None:
    """Count an import that was read and confirmed; return it, None where there was nothing to do."""
    return done_again(lambda: _post(import_id, clock or sources.now))


@transaction.atomic
def _post(import_id: int, clock: Clock) -> BillingImport | None:
    one = (
        BillingImport.objects.select_for_update(skip_locked=True, of=("self",))
        .select_related("source__backend", "user", "token")
        .filter(pk=import_id, state=State.POSTING)
        .first()
    )
    if one is None:
        return None
    source, now = one.source, clock()
    ledger.lock_feed(feed_of(source))
    one.left_out = left_out(one)
    if one.services is not None:
        charges_of(one).exclude(service__in=one.services).delete()
    one.state, one.posted_at = State.DONE, now
    one.save()
    found = _extent(one)
    receipt = Receipt.objects.create(
        kind=FeedKind.IMPORT,
        backend=source.backend,
        user=one.user,
        token=one.token,
        as_of=now,
        window_start=found.start if found else None,
        window_end=found.end if found else None,
        accepted=one.rows_accepted,
        rejected=one.rejected,
        rejected_count=one.rows_rejected,
        warnings=[{"code": "note", "detail": text, "records": count} for text, count in one.notes.items()],
        note=one.name[:300],
    )
    if found is not None:
        settle(source, found, receipt, as_of=now)
        until = min(charges_of(one).aggregate(last=Max("end"))["last"] or now, now)
        Backend.objects.filter(pk=source.backend_id).filter(Q(data_until=None) | Q(data_until__lt=until)).update(
            data_until=until, is_enabled=True
        )
    one.receipt = receipt
    one.save()
    return one


def feed_of(source: BillingSource) -> Any:
    """The feed of a source's bills."""
    return ledger.feed(FeedKind.IMPORT, source.backend)


def charges_of(one: BillingImport) -> Any:
    """The charges that a file states."""
    return ImportedCharge.objects.filter(period__billing_import=one)


def settle(source: BillingSource, window: Window, receipt: Receipt, *, as_of: datetime) -> bool:
    """Bring the feed in line with the charges that stand for these days; whether anything changed.

    Takes the feed's lock. Money goes to the usage that the bill pays for, else to series of its own.
    """
    ledger.lock_feed(feed_of(source))
    costs = {row.pk: row.billing_import.cost for row in billed_elsewhere.standing_periods(source)}
    standing = list(costs)
    window = _widened(window, standing)
    made = BillCells(source, window, as_of)
    for charge in ImportedCharge.objects.filter(
        period__in=standing, start__lt=window.end, end__gt=window.start
    ).iterator(chunk_size=5_000):
        made.add(charge, use_effective=costs[charge.period_id] == "effective")
    cells, is_new = made.cells()
    changed = ledger.post_statement(receipt=receipt, feed=feed_of(source), window=window, cells=cells, as_of=as_of)
    withdrawn = billed_elsewhere.withdraw(source, receipt, as_of=as_of)
    if is_new:
        counting.recount([source.backend_id])
    return changed is not None or withdrawn


def _extent(one: BillingImport) -> Window | None:
    """From the first to the last hour of the file's charges, and of the earlier files' that it replaces."""
    spans = [charges_of(one).aggregate(first=Min("start"), last=Max("end"))]
    if one.mode == BillingImport.Mode.REPLACE:
        mine = one.periods.aggregate(first=Min("start"), last=Max("end"))
        if mine["first"] is not None:
            earlier = ImportedCharge.objects.filter(
                period__billing_import__source=one.source,
                period__billing_import__state=State.DONE,
                period__start__gte=mine["first"],
                period__end__lte=mine["last"],
            )
            spans.append(earlier.aggregate(first=Min("start"), last=Max("end")))
    known = [span for span in spans if span["first"] is not None]
    if not known:
        return None
    return whole_hours(min(span["first"] for span in known), max(span["last"] for span in known))


def whole_hours(start: datetime, end: datetime) -> Window:
    """The hours that hold these times."""
    last = hour_of(end)
    return Window(hour_of(start), last if last == end and last > start else last + HOUR)


def _widened(window: Window, standing: list[int]) -> Window:
    """The window, wide enough to hold every charge that it touches."""
    for _ in range(_WIDENED):
        found = ImportedCharge.objects.filter(
            period__in=standing, start__lt=window.end, end__gt=window.start
        ).aggregate(first=Min("start"), last=Max("end"))
        if found["first"] is None:
            return window
        wider = whole_hours(min(found["first"], window.start), max(found["last"], window.end))
        if wider == window:
            return window
        window = wider
    found = ImportedCharge.objects.filter(period__in=standing).aggregate(first=Min("start"), last=Max("end"))
    return whole_hours(min(found["first"], window.start), max(found["last"], window.end))


# --- Afterwards


def settle_again(source: BillingSource, window: Window | None = None, *, note: str, now: datetime) -> Receipt | None:
    """Spread a source's bills again: over usage that came late, over what it pays for now, after a file was taken back.

    `window` None: all of it. Call it in a transaction. None where nothing changed.
    """
    if window is None:
        found = ImportedCharge.objects.filter(period__billing_import__source=source).aggregate(
            first=Min("start"), last=Max("end")
        )
        if found["first"] is None:
            return None
        window = whole_hours(found["first"], found["last"])
    receipt = Receipt(kind=FeedKind.STATEMENT, backend=source.backend, as_of=now, note=note[:300])
    with transaction.atomic():
        settle(source, window, receipt, as_of=now)
    return None if receipt._state.adding else receipt


def follow_links(backend_ids: Iterable[int], *, now: datetime) -> None:
    """Spread the bills again that pay for one of these or for what is linked with them: others count for it now.

    Call it in the transaction that has changed the link.
    """
    linked = counting.linked_with(backend_ids)
    paying = BillingSource.objects.filter(pays_for__in=linked).select_related("backend").distinct()
    for source in paying.order_by("pk"):
        settle_again(source, note="Spread over the usage that counts since a link was changed", now=now)


def taken_back(receipt: Receipt, *, now: datetime) -> BillingImport | None:
    """Call it in the transaction that took an import's receipt back: what it had replaced counts again."""
    one = BillingImport.objects.select_for_update().filter(receipt=receipt).select_related("source__backend").first()
    if one is None:
        return None
    window = _extent(one)
    one.state = State.TAKEN_BACK
    one.save(update_fields=["state", "touched_at"])
    if window is not None:
        settle_again(one.source, window, note=f"After {one.name} was taken back", now=now)
    return one


def spread_again(now: datetime, *, days: int = 35) -> int:
    """Spread what bills state of the last days over usage that has come since; return how many changed."""
    window = whole_hours(now - timedelta(days=days), now)
    changed = 0
    for source in BillingSource.objects.filter(pays_for__isnull=False).select_related("backend").distinct():

        def again(source: BillingSource = source) -> Receipt | None:
            with transaction.atomic():
                return settle_again(source, window, note="Spread over usage that came later", now=now)

        changed += done_again(again) is not None
    return changed


def left_out(one: BillingImport) -> list[dict[str, Any]]:
    """What the file states and does not count: tax, and services that were not chosen."""
    charges = charges_of(one)
    column = "effective" if one.cost == "effective" else "billed"
    found = []
    if one.services is not None:
        others = charges.exclude(service__in=one.services).exclude(category="Tax")
        for row in others.values("currency").annotate(amount=Sum(column), rows=Sum("rows")).order_by("currency"):
            found.append({"what": "services", **_told(row)})
    for row in (
        charges.filter(category="Tax")
        .values("currency")
        .annotate(amount=Sum(column), rows=Sum("rows"))
        .order_by("currency")
    ):
        found.append({"what": "tax", **_told(row)})
    return found


def _told(row: dict[str, Any]) -> dict[str, Any]:
    return {"currency": row["currency"], "amount": format(row["amount"].normalize(), "f"), "rows": row["rows"]}

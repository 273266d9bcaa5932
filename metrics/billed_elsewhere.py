"""Which days of a backend are paid for by a billing file, so that billed money counts once (docs/adr, 'A bill counts').

A bill is what is paid: for the days that its file covers it counts, and what the backend's own cost report says of them
is kept beside it as a cross-check.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, time
from decimal import Decimal

from django.db.models import QuerySet, Sum

from metrics import ledger
from metrics.connector import CostStatement
from metrics.models import (
    Backend,
    BillingImport,
    BillingSource,
    ImportPeriod,
    LedgerEntry,
    Receipt,
    UncountedStatement,
)
from metrics.usage import FeedKind
from metrics.windows import DAY, Window


def standing_periods(source: BillingSource) -> list[ImportPeriod]:
    """The billing periods whose charges count: of each, the newest file that replaces, and what was added to it since.

    A period that lies within one of a newer file that replaces, of the same account, is replaced with it.
    """
    rows = (
        ImportPeriod.objects.filter(billing_import__source=source, billing_import__state=BillingImport.State.DONE)
        .select_related("billing_import")
        .order_by("-billing_import__posted_at", "-billing_import_id", "start", "pk")
    )
    return standing(rows)


def standing(newest_first: Iterable[ImportPeriod]) -> list[ImportPeriod]:
    """Of the periods of imports, newest first, those that count."""
    found: list[ImportPeriod] = []
    replaced: dict[str, list[tuple[datetime, datetime, int]]] = defaultdict(list)
    for row in newest_first:
        spans = replaced[row.account]
        if any(
            start <= row.start and row.end <= end and by != row.billing_import_id for start, end, by in reversed(spans)
        ):
            continue
        found.append(row)
        if row.billing_import.mode == BillingImport.Mode.REPLACE:
            spans.append((row.start, row.end, row.billing_import_id))
    return found


def covered_windows(periods: Iterable[ImportPeriod]) -> list[Window]:
    """The UTC days that these periods state, merged: all of a period that had ended, else up to its last charge."""
    spans = []
    for row in periods:
        posted_at = row.billing_import.posted_at
        until = row.end if posted_at is None or row.end <= posted_at else row.charged_until
        if until is None:
            continue
        start, end = _midnight(row.start), _midnight(min(until, row.end))
        if end < min(until, row.end):
            end += DAY
        if end > start:
            spans.append((start, end))
    merged: list[Window] = []
    for start, end in sorted(spans):
        if merged and start <= merged[-1].end:
            merged[-1] = Window(merged[-1].start, max(merged[-1].end, end))
        else:
            merged.append(Window(start, end))
    return merged


def windows_of(backend: Backend) -> list[Window]:
    """The days of this backend that billing files pay for."""
    sources = BillingSource.objects.filter(pays_for=backend)
    found = [window for source in sources for window in covered_windows(standing_periods(source))]
    merged: list[Window] = []
    for window in sorted(found, key=lambda one: (one.start, one.end)):
        if merged and window.start <= merged[-1].end:
            merged[-1] = Window(merged[-1].start, max(merged[-1].end, window.end))
        else:
            merged.append(window)
    return merged


def apart(
    statements: Sequence[CostStatement], windows: Sequence[Window]
) -> tuple[list[CostStatement], list[CostStatement]]:
    """Those that count, and those of days that a bill pays for."""
    counting: list[CostStatement] = []
    paid: list[CostStatement] = []
    for one in statements:
        (paid if any(one.start < w.end and one.end > w.start for w in windows) else counting).append(one)
    return counting, paid


def note(backend: Backend, statements: Iterable[CostStatement]) -> None:
    """Keep what a backend's own cost report says of days that a bill pays for, as it is said now. Tax is left out."""
    sums: dict[tuple[date, str], Decimal] = defaultdict(Decimal)
    for one in statements:
        if one.charge_category != "Tax":
            sums[one.start.date(), one.currency] += one.amount
    _keep(backend, sums)


def withdraw(source: BillingSource, receipt: Receipt, *, as_of: datetime) -> bool:
    """Take the statements of the days that this bill covers out of the figures; whether there were any.

    Call it in the posting's transaction. What a backend states of them later is noted and not posted.
    """
    found = False
    for backend in source.pays_for.order_by("pk"):
        windows = windows_of(backend)
        _forget_others(backend, windows)
        for window in windows:
            feed = ledger.feed(FeedKind.STATEMENT, backend)
            ledger.lock_feed(feed)
            held = _held(feed.pk, window)
            if not held:
                continue
            _keep(backend, held)
            ledger.post_statement(receipt=receipt, feed=feed, window=window, cells=[], as_of=as_of)
            found = True
    return found


def forget_unpaid(backend: Backend) -> None:
    """Drop what stood beside bills of days that none of them covers any more."""
    _forget_others(backend, windows_of(backend))


def uncounted(backends: Iterable[Backend]) -> QuerySet[UncountedStatement]:
    """What these backends state themselves of days that a bill pays for."""
    return UncountedStatement.objects.filter(backend__in=list(backends)).order_by("day", "currency")


def _held(feed_id: int, window: Window) -> dict[tuple[date, str], Decimal]:
    rows = (
        LedgerEntry.objects.filter(
            feed=feed_id, hour__gte=window.start, hour__lt=window.end, receipt__is_void=False, billed_cost__isnull=False
        )
        .values_list("hour", "currency")
        .annotate(amount=Sum("billed_cost"))
    )
    sums: dict[tuple[date, str], Decimal] = defaultdict(Decimal)
    for hour, currency, amount in rows:
        sums[hour.date(), currency] += amount
    return {key: amount for key, amount in sums.items() if amount}


def _keep(backend: Backend, sums: dict[tuple[date, str], Decimal]) -> None:
    UncountedStatement.objects.bulk_create(
        [
            UncountedStatement(backend=backend, day=day, currency=currency, amount=amount)
            for (day, currency), amount in sorted(sums.items())
        ],
        update_conflicts=True,
        unique_fields=["backend", "day", "currency"],
        update_fields=["amount"],
    )


def _forget_others(backend: Backend, windows: Sequence[Window]) -> None:
    """Notes of days that no bill covers any more: they count again."""
    for row in UncountedStatement.objects.filter(backend=backend):
        at = datetime.combine(row.day, time(), tzinfo=UTC)
        if not any(window.start <= at < window.end for window in windows):
            row.delete()


def _midnight(moment: datetime) -> datetime:
    return moment.replace(hour=0, minute=0, second=0, microsecond=0)

"""Histograms of large pushes, folded into the hours behind them.

Adding to the histograms of a thousand hours takes longer than all else that a push writes. So a push of many cells
writes its histograms to the ledger alone, and notes the receipt; seconds later they are added here, many receipts at
once. Sums are never behind. Until then percentiles lack these receipts, and `check_ledger` and summing again leave
their histograms out.
"""

from __future__ import annotations

import time

from django.db import transaction

from metrics import hours, rows
from metrics.models import PendingHistograms, Receipt
from metrics.receipt_ids import receipt_params, receipt_ref
from metrics.together import together

# With fewer, adding them at once costs the push less than it saves.
CELLS_IN_A_PUSH = 200
RECEIPTS_AT_ONCE = 40
# What a task takes at most; the next one goes on.
LONGEST_SECONDS = 120.0


def note(receipt: Receipt) -> None:
    """Leave the histograms of this receipt to `fold`. In the transaction that posts it."""
    with together() as send:
        send(
            # The reference is a placeholder, or the sequence's last number.
            "INSERT INTO metrics_pendinghistograms (receipt_id) "  # noqa: S608
            f"VALUES ({receipt_ref(receipt)}) ON CONFLICT DO NOTHING",
            receipt_params(receipt),
        )


def forget(receipt: Receipt) -> None:
    """Fold a receipt no more that is being taken back. Waits for a fold of it that is under way."""
    PendingHistograms.objects.filter(receipt=receipt).delete()


def fold(*, seconds: float = LONGEST_SECONDS) -> int:
    """Add what pushes left behind to the hours, the oldest first; returns of how many receipts.

    Each step is a transaction that takes the notes it has done away, so that a step that is cut off is done anew and
    none is done twice, however many processes do this at once.
    """
    until, folded = time.monotonic() + seconds, 0
    while True:
        some = _fold_some()
        folded += some
        if some < RECEIPTS_AT_ONCE or time.monotonic() > until:
            return folded


@transaction.atomic
def _fold_some() -> int:
    waiting = PendingHistograms.objects.select_for_update(skip_locked=True).order_by("receipt_id")
    ids = list(waiting.values_list("receipt_id", flat=True)[:RECEIPTS_AT_ONCE])
    if not ids:
        return 0
    receipts = rows.literal(ids)
    with together() as send:
        merged = send(
            'SELECT e.series_id, e.hour, g.measure, g.bounds_id, histogram_sum(g."window")::text '
            "FROM metrics_ledgerentry e JOIN metrics_ledgerhistogram g ON g.entry_id = e.id "
            "WHERE e.receipt_id = ANY(%s::bigint[]) GROUP BY 1, 2, 3, 4",
            [receipts],
        )
    windows = {(series, hour, measure, bounds): f'"{text}"' for series, hour, measure, bounds, text in merged}
    with together() as send:
        if windows:
            # In the writers' order (metrics.hours).
            hours.mark_stale((series, hour) for series, hour, _, _ in windows)
            hours.add_histograms(windows)
        send("DELETE FROM metrics_pendinghistograms WHERE receipt_id = ANY(%s::bigint[])", [receipts])
    return len(ids)

"""Counting exported spans: as records, like any push."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime
from typing import Any

from django.conf import settings

from accounts.access import Asker
from accounts.models import Token
from metrics.actions.usage import NothingAccepted, count_batch, limits_at
from metrics.arrivals import note_arrival
from metrics.exported import Exported
from metrics.formats.otlp_traces import Reading, records_of
from metrics.otlp_messages import Signal


def count_spans(asker: Asker, token: Token, request: Any, now: datetime) -> Exported:
    """Counts the inference spans of an ExportTraceServiceRequest. Call it in a transaction. Raises Unreadable.

    Those of a token that counts metrics are acknowledged, and only noted to arrive.
    """
    reading = Reading(takes_roadmap=token.workload_id is None, kept_labels=frozenset(settings.KEPT_LABELS))
    batch = records_of(request, limits_at(now), reading)
    exported = Exported()
    if batch.records or batch.rejections:
        note_arrival(token, Signal.TRACES, now=now)
    if token.signal != Signal.TRACES:
        return exported
    if batch.records:
        # Where all are rejected, the batch says why.
        with suppress(NothingAccepted):
            exported.receipt = count_batch(asker, token, batch, now)
    exported.rejected = len({rejection.index for rejection in batch.rejections})
    for rejection in batch.rejections:
        exported.note(rejection.code, rejection.detail)
    for (code, detail), number in batch.warnings.items():
        exported.note(code, detail, number)
    return exported

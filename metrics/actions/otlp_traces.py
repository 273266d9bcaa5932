"""Counting exported spans: as records, like any push, where the token counts traces."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime
from typing import Any

from django.conf import settings

from accounts.access import Asker
from accounts.models import Token
from metrics.actions.counts import NothingAccepted, count_batch, limits_at
from metrics.actions.otlp_signals import acknowledged
from metrics.arrivals import note_arrival
from metrics.exported import Exported
from metrics.formats.otlp_traces import Reading, holds_usage, records_of


def count_spans(asker: Asker, token: Token, request: Any, now: datetime) -> Exported:
    """Counts the inference spans of an ExportTraceServiceRequest. Call it in a transaction. Raises Unreadable.

    With a token that counts metrics nothing is counted, so that an application that sends both is counted once.
    """
    if not holds_usage(request):
        return Exported()
    if token.signal != Token.Signal.TRACES:
        return acknowledged(token, Token.Signal.TRACES, now)
    note_arrival(token, Token.Signal.TRACES, now=now)
    reading = Reading(
        counts_step_tokens=token.counts_step_tokens,
        takes_roadmap=token.workload_id is None,
        kept_labels=frozenset(settings.KEPT_LABELS),
    )
    batch = records_of(request, limits_at(now), reading)
    exported = Exported()
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

"""Accepting an OTLP export: counted in one transaction, and once, however often it is sent again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from accounts.access import Asker
from accounts.models import Token
from metrics import counting, identity, ledger, stream_state
from metrics.actions.otlp_metrics import count_points
from metrics.actions.otlp_traces import count_spans
from metrics.actions.usage import note_problem
from metrics.deadlocks import done_again
from metrics.exported import Exported
from metrics.identity import SeriesGone
from metrics.otlp_messages import Signal, request_of
from metrics.push_keys import PushKey
from metrics.together import together


@dataclass(frozen=True, slots=True)
class ExportAnswer:
    """What an export is answered: how many points or spans do not count, and sentences that say why."""

    rejected: int = 0
    message: str = ""
    is_replay: bool = False


_COUNTERS: dict[Signal, Callable[[Asker, Token, Any, datetime], Exported]] = {
    Signal.METRICS: count_points,
    Signal.TRACES: count_spans,
}


def accept_export(
    asker: Asker,
    *,
    token: Token,
    signal: Signal,
    body: bytes,
    content_type: str,
    path: str,
    now: datetime | None = None,
) -> ExportAnswer:
    """Counts an export in one transaction, or answers a repeat within 24 hours as the first time.

    Raises Unreadable, and KeyViolation while the same body is being counted.
    """
    now = now or timezone.now()
    key = PushKey.of(token, path, body, None)

    def accept() -> ExportAnswer:
        with transaction.atomic():
            first, receipt_id = key.claim(now)
            if first is not None:
                return ExportAnswer(**(first.answer or {}), is_replay=True)
            counted = _COUNTERS[signal](asker, token, request_of(signal, body, content_type), now)
            _keep(counted, key, receipt_id, now)
        if counted.receipt is None and counted.rejected:
            code, detail = max(counted.problems, key=lambda problem: counted.problems[problem])
            note_problem(token, code=code, detail=detail)
        return ExportAnswer(counted.rejected, counted.message)

    try:
        return done_again(accept)
    except (SeriesGone, IntegrityError):
        # A series or its backend was deleted between finding and posting it; the second time it is made anew.
        identity.forget()
        return done_again(accept)


def _keep(counted: Exported, key: PushKey, receipt_id: int, now: datetime) -> None:
    receipt = counted.receipt
    with together():
        if receipt is not None:
            if receipt.pk is None:
                receipt.pk = receipt_id
            ledger.save(receipt)
            key.remember(receipt, 200, {"rejected": counted.rejected, "message": counted.message})
        stream_state.keep(counted.states, now)
        if receipt is not None:
            # Last: from there on others wait.
            ledger.post_push(receipt, counted.batches)
    if counted.new_at:
        counting.recount(counted.new_at)

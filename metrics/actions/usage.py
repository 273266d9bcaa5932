"""Accepting pushed usage, and taking it back: the doors through which figures come in from teams."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext

from accounts.access import Asker, can, can_change_backends, visible_workloads
from accounts.audit import record
from accounts.models import Role, Token
from metrics import counting, identity, importing, ledger, repricing, sources, unpriced, usage_file_pieces
from metrics.actions import imports
from metrics.actions.counts import Counted, answer_document, count, count_known, limits_at
from metrics.deadlocks import done_again
from metrics.errors import RuleViolation
from metrics.format import Batch, Unreadable
from metrics.formats import Decoder
from metrics.identity import SeriesGone
from metrics.models import PushProblem, Receipt
from metrics.push_keys import PushKey, release
from metrics.together import AtOnceError, at_once, together
from metrics.usage import FeedKind, MeasuredAt
from web import wording


@dataclass(frozen=True, slots=True)
class PushAnswer:
    """What a push is answered: HTTP status, the document, and whether it is the first answer once more."""

    status: int
    document: dict[str, Any]
    is_replay: bool = False


def note_problem(token: Token, *, code: str, detail: str) -> None:
    """Keeps why the token's last push counted nothing, for the Send data page. What was sent is not kept."""
    PushProblem.objects.update_or_create(
        token=token, defaults={"at": timezone.now(), "code": code[:60], "detail": detail[:500]}
    )


def accept_usage(
    asker: Asker,
    *,
    token: Token,
    body: bytes,
    decode: Decoder,
    path: str,
    idempotency_key: str | None,
    see: Callable[[str | None], str],
    measured_at: MeasuredAt | None = None,
    now: datetime | None = None,
) -> PushAnswer:
    """Counts a push in one transaction, or answers a repeat as the first time.

    `see(slug)` is the address where the figures of that roadmap (None: of none, or of several) show. `measured_at` is
    where the sender measures, if that is known better than the token says. Raises Unreadable, KeyViolation, and
    NothingAccepted where no record can count.
    """
    now = now or timezone.now()
    key = PushKey.of(token, path, body, idempotency_key)

    def accept() -> PushAnswer:
        return _accept(asker, key, body=body, decode=decode, see=see, measured_at=measured_at, now=now)

    try:
        return done_again(accept)
    except (SeriesGone, IntegrityError):
        # A series or its backend was deleted between finding and posting it; the second time it is made anew.
        identity.forget()
        return done_again(accept)


def _accept(
    asker: Asker,
    key: PushKey,
    *,
    body: bytes,
    decode: Decoder,
    see: Callable[[str | None], str],
    measured_at: MeasuredAt | None,
    now: datetime,
) -> PushAnswer:
    place = measured_at or MeasuredAt(key.token.measured_at)
    batch = _read(decode, body, now)
    if isinstance(batch, Batch):
        warnings = dict(batch.warnings)
        known = count_known(asker, key.token, batch, measured_at=place)
        if known is not None:
            with suppress(AtOnceError):
                return _post_at_once(known, key, answer_document(known.receipt, batch, see), now)
        batch.warnings = warnings
    with transaction.atomic():
        first, receipt_id = key.claim(now)
        if first is not None:
            return PushAnswer(first.status, first.answer, is_replay=True)
        if isinstance(batch, Unreadable):
            raise batch
        counted = count(asker, key.token, batch, receipt_id, now, measured_at=place)
        document = answer_document(counted.receipt, batch, see)
        with together():
            ledger.save(counted.receipt)
            # Before the hours: from there on others wait.
            key.remember(counted.receipt, 201, document)
            ledger.post_push(counted.receipt, counted.batches)
        if counted.new_at:
            counting.recount(counted.new_at)
        return PushAnswer(201, document)


def _read(decode: Decoder, body: bytes, now: datetime) -> Batch | Unreadable:
    """The records, or why there are none: that is said only where the same was not answered before."""
    try:
        return decode(body, limits_at(now))
    except Unreadable as error:
        return error


def _post_at_once(counted: Counted, key: PushKey, document: dict[str, Any], now: datetime) -> PushAnswer:
    """Post what is known as a transaction of its own. Raises AtOnceError where it is not new, or not there any more."""
    with at_once():
        key.must_be_new(now)
        read_id = ledger.save_at_once(counted.receipt)
        key.remember(counted.receipt, 201, document)
        ledger.post_push(counted.receipt, counted.batches)
    read_id()
    return PushAnswer(201, document)


# --- Receipts


def visible_receipts(asker: Asker) -> Any:
    """The pushes, imports and repricings that the asker may read: of workloads they see, and what they sent."""
    receipts = Receipt.objects.filter(kind__in=[FeedKind.PUSH, FeedKind.IMPORT, repricing.KIND, "reversal"])
    if asker.token is not None and asker.token.workload_id is not None:
        return receipts.filter(workload__in=visible_workloads(asker))
    if asker.user.reads_all:
        return receipts
    return receipts.filter(workload__in=visible_workloads(asker)) | receipts.filter(user=asker.user)


def can_reverse(asker: Asker, receipt: Receipt) -> bool:
    """Contributors of its workload; where it has none, who sent it and admins. Of a repricing only admins."""
    if receipt.kind == repricing.KIND:
        return can_change_backends(asker)
    if asker.user.is_admin and asker.token is None:
        return True
    if receipt.workload is not None:
        return can(asker, Role.CONTRIBUTOR, receipt.workload)
    return receipt.user_id == asker.user.pk or asker.user.is_admin


def reverse_receipt(asker: Asker, receipt: Receipt) -> Receipt:
    """Takes a push or an import back, once, within 35 days, and forgets its ids and key.

    Raises PermissionDenied, and the RuleViolations of `ledger.reverse`.
    """
    if not can_reverse(asker, receipt):
        raise PermissionDenied(gettext("Taking a push back needs the role of a contributor for its roadmap."))
    return done_again(lambda: _reverse(asker, receipt))


@transaction.atomic
def _reverse(asker: Asker, receipt: Receipt) -> Receipt:
    reversal = take_out(asker, receipt)
    record(
        asker,
        action="reverse_receipt",
        subject=receipt,
        workload=receipt.workload,
        after={"reversal": reversal.uuid, "accepted": receipt.accepted},
    )
    return reversal


def take_out(asker: Asker, receipt: Receipt) -> Receipt:
    """The part of taking back that is not about who may, for one receipt or all of a file. In a transaction."""
    if receipt.kind == repricing.KIND and not receipt.is_void:
        _refuse_restated(receipt)
    reversal = ledger.reverse(receipt, by=asker)
    release(receipt)
    if receipt.kind == FeedKind.PUSH:
        # Its tokens are gone, and with them what these were priced at later.
        pairs = list(receipt.entries.values_list("series_id", "hour"))
        unpriced.settle(pairs)
        repricing.settle_pushes(pairs)
        usage_file_pieces.after_reversal(receipt)
    if receipt.kind == FeedKind.IMPORT:
        taken = importing.taken_back(receipt, now=sources.now())
        if taken is not None:
            imports.after_reversal(taken)
    return reversal


def _refuse_restated(receipt: Receipt) -> None:
    hours = repricing.restated_since(receipt)
    if hours:
        raise RuleViolation(
            "restated_since",
            gettext("%(hours)s of its hours have been estimated otherwise since. Price them again instead.")
            % {"hours": wording.count(hours)},
        )

"""Accepting pushed usage, and taking it back: the doors through which figures come in from teams."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext

from accounts.access import Asker, can, can_change_backends, visible_workloads
from accounts.audit import record
from accounts.models import Role, Token
from metrics import counting, identity, importing, ledger, repricing, sources, unpriced, usage_file_pieces
from metrics.actions import imports
from metrics.deadlocks import done_again
from metrics.errors import RuleViolation
from metrics.fold import DEFAULTS, Folded, Place, PlaceKey, fold, place_keys
from metrics.format import Batch, Limits, Rejection
from metrics.formats import Decoder
from metrics.identity import SeriesGone, SeriesIdentity
from metrics.models import Backend, Feed, PushProblem, Receipt
from metrics.new_series import MadeSeries, made_with, within_allowance
from metrics.push_keys import PushKey, drop_repeats, release
from metrics.push_places import Places, find_places, may_go_through, refusals
from metrics.together import together
from metrics.usage import FeedKind, MeasuredAt
from web import wording

# A receipt lists so many rejections and counts them all.
MAX_LISTED = 100
MONTHS_A_YEAR = 12


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


class NothingAccepted(RuleViolation):
    """Every record was rejected; nothing of the push is remembered. `rejections` says why, by record."""

    def __init__(self, rejections: list[Rejection]) -> None:
        super().__init__("all_rejected", f"None of {len(rejections)} records can count. First: {rejections[0].detail}")
        self.rejections = rejections


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
    with transaction.atomic():
        first, receipt_id = key.claim(now)
        if first is not None:
            return PushAnswer(first.status, first.answer, is_replay=True)
        batch = decode(body, limits_at(now))
        counted = _count(
            asker, key.token, batch, receipt_id, now, measured_at=measured_at or MeasuredAt(key.token.measured_at)
        )
        document = answer_document(counted.receipt, batch, see)
        with together():
            ledger.save(counted.receipt)
            # Before the hours: from there on others wait.
            key.remember(counted.receipt, 201, document)
            ledger.post_push(counted.receipt, counted.batches)
        if counted.new_at:
            counting.recount(counted.new_at)
        return PushAnswer(201, document)


def count_batch(
    asker: Asker,
    token: Token | None,
    batch: Batch,
    now: datetime,
    *,
    measured_at: MeasuredAt | None = None,
    made: MadeSeries | None = None,
) -> Receipt:
    """The receipt of the batch, posted. Call it in a transaction. Raises NothingAccepted.

    `measured_at`: where it was measured, where that is not what the token says; without a token the application.
    `made` counts new series where there is no token to count them for.
    """
    if measured_at is None:
        measured_at = MeasuredAt(token.measured_at) if token is not None else MeasuredAt.APPLICATION
    with together() as send:
        found = send("SELECT nextval(pg_get_serial_sequence('metrics_receipt', 'id'))")
    receipt_id = found.fetchone()[0]  # type: ignore[index]
    counted = _count(asker, token, batch, receipt_id, now, measured_at=measured_at, made=made)
    ledger.post_push(counted.receipt, counted.batches)
    if counted.new_at:
        counting.recount(counted.new_at)
    return counted.receipt


@dataclass(frozen=True, slots=True)
class _Counted:
    """A push that is folded and not posted yet. `new_at`: the backends, where it makes a new series."""

    receipt: Receipt
    batches: list[tuple[Feed, ledger.Batch]]
    new_at: set[int]


def _count(
    asker: Asker,
    token: Token | None,
    batch: Batch,
    receipt_id: int,
    now: datetime,
    *,
    measured_at: MeasuredAt,
    made: MadeSeries | None = None,
) -> _Counted:
    """The batch folded, its ids kept. Raises NothingAccepted."""
    places = find_places(asker, place_keys(batch))
    if places.refused:
        batch.reject(refusals(batch, places))
    if not batch.records:
        raise NothingAccepted(sorted(batch.rejections))
    repeats = drop_repeats(batch, _workload_ids(batch, places), receipt_id) if "id" in batch.fields else 0
    through = through_of(asker, token, batch, len(batch.records), measured_at=measured_at) if token else None
    folded = fold(
        batch,
        places.found,
        measured_at=measured_at,
        through_id=through.pk if through is not None else None,
    )
    is_new = within_allowance(made or made_with(token, now), folded, batch)
    series = series_of(folded, places)
    receipt = _receipt(asker, token, batch, folded, places, repeats)
    receipt.pk = receipt_id
    new_at = {one.backend_id for one in folded.identities} if is_new else set()
    return _Counted(receipt, by_feed(folded.posted(series), places), new_at)


def through_of(
    asker: Asker, token: Token, batch: Batch, records: int, *, measured_at: MeasuredAt | None = None
) -> Backend | None:
    """What the token's traffic goes through: a backend or gateway. One that is gone, or may not be linked, is none."""
    through = Backend.objects.filter(slug=token.through).first() if token.through else None
    if through is not None and not may_go_through(asker, measured_at or MeasuredAt(token.measured_at), through):
        batch.warn("through_not_allowed", f"'{through.slug}' serves no roadmap of yours: not linked.", records)
        return None
    return through


def limits_at(now: datetime) -> Limits:
    """What a push may hold now."""
    return Limits(now=now, oldest=_oldest(now), max_records=settings.PUSH_MAX_RECORDS)


def series_of(folded: Folded, places: Places) -> dict[SeriesIdentity, int]:
    """The ids of the batch's series. What is pushed to a roadmap of the demo goes when the demo goes."""
    demo = {workload_id for workload_id, workload in places.workloads.items() if workload.is_demo}
    if not demo:
        return ledger.series_ids(folded.identities)
    tried = {one for one in folded.identities if one.workload_id in demo}
    return ledger.series_ids(folded.identities - tried) | ledger.series_ids(tried, is_demo=True)


def _is_demo(place: Place, places: Places) -> bool:
    return place.workload_id is not None and places.workloads[place.workload_id].is_demo


def _workload_ids(batch: Batch, places: Places) -> list[int | None]:
    if "id" not in batch.fields:
        return []
    by_key: dict[PlaceKey, int | None] = {key: place.workload_id for key, place in places.found.items()}
    return [by_key[one.roadmap, one.provider or DEFAULTS["provider"], one.backend] for one in batch.records]


def _receipt(asker: Asker, token: Token | None, batch: Batch, folded: Folded, places: Places, repeats: int) -> Receipt:
    rejections = sorted(batch.rejections)
    backend_ids, workload_ids = set(places.backends), {place.workload_id for place in places.found.values()}
    times = [one.timestamp for one in batch.records]
    return Receipt(
        kind=FeedKind.PUSH,
        token=token,
        user=asker.user,
        backend_id=backend_ids.pop() if len(backend_ids) == 1 else None,
        workload=places.workloads.get(workload_ids.pop() or 0) if len(workload_ids) == 1 else None,
        window_start=min(times).astimezone(UTC) if times else None,
        window_end=max(times).astimezone(UTC) if times else None,
        accepted=len(batch.records),
        duplicates=repeats,
        not_priced=folded.not_priced,
        stated_costs=sum(one.cost is not None for one in batch.records) if "cost" in batch.fields else 0,
        rejected=[{"index": one.index, "code": one.code, "detail": one.detail} for one in rejections[:MAX_LISTED]],
        rejected_count=len(rejections),
        warnings=[
            {"code": code, "detail": detail, "records": count}
            for (code, detail), count in sorted(batch.warnings.items())[:MAX_LISTED]
        ],
        note=priced_by(folded.price_refs),
        is_demo=bool(places.found) and all(_is_demo(place, places) for place in places.found.values()),
    )


def priced_by(refs: Iterable[str]) -> str:
    """Which prices the estimates used, as far as the note's 300 characters reach."""
    text = "; ".join(sorted(refs))
    return f"Priced by {text}"[:300] if text else ""


def by_feed(cells: Iterable[tuple[int, ledger.PostedCell]], places: Places) -> list[tuple[Feed, ledger.Batch]]:
    """The cells for each backend's feed of pushes, ready to be posted. Call it in a transaction."""
    by_backend: dict[int, list[ledger.PostedCell]] = defaultdict(list)
    for backend_id, cell in cells:
        by_backend[backend_id].append(cell)
    return [
        (ledger.feed(FeedKind.PUSH, places.backends[backend_id]), ledger.gather(by_backend[backend_id]))
        for backend_id in sorted(by_backend)
    ]


def answer_document(receipt: Receipt, batch: Batch, see: Callable[[str | None], str]) -> dict[str, Any]:
    """What the sender is told; all rejections, not only those that the receipt lists."""
    slug = receipt.workload.slug if receipt.workload is not None else None
    return {
        "receipt": str(receipt.uuid),
        "accepted": receipt.accepted,
        "duplicates": receipt.duplicates,
        "rejected": rejected_rows(batch.rejections),
        "warnings": receipt.warnings,
        "not_priced": receipt.not_priced,
        "see": see(slug),
    }


def rejected_rows(rejections: Iterable[Rejection]) -> list[dict[str, Any]]:
    """Index, code and detail of each rejection, by index."""
    return [{"index": one.index, "code": one.code, "detail": one.detail} for one in sorted(rejections)]


def _oldest(now: datetime) -> datetime:
    months = now.year * MONTHS_A_YEAR + now.month - 1 - settings.USAGE_RETENTION_MONTHS
    return datetime(months // MONTHS_A_YEAR, months % MONTHS_A_YEAR + 1, 1, tzinfo=UTC) + timedelta(
        days=min(now.day, 28) - 1
    )


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

"""Counting a batch of records: placed, folded, with its receipt, ready to be posted."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.conf import settings

from accounts.access import Asker
from accounts.models import Token
from metrics import counting, due, identity, ledger
from metrics.errors import RuleViolation
from metrics.fold import DEFAULTS, Folded, Place, PlaceKey, fold, place_keys
from metrics.format import Batch, Limits, Rejection
from metrics.identity import SeriesIdentity
from metrics.models import Backend, Feed, Receipt
from metrics.new_series import MadeSeries, made_with, within_allowance
from metrics.push_keys import drop_repeats
from metrics.push_places import Places, are_remembered, find_places, may_go_through, refusals
from metrics.together import together
from metrics.usage import FeedKind, MeasuredAt

# A receipt lists so many rejections and counts them all.
MAX_LISTED = 100
MONTHS_A_YEAR = 12
# Fields for which something is read or written before the rest: ids, and the bounds of others' buckets.
_NEEDS_A_LOOK = frozenset({"id", "duration_histogram", "time_to_first_token_histogram", "inter_token_histogram"})


class NothingAccepted(RuleViolation):
    """Every record was rejected; nothing of the push is remembered. `rejections` says why, by record."""

    def __init__(self, rejections: list[Rejection]) -> None:
        super().__init__("all_rejected", f"None of {len(rejections)} records can count. First: {rejections[0].detail}")
        self.rejections = rejections


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
    counted = count(asker, token, batch, receipt_id, now, measured_at=measured_at, made=made)
    ledger.post_push(counted.receipt, counted.batches)
    if counted.new_at:
        counting.recount(counted.new_at)
    return counted.receipt


@dataclass(frozen=True, slots=True)
class Counted:
    """A batch that is folded and not posted yet. `new_at`: the backends, where it makes a new series."""

    receipt: Receipt
    batches: list[tuple[Feed, ledger.Batch]]
    new_at: set[int]


def count(
    asker: Asker,
    token: Token | None,
    batch: Batch,
    receipt_id: int,
    now: datetime,
    *,
    measured_at: MeasuredAt,
    made: MadeSeries | None = None,
) -> Counted:
    """The batch folded, its ids kept, what is new in it made. In a transaction. Raises NothingAccepted."""
    places = find_places(asker, place_keys(batch))
    if places.refused:
        batch.reject(refusals(batch, places))
    if not batch.records:
        raise NothingAccepted(sorted(batch.rejections))
    repeats = drop_repeats(batch, _workload_ids(batch, places), receipt_id) if "id" in batch.fields else 0
    folded = _folded(asker, token, batch, places, measured_at)
    is_new = within_allowance(made or made_with(token, now), folded, batch)
    series = series_of(folded, places)
    receipt = _receipt(asker, token, batch, folded, places, repeats)
    receipt.pk = receipt_id
    new_at = {one.backend_id for one in folded.identities} if is_new else set()
    return Counted(receipt, by_feed(folded.posted(series), places), new_at)


def count_known(asker: Asker, token: Token, batch: Batch, *, measured_at: MeasuredAt) -> Counted | None:
    """As `count`, outside a transaction, where the batch needs nothing written before it is posted; None elsewhere.

    So it is with most pushes: the places are allowed and known to this process, and so are the series; no ids, no
    buckets of others, no hours of days ago. The receipt has no id. Warnings may be left in the batch: where it comes to
    nothing, decode it anew.
    """
    if not batch.records or not batch.fields.isdisjoint(_NEEDS_A_LOOK):
        return None
    keys = place_keys(batch)
    if not are_remembered(keys):
        return None
    places = find_places(asker, keys)
    if places.refused or not all(ledger.knows_feed(FeedKind.PUSH, backend_id) for backend_id in places.backends):
        return None
    folded = _folded(asker, token, batch, places, measured_at)
    if not identity.all_cached(folded.identities) or due.is_any_late(hour for _, hour, _ in folded.cells):
        return None
    receipt = _receipt(asker, token, batch, folded, places, 0)
    return Counted(receipt, by_feed(folded.posted(series_of(folded, places)), places), set())


def _folded(asker: Asker, token: Token | None, batch: Batch, places: Places, measured_at: MeasuredAt) -> Folded:
    through = through_of(asker, token, batch, len(batch.records), measured_at=measured_at) if token else None
    return fold(
        batch,
        places.found,
        measured_at=measured_at,
        through_id=through.pk if through is not None else None,
    )


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
    span = batch.span if batch.records else None
    return Receipt(
        kind=FeedKind.PUSH,
        token=token,
        user=asker.user,
        backend_id=backend_ids.pop() if len(backend_ids) == 1 else None,
        workload=places.workloads.get(workload_ids.pop() or 0) if len(workload_ids) == 1 else None,
        window_start=span[0].astimezone(UTC) if span else None,
        window_end=span[1].astimezone(UTC) if span else None,
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

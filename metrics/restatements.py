"""What later receipts changed of hours that were known already: when, which hours, by how much, by which receipt."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from django.db.models import Exists, OuterRef, Q
from django.utils.translation import gettext_lazy

from metrics.models import Backend, LedgerEntry, Receipt
from metrics.repricing import KIND
from metrics.usage import FeedKind

SHOWN = 10
LOOKED_AT = 100
WORDS = {
    KIND: gettext_lazy("Priced again"),
    "reversal": gettext_lazy("Taken back"),
    FeedKind.USAGE: gettext_lazy("Stated anew"),
}
# What capacity moves as usage arrives is no correction, and pushes only add.
_FEEDS = (FeedKind.USAGE, FeedKind.STATEMENT, FeedKind.ESTIMATE)


@dataclass(frozen=True, slots=True)
class RestatementRow:
    """One receipt's changes. `tokens` None: none; money by currency."""

    receipt: Receipt
    hours: int
    first_hour: datetime
    last_hour: datetime
    tokens: int | None
    billed: Mapping[str, Decimal] = field(default_factory=dict)
    estimated: Mapping[str, Decimal] = field(default_factory=dict)

    @property
    def at(self) -> datetime:
        return self.receipt.created_at

    @property
    def what(self) -> str:
        return str(WORDS.get(self.receipt.kind, self.receipt.kind))


def restatements_of(backend: Backend, *, adds_only: bool) -> list[RestatementRow]:
    """The newest of a backend, in two queries. `adds_only`: it counts on, and never corrects what it said."""
    kinds = [KIND, "reversal"] if adds_only else [KIND, "reversal", FeedKind.USAGE]
    receipts = backend.receipts.filter(kind__in=kinds).order_by("-pk").values_list("pk", flat=True)[:LOOKED_AT]
    earlier = LedgerEntry.objects.filter(
        feed=OuterRef("feed"), series=OuterRef("series"), hour=OuterRef("hour"), receipt__lt=OuterRef("receipt")
    )
    entries = (
        LedgerEntry.objects.filter(receipt__in=list(receipts), feed__kind__in=_FEEDS)
        # What had no price before has no earlier entry either.
        .filter(Q(Exists(earlier)) | Q(receipt__kind=KIND))
        .select_related("receipt__user")
        .order_by("-receipt_id", "hour")
    )
    by_receipt: dict[int, list[LedgerEntry]] = defaultdict(list)
    for entry in entries:
        by_receipt[entry.receipt_id].append(entry)
    return [_row(some) for some in list(by_receipt.values())[:SHOWN]]


def _row(entries: list[LedgerEntry]) -> RestatementRow:
    tokens = [value for one in entries for value in (one.input_tokens, one.output_tokens) if value is not None]
    billed: dict[str, Decimal] = defaultdict(Decimal)
    estimated: dict[str, Decimal] = defaultdict(Decimal)
    for one in entries:
        if one.billed_cost:
            billed[one.currency] += one.billed_cost
        if one.estimated_cost:
            estimated[one.currency] += one.estimated_cost
    return RestatementRow(
        receipt=entries[0].receipt,
        hours=len({one.hour for one in entries}),
        first_hour=min(one.hour for one in entries),
        last_hour=max(one.hour for one in entries),
        tokens=sum(tokens) if tokens else None,
        billed=dict(billed),
        estimated=dict(estimated),
    )

"""The only writer of usage: receipts, ledger entries and, in the same transaction, the hours that are their sums."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from accounts.access import Asker
from metrics.identity import SeriesIdentity, series_ids
from metrics.models import Backend, Feed, Receipt
from metrics.usage import FeedKind, ForeignHistogram
from metrics.windows import Window

NativeCounts = list[int]


@dataclass(slots=True)
class PostedCell:
    """Signed sums of one series in one UTC hour and one currency, ready to be posted.

    `sums`: names of ADDITIVE_MEASURES; an absent name is unknown. `histograms`: by names of HISTOGRAM_MEASURES, native
    counts as a window of `metrics.histogram`, foreign ones as they came. `currency` is needed where there is money.
    """

    series_id: int
    hour: datetime
    sums: Mapping[str, int | Decimal] = field(default_factory=dict)
    histograms: Mapping[str, NativeCounts | ForeignHistogram] = field(default_factory=dict)
    currency: str = ""


def feed(kind: FeedKind, backend: Backend | None = None, name: str = "") -> Feed:
    """The feed of this kind and source, made at first sight."""
    raise NotImplementedError


def post(receipt: Receipt, feed: Feed, cells: Iterable[PostedCell]) -> Receipt:
    """Add the cells: one receipt, its entries and the hours they change, in one transaction.

    `receipt` may be unsaved, or one that has other feeds' entries already. Cells of the same series, hour and currency
    are added up. Raises ValueError for an unknown measure, money without a currency or an hour that is none, and
    SeriesGone where a series was deleted meanwhile.
    """
    raise NotImplementedError


def post_many(receipt: Receipt, feed: Feed, cells: Iterable[PostedCell], *, batch: int = 20_000) -> Receipt:
    """As `post`, for any number of cells: one transaction, written in batches. Build the days with `days.rebuild`."""
    raise NotImplementedError


def post_statement(
    *, receipt: Receipt, feed: Feed, window: Window, cells: Iterable[PostedCell], as_of: datetime
) -> Receipt | None:
    """Post the differences between what a source states for a window and what its feed holds, both ways.

    Hours that the statement no longer names are compared with zero; hours that were stated with a later `as_of` are
    left alone. Takes the feed's lock. None where nothing changed. Raises ValueError for a cell outside the window.
    """
    raise NotImplementedError


def reverse(receipt: Receipt, *, by: Asker | None = None, note: str = "") -> Receipt:
    """Take a push or an import back: a new receipt with the opposite signs; both are void from then on.

    Raises RuleViolation: `not_reversible`, `already_reversed`, `too_old_to_reverse`.
    """
    raise NotImplementedError


__all__ = ["PostedCell", "SeriesIdentity", "feed", "post", "post_many", "post_statement", "reverse", "series_ids"]

"""The only writer of percentiles that sources state; a pull calls it in the transaction that posts the window's usage.

The rules are those of usage (metrics.ledger): the feed's lock, one answer for a window, and an older answer that
arrives late changes nothing. A percentile is not additive, so that what is stated anew replaces what was stated before.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.db import transaction

from metrics import ledger
from metrics.connector import PercentileStatement
from metrics.identity import SeriesIdentity, series_ids, unknown
from metrics.models import Backend, Feed, Receipt, StatedPercentile
from metrics.rows import HISTOGRAM_NUMBER
from metrics.usage import FeedKind, MeasuredAt
from metrics.windows import Window

_PERCENT_STEP, _MS_STEP = Decimal("0.001"), Decimal("0.000001")
_HUNDRED = Decimal(100)
_BATCH = 2_000

# (series, start, end, measure, percent) -> (value in ms, count).
_Key = tuple[int, datetime, datetime, int, Decimal]
_Value = tuple[Decimal, int | None]


@dataclass(frozen=True, slots=True)
class PostedPercentile:
    """One percentile of a series, ready to be posted; the fields of `metrics.connector.PercentileStatement`."""

    series_id: int
    start: datetime
    end: datetime
    measure: str
    percent: Decimal
    value_ms: Decimal
    count: int | None = None


def post_stated(
    backend: Backend,
    percentiles: Sequence[PercentileStatement],
    *,
    window: Window,
    receipt: Receipt,
    as_of: datetime,
    not_stated: Sequence[Window] = (),
) -> tuple[Receipt | None, bool]:
    """Post what a pull was told of the window; return the receipt (None: nothing changed) and whether a series is new.

    Call it in the transaction that has posted the window's usage.
    """
    if not percentiles and not Feed.objects.filter(kind=FeedKind.PERCENTILE, backend=backend).exists():
        return None, False
    identities = {
        key: SeriesIdentity(key=key, backend_id=backend.pk, measured_at=MeasuredAt(backend.measured_at))
        for key in dict.fromkeys(one.key for one in percentiles)
    }
    is_new = bool(unknown(identities.values()))
    ids = series_ids(identities.values(), is_demo=backend.is_demo)
    changed = post_percentiles(
        receipt=receipt,
        feed=ledger.feed(FeedKind.PERCENTILE, backend),
        window=window,
        stated=[
            PostedPercentile(
                ids[identities[one.key]], one.start, one.end, one.measure, one.percent, one.value_ms, one.count
            )
            for one in percentiles
        ],
        as_of=as_of,
        not_stated=not_stated,
    )
    return changed, is_new


def post_percentiles(
    *,
    receipt: Receipt,
    feed: Feed,
    window: Window,
    stated: Iterable[PostedPercentile],
    as_of: datetime,
    not_stated: Sequence[Window] = (),
) -> Receipt | None:
    """Make the table hold what a source states for a window; None where nothing changed.

    Percentiles that it no longer states are withdrawn; periods stated with a later `as_of` are left alone, and so is
    what is held of hours in `not_stated`, of which the source has nothing any more. Takes the feed's lock. Raises
    ValueError for a percentile outside the window or out of range.
    """
    wanted = _wanted(stated, window)
    with transaction.atomic():
        ledger.lock_feed(feed)
        later = ledger.stated_later(feed, window, as_of)
        held = _held(feed, window)
        ledger.remember_stated(feed, window, as_of)

        dropped = [(part.start, part.end) for part in not_stated]

        def is_left(key: _Key) -> bool:
            return _touches(key, later) or (key in held and _touches(key, dropped))

        gone = [pk for key, (pk, _) in held.items() if key not in wanted and not is_left(key)]
        changed = {
            key: value
            for key, value in wanted.items()
            if (key not in held or held[key][1] != value) and not is_left(key)
        }
        if not gone and not changed:
            return None
        receipt.as_of = receipt.as_of or as_of
        receipt.window_start = receipt.window_start or window.start
        receipt.window_end = receipt.window_end or window.end
        ledger.save(receipt)
        StatedPercentile.objects.filter(pk__in=gone).delete()
        _write(feed, changed)
    return receipt


def _wanted(stated: Iterable[PostedPercentile], window: Window) -> dict[_Key, _Value]:
    found: dict[_Key, _Value] = {}
    for one in stated:
        if not window.start <= one.start < one.end <= window.end:
            raise ValueError(f"the percentile from {one.start} to {one.end} lies outside the stated window")
        if not 0 < one.percent < _HUNDRED:
            raise ValueError(f"{one.percent} is no percent of a percentile")
        if not one.value_ms.is_finite() or one.value_ms < 0:
            raise ValueError(f"{one.value_ms} is no duration")
        key = (
            one.series_id,
            one.start,
            one.end,
            HISTOGRAM_NUMBER[one.measure],
            one.percent.quantize(_PERCENT_STEP),
        )
        if key in found:
            raise ValueError(f"p{one.percent} of {one.measure} from {one.start} is stated twice")
        found[key] = (one.value_ms.quantize(_MS_STEP), one.count)
    return found


def _touches(key: _Key, spans: Sequence[tuple[datetime, datetime]]) -> bool:
    return any(start < key[2] and key[1] < end for start, end in spans)


def _held(feed: Feed, window: Window) -> dict[_Key, tuple[int, _Value]]:
    rows = StatedPercentile.objects.filter(feed=feed, start__gte=window.start, end__lte=window.end)
    return {
        (row.series_id, row.start, row.end, row.measure, row.percent): (row.pk, (row.value_ms, row.count))
        for row in rows.iterator()
    }


def _write(feed: Feed, changed: Mapping[_Key, _Value]) -> None:
    StatedPercentile.objects.bulk_create(
        [
            StatedPercentile(
                feed=feed,
                series_id=series_id,
                start=start,
                end=end,
                measure=measure,
                percent=percent,
                value_ms=value_ms,
                count=count,
            )
            for (series_id, start, end, measure, percent), (value_ms, count) in sorted(changed.items())
        ],
        batch_size=_BATCH,
        update_conflicts=True,
        unique_fields=["series", "start", "end", "measure", "percent"],
        update_fields=["feed", "value_ms", "count"],
    )

"""What `metrics.ledger` posts: cells added up in memory, then written by one call of the database."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from hashlib import blake2b
from typing import Any

from django.db import transaction
from django.utils import timezone
from psycopg import Cursor

from metrics import behind, due, histogram, hours, rows
from metrics.identity import caches, when_gone
from metrics.models import Feed, HistogramBounds, Receipt
from metrics.receipt_ids import receipt_params, receipt_ref
from metrics.rows import ADDITIVE_MEASURES, HISTOGRAM_NUMBER, CellKey
from metrics.together import afterwards, together
from metrics.usage import COUNT_MEASURES, MONEY_MEASURES, FeedKind, ForeignHistogram

NativeCounts = list[int]
_KNOWN = frozenset(ADDITIVE_MEASURES)
_MONEY = frozenset(MONEY_MEASURES)
_STEP = {
    name: Decimal(1).scaleb(-10 if name in MONEY_MEASURES else -6)
    for name in ADDITIVE_MEASURES
    if name not in COUNT_MEASURES
}
# (series, hour, currency), measure number, bounds.
HistogramOfCell = tuple[CellKey, int, int | None]


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


@dataclass(slots=True)
class Batch:
    """Cells added up by (series, hour, currency), ready for the database."""

    sums: dict[CellKey, dict[str, int | Decimal]] = field(default_factory=dict)
    histograms: dict[HistogramOfCell, list[int]] = field(default_factory=dict)


# A sender has a few; who makes others for each request does not fill this process.
MAX_BOUNDS_REMEMBERED = 500
_bounds: dict[tuple[float, ...], int] = {}
caches.append(_bounds)


def gather(cells: Iterable[PostedCell]) -> Batch:
    batch = Batch()
    for cell in cells:
        sums = cell.sums
        if not _KNOWN.issuperset(sums):
            raise ValueError(f"not a measure: {', '.join(sorted(set(sums) - _KNOWN))}")
        hour = cell.hour
        if hour.tzinfo is None or hour.minute or hour.second or hour.microsecond:
            raise ValueError(f"{hour} is not the start of a UTC hour")
        has_money = not _MONEY.isdisjoint(sums)
        if has_money and not cell.currency:
            raise ValueError("money needs a currency")
        key = (cell.series_id, hour, cell.currency if has_money else "")
        there = batch.sums.get(key)
        if there is None:
            batch.sums[key] = dict(sums)
        else:
            for name, value in sums.items():
                there[name] = there[name] + value if name in there else value
        for name, counts in cell.histograms.items():
            _gather_histogram(batch, key, name, counts)
    return batch


def _gather_histogram(batch: Batch, key: CellKey, name: str, counts: NativeCounts | ForeignHistogram) -> None:
    if isinstance(counts, ForeignHistogram):
        bounds: int | None = bounds_id(counts.bounds_ms)
        window = histogram.window_of_foreign(counts)
    else:
        bounds, window = None, counts
    if not window:
        return
    place = (key, HISTOGRAM_NUMBER[name], bounds)
    there = batch.histograms.get(place)
    batch.histograms[place] = window if there is None else histogram.add(there, window)


def bounds_id(bounds_ms: tuple[float, ...]) -> int:
    """The row that keeps these foreign bounds, made at first sight."""
    found = _bounds.get(bounds_ms)
    if found is None:
        told = ",".join(repr(float(bound)) for bound in bounds_ms)
        row, _ = HistogramBounds.objects.get_or_create(
            digest=blake2b(told.encode(), digest_size=16).digest(),
            defaults={"bounds_ms": [float(bound) for bound in bounds_ms]},
        )
        found = row.pk
        kept = found
        transaction.on_commit(lambda: _remember_bounds(bounds_ms, kept))
    return found


def _remember_bounds(bounds_ms: tuple[float, ...], pk: int) -> None:
    if len(_bounds) >= MAX_BOUNDS_REMEMBERED:
        _bounds.clear()
    _bounds[bounds_ms] = pk


def round(batch: Batch) -> None:
    """To the places that the columns keep, so that what was posted before compares equal."""
    for sums in batch.sums.values():
        for name, value in sums.items():
            step = _STEP.get(name)
            if step is not None:
                sums[name] = Decimal(value).quantize(step)


# --- Writing ----------------------------------------------------------------------------------------------------------


def has_many_histograms(batches: Iterable[tuple[Feed, Batch]]) -> bool:
    """Whether the histograms of what a receipt posts are added behind it (`metrics.behind`): of a large push."""
    return sum(len(batch.histograms) for feed, batch in batches if feed.kind == FeedKind.PUSH) > behind.CELLS_IN_A_PUSH


def write(receipt: Receipt, feed: Feed, batch: Batch, *, is_behind: bool = False) -> None:
    """Write the entries, and what they change in the hours, in one call. Raises SeriesGone where the block ends.

    A receipt without id is the one that was just saved; its statement fails where a series is gone. `is_behind` SHALL
    be the same for all that a receipt posts: its histograms are added behind it all together, or none of them.
    """
    with_histograms = {key for key, _, _ in batch.histograms}
    # A cell in which nothing is known is no entry.
    keys = sorted(key for key, sums in batch.sums.items() if sums or key in with_histograms)
    if not keys:
        return
    places = sorted(batch.histograms, key=_order) if batch.histograms else []
    # Written once, since most windows go to both tables as they are.
    texts = {place: rows.window(batch.histograms[place]) for place in places}
    pairs = list(dict.fromkeys((series, hour) for series, hour, _ in keys))
    due.note_late_usage(feed.kind, pairs)
    # Two currencies in one hour are two cells with one histogram in the hours.
    is_plain = len(pairs) == len(keys)
    with together() as send:
        arguments = _cells(batch, keys, pairs)
        if texts:
            arguments |= _histograms(keys, texts)
            arguments["into_hours"] = not is_behind and is_plain
        told = ", ".join(f"p_{name} => %s::{_TYPES[name]}" for name in arguments)
        call = f"metrics_post(p_receipt => {receipt_ref(receipt)}, p_feed => %s::bigint, {told})"
        parameters = [*receipt_params(receipt), feed.pk, *arguments.values()]
        if receipt.pk is None:
            # Whoever looks afterwards is too late: it is committed then (metrics.together.at_once).
            send(f"SELECT metrics_must({call})", parameters)
        else:
            posted = send(f"SELECT {call}", parameters)
            afterwards(lambda: _raise_gone(posted))
        if texts and is_behind:
            behind.note(receipt)
        elif texts and not is_plain:
            hours.add_histograms(_texts_of_hours(batch, texts))


_TYPES = {
    "series_count": "bigint",
    "series": "bigint[]",
    "hours": "timestamptz[]",
    "currencies": "text[]",
    "has_sums": "boolean[]",
    "stale_series": "bigint[]",
    "stale_days": "date[]",
    "at": "timestamptz",
    "into_hours": "boolean",
    "cells": "int[]",
    "measures": "smallint[]",
    "bounds": "bigint[]",
    "windows": "text[]",
    **{name: f"{kind}[]" for name, kind in rows.MEASURE_TYPE.items()},
}


def _cells(batch: Batch, keys: list[CellKey], pairs: list[tuple[int, datetime]]) -> dict[str, object]:
    """What `metrics_post` is told of the cells: a column for each measure that some of them know."""
    sums = [batch.sums[key] for key in keys]
    held = {name for one in sums for name in one}
    stale = hours.local_days(pairs)
    return {
        "series_count": len({series for series, _ in pairs}),
        "series": rows.literal(series for series, _, _ in keys),
        "hours": rows.times(hour for _, hour, _ in keys),
        "currencies": rows.words(currency for _, _, currency in keys),
        "has_sums": None if all(sums) else rows.literal(bool(one) for one in sums),
        "stale_series": rows.literal(series for series, _ in stale),
        "stale_days": rows.literal(day for _, day in stale),
        "at": timezone.now(),
        **{name: rows.numbers(one.get(name) for one in sums) for name in ADDITIVE_MEASURES if name in held},
    }


def _histograms(keys: list[CellKey], texts: Mapping[HistogramOfCell, str]) -> dict[str, object]:
    cells = {key: number for number, key in enumerate(keys, start=1)}
    return {
        "cells": rows.literal(cells[key] for key, _, _ in texts),
        "measures": rows.literal(measure for _, measure, _ in texts),
        "bounds": rows.literal(bounds for _, _, bounds in texts),
        "windows": rows.windows(texts.values()),
    }


def _order(place: HistogramOfCell) -> tuple[CellKey, int, int]:
    return place[0], place[1], place[2] or 0


def _raise_gone(posted: Cursor[Any]) -> None:
    if not posted.fetchone()[0]:  # type: ignore[index]
        raise when_gone()


def _texts_of_hours(batch: Batch, texts: Mapping[HistogramOfCell, str]) -> dict[hours.HistogramKey, str]:
    """The windows by hour; those of one hour in several currencies are added up."""
    held: dict[hours.HistogramKey, list[int]] = {}
    found: dict[hours.HistogramKey, str] = {}
    for place, window in batch.histograms.items():
        (series, hour, _), measure, bounds = place
        key = (series, hour, measure, bounds)
        if key in held:
            held[key] = histogram.add(held[key], window)
            found[key] = rows.window(held[key])
        else:
            held[key], found[key] = window, texts[place]
    return found

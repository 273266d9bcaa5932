"""What `metrics.ledger` posts: cells added up in memory, then written with one statement a table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from hashlib import blake2b

from django.db import transaction

from metrics import behind, due, histogram, hours, rows
from metrics.identity import caches, check_exist
from metrics.models import Feed, HistogramBounds, Receipt
from metrics.rows import ADDITIVE_MEASURES, HISTOGRAM_NUMBER, CellKey
from metrics.together import together
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
        transaction.on_commit(lambda: _bounds.__setitem__(bounds_ms, kept))
    return found


def round(batch: Batch) -> None:
    """To the places that the columns keep, so that what was posted before compares equal."""
    for sums in batch.sums.values():
        for name, value in sums.items():
            step = _STEP.get(name)
            if step is not None:
                sums[name] = Decimal(value).quantize(step)


# --- Writing ----------------------------------------------------------------------------------------------------------


def write(receipt: Receipt, feed: Feed, batch: Batch) -> None:
    with_histograms = {key for key, _, _ in batch.histograms}
    # A cell in which nothing is known is no entry.
    keys = sorted(key for key, sums in batch.sums.items() if sums or key in with_histograms)
    if not keys:
        return
    held = {name for sums in batch.sums.values() for name in sums}
    measures = [name for name in ADDITIVE_MEASURES if name in held]
    values = {name: [batch.sums[key].get(name) for key in keys] for name in measures}
    # Written once, since most windows go to both tables as they are.
    texts = {place: rows.window(window) for place, window in batch.histograms.items()}
    summed = [place for place, key in enumerate(keys) if batch.sums[key]]
    due.note_late_usage(feed.kind, ((series, hour) for series, hour, _ in keys))
    with together():
        check_exist((key[0] for key in keys), feed.pk)
        _insert_entries(receipt, feed, keys, values, texts)
        # From here on rows are locked that other postings wait for, until the transaction ends.
        if len(summed) == len(keys):
            hours.add_hours(keys, values)
        elif summed:
            hours.add_hours(
                [keys[place] for place in summed],
                {name: [column[place] for place in summed] for name, column in values.items()},
            )
        hours.mark_stale((series, hour) for series, hour, _ in keys)
        if feed.kind == FeedKind.PUSH and len(texts) > behind.CELLS_IN_A_PUSH:
            behind.note(receipt)
        elif texts:
            hours.add_histograms(_texts_of_hours(batch, texts))


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


def _insert_entries(
    receipt: Receipt,
    feed: Feed,
    keys: list[CellKey],
    values: Mapping[str, list[int | Decimal | None]],
    windows: Mapping[HistogramOfCell, str],
) -> None:
    """The entries, and the windows of each beside it."""
    measures = list(values)
    entries = (
        f"INSERT INTO metrics_ledgerentry (receipt_id, feed_id, series_id, hour, currency{rows.columns(measures)}) "
        f"SELECT %s::bigint, %s::bigint, i.* FROM unnest(%s::bigint[], %s::timestamptz[], %s::text[]"
        f"{rows.arrays(measures)}) AS i"
    )
    params = [receipt.pk, feed.pk, *hours.key_arrays(keys), *(rows.numbers(values[m]) for m in measures)]
    with together() as send:
        if not windows:
            send(entries, params)
            return
        send(
            f"WITH e AS ({entries} RETURNING id, series_id, hour, currency) "
            'INSERT INTO metrics_ledgerhistogram (entry_id, measure, bounds_id, "window") '
            "SELECT e.id, i.measure, i.bounds_id, i.held::bigint[] FROM unnest(%s::bigint[], %s::timestamptz[], "
            "%s::text[], %s::smallint[], %s::bigint[], %s::text[]) "
            "AS i (series_id, hour, currency, measure, bounds_id, held) "
            "JOIN e ON e.series_id = i.series_id AND e.hour = i.hour AND e.currency = i.currency",
            [
                *params,
                *hours.key_arrays([key for key, _, _ in windows]),
                rows.literal(measure for _, measure, _ in windows),
                rows.literal(bounds for _, _, bounds in windows),
                rows.windows(windows.values()),
            ],
        )

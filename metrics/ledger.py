"""The only writer of usage: receipts, ledger entries and, in the same transaction, the hours that are their sums.

A posting is one statement a table, whatever the number of cells. A push takes no feed lock, it only adds; a statement
locks its feed, compares and posts the differences (architecture.md, 'The ledger is append-only').
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from itertools import islice

import msgspec
from django.db import connection, transaction
from django.utils import timezone
from django.utils.translation import gettext

from accounts.access import Asker
from metrics import behind, due, histogram, hours, posting, rows
from metrics.errors import RuleViolation
from metrics.identity import SeriesGone, SeriesIdentity, caches, series_ids, when_gone
from metrics.models import Backend, Feed, Receipt, Restatement, StatedWindow
from metrics.posting import Batch, PostedCell, bounds_id, gather
from metrics.rows import ADDITIVE_MEASURES
from metrics.together import together
from metrics.usage import COUNT_MEASURES, FeedKind
from metrics.windows import Window

# An hour that is stated again within these days is settling, not corrected.
RESTATED_AFTER = timedelta(days=3)
REVERSIBLE_FOR = timedelta(days=35)
REVERSIBLE = (FeedKind.PUSH, FeedKind.IMPORT, "reprice")
# No answer of a source is under way for longer than this.
STATED_KEPT_FOR = timedelta(days=7)
# First key of the two-key advisory locks on feeds; the second is the feed's id.
FEED_LOCK = 7301

_feeds: dict[tuple[str, int | None, str], Feed] = {}
caches.append(_feeds)


def feed(kind: FeedKind, backend: Backend | None = None, name: str = "") -> Feed:
    """The feed of this kind and source, made at first sight."""
    key = (str(kind), backend.pk if backend else None, name)
    found = _feeds.get(key)
    if found is None:
        found, _ = Feed.objects.get_or_create(kind=str(kind), backend=backend, name=name)
        kept = found
        transaction.on_commit(lambda: _feeds.__setitem__(key, kept))
    return found


def knows_feed(kind: FeedKind, backend_id: int) -> bool:
    """Whether this process has met the backend's feed."""
    return (str(kind), backend_id, "") in _feeds


def post(receipt: Receipt, feed: Feed, cells: Iterable[PostedCell]) -> Receipt:
    """Add the cells: one receipt, its entries and the hours they change, in one transaction.

    `receipt` may be unsaved, or one that has other feeds' entries already. Cells of the same series, hour and currency
    are added up. Raises ValueError for an unknown measure, money without a currency or an hour that is none, and
    SeriesGone where a series was deleted meanwhile.
    """
    batch = posting.gather(cells)
    # No savepoint: nobody goes on after a posting that failed.
    with transaction.atomic(savepoint=False):
        post_push(receipt, [(feed, batch)])
    return receipt


def post_push(receipt: Receipt, batches: Iterable[tuple[Feed, Batch]]) -> None:
    """Add what `gather` made, a feed each, in one round trip. Call it in a transaction. Raises SeriesGone."""
    batches = list(batches)
    is_behind = posting.has_many_histograms(batches)
    with together():
        save(receipt)
        for feed, batch in batches:
            posting.write(receipt, feed, batch, is_behind=is_behind)


def post_many(receipt: Receipt, feed: Feed, cells: Iterable[PostedCell], *, batch: int = 20_000) -> Receipt:
    """As `post`, for any number of cells: one transaction, written in batches. Build the days with `days.rebuild`."""
    waiting = iter(cells)
    is_behind: bool | None = None
    with transaction.atomic():
        save(receipt)
        while some := list(islice(waiting, batch)):
            gathered = posting.gather(some)
            if is_behind is None:
                # Of the first of them, for all of the receipt.
                is_behind = posting.has_many_histograms([(feed, gathered)])
            posting.write(receipt, feed, gathered, is_behind=is_behind)
    return receipt


def post_statement(
    *,
    receipt: Receipt,
    feed: Feed,
    window: Window,
    cells: Iterable[PostedCell],
    as_of: datetime,
    not_stated: Sequence[Window] = (),
) -> Receipt | None:
    """Post the differences between what a source states for a window and what its feed holds, both ways.

    Hours that the statement no longer names are compared with zero; hours that were stated with a later `as_of` are
    left alone, and so is what the feed holds of hours in `not_stated`, of which the source has nothing any more. Takes
    the feed's lock. None where nothing changed. Raises ValueError for a cell outside the window.
    """
    stated = posting.gather(cells)
    for _, hour, _ in stated.sums:
        if not window.start <= hour < window.end:
            raise ValueError(f"{hour} lies outside the stated window")
    # No savepoint, as in `post`.
    with transaction.atomic(savepoint=False):
        lock_feed(feed)
        later = stated_later(feed, window, as_of)
        held = _held(feed, window)
        posting.round(stated)
        difference = _difference(stated, held)
        if later:
            _leave_alone(difference, later)
        if not_stated:
            _leave_alone(difference, [(part.start, part.end) for part in not_stated], only=_known(held))
        remember_stated(feed, window, as_of)
        if not difference.sums:
            return None
        receipt.as_of = receipt.as_of or as_of
        receipt.window_start = receipt.window_start or window.start
        receipt.window_end = receipt.window_end or window.end
        save(receipt)
        posting.write(receipt, feed, difference)
        Restatement.objects.bulk_create(_restatements(receipt, difference, held, as_of))
    return receipt


def reverse(receipt: Receipt, *, by: Asker | None = None, note: str = "") -> Receipt:
    """Take a push or an import back: a new receipt with the opposite signs; both are void from then on.

    Raises RuleViolation: `not_reversible`, `already_reversed`, `too_old_to_reverse`.
    """
    with transaction.atomic():
        taken = Receipt.objects.select_for_update(of=("self",)).get(pk=receipt.pk)
        if taken.kind not in REVERSIBLE:
            raise RuleViolation("not_reversible", gettext("Only a push, an import or a repricing can be taken back."))
        if taken.is_void:
            raise RuleViolation("already_reversed", gettext("This receipt was taken back already."))
        if timezone.now() - taken.created_at > REVERSIBLE_FOR:
            raise RuleViolation("too_old_to_reverse", gettext("A receipt can be taken back for 35 days."))
        opposite = Receipt.objects.create(
            kind="reversal",
            reverses=taken,
            token=by.token if by else None,
            user=by.user if by else None,
            backend_id=taken.backend_id,
            workload_id=taken.workload_id,
            window_start=taken.window_start,
            window_end=taken.window_end,
            accepted=-taken.accepted,
            note=note[:300],
            is_void=True,
            is_demo=taken.is_demo,
        )
        behind.forget(taken)
        _write_opposite(taken, opposite)
        taken.is_void = True
        taken.save(update_fields=["is_void"])
        hours.sum_again(opposite.entries.values_list("series_id", "hour"))
        due.note_late_usage(taken.kind, opposite.entries.values_list("series_id", "hour"))
    receipt.is_void = True
    return opposite


def lock_feed(feed: Feed) -> None:
    """Wait for every other statement and counter of this feed; held until the transaction ends."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", [FEED_LOCK, feed.pk])


def save(receipt: Receipt) -> None:
    """Save a receipt that is new; one that holds another feed's entries already is left as it is."""
    if not receipt._state.adding:
        return
    if receipt.pk is None:
        receipt.save(force_insert=True)
        return
    # A push has its id already, so that its row goes with the rest.
    receipt.created_at = timezone.now()
    statement, names = _saving(has_id=True)
    with together() as send:
        send(statement, _values(receipt, names))
    receipt._state.adding, receipt._state.db = False, connection.alias


def save_at_once(receipt: Receipt) -> Callable[[], None]:
    """Save a new receipt within `at_once`, whose id the database takes; call what is returned after it to read it."""
    receipt.created_at = timezone.now()
    statement, names = _saving(has_id=False)
    with together() as send:
        saved = send(statement, _values(receipt, names))
    receipt._state.adding, receipt._state.db = False, connection.alias
    return lambda: setattr(receipt, "pk", saved.fetchone()[0])  # type: ignore[index]


def _values(receipt: Receipt, names: list[str]) -> list[object]:
    values = [getattr(receipt, name) for name in names]
    return [msgspec.json.encode(one).decode() if type(one) is list else one for one in values]


@lru_cache(maxsize=2)
def _saving(*, has_id: bool) -> tuple[str, list[str]]:
    """The statement that saves a receipt, and the attributes that it takes. Put together once: each push has one."""
    fields = [field for field in Receipt._meta.concrete_fields if has_id or not field.primary_key]
    # As text what has a length: a cast would cut what is too long, where the column refuses it.
    kinds = ["%s::" + str(field.db_type(connection)).replace("varchar", "text").partition("(")[0] for field in fields]
    return (
        f"INSERT INTO metrics_receipt ({', '.join(field.column for field in fields)}) VALUES ({', '.join(kinds)})"
        + ("" if has_id else " RETURNING id"),
        [field.attname for field in fields],
    )


# --- Statements -------------------------------------------------------------------------------------------------------


def _held(feed: Feed, window: Window) -> Batch:
    """What the feed's entries that are not void add up to in the window."""
    held = Batch()
    valid = (
        "FROM metrics_ledgerentry e JOIN metrics_receipt r ON r.id = e.receipt_id AND NOT r.is_void {} "
        "WHERE e.feed_id = %s AND e.hour >= %s AND e.hour < %s "
    )
    params: list[int | datetime] = [feed.pk, window.start, window.end]
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT e.series_id, e.hour, e.currency{rows.summed(ADDITIVE_MEASURES, 'e.')} "
            f"{valid.format('')} GROUP BY 1, 2, 3",
            params,
        )
        for series, hour, currency, *sums in cursor.fetchall():
            held.sums[series, hour, currency] = {
                name: int(value) if name in COUNT_MEASURES else value
                for name, value in zip(ADDITIVE_MEASURES, sums, strict=True)
                if value is not None
            }
        cursor.execute(
            'SELECT e.series_id, e.hour, e.currency, g.measure, g.bounds_id, histogram_sum(g."window") '
            f"{valid.format('JOIN metrics_ledgerhistogram g ON g.entry_id = e.id')} GROUP BY 1, 2, 3, 4, 5",
            params,
        )
        for series, hour, currency, measure, bounds, counts in cursor.fetchall():
            if counts:
                held.histograms[(series, hour, currency), measure, bounds] = counts
    return held


def _restatements(receipt: Receipt, difference: Batch, held: Batch, as_of: datetime) -> list[Restatement]:
    """Per series what differs in hours that the feed had stated already and that have settled since."""
    known = _known(held)
    found: dict[int, Restatement] = {}
    for (series, hour, currency), changes in difference.sums.items():
        if (series, hour) not in known or hour >= as_of - RESTATED_AFTER:
            continue
        row = found.setdefault(series, Restatement(receipt=receipt, series_id=series, first_hour=hour, last_hour=hour))
        row.first_hour, row.last_hour = min(row.first_hour, hour), max(row.last_hour, hour)
        money = changes.get("billed_cost", changes.get("estimated_cost"))
        if money is not None:
            row.amount, row.currency = (row.amount or Decimal(0)) + money, currency
    # Money that only moved from hour to hour within a series was not corrected.
    return [row for row in found.values() if row.amount is None or row.amount]


def _difference(stated: Batch, held: Batch) -> Batch:
    found = Batch()
    for key in stated.sums.keys() | held.sums.keys():
        now, before = stated.sums.get(key, {}), held.sums.get(key, {})
        changes: dict[str, int | Decimal] = {}
        for name in now.keys() | before.keys():
            change = now.get(name, 0) - before.get(name, 0)
            # A zero that was never stated before makes the measure known.
            if change or (name in now and name not in before):
                changes[name] = change
        if changes:
            found.sums[key] = changes
    for place in stated.histograms.keys() | held.histograms.keys():
        window = histogram.subtract(stated.histograms.get(place, ()), held.histograms.get(place, ()))
        if window:
            found.histograms[place] = window
            found.sums.setdefault(place[0], {})
    return found


def _known(held: Batch) -> set[tuple[int, datetime]]:
    return {(series, hour) for series, hour, _ in held.sums}


def _leave_alone(
    difference: Batch, spans: list[tuple[datetime, datetime]], *, only: set[tuple[int, datetime]] | None = None
) -> None:
    """Post nothing in these hours, or nothing in those of them that are in `only`."""

    def is_left(series: int, hour: datetime) -> bool:
        return any(start <= hour < end for start, end in spans) and (only is None or (series, hour) in only)

    for key in [key for key in difference.sums if is_left(key[0], key[1])]:
        del difference.sums[key]
    for place in [place for place in difference.histograms if is_left(place[0][0], place[0][1])]:
        del difference.histograms[place]


def stated_later(feed: Feed, window: Window, as_of: datetime) -> list[tuple[datetime, datetime]]:
    """Parts of the window, [start, end), that the feed has stated with a later `as_of`. Lock the feed before."""
    later = StatedWindow.objects.filter(feed=feed, end__gt=window.start, start__lt=window.end, as_of__gt=as_of)
    return list(later.values_list("start", "end"))


def remember_stated(feed: Feed, window: Window, as_of: datetime) -> None:
    """Keep when these hours were stated. Windows that this one covers, and those of last week, are needed no more."""
    now: dict[str, int | datetime] = {
        "feed": feed.pk,
        "start": window.start,
        "end": window.end,
        "as_of": as_of,
        "old": as_of - STATED_KEPT_FOR,
    }
    with connection.cursor() as cursor:
        cursor.execute(
            "WITH gone AS (DELETE FROM metrics_statedwindow WHERE feed_id = %(feed)s AND (as_of < %(old)s "
            'OR (start >= %(start)s AND "end" <= %(end)s AND as_of <= %(as_of)s))) '
            'INSERT INTO metrics_statedwindow (feed_id, start, "end", as_of) '
            "SELECT %(feed)s, %(start)s, %(end)s, %(as_of)s WHERE %(start)s < %(end)s",
            now,
        )


# --- Reversal ---------------------------------------------------------------------------------------------------------


def _write_opposite(taken: Receipt, opposite: Receipt) -> None:
    negated = "".join(f", -SUM({name})" for name in ADDITIVE_MEASURES)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT feed_id, (SELECT f.id FROM metrics_feed f WHERE f.id = feed_id FOR KEY SHARE) FROM ("
            "SELECT DISTINCT feed_id FROM metrics_ledgerentry WHERE receipt_id = %s) t",
            [taken.pk],
        )
        if any(held is None for _, held in cursor.fetchall()):
            raise when_gone()
        cursor.execute(
            "INSERT INTO metrics_ledgerentry "
            f"(receipt_id, feed_id, series_id, hour, currency{rows.columns(ADDITIVE_MEASURES)}) "
            f"SELECT %s::bigint, feed_id, series_id, hour, currency{negated} FROM metrics_ledgerentry "
            "WHERE receipt_id = %s GROUP BY feed_id, series_id, hour, currency",
            [opposite.pk, taken.pk],
        )
        cursor.execute(
            'INSERT INTO metrics_ledgerhistogram (entry_id, measure, bounds_id, "window") '
            "SELECT n.id, t.measure, t.bounds_id, t.held[1] || ARRAY("
            "SELECT -count FROM unnest(t.held[2:]) WITH ORDINALITY AS u (count, place) ORDER BY place) FROM ("
            "SELECT e.feed_id, e.series_id, e.hour, e.currency, g.measure, g.bounds_id, "
            'histogram_sum(g."window") AS held FROM metrics_ledgerentry e '
            "JOIN metrics_ledgerhistogram g ON g.entry_id = e.id WHERE e.receipt_id = %s GROUP BY 1, 2, 3, 4, 5, 6"
            ") t JOIN metrics_ledgerentry n ON n.receipt_id = %s AND n.feed_id = t.feed_id "
            "AND n.series_id = t.series_id AND n.hour = t.hour AND n.currency = t.currency WHERE t.held <> '{}'",
            [taken.pk, opposite.pk],
        )


__all__ = [
    "Batch",
    "PostedCell",
    "SeriesGone",
    "SeriesIdentity",
    "bounds_id",
    "feed",
    "gather",
    "lock_feed",
    "post",
    "post_many",
    "post_push",
    "post_statement",
    "remember_stated",
    "reverse",
    "save",
    "series_ids",
    "stated_later",
]

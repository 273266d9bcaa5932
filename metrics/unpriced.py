"""Usage that had no price when it came: tried again each night for 35 days, and posted once (measures.md, Money)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet, Sum

from metrics import ledger, pricing
from metrics.deadlocks import done_again
from metrics.models import Backend, Feed, LedgerEntry, Receipt, UsageHour
from metrics.usage import FeedKind, SeriesKind

TRIED_FOR = timedelta(days=35)
# The feed beside the one of a pull's own estimates.
FEED_NAME = "priced later"
# Money that other feeds bring for an hour, so that its tokens are paid for already.
_PAYING = (FeedKind.ESTIMATE, FeedKind.CAPACITY, FeedKind.STATEMENT, FeedKind.IMPORT)
_TOKENS = ("input_tokens", "cached_input_tokens", "cache_write_input_tokens", "output_tokens")

HourKey = tuple[int, datetime]


def price_unpriced_usage(now: datetime) -> int:
    """Posts an estimate for each hour whose tokens have no cost and now have a price; returns how many hours."""
    waiting = _without_cost().filter(hour__gte=now - TRIED_FOR)
    backend_ids = waiting.values_list("series__backend_id", flat=True).distinct()
    posted = 0
    for backend in Backend.objects.filter(pk__in=backend_ids, is_demo=False).order_by("pk"):
        posted += done_again(partial(_price, backend, waiting))
    return posted


@transaction.atomic
def _price(backend: Backend, waiting: QuerySet[UsageHour]) -> int:
    posted = 0
    # What is pulled is estimated on the feed of the pull's own estimates, which compares it when it reads again.
    for name, is_pushed in (("", False), (FEED_NAME, True)):
        feed = ledger.feed(FeedKind.ESTIMATE, backend, name)
        ledger.lock_feed(feed)
        rows = waiting.filter(series__backend=backend, series__is_pushed=is_pushed)
        posted += _post(feed, backend, {(row.series_id, row.hour): row for row in rows}, held={})
    return posted


def settle(pairs: Iterable[HourKey]) -> None:
    """Brings these hours' later estimates in line with their tokens; call it after a push was taken back."""
    wanted = set(pairs)
    entries = LedgerEntry.objects.filter(
        feed__kind=FeedKind.ESTIMATE, feed__name=FEED_NAME, series_id__in={series_id for series_id, _ in wanted}
    ).filter(hour__in={hour for _, hour in wanted})
    by_feed: dict[int, dict[HourKey, tuple[str, Decimal]]] = defaultdict(dict)
    for feed_id, series_id, hour, currency, amount in entries.values_list(
        "feed", "series", "hour", "currency"
    ).annotate(amount=Sum("estimated_cost")):
        if (series_id, hour) in wanted and amount:
            by_feed[feed_id][series_id, hour] = (currency, amount)
    for feed in Feed.objects.filter(pk__in=by_feed).select_related("backend").order_by("pk"):
        held = by_feed[feed.pk]
        rows = _usage().filter(series_id__in={series_id for series_id, _ in held}, hour__in={hour for _, hour in held})
        if feed.backend is not None:
            ledger.lock_feed(feed)
            found = {(row.series_id, row.hour): row for row in rows if (row.series_id, row.hour) in held}
            _post(feed, feed.backend, found, held)


def _usage() -> QuerySet[UsageHour]:
    """Hours' parts without money: traffic that nothing stated a cost for."""
    return UsageHour.objects.filter(currency="", series__kind=SeriesKind.USAGE).select_related("series")


def _without_cost() -> QuerySet[UsageHour]:
    paid = LedgerEntry.objects.filter(
        series=OuterRef("series"), hour=OuterRef("hour"), feed__kind__in=_PAYING, receipt__is_void=False
    ).filter(Q(estimated_cost__isnull=False) | Q(billed_cost__isnull=False))
    return _usage().filter(~Exists(paid), input_tokens__isnull=False)


def _post(
    feed: Feed, backend: Backend, rows: dict[HourKey, UsageHour], held: dict[HourKey, tuple[str, Decimal]]
) -> int:
    cells: list[ledger.PostedCell] = []
    refs: set[str] = set()
    for key in sorted(rows.keys() | held.keys()):
        series_id, hour = key
        estimate = _estimate(backend, rows[key]) if key in rows else None
        old_currency, old = held.get(key, ("", Decimal(0)))
        changes: dict[str, Decimal] = defaultdict(Decimal)
        changes[old_currency] -= old
        if estimate is not None:
            changes[estimate.currency] += estimate.amount
            refs.add(estimate.price_ref)
        cells += [
            ledger.PostedCell(series_id, hour, {"estimated_cost": amount}, currency=currency)
            for currency, amount in changes.items()
            if amount
        ]
    if cells:
        note = f"Priced by {'; '.join(sorted(refs))}" if refs else "The tokens of this estimate were taken back"
        receipt = Receipt(
            kind=FeedKind.ESTIMATE,
            backend=backend,
            accepted=len(cells),
            window_start=min(cell.hour for cell in cells),
            window_end=max(cell.hour for cell in cells) + timedelta(hours=1),
            note=note[:300],
        )
        ledger.post(receipt, feed, cells)
    return len(cells)


def _estimate(backend: Backend, row: UsageHour) -> pricing.Estimate | None:
    if pricing.has_reserved_capacity(backend.pk, row.hour.astimezone(settings.REPORTING_ZONE).date(), row.series.model):
        return None
    tokens: dict[str, int | Decimal] = {name: getattr(row, name) for name in _TOKENS if getattr(row, name) is not None}
    if not any(tokens.values()):
        return None
    one = row.series
    return pricing.estimate(
        one.provider,
        one.model,
        one.service_tier,
        row.hour.astimezone(UTC).date(),
        tokens,
        backend_id=backend.pk,
        operation=one.operation,
    )

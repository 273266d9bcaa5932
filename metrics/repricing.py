"""Prices usage again at the prices now in force, as one receipt of differences (measures.md, Money).

An estimate is posted once and never changed otherwise. What a source or a sender stated, what a rate card pays, and
pushed usage whose price depends on the size of each request are left as they are, and counted.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from functools import partial
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import BooleanField, Case, F, Max, Q, Sum, Value, When
from django.utils.translation import gettext_lazy, ngettext

from accounts.access import Asker
from metrics import ledger, pricing
from metrics.deadlocks import done_again
from metrics.ledger import PostedCell
from metrics.models import Backend, LedgerEntry, Receipt, Restatement, Series
from metrics.money import STEP
from metrics.usage import FeedKind, SeriesKind
from metrics.windows import Window
from web import wording

KIND = "reprice"
# The feed of pushed usage's differences; those of what is pulled are on the feed of the pull's own estimates.
PUSHED_FEED = "repriced"
STEP_OF_WINDOW = timedelta(days=31)
PRICED_BY = ("input_tokens", "cached_input_tokens", "cache_write_input_tokens", "output_tokens")
# Why hours were left as they are.
STATED, RESERVED, STEPPED, NOT_PRICED = "stated", "reserved", "stepped", "not_priced"
LEFT_WORDS = {
    STATED: gettext_lazy("their source or sender stated the cost"),
    RESERVED: gettext_lazy("a rate card pays for them"),
    STEPPED: gettext_lazy("their price depends on the size of each request, which is not kept"),
    NOT_PRICED: gettext_lazy("there is no price for their model"),
}
FROM_PUSHES = (FeedKind.PUSH,)

HourKey = tuple[int, datetime]


@dataclass(slots=True)
class _Hour:
    """What a series' hour was estimated at, and the tokens that this was for."""

    tokens: dict[str, int] = field(default_factory=dict)
    held: dict[str, Decimal] = field(default_factory=lambda: defaultdict(Decimal))
    entries: int = 0
    is_stated: bool = False
    has_push_estimate: bool = False


@dataclass(slots=True)
class Repriced:
    """What pricing a backend's usage again changes. `amounts`: by currency. `left`: hours left alone, by reason.

    `models`: (model, currency) -> difference. `receipt`: None where nothing changed, or nothing was posted.
    """

    backend: Backend
    hours: int = 0
    # Plain ones: a template would ask a defaultdict for its items by name.
    amounts: dict[str, Decimal] = field(default_factory=dict)
    models: dict[tuple[str, str], Decimal] = field(default_factory=dict)
    left: Counter[str] = field(default_factory=Counter)
    first_steps: set[str] = field(default_factory=set)
    refs: set[str] = field(default_factory=set)
    receipt: Receipt | None = None

    def add(self, model: str, currency: str, amount: Decimal) -> None:
        self.amounts[currency] = self.amounts.get(currency, Decimal(0)) + amount
        self.models[model, currency] = self.models.get((model, currency), Decimal(0)) + amount

    @property
    def left_in_words(self) -> list[str]:
        return [
            ngettext("%(count)s hour: %(why)s", "%(count)s hours: %(why)s", count)
            % {"count": wording.count(count), "why": LEFT_WORDS[reason]}
            for reason, count in sorted(self.left.items())
        ]


def window_of(from_on: date, until_on: date) -> Window:
    """The hours of local days, the last one included."""
    start, end = (
        datetime.combine(day, time(), tzinfo=settings.REPORTING_ZONE).astimezone(UTC)
        for day in (from_on, until_on + timedelta(days=1))
    )
    return Window(start.replace(minute=0), end.replace(minute=0))


def reprice(
    backend: Backend,
    window: Window,
    *,
    model: str = "",
    by: Asker | None = None,
    note: str = "",
    is_trial: bool = False,
) -> Repriced:
    """Post what the backend's usage of the window costs now less what it was estimated at; of one model, or of all.

    `is_trial`: only say what would be posted. One receipt and one transaction.
    """
    return done_again(partial(_reprice, backend, window, model=model, by=by, note=note, is_trial=is_trial))


def settle_pushes(pairs: Iterable[HourKey]) -> None:
    """Price hours again that had been priced again, after a push to them was taken back."""
    wanted = set(pairs)
    repriced = LedgerEntry.objects.filter(
        feed__kind=FeedKind.ESTIMATE,
        feed__name=PUSHED_FEED,
        series__in={series_id for series_id, _ in wanted},
        hour__in={hour for _, hour in wanted},
        receipt__is_void=False,
    )
    keys = {key for key in repriced.values_list("series_id", "hour") if key in wanted}
    by_backend: dict[int, set[HourKey]] = defaultdict(set)
    owners = dict(Series.objects.filter(pk__in={key[0] for key in keys}).values_list("pk", "backend_id"))
    for key in keys:
        by_backend[owners[key[0]]].add(key)
    for backend in Backend.objects.filter(pk__in=by_backend).order_by("pk"):
        hours = by_backend[backend.pk]
        window = Window(min(hour for _, hour in hours), max(hour for _, hour in hours) + timedelta(hours=1))
        _reprice(backend, window, only=hours, note="A push of these hours was taken back")


def restated_since(receipt: Receipt) -> int:
    """How many hours of a repricing have been estimated otherwise since, so that taking it back would be wrong."""
    own = LedgerEntry.objects.filter(receipt=receipt)
    latest = (
        LedgerEntry.objects.filter(
            feed__in=own.values("feed"), series__in=own.values("series"), hour__in=own.values("hour")
        )
        .values("feed", "series", "hour")
        .annotate(last=Max("receipt_id"))
        .filter(last__gt=receipt.pk)
    )
    keys = set(own.values_list("feed", "series", "hour"))
    return sum(1 for row in latest if (row["feed"], row["series"], row["hour"]) in keys)


@transaction.atomic
def _reprice(
    backend: Backend,
    window: Window,
    *,
    model: str = "",
    by: Asker | None = None,
    note: str = "",
    is_trial: bool = False,
    only: set[HourKey] | None = None,
) -> Repriced:
    pulled, pushed = (ledger.feed(FeedKind.ESTIMATE, backend, name) for name in ("", PUSHED_FEED))
    if not is_trial:
        for feed in sorted((pulled, pushed), key=lambda feed: feed.pk):
            ledger.lock_feed(feed)
    found = Repriced(backend)
    series = Series.objects.filter(backend=backend, kind=SeriesKind.USAGE)
    series = series.filter(model=model) if model else series
    if only is not None:
        series = series.filter(pk__in={series_id for series_id, _ in only})
    every = series.in_bulk()
    receipt = Receipt(
        kind=KIND,
        backend=backend,
        user=by.user if by else None,
        token=by.token if by else None,
        window_start=window.start,
        window_end=window.end,
        is_demo=backend.is_demo,
    )
    restated: dict[tuple[int, str], Restatement] = {}
    for step in _steps(window):
        cells: dict[bool, list[PostedCell]] = {False: [], True: []}
        for (series_id, hour), one in sorted(_hours(every, step).items()):
            if only is not None and (series_id, hour) not in only:
                continue
            changes = _changes(found, backend, every[series_id], hour, one)
            if not changes:
                continue
            found.hours += 1
            for currency, amount in changes.items():
                found.add(every[series_id].model, currency, amount)
                cells[every[series_id].is_pushed].append(
                    PostedCell(series_id, hour, {"estimated_cost": amount}, currency=currency)
                )
                _note(restated, receipt, series_id, hour, currency, amount)
        if not is_trial:
            for is_pushed, some in cells.items():
                if some:
                    ledger.post(receipt, pushed if is_pushed else pulled, some)
    if not is_trial and found.hours:
        receipt.accepted, receipt.note = found.hours, _told(found, note)
        receipt.save(update_fields=["accepted", "note"])
        Restatement.objects.bulk_create(restated.values())
        found.receipt = receipt
    return found


def _steps(window: Window) -> Iterator[Window]:
    start = window.start
    while start < window.end:
        yield Window(start, min(start + STEP_OF_WINDOW, window.end))
        start += STEP_OF_WINDOW


def _hours(every: dict[int, Series], window: Window) -> dict[HourKey, _Hour]:
    is_estimate = Q(feed__kind=FeedKind.ESTIMATE)
    priced_by_us = Q(feed__kind__in=FROM_PUSHES, receipt__note__startswith="Priced by", receipt__stated_costs=0)
    rows = (
        LedgerEntry.objects.filter(
            series__in=list(every), hour__gte=window.start, hour__lt=window.end, receipt__is_void=False
        )
        .filter(is_estimate | Q(feed__kind__in=(FeedKind.USAGE, *FROM_PUSHES)))
        .annotate(
            is_estimate=Case(
                When(is_estimate, then=Value(value=True)), default=Value(value=False), output_field=BooleanField()
            ),
            is_ours=Case(
                When(priced_by_us, then=Value(value=True)), default=Value(value=False), output_field=BooleanField()
            ),
            has_cost=Case(
                When(estimated_cost__isnull=False, then=Value(value=True)),
                default=Value(value=False),
                output_field=BooleanField(),
            ),
        )
        .values("series_id", "hour", "currency", "is_estimate", "is_ours", "has_cost")
        .annotate(
            cost=Sum("estimated_cost"), count=Sum("postings"), **{f"sum_{name}": Sum(F(name)) for name in PRICED_BY}
        )
    )
    found: dict[HourKey, _Hour] = defaultdict(_Hour)
    for found_row in rows:
        row: dict[str, Any] = dict(found_row)
        one = found[row["series_id"], row["hour"]]
        if not row["is_estimate"] and row["has_cost"] and not row["is_ours"]:
            one.is_stated = True
            continue
        if row["has_cost"]:
            one.held[row["currency"]] += row["cost"] or Decimal(0)
            one.entries += row["count"]
            one.has_push_estimate |= row["is_ours"]
        for name in PRICED_BY:
            if not row["is_estimate"] and row[f"sum_{name}"] is not None:
                one.tokens[name] = one.tokens.get(name, 0) + int(row[f"sum_{name}"])
    return found


def _changes(found: Repriced, backend: Backend, series: Series, hour: datetime, one: _Hour) -> dict[str, Decimal]:
    held = {currency: amount for currency, amount in one.held.items() if amount}
    if not any(one.tokens.values()):
        # Everything that this was for was taken back.
        return {currency: -amount for currency, amount in held.items()} if not one.is_stated else {}
    if pricing.has_reserved_capacity(backend.pk, hour.astimezone(settings.REPORTING_ZONE).date(), series.model):
        found.left[RESERVED] += 1
        return {}
    if one.is_stated and not series.is_pushed:
        found.left[STATED] += 1
        return {}
    now = pricing.estimate(
        series.provider,
        series.model,
        series.service_tier,
        hour.astimezone(UTC).date(),
        one.tokens,
        backend_id=backend.pk,
        operation=series.operation,
    )
    if now is None:
        found.left[NOT_PRICED] += 1
        return {}
    if one.has_push_estimate and now.is_first_step:
        found.left[STEPPED] += 1
        return {}
    if one.is_stated:
        found.left[STATED] += 1
    if now.is_first_step:
        found.first_steps.add(series.model)
    found.refs.add(now.price_ref)
    changes = {currency: -amount for currency, amount in held.items()}
    changes[now.currency] = changes.get(now.currency, Decimal(0)) + now.amount
    # Each batch was rounded at the tenth place when it came.
    slack = STEP * one.entries
    return {currency: amount for currency, amount in changes.items() if abs(amount) > slack}


def _note(
    restated: dict[tuple[int, str], Restatement],
    receipt: Receipt,
    series_id: int,
    hour: datetime,
    currency: str,
    amount: Decimal,
) -> None:
    row = restated.setdefault(
        (series_id, currency),
        Restatement(
            receipt=receipt,
            series_id=series_id,
            first_hour=hour,
            last_hour=hour,
            amount=Decimal(0),
            currency=currency,
        ),
    )
    row.first_hour, row.last_hour = min(row.first_hour, hour), max(row.last_hour, hour)
    row.amount = (row.amount or Decimal(0)) + amount


def _told(found: Repriced, note: str) -> str:
    parts = [note.strip().rstrip("."), f"Priced again by {'; '.join(sorted(found.refs))}" if found.refs else ""]
    if found.first_steps:
        parts.append(f"First price step, since it depends on each request: {', '.join(sorted(found.first_steps))}")
    return ". ".join(part for part in parts if part)[:300]

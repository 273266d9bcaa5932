"""Posts what reserved capacity costs by the hour, used or not, onto the series that count (measures.md, Money)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from functools import partial

from django.conf import settings
from django.db import transaction
from django.db.models import Q, Sum

from metrics import counting, ledger
from metrics.deadlocks import done_again
from metrics.identity import SeriesIdentity, series_ids
from metrics.idle import allocate_as_busy
from metrics.ledger import PostedCell
from metrics.models import Backend, LedgerEntry, RateCard, Receipt, Series, UsageHour
from metrics.money import split
from metrics.settling import counting_series, other_charges
from metrics.sharing import SECONDS_STEP, HourSplit, Served, hour_cost, split_hour, weights_of
from metrics.usage import FeedKind, MeasuredAt, SeriesKey, SeriesKind
from metrics.windows import Window

COMPARED_AGAIN = timedelta(hours=72)
SECONDS_OF_AN_HOUR = Decimal(3600)
# Hours read and posted in one transaction.
STEP_OF_WINDOW = timedelta(days=7)


def post_capacity(now: datetime, *, backend_ids: Iterable[int] | None = None, since: datetime | None = None) -> int:
    """Post held capacity up to the last complete hour, comparing the last 72 hours (or all `since`) again.

    Returns how many receipts that made.
    """
    end = now.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    start = min(since or end, end - COMPARED_AGAIN).astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    backends = Backend.objects.filter(Q(rate_cards__isnull=False) | Q(feeds__kind=FeedKind.CAPACITY)).distinct()
    if backend_ids is not None:
        backends = backends.filter(pk__in=backend_ids)
    else:
        # The demo's time has stopped: nothing was served since, and nothing is held.
        backends = backends.filter(is_demo=False)
    made = 0
    for backend in backends.order_by("pk"):
        step = min(start, _stranded_since(backend) or start)
        while step < end:
            window = Window(step, min(step + STEP_OF_WINDOW, end))
            made += done_again(partial(_post_window, backend, window, now)) is not None
            step = window.end
        if settings.IDLE_ALLOCATION == "as_busy":
            _allocate_idle(backend, counting.local_day(start), counting.local_day(now))
    return made


def follow_busy(since: date, now: datetime) -> None:
    """Have idle capacity follow its busy part again from the month of a local day on, where allocations changed."""
    if settings.IDLE_ALLOCATION != "as_busy":
        return
    rated = Backend.objects.filter(is_demo=False, series__kind=SeriesKind.IDLE).distinct()
    for backend in rated.order_by("pk"):
        posted = LedgerEntry.objects.filter(feed__kind=FeedKind.CAPACITY, feed__backend=backend)
        first = posted.order_by("hour").values_list("hour", flat=True).first()
        if first is not None:
            _allocate_idle(backend, max(since, counting.local_day(first)), counting.local_day(now))


def _allocate_idle(backend: Backend, since: date, today: date) -> None:
    series = counting_series(backend)
    paid = [pk for pk, one in series.items() if backend.pk in (one.backend_id, one.through_id)]
    paid += _served_by_capacity_alone(backend, series)
    allocate_as_busy(backend, idle_series(backend), since, today, paid=paid)


def _post_window(backend: Backend, window: Window, now: datetime) -> Receipt | None:
    cards = list(backend.rate_cards.order_by("valid_from_on"))
    with transaction.atomic():
        feed = ledger.feed(FeedKind.CAPACITY, backend)
        series = counting_series(backend)
        served = _served(backend, series, window)
        measured_wh = _energy(backend, window)
        cells = _Cells(backend, series, window)
        for hour in window.hours():
            card = _card_on(cards, counting.local_day(hour))
            if card is None or (card.while_up and hour not in served):
                continue
            cost = hour_cost(card, hour, measured_wh=measured_wh.get(hour), zone=settings.REPORTING_ZONE)
            held = (card.units * SECONDS_OF_AN_HOUR).quantize(SECONDS_STEP)
            own, others = served.get(hour, ([], []))
            parts = split_hour(cost, held, own or others, input_weight=Decimal(settings.INPUT_TOKEN_WEIGHT))
            cells.add(hour, card.currency, parts, others)
        receipt = Receipt(
            kind=FeedKind.CAPACITY,
            backend=backend,
            as_of=now,
            window_start=window.start,
            window_end=window.end,
            is_demo=backend.is_demo,
        )
        return ledger.post_statement(receipt=receipt, feed=feed, window=window, cells=cells.cells(), as_of=now)


class _Cells:
    """Collects an hour's parts, passing on those of series that another source counts."""

    def __init__(self, backend: Backend, series: Mapping[int, Series], window: Window) -> None:
        self.backend, self.series = backend, series
        self.money: dict[tuple[int, datetime, str], Decimal] = defaultdict(Decimal)
        self.held: dict[tuple[int, datetime], Decimal] = defaultdict(Decimal)
        self.idle_busy: dict[datetime, Decimal] = {}
        self.idle_id = idle_series(backend)
        own = [pk for pk, one in series.items() if backend.pk in (one.backend_id, one.through_id)]
        self.priced = _token_estimates([*own, *_served_by_capacity_alone(backend, series)], window)

    def add(self, hour: datetime, currency: str, parts: HourSplit, others: Sequence[Served]) -> None:
        """`others`: what the sources that count for this backend's traffic served in the hour."""
        self.money[self.idle_id, hour, currency] += parts.idle_amount
        self.held[self.idle_id, hour] += parts.idle_held_seconds
        if parts.idle_busy_seconds is not None:
            self.idle_busy[hour] = parts.idle_busy_seconds
        for share in parts.busy:
            is_counted = _counts(self.series[share.series_id], hour)
            if is_counted:
                self.money[share.series_id, hour, currency] += share.amount
            else:
                self._pass_on(share.series_id, share.amount, hour, currency, others)
            if share.held_seconds is not None:
                # Utilisation is read from what counts: of a series that does not, the idle one keeps the seconds.
                self.held[share.series_id if is_counted else self.idle_id, hour] += share.held_seconds
                if not is_counted:
                    self.idle_busy[hour] = self.idle_busy.get(hour, Decimal(0)) + share.held_seconds

    def _pass_on(
        self, series_id: int, amount: Decimal, hour: datetime, currency: str, others: Sequence[Served]
    ) -> None:
        name = counting.model_name(self.series[series_id].model)
        same = [row for row in others if counting.model_name(row.model) == name]
        weights = weights_of(same, Decimal(settings.INPUT_TOKEN_WEIGHT))
        if weights is None:
            self.money[other_charges(self.backend), hour, currency] += amount
            return
        for row, part in zip(same, split(amount, weights), strict=True):
            self.money[row.series_id, hour, currency] += part

    def cells(self) -> list[PostedCell]:
        # Tokens served by reserved capacity are not priced again: what they were estimated at is taken off.
        for series_id, hour in {(series_id, hour) for series_id, hour, _ in self.money}:
            for priced_in, estimate in self.priced.get((series_id, hour), ()):
                self.money[series_id, hour, priced_in] -= estimate
        found = [
            PostedCell(series_id, hour, {"estimated_cost": amount}, currency=currency)
            for (series_id, hour, currency), amount in self.money.items()
        ]
        for (series_id, hour), seconds in self.held.items():
            sums: dict[str, int | Decimal] = {"gpu_held_seconds": seconds}
            if series_id == self.idle_id and hour in self.idle_busy:
                sums["gpu_busy_seconds"] = self.idle_busy[hour]
            found.append(PostedCell(series_id, hour, sums))
        return found


def idle_series(backend: Backend) -> int:
    """Return the id of the series of the capacity that this backend held and did not use."""
    key = SeriesKey(provider=backend.provider, model="", operation="idle", kind=SeriesKind.IDLE)
    identity = SeriesIdentity(key=key, backend_id=backend.pk, measured_at=MeasuredAt(backend.measured_at))
    return series_ids([identity], is_demo=backend.is_demo)[identity]


def _stranded_since(backend: Backend) -> datetime | None:
    """The first hour whose cost lies on a series that no longer counts: a link made since has to move it."""
    hours: list[datetime] = []
    for series in Series.objects.filter(uncounted_from_on__isnull=False, entries__feed__backend=backend).distinct():
        first = datetime.combine(series.uncounted_from_on, time(), tzinfo=settings.REPORTING_ZONE)  # type: ignore[arg-type]
        stranded = (
            series.entries.filter(feed__kind=FeedKind.CAPACITY, feed__backend=backend, hour__gte=first)
            .values("hour", "currency")
            .annotate(total=Sum("estimated_cost"))
            .filter(total__gt=0)
            .order_by("hour")
            .values_list("hour", flat=True)
        )
        hours += stranded[:1]
    return min(hours, default=None)


def _counts(series: Series, hour: datetime) -> bool:
    return series.uncounted_from_on is None or counting.local_day(hour) < series.uncounted_from_on


def _served(
    backend: Backend, series: Mapping[int, Series], window: Window
) -> dict[datetime, tuple[list[Served], list[Served]]]:
    """What was served in each hour: as the backend itself reports it, and as the linked sources that count do."""
    by_hour: dict[datetime, dict[int, dict[str, Decimal]]] = defaultdict(lambda: defaultdict(dict))
    rows = UsageHour.objects.filter(series__in=series, hour__gte=window.start, hour__lt=window.end)
    names = ("gpu_busy_seconds", "input_tokens", "output_tokens", "requests")
    for row in rows.order_by("hour", "series_id").values("series_id", "hour", *names):
        there = by_hour[row["hour"]][row["series_id"]]
        for name in names:
            if row[name] is not None:
                there[name] = there.get(name, Decimal(0)) + row[name]
    found: dict[datetime, tuple[list[Served], list[Served]]] = {}
    for hour, by_series in by_hour.items():
        own, others = found.setdefault(hour, ([], []))
        for series_id, amounts in by_series.items():
            one = series[series_id]
            if not amounts:
                continue
            if one.backend_id == backend.pk and not one.is_pushed:
                own.append(Served(series_id, one.model, **amounts))
            elif _counts(one, hour):
                others.append(Served(series_id, one.model, **amounts))
    return found


def _energy(backend: Backend, window: Window) -> dict[datetime, Decimal]:
    rows = (
        UsageHour.objects.filter(
            series__backend=backend, hour__gte=window.start, hour__lt=window.end, energy_wh__isnull=False
        )
        .values("hour")
        .annotate(total=Sum("energy_wh"))
        .values_list("hour", "total")
    )
    return dict(rows)


def _served_by_capacity_alone(backend: Backend, series: Mapping[int, Series]) -> list[int]:
    """The gateway's series whose tokens this backend's capacity pays, so that it takes their estimates off.

    Where a backend without a rate card stands behind the same gateway and serves the same model, nobody can tell whose
    tokens they are, and their estimates stay. Of several with rate cards the first one takes them off, once.
    """
    if backend.behind_id is None:
        return []
    gateways = counting.gateways_of(backend)
    ids = _behind(gateways) - set(gateways)
    beside = Series.objects.filter(backend__in=ids, kind=SeriesKind.USAGE).exclude(backend=backend)
    rated = set(RateCard.objects.filter(backend__in=ids).values_list("backend_id", flat=True))
    others: dict[str, set[int]] = defaultdict(set)
    for model, pk in beside.values_list("model", "backend_id"):
        others[counting.model_name(model)].add(pk)
    found = []
    for pk, one in series.items():
        if backend.pk not in (one.backend_id, one.through_id):
            served_by = others[counting.model_name(one.model)]
            if served_by <= rated and backend.pk < min(served_by, default=backend.pk + 1):
                found.append(pk)
    return found


def _behind(gateways: Iterable[int]) -> set[int]:
    """Every backend that stands behind one of these, directly or not."""
    found: set[int] = set()
    while more := set(
        Backend.objects.filter(behind__in={*gateways, *found}).exclude(pk__in=found).values_list("pk", flat=True)
    ):
        found |= more
    return found


def _token_estimates(
    series_ids_: Iterable[int], window: Window
) -> dict[tuple[int, datetime], list[tuple[str, Decimal]]]:
    """What the tokens of these series were estimated at, by whoever priced them."""
    rows = (
        LedgerEntry.objects.filter(
            series__in=list(series_ids_),
            hour__gte=window.start,
            hour__lt=window.end,
            estimated_cost__isnull=False,
            receipt__is_void=False,
        )
        .exclude(feed__kind=FeedKind.CAPACITY)
        .values("series_id", "hour", "currency")
        .annotate(amount=Sum("estimated_cost"))
    )
    found: dict[tuple[int, datetime], list[tuple[str, Decimal]]] = defaultdict(list)
    for row in rows:
        if row["amount"]:
            found[row["series_id"], row["hour"]].append((row["currency"], row["amount"]))
    return found


def _card_on(cards: Sequence[RateCard], on: date) -> RateCard | None:
    for card in reversed(cards):
        if card.valid_from_on <= on and (card.valid_until_on is None or on < card.valid_until_on):
            return card
    return None

"""Posts what reserved capacity costs by the hour, used or not, onto the series that count (measures.md, Money)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from functools import partial

from django.conf import settings
from django.db import transaction
from django.db.models import Max, Sum

from metrics import counting, ledger
from metrics.deadlocks import done_again
from metrics.due import COMPARED_AGAIN, holds_capacity
from metrics.identity import SeriesIdentity, series_ids
from metrics.idle import allocate_as_busy
from metrics.ledger import PostedCell
from metrics.machine import MachineHour, busy_by_series, energy, machine_hours
from metrics.models import Backend, CapacityDue, LedgerEntry, RateCard, Receipt, Series, StatedWindow, UsageHour
from metrics.money import split
from metrics.settling import counting_series, other_charges
from metrics.sharing import SECONDS_STEP, HourSplit, Served, hour_cost, split_hour, weights_of, with_traffic
from metrics.usage import FeedKind, MeasuredAt, SeriesKey, SeriesKind
from metrics.windows import Window, hour_of, start_of_day

SECONDS_OF_AN_HOUR = Decimal(3600)
# Hours read and posted in one transaction.
STEP_OF_WINDOW = timedelta(days=7)


def post_capacity(now: datetime, *, backend_ids: Iterable[int] | None = None, since: datetime | None = None) -> int:
    """Post held capacity up to the last complete hour, comparing the 72 hours before what was posted last again.

    And all `since`, where it is given, and the hours that are noted as due: usage that came late, a card or a link that
    changed. Returns how many receipts that made.
    """
    end = hour_of(now)
    backends = Backend.objects.filter(holds_capacity())
    if backend_ids is not None:
        backends = backends.filter(pk__in=backend_ids)
    else:
        # The demo's time has stopped: nothing was served since, and nothing is held.
        backends = backends.filter(is_demo=False)
    made = 0
    for backend in backends.order_by("pk"):
        noted = list(backend.capacity_due.all())
        starts = [_compared_from(backend, end), _stranded_since(backend) or end, hour_of(since) if since else end]
        spans = [*((one.start, min(one.end, end)) for one in noted), (min(starts), end)]
        for window in _steps(spans):
            made += done_again(partial(_post_window, backend, window, now)) is not None
        if settings.IDLE_ALLOCATION == "as_busy":
            first = min(start for start, _ in spans)
            _allocate_idle(backend, counting.local_day(first), counting.local_day(now))
        # What is noted meanwhile is another row, and stays.
        CapacityDue.objects.filter(pk__in=[one.pk for one in noted]).delete()
    return made


def _compared_from(backend: Backend, end: datetime) -> datetime:
    """72 hours before what was compared last: a worker that stood still for days has missed nothing."""
    stated = StatedWindow.objects.filter(feed=ledger.feed(FeedKind.CAPACITY, backend))
    until = stated.aggregate(until=Max("end"))["until"]
    if until is not None:
        return min(until, end) - COMPARED_AGAIN
    card = backend.rate_cards.order_by("valid_from_on").first()
    since = start_of_day(card.valid_from_on, settings.REPORTING_ZONE) if card is not None else end
    return min(since, end - COMPARED_AGAIN)


def _steps(spans: Iterable[tuple[datetime, datetime]]) -> Iterator[Window]:
    """Windows of a week at most over the spans, each hour once, in order."""
    reached: datetime | None = None
    for start, end in sorted(spans):
        step = start if reached is None else max(start, reached)
        while step < end:
            window = Window(step, min(step + STEP_OF_WINDOW, end))
            yield window
            step = reached = window.end


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
        measured = machine_hours(backend, window)
        served = _served(backend, series, window, has_machine=bool(measured))
        # Pushes may be many entries: they are summed where a card asks for energy.
        measured_wh = energy(backend, window) if any(card.price_per_kwh is not None for card in cards) else {}
        cells = _Cells(backend, series, window)
        for hour in window.hours():
            in_force = _cards_on(cards, counting.local_day(hour))
            for card in in_force:
                if card.model:
                    # Reserved at an API for one model; the others are served by what follows.
                    own, others = (_of_card(card, in_force, rows) for rows in served.get(hour, ([], [])))
                    if own or others or not card.while_up:
                        cost = hour_cost(card, hour, measured_wh=None, zone=settings.REPORTING_ZONE)
                        held = (card.units * SECONDS_OF_AN_HOUR).quantize(SECONDS_STEP)
                        parts = split_hour(cost, held, own or others, input_weight=cells.input_weight)
                        cells.add(hour, card.currency, parts, others)
            card_of_all = next((card for card in in_force if not card.model), None)
            own, others = (_of_card(card_of_all, in_force, rows) for rows in served.get(hour, ([], [])))
            machine = measured.get(hour)
            if card_of_all is not None and card_of_all.while_up and not own and not others and machine is None:
                card_of_all = None
            if card_of_all is not None:
                watt_hours = machine.whole.energy_wh if machine else None
                watt_hours = measured_wh.get(hour) if watt_hours is None else watt_hours
                cost = hour_cost(card_of_all, hour, measured_wh=watt_hours, zone=settings.REPORTING_ZONE)
                held = (card_of_all.units * SECONDS_OF_AN_HOUR).quantize(SECONDS_STEP)
            else:
                # Without a card what was seen is what is held.
                cost, held = Decimal(0), (machine.whole.seen_seconds if machine else None) or Decimal(0)
            if held:
                busy = machine.whole.busy_of(held) if machine else None
                parts = split_hour(cost, held, own or others, input_weight=cells.input_weight, machine_busy=busy)
                cells.add(hour, card_of_all.currency if card_of_all is not None else "", parts, others)
            if machine is not None:
                cells.add_machine(hour, machine, own or others, others)
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
        self.input_weight = Decimal(settings.INPUT_TOKEN_WEIGHT)
        self.money: dict[tuple[int, datetime, str], Decimal] = defaultdict(Decimal)
        # Shares of what was measured of the machine, taken off its own series: the whole stays the same.
        self.machine: dict[tuple[int, datetime], dict[str, Decimal]] = defaultdict(lambda: defaultdict(Decimal))
        self.held: dict[tuple[int, datetime], Decimal] = defaultdict(Decimal)
        self.idle_busy: dict[datetime, Decimal] = {}
        self.idle_id = idle_series(backend)
        own = [pk for pk, one in series.items() if backend.pk in (one.backend_id, one.through_id)]
        self.priced = _token_estimates([*own, *_served_by_capacity_alone(backend, series)], window)

    def add(self, hour: datetime, currency: str, parts: HourSplit, others: Sequence[Served]) -> None:
        """`others`: what the sources that count for this backend's traffic served in the hour.

        Without a currency there is no card: seconds are shared out, and no money is known.
        """
        if currency:
            self.money[self.idle_id, hour, currency] += parts.idle_amount
        self.held[self.idle_id, hour] += parts.idle_held_seconds
        if parts.idle_busy_seconds is not None:
            self.idle_busy[hour] = parts.idle_busy_seconds
        for share in parts.busy:
            is_counted = _counts(self.series[share.series_id], hour)
            if currency:
                for series_id, amount in self._counted(share.series_id, share.amount, hour, others):
                    self.money[series_id, hour, currency] += amount
            if share.is_of_machine and is_counted and share.held_seconds is not None:
                self.machine[share.series_id, hour]["gpu_busy_seconds"] += share.held_seconds
            if share.held_seconds is not None:
                # Utilisation is read from what counts: of a series that does not, the idle one keeps the seconds.
                self.held[share.series_id if is_counted else self.idle_id, hour] += share.held_seconds
                if not is_counted:
                    self.idle_busy[hour] = self.idle_busy.get(hour, Decimal(0)) + share.held_seconds

    def add_machine(
        self, hour: datetime, machine: MachineHour, served: Sequence[Served], others: Sequence[Served]
    ) -> None:
        """Share the hour's energy out as its cost is; what nobody caused is idle's."""
        for series_id, name, amount in machine.parts:
            self.machine[series_id, hour][name] -= amount
        watt_hours = machine.whole.energy_wh
        if watt_hours is None:
            return
        rows = with_traffic(served)
        weights = weights_of(rows, self.input_weight)
        if weights is None:
            self.machine[self.idle_id, hour]["energy_wh"] += watt_hours
            return
        for row, part in zip(rows, split(watt_hours, weights, places=6), strict=True):
            for series_id, amount in self._counted(row.series_id, part, hour, others, places=6):
                self.machine[series_id, hour]["energy_wh"] += amount

    def _counted(
        self, series_id: int, amount: Decimal, hour: datetime, others: Sequence[Served], *, places: int = 10
    ) -> list[tuple[int, Decimal]]:
        """The amount under the series that counts, or split over those of its model that count for it."""
        if _counts(self.series[series_id], hour):
            return [(series_id, amount)]
        name = counting.model_name(self.series[series_id].model)
        same = [row for row in others if counting.model_name(row.model) == name]
        weights = weights_of(same, self.input_weight)
        if weights is None:
            return [(other_charges(self.backend), amount)]
        parts = split(amount, weights, places=places)
        return [(row.series_id, part) for row, part in zip(same, parts, strict=True)]

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
        found += [PostedCell(series_id, hour, dict(sums)) for (series_id, hour), sums in self.machine.items()]
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
    backend: Backend, series: Mapping[int, Series], window: Window, *, has_machine: bool
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
    if has_machine:
        # Shares of the machine's seconds that were posted before are not what a series measured itself.
        own_seconds = busy_by_series(series, window)
        for hour, by_series in by_hour.items():
            for series_id, there in by_series.items():
                there.pop("gpu_busy_seconds", None)
                if (series_id, hour) in own_seconds:
                    there["gpu_busy_seconds"] = own_seconds[series_id, hour]
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


def _cards_on(cards: Sequence[RateCard], on: date) -> list[RateCard]:
    """The cards in force, one for each model that has its own and one for the others."""
    found: dict[str, RateCard] = {}
    for card in reversed(cards):
        if card.valid_from_on <= on and (card.valid_until_on is None or on < card.valid_until_on):
            found.setdefault(counting.model_name(card.model), card)
    return [found[name] for name in sorted(found)]


def _of_card(card: RateCard | None, in_force: Sequence[RateCard], rows: Sequence[Served]) -> list[Served]:
    """What a card's capacity served: its model, or (also for None) what no card names."""
    named = {counting.model_name(one.model) for one in in_force if one.model}
    if card is not None and card.model:
        return [row for row in rows if counting.model_name(row.model) == counting.model_name(card.model)]
    return [row for row in rows if counting.model_name(row.model) not in named] if named else list(rows)

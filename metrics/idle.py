"""To whom idle capacity is allocated: as the month's busy part was (measures.md, Money)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef, Q, Sum
from django.db.models.functions import TruncDate

from metrics.models import Allocation, Backend, LedgerEntry, Series
from metrics.money import split
from metrics.usage import FeedKind, SeriesKind

# A month's shares still move while its first hours are compared again.
DAYS_OPEN = timedelta(days=4)

DayCosts = dict[tuple[int, date], Decimal]


def allocate_as_busy(backend: Backend, idle_id: int, since: date, today: date, *, paid: Iterable[int] = ()) -> None:
    """Give the idle series, month by month from `since` to today, the shares of the month's busy part.

    The month before counts as open for some days. `paid`: series whose tokens the capacity pays, so that their
    estimates were taken off what it posted. In a month without a rate card busy seconds take the place of cost.
    """
    first = min(since, today - DAYS_OPEN).replace(day=1)
    end = _next_month(today)
    costs = _by_month(_busy_costs(backend, first, end, list(paid)))
    seconds = _by_month(_busy_seconds(backend, first, end))
    months = [costs.get(month) or seconds.get(month) or {} for month in _months(first, today)]
    allocations = _allocations({series_id for month in months for series_id, _ in month})
    for month, busy in zip(_months(first, today), months, strict=True):
        _allocate_month(idle_id, month, _busy_shares(busy, allocations))


def _months(first: date, today: date) -> Iterator[date]:
    while first <= today:
        yield first
        first = _next_month(first)


def _by_month(amounts: DayCosts) -> dict[date, DayCosts]:
    found: dict[date, DayCosts] = defaultdict(dict)
    for (series_id, day), amount in amounts.items():
        found[day.replace(day=1)][series_id, day] = amount
    return found


def _allocate_month(idle_id: int, month: date, shares: Mapping[int, Decimal]) -> None:
    following = _next_month(month)
    with transaction.atomic():
        idle = Series.objects.select_for_update(no_key=True).get(pk=idle_id)
        if idle.hand_from_on is not None and idle.hand_from_on < following:
            # A person has given it away on days of this month, or taken it back; that holds.
            return
        there = Allocation.objects.filter(series_id=idle_id, valid_from_on__lt=following).filter(
            Q(valid_until_on__isnull=True) | Q(valid_until_on__gt=month)
        )
        if {one.workload_id: one.share_ratio for one in there} == shares:
            return
        there.delete()
        Allocation.objects.bulk_create(
            [
                Allocation(
                    series_id=idle_id,
                    workload_id=workload_id,
                    share_ratio=share,
                    valid_from_on=month,
                    valid_until_on=following,
                    source=Allocation.Source.BUSY,
                )
                for workload_id, share in shares.items()
            ]
        )


def _busy_costs(backend: Backend, start_on: date, end_on: date, paid: list[int]) -> DayCosts:
    """(series, local day) -> what its use of the capacity cost, all currencies as one.

    What was posted is less than that where the tokens' own estimate was taken off; it is added again.
    """
    zone = settings.REPORTING_ZONE
    start, end = (datetime.combine(day, time(), tzinfo=zone) for day in (start_on, end_on))
    entries = LedgerEntry.objects.filter(
        hour__gte=start,
        hour__lt=end,
        series__kind=SeriesKind.USAGE,
        estimated_cost__isnull=False,
        receipt__is_void=False,
    )
    posted = Q(feed__kind=FeedKind.CAPACITY, feed__backend=backend)
    if paid:
        beside = LedgerEntry.objects.filter(posted, series=OuterRef("series"), hour=OuterRef("hour"))
        posted |= Q(Exists(beside), series__in=paid) & ~Q(feed__kind=FeedKind.CAPACITY)
    rows = (
        entries.filter(posted)
        .annotate(on=TruncDate("hour", tzinfo=zone))
        .values_list("series_id", "on")
        .annotate(total=Sum("estimated_cost"))
    )
    return {(series_id, on): total for series_id, on, total in rows if total > 0}


def _busy_seconds(backend: Backend, start_on: date, end_on: date) -> DayCosts:
    """(series, local day) -> the share of the machine's busy seconds that fell to it."""
    zone = settings.REPORTING_ZONE
    start, end = (datetime.combine(day, time(), tzinfo=zone) for day in (start_on, end_on))
    rows = (
        LedgerEntry.objects.filter(
            feed__kind=FeedKind.CAPACITY,
            feed__backend=backend,
            hour__gte=start,
            hour__lt=end,
            series__kind=SeriesKind.USAGE,
            gpu_busy_seconds__isnull=False,
        )
        .annotate(on=TruncDate("hour", tzinfo=zone))
        .values_list("series_id", "on")
        .annotate(total=Sum("gpu_busy_seconds"))
    )
    return {(series_id, on): total for series_id, on, total in rows if total > 0}


def _allocations(series_ids: Iterable[int]) -> dict[int, list[Allocation]]:
    found: dict[int, list[Allocation]] = defaultdict(list)
    for one in Allocation.objects.filter(series__in=list(series_ids)):
        found[one.series_id].append(one)
    return found


def _busy_shares(costs: DayCosts, allocations: Mapping[int, list[Allocation]]) -> dict[int, Decimal]:
    """Workload -> share of the busy cost, each day's by the shares of that day; what is unallocated there stays so."""
    whole = sum(costs.values(), Decimal(0))
    if not whole:
        return {}
    by_workload: dict[int | None, Decimal] = defaultdict(Decimal)
    for (series_id, day), amount in costs.items():
        for one in allocations.get(series_id, ()):
            if one.valid_from_on <= day and (one.valid_until_on is None or day < one.valid_until_on):
                by_workload[one.workload_id] += amount * one.share_ratio
    by_workload[None] = max(whole - sum(by_workload.values(), Decimal(0)), Decimal(0))
    keys = sorted(by_workload, key=lambda key: key or 0)
    parts = split(Decimal(1), [by_workload[key] for key in keys])
    return {key: part for key, part in zip(keys, parts, strict=True) if key is not None and part > 0}


def _next_month(day: date) -> date:
    return (day.replace(day=1) + timedelta(days=32)).replace(day=1)

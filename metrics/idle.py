"""To whom idle capacity is allocated: as the month's busy part was (measures.md, Money)."""

from __future__ import annotations

from collections import defaultdict
from datetime import date, datetime, time, timedelta
from decimal import Decimal

from django.conf import settings
from django.db import transaction
from django.db.models import Q, Sum

from metrics.models import Allocation, Backend, LedgerEntry, Series
from metrics.money import split
from metrics.usage import FeedKind, SeriesKind

# A month's shares still move while its first hours are compared again.
DAYS_OPEN = timedelta(days=4)


def allocate_as_busy(backend: Backend, idle_id: int, since: date, today: date) -> None:
    """Give the idle series, month by month from `since` to today, the shares of the month's busy part.

    The month before counts as open for some days.
    """
    month = min(since, today - DAYS_OPEN).replace(day=1)
    while month <= today:
        _allocate_month(backend, idle_id, month)
        month = (month + timedelta(days=32)).replace(day=1)


def _allocate_month(backend: Backend, idle_id: int, month: date) -> None:
    following = (month + timedelta(days=32)).replace(day=1)
    shares = _busy_shares(backend, month, following)
    with transaction.atomic():
        Series.objects.select_for_update().get(pk=idle_id)
        held = Allocation.objects.filter(series_id=idle_id, valid_from_on__lt=following).filter(
            Q(valid_until_on__isnull=True) | Q(valid_until_on__gt=month)
        )
        there = held.filter(valid_from_on=month, valid_until_on=following)
        if held.exclude(pk__in=there.values("pk")).exists():
            # A person has given it away on days of this month, or taken it back; that holds.
            return
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
                )
                for workload_id, share in shares.items()
            ]
        )


def _busy_shares(backend: Backend, month: date, following: date) -> dict[int, Decimal]:
    """Workload -> share of the busy cost; what is unallocated there stays unallocated here. All currencies as one."""
    start, end = (datetime.combine(day, time(), tzinfo=settings.REPORTING_ZONE) for day in (month, following))
    costs = dict(
        LedgerEntry.objects.filter(feed__kind=FeedKind.CAPACITY, feed__backend=backend, hour__gte=start, hour__lt=end)
        .filter(series__kind=SeriesKind.USAGE, estimated_cost__gt=0)
        .values_list("series_id")
        .annotate(total=Sum("estimated_cost"))
    )
    whole = sum(costs.values(), Decimal(0))
    if not whole:
        return {}
    by_workload: dict[int | None, Decimal] = defaultdict(Decimal)
    in_force = (
        Allocation.objects.filter(series__in=costs, valid_from_on__lt=following)
        .filter(Q(valid_until_on__isnull=True) | Q(valid_until_on__gte=following))
        .values_list("series_id", "workload_id", "share_ratio")
    )
    for series_id, workload_id, share in in_force:
        by_workload[workload_id] += costs[series_id] * share
    by_workload[None] = max(whole - sum(by_workload.values(), Decimal(0)), Decimal(0))
    keys = sorted(by_workload, key=lambda key: key or 0)
    parts = split(Decimal(1), [by_workload[key] for key in keys])
    return {key: part for key, part in zip(keys, parts, strict=True) if key is not None and part > 0}

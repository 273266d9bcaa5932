"""Notes which hours of a backend's capacity have to be shared out again, in the transaction that is the reason."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from metrics.models import Backend, CapacityDue, Feed, RateCard, Series
from metrics.usage import FeedKind, SeriesKind
from metrics.windows import HOUR, hour_of

# `metrics.capacity` compares this long before what it has posted last, so that what comes in time needs no note.
COMPARED_AGAIN = timedelta(hours=72)
# The clock moves on between a posting and the next comparison.
MARGIN = timedelta(hours=2)
# Of these feeds nothing depends on which capacity was shared out.
_WITHOUT = frozenset({FeedKind.CAPACITY, FeedKind.STATEMENT})


def note_late_usage(kind: str, cells: Iterable[tuple[int, datetime]]) -> None:
    """Note late hours of these (series, hour) pairs, for every backend whose capacity may have served them."""
    if kind in _WITHOUT:
        return
    newest = _newest_late()
    by_series: dict[int, tuple[datetime, datetime]] = {}
    for series, hour in cells:
        if hour < newest:
            first, last = by_series.get(series, (hour, hour))
            by_series[series] = min(first, hour), max(last, hour)
    if not by_series:
        return
    holders = list(Backend.objects.filter(holds_capacity(), is_demo=False).values_list("pk", flat=True))
    if not holders:
        return
    spans: dict[int, tuple[datetime, datetime]] = {}
    places = Series.objects.filter(pk__in=by_series, is_demo=False).values_list("pk", "backend_id", "through_id")
    for series, *backends in places:
        first, last = by_series[series]
        for backend in backends:
            if backend is not None:
                before = spans.get(backend, (first, last))
                spans[backend] = min(before[0], first), max(before[1], last)
    behind = dict(Backend.objects.values_list("pk", "behind_id"))
    noted = []
    for pk in holders:
        found = [spans[one] for one in _and_gateways(pk, behind) if one in spans]
        if found:
            start, end = min(first for first, _ in found), max(last for _, last in found) + HOUR
            noted.append(CapacityDue(backend_id=pk, start=start, end=end))
    CapacityDue.objects.bulk_create(noted)


def is_any_late(hours: Iterable[datetime]) -> bool:
    """Whether `note_late_usage` has to look any of these hours up."""
    return min(hours) < _newest_late()


def _newest_late() -> datetime:
    return hour_of(timezone.now()) - COMPARED_AGAIN + MARGIN


def _and_gateways(backend: int, behind: Mapping[int, int | None]) -> set[int]:
    """The backend and every gateway in front of it."""
    found: set[int] = set()
    at: int | None = backend
    while at is not None and at not in found:
        found.add(at)
        at = behind.get(at)
    return found


def note_since(backend_id: int, start: datetime) -> None:
    """Note all hours of a backend since `start`, where its card or a link has changed."""
    begin, now = hour_of(start), hour_of(timezone.now())
    if begin < now:
        CapacityDue.objects.create(backend_id=backend_id, start=begin, end=now)


def holds_capacity() -> Q:
    """The condition for backends whose hours are shared out: by a rate card, or as an exporter measured them."""
    return (
        Q(Exists(RateCard.objects.filter(backend=OuterRef("pk"))))
        | Q(Exists(Feed.objects.filter(backend=OuterRef("pk"), kind=FeedKind.CAPACITY)))
        | Q(Exists(Series.objects.filter(backend=OuterRef("pk"), kind=SeriesKind.GPU)))
    )

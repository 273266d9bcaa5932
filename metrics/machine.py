"""What was measured of a backend's machines, read from the ledger without what capacity itself has posted."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from django.db.models import QuerySet, Sum

from metrics.models import Backend, LedgerEntry
from metrics.sharing import Machine
from metrics.usage import FeedKind, SeriesKind
from metrics.windows import Window

MEASURES = ("gpu_busy_seconds", "gpu_held_seconds", "energy_wh")


@dataclass(slots=True)
class MachineHour:
    """`parts`: (series, measure, amount) as the exporter's series hold them; `whole`: their sum."""

    whole: Machine
    parts: list[tuple[int, str, Decimal]] = field(default_factory=list)


def machine_hours(backend: Backend, window: Window) -> dict[datetime, MachineHour]:
    """Return what exporters measured of the backend's GPUs, by hour."""
    rows = (
        _measured(window)
        .filter(series__backend=backend, series__kind=SeriesKind.GPU)
        .values_list("series_id", "hour")
        .annotate(*(Sum(name) for name in MEASURES))
        .order_by("hour", "series_id")
    )
    parts: dict[datetime, list[tuple[int, str, Decimal]]] = defaultdict(list)
    for series_id, hour, *amounts in rows:
        known = zip(MEASURES, amounts, strict=True)
        parts[hour] += [(series_id, name, amount) for name, amount in known if amount is not None]
    return {hour: MachineHour(_whole(found), found) for hour, found in parts.items() if found}


def busy_by_series(series: Iterable[int], window: Window) -> dict[tuple[int, datetime], Decimal]:
    """Return the GPU seconds that these series themselves report, by series and hour."""
    entries = _measured(window).filter(series__in=list(series), gpu_busy_seconds__isnull=False)
    rows = entries.values("series_id", "hour").annotate(total=Sum("gpu_busy_seconds"))
    return {(row["series_id"], row["hour"]): row["total"] for row in rows}


def energy(backend: Backend, window: Window) -> dict[datetime, Decimal]:
    """Return the measured watt-hours of the backend, by hour."""
    entries = _measured(window).filter(series__backend=backend, energy_wh__isnull=False)
    return {row["hour"]: row["total"] for row in entries.values("hour").annotate(total=Sum("energy_wh"))}


def _measured(window: Window) -> QuerySet[LedgerEntry]:
    entries = LedgerEntry.objects.filter(hour__gte=window.start, hour__lt=window.end, receipt__is_void=False)
    return entries.exclude(feed__kind=FeedKind.CAPACITY)


def _whole(parts: Iterable[tuple[int, str, Decimal]]) -> Machine:
    sums: dict[str, Decimal] = {}
    for _, name, amount in parts:
        sums[name] = sums.get(name, Decimal(0)) + amount
    return Machine(sums.get("gpu_busy_seconds"), sums.get("gpu_held_seconds"), sums.get("energy_wh"))

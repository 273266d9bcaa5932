"""A bill's charges as cells of the ledger: spread over the usage that it pays for, else on series of its own."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from datetime import datetime, time, timedelta
from decimal import Decimal
from typing import NamedTuple

from metrics import counting
from metrics.identity import SeriesIdentity, series_ids, unknown
from metrics.importer import COUNTS
from metrics.ledger import PostedCell
from metrics.models import BillingSource, ImportedCharge
from metrics.money import STEP, split
from metrics.settling import used_hours
from metrics.spreading import LEFT_OUT, NOON, SPREAD_CATEGORIES, UsedHour, basis
from metrics.usage import MeasuredAt, SeriesKey, SeriesKind
from metrics.windows import DAY, Window, hour_of

# A charge over more days than this, or one that has not ended, goes to its first day whole.
LONGEST_SPREAD = timedelta(days=92)


class _Place(NamedTuple):
    """Where money goes that no usage is covered by."""

    start: datetime
    end: datetime
    key: SeriesKey
    currency: str
    # Credits and adjustments, which are shown apart from use.
    is_apart: bool


class _Bill(NamedTuple):
    """What is spread as one: charges of the same time, model, project and currency."""

    start: datetime
    end: datetime
    model: str
    project: str
    currency: str


class BillCells:
    """Gathers charges, then gives the cells. Amounts add up to the charges', tax aside, at 10 decimals."""

    def __init__(self, source: BillingSource, window: Window, as_of: datetime) -> None:
        self.source, self.as_of = source, as_of
        self._used = _Used(source, window)
        self._own: dict[_Place, dict[str, Decimal]] = {}
        self._spread: dict[_Bill, dict[_Place, Decimal]] = defaultdict(dict)

    def add(self, charge: ImportedCharge, *, use_effective: bool) -> None:
        """Take a charge in; tax is left out."""
        if charge.category in LEFT_OUT:
            return
        amount = charge.effective if use_effective and charge.effective is not None else charge.billed
        is_spread = charge.category in SPREAD_CATEGORIES
        place = _Place(charge.start, charge.end, _key(charge, is_spread=is_spread), charge.currency, not is_spread)
        if is_spread and self._used:
            project = str(charge.labels.get("project", ""))
            bill = _Bill(charge.start, charge.end, counting.model_name(charge.model), project, charge.currency)
            there = self._spread[bill]
            there[place] = there.get(place, Decimal(0)) + amount
            return
        self._add_own(place, amount)
        if not self._used:
            sums = self._own[place]
            for name in COUNTS:
                count = getattr(charge, name)
                if count is not None:
                    sums[name] = sums.get(name, Decimal(0)) + count

    def cells(self) -> tuple[list[PostedCell], bool]:
        """The cells, and whether one of their series is new."""
        found: list[PostedCell] = []
        for bill, places in self._spread.items():
            covered = self._used.of(bill)
            weights = basis(covered)
            if weights is None:
                for place, amount in places.items():
                    self._add_own(place, amount)
                continue
            total = sum(places.values(), Decimal(0)).quantize(STEP)
            for row, part in zip(covered, split(total, weights), strict=True):
                if part or not total:
                    found.append(PostedCell(row.series_id, row.hour, {"billed_cost": part}, currency=bill.currency))
        own, is_new = self._own_cells()
        return found + own, is_new

    def _add_own(self, place: _Place, amount: Decimal) -> None:
        sums = self._own.setdefault(place, {})
        sums["billed_cost"] = sums.get("billed_cost", Decimal(0)) + amount

    def _own_cells(self) -> tuple[list[PostedCell], bool]:
        backend = self.source.backend
        identities = {
            place.key: SeriesIdentity(key=place.key, backend_id=backend.pk, measured_at=MeasuredAt(backend.measured_at))
            for place in self._own
        }
        is_new = bool(unknown(identities.values()))
        ids = series_ids(identities.values(), is_demo=backend.is_demo)
        found = []
        for place, sums in self._own.items():
            series_id = ids[identities[place.key]]
            for hour, part in self._hours(place, sums):
                found.append(PostedCell(series_id, hour, part, currency=place.currency))
        return found, is_new

    def _hours(self, place: _Place, sums: dict[str, Decimal]) -> list[tuple[datetime, dict[str, int | Decimal]]]:
        """An hour's charge at its hour, a day's at noon, longer ones evenly over their days."""
        start, end = place.start, place.end
        if end - start < DAY or start.timetz() != time(tzinfo=start.tzinfo):
            return [(hour_of(start), _whole(sums))]
        days = (end - start) // DAY
        if days <= 1 or end - start > LONGEST_SPREAD or end > self.as_of or place.is_apart:
            return [(_noon(start), _whole(sums))]
        parts: list[dict[str, int | Decimal]] = [{} for _ in range(days)]
        for name, value in sums.items():
            is_money = name == "billed_cost"
            total = value.quantize(STEP) if is_money else Decimal(round(value))
            for part, amount in zip(parts, split(total, [1] * days, places=10 if is_money else 0), strict=True):
                part[name] = amount if is_money else int(amount)
        return [(_noon(start + day * DAY), part) for day, part in enumerate(parts)]


class _Used:
    """What the backends did that a bill pays for, by model and in order of time."""

    def __init__(self, source: BillingSource, window: Window) -> None:
        rows: dict[tuple[int, datetime], UsedHour] = {}
        for backend in source.pays_for.order_by("pk"):
            for row in used_hours(backend, window):
                rows[row.series_id, row.hour] = row
        self._all = sorted(rows.values(), key=lambda row: (row.hour, row.series_id))
        self._by_model: dict[str, list[UsedHour]] = defaultdict(list)
        for row in self._all:
            self._by_model[counting.model_name(row.model)].append(row)
        self._times = {id(rows): [row.hour for row in rows] for rows in (self._all, *self._by_model.values())}

    def __bool__(self) -> bool:
        return bool(self._all)

    def of(self, bill: _Bill) -> list[UsedHour]:
        """The usage in its time, of its model and project, by series and hour."""
        rows = self._by_model.get(bill.model, []) if bill.model else self._all
        if not rows:
            return []
        times = self._times[id(rows)]
        found = rows[bisect_left(times, bill.start) : bisect_left(times, bill.end)]
        if bill.project and any(row.project is not None for row in found):
            found = [row for row in found if row.project == bill.project]
        return sorted(found, key=lambda row: (row.series_id, row.hour))


def _key(charge: ImportedCharge, *, is_spread: bool) -> SeriesKey:
    labels = {str(name): str(value) for name, value in charge.labels.items()}
    if is_spread and charge.model:
        return SeriesKey(
            provider=charge.provider,
            model=charge.model,
            service_tier=charge.service_tier,
            labels=tuple(sorted(labels.items())),
        )
    if charge.service:
        labels["service"] = charge.service
    if not is_spread:
        labels["charge_category"] = charge.category
    return SeriesKey(
        provider=charge.provider,
        model="",
        operation="other_charges",
        kind=SeriesKind.OTHER_CHARGES,
        labels=tuple(sorted(labels.items())),
    )


def _whole(sums: dict[str, Decimal]) -> dict[str, int | Decimal]:
    return {name: value if name == "billed_cost" else round(value) for name, value in sums.items()}


def _noon(start: datetime) -> datetime:
    return datetime.combine(start.date(), NOON, tzinfo=start.tzinfo)

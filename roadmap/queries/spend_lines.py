"""The one reading of spend: usage and cost entries of what the asker may see, line by line, added up by dimensions.

The Spend page, its tabs, its exports and `GET /api/v1/spend` all read here, and here through `metrics.series` and
`roadmap.queries.entered`, which phase pages, portfolio and reports read too: so they say the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from functools import lru_cache
from typing import Any

from django.utils.translation import get_language

from metrics import series
from metrics.figures import (
    Dimension,
    Grain,
    LatencyRow,
    Part,
    Scope,
    UsageRow,
)
from metrics.source_facts import SeriesNames
from metrics.usage import KNOWN_BIT, SeriesKind
from metrics.windows import month_of, next_month
from roadmap.models import Phase, Roadmap
from roadmap.queries.entered import Entered, rates_for
from roadmap.queries.spend_filters import PLAN_FILTERS, SpendFilters
from roadmap.queries.spend_plan import DAY, LAST_DAY, Plan, roadmap_members
from roadmap.rules import spending
from roadmap.rules.spending import Cell, Key, Member, Parts, member
from web import wording

_BILLED = KNOWN_BIT["billed_cost"]
_ESTIMATED = KNOWN_BIT["estimated_cost"]
# What usage is not priced by; the other counts are not read.
MEASURES = ("requests", "input_tokens", "output_tokens")
# Filters on these leave no cost entry: they belong to no source.
SOURCE_FILTERS = ("provider", "backend", "model", "team")


@dataclass(slots=True)
class Reading:
    """What one reading of lines found beside the lines."""

    parts: Parts = field(default_factory=Parts)
    no_rate: set[str] = field(default_factory=set)
    stale_rates: dict[str, date] = field(default_factory=dict)


@dataclass(slots=True)
class SpendReader:
    """Reads spend of a window by dimensions, filters applied. `names`: what the series in sight are called."""

    plan: Plan
    filters: SpendFilters
    names: Sequence[SeriesNames]
    today: date

    @property
    def workload_ids(self) -> tuple[int, ...] | None:
        """Whose usage is read; None: the organisation's, unallocated included."""
        chosen = [workload for workload, roadmap in self.plan.roadmaps.items() if self._keeps_roadmap(roadmap)]
        asks_plan = any(self.filters.value(name) for name in PLAN_FILTERS)
        if self.plan.sees_all and not (asks_plan and not self._asks_unallocated()):
            return None
        return tuple(chosen)

    def scope(self, start_on: date | None = None, end_on: date | None = None) -> Scope:
        """The usage of the filters' window (or of the days given)."""
        backend = self.filters.value("backend")
        model = self.filters.value("model")
        ids = {name.backend_slug: name.backend_id for name in self.names}
        return Scope(
            start_on or self.filters.start_on,
            end_on or self.filters.end_on,
            self.workload_ids,
            backend_id=ids.get(backend),
            model=model if model and not model.startswith("~") else None,
            include_demo=self.plan.include_demo,
        )

    def cells(self, by: Sequence[str]) -> tuple[dict[Key, Cell], Reading]:
        """Spend by these dimensions, and its parts."""
        found: dict[Key, Cell] = {}
        reading = Reading()
        grain: Grain | None = "month" if "month" in by else None
        for key, part in self.usage_parts(by, grain=grain, reading=reading, tells_unallocated=False):
            # The basis is known of each line only; the one that stands in until then is replaced below.
            place = tuple(spending.NOT_PRICED if name == "basis" else key[name] for name in by)
            _count(reading.parts, key, part)
            for basis, amount, tokens, requests in part_lines(part):
                if self._keeps("basis", basis):
                    at = _with_basis(place, by, basis)
                    found.setdefault(at, Cell()).add(amount, tokens, requests)
                    _put(reading.parts, key, basis, amount, tokens, requests)
        for key, amount, _ in self.entered_lines(reading, by_month="month" in by, by_phase=self._needs_phase(by)):
            place = tuple(key[name] for name in by)
            found.setdefault(place, Cell()).add(amount)
            _put(reading.parts, key, spending.ENTERED_BASIS, amount, 0, 0)
        if self._leaves_unallocated_out(by):
            reading.parts.unallocated = self._unallocated()
        return found, reading

    def _leaves_unallocated_out(self, by: Sequence[str]) -> bool:
        """Whether the organisation's usage was read without asking whose it is, which takes half the time."""
        scope = self.scope()
        return scope.workload_ids is None and "workload" not in self.dimensions(by, scope, tells_unallocated=False)

    def _unallocated(self) -> Cell:
        """What belongs to no workload, in one sum."""
        found = Cell()
        for row in self.unallocated_rows(()):
            for part in row.sums.parts:
                for basis, amount, tokens, requests in part_lines(part):
                    if self._keeps("basis", basis):
                        found.add(amount, tokens, requests)
        return found

    def unallocated_rows(self, by: Sequence[str], extra: Sequence[Dimension] = ()) -> list[UsageRow]:
        """What belongs to no workload, by these dimensions, as far as the filters keep it."""
        scope = self.scope()
        rows = series.unallocated(scope, by=self.dimensions(by, scope, extra), measures=MEASURES)
        return [row for row in rows if self.keeps(self.members_of(row))]

    # --- Usage

    def usage_rows(
        self,
        by: Sequence[str],
        *,
        grain: Grain | None,
        extra: Sequence[Dimension] = (),
        measures: Sequence[str] = MEASURES,
        start_on: date | None = None,
        end_on: date | None = None,
        tells_unallocated: bool = True,
    ) -> list[UsageRow]:
        """The rows of `metrics.series.usage` that these dimensions and the filters need."""
        scope = self.scope(start_on, end_on)
        wanted = self.dimensions(by, scope, extra, tells_unallocated=tells_unallocated)
        slices = self.plan.slices if "slice" in wanted else ()
        return series.usage(scope, by=wanted, grain=grain, slices=slices, measures=measures)

    def dimensions(
        self, by: Sequence[str], scope: Scope, extra: Sequence[Dimension] = (), *, tells_unallocated: bool = True
    ) -> tuple[Dimension, ...]:
        """What has to be told apart for these dimensions and the filters."""
        needed = {*by, *(name for name, value in self.filters.values.items() if value)}
        found: list[Dimension] = ["kind", "charge_category"]
        if (tells_unallocated and scope.workload_ids is None) or needed & {
            "roadmap",
            "phase",
            "business_unit",
            "programme",
        }:
            found.append("workload")
        if "phase" in needed:
            found.append("slice")
        for name in ("provider", "backend", "model", "team"):
            if name in needed:
                found.append(name)  # type: ignore[arg-type]
        return tuple(dict.fromkeys([*found, *extra]))

    def usage_parts(
        self,
        by: Sequence[str],
        *,
        grain: Grain | None,
        reading: Reading | None = None,
        start_on: date | None = None,
        end_on: date | None = None,
        tells_unallocated: bool = True,
    ) -> Iterator[tuple[dict[str, Member], Part]]:
        """Each part of the usage that the filters keep, with its members."""
        rows = self.usage_rows(by, grain=grain, start_on=start_on, end_on=end_on, tells_unallocated=tells_unallocated)
        for row in rows:
            key = self.members_of(row)
            if not self.keeps(key):
                continue
            if reading is not None:
                reading.no_rate |= row.sums.no_rate
                for currency, on in row.sums.stale_rates.items():
                    reading.stale_rates[currency] = max(on, reading.stale_rates.get(currency, on))
            for part in row.sums.parts:
                yield key, part

    def members_of(self, row: UsageRow | LatencyRow) -> dict[str, Member]:
        """The members of a row, of every dimension that it was asked by."""
        key = row.key
        kind = key["kind"]
        found = {"category": spending.category_of(kind, key.get("charge_category"))}
        without = {SeriesKind.IDLE: spending.IDLE, SeriesKind.OTHER_CHARGES: spending.OTHER_CHARGES}.get(kind)
        if row.period is not None:
            found["month"] = month_member(month_of(row.period))
        if "workload" in key:
            found |= self._plan_members(key)
        if "provider" in key:
            found["provider"] = member(key["provider"] or "unknown")
        if "backend" in key:
            found["backend"] = member(key["backend_slug"], key["backend_name"])
        if "model" in key:
            found["model"] = member(key["model"]) if key["model"] else without or spending.NO_MODEL
        if "team" in key:
            found["team"] = member(key["team"]) if key["team"] else without or spending.NO_TEAM
        return found

    def _plan_members(self, key: Mapping[str, Any]) -> dict[str, Member]:
        if key["workload"] is None:
            nobody = spending.UNALLOCATED
            return {"roadmap": nobody, "phase": nobody, "business_unit": nobody, "programme": nobody}
        roadmap = self.plan.roadmaps.get(key["workload"])
        if roadmap is None:
            # A workload without a roadmap that is in sight: it goes by its own name.
            own = member(key["workload_slug"], key["workload_name"])
            found = {"roadmap": own, "business_unit": spending.NO_UNIT, "programme": spending.NO_PROGRAMME}
        else:
            found = roadmap_members(roadmap)
        return found | {"phase": spending.PHASES.get(key.get("slice") or "", spending.OUTSIDE)}

    # --- Cost entries

    def entered_lines(
        self,
        reading: Reading,
        *,
        by_month: bool,
        by_phase: bool,
        start_on: date | None = None,
        end_on: date | None = None,
    ) -> Iterator[tuple[dict[str, Member], Decimal, tuple[date, date]]]:
        """What cost entries bring to the window, in pieces [start, stop) of one month and one phase where asked."""
        first, after = start_on or self.filters.start_on, end_on or self.filters.end_on
        if any(self.filters.value(name) not in ("", spending.ENTERED.id) for name in SOURCE_FILTERS):
            return
        if not self._keeps("basis", spending.ENTERED_BASIS):
            return
        entries = [
            entry for entry in self.plan.entries if entry.start_on < after and (entry.end_on or entry.start_on) >= first
        ]
        if not entries:
            return
        rates = rates_for((entry.currency for entry in entries), first, after)
        by_id = {roadmap.pk: roadmap for roadmap in self.plan.roadmaps.values()}
        phases: dict[int, list[Phase]] = {}
        for phase in self.plan.phases:
            phases.setdefault(phase.roadmap_id, []).append(phase)
        for entry in entries:
            roadmap = by_id[entry.roadmap_id]
            own = {
                "category": member(entry.category, entry.get_category_display(), rank=5),
                **roadmap_members(roadmap),
                "provider": spending.ENTERED,
                "backend": spending.ENTERED,
                "model": spending.ENTERED,
                "team": spending.ENTERED,
                "basis": spending.ENTERED_BASIS,
            }
            one = Entered([entry], rates, self.today)
            begin, end = max(first, entry.start_on), min(after, (entry.end_on or entry.start_on) + DAY)
            mine = phases.get(roadmap.pk, []) if by_phase else []
            for start, stop, kind in pieces(begin, end, mine, by_month=by_month):
                key = own | {
                    "phase": spending.PHASES.get(kind, spending.OUTSIDE),
                    "month": month_member(month_of(start)),
                }
                if not self.keeps(key):
                    continue
                amount = one.amount(start, stop)
                reading.no_rate |= one.no_rate
                if amount is not None:
                    yield key, amount, (start, stop)

    # --- Filters

    def keeps(self, key: Mapping[str, Member]) -> bool:
        """Whether the filters let the line through; the basis is told apart later."""
        return all(
            key[name].id == value
            for name, value in self.filters.values.items()
            if value and name in key and name not in ("basis", "month")
        )

    def _keeps(self, name: str, found: Member) -> bool:
        value = self.filters.value(name)
        return not value or value == found.id

    def _keeps_roadmap(self, roadmap: Roadmap) -> bool:
        return all(self._keeps(name, found) for name, found in roadmap_members(roadmap).items())

    def _asks_unallocated(self) -> bool:
        return any(self.filters.value(name) == spending.UNALLOCATED.id for name in PLAN_FILTERS)

    def _needs_phase(self, by: Iterable[str]) -> bool:
        return "phase" in by or bool(self.filters.value("phase"))


def month_member(on: date) -> Member:
    """A local month: '2026-11', 'Nov 2026'."""
    return _month_member(on, get_language())


@lru_cache(maxsize=512)
def _month_member(on: date, language: str | None) -> Member:
    """Kept for the language that is active, in which it is written."""
    return member(f"{on:%Y-%m}", wording.month_short(on), sort=f"{on:%Y-%m}")


def pieces(begin: date, end: date, phases: Sequence[Phase], *, by_month: bool) -> Iterator[tuple[date, date, str]]:
    """[begin, end) in pieces that lie in one month (if asked) and in one phase's window; the kind is '' outside."""
    cuts = {begin, end}
    if by_month:
        at = next_month(begin)
        while at < end:
            cuts.add(at)
            at = next_month(at)
    windows = [
        (phase.started_on, phase.ended_on + DAY if phase.ended_on else LAST_DAY, phase.kind)
        for phase in phases
        if phase.started_on is not None
    ]
    cuts |= {day for start, stop, _ in windows for day in (start, stop) if begin < day < end}
    ordered = sorted(cuts)
    for start, stop in zip(ordered, ordered[1:], strict=False):
        yield start, stop, next((kind for first, after, kind in windows if first <= start < after), "")


def part_lines(part: Part) -> Iterator[tuple[Member, Decimal | None, Any, Any]]:
    """(basis, amount, tokens and requests without a price) of a part of usage: its spend is the sum of the amounts."""
    mask = part.known_mask
    if mask & _BILLED:
        yield spending.BILLED, _decimal(part.values.get("billed_cost")), 0, 0
    if mask & _ESTIMATED:
        unsettled = _decimal(part.values.get("unsettled_cost"))
        if unsettled is not None or not mask & _BILLED:
            yield spending.ESTIMATED, unsettled, 0, 0
    if part.is_traffic and not mask & (_BILLED | _ESTIMATED):
        tokens = (part.value("input_tokens") or 0) + (part.value("output_tokens") or 0)
        requests = part.value("requests") or 0
        if tokens or requests:
            yield spending.NOT_PRICED, None, tokens, requests


def _decimal(value: Any) -> Decimal | None:
    return None if value is None else Decimal(value)


def _with_basis(place: Key, by: Sequence[str], basis: Member) -> Key:
    return tuple(basis if name == "basis" else found for name, found in zip(by, place, strict=True))


def _count(parts: Parts, key: Mapping[str, Member], part: Part) -> None:
    """Billed beside estimated, over the hours that have both."""
    if part.known_mask & _BILLED and part.known_mask & _ESTIMATED and key["category"] is spending.USAGE:
        parts.billed_beside += _decimal(part.values.get("billed_cost")) or Decimal(0)
        parts.estimated_beside += _decimal(part.values.get("estimated_cost")) or Decimal(0)
        parts.has_both = True


def _put(
    parts: Parts, key: Mapping[str, Member], basis: Member, amount: Decimal | None, tokens: Any, requests: Any
) -> None:
    """Add a line to the totals."""
    into = [
        parts.total,
        parts.by_category.setdefault(key["category"], Cell()),
        parts.by_basis.setdefault(basis, Cell()),
    ]
    if basis is spending.ENTERED_BASIS:
        into.append(parts.entered)
    else:
        into.append(parts.usage)
        if key.get("roadmap") is spending.UNALLOCATED:
            into.append(parts.unallocated)
    for cell in into:
        cell.add(amount, tokens, requests)

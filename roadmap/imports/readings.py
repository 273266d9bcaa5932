"""Rows that are readings of KPIs. The same KPI and time again replaces."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import ClassVar

from django.core.exceptions import PermissionDenied
from django.db import DataError, transaction

from metrics.errors import RuleViolation
from roadmap.actions.kpis import MAX_READINGS, NewReading, check_reading, record_readings
from roadmap.imports.columns import Column, Given
from roadmap.imports.kpis import Kpis
from roadmap.imports.lookup import PHASE, ROADMAP, Done, Importer, Lookup, once, place_of, told
from roadmap.imports.outcome import Missing, Problem, RowResult
from roadmap.models import Kpi, Reading


class Readings(Importer):
    """Readings, recorded KPI by KPI, each KPI's whole or not at all."""

    columns: ClassVar[tuple[Column, ...]] = (
        ROADMAP,
        Column(PHASE.field, PHASE.label, names=PHASE.names, help=PHASE.help, example="PoC", is_needed=True),
        Column(
            "kpi",
            "KPI",
            names=("KPI key", "Key", "Name", "KPI name"),
            help="Its key or name.",
            is_needed=True,
            example="hours_saved",
        ),
        Column(
            "at",
            "At",
            "moment",
            names=("Date", "Time", "Timestamp", "Day", "On", "Read at", "Read on"),
            help="A day, or a day and a time, in the reporting zone unless it says another.",
            is_needed=True,
            example="2026-11-02",
        ),
        Column("value", "Value", "number", names=("Reading", "Amount", "Figure"), is_needed=True, example=118),
        Column("note", "Note", names=("Comment", "Remark"), can_clear=True),
    )
    ignored = ("Unit", "Author", "By", "Recorded at", "Token")

    def __init__(self, lookup: Lookup) -> None:
        super().__init__(lookup)
        self.kpis = Kpis(lookup)
        self._held: dict[int, dict[datetime, Reading]] = {}
        self._milliseconds: dict[int, dict[datetime, datetime]] = {}
        self._times: dict[int, dict[datetime, int]] = {}
        self._places: dict[int, tuple[str, str]] = {}

    def take_all(self, rows: Sequence[Given]) -> Iterator[RowResult]:
        """Rows are looked at one by one, and what is new recorded at most MAX_READINGS at a time."""
        groups: dict[int, tuple[Kpi, list[tuple[Given, NewReading, RowResult]]]] = {}
        for row in rows:
            result = self.attempt(row)
            if result.outcome not in ("added", "changed"):
                yield result
                continue
            kpi = self._kpi(row)
            groups.setdefault(kpi.pk, (kpi, []))[1].append((row, self._reading(kpi, row), result))
        for kpi, group in groups.values():
            for start in range(0, len(group), MAX_READINGS):
                yield from self._record(kpi, group[start : start + MAX_READINGS])

    def take(self, row: Given) -> Done:
        """What a row would do; nothing is written yet."""
        self.needed(row, "kpi", "at", "value")
        kpi = self._kpi(row)
        reading = self._reading(kpi, row)
        check_reading(kpi, reading)
        place = place_of(kpi.phase)
        self._places[kpi.pk] = (kpi.name, place)
        once(self._times.setdefault(kpi.pk, {}), reading.at, row.line, f"'{kpi.name}' at {told(reading.at)}")
        self._times[kpi.pk][reading.at] = row.line
        name = f"{kpi.name}, {told(reading.at)}"
        held = self._readings(kpi).get(reading.at)
        if held is None:
            return Done("added", name, place)
        wanted = {"value": reading.value} | ({"note": reading.note} if "note" in row else {})
        _, words = self.differences(held, wanted)
        return Done("changed" if words else "unchanged", name, place, words)

    def missing(self) -> list[Missing]:
        found = []
        for pk, (name, place) in self._places.items():
            times = self._times[pk]
            found += [Missing(f"{name}, {told(at)}", place) for at in sorted(self._held[pk]) if at not in times]
        return found

    def _record(self, kpi: Kpi, group: Sequence[tuple[Given, NewReading, RowResult]]) -> Iterator[RowResult]:
        try:
            with transaction.atomic():
                record_readings(self.asker, kpi, [self._kept(kpi, row, reading) for row, reading, _ in group])
        except RuleViolation as error:
            yield from (self.refused(row, [self.problem(error)]) for row, _, _ in group)
        except PermissionDenied as error:
            problem = Problem("", "not_allowed", str(error) or "You may not do that.")
            yield from (self.refused(row, [problem]) for row, _, _ in group)
        except DataError:
            problem = Problem("", "not_taken", "The database does not take these readings.")
            yield from (self.refused(row, [problem]) for row, _, _ in group)
        else:
            yield from (result for _, _, result in group)

    def _kept(self, kpi: Kpi, row: Given, reading: NewReading) -> NewReading:
        """A row without a note leaves the one that is there."""
        held = self._held[kpi.pk].get(reading.at)
        return NewReading(reading.at, reading.value, held.note) if held and "note" not in row else reading

    def _kpi(self, row: Given) -> Kpi:
        roadmap = self.lookup.roadmap(str(row.get("roadmap", "")))
        self.needed(row, "phase")
        phase = self.lookup.phase(roadmap, str(row.get("phase")))
        kpi = self.kpis.named(phase, str(row.get("kpi", "")))
        if kpi is None:
            raise RuleViolation("unknown_kpi", f"{place_of(phase)} has no KPI '{str(row.get('kpi'))[:60]}'.", "kpi")
        return kpi

    def _readings(self, kpi: Kpi) -> dict[datetime, Reading]:
        if kpi.pk not in self._held:
            self._held[kpi.pk] = {item.at: item for item in kpi.readings.all()}
            self._milliseconds[kpi.pk] = {_whole(at): at for at in self._held[kpi.pk]}
        return self._held[kpi.pk]

    def _reading(self, kpi: Kpi, row: Given) -> NewReading:
        at: datetime = row.values["at"]
        if at not in self._readings(kpi):
            # A workbook keeps milliseconds, and is meant to find the reading that it was made of.
            at = self._milliseconds[kpi.pk].get(at, at)
        return NewReading(at=at, value=row.values["value"], note=str(row.get("note", "")))


def _whole(at: datetime) -> datetime:
    """To the nearest millisecond."""
    return at + timedelta(microseconds=round(at.microsecond, -3) - at.microsecond)

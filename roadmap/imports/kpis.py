"""Rows that are KPIs: found by key within their phase, or by name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

from django.conf import settings

from metrics.errors import RuleViolation
from roadmap.actions.kpis import add_kpi, change_kpi
from roadmap.imports.cells import plain
from roadmap.imports.columns import Column, Given
from roadmap.imports.lookup import PHASE, ROADMAP, Done, Importer, Lookup, once, place_of
from roadmap.imports.outcome import FieldChange, Missing, RowResult
from roadmap.kpis import COMPUTED
from roadmap.models import Kpi, Phase
from roadmap.rules.formulas import key_from, read_formula

_PLAIN = ("name", "unit", "direction", "combine", "minimum_sample", "baseline", "target", "target_on", "is_value")
_RATE = ("rate_amount", "rate_currency", "rate_source", "rate_owner")
# Emptied they are '' or 0, not nothing.
_EMPTY: Mapping[str, Any] = {"unit": "", "rate_currency": "", "rate_source": "", "minimum_sample": 0}


def measure_named(text: str) -> str:
    """The name of a measure by name or title. RuleViolation where there is none."""
    wanted = plain(text)
    for item in COMPUTED:
        if wanted in (plain(item.name), plain(item.title_in(settings.REPORTING_CURRENCY))):
            return item.name
    raise RuleViolation("unknown_measure", f"There is no measure '{text[:60]}' to compute it from.", "measure")


class Kpis(Importer):
    """KPIs that are read, computed where a measure stands, by a formula where one is written."""

    columns: ClassVar[tuple[Column, ...]] = (
        ROADMAP,
        Column(PHASE.field, PHASE.label, names=PHASE.names, help=PHASE.help, example="PoC", is_needed=True),
        Column(
            "key",
            "Key",
            names=("KPI key", "Outside key", "ID"),
            help="What formulas and readings call it; a second import finds it by this. Letters, digits and _.",
            example="hours_saved",
        ),
        Column("name", "KPI", names=("Name", "KPI name", "Title", "Indicator", "Metric"), example="Hours saved"),
        Column("unit", "Unit", can_clear=True, example="h"),
        Column(
            "direction",
            "Better is",
            "choice",
            names=("Direction", "Better"),
            choices=dict(Kpi.Direction.choices),
            example="Higher is better",
        ),
        Column(
            "measure", "Computed from", names=("Measure",), help="A measure's name; empty: it is read.", can_clear=True
        ),
        Column("formula", "Formula", help="Over keys of KPIs of the same phase.", can_clear=True),
        Column(
            "window",
            "Window",
            names=("Window days", "Over", "Days"),
            help="Days back, or: phase. 28 where empty.",
            example="28",
        ),
        Column(
            "combine",
            "Readings combine as",
            "choice",
            names=("Combine", "Aggregation"),
            choices=dict(Kpi.Combine.choices),
            example="Sum of the readings",
        ),
        Column("minimum_sample", "Minimum sample", "whole", can_clear=True),
        Column("baseline", "Baseline", "number", names=("Baseline value", "Start value"), can_clear=True),
        Column("target", "Target", "number", names=("Target value", "Goal"), can_clear=True, example=400),
        Column(
            "target_on", "Target by", "day", names=("Target date", "Target on"), can_clear=True, example="2027-03-31"
        ),
        Column("is_value", "Value KPI", "yes", names=("Is value", "Is value KPI"), help="yes for one KPI of a phase."),
        Column(
            "rate_amount",
            "Rate",
            "number",
            names=("Rate amount", "Money per unit"),
            help="Of the value KPI.",
            can_clear=True,
        ),
        Column("rate_currency", "Rate currency", names=("Currency of the rate",), can_clear=True),
        Column("rate_source", "Rate source", names=("Source of the rate",), can_clear=True),
        Column("rate_owner", "Rate owner", names=("Rate's owner",), can_clear=True),
    )
    ignored = (
        *("Value", "Value low", "Value high", "Status", "Why no value", "Sample", "Attainment", "Headroom"),
        *("Source", "Last reading", "Owner", "Carried from"),
    )

    def __init__(self, lookup: Lookup) -> None:
        super().__init__(lookup)
        self.seen: dict[int, int] = {}
        self._held: dict[int, list[Kpi]] = {}
        self._value: dict[int, int] = {}

    def take_all(self, rows: Sequence[Given]) -> Iterator[RowResult]:
        """A formula comes after what it names, as far as that is in the file."""
        left = sorted(rows, key=lambda row: bool(row.get("formula")))
        while left:
            waiting = []
            for row in left:
                result = self.attempt(row)
                if any(problem.code == "formula_unknown_key" for problem in result.problems):
                    waiting.append((row, result))
                else:
                    yield result
            if len(waiting) == len(left):
                yield from (result for _, result in waiting)
                return
            left = [row for row, _ in waiting]

    def take(self, row: Given) -> Done:
        roadmap = self.lookup.roadmap(str(row.get("roadmap", "")))
        self.needed(row, "phase")
        phase = self.lookup.phase(roadmap, str(row.get("phase")))
        found = self._find(phase, row)
        if found is not None:
            once(self.seen, found.pk, row.line, f"The KPI '{found.name}'")
        if row.get("is_value") and phase.pk in self._value:
            raise RuleViolation(
                "two_value_kpis", f"The value KPI of this phase stands in line {self._value[phase.pk]:,}.", "is_value"
            )
        done, kpi = self._change(found, phase, row) if found else self._add(phase, row)
        if kpi.is_value:
            # The mark was another one's.
            self._held.pop(phase.pk, None)
            if row.get("is_value"):
                self._value[phase.pk] = row.line
        self._held[phase.pk] = [item for item in self.held(phase) if item.pk != kpi.pk] + [kpi]
        self.seen[kpi.pk] = row.line
        return done

    def missing(self) -> list[Missing]:
        places = {
            phase.pk: place_of(phase) for roadmap in self.lookup.roadmaps.values() for phase in self._phases(roadmap.pk)
        }
        return [
            Missing(item.name, places.get(pk, ""))
            for pk, held in self._held.items()
            for item in held
            if item.pk not in self.seen
        ]

    def held(self, phase: Phase) -> list[Kpi]:
        """The KPIs of a phase."""
        if phase.pk not in self._held:
            self._held[phase.pk] = list(Kpi.objects.filter(phase=phase).select_related("rate_owner"))
            for item in self._held[phase.pk]:
                item.phase = phase
        return self._held[phase.pk]

    def named(self, phase: Phase, text: str) -> Kpi | None:
        """The KPI of a phase by key, else by name."""
        rows = self.held(phase)
        key = key_from(text)
        return next(
            (item for item in rows if item.key == key),
            next((item for item in rows if item.name.casefold() == text.casefold()), None),
        )

    def _phases(self, roadmap_id: int) -> list[Phase]:
        return list(self.lookup._phases.get(roadmap_id, {}).values())

    def _find(self, phase: Phase, row: Given) -> Kpi | None:
        key, name = str(row.get("key", "")), str(row.get("name", ""))
        if not key and not name:
            raise RuleViolation("missing", "Give the KPI a key or a name.", "name")
        rows = self.held(phase)
        if key:
            keyed = next((item for item in rows if item.key == key_from(key)), None)
            if keyed is not None:
                return keyed
        same = next((item for item in rows if item.name.casefold() == name.casefold()), None)
        if same is not None and key:
            raise RuleViolation(
                "already_there", f"This phase has a KPI '{same.name}' with the key {same.key}. Write that key.", "key"
            )
        return same

    def _add(self, phase: Phase, row: Given) -> tuple[Done, Kpi]:
        self.needed(row, "name")
        wanted = self._wanted(phase, row)
        fields = {name: value for name, value in wanted.items() if value is not None or name == "window_days"}
        kpi = add_kpi(self.asker, phase, key=str(row.get("key", "")), **fields)
        return Done("added", kpi.name, place_of(phase)), kpi

    def _change(self, kpi: Kpi, phase: Phase, row: Given) -> tuple[Done, Kpi]:
        wanted = self._wanted(phase, row)
        if wanted.get("source", kpi.source) == Kpi.Source.COMPUTED:
            # The unit is its measure's.
            wanted.pop("unit", None)
        changes, words = self.differences(kpi, wanted)
        words = [
            FieldChange("Window", self._window(kpi.window_days), self._window(wanted["window_days"]))
            if word.column == "window_days"
            else word
            for word in words
            if word.column != "source"
        ]
        if not changes:
            return Done("unchanged", kpi.name, place_of(phase)), kpi
        if {"measure", "formula"} & set(changes):
            changes["source"] = wanted["source"]
        kpi = change_kpi(self.asker, kpi, **changes)
        kpi.phase = phase
        return Done("changed", kpi.name, place_of(phase), words), kpi

    def _wanted(self, phase: Phase, row: Given) -> dict[str, Any]:
        wanted: dict[str, Any] = {name: row.get(name, _EMPTY.get(name)) for name in (*_PLAIN, *_RATE) if name in row}
        if row.get("rate_owner"):
            wanted["rate_owner"] = self.lookup.person(phase.roadmap, str(row.get("rate_owner")), field="rate_owner")
        if row.get("rate_currency"):
            wanted["rate_currency"] = str(row.get("rate_currency")).upper()
        if row.get("measure") and row.get("formula"):
            raise RuleViolation("two_sources", "Give a measure or a formula, not both.", "formula")
        if "window" in row:
            wanted["window_days"] = _window_days(str(row.get("window", "28")))
        if "measure" in row or "formula" in row:
            measure = measure_named(str(row.get("measure"))) if row.get("measure") else ""
            formula = read_formula(str(row.get("formula"))).text if row.get("formula") else ""
            source = Kpi.Source.COMPUTED if measure else Kpi.Source.FORMULA if formula else Kpi.Source.READ
            wanted |= {"measure": measure, "formula": formula, "source": source.value}
        return wanted

    @staticmethod
    def _window(days: int | None) -> str:
        return "phase" if days is None else f"{days} days"


def _window_days(text: str) -> int | None:
    """28 of '28 days', None of 'phase'."""
    words = text.casefold().replace("days", "").replace("day", "").strip()
    if words in ("phase", "the phase to date", "phase to date"):
        return None
    if words.isdecimal() and len(words) <= 4:
        return int(words)
    raise RuleViolation("window", f"'{text[:40]}' is no window: write days, such as 28, or phase.", "window")

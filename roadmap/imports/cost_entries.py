"""Rows that are cost entries: found by outside key within their roadmap, or by name and first day."""

from __future__ import annotations

from typing import Any, ClassVar

from django.conf import settings

from metrics.errors import RuleViolation
from roadmap.actions.cost_entries import add_cost_entry, change_cost_entry
from roadmap.imports.columns import Column, Given
from roadmap.imports.lookup import PHASE, ROADMAP, Done, Importer, Lookup, once
from roadmap.imports.outcome import FieldChange, Missing
from roadmap.models import CostEntry, Phase, Roadmap

_SIMPLE = ("name", "category", "kind", "status", "amount", "currency", "start_on", "end_on")


class CostEntries(Importer):
    """What no backend can report."""

    columns: ClassVar[tuple[Column, ...]] = (
        ROADMAP,
        Column(
            PHASE.field,
            PHASE.label,
            names=PHASE.names,
            help="From which it is entered; empty: the phase that the first day lies in.",
            example="PoC",
        ),
        Column(
            "key",
            "Outside key",
            names=("Key", "ID", "Invoice", "Invoice number", "Booking", "Document number"),
            help="Of your own, an invoice number for example. A second import finds the entry by it.",
            example="INV-2027-001",
        ),
        Column("name", "Cost entry", names=("Name", "What for", "Description", "Item", "Text"), example="Licences"),
        Column(
            "category",
            "Category",
            "choice",
            names=("Type", "Cost type"),
            choices=dict(CostEntry.Category.choices),
            example="Licences",
        ),
        Column("amount", "Amount", "number", names=("Cost", "Value", "Price", "Sum"), example=1200),
        Column("currency", "Currency", help="The reporting currency where it is empty.", example="EUR"),
        Column(
            "start_on",
            "From",
            "day",
            names=("On", "On, or from", "Start", "Date", "Start on", "Day"),
            example="2027-01-04",
        ),
        Column(
            "end_on",
            "Until",
            "day",
            names=("End", "End on", "To"),
            help="Spread by the day until then; empty: all on one day.",
            can_clear=True,
        ),
        Column("kind", "Booked as", "choice", names=("Kind", "Opex or capex"), choices=dict(CostEntry.Kind.choices)),
        Column(
            "status", "Status", "choice", names=("State",), choices=dict(CostEntry.Status.choices), example="Actual"
        ),
    )
    ignored = ("Author", "Entered by", "Entered at", "Created at", "In phase to date")

    def __init__(self, lookup: Lookup) -> None:
        super().__init__(lookup)
        self.seen: dict[int, int] = {}
        self._held: dict[int, list[CostEntry]] = {}

    def take(self, row: Given) -> Done:
        roadmap = self.lookup.roadmap(str(row.get("roadmap", "")))
        found = self._find(roadmap, row)
        if found is not None:
            once(self.seen, found.pk, row.line, f"The cost entry '{found.name}'")
        done, entry = self._change(found, roadmap, row) if found else self._add(roadmap, row)
        self._held[roadmap.pk] = [item for item in self._entries(roadmap) if item.pk != entry.pk] + [entry]
        self.seen[entry.pk] = row.line
        return done

    def missing(self) -> list[Missing]:
        names = {roadmap.pk: roadmap.name for roadmap in self.lookup.roadmaps.values()}
        return [
            Missing(item.name, f"{names[pk]}, {item.start_on.isoformat()}")
            for pk, held in self._held.items()
            for item in held
            if item.pk not in self.seen
        ]

    def _entries(self, roadmap: Roadmap) -> list[CostEntry]:
        if roadmap.pk not in self._held:
            self._held[roadmap.pk] = list(CostEntry.objects.filter(roadmap=roadmap).select_related("phase"))
        return self._held[roadmap.pk]

    def _find(self, roadmap: Roadmap, row: Given) -> CostEntry | None:
        key, name = str(row.get("key", "")), str(row.get("name", "")).casefold()
        held = self._entries(roadmap)
        if key:
            keyed = next((item for item in held if item.outside_key == key), None)
            if keyed is not None:
                return keyed
        elif not name or row.get("start_on") is None:
            raise RuleViolation("missing", "Give an outside key, or a name and the first day.", "name")
        # One entered by hand takes the key; one that has another key is another one.
        same = [
            item
            for item in held
            if item.name.casefold() == name
            and item.start_on == row.get("start_on")
            and not (key and (item.outside_key or item.pk in self.seen))
        ]
        if len(same) > 1:
            raise RuleViolation(
                "ambiguous",
                f"{len(same)} entries of that day are called '{row.get('name')}'. Give each an outside key.",
                "name",
            )
        return same[0] if same else None

    def _add(self, roadmap: Roadmap, row: Given) -> tuple[Done, CostEntry]:
        self.needed(row, "name", "category", "amount", "start_on")
        if row.get("phase"):
            phase = self.lookup.phase(roadmap, str(row.get("phase")))
        else:
            phase = self._phase_on(roadmap, row)
        fields: dict[str, Any] = {name: row.get(name) for name in _SIMPLE if row.get(name) is not None}
        fields.setdefault("currency", settings.REPORTING_CURRENCY)
        entry = add_cost_entry(self.asker, phase, outside_key=str(row.get("key", "")), **fields)
        return Done("added", entry.name, self._place(roadmap, phase)), entry

    def _change(self, entry: CostEntry, roadmap: Roadmap, row: Given) -> tuple[Done, CostEntry]:
        wanted: dict[str, Any] = {name: row.get(name) for name in _SIMPLE if name in row}
        if row.get("currency"):
            wanted["currency"] = str(row.get("currency")).upper()
        if row.get("key"):
            wanted["outside_key"] = str(row.get("key"))
        changes, words = self.differences(entry, wanted)
        words = [
            FieldChange("Outside key", word.before, word.after) if word.column == "outside_key" else word
            for word in words
        ]
        notes = []
        if row.get("phase") and entry.phase is not None:
            told = self.lookup.phase(roadmap, str(row.get("phase")))
            if told.pk != entry.phase_id:
                notes.append(f"It stays entered from {entry.phase.get_kind_display()}.")
        phase = entry.phase
        if changes:
            entry = change_cost_entry(self.asker, entry, **changes)
        return Done("changed" if words else "unchanged", entry.name, self._place(roadmap, phase), words, notes), entry

    def _phase_on(self, roadmap: Roadmap, row: Given) -> Phase:
        """The phase that a day lies in: the last one that begins by then, else the first."""
        phases = list(self.lookup.phases(roadmap).values())
        begun = [phase for phase in phases if (phase.started_on or phase.planned_start_on) <= row.get("start_on")]
        return begun[-1] if begun else phases[0]

    @staticmethod
    def _place(roadmap: Roadmap, phase: Phase | None) -> str:
        return f"{roadmap.name}, {phase.get_kind_display()}" if phase else roadmap.name

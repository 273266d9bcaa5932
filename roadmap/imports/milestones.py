"""Rows that are milestones: found by outside key within their roadmap, or by name within their phase."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from graphlib import CycleError, TopologicalSorter
from typing import Any, ClassVar

from metrics.errors import RuleViolation
from roadmap.actions.milestones import (
    add_milestone,
    change_milestone,
    drop_milestone,
    reopen_milestone,
    tick_milestone,
)
from roadmap.imports.columns import Column, Given
from roadmap.imports.lookup import PHASE, ROADMAP, Done, Importer, Lookup, once, place_of
from roadmap.imports.outcome import FieldChange, Missing, Problem, RowResult
from roadmap.models import Milestone, Phase, Roadmap

_SIMPLE = ("name", "due_on", "evidence_url")


class Milestones(Importer):
    """Milestones. A change of state is a tick, a reopening or a drop, as on the page."""

    columns: ClassVar[tuple[Column, ...]] = (
        ROADMAP,
        PHASE,
        Column(
            "key",
            "Outside key",
            names=("Key", "ID", "Milestone key", "Issue key", "Ticket"),
            help="Of your own, a Jira key for example. A second import finds the milestone by it.",
            example="CL-1",
        ),
        Column(
            "name", "Milestone", names=("Name", "Milestone name", "Title", "Summary", "Task"), example="Data released"
        ),
        Column(
            "due_on",
            "Due on",
            "day",
            names=("Due", "Due date", "Deadline", "Date", "Planned", "Target date"),
            example="2027-02-26",
        ),
        Column("owner", "Owner", names=("Assignee", "Responsible"), can_clear=True),
        Column("state", "State", "choice", names=("Status",), choices=dict(Milestone.State.choices), example="Open"),
        Column("done_on", "Done on", "day", names=("Done", "Completed", "Completed on", "Actual date")),
        Column("dropped_reason", "Reason", names=("Dropped reason", "Reason for dropping"), help="For a dropped one."),
        Column(
            "depends_on",
            "Waits for",
            "people",
            names=("Depends on", "Dependencies", "Predecessors", "Blocked by", "After"),
            help="Outside keys or names of milestones of the same roadmap, with semicolons between.",
            can_clear=True,
        ),
        Column("evidence_url", "Evidence", names=("Evidence link", "Link", "URL"), can_clear=True),
    )
    ignored = ("First promised", "Slipped", "Days late", "Version", "Condition", "Is condition", "Owner name")

    def __init__(self, lookup: Lookup) -> None:
        super().__init__(lookup)
        self.seen: dict[int, int] = {}
        self._held: dict[int, list[Milestone]] = {}

    def take_all(self, rows: Sequence[Given]) -> Iterator[RowResult]:
        """What others wait for comes first; rows in a ring are refused."""
        names: dict[tuple[str, str], Given] = {}
        for row in rows:
            for part in ("name", "key"):
                if row.get(part):
                    names[self._in(row), str(row.get(part)).casefold()] = row
        graph: dict[int, list[int]] = {
            row.line: [
                names[self._in(row), word.casefold()].line
                for word in self._words(row)
                if (self._in(row), word.casefold()) in names
            ]
            for row in rows
        }
        by_line = {row.line: row for row in rows}
        while True:
            try:
                order = list(TopologicalSorter(graph).static_order())
                break
            except CycleError as error:
                ring: list[int] = error.args[1]
                words = " waits for ".join(
                    f"'{by_line[line].get('name') or by_line[line].get('key')}'" for line in ring[::-1]
                )
                problem = Problem(self.labels["depends_on"], "dependency_ring", f"That would be a ring: {words}.")
                for line in set(ring):
                    yield self.refused(by_line[line], [problem])
                    del graph[line]
                graph = {line: [before for before in befores if before in graph] for line, befores in graph.items()}
        for line in order:
            yield self.attempt(by_line[line])

    def take(self, row: Given) -> Done:
        roadmap = self.lookup.roadmap(str(row.get("roadmap", "")))
        phase = self.lookup.phase(roadmap, str(row.get("phase"))) if row.get("phase") else None
        found = self._find(roadmap, phase, row)
        if found is not None:
            once(self.seen, found.pk, row.line, f"The milestone '{found.name}'")
        done, milestone = self._change(found, row) if found else self._add(roadmap, phase, row)
        milestone.phase = self.lookup.phases(roadmap)[milestone.phase.kind]
        self._held[roadmap.pk] = [item for item in self._milestones(roadmap) if item.pk != milestone.pk] + [milestone]
        self.seen[milestone.pk] = row.line
        return done

    def missing(self) -> list[Missing]:
        return [
            Missing(item.name, place_of(item.phase))
            for held in self._held.values()
            for item in held
            if item.pk not in self.seen
        ]

    def _milestones(self, roadmap: Roadmap) -> list[Milestone]:
        if roadmap.pk not in self._held:
            rows = Milestone.objects.filter(phase__roadmap=roadmap).select_related("phase", "owner")
            self._held[roadmap.pk] = list(rows.prefetch_related("depends_on"))
            kinds = self.lookup.phases(roadmap)
            for item in self._held[roadmap.pk]:
                item.phase = kinds[item.phase.kind]
        return self._held[roadmap.pk]

    def _find(self, roadmap: Roadmap, phase: Phase | None, row: Given) -> Milestone | None:
        held = self._milestones(roadmap)
        key, name = str(row.get("key", "")), str(row.get("name", "")).casefold()
        if key:
            keyed = [item for item in held if item.outside_key == key]
            here = [item for item in keyed if phase is None or item.phase == phase]
            if len(here) == 1:
                return here[0]
            if here:
                raise RuleViolation("ambiguous", f"{key} is a milestone of several phases. Write the phase.", "phase")
            if keyed:
                raise RuleViolation(
                    "another_phase",
                    f"{key} is '{keyed[0].name}' in {keyed[0].phase.get_kind_display()}, and a milestone keeps its "
                    "phase. Write that phase, or another key.",
                    "phase",
                )
        elif not name:
            raise RuleViolation("missing", "Give the milestone an outside key or a name.", "name")
        # One entered by hand takes the key; one that has another key is another one.
        same = [
            item
            for item in held
            if item.name.casefold() == name
            and (phase is None or item.phase == phase)
            and not (key and item.outside_key)
            and not (key and item.pk in self.seen)
        ]
        if len(same) > 1:
            raise RuleViolation(
                "ambiguous", f"{len(same)} milestones are called '{row.get('name')}'. Give each an outside key.", "name"
            )
        return same[0] if same else None

    def _add(self, roadmap: Roadmap, phase: Phase | None, row: Given) -> tuple[Done, Milestone]:
        self.needed(row, "phase", "name", "due_on")
        if phase is None:
            raise RuleViolation("missing", "Phase is empty.", "phase")
        fields: dict[str, Any] = {
            "outside_key": str(row.get("key", "")),
            "evidence_url": str(row.get("evidence_url", "")),
        }
        if row.get("owner"):
            fields["owner"] = self.lookup.person(roadmap, str(row.get("owner")), field="owner")
        if waits := self._waits_for(roadmap, row):
            fields["depends_on"] = waits
        milestone = add_milestone(self.asker, phase, name=str(row.get("name")), due_on=row.get("due_on"), **fields)
        milestone, _ = self._state(milestone, row)
        return Done("added", milestone.name, place_of(phase)), milestone

    def _change(self, milestone: Milestone, row: Given) -> tuple[Done, Milestone]:
        roadmap = milestone.phase.roadmap
        wanted: dict[str, Any] = {name: row.get(name, "") for name in _SIMPLE if name in row}
        if row.get("key"):
            wanted["outside_key"] = str(row.get("key"))
        if "owner" in row:
            text = row.get("owner")
            wanted["owner"] = self.lookup.person(roadmap, str(text), field="owner") if text else None
        changes, words = self.differences(milestone, wanted)
        words = [
            FieldChange("Outside key", word.before, word.after) if word.column == "outside_key" else word
            for word in words
        ]
        if "depends_on" in row:
            before = sorted(milestone.depends_on.all(), key=lambda item: item.pk)
            after = sorted(self._waits_for(roadmap, row), key=lambda item: item.pk)
            if before != after:
                changes["depends_on"] = after
                words.append(FieldChange(self.labels["depends_on"], _names(before), _names(after)))
        place = place_of(milestone.phase)
        if changes:
            milestone = change_milestone(self.asker, milestone, **changes)
        milestone, state_words = self._state(milestone, row)
        words += state_words
        return Done("changed" if words else "unchanged", milestone.name, place, words), milestone

    def _state(self, milestone: Milestone, row: Given) -> tuple[Milestone, list[FieldChange]]:
        """Ticks, drops or opens the milestone as the row says; no state and a day of being done is a tick."""
        state, done_on = row.get("state"), row.get("done_on")
        if state is None and done_on is not None:
            state = Milestone.State.DONE
        if state is not None and state != Milestone.State.DONE and done_on is not None:
            raise RuleViolation(
                "state_unclear", "Only a milestone that is done has a day on which it was done.", "done_on"
            )
        was = {"state": milestone.state, "done_on": milestone.done_on, "dropped_reason": milestone.dropped_reason}
        reason = str(row.get("dropped_reason", ""))
        if state == Milestone.State.DONE and (
            milestone.state != state or (done_on is not None and done_on != milestone.done_on)
        ):
            milestone = tick_milestone(self.asker, milestone, done_on=done_on)
        elif state == Milestone.State.DROPPED and (
            milestone.state != state or (reason and reason != milestone.dropped_reason)
        ):
            try:
                milestone = drop_milestone(self.asker, milestone, reason=reason)
            except RuleViolation as error:
                raise RuleViolation(error.code, error.message, "dropped_reason") from error
        elif state == Milestone.State.OPEN and milestone.state != state:
            milestone = reopen_milestone(self.asker, milestone)
        words = [
            FieldChange(self.labels[name], self.told(name, before), self.told(name, getattr(milestone, name)))
            for name, before in was.items()
            if getattr(milestone, name) != before
        ]
        return milestone, words

    def _waits_for(self, roadmap: Roadmap, row: Given) -> list[Milestone]:
        found: dict[int, Milestone] = {}
        held = self._milestones(roadmap)
        for word in self._words(row):
            keyed = [item for item in held if item.outside_key and item.outside_key.casefold() == word.casefold()]
            named = keyed or [item for item in held if item.name.casefold() == word.casefold()]
            if len(named) != 1:
                what = f"{len(named)} milestones are called" if named else "There is no milestone"
                raise RuleViolation("unknown_milestone", f"{what} '{word[:60]}' in {roadmap.name}.", "depends_on")
            found[named[0].pk] = named[0]
        return list(found.values())

    def _words(self, row: Given) -> list[str]:
        """What a row waits for: with semicolons between, or commas where the parts are keys."""
        words: list[str] = row.get("depends_on", [])
        if len(words) == 1 and "," in words[0]:
            parts = [part.strip() for part in words[0].split(",") if part.strip()]
            if all(" " not in part for part in parts):
                return parts
        return words

    def _in(self, row: Given) -> str:
        text = str(row.get("roadmap", ""))
        try:
            return self.lookup.roadmap(text).slug
        except RuleViolation:
            return text


def _names(milestones: Sequence[Milestone]) -> str:
    return ", ".join(item.outside_key or item.name for item in milestones)

"""What rows name: roadmaps, phases and people, found once for a whole file; and what every kind of row shares."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, ClassVar

from django.core.exceptions import PermissionDenied
from django.db import DataError, IntegrityError, transaction
from django.utils.text import slugify
from django.utils.translation import gettext

from accounts.access import Asker, visible_workloads
from accounts.models import User
from metrics.errors import RuleViolation
from roadmap.forms.plan_form import people_of
from roadmap.imports.cells import plain
from roadmap.imports.columns import ENGLISH, Column, Given, spoken
from roadmap.imports.outcome import FieldChange, Missing, Outcome, Problem, RowResult
from roadmap.labels import Labels
from roadmap.models import Phase, Roadmap

PHASES: Labels = dict(Phase.Kind.choices)
PHASE_NAMES = {"pilot": "poc", "proofofconcept": "poc", "1": "poc", "scaling": "scale_up", "2": "scale_up"}
PHASE_NAMES |= {"optimize": "optimise", "optimisation": "optimise", "optimization": "optimise", "3": "optimise"}

ROADMAP = Column(
    "roadmap",
    "Roadmap",
    names=("Roadmap key", "Roadmap name", "Use case", "Project", "Slug"),
    help="Key or name of the roadmap, as on the sheet Roadmaps or in Phaseline.",
    is_needed=True,
    example="claims",
)
PHASE = Column("phase", "Phase", names=("Phase kind", "Stage"), help="PoC, Scale-up or Optimise.", example="PoC")


@dataclass(frozen=True, slots=True)
class Done:
    """What one row did."""

    outcome: Outcome
    name: str
    place: str
    changes: Sequence[FieldChange] = ()
    notes: Sequence[str] = ()


class Lookup:
    """What an asker's file can name. Roadmaps that the asker does not see are not there."""

    def __init__(self, asker: Asker) -> None:
        self.asker = asker
        rows = Roadmap.objects.filter(workload__in=visible_workloads(asker)).select_related(
            "workload", "owner", "sponsor", "programme"
        )
        self.roadmaps = {roadmap.slug: roadmap for roadmap in rows}
        self._phases: dict[int, dict[str, Phase]] = {}
        self._people: dict[int, list[User]] = {}

    def add(self, roadmap: Roadmap) -> None:
        """Knows a roadmap that this file made or changed."""
        self.roadmaps[roadmap.slug] = roadmap
        self._phases.pop(roadmap.pk, None)
        self._people.pop(roadmap.pk, None)

    def roadmap(self, text: str) -> Roadmap:
        """The roadmap of a key or name. RuleViolation where there is none, or more than one."""
        if not text:
            raise RuleViolation("missing", "Roadmap is empty.", "roadmap")
        found = self.roadmaps.get(slug_of(text))
        named = self.named(text)
        if found is not None and (not named or found in named):
            return found
        if found is None and len(named) == 1:
            return named[0]
        if found is not None or named:
            raise RuleViolation(
                "ambiguous_roadmap", f"More than one roadmap is called '{text[:60]}'. Write its key.", "roadmap"
            )
        raise RuleViolation(
            "unknown_roadmap", f"There is no roadmap '{text[:60]}'. Write its key, or give it a row.", "roadmap"
        )

    def named(self, text: str) -> list[Roadmap]:
        """Roadmaps of this name."""
        name = " ".join(text.split()).casefold()
        return [roadmap for roadmap in self.roadmaps.values() if roadmap.name.casefold() == name]

    def phase(self, roadmap: Roadmap, text: str) -> Phase:
        """The phase of a roadmap by kind or label."""
        name = plain(text)
        english = spoken(PHASES, ENGLISH)
        kind = PHASE_NAMES.get(name) or next(
            (kind for kind in PHASES if name in (plain(kind), plain(spoken(PHASES)[kind]), plain(english[kind]))), ""
        )
        if not kind:
            raise RuleViolation(
                "unknown_phase", f"'{text[:40]}' is no phase. Write {_or(list(spoken(PHASES).values()))}.", "phase"
            )
        return self.phases(roadmap)[kind]

    def phases(self, roadmap: Roadmap) -> dict[str, Phase]:
        """The phases of a roadmap by kind, in their order."""
        if roadmap.pk not in self._phases:
            rows = list(roadmap.phases.select_related("owner").order_by("position"))
            for phase in rows:
                phase.roadmap = roadmap
            self._phases[roadmap.pk] = {phase.kind: phase for phase in rows}
        return self._phases[roadmap.pk]

    def person(self, roadmap: Roadmap, text: str, *, field: str) -> User:
        """A person of the roadmap by user name, e-mail or full name."""
        if roadmap.pk not in self._people:
            self._people[roadmap.pk] = list(people_of(roadmap))
        return one_of(
            self._people[roadmap.pk],
            text,
            field=field,
            otherwise=f"does not belong to {roadmap.name}. Add the person to it first, or leave this column out.",
        )


def one_of(people: Iterable[User], text: str, *, field: str, otherwise: str, by_full_name: bool = True) -> User:
    """The one person with this user name, e-mail or full name. RuleViolation: "'x' `otherwise`"."""
    wanted = " ".join(text.split()).casefold()
    found = [
        person
        for person in people
        if wanted in (person.username.casefold(), person.email.casefold())
        or (by_full_name and wanted == person.display_name.casefold())
    ]
    if len(found) == 1:
        return found[0]
    if found:
        raise RuleViolation("ambiguous_person", f"More than one person is '{text[:60]}'. Write the user name.", field)
    raise RuleViolation("unknown_person", f"'{text[:60]}' {otherwise}", field)


class Importer(ABC):
    """One kind of row: finds what a row means, and adds or changes it through the actions of the plan.

    Each row is taken whole or not at all. `take` raises RuleViolation or PermissionDenied for one that cannot be.
    """

    columns: ClassVar[tuple[Column, ...]]
    # Columns of our own exports that follow from others.
    ignored: ClassVar[tuple[str, ...]] = ()

    def __init__(self, lookup: Lookup) -> None:
        self.lookup = lookup
        self.asker = lookup.asker
        self.labels = {column.field: column.label for column in self.columns}

    @abstractmethod
    def take(self, row: Given) -> Done:
        """Does what one row says."""

    @abstractmethod
    def missing(self) -> list[Missing]:
        """What is in Phaseline, of the roadmaps that the rows name, and in no row."""

    def take_all(self, rows: Sequence[Given]) -> Iterator[RowResult]:
        """Every row once, in the order in which they can be taken."""
        for row in rows:
            yield self.attempt(row)

    def attempt(self, row: Given) -> RowResult:
        """One row, in a savepoint of its own."""
        try:
            if row.problems:
                return self.refused(row, row.problems)
            with transaction.atomic():
                done = self.take(row)
        except RuleViolation as error:
            return self.refused(row, [self.problem(error)])
        except PermissionDenied as error:
            return self.refused(row, [Problem("", "not_allowed", str(error) or "You may not do that.")])
        except (IntegrityError, DataError):
            return self.refused(row, [Problem("", "not_taken", "The database does not take this row.")])
        return RowResult(row.line, done.outcome, done.name, done.place, done.changes, notes=done.notes)

    def problem(self, error: RuleViolation) -> Problem:
        """A refusal as the problem of its column."""
        return Problem(self.labels.get(error.field or "", ""), error.code, error.message)

    def refused(self, row: Given, problems: Sequence[Problem]) -> RowResult:
        """The row, left out."""
        name = str(row.get("name") or row.get("key") or row.get("kpi") or "")
        place = ", ".join(str(row.get(part)) for part in ("roadmap", "phase") if row.get(part))
        return RowResult(row.line, "refused", name, place, problems=tuple(problems))

    def needed(self, row: Given, *names: str) -> None:
        """RuleViolation where a new row lacks one of these."""
        for name in names:
            if row.get(name) in (None, ""):
                raise RuleViolation("missing", f"{self.labels[name]} is empty.", name)

    def differences(
        self, row_or_none: Any, wanted: Mapping[str, Any], *, told: Callable[[str, Any], str] | None = None
    ) -> tuple[dict[str, Any], list[FieldChange]]:
        """Of the wanted fields those that differ from the row's, and the same in words."""
        say = told or self.told
        changes: dict[str, Any] = {}
        words = []
        for name, value in wanted.items():
            held = getattr(row_or_none, name)
            if held != value:
                changes[name] = value
                words.append(FieldChange(self.labels.get(name, name), say(name, held), say(name, value)))
        return changes, words

    def told(self, name: str, value: Any) -> str:
        """A field's value in words."""
        column = next((column for column in self.columns if column.field == name), None)
        if column is not None and column.choices and value in column.choices:
            return str(column.choices[value])
        return told(value)


def told(value: Any) -> str:
    """A value as the preview writes it; empty for none."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Decimal):
        return f"{value.normalize():f}" if value else "0"
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, User):
        return value.display_name
    return str(value)


def slug_of(key: str) -> str:
    """The address that a roadmap of this key has."""
    return slugify(key.replace("_", "-"))[:80].strip("-")


def once(seen: dict[Any, int], key: Any, line: int, words: str) -> None:
    """RuleViolation where an earlier row of the file is the same thing."""
    if key in seen:
        raise RuleViolation("twice", f"{words} stands in line {seen[key]:,} already.")


def place_of(phase: Phase) -> str:
    """'Contact centre, PoC'."""
    return f"{phase.roadmap.name}, {phase.get_kind_display()}"


def _or(words: list[str]) -> str:
    return gettext("%(first)s or %(last)s") % {"first": ", ".join(words[:-1]), "last": words[-1]}

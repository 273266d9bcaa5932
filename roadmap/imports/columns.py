"""What the columns of a sheet are: ours with what else people call them, and how cells become values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from dataclasses import field as default
from decimal import Decimal
from typing import Any, Literal

from django.conf import settings
from django.utils.translation import get_language, override

from metrics.errors import RuleViolation
from roadmap.imports import cells
from roadmap.imports.cells import Dialect, plain
from roadmap.imports.outcome import ColumnUse, Problem
from roadmap.imports.tables import Cell, Line
from roadmap.labels import Labels

ENGLISH = "en-gb"
Type = Literal["text", "day", "moment", "number", "whole", "yes", "choice", "people"]


@dataclass(frozen=True, slots=True)
class Column:
    """A column that an import knows. `names`: what else it is called; `help`: for the template workbook.

    `can_clear`: a dash in a cell empties the field.
    """

    field: str
    label: str
    type: Type = "text"
    names: tuple[str, ...] = ()
    help: str = ""
    choices: Labels = default(default_factory=dict)
    is_needed: bool = False
    can_clear: bool = False
    example: str | int | Decimal = ""


@dataclass(frozen=True, slots=True)
class Given:
    """A row's cells as values, by field; a field without a cell is not there, one to be emptied is None.

    `problems`: cells that are not what they should be.
    """

    line: int
    values: Mapping[str, Any]
    problems: Sequence[Problem] = ()

    def __contains__(self, name: str) -> bool:
        return name in self.values

    def get(self, name: str, default: Any = None) -> Any:
        """The value, `default` where the row has none or empties it."""
        value = self.values.get(name)
        return default if value is None else value


def spoken(labels: Labels, language: str | None = None) -> dict[str, str]:
    """The labels in a language; in the one in force where none is given."""
    with override(language or get_language()):
        return {value: str(label) for value, label in labels.items()}


def uses(
    header: Sequence[str], columns: Sequence[Column], ignored: Sequence[str], chosen: Mapping[str, str]
) -> list[ColumnUse]:
    """What each column of a file is taken for: as chosen, else by its name. RuleViolation where a choice is none."""
    by_field = {column.field: column for column in columns}
    # Its own name counts before what else a column is called; that may be said of several.
    by_name: dict[str, list[str]] = {}
    for column in columns:
        for name in (column.label, column.field):
            by_name.setdefault(plain(name), []).append(column.field)
    own = {name: fields[0] for name, fields in by_name.items()}
    for column in columns:
        for name in column.names:
            by_name.setdefault(plain(name), []).append(column.field)
    known = {name.casefold() for name in header}
    for name, field_name in chosen.items():
        if name.casefold() not in known:
            raise RuleViolation("unknown_column", f"The file has no column '{name[:60]}'.", "mapping")
        if field_name and field_name not in by_field:
            raise RuleViolation(
                "unknown_field", f"There is no '{field_name[:40]}'. Known are: {', '.join(by_field)}.", "mapping"
            )
    said = {name.casefold(): field_name for name, field_name in chosen.items()}
    taken = {field_name: name for name, field_name in said.items() if field_name}
    if len(taken) < sum(1 for field_name in said.values() if field_name):
        twice = next(name for name in taken if list(said.values()).count(name) > 1)
        raise RuleViolation("mapped_twice", f"Two columns are taken for {by_field[twice].label}.", "mapping")
    skipped = {plain(name) for name in ignored}
    for name in header:
        if name.casefold() not in said and plain(name) in own:
            taken.setdefault(own[plain(name)], name)
    found = []
    for name in header:
        if name.casefold() in said:
            field_name = said[name.casefold()]
            label = by_field[field_name].label if field_name else ""
            found.append(ColumnUse(name, field_name, label, "" if field_name else "You left it out."))
            continue
        guesses = by_name.get(plain(name), [])
        guess = next((field for field in guesses if taken.get(field, name) == name), "")
        if guess:
            taken[guess] = name
            found.append(ColumnUse(name, guess, by_field[guess].label))
        elif guesses:
            label = by_field[guesses[0]].label
            found.append(ColumnUse(name, "", "", f"{label} is '{taken[guesses[0]]}' already."))
        elif plain(name) in skipped:
            found.append(ColumnUse(name, "", "", "Phaseline works it out."))
        else:
            found.append(ColumnUse(name, "", ""))
    return found


def check_needed(columns: Sequence[Column], found: Sequence[ColumnUse]) -> None:
    """RuleViolation naming the columns without which no row can be read."""
    have = {use.field for use in found}
    lacking = [column.label for column in columns if column.is_needed and column.field not in have]
    if lacking:
        raise RuleViolation(
            "column_missing",
            f"The column '{lacking[0]}' is missing. Name a column so, or say which column it is."
            if len(lacking) == 1
            else f"These columns are missing: {', '.join(lacking)}. Name columns so, or say which ones they are.",
        )


def given_of(line: Line, found: Sequence[ColumnUse], columns: Mapping[str, Column], dialect: Dialect) -> Given:
    """A line's values, and what is wrong with its cells."""
    if line.problem:
        return Given(line.number, {}, (Problem("", "broken_row", line.problem),))
    values: dict[str, Any] = {}
    problems: list[Problem] = []
    for use, cell in zip(found, line.cells, strict=True):
        if not use.field or cell is None:
            continue
        column = columns[use.field]
        try:
            values[use.field] = _value(column, cell, dialect)
        except RuleViolation as error:
            problems.append(Problem(use.header, error.code, error.message))
    return Given(line.number, values, tuple(problems))


def _value(column: Column, cell: Cell, dialect: Dialect) -> Any:
    if cells.is_clear(cell):
        if not column.can_clear:
            raise RuleViolation("not_empty", "This cannot be emptied.")
        return None
    match column.type:
        case "day":
            return cells.day_of(cell, dialect)
        case "moment":
            return cells.moment_of(cell, dialect, settings.REPORTING_ZONE)
        case "number":
            return cells.number_of(cell, dialect)
        case "whole":
            number = cells.number_of(cell, dialect)
            if number != number.to_integral_value() or abs(number) > 10**9:
                raise RuleViolation("not_whole", f"'{cells.text_of(cell)}' is not a whole number.")
            return int(number)
        case "yes":
            return cells.yes_of(cell)
        case "choice":
            return cells.choice_of(cell, spoken(column.choices), spoken(column.choices, ENGLISH))
        case "people":
            return [name.strip() for name in cells.text_of(cell).replace("\n", ";").split(";") if name.strip()]
    text = cells.text_of(cell).strip()
    if "\0" in text:
        raise RuleViolation("bad_text", "It holds the character U+0000.")
    return text

"""Cells as values: days, times, numbers, choices, yes and no. Pure; each says what it is not, and none is guessed.

A day written 03/04/2026 and a number written 1,234 can be two things each. What the file writes elsewhere decides
(`told_by`), else a person does (`Choices`); where neither does, the file is not read.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, tzinfo
from decimal import Decimal
from typing import Any, Literal

from metrics.errors import RuleViolation
from roadmap.imports.tables import Cell

DateOrder = Literal["", "dmy", "mdy"]
DecimalMark = Literal["", ".", ","]
DATE_ORDERS: Mapping[str, str] = {"dmy": "31/12/2026, day first", "mdy": "12/31/2026, month first"}
DECIMAL_MARKS: Mapping[str, str] = {".": "1,234.56", ",": "1.234,56"}
# A cell that empties a field; an empty cell leaves it as it is.
CLEARS = frozenset({"-", "\u2013", "\u2014", "\u2212"})
_ISO_DAY = re.compile(r"^\d{4}-\d{2}-\d{2}$")
_PARTS = re.compile(r"^(\d{1,2})([./-])(\d{1,2})\2(\d{4})$")
_TIMED = re.compile(r"^(\S+)[ T]+(\d{1,2}):(\d{2})(?::(\d{2}))?$")
_NUMBER = re.compile(r"^[+-]?(?:\d+(?:[.,]\d*)*|[.,]\d+)$")
_AROUND = str.maketrans("", "", " \u00a0\u202f'\u2019$\u20ac\u00a3\u00a5")
_YES = frozenset({"yes", "y", "true", "x", "1", "ja", "oui", "si", "s\u00ed"})
_NO = frozenset({"no", "n", "false", "0", "nein", "non"})


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a file writes days and numbers. `is_utc`: its moments are, where they do not say."""

    date_order: DateOrder = ""
    decimal_mark: DecimalMark = ""
    is_utc: bool = False


@dataclass(frozen=True, slots=True)
class Choices:
    """What a person said about a file; empty: what the file says by itself.

    `kind`: what a CSV holds. `columns`: by kind, what each column of the file is taken for; '' leaves it out.
    """

    kind: str = ""
    encoding: str = ""
    date_order: DateOrder = ""
    decimal_mark: DecimalMark = ""
    columns: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """As `of` takes it again."""
        return {
            "kind": self.kind,
            "encoding": self.encoding,
            "date_order": self.date_order,
            "decimal_mark": self.decimal_mark,
            "columns": {kind: dict(chosen) for kind, chosen in self.columns.items()},
        }

    @classmethod
    def of(cls, given: Any) -> Choices:
        """From JSON. RuleViolation for what is none."""
        if not isinstance(given, Mapping):
            raise RuleViolation("not_a_mapping", 'Send an object: {"columns": {"milestones": {...}}}.', "mapping")
        columns = given.get("columns", {})
        if not isinstance(columns, Mapping) or not all(isinstance(chosen, Mapping) for chosen in columns.values()):
            raise RuleViolation(
                "not_a_mapping",
                'columns: by kind, your column to ours: {"milestones": {"Fällig": "due_on"}}.',
                "mapping",
            )
        if unknown := set(given) - {"kind", "encoding", "date_order", "decimal_mark", "columns"}:
            raise RuleViolation("not_a_mapping", f"There is no '{min(map(str, unknown))[:40]}' to say.", "mapping")
        order, mark = str(given.get("date_order") or ""), str(given.get("decimal_mark") or "")
        if order and order not in DATE_ORDERS:
            raise RuleViolation("unknown_choice", "date_order: dmy or mdy.", "date_order")
        if mark and mark not in DECIMAL_MARKS:
            raise RuleViolation("unknown_choice", "decimal_mark: a point or a comma.", "decimal_mark")
        return cls(
            kind=str(given.get("kind") or ""),
            encoding=str(given.get("encoding") or ""),
            date_order=order,  # type: ignore[arg-type]
            decimal_mark=mark,  # type: ignore[arg-type]
            columns={
                str(kind): {str(column): str(field or "") for column, field in chosen.items()}
                for kind, chosen in columns.items()
            },
        )


def told_by(days: Iterable[Cell], numbers: Iterable[Cell], choices: Choices, *, hint: str = "") -> Dialect:
    """How a file writes days and numbers: as a person says, else as its own cells do, else `hint` for numbers.

    RuleViolation, field 'date_order' or 'decimal_mark', where cells can be read both ways.
    """
    order, mark = choices.date_order, choices.decimal_mark
    return Dialect(order or _date_order(days), mark or _decimal_mark(numbers, hint))


def _date_order(cells: Iterable[Cell]) -> DateOrder:
    unclear, found = "", set()
    for cell in cells:
        if not isinstance(cell, str):
            continue
        parts = _PARTS.match(cell.split(" ")[0].split("T")[0])
        if parts is None or parts[2] == ".":
            continue
        first, second = int(parts[1]), int(parts[3])
        if first > 12 >= second:
            found.add("dmy")
        elif second > 12 >= first:
            found.add("mdy")
        elif first != second:
            unclear = unclear or cell
    if len(found) == 1:
        return found.pop()  # type: ignore[return-value]
    if found or unclear:
        what = f"'{unclear}'" if unclear else "A day"
        raise RuleViolation(
            "date_order", f"{what} can be read with the day or with the month first. Say which.", "date_order"
        )
    return ""


def _decimal_mark(cells: Iterable[Cell], hint: str) -> DecimalMark:
    unclear = ""
    found: dict[DecimalMark, str] = {}
    for cell in cells:
        if not isinstance(cell, str):
            continue
        text = cell.translate(_AROUND).rstrip("%")
        if not _NUMBER.match(text):
            continue
        mark = _mark_in(text)
        if mark:
            found.setdefault(mark, cell)  # type: ignore[arg-type]
        elif mark is None:
            unclear = unclear or cell
    if len(found) == 1:
        return next(iter(found))
    if found:
        raise RuleViolation(
            "decimal_mark",
            f"Numbers are written both ways, '{found['.']}' and '{found[',']}'. Say which mark is the decimal one.",
            "decimal_mark",
        )
    if unclear and not hint:
        raise RuleViolation(
            "decimal_mark", f"'{unclear}' can be read in two ways. Say which mark is the decimal one.", "decimal_mark"
        )
    return hint if unclear else ""  # type: ignore[return-value]


def _mark_in(text: str) -> str | None:
    """The decimal mark that a number can only have; '' where it has none, None where it can be either."""
    marks = [character for character in text if character in ".,"]
    if not marks:
        return ""
    if len(set(marks)) == 2:
        return marks[-1]
    other = "," if marks[0] == "." else "."
    if len(marks) > 1:
        return other
    whole, _, rest = text.lstrip("+-").partition(marks[0])
    if len(rest) == 3 and 1 <= len(whole) <= 3 and whole.strip("0"):
        return None
    return marks[0]


def is_clear(cell: Cell | None) -> bool:
    """Whether a cell says that a field is to be empty."""
    return isinstance(cell, str) and cell in CLEARS


def text_of(cell: Cell) -> str:
    """The cell as text: a number without needless zeros, a day as ISO."""
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    if isinstance(cell, Decimal):
        return f"{cell.normalize():f}"
    if isinstance(cell, datetime):
        return cell.date().isoformat() if cell.time() == time() else cell.isoformat(sep=" ")
    if isinstance(cell, date):
        return cell.isoformat()
    return cell


def day_of(cell: Cell, dialect: Dialect) -> date:
    """A day. RuleViolation for what is none."""
    if isinstance(cell, datetime):
        return cell.date()
    if isinstance(cell, date):
        return cell
    if isinstance(cell, Decimal):
        raise RuleViolation(
            "not_a_day", f"{text_of(cell)} is a number. Format the cell as a date, or write 2026-12-31."
        )
    return _day(str(cell).split(" ")[0].split("T")[0], str(cell), dialect)


def _day(text: str, shown: str, dialect: Dialect) -> date:
    try:
        if _ISO_DAY.match(text):
            return date.fromisoformat(text)
        if parts := _PARTS.match(text):
            first, second, year = int(parts[1]), int(parts[3]), int(parts[4])
            is_month_first = parts[2] != "." and dialect.date_order == "mdy"
            return date(year, first, second) if is_month_first else date(year, second, first)
    except ValueError:
        pass
    raise RuleViolation("not_a_day", f"'{_shown(shown)}' is not a day such as 2026-12-31 or 31.12.2026.")


def moment_of(cell: Cell, dialect: Dialect, zone: tzinfo) -> datetime:
    """An aware time; one without a zone is local, a day its first moment. RuleViolation for what is none."""
    if isinstance(cell, datetime):
        zone = UTC if dialect.is_utc else zone
        return cell.replace(tzinfo=zone) if cell.tzinfo is None else cell
    if isinstance(cell, str) and not _ISO_DAY.match(cell):
        try:
            found = datetime.fromisoformat(cell.removesuffix(" UTC") + "+00:00" if cell.endswith(" UTC") else cell)
        except ValueError:
            pass
        else:
            return found.replace(tzinfo=zone) if found.tzinfo is None else found
        if timed := _TIMED.match(cell):
            hour, minute, second = int(timed[2]), int(timed[3]), int(timed[4] or 0)
            if hour < 24 and minute < 60 and second < 60:
                return datetime.combine(_day(timed[1], cell, dialect), time(hour, minute, second), zone)
    return datetime.combine(day_of(cell, dialect), time(), zone)


def number_of(cell: Cell, dialect: Dialect) -> Decimal:
    """A number; '25 %' is 25. RuleViolation for what is none."""
    if isinstance(cell, Decimal):
        return cell
    shown = text_of(cell)
    text = shown.translate(_AROUND).replace("\u2212", "-").removesuffix("%")
    mark = dialect.decimal_mark or "."
    other = "," if mark == "." else "."
    if isinstance(cell, str) and _NUMBER.match(text) and len(text) <= 40:
        whole, _, rest = text.partition(mark)
        head, *groups = whole.lstrip("+-").split(other)
        if (
            other not in rest
            and mark not in rest
            and all(len(group) == 3 for group in groups)
            and (not groups or 1 <= len(head) <= 3)
        ):
            return Decimal(f"{whole.replace(other, '')}.{rest or 0}")
    raise RuleViolation("not_a_number", f"'{_shown(shown)}' is not a number such as {DECIMAL_MARKS[mark]}.")


def yes_of(cell: Cell) -> bool:
    """Yes or no. RuleViolation for what is neither."""
    if isinstance(cell, bool):
        return cell
    text = text_of(cell).casefold()
    if text in _YES:
        return True
    if text in _NO:
        return False
    raise RuleViolation("not_yes_or_no", f"'{_shown(text)}' is neither yes nor no.")


def choice_of(cell: Cell, choices: Mapping[str, str], also: Mapping[str, str] | None = None) -> str:
    """The value of a choice, by value, label or a label in `also`. RuleViolation that lists the labels."""
    text = plain(text_of(cell))
    for value, label in (*choices.items(), *(also or {}).items()):
        if text in (plain(value), plain(label)):
            return value
    raise RuleViolation(
        "unknown_choice", f"'{_shown(text_of(cell))}' is none of: {', '.join(dict.fromkeys(choices.values()))}."
    )


def plain(text: str) -> str:
    """A name for comparing: lower case, letters and digits alone."""
    return "".join(character for character in text.casefold() if character.isalnum())


def _shown(text: str) -> str:
    return " ".join(text.split())[:60]

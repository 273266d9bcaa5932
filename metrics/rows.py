"""Values to and from the columns that ledger entries, hours and days share: array literals and lists of columns.

Whole columns go to the database as one array literal each, so that a posting is one statement a table.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal

from metrics.usage import ADDITIVE_MEASURES, COUNT_MEASURES, HISTOGRAM_MEASURES, MONEY_MEASURES

MEASURE_TYPE = {name: "bigint" if name in COUNT_MEASURES else "numeric" for name in ADDITIVE_MEASURES}
HISTOGRAM_NUMBER = {name: number for number, name in enumerate(HISTOGRAM_MEASURES, start=1)}
HISTOGRAM_NAME = {number: name for name, number in HISTOGRAM_NUMBER.items()}
# (series, hour, currency): the key of an hour's row.
CellKey = tuple[int, datetime, str]


def literal(values: Iterable[object]) -> str:
    """An array literal of numbers, ISO times or plain words; None becomes NULL. Not for text that a person typed."""
    return "{" + ",".join(["NULL" if value is None else str(value) for value in values]) + "}"


def numbers(values: Iterable[int | Decimal | None]) -> str:
    """An array literal of numbers without exponents; None becomes NULL."""
    held = list(values)
    text = ",".join(map(str, held))
    if "E" in text:
        text = ",".join([format(value, "f") if isinstance(value, Decimal) else str(value) for value in held])
    return "{" + text.replace("None", "NULL") + "}"


def times(values: Iterable[datetime]) -> str:
    """An array literal of aware times."""
    told: dict[datetime, str] = {}
    # A posting has many of few hours.
    return "{" + ",".join([told.get(value) or told.setdefault(value, value.isoformat()) for value in values]) + "}"


def words(values: Iterable[str]) -> str:
    """An array literal of codes: letters, or nothing."""
    return "{" + ",".join([f'"{value}"' for value in values]) + "}"


def digests(values: Iterable[bytes]) -> str:
    """An array literal of bytes (cast it to bytea[])."""
    return "{" + ",".join(['"\\\\x' + value.hex() + '"' for value in values]) + "}"


def documents(values: Iterable[str]) -> str:
    """An array literal of JSON texts (cast it to jsonb[])."""
    return "{" + ",".join(['"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"' for value in values]) + "}"


def window(counts: Sequence[int]) -> str:
    """One histogram window as an element of the array literal that `windows` makes."""
    # Faster than to join them one by one: a push of many cells has tens of thousands.
    return '"{' + str(list(counts))[1:-1].replace(" ", "") + '}"'


def windows(elements: Iterable[str]) -> str:
    """An array literal of texts, each the literal of one histogram window (cast it to bigint[])."""
    return "{" + ",".join(elements) + "}"


def columns(measures: Sequence[str], prefix: str = "") -> str:
    """`measures` as a list of columns, each with a leading comma, so that none is fine as well."""
    return "".join(f", {prefix}{name}" for name in measures)


def arrays(measures: Sequence[str]) -> str:
    """A placeholder for each measure's array, each with a leading comma."""
    return "".join(f", %s::{MEASURE_TYPE[name]}[]" for name in measures)


def summed(measures: Sequence[str], prefix: str = "") -> str:
    """`SUM(measure)` for each, with a leading comma."""
    return "".join(f", SUM({prefix}{name})" for name in measures)


__all__ = [
    "ADDITIVE_MEASURES",
    "HISTOGRAM_NAME",
    "HISTOGRAM_NUMBER",
    "MEASURE_TYPE",
    "MONEY_MEASURES",
    "CellKey",
    "arrays",
    "columns",
    "digests",
    "documents",
    "literal",
    "numbers",
    "summed",
    "times",
    "window",
    "windows",
    "words",
]

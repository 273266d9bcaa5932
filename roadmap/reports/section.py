"""The contract of a report's section.

A section SHALL turn the facts of a month into plain JSON values (text, whole numbers, lists, objects; decimals as
text), SHALL return None where it has nothing to say, and SHALL NOT read the database, the clock or a setting: whatever
the reader will see is in what it returns. `documents/v<schema version>.py` puts it into words from that
value alone. Register it in `sections/__init__.py`; the order there is the order on paper.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

from roadmap.queries.month_facts import MonthFacts
from roadmap.reports.document import Json
from roadmap.saying import text_of

__all__ = ["Figure", "Json", "Section", "text_of", "texts_of"]


class Section(Protocol):
    """One part of the report of a roadmap's month."""

    name: str
    title: str

    def build(self, facts: MonthFacts) -> Json | None:
        """The section's part of the payload."""
        ...


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure as it is frozen. `value` None is unknown, and `missing` the word that stands for it."""

    label: str
    value: Decimal | None
    unit: str
    window: str
    basis: str = ""
    coverage: Decimal | None = None
    missing: str = "no data"
    low: Decimal | None = None
    high: Decimal | None = None
    note: str = ""
    kind: str = "number"

    def json(self) -> Json:
        """The figure as JSON; decimals as plain text."""
        return {
            "label": self.label,
            "value": text_of(self.value),
            "unit": self.unit,
            "window": self.window,
            "basis": self.basis,
            "coverage": text_of(self.coverage),
            "missing": self.missing,
            "low": text_of(self.low),
            "high": text_of(self.high),
            "note": self.note,
            "kind": self.kind,
        }


def texts_of(values: Mapping[str, Decimal | int | None]) -> dict[str, str | None]:
    """The same for each value."""
    return {name: text_of(value) for name, value in values.items()}

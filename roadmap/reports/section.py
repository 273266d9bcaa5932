"""The contract of a report's section.

A section SHALL turn the facts of a month into plain JSON values (text, whole numbers, lists, objects; decimals as
text), SHALL hold no sentence of ours but its code and parameters (`roadmap.saying`), SHALL return None where it has
nothing to say, and SHALL NOT read the database, the clock or a setting: whatever the reader will see is in what it
returns. `documents/v<schema version>/` puts it into words from that value alone. Register it in
`sections/__init__.py`; the order there is the order on paper. The shapes are listed in docs/report-payload.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Literal, Protocol

from roadmap.kpi import KpiValue
from roadmap.queries.month_facts import MonthFacts
from roadmap.reports.document import Json
from roadmap.saying import Saying, text_of

__all__ = ["Figure", "Json", "Section", "Window", "covered", "fresh", "iso", "kept", "text_of", "texts_of"]

Window = tuple[date | None, date | None]


class Section(Protocol):
    """One part of the report of a roadmap's month."""

    name: str

    def build(self, facts: MonthFacts) -> Json | None:
        """The section's part of the payload."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One figure as it is frozen. `value` None is unknown, and `missing` the code of what stands for it.

    `window`: local days, half-open. `name`: what a person called it; `measure`: the computed measure it is.
    """

    key: str
    kind: Literal["money", "number"]
    value: Decimal | None
    unit: str
    window: Window
    freshness: Json
    basis: Saying | None = None
    coverage: Json | None = None
    missing: str = "no_data"
    low: Decimal | None = None
    high: Decimal | None = None
    notes: Sequence[Saying] = ()
    measure: str = ""
    name: str = ""
    phase: str = ""

    def json(self) -> Json:
        """The figure as JSON; decimals as plain text."""
        return {
            "key": self.key,
            "measure": self.measure,
            "name": self.name,
            "phase": self.phase,
            "kind": self.kind,
            "value": text_of(self.value),
            "unit": self.unit,
            "window": window_json(self.window),
            "basis": kept(self.basis),
            "coverage": self.coverage,
            "freshness": self.freshness,
            "missing": self.missing,
            "low": text_of(self.low),
            "high": text_of(self.high),
            "notes": [note.json() for note in self.notes],
        }


def window_json(window: Window) -> Json:
    """Local days, half-open."""
    return {"start_on": iso(window[0]), "end_on": iso(window[1])}


def kept(text: str | None) -> Json | None:
    """A saying as it is kept; None for nothing. Raises TypeError for a sentence without a code."""
    if not text:
        return None
    if not isinstance(text, Saying):
        raise TypeError(f"A payload holds no sentence: {text!r}")
    return text.json()


def covered(value: KpiValue) -> Json | None:
    """The share of what a value rests on, None where the question makes no sense."""
    return None if value.coverage is None else {"share": text_of(value.coverage), "of": value.coverage_of}


def fresh(facts: MonthFacts) -> Json:
    """How far the sources' data goes, at most to the month's end.

    `state`: 'complete' where every source that is read has the whole month, 'partial' where one has not, 'none' without
    a source. A push cannot say what it has not sent: it is complete.
    """
    ends = [source.data_until for source in facts.freshness]
    until = min((min(end, facts.ends_at) for end in ends if end is not None), default=None)
    read = [source.data_until for source in facts.freshness if source.reports is not None]
    if not ends:
        state = "none"
    else:
        state = "complete" if all(end is not None and end >= facts.ends_at for end in read) else "partial"
    return {"state": state, "data_until": iso(until)}


def iso(value: date | datetime | None) -> str | None:
    """A day or moment as ISO text; None stays unknown."""
    return value.isoformat() if value else None


def texts_of(values: Mapping[str, Decimal | int | None]) -> dict[str, str | None]:
    """Each number as plain text."""
    return {name: text_of(value) for name, value in values.items()}

"""What a tab of the Spend page is made of: a sentence, tables of texts with links, perhaps a chart, and its method."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Literal

from roadmap.queries.spend import SpendView
from web import wording
from web.pieces import Chart, Tone


@dataclass(frozen=True, slots=True)
class Entry:
    """A table's cell: a text, perhaps with a link, a second line, or a tone (whose word is the text)."""

    text: str
    url: str = ""
    note: str = ""
    tone: Tone | Literal[""] = ""


@dataclass(frozen=True, slots=True)
class Column:
    """A column's head."""

    label: str
    is_number: bool = False


@dataclass(frozen=True, slots=True)
class TabTable:
    """A table; without rows it says `empty`. The first entry of a row is its head."""

    id: str
    title: str
    note: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Entry]]
    foot: Sequence[str] | None = None
    empty: str = ""
    empty_is_good: bool = False
    more: str = ""

    @property
    def lines(self) -> list[list[tuple[Column, Entry]]]:
        """Each row's entries with their columns."""
        return [list(zip(self.columns, row, strict=True)) for row in self.rows]

    @property
    def foot_line(self) -> list[tuple[Column, str]]:
        return list(zip(self.columns, self.foot or (), strict=True))


@dataclass(frozen=True, slots=True)
class SpendTab:
    """One tab's page."""

    view: SpendView
    name: str
    title: str
    sentence: str
    rest: str
    tables: Sequence[TabTable]
    chart: Chart | None = None
    method: Sequence[str] = ()
    no_rate: Sequence[str] = ()
    stale_rates: Sequence[tuple[str, date]] = field(default_factory=tuple)


def texts(*cells: str) -> list[Entry]:
    """Cells of plain text."""
    return [Entry(cell) for cell in cells]


def number(label: str) -> Column:
    """A column of figures."""
    return Column(label, is_number=True)


def cents(amount: Decimal | None) -> str:
    """To the cent, a dash where nothing is known."""
    return wording.decimals(amount, 2, missing=wording.DASH)


def signed_cents(amount: Decimal | None) -> str:
    """'+1.20', '−0.30', '0.00'."""
    if amount is None:
        return wording.DASH
    return f"+{wording.decimals(amount, 2)}" if amount > 0 else wording.decimals(amount, 2)


def share(ratio: Decimal | None) -> str:
    """A share, a dash where there is none."""
    return wording.percent(ratio, missing=wording.DASH)


def signed_share(ratio: Decimal | None) -> str:
    """'+3.1%', '−3.1%'."""
    if ratio is None:
        return wording.DASH
    return f"+{wording.percent(ratio)}" if ratio > 0 else wording.percent(ratio)

"""What a tab of the Spend page is made of: a sentence, tables of texts with links, perhaps a chart, and its method."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any, Literal

from metrics.figures import UsageRow
from metrics.money import rounded_parts
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
    """One tab's page. `hides_window`: it shows today, so that it has no fields for days."""

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
    hides_window: bool = False


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


def column_of(amounts: Sequence[Decimal | None]) -> tuple[list[Decimal | None], Decimal | None]:
    """A column to the cent whose parts add up to its sum."""
    known = [amount for amount in amounts if amount is not None]
    parts = iter(rounded_parts(known))
    shown = [None if amount is None else next(parts) for amount in amounts]
    return shown, sum((one for one in shown if one is not None), Decimal(0)) if known else None


def rates_of(rows: Sequence[UsageRow]) -> tuple[list[str], list[tuple[str, date]]]:
    """Currencies without a rate, and those converted at an old one with its day."""
    missing = sorted({currency for row in rows for currency in row.sums.no_rate})
    stale: dict[str, date] = {}
    for row in rows:
        for currency, on in row.sums.stale_rates.items():
            stale[currency] = max(on, stale.get(currency, on))
    return missing, sorted(stale.items())


def plus(held: Decimal | None, more: Any) -> Decimal | None:
    """The sum of what is known; None where nothing is."""
    if more is None:
        return held
    return Decimal(more) if held is None else held + Decimal(more)

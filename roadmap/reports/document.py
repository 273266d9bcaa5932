"""A report as its reader meets it: words in an order, in one language, without saying on what they are drawn.

`documents/v<schema version>.py` makes one from a frozen payload; `outputs/` draws it on paper, in a workbook, as CSV.
Everything is text already, in the reader's language and number form; `value` beside it is the exact figure.
Pure: no Django, no clock, no settings.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, ClassVar, Literal

from web.pieces import Bars, Course

Json = dict[str, Any]
Tone = Literal["", "green", "amber", "red", "off", "none"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One cell of a table. `tone` goes with a word and a mark, never alone; `sub` stands below, smaller.

    `bar`: a share, 0 to 1, drawn as a bar under the text, which says it too.
    """

    text: str = ""
    sub: str = ""
    tone: Tone = ""
    value: Decimal | date | None = None
    bar: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column's head. `share` is its width against the others'."""

    label: str
    is_numeric: bool = False
    share: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """A judgement in a word, with its sentence."""

    kind: ClassVar[str] = "status"
    tone: Tone
    word: str
    sentence: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FigureBox:
    """One of the figures above all others. `unit`: what is not part of the text already, as a currency is.

    `value` is the exact figure, in `value_unit`.
    """

    label: str
    text: str
    unit: str = ""
    value: Decimal | None = None
    value_unit: str = ""
    notes: Sequence[str] = ()
    is_missing: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Three to five figures side by side."""

    kind: ClassVar[str] = "figures"
    label: str
    boxes: Sequence[FigureBox]


@dataclass(frozen=True, slots=True, kw_only=True)
class Paragraph:
    """Running text; `is_small` for what explains."""

    kind: ClassVar[str] = "paragraph"
    text: str
    is_small: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Bullets:
    """A list; `is_small` for notes. `on_paper`: how many of its items are printed, None: all."""

    kind: ClassVar[str] = "bullets"
    items: Sequence[str]
    is_small: bool = False
    on_paper: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """`rows` and `foot` have a cell for each column, the first of which names the row.

    `on_paper`: how many of its rows are printed, None: all.
    Two tables in a row that are `is_half` stand side by side where there is room.
    """

    kind: ClassVar[str] = "table"
    label: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]
    foot: Sequence[Cell] | None = None
    on_paper: int | None = None
    is_half: bool = False

    @property
    def body(self) -> list[list[tuple[Column, Cell]]]:
        """Each row's cells beside their columns."""
        return [list(zip(self.columns, row, strict=True)) for row in self.rows]

    @property
    def tail(self) -> list[tuple[Column, Cell]]:
        """The same of the foot, empty without one."""
        return list(zip(self.columns, self.foot or (), strict=self.foot is not None))


Block = Status | Figures | Paragraph | Bullets | Table | Course | Bars


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A part with a head of its own; without `title` it continues what stands before. `begins_page`: on paper."""

    name: str
    title: str = ""
    sub: str = ""
    blocks: Sequence[Block] = ()
    begins_page: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """The whole report. `about` stands at the head of each page beside `name`; `dated_on` is its date for ever.

    `news`: the whole in a line, as the subject of its mail; empty where none was made of it.
    `more_on_page`: what stands on paper below a list that is cut there, '{count}' for how many more there are.
    """

    language: str
    name: str
    about: str
    title: str
    dated_on: date
    dated: str
    summary: str
    sections: Sequence[Section]
    foot: str
    page_of: str
    news: str = ""
    more_on_page: str = ""
    is_demo: bool = False
    demo_notice: str = ""

"""A report as one flat table, for whoever reads it with a program: a line a figure."""

from __future__ import annotations

from collections.abc import Iterator

from roadmap.reports.document import Bars, Block, Bullets, Course, Document, Figures, Paragraph, Section, Table
from web.spreadsheets import Value, csv_pieces

HEADS = ("section", "row", "column", "value", "text")


def csv_of(document: Document) -> str:
    """The document as CSV: exact figures under `value` where there are any, what the reader sees under `text`."""
    return "".join(csv_pieces(HEADS, _rows(document)))


def _rows(document: Document) -> Iterator[tuple[Value, ...]]:
    for section in document.sections:
        for block in section.blocks:
            yield from _lines(section, block)


def _lines(section: Section, block: Block) -> Iterator[tuple[Value, ...]]:
    name = section.name
    if isinstance(block, Table):
        for row in (*block.rows, *([block.foot] if block.foot else [])):
            for column, cell in list(zip(block.columns, row, strict=True))[1:]:
                yield name, row[0].text, column.label, cell.value, cell.text
    elif isinstance(block, Figures):
        for box in block.boxes:
            yield name, box.label, "", box.value, f"{box.text} {box.unit}".strip()
    elif isinstance(block, Bullets):
        for number, item in enumerate(block.items, start=1):
            yield name, str(number), "", None, item
    elif isinstance(block, Course | Bars):
        yield name, "", "", None, block.said
    elif isinstance(block, Paragraph):
        yield name, "", "", None, block.text
    else:
        yield name, block.word, "", None, block.sentence

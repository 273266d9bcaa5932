"""The workbook to begin with, empty or with a plan: a sheet for each kind of row, and what each column holds."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal

import xlsxwriter
from xlsxwriter.format import Format
from xlsxwriter.worksheet import Worksheet

from roadmap.imports.columns import Column, spoken
from roadmap.imports.lookup import PHASES
from roadmap.imports.own_plan import Row
from roadmap.imports.run import KINDS
from roadmap.imports.tables import MAX_LINES
from web.spreadsheets import safe_text

_TYPES = {
    "day": "A day.",
    "moment": "A day, or a day and a time.",
    "number": "A number.",
    "whole": "A whole number.",
    "yes": "yes or no.",
}
# A list in a cell's menu has at most as many characters.
_MENU = 255


def plan_workbook(plan: Mapping[str, Sequence[Row]]) -> bytes:
    """An XLSX with the sheets Roadmaps, Milestones, KPIs, Readings and Cost entries, and one that explains.

    `plan`: the rows to fill it with, by kind; nothing for an empty one.
    """
    with tempfile.TemporaryFile() as file:
        book = xlsxwriter.Workbook(file, {"strings_to_formulas": False, "strings_to_urls": False})
        head = book.add_format({"bold": True, "bottom": 1})
        needed = book.add_format({"bold": True, "bottom": 1, "bg_color": "#e8eef7"})
        day = book.add_format({"num_format": "yyyy-mm-dd"})
        for kind in KINDS:
            page = book.add_worksheet(kind.title)
            page.freeze_panes(1, 0)
            for place, column in enumerate(kind.importer.columns):
                page.set_column(place, place, max(12, len(column.label) + 3), day if column.type == "day" else None)
                page.write_string(0, place, column.label, needed if column.is_needed else head)
                _menu(page, place, column)
            for line, row in enumerate(plan.get(kind.name, ()), start=1):
                for place, column in enumerate(kind.importer.columns):
                    _cell(page, line, place, row.get(column.field), day)
        about = book.add_worksheet("About")
        about.set_column(0, 1, 20)
        about.set_column(2, 2, 90)
        about.set_column(3, 3, 24)
        wrap = book.add_format({"text_wrap": True, "valign": "top"})
        for place, text in enumerate(("Sheet", "Column", "What it holds", "For example")):
            about.write_string(0, place, text, head)
        lines = [(kind.title, column) for kind in KINDS for column in kind.importer.columns]
        for line, (title, column) in enumerate(lines, start=1):
            for place, text in enumerate((title, column.label, explained(column), str(column.example))):
                about.write_string(line, place, text, wrap)
        about.write_string(
            len(lines) + 2, 0, "An empty cell leaves what is there; a dash (-) empties it. This sheet is not read."
        )
        book.close()
        file.seek(0)
        return file.read()


def _cell(page: Worksheet, line: int, place: int, value: object, day: Format) -> None:
    """Numbers and days as such, text never as a formula; nothing for nothing."""
    if isinstance(value, Decimal | int):
        page.write_number(line, place, float(value))
    elif isinstance(value, date):
        page.write_datetime(line, place, value, day)
    elif value:
        page.write_string(line, place, safe_text(str(value)))


def explained(column: Column) -> str:
    """What a column holds, in a sentence or two."""
    choices = f"One of: {', '.join(spoken(column.choices).values())}." if column.choices else ""
    parts = ["Needed." if column.is_needed else "", _TYPES.get(column.type, ""), column.help, choices]
    return " ".join(part for part in parts if part)


def _menu(page: Worksheet, place: int, column: Column) -> None:
    options = list(spoken(column.choices).values()) or (
        list(spoken(PHASES).values()) if column.field == "phase" else []
    )
    if options and len(",".join(options)) <= _MENU and not any("," in option for option in options):
        page.data_validation(
            1, place, MAX_LINES - 1, place, {"validate": "list", "source": options, "error_type": "warning"}
        )

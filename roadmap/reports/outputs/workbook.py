"""A report as a workbook: a sheet a section, numbers as numbers and days as days, and what it is on the first."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from datetime import datetime, time
from decimal import Decimal
from typing import Any

import xlsxwriter
from django.utils import translation
from django.utils.translation import gettext as _
from xlsxwriter.worksheet import Worksheet

from roadmap.reports.document import Bars, Bullets, Cell, Course, Document, Figures, Paragraph, Section, Status, Table
from web import wording
from web.local_forms import forms_of
from web.spreadsheets import safe_text

WHOLE, DECIMALS, MOST_PLACES = "#,##0", "#,##0.{}", 10
PERCENTS = ("0%", "0.0%")
_FIGURE = re.compile(r"[\d.,'\u00a0\u202f]*\d")
_NAME_CHARACTERS = 31
_NOT_IN_NAMES = str.maketrans("[]:*?/\\", "       ")


def workbook_of(document: Document, sha256: str) -> bytes:
    """The document as XLSX. The file's own date is the document's, so that the same document gives the same bytes."""
    held = io.BytesIO()
    options = {"in_memory": True, "strings_to_formulas": False, "strings_to_numbers": False, "strings_to_urls": False}
    book = xlsxwriter.Workbook(held, options)
    # A date alone would be taken for none, and the moment of drawing written instead.
    book.set_properties({"title": document.title, "created": datetime.combine(document.dated_on, time())})
    formats = {
        "head": book.add_format({"bold": True, "bottom": 1, "text_wrap": True, "valign": "bottom"}),
        "title": book.add_format({"bold": True, "font_size": 14}),
        "bold": book.add_format({"bold": True}),
        "text": book.add_format({"text_wrap": True, "valign": "top"}),
        "day": book.add_format({"num_format": "yyyy-mm-dd", "valign": "top"}),
    }
    for shown in (WHOLE, *(DECIMALS.format("0" * places) for places in range(1, MOST_PLACES + 1)), *PERCENTS):
        formats[shown] = book.add_format({"num_format": shown, "valign": "top"})
    names: set[str] = set()
    for section in document.sections:
        page = book.add_worksheet(_sheet_name(section.title or document.name, names))
        _draw(page, document, section, formats)
    with translation.override(document.language):
        about = book.add_worksheet(_sheet_name(_("About"), names))
    about.set_column(0, 0, 100)
    lines = [
        document.title,
        document.about,
        document.dated,
        document.foot,
        f"sha256 {sha256}" if sha256 else "",
        document.demo_notice,
    ]
    for line, text in enumerate(filter(None, lines)):
        about.write_string(line, 0, safe_text(text))
    book.close()
    return held.getvalue()


def _sheet_name(wanted: str, names: set[str]) -> str:
    """A name that no other sheet has, whatever characters are in it."""
    plain = wanted.translate(_NOT_IN_NAMES).strip(" '")[:_NAME_CHARACTERS] or "Sheet"
    name, number = plain, 2
    while name.casefold() in names:
        tail = f" {number}"
        name, number = plain[: _NAME_CHARACTERS - len(tail)] + tail, number + 1
    names.add(name.casefold())
    return name


def _draw(page: Worksheet, document: Document, section: Section, formats: dict[str, Any]) -> None:
    # Printed on A4, as many sheets of paper long as it is.
    page.set_landscape()
    page.set_paper(9)
    page.fit_to_pages(1, 0)
    page.set_column(0, 0, 38)
    page.set_column(1, 15, 20)
    page.write_string(0, 0, safe_text(section.title or document.title), formats["title"])
    line = 1
    if section.sub:
        page.write_string(line, 0, safe_text(section.sub))
        line += 1
    line += 1
    for block in section.blocks:
        if isinstance(block, Table):
            line = _table(page, block, line, formats, document.language)
        elif isinstance(block, Figures):
            for box in block.boxes:
                page.write_string(line, 0, safe_text(box.label), formats["text"])
                _cell(page, line, 1, Cell(text=box.text, value=box.value), formats, document.language)
                page.write_string(line, 2, safe_text(box.unit or box.value_unit), formats["text"])
                page.write_string(line, 3, safe_text("; ".join(box.notes)))
                line += 1
        elif isinstance(block, Course | Bars):
            page.write_string(line, 0, safe_text(block.said))
            line += 1
        else:
            for text in _texts(block):
                page.write_string(line, 0, safe_text(text))
                line += 1
        line += 1


def number_format(cell: Cell, language: str) -> str:
    """How the exact figure is shown: with the decimals that the document's reader sees, a share as a percentage.

    What is written short there ('498.3 k EUR') is shown whole, to the cent where it is not a whole number.
    """
    forms = forms_of(language)
    point = "." if forms.separators is None else forms.separators[ord(".")]
    found = _FIGURE.search(cell.text)
    fraction = found.group().rpartition(point)[2] if found and point in found.group() else ""
    if cell.text.endswith(forms.percent):
        return PERCENTS[1] if fraction else PERCENTS[0]
    places = min(len(fraction), MOST_PLACES)
    if not {letter for _step, letter in wording.SCALES}.isdisjoint(cell.text.split(wording.NBSP)):
        is_whole = isinstance(cell.value, Decimal) and cell.value == cell.value.to_integral_value()
        places = 0 if is_whole else 2
    return DECIMALS.format("0" * places) if places else WHOLE


def _texts(block: Status | Paragraph | Bullets) -> list[str]:
    if isinstance(block, Bullets):
        return list(block.items)
    if isinstance(block, Paragraph):
        return [block.text]
    return [text for text in (block.word, block.sentence, block.note) if text]


def _table(page: Worksheet, table: Table, line: int, formats: dict[str, Any], language: str) -> int:
    rows = [*table.rows, *([table.foot] if table.foot else [])]
    # What stands below a number or a day has a column of its own: in the number's cell there is no room for it.
    explained = [
        any(row[place].value is not None and row[place].sub for row in rows)
        for place in range(len(rows[0]) if rows else 0)
    ]
    place = 0
    for number, column in enumerate(table.columns):
        has_more = bool(explained) and explained[number]
        heads = [column.label]
        if has_more:
            with translation.override(language):
                heads.append(_("%(column)s, explained") % {"column": column.label})
        for offset, text in enumerate(heads):
            page.write_string(line, place + offset, safe_text(text), formats["head"])
        for below, row in enumerate(rows, start=1):
            cell = row[number]
            _cell(page, line + below, place, replace(cell, sub="") if has_more else cell, formats, language)
            if has_more and cell.sub:
                page.write_string(line + below, place + 1, safe_text(cell.sub), formats["text"])
        place += len(heads)
    return line + len(rows) + 1


def _cell(page: Worksheet, line: int, place: int, cell: Cell, formats: dict[str, Any], language: str) -> None:
    if isinstance(cell.value, Decimal):
        page.write_number(line, place, float(cell.value), formats[number_format(cell, language)])
    elif cell.value is not None:
        page.write_datetime(line, place, cell.value, formats["day"])
    else:
        text = f"{cell.text} ({cell.sub})" if cell.sub else cell.text
        page.write_string(line, place, safe_text(text), formats["text"])

"""Tables as CSV and XLSX files, written row by row. A text that a spreadsheet would run is made harmless; numbers stay
numbers."""

from __future__ import annotations

import csv
import io
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Context, Decimal
from typing import Literal

import xlsxwriter
from django.http import HttpResponse, StreamingHttpResponse

# A spreadsheet takes a cell that begins so for a formula.
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
Value = str | int | Decimal | date | datetime | None
# Rows of CSV that go out at once.
ROWS_A_PIECE = 200
# Money is kept at ten places, and readings with 24 digits before the point.
_PLACES = Decimal("1e-10")
_WIDE = Context(prec=60)
# What a cell of a workbook holds at most, and the first day that it knows.
_LONGEST_CELL = 32_767
_FIRST_YEAR = 1900
Kind = Literal["text", "money", "count", "number", "day", "moment"]


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its name in the head, and what its cells are."""

    name: str
    kind: Kind = "text"


def safe_text(text: str) -> str:
    """The text, with an apostrophe before what a spreadsheet would run."""
    return f"'{text}" if text.lstrip(" ").startswith(FORMULA) else text


def amount_text(amount: Decimal | None) -> str:
    """Ten places at most, no exponent; empty where it is unknown."""
    if amount is None:
        return ""
    text = f"{amount.quantize(_PLACES, context=_WIDE).normalize(_WIDE):f}"
    return "0" if text == "-0" else text


def csv_cell(value: Value) -> str:
    """One cell's text."""
    if value is None:
        return ""
    if isinstance(value, Decimal):
        return amount_text(value)
    if isinstance(value, date | datetime):
        return value.isoformat()
    return safe_text(value) if isinstance(value, str) else str(value)


def csv_pieces(heads: Sequence[str], rows: Iterable[Sequence[Value]]) -> Iterator[str]:
    """The file in pieces of some rows, so that the first goes out before the last is read."""
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow(heads)
    for number, row in enumerate(rows, start=1):
        writer.writerow([csv_cell(value) for value in row])
        if number % ROWS_A_PIECE == 0:
            yield buffer.getvalue()
            buffer.seek(0)
            buffer.truncate()
    yield buffer.getvalue()


def attachment(content: bytes | Iterator[str], name: str, content_type: str) -> HttpResponse | StreamingHttpResponse:
    """The content as a file to keep; an iterator goes out as it is read."""
    response: HttpResponse | StreamingHttpResponse
    if isinstance(content, bytes):
        response = HttpResponse(content, content_type=content_type)
    else:
        response = StreamingHttpResponse(content, content_type=content_type)
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def xlsx_file(columns: Sequence[Column], rows: Iterable[Sequence[Value]], *, sheet: str, notes: Sequence[str]) -> bytes:
    """A workbook with the table on one sheet and what it says about itself on another.

    Money, counts and numbers are numbers, days are dates, moments are UTC; text is never read as a formula, a number or
    a link.
    """
    with tempfile.TemporaryFile() as file:
        book = xlsxwriter.Workbook(
            file,
            {
                "constant_memory": True,
                "strings_to_formulas": False,
                "strings_to_numbers": False,
                "strings_to_urls": False,
                "default_date_format": "yyyy-mm-dd",
            },
        )
        head = book.add_format({"bold": True, "bottom": 1})
        formats = {
            "money": book.add_format({"num_format": "#,##0.00"}),
            "count": book.add_format({"num_format": "#,##0"}),
            "day": book.add_format({"num_format": "yyyy-mm-dd"}),
            "moment": book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss"}),
        }
        page = book.add_worksheet(sheet[:31])
        page.freeze_panes(1, 0)
        for place, column in enumerate(columns):
            page.set_column(place, place, 16 if column.kind != "text" else 24)
            page.write_string(0, place, column.name, head)
        for line, row in enumerate(rows, start=1):
            for place, (column, value) in enumerate(zip(columns, row, strict=True)):
                if value is None or value == "":
                    continue
                if isinstance(value, Decimal | int):
                    page.write_number(line, place, float(value), formats.get(column.kind))
                elif isinstance(value, date) and value.year >= _FIRST_YEAR:
                    page.write_datetime(line, place, _naive(value), formats[_kind_of(value)])
                else:
                    text = value.isoformat() if isinstance(value, date) else safe_text(value)
                    page.write_string(line, place, text[:_LONGEST_CELL])
        about = book.add_worksheet("About")
        about.set_column(0, 0, 90)
        for line, note in enumerate(notes):
            about.write_string(line, 0, safe_text(note))
        book.close()
        file.seek(0)
        return file.read()


def _kind_of(value: date) -> str:
    return "moment" if isinstance(value, datetime) else "day"


def _naive(value: date) -> date:
    """The moment as UTC, since a workbook knows no zones; a day as it is."""
    return value.astimezone(UTC).replace(tzinfo=None) if isinstance(value, datetime) else value

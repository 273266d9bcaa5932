"""A file as sheets of rows: CSV in the encodings that offices write, XLSX without what a workbook can do to a reader.

Knows nothing of plans. Cells are texts, or what an XLSX cell holds: numbers, dates, yes and no. An apostrophe that
keeps a spreadsheet from running a text (web.spreadsheets.safe_text) is taken off again.
"""

from __future__ import annotations

import codecs
import csv
import io
import struct
import warnings
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from xml.etree.ElementTree import ParseError

from defusedxml.common import DefusedXmlException
from openpyxl import load_workbook
from openpyxl.utils import get_column_letter
from openpyxl.utils.exceptions import InvalidFileException

from metrics.errors import RuleViolation
from web.spreadsheets import FORMULA

Cell = str | Decimal | datetime | date | bool
MAX_BYTES = 5 * 1024 * 1024
MAX_UNPACKED = 64 * 1024 * 1024
MAX_PARTS = 1_000
MAX_LINES = 50_000
MAX_COLUMNS = 200
MAX_CELL = 10_000
# What a CSV may be in beside UTF-8 and UTF-16, which tell by themselves. The first is taken where nobody says.
ENCODINGS = {
    "cp1252": "Windows-1252 (Western Europe)",
    "cp1250": "Windows-1250 (Central Europe)",
    "cp1251": "Windows-1251 (Cyrillic)",
    "cp1253": "Windows-1253 (Greek)",
    "cp1254": "Windows-1254 (Turkish)",
    "mac_roman": "Mac Roman",
    "cp850": "DOS 850",
    "shift_jis": "Shift JIS",
    "gb18030": "GB 18030",
}
_DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
_BROKEN = (
    *(zipfile.BadZipFile, zlib.error, ParseError, DefusedXmlException, InvalidFileException, struct.error),
    *(
        KeyError,
        ValueError,
        TypeError,
        AttributeError,
        IndexError,
        OSError,
        EOFError,
        NotImplementedError,
        RuntimeError,
    ),
)


@dataclass(frozen=True, slots=True)
class Line:
    """One row. `number`: as the spreadsheet numbers it. `problem`: it cannot be told apart into cells."""

    number: int
    cells: Sequence[Cell | None]
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Sheet:
    """A header and rows of as many cells. `name` is empty for a CSV. `problem`: why a workbook's sheet cannot be read.

    That is nobody's business where the sheet is none of ours.
    """

    name: str
    header: Sequence[str]
    lines: Sequence[Line]
    problem: RuleViolation | None = None


@dataclass(frozen=True, slots=True)
class Book:
    """A file. `decimal_hint`: the decimal mark that goes with its separators, where that says anything.

    `is_utc`: it says of itself, as our own workbooks do, that its moments are UTC.
    """

    sheets: Sequence[Sheet]
    notes: Sequence[str] = ()
    decimal_hint: str = ""
    is_utc: bool = False


def read_book(content: bytes, *, encoding: str = "") -> Book:
    """The file as sheets. RuleViolation, field 'file' or 'encoding', with what to do."""
    if not content.strip():
        raise _unreadable("empty_file", "The file is empty.")
    if len(content) > MAX_BYTES:
        raise _unreadable("too_large", too_large())
    if content.startswith(b"PK\x03\x04"):
        return _workbook(content)
    for begins, message in _OTHERS:
        if content.startswith(begins):
            raise _unreadable("another_format", message)
    return _csv(content, encoding)


def too_large() -> str:
    """What to do with a file over the limit."""
    return (
        f"The file is larger than {MAX_BYTES // 2**20} MiB. Split it: some roadmaps in one file, the rest in another."
    )


_OTHERS = (
    (
        b"\xd0\xcf\x11\xe0",
        "This is an old Excel workbook (.xls), or one with a password. Save it as .xlsx without a password.",
    ),
    (b"\x1f\x8b", "This file is packed with gzip. Unpack it and choose what is in it."),
    (b"%PDF", "This is a PDF. Choose the spreadsheet that it was made from, as .xlsx or .csv."),
    (b"{", "This is JSON. Choose a spreadsheet: .xlsx or .csv."),
    (b"<", "This is a web page or XML. Was the download a sign-in page? Choose a spreadsheet: .xlsx or .csv."),
)


def _unreadable(code: str, message: str, field: str = "file") -> RuleViolation:
    return RuleViolation(code, message, field)


def _csv(content: bytes, encoding: str) -> Book:
    text, notes = _decoded(content, encoding)
    if "\0" in text:
        raise _unreadable("another_format", "This is neither a CSV nor an XLSX file.")
    first = next((line for line in text.splitlines() if line.strip()), "")
    bare = "".join(part for place, part in enumerate(first.split('"')) if place % 2 == 0)
    delimiter = max(_DELIMITERS, key=bare.count)
    if first.lower().startswith("sep=") and len(first.strip()) == 5:
        # What Excel writes above the header to say so.
        delimiter = first.strip()[-1]
        # Its line's end stays, so that lines keep their numbers.
        text = text[text.index(first) + len(first) :]
    else:
        delimiter = delimiter if bare.count(delimiter) else ","
    lines = list(_csv_lines(text, delimiter))
    hint = {";": ",", "\t": ""}.get(delimiter, ".")
    return Book([_sheet("", lines, is_strict=True)], notes, hint)


def _csv_lines(text: str, delimiter: str) -> Iterator[Line]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    before = 0
    try:
        for cells in reader:
            number, before = before + 1, reader.line_num
            if before > MAX_LINES:
                raise _too_many()
            yield Line(number, [_text(cell) for cell in cells])
    except csv.Error:
        raise _unreadable(
            "broken_csv", f"Line {before + 1:,} cannot be read. Is a quotation mark not closed?"
        ) from None


def _decoded(content: bytes, encoding: str) -> tuple[str, list[str]]:
    """The text, and what was made of its encoding where it does not tell by itself."""
    for mark, name in (
        (codecs.BOM_UTF8, "utf-8-sig"),
        (codecs.BOM_UTF16_LE, "utf-16"),
        (codecs.BOM_UTF16_BE, "utf-16"),
    ):
        if content.startswith(mark):
            try:
                return content.decode(name), []
            except UnicodeDecodeError:
                raise _unreadable("wrong_encoding", "The file is damaged: its encoding breaks off.") from None
    if encoding:
        if encoding not in ENCODINGS:
            raise _unreadable("unknown_encoding", f"Choose one of: {', '.join(ENCODINGS)}.", "encoding")
    else:
        try:
            return content.decode("utf-8"), []
        except UnicodeDecodeError:
            pass
    chosen = encoding or next(iter(ENCODINGS))
    try:
        text = content.decode(chosen)
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise _unreadable(
            "wrong_encoding",
            f"Line {line:,} is not {ENCODINGS[chosen]}. Choose another encoding, or save the file as 'CSV UTF-8'.",
            "encoding",
        ) from None
    words = {word.strip(".,;\"'()") for word in text.replace(";", " ").replace(",", " ").split() if not word.isascii()}
    told = ", ".join(f"'{word[:40]}'" for word in sorted(words)[:4])
    note = f"The file is not UTF-8. It was read as {ENCODINGS[chosen]}"
    return text, [
        f"{note}: look whether {told} is right, and choose another encoding where it is not." if told else f"{note}."
    ]


def _workbook(content: bytes) -> Book:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            parts = archive.infolist()
            if len(parts) > MAX_PARTS or sum(part.file_size for part in parts) > MAX_UNPACKED:
                raise _unreadable(
                    "too_large", f"Unpacked, the workbook is larger than {MAX_UNPACKED // 2**20} MiB. Split it."
                )
            if "xl/workbook.xml" not in archive.namelist():
                raise _unreadable("another_format", "This is a ZIP archive, not an XLSX workbook. Unpack it.")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            values = load_workbook(io.BytesIO(content), read_only=True, data_only=True, keep_links=False)
            formulas = load_workbook(io.BytesIO(content), read_only=True, data_only=False, keep_links=False)
            sheets = [
                _workbook_sheet(page.title, _xlsx_lines(page, formulas[page.title])) for page in values.worksheets
            ]
    except RuleViolation:
        raise
    except _BROKEN:
        raise _unreadable(
            "broken_workbook", "The workbook is damaged. Open it, save it again as .xlsx, and choose it again."
        ) from None
    return Book([sheet for sheet in sheets if sheet.header or sheet.problem], is_utc=any(map(_says_utc, sheets)))


def _workbook_sheet(name: str, lines: Iterator[Line]) -> Sheet:
    try:
        return _sheet(name, list(lines), is_strict=False)
    except RuleViolation as error:
        return Sheet(name, (), (), error)


def _says_utc(sheet: Sheet) -> bool:
    """Whether a sheet 'About' says what web.file_tables writes there."""
    if sheet.name != "About":
        return False
    return any(isinstance(cell, str) and "Moments are UTC" in cell for line in sheet.lines for cell in line.cells)


def _xlsx_lines(page: Any, formulas: Any) -> Iterator[Line]:
    # What a file says of its own size is not believed.
    page.reset_dimensions()
    formulas.reset_dimensions()
    for number, (row, said) in enumerate(zip(page.iter_rows(), formulas.iter_rows(), strict=True), start=1):
        if number > MAX_LINES:
            raise _too_many()
        if len(row) > MAX_COLUMNS:
            raise _unreadable("too_many_columns", f"Sheet '{page.title}' has more than {MAX_COLUMNS} columns.")
        yield Line(number, [_value(cell) for cell in row], _unknown_value(row, said))


def _unknown_value(row: Sequence[Any], said: Sequence[Any]) -> str:
    """A formula without a value, or with an error for one, in words: said, not lost."""
    for cell, formula in zip(row, said, strict=True):
        if cell.value is None and formula.value is not None:
            return (
                f"{formula.coordinate} is a formula that has not been worked out. Open the workbook in a spreadsheet, "
                "save it and choose it again."
            )
        if cell.data_type == "e":
            return f"{cell.coordinate} is an error of the spreadsheet: {cell.value}."
    return ""


def _value(cell: Any) -> Cell | None:
    value = cell.value
    if value is None:
        return None
    if isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        # A spreadsheet keeps and shows fifteen digits; what lies behind them is the float's.
        number = Decimal(f"{value:.15g}")
        is_percent = "%" in str(getattr(cell, "number_format", "") or "")
        return number * 100 if is_percent else number
    if isinstance(value, datetime | date):
        return value
    if isinstance(value, time | timedelta):
        return str(value)
    return _text(str(value))


def _text(value: str) -> str | None:
    text = value.replace("_x000D_", "").strip()
    if text.startswith("'") and text[1:].lstrip(" ").startswith(FORMULA):
        text = text[1:]
    return text or None


def _sheet(name: str, lines: Iterable[Line], *, is_strict: bool) -> Sheet:
    """Header and rows; empty ones are passed over. A strict sheet's rows have as many cells as the header."""
    header: list[str] | None = None
    found: list[Line] = []
    for line in lines:
        cells = line.cells
        if not line.problem and not any(cell is not None for cell in cells):
            continue
        if header is None:
            header = _header(name, cells)
            continue
        problem = line.problem
        extra = [cell for cell in cells[len(header) :] if cell is not None]
        if not problem and (extra or (is_strict and len(cells) < len(header))):
            problem = (
                f"It has {len(cells)} cells, the header {len(header)}. Is a text or number with the separator in it "
                "not in quotation marks?"
                if is_strict
                else f"'{str(extra[0])[:40]}' stands beyond the last column of the header."
            )
        padded = [*cells[: len(header)], *[None] * (len(header) - len(cells))]
        if any(isinstance(cell, str) and len(cell) > MAX_CELL for cell in padded):
            problem = problem or f"A cell has more than {MAX_CELL:,} characters."
        found.append(Line(line.number, padded, problem))
    if header is None:
        if is_strict:
            raise _unreadable("empty_file", "The file holds nothing but empty lines.")
        header = []
    return Sheet(name, header, found)


def _header(name: str, cells: Sequence[Cell | None]) -> list[str]:
    where = f"Sheet '{name}'" if name else "The file"
    given = ["" if cell is None else " ".join(str(cell).split())[:120] for cell in cells]
    while given and not given[-1]:
        given.pop()
    header = [column or f"(column {get_column_letter(place)})" for place, column in enumerate(given, start=1)]
    if len(header) > MAX_COLUMNS:
        raise _unreadable("too_many_columns", f"{where} has more than {MAX_COLUMNS} columns.")
    seen: set[str] = set()
    for column in header:
        if column.casefold() in seen:
            raise _unreadable("repeated_column", f"{where} has two columns '{column[:60]}'. Rename one of them.")
        seen.add(column.casefold())
    return header


def _too_many() -> RuleViolation:
    return _unreadable("too_many_rows", f"A sheet has more than {MAX_LINES:,} lines. Split it.")

"""Files as sheets of rows, and what is no such file."""

from __future__ import annotations

import io
import zipfile
from datetime import datetime
from decimal import Decimal

import pytest
from openpyxl import Workbook

from metrics.errors import RuleViolation
from roadmap.imports.tables import MAX_BYTES, read_book
from tests.roadmap.imports.files import csv_of, xlsx
from web.spreadsheets import safe_text

ROWS = [["Milestone", "Due on"], ["Prüfung fertig", "31.12.2026"]]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_a_csv_says_itself_what_it_is(encoding, delimiter):
    book = read_book(csv_of(ROWS, delimiter=delimiter, encoding=encoding))
    assert [line.cells for line in book.sheets[0].lines] == [["Prüfung fertig", "31.12.2026"]]
    assert book.notes == []


def test_a_csv_of_another_encoding_is_read_and_said_so():
    content = csv_of(ROWS, delimiter=";", encoding="cp1252")
    book = read_book(content)
    assert book.sheets[0].lines[0].cells[0] == "Prüfung fertig"
    assert book.notes == [
        "The file is not UTF-8. It was read as Windows-1252 (Western Europe): look whether 'Prüfung' is right, and "
        "choose another encoding where it is not."
    ]
    assert book.decimal_hint == ","
    mac = csv_of(ROWS, delimiter=";", encoding="mac_roman")
    assert read_book(mac, encoding="mac_roman").sheets[0].lines[0].cells[0] == "Prüfung fertig"


def test_lines_are_numbered_as_the_spreadsheet_does():
    content = b'sep=;\r\n\r\nMilestone;Due on\r\n"two\r\nlines";x\r\n;\r\nlast;y\r\n'
    lines = read_book(content).sheets[0].lines
    assert [(line.number, line.cells) for line in lines] == [(4, ["two\r\nlines", "x"]), (7, ["last", "y"])]


def test_a_row_with_a_lost_quotation_mark_is_told_apart():
    line = read_book(b"Cost entry,Amount\nLicences,1,50\n").sheets[0].lines[0]
    assert line.problem.startswith("It has 3 cells, the header 2.")


def test_what_our_exports_keep_from_running_comes_back():
    texts = ["=1+1", "-5", "@home", "+49 30", "'quoted'"]
    book = read_book(csv_of([["Note"], *[[safe_text(text)] for text in texts]]))
    assert [line.cells[0] for line in book.sheets[0].lines] == texts


def test_a_workbook_has_numbers_days_and_percentages():
    made = Workbook()
    made.active.append(["KPI", "At", "Value", "Share", None, "Done"])
    made.active.append(["Hours", datetime(2026, 11, 2, 10, 30), 0.1 + 0.2, 0.25, None, True])
    made.active["D2"].number_format = "0.00%"
    file = io.BytesIO()
    made.save(file)
    sheet = read_book(file.getvalue()).sheets[0]
    assert sheet.header == ["KPI", "At", "Value", "Share", "(column E)", "Done"]
    assert sheet.lines[0].cells == ["Hours", datetime(2026, 11, 2, 10, 30), Decimal("0.3"), Decimal(25), None, True]


def test_a_formula_that_was_never_worked_out_is_said_and_not_lost():
    line = read_book(xlsx({"KPIs": [["KPI", "Target"], ["Hours", "=40*2"]]})).sheets[0].lines[0]
    assert line.problem.startswith("B2 is a formula that has not been worked out.")


def zipped(**parts: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name.replace("__", "/"), content)
    return file.getvalue()


BOMB = b"<!DOCTYPE x [<!ENTITY a 'aaaa'><!ENTITY b '&a;&a;'>]><workbook>&b;</workbook>"


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b" \n", "empty_file"),
        (b"\n;;\n", "empty_file"),
        (b"\xd0\xcf\x11\xe0" + b"x" * 100, "another_format"),
        (b"<html>", "another_format"),
        (b"%PDF-1.7", "another_format"),
        (b"\x89PNG\x00\x01", "another_format"),
        (b'A,B\n"x' + b"y" * 140_000, "broken_csv"),
        (b"A,a\n1,2\n", "repeated_column"),
        (b"x" * (MAX_BYTES + 1), "too_large"),
        (b"A\n" + b"1\n" * 50_001, "too_many_rows"),
        ((",".join(f"c{n}" for n in range(300))).encode(), "too_many_columns"),
        (zipped(hello=b"x"), "another_format"),
        (zipped(xl__workbook=b"x"), "another_format"),
        (b"PK\x03\x04" + b"x" * 100, "broken_workbook"),
        (zipped(**{"xl__workbook.xml": b"x"}), "broken_workbook"),
        (zipped(**{"xl__workbook.xml": BOMB, "[Content_Types].xml": BOMB}), "broken_workbook"),
        (zipped(**{"xl__workbook.xml": b"x", "big": b"\0" * (65 * 1024 * 1024)}), "too_large"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_no_spreadsheet_is_refused_with_what_to_do(content, code):
    with pytest.raises(RuleViolation) as refused:
        read_book(content)
    assert refused.value.code == code


def test_an_encoding_that_it_is_not_is_refused():
    with pytest.raises(RuleViolation, match="Line 2 is not Windows-1253"):
        read_book(b"A\n\xaa\n", encoding="cp1253")
    with pytest.raises(RuleViolation, match="Choose one of"):
        read_book(b"A\n\xaa\n", encoding="utf-7")

"""A table as CSV and as XLSX: what a cell is, and that none of them runs."""

from __future__ import annotations

import csv
import io
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from django.urls import path, reverse
from openpyxl import load_workbook

from web.file_tables import MOST_ROWS, Field, FileForm, FileTable, table_file, yes_no

TABLE: FileTable[dict] = FileTable(
    "Things",
    (
        Field("name", lambda row: row.get("name", "")),
        Field("amount", lambda row: row.get("amount"), "money"),
        Field("count", lambda row: row.get("count"), "count"),
        Field("reading", lambda row: row.get("reading"), "number"),
        Field("on", lambda row: row.get("on"), "day"),
        Field("at", lambda row: row.get("at"), "moment"),
    ),
)
PLUS_TWO = timezone(timedelta(hours=2))
ROW = {
    "name": "Pilot",
    "amount": Decimal("12.40"),
    "count": 3,
    "reading": Decimal("0.000125"),
    "on": date(2026, 11, 26),
    "at": datetime(2026, 11, 26, 14, 30, tzinfo=PLUS_TWO),
}


def as_csv(*rows) -> list[list[str]]:
    answer = table_file(TABLE, rows, "csv", name="things")
    return list(csv.reader(io.StringIO(answer.getvalue().decode(), newline="")))[1:]


def as_sheet(*rows):
    answer = table_file(TABLE, rows, "xlsx", name="things", notes=["Filter: none"])
    return load_workbook(io.BytesIO(answer.getvalue()))


def test_csv_holds_every_digit_and_iso_days():
    assert as_csv(ROW) == [["Pilot", "12.4", "3", "0.000125", "2026-11-26", "2026-11-26T14:30:00+02:00"]]


def test_a_workbook_holds_numbers_days_and_moments_as_such():
    cells = list(as_sheet(ROW)["Things"].iter_rows(min_row=2))[0]
    assert [cell.data_type for cell in cells] == ["s", "n", "n", "n", "d", "d"]
    assert [cell.value for cell in cells[:4]] == ["Pilot", 12.4, 3, 0.000125]
    assert cells[4].value == datetime(2026, 11, 26)  # noqa: DTZ001  a workbook knows no zones
    assert cells[5].value == datetime(2026, 11, 26, 12, 30)  # noqa: DTZ001  UTC, as the sheet About says


def test_the_unknown_is_empty_and_zero_is_zero():
    assert as_csv({}, {"count": 0, "amount": Decimal(0)}) == [[""] * 6, ["", "0", "0", "", "", ""]]
    sheet = as_sheet({}, {"count": 0, "amount": Decimal(0)})["Things"]
    assert [cell.value for cell in sheet[2]] == [None, None, None, None, None, None]
    assert [cell.value for cell in sheet[3]][1:3] == [0, 0]


@pytest.mark.parametrize("text", ["=1+1", "+cmd|' /C calc'!A0", "-2", "@SUM(A1)", "\t=1", "\r=1", '  =HYPERLINK("x")'])
def test_a_text_is_never_run(text):
    assert as_csv({"name": text})[0][0].startswith("'")
    cell = as_sheet({"name": text})["Things"]["A2"]
    assert cell.data_type == "s"
    assert str(cell.value).startswith("'")


@pytest.mark.parametrize("text", ["https://example.org", "0042", "1e5", "ä€𝔘\u200f", 'a,b;"c"\nd'])
def test_a_text_stays_what_it_is(text):
    assert as_csv({"name": text})[0][0] == text
    cell = as_sheet({"name": text})["Things"]["A2"]
    assert (cell.data_type, cell.value, cell.hyperlink) == ("s", text, None)


def test_odd_values_lose_no_row():
    odd = [
        {"amount": Decimal("999999999999999999999999.123456"), "on": date(1, 1, 1)},
        {"amount": Decimal("-1E-12"), "at": datetime(1899, 12, 31, tzinfo=UTC), "name": "\x00\x0b"},
        {"name": "x" * 40_000, "on": date(9999, 12, 31)},
    ]
    rows = as_csv(*odd)
    assert rows[0][1] == "999999999999999999999999.123456"
    assert rows[1][1] == "0"
    assert len(rows[2][0]) == 40_000
    sheet = as_sheet(*odd)["Things"]
    assert sheet.max_row == 4
    assert sheet["E2"].value == "0001-01-01"
    assert len(sheet["A4"].value) == 32_767


def test_the_file_says_its_name_and_the_workbook_its_filter():
    answer = table_file(TABLE, [], "xlsx", name="things")
    assert answer.headers["Content-Disposition"].startswith('attachment; filename="things-20')
    assert "private" in answer.headers["Cache-Control"]
    about = as_sheet()["About"]
    assert about["A2"].value == "Filter: none"
    assert f"{MOST_ROWS:,}" in about["A3"].value


def test_csv_goes_out_as_it_is_read_and_ends_at_a_bound(monkeypatch):
    monkeypatch.setattr("web.file_tables.MOST_ROWS", 500)
    taken = []

    def endless():
        while True:
            taken.append(1)
            yield ROW

    pieces = iter(table_file(TABLE, endless(), "csv", name="things").streaming_content)
    next(pieces)
    assert len(taken) < 500
    assert sum(piece.count(b"\n") for piece in pieces) <= 500
    assert len(taken) == 500


def test_only_two_forms_are_addresses():
    pattern = path("x.<file_form:form>", lambda request: None)
    assert pattern.resolve("x.csv").kwargs == {"form": "csv"}
    assert pattern.resolve("x.xlsx").kwargs == {"form": "xlsx"}
    for wrong in ("x.pdf", "x.CSV", "x.csvx", "x."):
        assert pattern.resolve(wrong) is None
    assert FileForm.regex == "csv|xlsx"
    assert yes_no(1) == "yes"
    assert reverse("portfolio_file", args=["csv"]) == "/portfolio.csv"

"""A table declared once, column by column, and given as CSV or as XLSX: the files under the tables of pages.

RISKS = FileTable("Risks", (Field("risk", lambda risk: risk.name), Field("score", lambda risk: risk.score, "count")))
path("risks.<file_form:form>", ...)          # 'csv' or 'xlsx', nothing else
return table_file(RISKS, rows, form, name="risks-claims")
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Generic, TypeVar

from django.http.response import HttpResponseBase
from django.urls import register_converter
from django.utils import timezone

from web.spreadsheets import Column, Kind, Value, attachment, csv_pieces, xlsx_file

Row = TypeVar("Row")
FORMS = {
    "csv": "text/csv; charset=utf-8",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
# A file holds no more; a narrower filter gives the rest.
MOST_ROWS = 100_000


class FileForm:
    """'csv' or 'xlsx' in an address."""

    regex = "|".join(FORMS)

    def to_python(self, value: str) -> str:
        return value

    def to_url(self, value: str) -> str:
        return value


register_converter(FileForm, "file_form")


@dataclass(frozen=True, slots=True)
class Field(Generic[Row]):
    """A column: its name in the head, what a row's cell holds, and what kind of thing that is."""

    name: str
    value: Callable[[Row], Value]
    kind: Kind = "text"


@dataclass(frozen=True, slots=True)
class FileTable(Generic[Row]):
    """A table of a page as a file: unknown cells are empty, numbers and days are such."""

    title: str
    fields: Sequence[Field[Row]]

    @property
    def columns(self) -> list[Column]:
        return [Column(field.name, field.kind) for field in self.fields]

    def cells(self, rows: Iterable[Row]) -> Iterator[list[Value]]:
        """The cells of each row, in the order of the columns."""
        for row in rows:
            yield [field.value(row) for field in self.fields]


def table_file(
    table: FileTable[Any], rows: Iterable[Any], form: str, *, name: str, notes: Sequence[str] = ()
) -> HttpResponseBase:
    """The answer: `name` with the day and the form's ending. CSV goes out as it is read, a workbook when it is whole.

    `notes`: what the workbook says about itself, such as the filter.
    """
    today = timezone.localdate().isoformat()
    cells = islice(table.cells(rows), MOST_ROWS)
    if form == "csv":
        content: bytes | Iterator[str] = csv_pieces([field.name for field in table.fields], cells)
    else:
        about = [f"{table.title} as of {today}", *notes, f"Moments are UTC. At most {MOST_ROWS:,} rows."]
        content = xlsx_file(table.columns, cells, sheet=table.title, notes=about)
    response = attachment(content, f"{name}-{today}.{form}", FORMS[form])
    response.headers["Cache-Control"] = "private, no-cache"
    return response


def yes_no(value: object) -> str:
    """'yes' or 'no'."""
    return "yes" if value else "no"

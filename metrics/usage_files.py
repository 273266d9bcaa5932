"""Usage in files: rows of a CSV as records, and what became of a file that a person chose on the Send data page.

Row by row through `metrics.imports` (encodings, separators, gzip) and `metrics.formats.usage_table` (what cells mean).
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import tzinfo
from pathlib import Path

from django.conf import settings

from metrics import importer
from metrics.format import Batch, Limits, Unreadable
from metrics.formats.usage_table import FIRST_ROW, Columns
from metrics.importer import BrokenRow, Cell, Table
from metrics.imports import refuse_others
from metrics.imports.csv_table import CsvTable

# What a first file may look like; the page offers it.
TEMPLATE = (
    "timestamp,provider,model,requests,errors,input_tokens,output_tokens,cost,currency,labels.team\r\n"
    "2026-11-22T14:59:59Z,openai,gpt-4o-mini,1200,3,960000,210000,0.27,USD,claims\r\n"
    "2026-11-22T15:59:59Z,openai,gpt-4o-mini,1100,0,880000,190000,,,claims\r\n"
)
_TOO_LARGE = ("too_large", "too_many_rows")
_SAVE_AS = "Save it as 'CSV UTF-8', with a header of field names and one record a row."
# What a file of usage is not, by how it begins; what else there is, `metrics.imports` tells.
_NOT_CSV = (
    (b"PAR1", f"This is Parquet. {_SAVE_AS}"),
    (b"{", f"This is JSON. Push it as application/json or application/x-ndjson, or: {_SAVE_AS}"),
    (b"[", f"This is JSON. Push it as application/json, or: {_SAVE_AS}"),
    (b"%PDF", f"This is a PDF. {_SAVE_AS}"),
    (b"<", "This is a web page or XML, not CSV. Was the download a sign-in page?"),
)


def decode(body: bytes, limits: Limits, *, zone: tzinfo | None = None) -> Batch:
    """The records of a CSV, plain or gzip. `zone`: of times that do not say theirs. Raises Unreadable."""
    with opened(body, limits) as table:
        columns = Columns.of(table.columns, is_decimal_comma=is_decimal_comma(table), zone=zone)
        batch = columns.batch(_cells(table), limits)
    if not batch.records and not batch.rejections:
        raise Unreadable(400, "empty", "There is no row below the header. Send at least one.")
    return batch


@contextmanager
def opened(body: bytes, limits: Limits) -> Iterator[Table]:
    """The file as a table. Raises Unreadable, also for what is found out while its rows are read."""
    with tempfile.NamedTemporaryFile(prefix="phaseline-usage-") as file:
        file.write(body)
        file.flush()
        bounds = importer.Limits(
            oldest=limits.oldest,
            newest=limits.newest,
            unpacked_bytes=settings.PUSH_MAX_BYTES,
            rows=limits.max_records,
        )
        try:
            table = _open(Path(file.name), body[:8], bounds)
            try:
                yield table
            finally:
                table.close()
        except importer.Unreadable as error:
            if error.code in _TOO_LARGE:
                raise Unreadable(413, error.code, too_large(limits.max_records)) from None
            raise Unreadable(400, error.code, error.message) from None


def _open(path: Path, head: bytes, bounds: importer.Limits) -> Table:
    if not head:
        raise importer.Unreadable("empty_file", f"The file is empty. {_SAVE_AS}")
    for begins, message in _NOT_CSV:
        if head.startswith(begins):
            raise importer.Unreadable("another_format", message)
    refuse_others(head)
    return CsvTable(path, bounds)


def too_large(rows: int) -> str:
    """What to do with a file that is over the limit."""
    return f"At most {rows:,} rows and {settings.PUSH_MAX_BYTES // 2**20} MiB (unpacked) at a time; split the file."


def is_decimal_comma(table: Table) -> bool:
    """Spreadsheets put semicolons between cells where a comma stands before decimals."""
    return getattr(table, "delimiter", ",") != ","


def rejected_rows(body: bytes, indexes: Iterable[int], limits: Limits) -> Iterator[tuple[int, tuple[Cell, ...]]]:
    """(row in the spreadsheet, its cells) of the rows at these indexes."""
    wanted = set(indexes)
    with opened(body, limits) as table:
        for index, row in enumerate(table.rows(table.columns)):
            if index in wanted:
                yield index + FIRST_ROW, () if isinstance(row, BrokenRow) else row


def _cells(table: Table) -> Iterator[tuple[Cell, ...] | str]:
    for row in table.rows(table.columns):
        yield row.detail if isinstance(row, BrokenRow) else tuple(row)

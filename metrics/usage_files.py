"""Usage in files: rows of a CSV as records, of a push and of a file that a person chose on the Send data page.

Row by row through `metrics.imports` (encodings, separators, gzip) and `metrics.formats.usage_table` (what cells mean).
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path

from django.conf import settings

from metrics import importer
from metrics.format import Batch, Limits, Unreadable
from metrics.formats.usage_table import Columns
from metrics.importer import BrokenRow, Cell
from metrics.imports import refuse_others
from metrics.imports.csv_table import CsvTable

# What a first file may look like.
_TEMPLATE_HEADER = "timestamp,provider,model,requests,errors,input_tokens,output_tokens,cost,currency,labels.team"
_TEMPLATE_ROWS = (
    "{at:%Y-%m-%dT%H}:59:59Z,openai,gpt-4o-mini,1200,3,960000,210000,0.27,USD,claims",
    "{at:%Y-%m-%dT%H}:59:59Z,openai,gpt-4o-mini,1100,0,880000,190000,,,claims",
)
# Columns of the list of rejected rows, which comes back with the others once the cells are put right.
REJECTED_COLUMNS = ("rejected_line", "rejected_column", "rejected_why")
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
_MARKS = (b"\xff\xfe", b"\xfe\xff", b"\x1f\x8b")
_CONTROL = frozenset(range(32)) - {0, 9, 10, 12, 13}
_HEAD_BYTES = 4096


def template(now: datetime) -> str:
    """A CSV that counts as it is: two hours of yesterday."""
    day = (now - timedelta(days=1)).astimezone(UTC)
    rows = (row.format(at=day.replace(hour=14 + place)) for place, row in enumerate(_TEMPLATE_ROWS))
    return "\r\n".join((_TEMPLATE_HEADER, *rows, ""))


def decode(body: bytes, limits: Limits, *, zone: tzinfo | None = None) -> Batch:
    """The records of a CSV that is pushed, plain or gzip. `zone`: of times that say none. Raises Unreadable."""
    bounds = importer.Limits(
        oldest=limits.oldest, newest=limits.newest, unpacked_bytes=settings.PUSH_MAX_BYTES, rows=limits.max_records
    )
    hint = (
        f"At most {limits.max_records:,} rows and {settings.PUSH_MAX_BYTES // 2**20} MiB (unpacked) at a time; split "
        "the file."
    )
    with tempfile.NamedTemporaryFile(prefix="phaseline-usage-") as file:
        file.write(body)
        file.flush()
        with opened(Path(file.name), bounds, too_large=hint) as table:
            columns = Columns.of(table.columns, is_decimal_comma=is_decimal_comma(table), zone=zone)
            batch = columns.batch(map(cells_of, table.rows(table.columns)), limits)
    if not batch.records and not batch.rejections:
        raise Unreadable(400, "empty", "There is no row below the header. Send at least one.")
    return batch


@contextmanager
def opened(path: Path, bounds: importer.Limits, *, too_large: str) -> Iterator[CsvTable]:
    """The file as a table. Raises Unreadable, also for what is found out while its rows are read."""
    try:
        table = _open(path, bounds)
        try:
            yield table
        finally:
            table.close()
    except importer.Unreadable as error:
        if error.code in _TOO_LARGE:
            raise Unreadable(413, error.code, too_large) from None
        raise Unreadable(400, error.code, error.message) from None


def _open(path: Path, bounds: importer.Limits) -> CsvTable:
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    if not head:
        raise importer.Unreadable("empty_file", f"The file is empty. {_SAVE_AS}")
    for begins, message in _NOT_CSV:
        if head.startswith(begins):
            raise importer.Unreadable("another_format", message)
    refuse_others(head)
    if not head.startswith(_MARKS) and not _CONTROL.isdisjoint(head):
        raise importer.Unreadable("another_format", f"This is no text, so it is not CSV. {_SAVE_AS}")
    return CsvTable(path, bounds)


def is_decimal_comma(table: CsvTable) -> bool:
    """Spreadsheets put semicolons between cells where a comma stands before decimals."""
    return table.delimiter != ","


def cells_of(row: tuple[Cell, ...] | BrokenRow) -> Sequence[Cell] | str:
    """A row as `Columns.batch` takes it."""
    return row.detail if isinstance(row, BrokenRow) else row


# --- A file that a person chose


def limits_of_file(limits: Limits) -> importer.Limits:
    """What it may hold."""
    return importer.Limits(
        oldest=limits.oldest,
        newest=limits.newest,
        unpacked_bytes=settings.USAGE_FILE_MAX_UNPACKED_BYTES,
        rows=settings.USAGE_FILE_MAX_ROWS,
        may_be_western=True,
    )


def too_large() -> str:
    """What to do with a file that is over the limit."""
    return (
        f"A file has at most {settings.USAGE_FILE_MAX_ROWS:,} rows and {settings.USAGE_FILE_MAX_BYTES // 2**20:,} MiB "
        f"({settings.USAGE_FILE_MAX_UNPACKED_BYTES // 2**20:,} MiB unpacked). Split it, or send sums by hour in "
        "'requests'."
    )


def read_columns(table: CsvTable) -> list[str]:
    """The columns that hold something: all but those that say why a row was rejected the last time."""
    return [name for name in table.columns if name not in REJECTED_COLUMNS]

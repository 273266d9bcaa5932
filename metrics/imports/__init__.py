"""The containers that a billing file can come in, in the order of asking. A new one is a file here and a line below."""

from __future__ import annotations

from pathlib import Path

from metrics.importer import Container, Limits, Table, Unreadable
from metrics.imports import csv_table, parquet_table

CONTAINERS: tuple[Container, ...] = (parquet_table.CONTAINER, csv_table.CONTAINER)
_HEAD_BYTES = 8

# What people try that is none of them, by how it begins.
_OTHERS: tuple[tuple[bytes, str], ...] = (
    (
        b"PK\x03\x04",
        "This is a ZIP archive or an Excel workbook. Unpack it, or save the sheet as 'CSV UTF-8'.",
    ),
    (b"\x28\xb5\x2f\xfd", "This file is packed with zstd. Unpack it, or pack it with gzip, and choose it again."),
    (b"BZh", "This file is packed with bzip2. Unpack it, or pack it with gzip, and choose it again."),
    (b"\xfd7zXZ", "This file is packed with xz. Unpack it, or pack it with gzip, and choose it again."),
    (b"%PDF", "This is a PDF. A billing file is a CSV or Parquet export; the provider's cost page offers one."),
    (b"\xd0\xcf\x11\xe0", "This is an Excel workbook. Save the sheet as 'CSV UTF-8' and choose that file."),
    (b"{", "This is JSON. A billing file is CSV or Parquet; choose one of these when exporting."),
    (b"[", "This is JSON. A billing file is CSV or Parquet; choose one of these when exporting."),
    (b"<", "This is a web page or XML, not a billing file. Was the download a sign-in page?"),
)


def open_table(path: Path, limits: Limits) -> Table:
    """Return the file as a table. Raises Unreadable, with what to do."""
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    if not head:
        raise Unreadable("empty_file", "The file is empty. Export it again, and look at it before you choose it.")
    refuse_others(head)
    for container in CONTAINERS:
        if container.recognises(head):
            return container.open(path, limits)
    raise Unreadable("another_format", "This is neither CSV nor Parquet.")


def refuse_others(head: bytes) -> None:
    """Raise Unreadable, with what to do, for a file that begins like something else that people try."""
    for begins, message in _OTHERS:
        if head.startswith(begins):
            raise Unreadable("another_format", message)

"""Parquet, read batch by batch with arro3 (the Arrow project's Rust reader), an optional extra of 33 MB."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from metrics.importer import Container, Limits, Row, Table, Unreadable, checked_header

_MAGIC = b"PAR1"
_ROWS_AT_ONCE = 2_000
_PROBE = "import sys; from arro3.io import read_parquet; read_parquet(sys.argv[1], batch_size=1).read_next_batch()"
_PROBE_SECONDS = 60
_NOT_PLAIN = (bytes, list, dict, tuple)
INSTALL = "pip install -r requirements-parquet.txt -c constraints.txt"


class ParquetTable(Table):
    """One Parquet file. Cells come typed: Decimal, datetime, float, dict or text."""

    kind = "parquet"

    def __init__(self, path: Path, limits: Limits) -> None:
        self.path, self.limits = path, limits
        with path.open("rb") as file:
            file.seek(0, 2)
            size = file.tell()
            file.seek(max(0, size - len(_MAGIC)))
            is_whole = file.read() == _MAGIC and size > 3 * len(_MAGIC)
        if not is_whole:
            raise Unreadable(
                "cut_short",
                "The file begins like Parquet and does not end like it: it was cut short when it was copied. Download "
                "it again.",
            )
        _refuse_what_ends_the_process(path)
        self.columns = checked_header([str(name).strip() for name in self._names()])
        self.description = "Parquet"

    def close(self) -> None:
        """Each reading opens the file for itself."""

    def rows(self, names: Sequence[str], *, skip: int = 0) -> Iterator[Row]:
        seen = 0
        for batch in self._batches():
            count = batch.num_rows
            if seen + count > self.limits.rows:
                raise Unreadable(
                    "too_many_rows",
                    f"The file has more than {self.limits.rows:,} rows. Export fewer days, or raise IMPORT_MAX_ROWS.",
                )
            if seen + count > skip:
                columns = [_cells(batch, self.columns.index(name)) for name in names]
                for place, row in enumerate(zip(*columns, strict=True), start=seen):
                    if place >= skip:
                        yield row
            seen += count
            self._unpacked += batch.nbytes
            if self._unpacked > self.limits.unpacked_bytes:
                raise Unreadable(
                    "too_large",
                    f"Unpacked, the file is larger than {self.limits.unpacked_bytes // 2**20:,} MiB. "
                    "Export fewer days, or raise IMPORT_MAX_UNPACKED_MIB.",
                )
        self.read_share = 1.0

    def _batches(self) -> Iterator[Any]:
        self._unpacked = 0
        reader = self._reader()
        while True:
            try:
                batch = reader.read_next_batch()
            except StopIteration:
                return
            except BaseException as error:  # noqa: BLE001 - see _damaged
                raise _damaged(error) from None
            yield batch

    def _names(self) -> list[str]:
        try:
            return list(self._reader().schema.names)
        except Unreadable:
            raise
        except BaseException as error:  # noqa: BLE001 - see _damaged
            raise _damaged(error) from None

    def _reader(self) -> Any:
        try:
            from arro3.io import read_parquet
        except ImportError:
            raise Unreadable(
                "parquet_missing",
                f"Reading Parquet needs one more package on this server: {INSTALL}. Or export the same as CSV.",
            ) from None
        try:
            return read_parquet(str(self.path), batch_size=_ROWS_AT_ONCE)
        except BaseException as error:  # noqa: BLE001 - see _damaged
            raise _damaged(error) from None


def _refuse_what_ends_the_process(path: Path) -> None:
    """Open the file elsewhere first: some files, such as one with U+0000 in a column's name, end the reader's process.

    What merely cannot be read is said where it is read.
    """
    command = [sys.executable, "-I", "-c", _PROBE, str(path)]
    try:
        code = subprocess.run(  # noqa: S603 - our own words and the path of a temporary file
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            timeout=_PROBE_SECONDS, check=False,
        ).returncode  # fmt: skip
    except subprocess.TimeoutExpired:
        code = -1
    if code < 0:
        raise Unreadable(
            "broken_parquet", "The Parquet file cannot be read: its reader breaks off. Export it again, or as CSV."
        )


def _cells(batch: Any, place: int) -> list[Any]:
    try:
        found = batch.column(place).to_pylist()
    except BaseException as error:  # noqa: BLE001 - see _damaged
        raise _damaged(error) from None
    return [_as_text(cell) if isinstance(cell, _NOT_PLAIN) else cell for cell in found]


def _as_text(cell: Any) -> str | None:
    """A map, a structure or a list as FOCUS's CSV writes it, and bytes as text: a cell is one plain value."""
    if isinstance(cell, bytes):
        return cell.decode("utf-8", "replace") or None
    if isinstance(cell, list) and all(isinstance(one, tuple) and len(one) == 2 for one in cell):
        cell = {str(name): value for name, value in cell}
    return json.dumps(cell, default=str)


def _damaged(error: BaseException) -> Unreadable:
    """What to say. The reader raises bare exceptions, and panics, which are no Exception, for a file that is none."""
    if isinstance(error, KeyboardInterrupt | SystemExit | GeneratorExit):
        raise error
    said = " ".join(str(error).split())[:200]
    return Unreadable("broken_parquet", f"The Parquet file cannot be read ({said}). Download or export it again.")


CONTAINER = Container(kind="parquet", recognises=lambda head: head.startswith(_MAGIC), open=ParquetTable)

"""Parquet, read batch by batch with arro3 (the Arrow project's Rust reader), an optional extra of 33 MB."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from metrics.importer import Container, Limits, Row, Table, Unreadable

_MAGIC = b"PAR1"
_ROWS_AT_ONCE = 2_000
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
        self.columns = list(self._reader().schema.names)
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
                columns = [_cells(batch.column(name)) for name in names]
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


def _cells(column: Any) -> list[Any]:
    try:
        return list(column.to_pylist())
    except BaseException as error:  # noqa: BLE001 - see _damaged
        raise _damaged(error) from None


def _damaged(error: BaseException) -> Unreadable:
    """What to say. The reader raises bare exceptions, and panics, which are no Exception, for a file that is none."""
    if isinstance(error, KeyboardInterrupt | SystemExit | GeneratorExit):
        raise error
    said = " ".join(str(error).split())[:200]
    return Unreadable("broken_parquet", f"The Parquet file cannot be read ({said}). Download or export it again.")


CONTAINER = Container(kind="parquet", recognises=lambda head: head.startswith(_MAGIC), open=ParquetTable)

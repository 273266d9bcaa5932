"""CSV: plain or gzip, UTF-8, UTF-16 or Windows-1252, commas, semicolons, tabs or bars; read as a stream."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import re
import zlib
from collections.abc import Iterator, Sequence
from itertools import chain
from operator import itemgetter
from pathlib import Path
from typing import Any, BinaryIO

from metrics.importer import BrokenRow, Container, Limits, Row, Table, Unreadable, checked_header

_GZIP = b"\x1f\x8b"
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_CODINGS = {"utf-8-sig": "UTF-8", "utf-16": "UTF-16", "utf-16-le": "UTF-16", "cp1252": "Windows-1252"}
# Bytes that stand for something else on other systems, or for nothing; what is left are letters of western Europe and
# the space that does not break.
_NOT_WESTERN = re.compile(rb"[\x80-\x9f\xa1-\xbf\xd7\xf7]")
_DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
# A header longer than this is none.
_LONGEST_HEADER = 256 * 1024
_LONGEST_CELL = 131_072
_BLOCK = 256 * 1024
# Rows that later ones are compared with.
_MOST_COMPARED = 250_000
# Stands behind the last line: where a quotation mark is open, it ends up inside of a cell. No text holds U+FDD0.
_END = "\ufdd0 end"


class _Counted(io.RawIOBase):
    """The unpacked bytes, up to a limit, so that a small file that unpacks for ever does no harm."""

    def __init__(self, source: BinaryIO, limit: int) -> None:
        self.source, self.limit, self.seen = source, limit, 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        try:
            data = self.source.read(len(view))
        except EOFError:
            raise Unreadable(
                "cut_short", "The gzip file ends in the middle: it was cut short when it was copied. Download it again."
            ) from None
        except (gzip.BadGzipFile, zlib.error):
            raise Unreadable("broken_gzip", "The gzip file is damaged. Download it again.") from None
        self.seen += len(data)
        if self.seen > self.limit:
            raise Unreadable(
                "too_large",
                f"Unpacked, the file is larger than {self.limit // 2**20:,} MiB. Export fewer days, or raise "
                "IMPORT_MAX_UNPACKED_MIB.",
            )
        view[: len(data)] = data
        return len(data)


class CsvTable(Table):
    """One CSV file. Rows with more or fewer cells than the header are broken; empty lines are skipped.

    `line` is where the row that was yielded last begins in the file, from 1.
    """

    kind = "csv"
    line = 0

    def __init__(self, path: Path, limits: Limits) -> None:
        self.path, self.limits = path, limits
        self.size = path.stat().st_size
        self._last_line = 0
        with path.open("rb") as file:
            self.is_gzip = file.read(2) == _GZIP
        self._file: BinaryIO | None = None
        head = self._open().read(_LONGEST_HEADER)
        if not head:
            raise Unreadable("empty_file", "Unpacked, the file is empty. Export it again.")
        self.encoding = self._encoding(head)
        text = _decoded(head, self.encoding)
        line = text.lstrip("\r\n").splitlines()[0] if text.strip() else ""
        self.delimiter = _delimiter(line)
        self.columns = self._header()
        packed = ", gzip" if self.is_gzip else ""
        self.description = f"CSV with {_DELIMITERS[self.delimiter]}, {_CODINGS[self.encoding]}{packed}"

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def rows(self, names: Sequence[str], *, skip: int = 0) -> Iterator[Row | BrokenRow]:
        places = [self.columns.index(name) for name in names]
        pick = itemgetter(*places) if len(places) > 1 else lambda cells: (cells[places[0]],)
        width = len(self.columns)
        seen: set[int] = set()
        for number, cells in enumerate(self._records()):
            if number < skip:
                continue
            if number >= self.limits.rows:
                raise _too_many(self.limits)
            if len(cells) == width:
                known = len(seen)
                if known < _MOST_COMPARED:
                    seen.add(hash(tuple(cells)))
                    self.repeated += len(seen) == known
                yield tuple([cell or None for cell in pick(cells)])
            else:
                lines = (
                    f"Lines {self.line:,} to {self._last_line:,} are one row. " if self._last_line > self.line else ""
                )
                yield BrokenRow(
                    f"{lines}It has {len(cells)} cells, the header {width}: is a quotation mark or separator lost?"
                )

    def _records(self) -> Iterator[list[str]]:
        """The rows behind the header that are not empty lines."""
        count = 0
        try:
            is_header = True
            for cells in self._lines():
                if not cells:
                    continue
                if is_header:
                    is_header = False
                    continue
                count += 1
                if not count % 2_000:
                    self._note_progress()
                yield cells
        except UnicodeDecodeError as error:
            raise _wrong_encoding(error, f" near row {count + 2:,}") from None
        except csv.Error:
            raise Unreadable(
                "broken_csv",
                f"Row {count + 2:,} holds a cell of more than {_LONGEST_CELL:,} characters. Is a quotation mark not "
                "closed?",
            ) from None
        self.read_share = 1.0

    def _encoding(self, head: bytes) -> str:
        """Raises Unreadable for what could be several."""
        if head.startswith(_UTF16):
            return "utf-16"
        if self.limits.may_be_western and not head[1:64:2].strip(b"\0") and b"\0" not in head[0:64:2] and head[1:2]:
            # Without its mark, and every second byte is zero.
            return "utf-16-le"
        if not self.limits.may_be_western:
            return "utf-8-sig"
        decoder = codecs.getincrementaldecoder("utf-8-sig")("strict")
        file = self._open()
        try:
            while block := file.read(_BLOCK):
                decoder.decode(block)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            self._check_western()
            return "cp1252"
        return "utf-8-sig"

    def _check_western(self) -> None:
        """Raises Unreadable where a byte could be several characters."""
        lines = 0
        file = self._open()
        while block := file.read(_BLOCK):
            other = _NOT_WESTERN.search(block)
            if other is not None:
                lines += block[: other.start()].count(b"\n") + 1
                raise Unreadable(
                    "wrong_encoding",
                    f"The file is not UTF-8, and byte 0x{block[other.start()]:02X} in line {lines:,} stands for other "
                    "characters on other systems. Save it as 'CSV UTF-8' and choose it again.",
                )
            lines += block.count(b"\n")

    def _header(self) -> list[str]:
        try:
            for cells in self._lines():
                if any(cell.strip() for cell in cells):
                    return checked_header([cell.strip() for cell in cells])
        except UnicodeDecodeError as error:
            raise _wrong_encoding(error, " in its header") from None
        except csv.Error:
            raise Unreadable("broken_csv", "The first line is not a header of column names.") from None
        raise Unreadable("no_header", "The file holds nothing but empty lines. Export it again.")

    def _lines(self) -> Iterator[list[str]]:
        """Every row, empty lines too. Raises csv.Error, and Unreadable where a quotation mark is never closed."""
        reader = csv.reader(chain(self._text(), (_END,)), delimiter=self.delimiter)
        begin = 1
        for cells in reader:
            if cells == [_END]:
                return
            self.line, self._last_line = begin, reader.line_num
            if cells and cells[-1].endswith(_END):
                raise Unreadable(
                    "broken_csv",
                    f"A quotation mark in line {begin:,} is never closed, so that the rest of the file would be one "
                    "cell. Close it or take it out, and choose the file again.",
                )
            begin = reader.line_num + 1
            yield cells

    def _open(self) -> BinaryIO:
        self.close()
        self._file = self.path.open("rb")
        source: BinaryIO = gzip.GzipFile(fileobj=self._file) if self.is_gzip else self._file  # type: ignore[assignment]
        return io.BufferedReader(_Counted(source, self.limits.unpacked_bytes), _BLOCK)  # type: ignore[return-value]

    def _text(self) -> io.TextIOWrapper:
        return io.TextIOWrapper(self._open(), encoding=self.encoding, errors="strict", newline="")

    def _note_progress(self) -> None:
        if self._file is not None and not self._file.closed and self.size:
            self.read_share = min(1.0, self._file.tell() / self.size)


def _decoded(head: bytes, encoding: str) -> str:
    """The beginning as text; the last character may be cut."""
    decoder = codecs.getincrementaldecoder(encoding)("strict")
    try:
        return decoder.decode(head)
    except UnicodeDecodeError as error:
        line = head[: error.start].count(b"\n") + 1
        raise _wrong_encoding(error, f" in line {line:,}") from None


def _wrong_encoding(error: UnicodeDecodeError, where: str) -> Unreadable:
    byte = error.object[error.start] if error.start < len(error.object) else 0
    return Unreadable(
        "wrong_encoding",
        f"The file is not UTF-8: byte 0x{byte:02X}{where}. Save it as 'CSV UTF-8' and choose it again.",
    )


def _delimiter(line: str) -> str:
    """The separator that the header has most of, outside of quotation marks."""
    bare = "".join(part for place, part in enumerate(line.split('"')) if place % 2 == 0)
    best = max(_DELIMITERS, key=bare.count)
    return best if bare.count(best) else ","


def _too_many(limits: Limits) -> Unreadable:
    return Unreadable(
        "too_many_rows", f"The file has more than {limits.rows:,} rows. Export fewer days, or raise IMPORT_MAX_ROWS."
    )


CONTAINER = Container(kind="csv", recognises=lambda head: True, open=CsvTable)

"""Phaseline's own records as rows of a table: the columns are the fields' names, in any order, one record a row.

A cell is read as what its column takes and is never guessed: '1,234' may be a thousand or one and a bit, '03/04/2026'
March or April. What a row says in another way is refused with the way that is read.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from decimal import Decimal
from difflib import get_close_matches
from typing import Any

import msgspec

from metrics.format import (
    FIELDS,
    TAKES,
    Batch,
    BucketCounts,
    Limits,
    Record,
    Rejection,
    Unreadable,
    check,
    fields_given,
)

LABEL_PREFIXES = ("label.", "labels.")
# The row of the first record in a spreadsheet, below the header.
FIRST_ROW = 2
# What other tools call our fields: named in a refusal, never taken for them.
ALIASES = {
    "time": "timestamp",
    "date": "timestamp",
    "datetime": "timestamp",
    "created_at": "timestamp",
    "model_name": "model",
    "prompt_tokens": "input_tokens",
    "completion_tokens": "output_tokens",
    "cached_tokens": "cached_input_tokens",
    "cache_read_input_tokens": "cached_input_tokens",
    "cache_creation_input_tokens": "cache_write_input_tokens",
    "latency_ms": "duration_ms",
    "latency": "duration_ms",
    "ttft_ms": "time_to_first_token_ms",
    "spend": "cost",
    "price": "cost",
    "request_id": "id",
    "tier": "service_tier",
    "project": "labels.project",
    "team": "labels.team",
    "environment": "labels.environment",
}
_HISTOGRAMS = frozenset(name for name in FIELDS if name.endswith("_histogram"))
_TEXTS = frozenset({"model", "roadmap", "provider", "backend", "operation", "service_tier", "error_type", "id"})
_WHOLE = frozenset(
    {
        *("requests", "errors", "input_tokens", "cached_input_tokens", "cache_write_input_tokens", "output_tokens"),
        *("quality_count", "blocked", "overridden", "false_alarms"),
    }
)
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\Z")
_GERMAN_DAY = re.compile(r"(\d{1,2})\.(\d{1,2})\.(\d{4})(?:[ T,]+(\d{1,2}):(\d{2})(?::(\d{2}))?)?\Z")
_SLASHED_DAY = re.compile(r"\d{1,4}/\d{1,2}/\d{1,4}")
_DAY_NUMBER = re.compile(r"\d{5}([.,]\d+)?\Z")
# A time that is followed by the name of its zone, or by an offset with a space before it.
_NAMED_ZONE = re.compile(r"(.*\d)\s+([A-Za-z]{1,5})\Z")
_SPACED_OFFSET = re.compile(r"(.*\d)\s+([+-]\d{2}:?\d{2})\Z")
_SHOWN = 60
_MOST_DIGITS, _LONGEST_NUMBER = 30, 40


@dataclass(frozen=True, slots=True)
class Columns:
    """What each column holds: a field, or the label of a name.

    `is_decimal_comma`: 0,25 is a quarter. `zone`: of times that do not say theirs; None refuses them.
    """

    names: tuple[str, ...]
    is_decimal_comma: bool = False
    zone: tzinfo | None = None

    @classmethod
    def of(cls, header: Sequence[str], *, is_decimal_comma: bool = False, zone: tzinfo | None = None) -> Columns:
        """Raises Unreadable for a column that is none of ours, naming the nearest, and where one is missing."""
        _refuse_no_header(header)
        names = tuple(_field_of(column) for column in header)
        for name in names:
            if names.count(name) > 1:
                raise Unreadable(400, "repeated_column", f"Two columns are '{name}'. Keep one of them.")
        for name in ("timestamp", "model"):
            if name not in names:
                raise Unreadable(
                    400, "missing_column", f"There is no column '{name}': it takes {TAKES[name]}. Add it to the header."
                )
        return cls(names, is_decimal_comma, zone)

    def batch(self, rows: Iterable[Sequence[str | None] | str], limits: Limits, *, first: int = 0) -> Batch:
        """The rows as records; `first` is the index of the first one. A row that is text says why it cannot be told
        apart into cells.
        """
        records: list[Record] = []
        indexes: list[int] = []
        rejections: list[Rejection] = []
        for index, row in enumerate(rows, start=first):
            if isinstance(row, str):
                rejections.append(Rejection(index, "malformed", row))
                continue
            try:
                records.append(self._record(row))
                indexes.append(index)
            except _Refused as refused:
                rejections.append(Rejection(index, refused.code, str(refused)))
        fields = fields_given(records)
        has_nul = any("\0" in (getattr(one, name) or "") for one in records for name in _TEXTS)
        return check(Batch(records, indexes, fields | {"nul"} if has_nul else fields, rejections), limits)

    def _record(self, row: Sequence[str | None]) -> Record:
        values: dict[str, Any] = {}
        labels: dict[str, str] = {}
        for name, cell in zip(self.names, row, strict=True):
            text = (cell or "").strip()
            if not text:
                continue
            if name.startswith("labels."):
                labels[name.removeprefix("labels.")] = text
            else:
                values[name] = self._value(name, text)
        for name in ("timestamp", "model"):
            if name not in values:
                raise _Refused("missing_field", f"{name}: is empty; it takes {TAKES[name]}.")
        if labels:
            values["labels"] = msgspec.Raw(msgspec.json.encode(labels))
        try:
            return msgspec.convert(values, Record)
        except msgspec.ValidationError as error:
            raise _refused(str(error), values) from None

    def _value(self, name: str, text: str) -> Any:
        if name in _TEXTS or name == "currency":
            return text
        if name == "timestamp":
            return self._moment(text)
        if name == "labels":
            return msgspec.Raw(text.encode())
        if name in _HISTOGRAMS:
            try:
                return msgspec.json.decode(text, type=BucketCounts)
            except (msgspec.DecodeError, UnicodeDecodeError):
                raise _Refused("bad_histogram", f"{name}: takes {TAKES[name]}, as JSON.") from None
        return self._number(name, text)

    def _moment(self, text: str) -> datetime:
        """An aware time. Raises _Refused."""
        found = _day_and_time(text)
        if found is not None and found.tzinfo is None and self.zone is None:
            raise _Refused(
                "timestamp_without_offset",
                f"timestamp: '{text[:_SHOWN]}' does not say its time zone. If it is UTC write "
                f"{found.isoformat(timespec='seconds')}Z.",
            )
        if found is not None:
            return self._in_zone(found, text) if found.tzinfo is None else found
        if _DAY_NUMBER.match(text):
            raise _Refused(
                "bad_timestamp",
                f"timestamp: '{text[:_SHOWN]}' is a spreadsheet's day number. Format the column as "
                'yyyy-mm-dd"T"hh:mm:ss"Z" and save the file again.',
            )
        if _SLASHED_DAY.match(text):
            raise _Refused(
                "bad_timestamp",
                f"timestamp: '{text[:_SHOWN]}' can be two days. Write it like 2026-11-22T14:00:00Z.",
            )
        named = _NAMED_ZONE.match(text)
        if named is not None and _day_and_time(named[1]) is not None:
            raise _Refused(
                "bad_timestamp",
                f"timestamp: '{named[2]}' can be several time zones. Write the offset in its place: "
                f"{text[:_SHOWN].removesuffix(named[2]).strip()}+01:00, for example.",
            )
        raise _Refused("bad_timestamp", f"timestamp: takes {TAKES['timestamp']}; got '{text[:_SHOWN]}'.")

    def _in_zone(self, found: datetime, text: str) -> datetime:
        """A time of the file's zone. When clocks change, an hour is there twice and another not at all."""
        at = found.replace(tzinfo=self.zone)
        if at.utcoffset() != at.replace(fold=1).utcoffset():
            raise _Refused(
                "bad_timestamp",
                f"timestamp: clocks change at '{text[:_SHOWN]}' in {self.zone}, so that it is there twice or not at "
                f"all. Write it with its offset, such as {at.isoformat()}.",
            )
        return at

    def _number(self, name: str, text: str) -> Any:
        plain = text
        if "," in text:
            if not self.is_decimal_comma or "." in text or text.count(",") > 1:
                raise _Refused(
                    "bad_format",
                    f"{name}: '{text[:_SHOWN]}' can be read in two ways. Write it without separators of thousands and "
                    "with a decimal point, such as 1234.5.",
                )
            plain = text.replace(",", ".")
        if not _NUMBER.match(plain) or len(plain) > _LONGEST_NUMBER:
            raise _Refused("wrong_type", f"{name}: takes {TAKES[name]}; got '{text[:_SHOWN]}'.")
        # Looked at before it is written out: forty characters can spell a number of a billion digits.
        if abs(Decimal(plain).adjusted()) > _MOST_DIGITS:
            raise _Refused("out_of_range", f"{name}: takes {TAKES[name]}; got '{text[:_SHOWN]}'.")
        if name == "cost":
            return _plain_decimal(plain)
        value = float(plain)
        if name in _WHOLE:
            if "e" not in plain.lower() and "." not in plain:
                return int(plain)
            if value != int(value):
                raise _Refused("wrong_type", f"{name}: takes {TAKES[name]}; got '{text[:_SHOWN]}'.")
            return int(value)
        return value


class _Refused(Exception):  # noqa: N818 - says what is so
    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code


def _refuse_no_header(header: Sequence[str]) -> None:
    """Raises Unreadable where the first line holds values, or the separator is none that is known."""
    for cell in header:
        text = cell.strip()
        if _NUMBER.match(text) or _day_and_time(text) is not None:
            raise Unreadable(
                400,
                "no_header",
                f"The first line holds values ('{text[:_SHOWN]}') and no names of columns. Put a header above it, such "
                "as timestamp,model,requests.",
            )
    if len(header) == 1:
        raise Unreadable(
            400,
            "missing_column",
            f"There is one column, '{header[0].strip()[:_SHOWN]}'. A record has at least 'timestamp' and 'model', with "
            "a comma, semicolon, tab or bar between the cells.",
        )


def _field_of(column: str) -> str:
    """Raises Unreadable."""
    text = column.strip()
    for prefix in LABEL_PREFIXES:
        if text.lower().startswith(prefix) and len(text) > len(prefix):
            return f"labels.{text[len(prefix) :]}"
    name = re.sub(r"[\s-]+", "_", text.lower())
    if name in FIELDS:
        return name
    near = [ALIASES[name]] if name in ALIASES else get_close_matches(name, FIELDS, n=1, cutoff=0.7)
    hint = f"Is it '{near[0]}'? Then rename it; else" if near else "Rename it to the field that it holds, or"
    raise Unreadable(
        400, "unknown_column", f"The column '{text[:_SHOWN]}' is not a field of a record. {hint} leave it out."
    )


def _day_and_time(text: str) -> datetime | None:
    """What is written in one way or the other, with its offset where it says one; None for anything else."""
    text = _SPACED_OFFSET.sub(r"\1\2", text.removesuffix(" UTC") + ("Z" if text.endswith(" UTC") else ""))
    german = _GERMAN_DAY.match(text)
    try:
        if german is not None:
            day, month, year, hour, minute, second = (int(part or 0) for part in german.groups())
            return datetime(year, month, day, hour, minute, second)  # noqa: DTZ001 - its zone is asked for next
        return datetime.fromisoformat(text) if len(text) > len("2026-11-22") else None
    except ValueError:
        return None


def _plain_decimal(text: str) -> str:
    """1.35E-05 as 0.0000135: spreadsheets write small amounts so."""
    whole = f"{Decimal(text):f}"
    return whole.rstrip("0").rstrip(".") if "." in whole else whole


def _refused(said: str, values: dict[str, Any]) -> _Refused:
    """What msgspec says of a value, in our words."""
    name = said.rpartition("`$.")[2].rstrip("`").partition(".")[0]
    if name not in TAKES:
        return _Refused("wrong_type", "A row is a record with fields.")
    given = values.get(name)
    shown = f"; got '{str(given)[:_SHOWN]}'" if isinstance(given, str | int | float) else ""
    code = "bad_length" if "of length" in said else "bad_format" if "matching regex" in said else "out_of_range"
    return _Refused(code, f"{name}: takes {TAKES[name]}{shown}.")

"""Phaseline's own records, as one JSON document or as one record a line.

The whole body is decoded typed in one go. Only where that fails is it decoded again record by record, so that a bad
record costs time and loses nobody else.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import msgspec

from metrics.format import (
    TAKES,
    Batch,
    Limits,
    Record,
    Rejection,
    Unreadable,
    check,
    fields_given,
    narrow_record,
)


class _Document(msgspec.Struct, forbid_unknown_fields=True):
    records: list[Record]


class _RawDocument(msgspec.Struct, forbid_unknown_fields=True):
    records: list[msgspec.Raw]


_DOCUMENT = msgspec.json.Decoder(_Document)
_RAW_DOCUMENT = msgspec.json.Decoder(_RawDocument)
_RECORD = msgspec.json.Decoder(Record)
# Sets of fields that bodies had lately, each with decoders for records of just these.
_MAX_SHAPES = 16
_TRIED_SHAPES = 3
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
# Decoding again keeps an object for each value of `records`: 16 MiB of `1,1,1` would take 700 MB.
_MAX_VALUES = 2_000_000
# Windows puts it before UTF-8; a reader of JSON may ignore it (RFC 8259, 8.1).
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_PATH = re.compile(r" - at `\$(?:\.([a-z_]+))?(.*)`$")
_QUOTED = re.compile(r"`([^`]*)`")


@dataclass(frozen=True, slots=True)
class _Shape:
    fields: frozenset[str]
    document: Callable[[bytes], list[Record]]
    lines: Callable[[bytes], list[Record]]


# Latest first. Replaced as a whole, so that threads read it without a lock.
_shapes: tuple[_Shape, ...] = ()


def decode_document(body: bytes, limits: Limits) -> Batch:
    """The records of `{"records": [...]}`. Raises Unreadable."""
    body = body.removeprefix(_BYTE_ORDER_MARK)
    if not body.strip():
        raise Unreadable(400, "empty", 'The body is empty. Send {"records": [...]} with at least one record.')
    try:
        records, fields = _decode_typed(body, as_lines=False)
    except _UNREADABLE:
        return check(_decode_one_by_one(_raw_records(body), body, limits), limits)
    _check_number(len(records), limits)
    return check(Batch(records, range(len(records)), _with_escapes(fields, body)), limits)


def decode_lines(body: bytes, limits: Limits) -> Batch:
    """The records of newline-delimited JSON; blank lines do not count. Raises Unreadable."""
    body = body.removeprefix(_BYTE_ORDER_MARK)
    try:
        records, fields = _decode_typed(body, as_lines=True)
    except _UNREADABLE:
        if body.count(b"\n") > _MAX_VALUES:
            raise _too_many(limits) from None
        lines = [line for line in body.split(b"\n") if line.strip()]
        return check(_decode_one_by_one(lines, body, limits), limits)
    _check_number(len(records), limits)
    return check(Batch(records, range(len(records)), _with_escapes(fields, body)), limits)


def _decode_typed(body: bytes, *, as_lines: bool) -> tuple[list[Record], frozenset[str]]:
    """All records, and the fields that they may give: by a set of fields seen lately, else by all fields."""
    for shape in _shapes[:_TRIED_SHAPES]:
        try:
            records = shape.lines(body) if as_lines else shape.document(body)
        except msgspec.ValidationError as error:
            if not str(error).startswith("Object contains unknown field"):
                raise
        else:
            _remember(shape)
            return records, shape.fields
    records = _RECORD.decode_lines(body) if as_lines else _DOCUMENT.decode(body).records
    fields = fields_given(records)
    if records:
        _remember(_shape_of(fields))
    return records, fields


def _shape_of(fields: frozenset[str]) -> _Shape:
    for shape in _shapes:
        if shape.fields == fields:
            return shape
    record = narrow_record(fields)
    document = msgspec.json.Decoder(
        msgspec.defstruct("Document", [("records", list[record])], forbid_unknown_fields=True)  # type: ignore[valid-type]
    )
    lines = msgspec.json.Decoder(record)
    return _Shape(fields, lambda body: document.decode(body).records, lines.decode_lines)  # type: ignore[attr-defined]


def _remember(shape: _Shape) -> None:
    global _shapes  # noqa: PLW0603 - what this process saw last
    if not _shapes or _shapes[0] is not shape:
        _shapes = (shape, *[one for one in _shapes if one.fields != shape.fields])[:_MAX_SHAPES]


def _with_escapes(fields: frozenset[str], body: bytes) -> frozenset[str]:
    """'nul' beside the fields where a text may hold U+0000, which JSON has to write as an escape."""
    # A single byte is found many times faster than several.
    return fields | {"nul"} if b"\\" in body and b"\\u0000" in body else fields


def _raw_records(body: bytes) -> list[msgspec.Raw]:
    if body.count(b",") > _MAX_VALUES:
        raise Unreadable(413, "too_many_records", "Not readable in one piece; send smaller batches.")
    try:
        return _RAW_DOCUMENT.decode(body).records
    except msgspec.ValidationError as error:
        raise Unreadable(
            400, "malformed", f'Send an object {{"records": [...]}}: {_without_ticks(str(error))}.'
        ) from None
    except UnicodeDecodeError:
        raise Unreadable(400, "malformed", "The body is not UTF-8.") from None
    except RecursionError:
        raise Unreadable(400, "malformed", "The body is not JSON of records: it is nested too deeply.") from None
    except msgspec.DecodeError as error:
        raise Unreadable(400, "malformed", f"The body is not JSON: {_without_ticks(str(error))}.") from None


def _check_number(records: int, limits: Limits) -> None:
    if records == 0:
        raise Unreadable(400, "empty", "There is no record in the body. Send at least one.")
    if records > limits.max_records:
        raise _too_many(limits)


def _too_many(limits: Limits) -> Unreadable:
    return Unreadable(
        413, "too_many_records", f"At most {limits.max_records:,} records a request; send several requests."
    )


def _decode_one_by_one(texts: Iterable[msgspec.Raw | bytes], body: bytes, limits: Limits) -> Batch:
    texts = list(texts)
    _check_number(len(texts), limits)
    records: list[Record] = []
    indexes: list[int] = []
    rejections: list[Rejection] = []
    for index, text in enumerate(texts):
        try:
            records.append(_RECORD.decode(text))
            indexes.append(index)
        except msgspec.ValidationError as error:
            rejections.append(Rejection(index, *_explain(str(error))))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            rejections.append(Rejection(index, "malformed", "This record is not JSON in UTF-8."))
    return Batch(records, indexes, _with_escapes(fields_given(records), body), rejections)


def _explain(message: str) -> tuple[str, str]:
    """Code and sentence for the decoder's message."""
    quoted = _QUOTED.findall(message)
    if message.startswith("Object contains unknown field"):
        path = _PATH.search(message)
        inside = f" in {path[1]}" if path and path[1] else ""
        return "unknown_field", f"'{quoted[0][:100]}'{inside} is not a field of a record."
    if message.startswith("Object missing required field"):
        path = _PATH.search(message)
        if path and path[1]:
            return "bad_histogram", f"{path[1]}: takes {TAKES[path[1]]}."
        return "missing_field", f"{quoted[0]}: is required, {TAKES[quoted[0]]}."
    path = _PATH.search(message)
    if path is None or path[1] not in TAKES:
        return "wrong_type", "A record is an object with fields."
    name, said = path[1], message[: path.start()]
    if name.endswith("_histogram") and path[2]:
        return "bad_histogram", f"{name}: takes {TAKES[name]}; {_without_ticks(said)} at {path[2].lstrip('.')}."
    return _code_of(said), f"{name}: takes {TAKES[name]}{_given(said)}."


def _code_of(said: str) -> str:
    if said.startswith("Invalid RFC3339"):
        return "bad_timestamp"
    if "timezone component" in said:
        return "timestamp_without_offset"
    if ", got " in said:
        return "wrong_type"
    if "matching regex" in said:
        return "bad_format"
    if "of length" in said:
        return "bad_length"
    return "out_of_range"


def _given(said: str) -> str:
    _, comma, got = said.partition(", got ")
    words = {
        "str": "text",
        "int": "a number",
        "float": "a number with decimals",
        "bool": "true or false",
        "null": "null",
    }
    if not comma:
        return ""
    kind = got.strip("`")
    return f"; got {words.get(kind, f'an {kind}')}"


def _without_ticks(message: str) -> str:
    return message.replace("`", "")

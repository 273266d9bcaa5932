"""Phaseline's own records, as one JSON document or as one record a line.

The whole body is decoded typed in one go. Only where that fails is it decoded again record by record, so that a bad
record costs time and loses nobody else.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import msgspec

from metrics.format import FIELDS, TAKES, Batch, Limits, Record, Rejection, Unreadable, check


class _Document(msgspec.Struct, forbid_unknown_fields=True):
    records: list[Record]


class _RawDocument(msgspec.Struct, forbid_unknown_fields=True):
    records: list[msgspec.Raw]


_DOCUMENT = msgspec.json.Decoder(_Document)
_RAW_DOCUMENT = msgspec.json.Decoder(_RawDocument)
_RECORD = msgspec.json.Decoder(Record)
_FIELD_NAMES = tuple((name, f'"{name}"'.encode()) for name in FIELDS)
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
# Decoding again keeps an object for each value of `records`: 16 MiB of `1,1,1` would take 700 MB.
_MAX_VALUES = 2_000_000
_PATH = re.compile(r" - at `\$(?:\.([a-z_]+))?(.*)`$")
_QUOTED = re.compile(r"`([^`]*)`")


def decode_document(body: bytes, limits: Limits) -> Batch:
    """The records of `{"records": [...]}`. Raises Unreadable."""
    if not body.strip():
        raise Unreadable(400, "empty", 'The body is empty. Send {"records": [...]} with at least one record.')
    try:
        records = _DOCUMENT.decode(body).records
    except _UNREADABLE:
        return check(_decode_one_by_one(_raw_records(body), _fields_in(body), limits), limits)
    _check_number(len(records), limits)
    return check(Batch(records, range(len(records)), _fields_in(body)), limits)


def decode_lines(body: bytes, limits: Limits) -> Batch:
    """The records of newline-delimited JSON; blank lines do not count. Raises Unreadable."""
    try:
        records = _RECORD.decode_lines(body)
    except _UNREADABLE:
        if body.count(b"\n") > _MAX_VALUES:
            raise _too_many(limits) from None
        lines = [line for line in body.split(b"\n") if line.strip()]
        return check(_decode_one_by_one(lines, _fields_in(body), limits), limits)
    _check_number(len(records), limits)
    return check(Batch(records, range(len(records)), _fields_in(body)), limits)


def _fields_in(body: bytes) -> frozenset[str]:
    """The fields that some record may give: those whose name stands in the body. 'nul': an escaped U+0000 may."""
    if b"\\u" not in body:
        return frozenset(name for name, quoted in _FIELD_NAMES if quoted in body)
    # A name may be written with escapes.
    return frozenset(FIELDS) | ({"nul"} if b"\\u0000" in body else frozenset())


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


def _decode_one_by_one(texts: Iterable[msgspec.Raw | bytes], fields: frozenset[str], limits: Limits) -> Batch:
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
    return Batch(records, indexes, fields, rejections)


def _explain(message: str) -> tuple[str, str]:
    """Code and sentence for the decoder's message."""
    quoted = _QUOTED.findall(message)
    if message.startswith("Object contains unknown field"):
        path = _PATH.search(message)
        inside = f" in {path[1]}" if path and path[1] else ""
        return "unknown_field", f"'{quoted[0][:100]}'{inside} is not a field of a record. Fields: {', '.join(FIELDS)}."
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

"""What OTLP's signals have in common: values of attributes, times, and what a resource says.

Knows OpenTelemetry's messages and no Django. Sentences name attributes and never quote their values, which may hold
what people wrote.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from metrics.format import MAX_COUNT, MAX_LABEL_CHARACTERS, MAX_LABELS, TAKES

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
ROADMAP_ATTRIBUTE = "phaseline.roadmap"
MAX_ROADMAP_CHARACTERS = 80

Values = dict[str, Any]
_GOT = {
    "string_value": "text",
    "bool_value": "true or false",
    "int_value": "a number",
    "double_value": "a number with decimals",
    "array_value": "a list",
    "kvlist_value": "a list of pairs",
    "bytes_value": "bytes",
}


class BadAttribute(ValueError):  # noqa: N818 - says what is so
    """An attribute does not hold what it should: a stable code and a sentence that names the attribute."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code, self.detail = code, detail


def wanted_values(attributes: Iterable[Any], names: Collection[str]) -> Values:
    """The attributes with these names, as OTLP's AnyValue; the last of two with one name. Others are not looked at."""
    return {one.key: one.value for one in attributes if one.key in names}


def first_of(values: Mapping[str, Any], names: Iterable[str]) -> str | None:
    """The first of the names that has a value."""
    for name in names:
        if name in values and values[name].WhichOneof("value") is not None:
            return name
    return None


def text_of(values: Mapping[str, Any], names: Iterable[str], *, most: int) -> str | None:
    """The text of the first of the names that is there, trimmed; None without any. Raises BadAttribute."""
    name = first_of(values, names)
    if name is None:
        return None
    value = values[name]
    kind = value.WhichOneof("value")
    if kind != "string_value":
        raise BadAttribute("wrong_type", f"{name}: takes text; got {_GOT.get(kind, 'something else')}.")
    text = str(value.string_value).strip()
    if len(text) > most:
        raise BadAttribute("bad_length", f"{name}: takes at most {most} characters; got {len(text):,}.")
    if "\0" in text:
        raise BadAttribute("bad_text", f"{name}: the character U+0000 cannot be stored.")
    return text or None


def count_of(values: Mapping[str, Any], names: Iterable[str]) -> int | None:
    """The whole number of the first of the names that is there; None without any. Raises BadAttribute."""
    name = first_of(values, names)
    if name is None:
        return None
    value = values[name]
    kind = value.WhichOneof("value")
    if kind == "int_value":
        number = int(value.int_value)
    elif kind == "double_value" and float(value.double_value).is_integer():
        # JavaScript knows no other numbers.
        number = int(value.double_value)
    else:
        raise BadAttribute(
            "wrong_type", f"{name}: takes {TAKES['input_tokens']}; got {_GOT.get(kind, 'something else')}."
        )
    if not 0 <= number <= MAX_COUNT:
        raise BadAttribute("out_of_range", f"{name}: takes {TAKES['input_tokens']}.")
    return number


def number_of(values: Mapping[str, Any], names: Iterable[str]) -> float | None:
    """The number of the first of the names that is there; None without any, or where it is none."""
    name = first_of(values, names)
    if name is None:
        return None
    kind = values[name].WhichOneof("value")
    return float(getattr(values[name], kind)) if kind in ("int_value", "double_value") else None


def time_of(nanoseconds: int) -> datetime:
    """Aware UTC, for nanoseconds since 1970 (fixed64, which ends in the year 2554)."""
    return EPOCH + timedelta(microseconds=nanoseconds // 1_000)


def resource_labels(values: Mapping[str, Any], kept: Collection[str]) -> tuple[msgspec.Raw, list[str]]:
    """The resource's attributes on the operator's list as JSON of labels, and the names of those that cannot be one."""
    labels: dict[str, str] = {}
    dropped: list[str] = []
    for name in sorted(name for name in values if name in kept):
        try:
            text = text_of(values, (name,), most=MAX_LABEL_CHARACTERS)
        except BadAttribute:
            dropped.append(name)
            continue
        if text is not None and len(labels) < MAX_LABELS:
            labels[name] = text
    return msgspec.Raw(msgspec.json.encode(labels)) if labels else msgspec.Raw(), dropped


def text_of_all(attributes: Iterable[Any]) -> bytes:
    """All attributes in any order, as bytes that go into a digest and nowhere else."""
    return repr(sorted((one.key, _plain(one.value)) for one in attributes)).encode("utf-8", "surrogatepass")


def _plain(value: Any) -> str:
    text = value.string_value
    if text:
        return "s" + str(text)
    kind = value.WhichOneof("value")
    if kind is None:
        return ""
    if kind in ("array_value", "kvlist_value", "bytes_value"):
        if hasattr(value, "SerializeToString"):
            return kind + repr(value.SerializeToString(deterministic=True))
        return kind + repr(msgspec.json.encode(getattr(value, kind)))
    return f"{kind}{getattr(value, kind)!r}"

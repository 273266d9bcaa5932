"""Months, and what differs between two documents of the same month. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from typing import Any, NamedTuple

# Parts of a document that say when it was made, or of what shape it is, not what happened.
_ABOUT_ITSELF = frozenset({"schema_version", "dated_on", "revision", "moved", "why"})
# What version 2 tells to the month's end, where version 1 told how far it went.
_TOLD_OTHERWISE = frozenset({"data_until"})
_EMPTY = ("", None)
# What names a row of a list, so that rows are compared with themselves and not with what took their place: the first
# of these that it has ...
_OWN_NAMES = ("key", "signal", "measure", "slug", "on")
# ... else all of these.
_JOINT_NAMES = ("kind", "category", "provider", "name", "phase")
# A line drawn through many days: that it differs is said once.
_LINES = frozenset({("course", "points"), ("course", "forecast")})


class Place(NamedTuple):
    """Where a value stands in a document: codes, and names as typed. Empty where there is no such level.

    `rows`: the list; `row`: what names the row in it, as (field, value) pairs.
    """

    section: str
    rows: str
    row: tuple[tuple[str, str], ...]
    field: str


def next_month(month: date) -> date:
    """The first day of the month after."""
    return (month + timedelta(days=31)).replace(day=1)


def previous_month(month: date) -> date:
    """The first day of the month before."""
    return (month - timedelta(days=1)).replace(day=1)


def moved_figures(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Each value that differs, in the order of the newer document.

    A line is {"section", "rows", "row": {field: value}, "field", "before", "after"}: where it stands in codes and typed
    names, and the values as they are kept. Of a document of schema version 1, whose sentences are in no other, the
    values that both hold are compared.
    """
    old, new = values_of(before), values_of(after)
    if before.get("schema_version", 0) != after.get("schema_version", 0):
        new = {
            place: value
            for place, value in new.items()
            if place in old
            and _is_plain(value)
            and place.field not in _TOLD_OTHERWISE
            # What a sentence of version 1 left empty is no value in version 2.
            and (value not in _EMPTY or old[place] not in _EMPTY)
        }
        old = {place: value for place, value in old.items() if place in new}
    places = [place for place in dict.fromkeys([*new, *old]) if old.get(place) != new.get(place)]
    where = _path if after.get("schema_version") == 1 else _place
    return [{**where(place), "before": old.get(place), "after": new.get(place)} for place in places]


def _place(place: Place) -> dict[str, Any]:
    return {"section": place.section, "rows": place.rows, "row": dict(place.row), "field": place.field}


def _path(place: Place) -> dict[str, Any]:
    """As documents of schema version 1 name it."""
    row = ", ".join(value for _, value in place.row)
    return {"where": " / ".join(filter(None, (place.section, place.rows, row, place.field)))}


def values_of(document: Mapping[str, Any]) -> dict[Place, Any]:
    """Every value of a document by its place."""
    found: dict[Place, Any] = {}
    for name, value in document.items():
        if name == "sections":
            for section in value:
                found.update(_values(section["name"], section["value"]))
        elif name not in _ABOUT_ITSELF:
            found.update(_values("", {name: value}))
    return found


def _values(section: str, value: Mapping[str, Any]) -> Iterator[tuple[Place, Any]]:
    for field, item in value.items():
        if not _is_rows(item):
            yield Place(section, "", (), field), item
        elif (section, field) in _LINES:
            yield Place(section, field, (), "days"), item
        else:
            yield from _of_rows(section, field, item)


def _of_rows(section: str, rows: str, items: list[Mapping[str, Any]]) -> Iterator[tuple[Place, Any]]:
    seen: dict[tuple[tuple[str, str], ...], int] = {}
    for item in items:
        row = _row_name(item)
        seen[row] = seen.get(row, 0) + 1
        if seen[row] > 1:
            row = (*row, ("number", str(seen[row])))
        for field, value in item.items():
            if field not in dict(row):
                yield Place(section, rows, row, field), value


def _is_rows(value: Any) -> bool:
    """A list of rows, each with a name; sayings are values, not rows."""
    return isinstance(value, list) and bool(value) and all(isinstance(one, Mapping) and _row_name(one) for one in value)


def _row_name(item: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    if "say" in item:
        return ()
    for name in _OWN_NAMES:
        # A KPI that a person named is itself, whatever measure fills it.
        if item.get(name) and not (name == "measure" and item.get("name")):
            return ((name, str(item[name])),)
    return tuple((name, str(item[name])) for name in _JOINT_NAMES if item.get(name))


def _is_plain(value: Any) -> bool:
    return value is None or isinstance(value, str | int)

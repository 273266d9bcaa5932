"""Months, and what differs between two documents of the same month. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta
from typing import Any

# Parts of a document that say when it was made, not what happened.
_ABOUT_ITSELF = frozenset({"dated_on", "revision", "moved"})
# What names a row of a list, so that rows are compared with themselves and not with what took their place.
_ROW_NAMES = ("label", "measure", "name", "phase", "slug")


def next_month(month: date) -> date:
    """The first day of the month after."""
    return (month + timedelta(days=31)).replace(day=1)


def previous_month(month: date) -> date:
    """The first day of the month before."""
    return (month - timedelta(days=1)).replace(day=1)


def moved_figures(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Each value that differs, as {"where", "before", "after"}, in the order of the document."""
    old, new = dict(_leaves(_content(before))), dict(_leaves(_content(after)))
    return [
        {"where": " / ".join(path), "before": old.get(path), "after": new.get(path)}
        for path in dict.fromkeys([*new, *old])
        if old.get(path) != new.get(path)
    ]


def _content(document: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in document.items() if name not in _ABOUT_ITSELF}


def _leaves(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    if isinstance(value, Mapping):
        for name, item in value.items():
            yield from _leaves(item, (*path, str(name)))
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for position, item in enumerate(value):
            yield from _leaves(item, (*path, _row_name(item, position)))
    else:
        yield path, value


def _row_name(item: Any, position: int) -> str:
    if isinstance(item, Mapping):
        names = [str(item[name]) for name in _ROW_NAMES if item.get(name)]
        if names:
            return ", ".join(names)
    return str(position + 1)

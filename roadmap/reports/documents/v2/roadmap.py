"""A roadmap's sections in words."""

from __future__ import annotations

from collections.abc import Callable

from roadmap.reports.document import Json, Section

# By a section's name in the payload; what has no words here is left out.
SECTIONS: dict[str, Callable[[Json, Json], Section]] = {}


def roadmap_sections(payload: Json) -> list[Section]:
    """The payload's sections in their order, those that begin a page on paper marked."""
    return [
        SECTIONS[section["name"]](section["value"], payload)
        for section in payload["sections"]
        if section["name"] in SECTIONS
    ]

"""A roadmap's sections in words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from roadmap.reports.document import Json, Section
from roadmap.reports.documents.v2.course import course
from roadmap.reports.documents.v2.headline import headline, signals, words
from roadmap.reports.documents.v2.measured import notes, performance
from roadmap.reports.documents.v2.money import money, movers
from roadmap.reports.documents.v2.plan import decisions, delivery, kpis, risks

# By a section's name in the payload; what has no words here is left out.
SECTIONS: dict[str, Callable[[Json, Json], Section]] = {
    "headline": headline,
    "words": words,
    "signals": signals,
    "money": money,
    "course": course,
    "movers": movers,
    "decisions": decisions,
    "delivery": delivery,
    "kpis": kpis,
    "performance": performance,
    "risks": risks,
    "notes": notes,
}
# Page 1 is what an executive reads; what it rests on begins on page 2.
SECOND_PAGE = "decisions"


def roadmap_sections(payload: Json) -> list[Section]:
    """The payload's sections in their order; the one that begins page 2 on paper is marked."""
    found = [
        SECTIONS[section["name"]](section["value"], payload)
        for section in payload["sections"]
        if section["name"] in SECTIONS
    ]
    return [replace(section, begins_page=section.name == SECOND_PAGE) for section in found]

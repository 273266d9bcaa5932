"""From the facts of a month to the frozen document: one JSON object, and the hash of its canonical form."""

from __future__ import annotations

from datetime import date

from roadmap.queries.month_facts import MonthFacts
from roadmap.reports.section import Json
from roadmap.reports.sections import SECTIONS
from roadmap.reports.sections.movers import with_next_actions
from roadmap.reports.sections.signals import set_beside
from roadmap.reports.sections.words import words_section
from roadmap.rules.gates import sha256_of

SCHEMA_VERSION = 2


def roadmap_payload(
    facts: MonthFacts,
    *,
    dated_on: date,
    revision: int,
    before: Json | None = None,
    moved: list[Json] | None = None,
    words: Json | None = None,
) -> Json:
    """The document of a roadmap's month: codes and parameters, no sentence of ours (docs/report-payload.md).

    `dated_on` is printed as its date; `moved`: what a revision changed (`roadmap.rules.reports.moved_figures`).
    `before`: the document of the month before as it was published, None where there is none.
    `words`: what the manager wrote: {"author", "on", "text", "next_actions": {a mover's key: text}}, any of them left
    out where nothing was written.
    """
    return {
        "schema_version": SCHEMA_VERSION,
        "scope": "roadmap",
        "month": facts.start_on.isoformat(),
        "dated_on": dated_on.isoformat(),
        "revision": revision,
        "zone": facts.zone,
        "currency": facts.currency,
        "is_demo": facts.is_demo,
        "roadmap": {
            "slug": facts.slug,
            "name": facts.name,
            "owner": facts.owner,
            "programme": facts.programme,
            "business_unit": facts.business_unit,
            "unit_of_work": facts.unit_of_work,
        },
        "phase": {"kind": facts.phase.kind, "state": facts.phase.state} if facts.phase else None,
        "sections": _sections(facts, before, words),
        "moved": moved or [],
    }


def _sections(facts: MonthFacts, before: Json | None, words: Json | None) -> list[Json]:
    sections = []
    for section in SECTIONS:
        value = section.build(facts)
        if value is None:
            continue
        if section.name == "signals":
            value = set_beside(value, section_value(before, "signals") if before else None)
        if section.name == "movers":
            value = with_next_actions(value, words)
        sections.append({"name": section.name, "value": value})
        if section.name == "headline" and (written := words_section(words)) is not None:
            sections.append({"name": "words", "value": written})
    return sections


def hash_of(payload: Json) -> str:
    """Hexadecimal SHA-256 of the payload's canonical JSON."""
    return sha256_of(payload)


def section_value(payload: Json, name: str) -> Json | None:
    """A section's value in a roadmap's payload, None where the section was left out."""
    return next((section["value"] for section in payload["sections"] if section["name"] == name), None)

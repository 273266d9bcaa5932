"""From the facts of a month to the frozen document: one JSON object, and the hash of its canonical form."""

from __future__ import annotations

from datetime import date

from roadmap.queries.month_facts import MonthFacts
from roadmap.reports.section import Json
from roadmap.reports.sections import SECTIONS
from roadmap.rules.gates import sha256_of

SCHEMA_VERSION = 1


def roadmap_payload(
    facts: MonthFacts, *, dated_on: date, revision: int, before: Json | None = None, moved: list[Json] | None = None
) -> Json:
    """The document of a roadmap's month. `dated_on` is printed as its date; `moved`: what a revision changed.

    `before`: the document of the month before as it was published, None where there is none.
    """
    payload = {
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
        "phase": {"name": facts.phase.name, "state": facts.phase.state} if facts.phase else None,
        "sections": [
            {"name": section.name, "title": section.title, "value": value}
            for section in SECTIONS
            if (value := section.build(facts)) is not None
        ],
        "moved": moved or [],
    }
    _set_beside(payload, before)
    return payload


def _set_beside(payload: Json, before: Json | None) -> None:
    """Last month's lights, as last month's report had them, beside this month's."""
    value = section_value(before, "signals") if before else None
    lights = {row["signal"]: row for row in value["rows"]} if value else {}
    for row in (section_value(payload, "signals") or {"rows": []})["rows"]:
        then = lights.get(row["signal"])
        row["tone_before"], row["word_before"] = (then["tone"], then["word"]) if then else ("", "")


def portfolio_payload(
    documents: list[Json], *, month: date, dated_on: date, revision: int, zone: str, currency: str, is_demo: bool
) -> Json:
    """The document of the portfolio's month, made of the roadmaps' own documents, so that it cannot differ."""
    return {
        "schema_version": SCHEMA_VERSION,
        "scope": "portfolio",
        "month": month.isoformat(),
        "dated_on": dated_on.isoformat(),
        "revision": revision,
        "zone": zone,
        "currency": currency,
        "is_demo": is_demo,
        "rows": [_row(document) for document in documents],
        "moved": [],
    }


def hash_of(payload: Json) -> str:
    """Hexadecimal SHA-256 of the payload's canonical JSON."""
    return sha256_of(payload)


def section_value(payload: Json, name: str) -> Json | None:
    """A section's value in a roadmap's payload, None where the section was left out."""
    return next((section["value"] for section in payload["sections"] if section["name"] == name), None)


def _row(document: Json) -> Json:
    headline = section_value(document, "headline") or {}
    money = section_value(document, "money") or {}
    delivery = section_value(document, "delivery") or {"gates": []}
    decisions = section_value(document, "decisions") or {"items": []}
    gates = [gate for gate in delivery["gates"] if not gate["outcome"]]
    return {
        "slug": document["roadmap"]["slug"],
        "name": document["roadmap"]["name"],
        "owner": document["roadmap"]["owner"],
        "phase": document["phase"]["name"] if document["phase"] else "",
        "status": headline.get("status", ""),
        "status_word": headline.get("status_word", ""),
        "status_before_word": headline.get("status_before_word", ""),
        "sentence": headline.get("sentence", ""),
        "money_sentence": headline.get("money_sentence", ""),
        "spend": money.get("total"),
        "spend_before": money.get("total_before"),
        "billed": money.get("billed"),
        "estimated": money.get("estimated"),
        "entered": money.get("entered"),
        "figures": headline.get("figures", []),
        "next_gate": gates[0] if gates else None,
        "decisions": decisions["items"],
        "is_demo": document["is_demo"],
    }

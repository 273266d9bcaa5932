"""Schema version 1 in words: its payload holds English sentences, and they are passed on."""

from __future__ import annotations

from typing import Any

from roadmap.reports.document import Cell, Column, Document, Json, Paragraph, Section, Table
from roadmap.reports.documents.v1.portfolio import portfolio_sections
from roadmap.reports.documents.v1.roadmap import roadmap_sections
from roadmap.reports.documents.v1.values import values_of
from web import wording


def document(payload: Json) -> Document:
    """The document of a roadmap's or the portfolio's payload."""
    values = values_of(payload)
    is_portfolio = values["scope"] == "portfolio"
    name = "Portfolio" if is_portfolio else values["roadmap"]["name"]
    about = [] if is_portfolio else [values["roadmap"]["programme"], (values["phase"] or {}).get("name", "")]
    month = wording.month(values["month"])
    return Document(
        language="en",
        name=name,
        about=" · ".join(filter(None, about)) or "AI adoption",
        title=f"{name}, {month}",
        dated_on=values["dated_on"],
        dated=f"Dated {wording.day(values['dated_on'])} · revision {values['revision']}",
        summary=f"AI report of {month}: {name}.",
        sections=[*_moved(values), *(portfolio_sections(values) if is_portfolio else roadmap_sections(values))],
        foot=f"{values['currency']} without tax · {values['zone']}",
        page_of="Page {page} of {pages}",
        is_demo=values["is_demo"],
        demo_notice="Demo data. The company and its figures are invented." if values["is_demo"] else "",
    )


def _moved(values: Json) -> list[Section]:
    if not values["moved"]:
        return []
    rows = [
        [Cell(text=line["where"]), Cell(text=_as_said(line["before"])), Cell(text=_as_said(line["after"]))]
        for line in values["moved"]
    ]
    columns = [Column(label="Where", share=2), Column(label="Before"), Column(label="Now")]
    title = "What this revision changed"
    why = [Paragraph(text=f"Why: {values['why']}")] if values.get("why") else []
    return [Section(name="moved", title=title, blocks=[*why, Table(label=title, columns=columns, rows=rows)])]


def _as_said(value: Any) -> str:
    return str(wording.NO_DATA) if value is None else str(value)

"""The portfolio's sections in words."""

from __future__ import annotations

from roadmap.reports.document import (
    Block,
    Bullets,
    Cell,
    Column,
    Json,
    Paragraph,
    Section,
    Table,
)
from roadmap.reports.documents.v1.cells import TONES, amount, parts
from roadmap.reports.documents.v1.values import totals_of
from web import wording


def portfolio_sections(values: Json) -> list[Section]:
    totals, currency = totals_of(values["rows"]), values["currency"]
    lede = (
        f"{wording.money(totals['spend'], currency)} were spent on {wording.plural(len(values['rows']), 'roadmap')}; "
        f"{wording.money(totals['spend_before'], currency)} in the month before."
    )
    rows = [
        [
            Cell(text=row["name"], sub=" · ".join(filter(None, (row["phase"], row["owner"])))),
            Cell(
                text=row["status_word"],
                tone=TONES.get(row["status"], "off"),
                sub=f"before: {row['status_before_word'].lower()}",
            ),
            amount(row["spend"]),
            amount(row["spend_before"]),
            Cell(text=row["money_sentence"]),
            _next_gate(row["next_gate"]),
        ]
        for row in values["rows"]
    ]
    columns = [
        Column(label="Roadmap", share=1.7),
        Column(label="Status", share=1.1),
        Column(label=f"Spend, {currency}", is_numeric=True),
        Column(label="Month before", is_numeric=True),
        Column(label="Budget", share=2.2),
        Column(label="Next gate", is_numeric=True, share=1.1),
    ]
    foot = [Cell(text="Total"), Cell(), amount(totals["spend"]), amount(totals["spend_before"]), Cell(), Cell()]
    wanted = [f"{row['name']} ({row['owner']}): {item}" for row in values["rows"] for item in row["decisions"]]
    decisions: Block = Bullets(items=wanted) if wanted else Paragraph(text="None.")
    return [
        Section(name="headline", blocks=[Paragraph(text=lede), Paragraph(text=parts(totals, currency), is_small=True)]),
        Section(
            name="rows",
            title="Roadmaps",
            sub=f"{wording.month(values['month'])}, {currency}",
            blocks=[Table(label="Roadmaps", columns=columns, rows=rows, foot=foot)],
        ),
        Section(name="decisions", title="Decisions wanted", blocks=[decisions]),
        *_notes(values),
    ]


def _notes(values: Json) -> list[Section]:
    missing = [
        f"{row['name']} is in no figure: its report could not be published." for row in values.get("missing", [])
    ]
    return [Section(name="notes", title="Data notes", blocks=[Bullets(items=missing)])] if missing else []


def _next_gate(gate: Json | None) -> Cell:
    if gate is None:
        return Cell(text="none")
    met = f"{gate['met']} of {gate['criteria']} met"
    return Cell(text=wording.day(gate["due_on"]), sub=met, value=gate["due_on"])

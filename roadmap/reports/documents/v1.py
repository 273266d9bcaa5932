"""Schema version 1 in words: its payload holds English sentences, and they are passed on."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from roadmap.reports.document import (
    Block,
    Bullets,
    Cell,
    Column,
    Document,
    FigureBox,
    Figures,
    Json,
    Paragraph,
    Section,
    Status,
    Table,
    Tone,
)
from roadmap.reports.documents.v1_values import totals_of, values_of
from web import wording

_TONES: dict[str, Tone] = {"on_track": "green", "at_risk": "amber", "off_track": "red"}


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
        sections=[*_moved(values), *(_portfolio(values) if is_portfolio else _roadmap(values))],
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
    return [Section(name="moved", title=title, blocks=[Table(label=title, columns=columns, rows=rows)])]


def _as_said(value: Any) -> str:
    return wording.NO_DATA if value is None else str(value)


# --- The roadmap's


def _roadmap(values: Json) -> list[Section]:
    found = []
    for section in values["sections"]:
        draw = _SECTIONS.get(section["name"])
        if draw is not None:
            found.append(draw(section["value"], values))
    return found


def _headline(value: Json, values: Json) -> Section:
    said = ""
    if value["said_by"]:
        said = (
            f"{value['said_by']}, {wording.day(value['said_on'])}. "
            f"The month before: {value['status_before_word'].lower()}."
        )
    status = Status(
        tone=_TONES.get(value["status"], "off"),
        word=value["status_word"],
        sentence=" ".join(filter(None, (value["sentence"], value["money_sentence"]))),
        note=said,
    )
    boxes = [_figure(figure) for figure in value["figures"]]
    return Section(name="headline", blocks=[status, Figures(label="Four figures", boxes=boxes)])


def _figure(figure: Json) -> FigureBox:
    notes = [figure["note"], figure["basis"]]
    if figure["coverage"] is not None and figure["coverage"] < 1:
        notes.append(f"{wording.percent(figure['coverage'])} of spend covered")
    unit = ""
    if figure["value"] is None:
        text = figure["missing"]
    elif figure["kind"] == "money":
        text = wording.money(figure["value"], figure["unit"])
    else:
        text, unit = wording.number(figure["value"]), figure["unit"]
    return FigureBox(
        label=figure["label"],
        text=text,
        unit=unit,
        value=figure["value"],
        value_unit=figure["unit"],
        notes=[note for note in notes if note],
        is_missing=figure["value"] is None,
    )


def _money(value: Json, values: Json) -> Section:
    currency = values["currency"]
    rows = [
        [
            Cell(text=row["name"], sub="entered by hand" if row["kind"] == "entered" else ""),
            _amount(row["spend"]),
            _amount(row["before"]),
        ]
        for row in value["rows"]
    ]
    columns = [
        Column(label="Source", share=3),
        Column(label=currency, is_numeric=True),
        Column(label="Month before", is_numeric=True),
    ]
    foot = [Cell(text="Total"), _amount(value["total"]), _amount(value["total_before"])]
    table = Table(label="Spend by source", columns=columns, rows=rows, foot=foot)
    return Section(
        name="money",
        title="Spend",
        sub=f"{wording.month(values['month'])} and the month before, {currency}",
        blocks=[Paragraph(text=_parts(value, currency), is_small=True), table],
    )


def _parts(value: Json, currency: str) -> str:
    """What spend is made of, in a sentence."""
    billed, estimated, entered = (
        wording.money(value[name], currency, missing="an unknown amount") for name in ("billed", "estimated", "entered")
    )
    not_priced = "none"
    if value.get("not_priced_requests") or value.get("not_priced_tokens"):
        requests, tokens = wording.short(value["not_priced_requests"]), wording.short(value["not_priced_tokens"])
        not_priced = f"{requests} requests, {tokens} tokens"
    tail = f" Not priced: {not_priced}." if "not_priced_requests" in value else ""
    return f"Spend is made of {billed} billed, {estimated} estimated and {entered} entered by hand.{tail}"


def _performance(value: Json, values: Json) -> Section:
    rows = [
        [
            Cell(text=row["name"]),
            _range(row),
            Cell(text=row["unit"]),
            Cell(text=wording.number(row["before"]), value=row["before"]),
            Cell(text=_rests_on(row)),
        ]
        for row in value["rows"]
    ]
    columns = [
        Column(label="Measure", share=2),
        Column(label="Value", is_numeric=True),
        Column(label="Unit"),
        Column(label="Month before", is_numeric=True),
        Column(label="Rests on", share=1.6),
    ]
    title = "Performance and efficiency"
    sub = f"{wording.month(values['month'])}, measured"
    return Section(name="performance", title=title, sub=sub, blocks=[Table(label=title, columns=columns, rows=rows)])


def _rests_on(row: Json) -> str:
    if row["value"] is None:
        return str(row["reason"])
    parts = [row["basis"]]
    if row["coverage"] is not None and row["coverage"] < 1:
        parts.append(f"{wording.percent(row['coverage'])} of {row['coverage_of']}")
    return " ".join(part for part in parts if part)


def _decisions(value: Json, values: Json) -> Section:
    said: Block = Bullets(items=value["items"]) if value["items"] else Paragraph(text="None.")
    return Section(name="decisions", title="Decisions needed", blocks=[said])


def _delivery(value: Json, values: Json) -> Section:
    rows = [
        [Cell(text=f"Gate of {gate['phase']}"), _gate_state(gate), _day(gate["baseline_due_on"]), _day(gate["due_on"])]
        for gate in value["gates"]
    ]
    rows.extend(
        [
            Cell(text=line["name"], sub=" · ".join(filter(None, (line["phase"], line["owner"])))),
            _milestone_state(line),
            _day(line["baseline_due_on"]),
            _day(line["due_on"]),
        ]
        for line in value["milestones"]
    )
    columns = [
        Column(label="Gate or milestone", share=2.4),
        Column(label="State", share=1.4),
        Column(label="First promised", is_numeric=True),
        Column(label="Now", is_numeric=True),
    ]
    title = "Gates and milestones"
    table = Table(label=title, columns=columns, rows=rows)
    return Section(name="delivery", title=title, blocks=[table], begins_page=True)


def _gate_state(gate: Json) -> Cell:
    if gate["outcome"]:
        return Cell(text=f"{gate['outcome']}, {wording.day(gate['decided_on'])}")
    if gate["criteria"]:
        return Cell(text=f"{gate['met']} of {gate['criteria']} criteria met")
    return Cell(text="no criteria")


def _milestone_state(line: Json) -> Cell:
    if line["done_on"]:
        return Cell(text=f"Done {wording.day(line['done_on'])}", tone="green")
    if line["slip_days"] > 0:
        return Cell(text=f"Slipped {wording.plural(line['slip_days'], 'day')}", tone="amber")
    return Cell(text="Open", tone="none")


def _kpis(value: Json, values: Json) -> Section:
    rows = [
        [
            Cell(text=row["name"]),
            Cell(text=row["word"], tone=row["tone"], sub=_kpi_note(row)),
            _range(row),
            Cell(text=wording.number(row["target"], missing="none"), value=row["target"]),
            Cell(text=wording.number(row["baseline"], missing="none"), value=row["baseline"]),
            Cell(text=wording.number(row["before"]), value=row["before"]),
            Cell(text=row["unit"]),
        ]
        for row in value["rows"]
    ]
    columns = [
        Column(label="KPI", share=1.8),
        Column(label="State", share=1.5),
        Column(label="Value", is_numeric=True),
        Column(label="Target", is_numeric=True),
        Column(label="Baseline", is_numeric=True),
        Column(label="Month before", is_numeric=True),
        Column(label="Unit", share=0.9),
    ]
    return Section(name="kpis", title="KPIs", blocks=[Table(label="KPIs", columns=columns, rows=rows)])


def _kpi_note(row: Json) -> str:
    reason = row["reason"] if row["value"] is None else ""
    return "; ".join(filter(None, (row["note"], reason)))


def _risks(value: Json, values: Json) -> Section:
    rows = [
        [
            Cell(text=row["name"], sub=row["category"]),
            Cell(text=str(row["score"]), value=Decimal(row["score"])),
            Cell(text=row["owner"] or "nobody yet"),
            Cell(text=row["response"] or "none yet"),
            _day(row["due_on"]),
        ]
        for row in value["rows"]
    ]
    columns = [
        Column(label="Risk", share=2),
        Column(label="Score", is_numeric=True, share=0.5),
        Column(label="Owner"),
        Column(label="Response", share=2),
        Column(label="Due", is_numeric=True),
    ]
    sub = f"{len(value['rows'])} of {value['count']} open, by likelihood × impact"
    return Section(name="risks", title="Risks", sub=sub, blocks=[Table(label="Risks", columns=columns, rows=rows)])


def _notes(value: Json, values: Json) -> Section:
    items = [*value["items"], *(_source(source) for source in value["sources"])]
    return Section(name="notes", title="Data notes", blocks=[Bullets(items=items, is_small=True)])


def _source(source: Json) -> str:
    until = source["data_until"]
    said = f"{source['name']}: {'data until ' + wording.moment(until) if until else 'no data yet'}"
    return f"{said}; {source['problem']}" if source["problem"] else said


_SECTIONS: dict[str, Callable[[Json, Json], Section]] = {
    "headline": _headline,
    "money": _money,
    "performance": _performance,
    "decisions": _decisions,
    "delivery": _delivery,
    "kpis": _kpis,
    "risks": _risks,
    "notes": _notes,
}


# --- The portfolio's


def _portfolio(values: Json) -> list[Section]:
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
                tone=_TONES.get(row["status"], "off"),
                sub=f"before: {row['status_before_word'].lower()}",
            ),
            _amount(row["spend"]),
            _amount(row["spend_before"]),
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
    foot = [Cell(text="Total"), Cell(), _amount(totals["spend"]), _amount(totals["spend_before"]), Cell(), Cell()]
    wanted = [f"{row['name']} ({row['owner']}): {item}" for row in values["rows"] for item in row["decisions"]]
    decisions: Block = Bullets(items=wanted) if wanted else Paragraph(text="None.")
    return [
        Section(
            name="headline", blocks=[Paragraph(text=lede), Paragraph(text=_parts(totals, currency), is_small=True)]
        ),
        Section(
            name="rows",
            title="Roadmaps",
            sub=f"{wording.month(values['month'])}, {currency}",
            blocks=[Table(label="Roadmaps", columns=columns, rows=rows, foot=foot)],
        ),
        Section(name="decisions", title="Decisions wanted", blocks=[decisions]),
    ]


def _next_gate(gate: Json | None) -> Cell:
    if gate is None:
        return Cell(text="none")
    met = f"{gate['met']} of {gate['criteria']} met"
    return Cell(text=wording.day(gate["due_on"]), sub=met, value=gate["due_on"])


# --- Cells


def _amount(value: Decimal | None) -> Cell:
    return Cell(text=wording.decimals(value, 2), value=value)


def _day(value: Any) -> Cell:
    return Cell(text=wording.day(value), value=value)


def _range(row: Json) -> Cell:
    if row["low"] is not None:
        return Cell(text=f"{wording.number(row['low'])} to {wording.number(row['high'])}")
    return Cell(text=wording.number(row["value"]), value=row["value"])

"""A roadmap's sections in words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

from roadmap.reports.document import (
    Block,
    Bullets,
    Cell,
    Column,
    FigureBox,
    Figures,
    Json,
    Paragraph,
    Section,
    Status,
    Table,
)
from roadmap.reports.documents.v1.cells import TONES, amount, change, day, parts, range_cell
from roadmap.reports.documents.v1.course import course
from web import wording


def roadmap_sections(values: Json) -> list[Section]:
    found = []
    for section in values["sections"]:
        draw = _SECTIONS.get(section["name"])
        if draw is not None:
            found.append(draw(section["value"], values))
    # Page 1 is what an executive reads; what it rests on begins on page 2.
    names = [section.name for section in found]
    second = "decisions" if "signals" in names else "delivery"
    return [replace(section, begins_page=section.name == second) for section in found]


def _headline(value: Json, values: Json) -> Section:
    said = ""
    if value["said_by"]:
        said = (
            f"{value['said_by']}, {wording.day(value['said_on'])}. "
            f"The month before: {value['status_before_word'].lower()}."
        )
    status = Status(
        tone=TONES.get(value["status"], "off"),
        word=value["status_word"],
        sentence=" ".join(filter(None, (value["sentence"], value["money_sentence"]))),
        note=said,
    )
    boxes = [_figure(figure) for figure in value["figures"]]
    return Section(name="headline", blocks=[status, Figures(label="Four figures", boxes=boxes)])


def _signals(value: Json, values: Json) -> Section:
    rows = [
        [
            Cell(text=row["name"]),
            Cell(text=row["word"], tone=row["tone"]),
            Cell(text=row["word_before"] or "no report", tone=row["tone_before"]),
            Cell(text=row["reason"]),
        ]
        for row in value["rows"]
    ]
    columns = [
        Column(label="Signal"),
        Column(label="Now"),
        Column(label="Month before"),
        Column(label="Why", share=3.4),
    ]
    return Section(name="signals", title="Signals", blocks=[Table(label="Five signals", columns=columns, rows=rows)])


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
            amount(row["spend"]),
            amount(row["before"]),
        ]
        for row in value["rows"]
    ]
    columns = [
        Column(label="Source", share=3),
        Column(label=currency, is_numeric=True),
        Column(label="Month before", is_numeric=True),
    ]
    foot = [Cell(text="Total"), amount(value["total"]), amount(value["total_before"])]
    table = Table(label="Spend by source", columns=columns, rows=rows, foot=foot)
    if not rows:
        rows = [[Cell(text="No spend was recorded."), Cell(), Cell()]]
    return Section(
        name="money",
        title="Spend",
        sub=f"{wording.month(values['month'])} and the month before, {currency}",
        blocks=[Paragraph(text=parts(value, currency), is_small=True), table],
    )


def _movers(value: Json, values: Json) -> Section:
    currency = values["currency"]
    rows = [
        [
            Cell(text=row["name"], sub=_drivers(row["drivers"])),
            change(row["amount"]),
            change(row["one_off"], missing=wording.DASH),
            change(row["continuing"], missing=wording.DASH),
        ]
        for row in value["rows"]
    ]
    if value["rest"] is not None:
        rows.append([Cell(text="Everything else"), change(value["rest"]), Cell(), Cell()])
    columns = [
        Column(label="What", share=3),
        Column(label=f"Change, {currency}", is_numeric=True),
        Column(label="One-off", is_numeric=True),
        Column(label="Continuing", is_numeric=True),
    ]
    title = "What moved"
    before, now = (wording.money_exact(value[name], currency) for name in ("before", "value"))
    return Section(
        name="movers",
        title=title,
        sub=f"spend from {before} to {now}",
        blocks=[
            Table(
                label=title,
                columns=columns,
                rows=rows,
                foot=[Cell(text="Change"), change(value["amount"]), Cell(), Cell()],
            )
        ],
    )


def _drivers(drivers: list[Json]) -> str:
    return "; ".join(
        f"{one['model'] or 'no model'} ({one['provider']}) {wording.signed_exact(one['amount'])}" for one in drivers
    )


def _performance(value: Json, values: Json) -> Section:
    rows = [
        [
            Cell(text=row["name"]),
            range_cell(row),
            Cell(text=row["unit"]),
            Cell(text=wording.number(row["before"]), value=row["before"]),
            Cell(text=_rests_on(row)),
        ]
        for row in value["rows"]
    ]
    columns = [
        Column(label="Measure", share=2),
        Column(label="Value", is_numeric=True),
        Column(label="Unit", share=1.2),
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
        [Cell(text=f"Gate of {gate['phase']}"), _gate_state(gate), day(gate["baseline_due_on"]), day(gate["due_on"])]
        for gate in value["gates"]
    ]
    rows.extend(
        [
            Cell(text=line["name"], sub=" · ".join(filter(None, (line["phase"], line["owner"])))),
            _milestone_state(line),
            day(line["baseline_due_on"]),
            day(line["due_on"]),
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
    return Section(name="delivery", title=title, blocks=[table])


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
            range_cell(row),
            Cell(text=wording.number(row["target"], missing="none"), value=row["target"]),
            Cell(text=wording.number(row["baseline"], missing="none"), value=row["baseline"]),
            Cell(text=wording.number(row["before"]), value=row["before"]),
            Cell(text=row["unit"]),
        ]
        for row in value["rows"]
    ]
    columns = [
        Column(label="KPI", share=1.8),
        Column(label="State", share=1.3),
        Column(label="Value", is_numeric=True),
        Column(label="Target", is_numeric=True),
        Column(label="Baseline", is_numeric=True),
        Column(label="Month before", is_numeric=True),
        Column(label="Unit", share=1.3),
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
            day(row["due_on"]),
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
    "signals": _signals,
    "money": _money,
    "course": course,
    "movers": _movers,
    "performance": _performance,
    "decisions": _decisions,
    "delivery": _delivery,
    "kpis": _kpis,
    "risks": _risks,
    "notes": _notes,
}

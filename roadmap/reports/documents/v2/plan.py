"""Page 2 in words: decisions, gates and milestones, KPIs, risks."""

from __future__ import annotations

from decimal import Decimal

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from roadmap.labels import KPI_STATUSES, OUTCOMES, PHASES, RISK_CATEGORIES, label_of
from roadmap.reports.document import Block, Bullets, Cell, Column, Json, Paragraph, Section, Table
from roadmap.reports.documents.v2.cells import ON_PAPER, coverage, day, interval, kpi_unit, number
from roadmap.reports.documents.v2.values import day_of
from roadmap.sayings import said
from web import wording


def decisions(value: Json, payload: Json) -> Section:
    """What somebody has to decide."""
    items = [said(item) for item in value["items"]]
    block: Block = Bullets(items=items) if items else Paragraph(text=_("None."))
    return Section(name="decisions", title=_("Decisions needed"), blocks=[block])


def delivery(value: Json, payload: Json) -> Section:
    """Gates, then milestones, with the date first promised and the current one."""
    rows = [
        [
            Cell(text=gate_name(gate["phase"])),
            _gate_state(gate),
            day(day_of(gate["baseline_due_on"])),
            day(day_of(gate["due_on"])),
            Cell(text=label_of(PHASES, gate["phase"])),
            Cell(),
        ]
        for gate in value["gates"]
    ]
    rows.extend(
        [
            Cell(text=line["name"]),
            _milestone_state(line),
            day(day_of(line["baseline_due_on"])),
            day(day_of(line["due_on"])),
            Cell(text=label_of(PHASES, line["phase"])),
            Cell(text=line["owner"]),
        ]
        for line in value["milestones"]
    )
    columns = [
        Column(label=_("Gate or milestone"), share=2.6),
        Column(label=_("State"), share=1.8),
        Column(label=_("First promised"), is_numeric=True),
        Column(label=_("Now"), is_numeric=True),
        Column(label=_("Phase"), share=0.9),
        Column(label=_("Owner"), share=1.1),
    ]
    title = _("Gates and milestones")
    table = Table(label=title, columns=columns, rows=rows, on_paper=ON_PAPER - 4)
    return Section(name="delivery", title=title, blocks=[table])


def gate_name(phase: str) -> str:
    """'Gate of PoC'."""
    return _("Gate of %(phase)s") % {"phase": label_of(PHASES, phase)}


def _gate_state(gate: Json) -> Cell:
    if gate["outcome"]:
        decided = {"outcome": label_of(OUTCOMES, gate["outcome"]), "day": wording.day(day_of(gate["decided_on"]))}
        return Cell(text=_("%(outcome)s, %(day)s") % decided)
    if gate["criteria"]:
        counts = {"met": wording.count(gate["met"]), "criteria": wording.count(gate["criteria"])}
        return Cell(text=_("%(met)s of %(criteria)s criteria met") % counts)
    return Cell(text=_("no criteria"))


def _milestone_state(line: Json) -> Cell:
    if line["done_on"]:
        return Cell(text=_("Done %(day)s") % {"day": wording.day(day_of(line["done_on"]))}, tone="green")
    days = line["slip_days"]
    if days > 0:
        slipped = ngettext("Slipped %(days)s day", "Slipped %(days)s days", days) % {"days": wording.count(days)}
        return Cell(text=slipped, tone="amber")
    return Cell(text=_("Open"), tone="none")


def kpis(value: Json, payload: Json) -> Section:
    """Every KPI against target and baseline, beside the month before."""
    rows = [
        [
            Cell(text=row["name"]),
            Cell(text=label_of(KPI_STATUSES, row["status"]), tone=row["tone"], sub=_kpi_note(row)),
            interval(row),
            number(row["target"], missing=wording.DASH),
            number(row["baseline"], missing=wording.DASH),
            number(row["before"]),
            Cell(text=kpi_unit(row, payload["currency"])),
        ]
        for row in value["rows"]
    ]
    columns = [
        Column(label=_("KPI"), share=2.2),
        Column(label=_("State"), share=1.9),
        Column(label=_("Value"), is_numeric=True),
        Column(label=_("Target"), is_numeric=True),
        Column(label=_("Baseline"), is_numeric=True),
        Column(label=_("Month before"), is_numeric=True, share=1.2),
        Column(label=_("Unit"), share=1.4),
    ]
    table = Table(label=_("KPIs"), columns=columns, rows=rows, on_paper=ON_PAPER - 2)
    return Section(name="kpis", title=_("KPIs"), blocks=[table])


def _kpi_note(row: Json) -> str:
    return "; ".join(filter(None, (said(row["note"]), said(row["reason"]), coverage(row["coverage"]))))


def risks(value: Json, payload: Json) -> Section:
    """The largest open risks of how many."""
    rows = [
        [
            Cell(text=row["name"]),
            Cell(text=label_of(RISK_CATEGORIES, row["category"])),
            Cell(text=wording.count(row["score"]), value=Decimal(row["score"])),
            Cell(text=row["owner"] or _("nobody yet")),
            Cell(text=row["response"] or _("none yet")),
            day(day_of(row["due_on"])),
        ]
        for row in value["rows"]
    ]
    columns = [
        Column(label=_("Risk"), share=2.2),
        Column(label=_("Category"), share=1.3),
        Column(label=_("Score"), is_numeric=True, share=0.6),
        Column(label=_("Owner"), share=1.1),
        Column(label=_("Response"), share=2.2),
        Column(label=_("Due"), is_numeric=True),
    ]
    counts = {"shown": wording.count(len(rows)), "count": wording.count(value["count"])}
    sub = _("%(shown)s of %(count)s open, by likelihood × impact") % counts
    return Section(
        name="risks", title=_("Risks"), sub=sub, blocks=[Table(label=_("Risks"), columns=columns, rows=rows)]
    )

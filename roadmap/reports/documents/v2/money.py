"""Spend in words: by source, against the budget, and what moved."""

from __future__ import annotations

from django.utils.translation import gettext as _
from django.utils.translation import pgettext

from roadmap.labels import CAUSES, COST_CATEGORIES, label_of
from roadmap.reports.document import Cell, Column, Json, Paragraph, Section, Table
from roadmap.reports.documents.v2.cells import ON_PAPER, amount, change, drivers_text, from_to, parts
from roadmap.reports.documents.v2.values import day_of
from web import wording


def money(value: Json, payload: Json) -> Section:
    """Spend by source and category beside the month before."""
    currency = value["unit"]
    rows = [
        [Cell(text=_line_name(row)),
         amount(row["spend"]), amount(row["before"])]
        for row in value["rows"]
    ]  # fmt: skip
    columns = [
        Column(label=_("Source"), share=3),
        Column(label=currency, is_numeric=True),
        Column(label=_("Month before"), is_numeric=True),
    ]
    foot = [Cell(text=_("Total")), amount(value["total"]), amount(value["total_before"])]
    table = Table(label=_("Spend by source"), columns=columns, rows=rows, foot=foot, on_paper=ON_PAPER)
    month = wording.month(day_of(payload["month"]))
    return Section(
        name="money",
        title=_("Spend"),
        sub=_("%(month)s and the month before, %(currency)s") % {"month": month, "currency": currency},
        blocks=[Paragraph(text=parts(value, currency), is_small=True), *([table] if rows else [])],
    )


def _line_name(row: Json) -> str:
    name = source_name(row)
    return _("%(name)s, entered by hand") % {"name": name} if row["kind"] == "entered" else name


def source_name(row: Json) -> str:
    """A source's name, idle capacity apart, or a cost category's."""
    if row["kind"] == "entered":
        return label_of(COST_CATEGORIES, row["category"])
    if row["kind"] == "idle":
        return _("%(source)s, idle") % {"source": row["name"]}
    return str(row["name"])


def movers(value: Json, payload: Json) -> Section:
    """The three things that moved most: number, driver, one-off or continuing, next action."""
    currency = value["unit"]
    rows = [
        [
            Cell(text=label_of(CAUSES, row["cause"]), sub=drivers_text(row["drivers"])),
            change(row["amount"]),
            change(row["one_off"]),
            change(row["continuing"]),
            Cell(text=row["next_action"] or wording.DASH),
        ]
        for row in value["rows"]
    ]
    if value["rest"] is not None:
        rows.append([Cell(text=_("Everything else")), change(value["rest"]), Cell(), Cell(), Cell()])
    columns = [
        Column(label=_("What"), share=2.6),
        Column(label=_("Change, %(currency)s") % {"currency": currency}, is_numeric=True, share=1.1),
        Column(label=_("One-off"), is_numeric=True),
        Column(label=_("Continuing"), is_numeric=True, share=1.1),
        Column(label=_("Next action"), share=2),
    ]
    title = _("What moved")
    spend = next(section["value"] for section in payload["sections"] if section["name"] == "money")
    foot = [
        Cell(text=pgettext("from one month to the next", "Change")),
        change(value["amount"]),
        Cell(),
        Cell(),
        Cell(),
    ]
    return Section(
        name="movers",
        title=title,
        sub=from_to(value, currency, is_before_known=spend["total_before"] is not None),
        blocks=[Table(label=title, columns=columns, rows=rows, foot=foot)],
    )

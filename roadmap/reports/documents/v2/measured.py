"""What was measured, and what a reader must know of the data, in words."""

from __future__ import annotations

from django.utils.translation import gettext as _

from roadmap.reports.document import Bullets, Cell, Column, Json, Section, Table
from roadmap.reports.documents.v2.cells import ON_PAPER, coverage, interval, measure_title, measure_unit, number
from roadmap.reports.documents.v2.values import day_of, moment_of
from roadmap.sayings import said, say
from web import wording


def performance(value: Json, payload: Json) -> Section:
    """Measured figures beside those of the month before."""
    rows = [
        [
            Cell(text=measure_title(row["measure"], row["currency"])),
            interval(row),
            Cell(text=measure_unit(row["measure"], row["currency"])),
            number(row["before"]),
            Cell(text=_rests_on(row)),
        ]
        for row in value["rows"]
    ]
    columns = [
        Column(label=_("Measure"), share=2),
        Column(label=_("Value"), is_numeric=True),
        Column(label=_("Unit"), share=1.4),
        Column(label=_("Month before"), is_numeric=True),
        Column(label=_("Rests on"), share=2),
    ]
    title = _("Performance and efficiency")
    sub = _("%(month)s, measured") % {"month": wording.month(day_of(payload["month"]))}
    table = Table(label=title, columns=columns, rows=rows, on_paper=ON_PAPER + 4)
    return Section(name="performance", title=title, sub=sub, blocks=[table])


def _rests_on(row: Json) -> str:
    if row["value"] is None:
        return said(row["reason"])
    return ", ".join(filter(None, (said(row["basis"]), coverage(row["coverage"]))))


def notes(value: Json, payload: Json) -> Section:
    """Zone, currency, rates, gaps, restatements, and how far each source's data goes."""
    items = [said(item) for item in value["items"]]
    sources = [_source(source) for source in value["sources"]]
    block = Bullets(items=[*items, *sources], is_small=True, on_paper=len(items) + ON_PAPER)
    return Section(name="notes", title=_("Data notes"), blocks=[block])


def _source(source: Json) -> str:
    code = "source_until" if source["data_until"] else "source_without_data"
    code += "" if source["is_answering"] else "_silent"
    return say(code, source=source["name"], at=moment_of(source["data_until"]))

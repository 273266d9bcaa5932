"""Page 1 in words: the status, the manager's words, four figures, five lights."""

from __future__ import annotations

import re
from decimal import Decimal

from django.utils.translation import gettext as _

from roadmap.labels import LIGHTS, MISSING, PHASES, SIGNALS, STATUSES, label_of
from roadmap.reports.document import Block, Cell, Column, FigureBox, Figures, Json, Paragraph, Section, Status, Table
from roadmap.reports.documents.v2.cells import TONES, coverage, measure_title
from roadmap.reports.documents.v2.values import day_of, number_of
from roadmap.sayings import all_said, said
from web import wording

_BLANK_LINE = re.compile(r"\n\s*\n")


def headline(value: Json, payload: Json) -> Section:
    """The status in a sentence and the four figures."""
    status = Status(
        tone=TONES.get(value["status"], "off"),
        word=status_word(value["status"]),
        sentence=" ".join(filter(None, (value["sentence"], said(value["money"])))),
        note=_said_by(value),
    )
    boxes = [figure_box(figure) for figure in value["figures"]]
    return Section(name="headline", blocks=[status, Figures(label=_("Four figures"), boxes=boxes)])


def status_word(status: str) -> str:
    """A status as its reader knows it; an empty one is none given."""
    return label_of(STATUSES, status) if status else _("No update")


def _said_by(value: Json) -> str:
    if not value["said_by"]:
        return ""
    return _("%(person)s, %(day)s. The month before: %(status)s.") % {
        "person": value["said_by"],
        "day": wording.day(day_of(value["said_on"])),
        "status": status_word(value["status_before"]).lower(),
    }


def words(value: Json, payload: Json) -> Section:
    """What the manager wrote, as typed."""
    written = [part.strip() for part in _BLANK_LINE.split(value["text"].replace("\r\n", "\n")) if part.strip()]
    blocks: list[Block] = [Paragraph(text=" ".join(part.split())) for part in written]
    by = _("%(person)s, %(day)s") % {"person": value["author"], "day": wording.day(day_of(value["on"]))}
    return Section(name="words", title=_("In the manager's words"), sub=by, blocks=blocks)


def figure_label(figure: Json) -> str:
    """What a figure is called."""
    if figure["key"] == "spend":
        return _("Spend of the month")
    if figure["key"] == "forecast":
        if not figure["phase"]:
            return _("Forecast")
        return _("Forecast, %(phase)s") % {"phase": label_of(PHASES, figure["phase"])}
    if figure["key"] == "value":
        return _("Value: %(kpi)s") % {"kpi": figure["name"]} if figure["name"] else _("Value")
    return measure_title(figure["measure"], figure["unit"])


def figure_box(figure: Json) -> FigureBox:
    """One of the figures above all others, with its notes, what it rests on and how much of that is known."""
    value: Decimal | None = number_of(figure["value"])
    notes = [*(said(note) for note in figure["notes"]), _rests_on(figure)]
    covered = coverage(figure["coverage"])
    if covered:
        notes.append(_("known for %(share_of)s") % {"share_of": covered})
    if figure["value"] is not None and figure["freshness"]["state"] == "partial":
        notes.append(_("data of the month not complete"))
    unit = ""
    if value is None:
        text = label_of(MISSING, figure["missing"])
    elif figure["kind"] == "money":
        text = wording.money(value, figure["unit"])
    else:
        text, unit = wording.number(value), figure["unit"]
    return FigureBox(
        label=figure_label(figure),
        text=text,
        unit=unit,
        value=value,
        value_unit=figure["unit"],
        notes=[note for note in notes if note],
        is_missing=value is None,
    )


def _rests_on(figure: Json) -> str:
    # That spend is usage and cost entries stands in the sentence on its parts.
    return "" if figure["key"] == "spend" else said(figure["basis"])


def signals(value: Json, payload: Json) -> Section:
    """The five lights, each beside last month's, with the reason."""
    rows = [
        [
            Cell(text=label_of(SIGNALS, row["signal"])),
            Cell(text=label_of(LIGHTS, row["tone"]), tone=row["tone"]),
            _before(row["tone_before"]),
            Cell(text=all_said(row["reasons"])),
        ]
        for row in value["rows"]
    ]
    columns = [
        Column(label=_("Signal")),
        Column(label=_("Now"), share=1.1),
        Column(label=_("Month before"), share=1.1),
        Column(label=_("Why"), share=3.4),
    ]
    table = Table(label=_("Five signals"), columns=columns, rows=rows)
    return Section(name="signals", title=_("Signals"), blocks=[table])


def _before(tone: str | None) -> Cell:
    if tone is None:
        return Cell(text=_("no report"))
    return Cell(text=label_of(LIGHTS, tone), tone=tone)  # type: ignore[arg-type]

"""A comparison in words: a document like a report's, so that it is drawn on page, paper, workbook and CSV alike."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from django.utils import translation
from django.utils.translation import gettext as _
from django.utils.translation import ngettext, pgettext

from roadmap.reports.comparison import Comparison, comparison_of
from roadmap.reports.comparisons.rows import Change, DatedRow, FigureRow, LightRow, RiskRow
from roadmap.reports.comparisons.side import Dated, Item, Light, Side
from roadmap.reports.document import Block, Bullets, Cell, Column, Document, Json, Paragraph, Section, Table
from roadmap.saying import range_text
from web import wording


def comparison_document(first: Json, second: Json, language: str) -> Document:
    """The second payload against the first, in a language: 'en' or 'nl'."""
    with translation.override(language):
        return _document(comparison_of(first, second), language)


def _document(found: Comparison, language: str) -> Document:
    was, now = found.first, found.second
    names = side_names(was, now)
    title = _("%(name)s: %(first)s and %(second)s") % {"name": now.name, "first": names[0], "second": names[1]}
    dates = {"first": wording.day(was.dated_on), "second": wording.day(now.dated_on)}
    sections = [
        Section(name="summary", blocks=[Paragraph(text=_summary(found, names))]),
        *_figures(found, names),
        *_lights(found, names),
        *_dates(found, names),
        *_risks(found, names),
        Section(name="notes", title=_("Notes"), blocks=[Bullets(items=_notes(found, names), is_small=True)]),
    ]
    is_demo = was.is_demo or now.is_demo
    return Document(
        language=language,
        name=now.name,
        about=_("Comparison"),
        title=title,
        dated_on=max(was.dated_on, now.dated_on),
        dated=_("Reports dated %(first)s and %(second)s") % dates,
        summary=title,
        sections=_in_order(sections),
        foot=_foot(was, now),
        page_of=_("Page {page} of {pages}"),
        is_demo=is_demo,
        demo_notice=_("Demo data. The company and its figures are invented.") if is_demo else "",
    )


def side_names(was: Side, now: Side) -> tuple[str, str]:
    """What the two are called as heads of columns: their months, or their revisions where the month is one."""
    if was.month == now.month:
        first, second = (_("Revision %(number)s") % {"number": side.revision} for side in (was, now))
        return first, second
    first, second = (_month_name(side) for side in (was, now))
    return first, second


def _month_name(side: Side) -> str:
    month = wording.month(side.month)
    if side.revision == 1:
        return month
    return _("%(month)s, revision %(number)s") % {"month": month, "number": side.revision}


def _in_order(sections: Sequence[Section]) -> list[Section]:
    """As a reader asks: the sentence, the figures, the lights, then what they rest on."""
    order = ("summary", "figures", "roadmaps", "lights", "statuses")
    rank = {name: place for place, name in enumerate(order)}
    return sorted(sections, key=lambda section: rank.get(section.name, len(order)))


def _summary(found: Comparison, names: tuple[str, str]) -> str:
    """How many figures differ, and the spend of the month in a sentence."""
    rows = found.all_figures
    differ = sum(row.change in (Change.MORE, Change.LESS) for row in rows)
    same = sum(row.change == Change.SAME for row in rows)
    rest = [row for row in rows if row.change not in (Change.MORE, Change.LESS, Change.SAME)]
    counted = [
        _counted(ngettext("%(count)s figure differs.", "%(count)s figures differ.", differ), differ),
        _counted(ngettext("%(count)s is the same.", "%(count)s are the same.", same), same),
        _counted(
            ngettext("Of %(count)s no difference is known.", "Of %(count)s no difference is known.", len(rest)),
            len(rest),
        ),
    ]
    spend = next((row for row in found.figures.get("figures", ()) if row.key == "spend"), None)
    return " ".join(filter(None, (_spend(spend, names) if spend else "", *counted)))


def _counted(text: str, count: int) -> str:
    """The sentence with its count; nothing for none."""
    return text % {"count": wording.count(count)} if count else ""


def _spend(row: FigureRow, names: tuple[str, str]) -> str:
    if row.difference is None or row.first is None or row.second is None:
        return _("How the spend of the two differs is not known.")
    shown = {
        "first": names[0],
        "second": names[1],
        "was": wording.money_exact(row.first.value, row.unit),
        "now": wording.money_exact(row.second.value, row.unit),
        "difference": wording.money_exact(abs(row.difference), row.unit),
    }
    if row.change == Change.SAME:
        return _("Spend is %(now)s in both.") % shown
    if row.change == Change.MORE:
        return _("Spend was %(was)s in %(first)s and is %(now)s in %(second)s: %(difference)s more.") % shown
    return _("Spend was %(was)s in %(first)s and is %(now)s in %(second)s: %(difference)s less.") % shown


def _figures(found: Comparison, names: tuple[str, str]) -> list[Section]:
    titles = {
        "figures": _("Figures"),
        "roadmaps": _("Spend by roadmap"),
        "parts": _("What the spend is made of"),
        "sources": _("Spend by source"),
        "performance": _("Performance and efficiency"),
        "kpis": _("KPIs"),
    }
    return [
        Section(
            name=name, title=titles[name], sub=_unit_of(rows), blocks=[_figure_table(name, titles[name], rows, names)]
        )
        for name, rows in found.figures.items()
    ]


def _unit_of(rows: Sequence[FigureRow]) -> str:
    """The one unit of all rows, said once above them; nothing where they have several."""
    units = {item.unit for row in rows for item in (row.first, row.second) if item is not None}
    return units.pop() if len(units) == 1 else ""


def _figure_table(name: str, title: str, rows: Sequence[FigureRow], names: tuple[str, str]) -> Table:
    heads = {
        "roadmaps": _("Roadmap"),
        "sources": _("Source"),
        "performance": _("Measure"),
        "kpis": _("KPI"),
    }
    columns = [
        Column(label=heads.get(name, _("Figure")), share=2.2),
        Column(label=names[0], is_numeric=True, share=1.2),
        Column(label=names[1], is_numeric=True, share=1.2),
        Column(label=_("Difference"), is_numeric=True, share=1.1),
        Column(label=_("Percent"), is_numeric=True, share=0.8),
        Column(label=pgettext("between two reports", "Change"), share=1.2),
    ]
    return Table(
        label=title, columns=columns, rows=[_figure_row(row, is_unit_said=bool(_unit_of(rows))) for row in rows]
    )


def _figure_row(row: FigureRow, *, is_unit_said: bool) -> list[Cell]:
    difference, ratio = row.difference, row.ratio
    is_money = bool(row.second and row.second.is_money) or bool(row.first and row.first.is_money)
    signed = wording.signed_exact if is_money else wording.signed
    return [
        Cell(text=row.label, sub="" if is_unit_said else row.unit),
        _value(row.first),
        _value(row.second),
        Cell(text=signed(difference) if difference else wording.DASH, value=difference),
        Cell(text=_percent(ratio) if ratio else wording.DASH, value=ratio),
        Cell(text=change_word(row.change)),
    ]


def _value(item: Item | None) -> Cell:
    """The figure, the word for its lack, or that the report has none; with its judgement below."""
    if item is None:
        return Cell(text=_("not in that report"))
    if item.is_money:
        return Cell(text=wording.decimals(item.value, 2), sub=item.word, value=item.value)
    return Cell(text=range_text(item.value, item.low, item.high), sub=item.word, value=item.value)


def _percent(ratio: Decimal) -> str:
    """'+8%', '−12.5%'."""
    text = wording.percent(abs(ratio))
    return f"+{text}" if ratio > 0 else f"{wording.MINUS}{text}"


def change_word(change: Change) -> str:
    """The word for a change, which says what its sign says."""
    return {
        Change.SAME: _("the same"),
        Change.MORE: pgettext("a figure against another", "more"),
        Change.LESS: pgettext("a figure against another", "less"),
        Change.BETTER: _("better"),
        Change.WORSE: _("worse"),
        Change.OTHER: _("different"),
        Change.LATER: _("later"),
        Change.EARLIER: _("earlier"),
        Change.DONE: pgettext("a milestone", "done"),
        Change.NEW: pgettext("a risk", "new"),
        Change.GONE: pgettext("a risk", "gone"),
        Change.UNKNOWN: _("not known"),
        Change.NOT_ALIKE: _("not the same figure"),
        Change.ONLY_FIRST: _("only in the first"),
        Change.ONLY_SECOND: _("only in the second"),
    }[change]


def _lights(found: Comparison, names: tuple[str, str]) -> list[Section]:
    titles = {"lights": _("Status and signals"), "statuses": _("Status by roadmap")}
    heads = {"lights": _("Signal"), "statuses": _("Roadmap")}
    sections = []
    for name, rows in (("lights", found.lights), ("statuses", found.statuses)):
        if rows:
            columns = [
                Column(label=heads[name], share=0.9),
                Column(label=names[0], share=2),
                Column(label=names[1], share=2),
                Column(label=pgettext("between two reports", "Change"), share=1),
            ]
            cells = [[Cell(text=row.label), _light(row.first), _light(row.second), _turn(row)] for row in rows]
            table = Table(label=titles[name], columns=columns, rows=cells)
            sections.append(Section(name=name, title=titles[name], blocks=[table]))
    return sections


def _light(light: Light | None) -> Cell:
    if light is None:
        return Cell(text=_("not in that report"))
    return Cell(text=light.word, tone=light.tone, sub=light.reason)


def _turn(row: LightRow) -> Cell:
    return Cell(text=change_word(row.change))


def _dates(found: Comparison, names: tuple[str, str]) -> list[Section]:
    if not found.gates and not found.milestones:
        return []
    columns = [
        Column(label=_("Gate or milestone"), share=2),
        Column(label=names[0], is_numeric=True, share=1.4),
        Column(label=names[1], is_numeric=True, share=1.4),
        Column(label=pgettext("between two reports", "Change"), share=1.4),
    ]
    gates = [_dated_row(row) for row in found.gates]
    moved = [row for row in found.milestones if row.change != Change.SAME]
    # What moved stands before what only one of them names.
    moved.sort(key=lambda row: row.change in (Change.ONLY_FIRST, Change.ONLY_SECOND))
    same = len(found.milestones) - len(moved)
    title = _("Gates and milestones")
    blocks: list[Block] = [Table(label=title, columns=columns, rows=[*gates, *map(_dated_row, moved)])]
    if same:
        said = ngettext("%(count)s milestone stands as it did.", "%(count)s milestones stand as they did.", same) % {
            "count": wording.count(same)
        }
        blocks.append(Paragraph(text=said, is_small=True))
    if any(row.first is None or row.second is None for row in moved):
        blocks.append(
            Paragraph(
                text=_(
                    "A report names the milestones done in its month and those due within 60 days of its end; one that "
                    "only one of the two names may not have changed."
                ),
                is_small=True,
            )
        )
    return [Section(name="delivery", title=title, blocks=blocks)]


def _dated_row(row: DatedRow) -> list[Cell]:
    either = row.second or row.first
    phase = either.phase if either and row.key != either.phase else ""
    return [Cell(text=row.label, sub=phase), _dated(row.first), _dated(row.second), Cell(text=_moved(row))]


def _dated(dated: Dated | None) -> Cell:
    if dated is None:
        return Cell(text=_("not in that report"))
    if dated.done_on is None:
        said = _("due %(day)s") % {"day": wording.day(dated.due_on)}
    elif dated.stands:
        said = _("decided %(day)s") % {"day": wording.day(dated.done_on)}
    else:
        said = _("done %(day)s") % {"day": wording.day(dated.done_on)}
    return Cell(text=said, sub=dated.stands)


def _moved(row: DatedRow) -> str:
    """The word, with by how many days where a date moved."""
    days = abs(row.days)
    shown = {"days": wording.count(days)}
    if row.change == Change.DONE and row.second is not None and row.second.stands:
        return _("decided")
    if row.change == Change.LATER:
        return ngettext("%(days)s day later", "%(days)s days later", days) % shown
    if row.change == Change.EARLIER:
        return ngettext("%(days)s day earlier", "%(days)s days earlier", days) % shown
    return change_word(row.change)


def _risks(found: Comparison, names: tuple[str, str]) -> list[Section]:
    if not found.risks:
        return []
    columns = [
        Column(label=_("Risk"), share=3),
        Column(label=names[0], is_numeric=True),
        Column(label=names[1], is_numeric=True),
        Column(label=pgettext("between two reports", "Change"), share=1.2),
    ]
    rows = [
        [Cell(text=row.label), _score(row.first), _score(row.second), Cell(text=_risk_word(row))] for row in found.risks
    ]
    blocks: list[Block] = [Table(label=_("Risks"), columns=columns, rows=rows)]
    if not all(row.first_names_all and row.second_names_all for row in found.risks):
        said = _("A report names the five largest risks; one that only one of the two names may still be open.")
        blocks.append(Paragraph(text=said, is_small=True))
    return [Section(name="risks", title=_("Risks"), sub=_("likelihood × impact"), blocks=blocks)]


def _score(risk: object) -> Cell:
    score = getattr(risk, "score", None)
    if score is None:
        return Cell(text=wording.DASH)
    return Cell(text=wording.count(score), value=Decimal(score))


def _risk_word(row: RiskRow) -> str:
    if row.change == Change.MORE:
        return _("larger")
    return _("smaller") if row.change == Change.LESS else change_word(row.change)


def _notes(found: Comparison, names: tuple[str, str]) -> list[str]:
    was, now = found.first, found.second
    notes = [
        _("Drawn from the two published documents alone: %(first)s and %(second)s.")
        % {"first": _said(was), "second": _said(now)},
        _("The difference is the second less the first; where one of them is not known, neither is the difference."),
    ]
    if was.currency != now.currency:
        notes.append(
            _("The first is in %(first)s and the second in %(second)s: their amounts have no difference.")
            % {"first": was.currency, "second": now.currency}
        )
    if was.schema_version != now.schema_version:
        notes.append(_("The two were made by different versions of the report: what only one has is said to be so."))
    return notes


def _said(side: Side) -> str:
    shown = {"month": wording.month(side.month), "number": side.revision, "day": wording.day(side.dated_on)}
    return _("%(month)s, revision %(number)s, dated %(day)s") % shown


def _foot(was: Side, now: Side) -> str:
    currencies = " / ".join(dict.fromkeys((was.currency, now.currency)))
    zones = " / ".join(dict.fromkeys((was.zone, now.zone)))
    return _("%(currency)s without tax · %(zone)s") % {"currency": currencies, "zone": zones}

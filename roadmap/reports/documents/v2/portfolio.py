"""A portfolio's or programme's month in words: page 1, which an executive reads."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

from django.utils.translation import gettext as _
from django.utils.translation import ngettext, pgettext

from roadmap.charts.year import YearBar, year_bars
from roadmap.labels import CAUSES, MISSING, label_of
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
    Tone,
)
from roadmap.reports.documents.v2.cells import change, drivers_text, from_to, parts
from roadmap.reports.documents.v2.portfolio_rows import months, notes, roadmaps
from roadmap.reports.documents.v2.values import day_of, number_of
from roadmap.sayings import said
from web import wording

# Rows of the two tables that stand side by side; the others are added up.
MOST_PARTS = 6
_ZERO = Decimal(0)
_DAY = timedelta(days=1)


def portfolio_sections(payload: Json) -> list[Section]:
    """The sections in the order on paper: page 1, a row per roadmap on page 2, data notes on page 3."""
    values = {section["name"]: section["value"] for section in payload["sections"]}
    found = [_headline(values["headline"], payload), _year(values["year"], payload), _parts(values, payload)]
    if "movers" in values:
        found.append(_movers(values, payload))
    found.append(_decisions(values["decisions"]))
    found.append(replace(roadmaps(values["roadmaps"], payload), begins_page=True))
    found.append(replace(months(values["year"], payload), begins_page=True))
    found.append(notes(values["notes"], payload))
    return found


# --- Status and figures


def _headline(value: Json, payload: Json) -> Section:
    currency = payload["currency"]
    figures = _figures(value)
    spend_of = _("Spend of %(month)s") % {"month": wording.month(day_of(payload["month"]))}
    tone, word = status_of(value)
    status = Status(tone=tone, word=word, sentence=_sentence(value, currency))
    boxes = [
        _held_box(spend_of, figures["month"], currency),
        _held_box(_("Fiscal year to date"), figures["to_date"], currency),
        _forecast_box(value, currency),
        _standing_box(value),
    ]
    small = Paragraph(text=parts(figures["month"], currency), is_small=True)
    return Section(name="headline", blocks=[status, Figures(label=_("Four figures"), boxes=boxes), small])


def _figures(value: Json) -> dict[str, Json]:
    return {figure["key"]: figure for figure in value["figures"]}


def status_of(value: Json) -> tuple[Tone, str]:
    """The worst that there is, in a word with its number."""
    total = value["roadmaps"]
    told: list[tuple[str, Tone, str]] = [
        ("off_track", "red", _("%(count)s of %(total)s off track")),
        ("at_risk", "amber", _("%(count)s of %(total)s at risk")),
        ("on_track", "green", _("%(count)s of %(total)s on track")),
    ]
    for code, tone, text in told:
        if value[code]:
            return tone, text % {"count": value[code], "total": total}
    return "off", _("No update")


def _sentence(value: Json, currency: str) -> str:
    """One sentence: what was spent of the plan to date, and where the year will end."""
    figures = _figures(value)
    held, outlook = figures["to_date"], figures.get("forecast")
    told = {
        "spent": wording.money(number_of(held["value"]), currency),
        "day": wording.day(day_of(value["until"]) - _DAY),
        "plan": wording.money(number_of(held["plan"]), currency),
        "year": value["year"],
        "total": wording.money(number_of(outlook["value"]) if outlook else None, currency),
        "year_plan": wording.money(number_of(value["plan_of_year"]), currency),
    }
    if held["value"] is None:
        return _("No spend is known of fiscal year %(year)s.") % told
    has_plan, has_forecast = bool(number_of(held["plan"])), bool(outlook and outlook["value"])
    if has_plan and has_forecast:
        text = _(
            "%(spent)s were spent by %(day)s against a plan of %(plan)s; fiscal year %(year)s is forecast to end at "
            "%(total)s against %(year_plan)s."
        )
    elif has_plan:
        text = _("%(spent)s were spent by %(day)s against a plan of %(plan)s; there is too little data for a forecast.")
    elif has_forecast:
        text = _(
            "%(spent)s were spent by %(day)s without a plan; fiscal year %(year)s is forecast to end at %(total)s."
        )
    else:
        text = _("%(spent)s were spent in fiscal year %(year)s by %(day)s.")
    return text % told


def against_plan(figure: Json, currency: str) -> list[str]:
    """'80% of the plan of 6.10 k EUR'; which part of the spend has a plan, where not all of it has."""
    plan, share = number_of(figure["plan"]), number_of(figure["share_of_plan"])
    if not plan:
        return [_("no plan")]
    told = {"plan": wording.money(plan, currency)}
    covered = number_of(figure["plan_coverage"])
    is_whole = covered is None or covered >= 1
    if share is None:
        found = [_("plan %(plan)s") % told]
    else:
        told["share"] = wording.percent(share)
        told["part"] = wording.money(number_of(figure["spend_with_plan"]), currency)
        whole, part = _("%(share)s of the plan of %(plan)s"), _("%(part)s of %(plan)s planned, %(share)s")
        found = [(whole if is_whole else part) % told]
    if not is_whole:
        found.append(_("%(share)s of the spend has a plan") % {"share": wording.share(covered)})
    return found


def _held_box(label: str, held: Json, currency: str) -> FigureBox:
    value = number_of(held["value"])
    return FigureBox(
        label=label,
        text=wording.money(value, currency),
        value=value,
        value_unit=currency,
        notes=against_plan(held, currency),
        is_missing=value is None,
    )


def _forecast_box(value: Json, currency: str) -> FigureBox:
    figures = _figures(value)
    outlook = figures.get("forecast")
    last_on = day_of(value["year_end_on"]) - _DAY
    label = _("Forecast to %(day)s") % {"day": wording.day(last_on)}
    if outlook is None:
        # The year is over: what was spent is what it ended at.
        held = number_of(figures["to_date"]["value"])
        text = wording.money(held, currency)
        return FigureBox(label=label, text=text, value=held, value_unit=currency, notes=[_("the year is over")])
    total = number_of(outlook["value"])
    found = against_plan(outlook, currency)
    if band := wording.band(number_of(outlook["low"]), number_of(outlook["high"]), currency):
        found.append(_("band %(low)s to %(high)s") % band)
    if total is not None:
        text = ngettext("run rate of %(days)s day", "run rate of %(days)s days", outlook["days_used"])
        found.append(text % {"days": outlook["days_used"]})
    return FigureBox(
        label=label,
        text=label_of(MISSING, "too_little_data") if total is None else wording.money(total, currency),
        value=total,
        value_unit=currency,
        notes=found,
        is_missing=total is None,
    )


def _standing_box(value: Json) -> FigureBox:
    words = {
        "at_risk": _("%(count)s at risk"),
        "off_track": _("%(count)s off track"),
        "no_update": _("%(count)s without update"),
    }
    return FigureBox(
        label=_("Roadmaps on track"),
        text=_("%(count)s of %(total)s") % {"count": value["on_track"], "total": value["roadmaps"]},
        value=Decimal(value["on_track"]),
        notes=[text % {"count": value[code]} for code, text in words.items() if value[code]],
    )


# --- Chart, parts


def _year(value: Json, payload: Json) -> Section:
    lines = [
        YearBar(day_of(row["month"]), number_of(row["spend"]), number_of(row["forecast"]), number_of(row["plan"]))
        for row in value["rows"]
    ]
    headline = next(section["value"] for section in payload["sections"] if section["name"] == "headline")
    title = _("Spend by month against plan")
    name = _("Fiscal year %(year)s") % {"year": headline["year"]}
    spoken = f"{title}, {name}, {payload['currency']}. {_sentence(headline, payload['currency'])}"
    return Section(name="year", title=title, sub=f"{name}, {payload['currency']}", blocks=[year_bars(lines, spoken)])


def _parts(values: Json, payload: Json) -> Section:
    """By provider and by roadmap, the largest of each; side by side."""
    currency = payload["currency"]
    providers = [
        (row["provider"] or _("Entered by hand"), row["spend"], row["to_date"]) for row in values["providers"]["rows"]
    ]
    providers.sort(key=lambda row: -(number_of(row[1]) or _ZERO))
    spend = [
        (_("Unallocated") if row["kind"] == "unallocated" else row["name"], row["spend"], row["to_date"])
        for row in values["roadmap_spend"]["rows"]
    ]
    month = wording.month_short(day_of(payload["month"]))
    return Section(
        name="parts",
        title=_("Where it went"),
        sub=f"{wording.month(day_of(payload['month']))}, {currency}",
        blocks=[
            _part_table(_("By provider"), _("Provider"), providers, month),
            _part_table(_("By roadmap"), _("Roadmap"), spend, month),
        ],
    )


def _part_table(label: str, head: str, rows: list[tuple[str, str | None, str | None]], month: str) -> Table:
    whole, total = (_sum_known(row[place] for row in rows) for place in (1, 2))
    shown = rows if len(rows) <= MOST_PARTS + 1 else rows[:MOST_PARTS]
    left = rows[len(shown) :]

    def line(name: str, spend: Decimal | None, to_date: Decimal | None) -> list[Cell]:
        share = float(spend / whole) if spend is not None and whole and whole > 0 else None
        return [
            Cell(text=name),
            Cell(text=wording.decimals(spend, 2), value=spend, bar=share if share and share > 0 else None),
            Cell(text=wording.decimals(to_date, 2), value=to_date),
        ]

    lines = [line(name, number_of(spend), number_of(to_date)) for name, spend, to_date in shown]
    if left:
        text = ngettext("%(count)s other", "%(count)s others", len(left)) % {"count": len(left)}
        lines.append(line(text, *(_sum_known(row[place] for row in left) for place in (1, 2))))
    foot = [Cell(text=_("Total")), Cell(text=wording.decimals(whole, 2), value=whole)]
    return Table(
        label=label,
        columns=[
            Column(label=head, share=1.7),
            Column(label=month, is_numeric=True),
            Column(label=_("Year to date"), is_numeric=True),
        ],
        rows=lines,
        foot=[*foot, Cell(text=wording.decimals(total, 2), value=total)],
        is_half=True,
    )


def _sum_known(amounts: Iterable[str | None]) -> Decimal | None:
    """The sum of what is known; where nothing is, that is no zero."""
    known = [number_of(amount) or _ZERO for amount in amounts if amount is not None]
    return sum(known, _ZERO) if known else None


# --- What moved, decisions


def _movers(values: Json, payload: Json) -> Section:
    value, currency = values["movers"], payload["currency"]
    rows = [
        [
            Cell(text=_("%(roadmap)s: %(cause)s") % _named(row), sub=drivers_text(row["drivers"])),
            change(row["amount"]),
            change(row["one_off"]),
            change(row["continuing"]),
            Cell(text=row["next_action"] or _("none noted")),
        ]
        for row in value["rows"]
    ]
    if number_of(value["rest"]):
        rows.append([Cell(text=_("Everything else")), change(value["rest"]), Cell(), Cell(), Cell()])
    columns = [
        Column(label=_("What"), share=2.8),
        Column(label=_("Change, %(currency)s") % {"currency": currency}, is_numeric=True, share=1.1),
        Column(label=_("One-off"), is_numeric=True),
        Column(label=_("Continuing"), is_numeric=True, share=1.1),
        Column(label=_("Next action"), share=1.6),
    ]
    title = _("What moved")
    was = [row["before"] for row in values["roadmap_spend"]["rows"]]
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
        sub=from_to(value, currency, is_before_known=any(amount is not None for amount in was)),
        blocks=[Table(label=title, columns=columns, rows=rows, foot=foot)],
    )


def _named(row: Json) -> dict[str, str]:
    return {"roadmap": row["name"], "cause": label_of(CAUSES, row["cause"])}


def _decisions(value: Json) -> Section:
    """Each with the roadmap and who decides; the day stands in the sentence."""
    items = [
        _("%(roadmap)s (%(owner)s): %(decision)s")
        % {"roadmap": item["name"], "owner": item["owner"], "decision": said(item["decision"])}
        for item in value["items"]
    ]
    block: Block = Bullets(items=items, on_paper=6) if items else Paragraph(text=_("None."))
    return Section(name="decisions", title=_("Decisions wanted"), blocks=[block])

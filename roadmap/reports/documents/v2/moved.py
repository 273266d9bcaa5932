"""What a revision changed, in words: where in labels, values by what they are."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext_lazy

from roadmap.labels import (
    CAUSES,
    COST_CATEGORIES,
    KPI_STATUSES,
    LIGHTS,
    MISSING,
    OUTCOMES,
    PHASES,
    RISK_CATEGORIES,
    SIGNALS,
    STATUSES,
    Labels,
    label_of,
)
from roadmap.reports.document import Cell, Column, Json, Paragraph, Section, Table
from roadmap.reports.documents.v2.cells import ON_PAPER, coverage, drivers_text, measure_title
from roadmap.reports.documents.v2.money import source_name
from roadmap.reports.documents.v2.values import moment_of
from roadmap.reports.portfolio import BY_HAND
from roadmap.saying import in_sentence
from roadmap.sayings import all_said, said
from web import wording

SECTIONS: Labels = {
    "": gettext_lazy("Report"),
    "headline": gettext_lazy("Status and figures"),
    "words": gettext_lazy("In the manager's words"),
    "signals": gettext_lazy("Signals"),
    "money": gettext_lazy("Spend"),
    "course": gettext_lazy("Spend against budget"),
    "movers": gettext_lazy("What moved"),
    "decisions": gettext_lazy("Decisions needed"),
    "delivery": gettext_lazy("Gates and milestones"),
    "kpis": gettext_lazy("KPIs"),
    "performance": gettext_lazy("Performance and efficiency"),
    "risks": gettext_lazy("Risks"),
    "notes": gettext_lazy("Data notes"),
    "rows": gettext_lazy("Roadmaps"),
    "year": gettext_lazy("Months of the fiscal year"),
    "providers": gettext_lazy("Spend by provider"),
    "roadmap_spend": gettext_lazy("Spend by roadmap"),
    "roadmaps": gettext_lazy("Roadmaps"),
}
# Of data notes, which say of roadmaps what elsewhere is said of a figure.
NOTES: Labels = {"missing": gettext_lazy("Without a report")}
FIELDS: Labels = {
    "amount": gettext_lazy("change"),
    "at_risk": gettext_lazy("at risk"),
    "author": gettext_lazy("author"),
    "baseline": gettext_lazy("baseline"),
    "baseline_due_on": gettext_lazy("first promised"),
    "basis": gettext_lazy("rests on"),
    "before": gettext_lazy("month before"),
    "billed": gettext_lazy("billed"),
    "budget": gettext_lazy("budget"),
    "category": gettext_lazy("category"),
    "cause": gettext_lazy("cause"),
    "continuing": gettext_lazy("continuing"),
    "count": gettext_lazy("how many"),
    "coverage": gettext_lazy("coverage"),
    "criteria": gettext_lazy("criteria"),
    "currency": gettext_lazy("currency"),
    "data_until": gettext_lazy("data until"),
    "days": gettext_lazy("course by the day"),
    "days_used": gettext_lazy("days that the forecast rests on"),
    "decided_on": gettext_lazy("decided"),
    "decision": gettext_lazy("decision"),
    "done_on": gettext_lazy("done"),
    "drivers": gettext_lazy("drivers"),
    "due_on": gettext_lazy("due"),
    "earlier_schema": gettext_lazy("made by an earlier version"),
    "end_on": gettext_lazy("end"),
    "entered": gettext_lazy("entered by hand"),
    "estimated": gettext_lazy("estimated"),
    "forecast": gettext_lazy("forecast"),
    "freshness": gettext_lazy("how far the data goes"),
    "high": gettext_lazy("at most"),
    "is_answering": gettext_lazy("answers"),
    "is_demo": gettext_lazy("demo"),
    "items": gettext_lazy("list"),
    "kind": gettext_lazy("kind"),
    "low": gettext_lazy("at least"),
    "met": gettext_lazy("criteria met"),
    "missing": gettext_lazy("why unknown"),
    "money": gettext_lazy("whether the budget lasts"),
    "month": gettext_lazy("month"),
    "name": gettext_lazy("name"),
    "next_action": gettext_lazy("next action"),
    "next_gate": gettext_lazy("next gate"),
    "no_rate": gettext_lazy("without exchange rate"),
    "no_update": gettext_lazy("without update"),
    "not_priced_requests": gettext_lazy("requests not priced"),
    "not_priced_tokens": gettext_lazy("tokens not priced"),
    "note": gettext_lazy("note"),
    "notes": gettext_lazy("notes"),
    "now": gettext_lazy("by now"),
    "off_track": gettext_lazy("off track"),
    "on": gettext_lazy("day"),
    "on_track": gettext_lazy("on track"),
    "one_off": gettext_lazy("one-off"),
    "outcome": gettext_lazy("outcome"),
    "owner": gettext_lazy("owner"),
    "partial": gettext_lazy("data not complete"),
    "phase": gettext_lazy("phase"),
    "phase_spent": gettext_lazy("spent in the phase"),
    "plan": pgettext_lazy("what is planned", "plan"),
    "plan_coverage": gettext_lazy("share of the spend that has a plan"),
    "plan_of_year": gettext_lazy("plan of the year"),
    "plan_to_date": gettext_lazy("plan to date"),
    "programme": gettext_lazy("programme"),
    "provider": gettext_lazy("provider"),
    "published": gettext_lazy("published"),
    "reason": gettext_lazy("reason"),
    "reasons": gettext_lazy("reason"),
    "response": gettext_lazy("response"),
    "rest": gettext_lazy("everything else"),
    "restated": gettext_lazy("months that changed since"),
    "revision": gettext_lazy("revision"),
    "revisions": gettext_lazy("reports with revisions"),
    "roadmap": gettext_lazy("roadmap"),
    "roadmaps": gettext_lazy("roadmaps"),
    "rows": gettext_lazy("list"),
    "said_by": gettext_lazy("said by"),
    "said_on": gettext_lazy("said on"),
    "scope": gettext_lazy("of what"),
    "score": gettext_lazy("score"),
    "sentence": gettext_lazy("sentence"),
    "share_of_plan": gettext_lazy("share of plan"),
    "slip_days": gettext_lazy("days slipped"),
    "slug": gettext_lazy("address"),
    "spend": gettext_lazy("spend"),
    "spend_with_plan": gettext_lazy("spend that has a plan"),
    "stale_rates": gettext_lazy("old exchange rates"),
    "start_on": gettext_lazy("start"),
    "state": gettext_lazy("state"),
    "status": gettext_lazy("status"),
    "status_before": gettext_lazy("status of the month before"),
    "target": gettext_lazy("target"),
    "text": gettext_lazy("text"),
    "to_date": gettext_lazy("year to date"),
    "tone": gettext_lazy("light"),
    "tone_before": gettext_lazy("light of the month before"),
    "total": gettext_lazy("total"),
    "total_before": gettext_lazy("total of the month before"),
    "unit": gettext_lazy("unit"),
    "unit_cost": gettext_lazy("cost per unit"),
    "until": gettext_lazy("until"),
    "value": gettext_lazy("value"),
    "window": gettext_lazy("window"),
    "without_plan": gettext_lazy("spent without a budget"),
    "year": gettext_lazy("fiscal year"),
    "year_end_on": gettext_lazy("end of the fiscal year"),
    "year_start_on": gettext_lazy("start of the fiscal year"),
    "zone": gettext_lazy("time zone"),
}
FIGURES: Labels = {
    "spend": gettext_lazy("Spend of the month"),
    "forecast": gettext_lazy("Forecast"),
    "unit_cost": gettext_lazy("Cost per unit of work"),
    "value": gettext_lazy("Value"),
    "month": gettext_lazy("Spend of the month"),
    "to_date": gettext_lazy("Fiscal year to date"),
}
KINDS: Labels = {
    "roadmap": gettext_lazy("Roadmap"),
    "other": gettext_lazy("Roadmap without a report"),
    "unallocated": gettext_lazy("Unallocated"),
}
MILESTONE_STATES: Labels = {"open": gettext_lazy("Open"), "done": gettext_lazy("Done")}
FRESHNESS: Labels = {
    "complete": gettext_lazy("the whole month"),
    "partial": gettext_lazy("not the whole month"),
    "none": gettext_lazy("no source"),
    "entered": gettext_lazy("entered by hand"),
}
_AMOUNTS = frozenset(
    {"amount", "billed", "budget", "continuing", "entered", "estimated", "one_off", "rest", "spend", "total"}
    | {"total_before", "to_date", "plan", "plan_to_date", "plan_of_year", "spend_with_plan", "phase_spent"}
    | {"published", "now"}
)
_SHARES = frozenset({"share_of_plan", "plan_coverage"})
# Of the headline's figures, those that are money in every report.
_MONEY_FIGURES = frozenset({"spend", "month", "to_date", "forecast"})
_NUMBERS = frozenset({"value", "low", "high", "before", "baseline", "target"})
_COUNTS = frozenset({"not_priced_requests", "not_priced_tokens"})


def moved_sections(payload: Json) -> list[Section]:
    """What a revision changed, first of all; nothing in a first one."""
    if not payload["moved"]:
        return []
    rows = []
    for line in payload["moved"]:
        before, after = _value_cell(line, "before"), _value_cell(line, "after")
        # What was not there and what is empty now read alike: the payload tells them apart, a reader need not.
        if before != after:
            rows.append([Cell(text=place_text(line, payload["currency"])), before, after])
    columns = [Column(label=_("Where"), share=1.6), Column(label=_("Before")), Column(label=_("Now"))]
    title = _("What this revision changed")
    why = [Paragraph(text=_("Why: %(why)s") % {"why": payload["why"]})] if payload.get("why") else []
    table = Table(label=title, columns=columns, rows=rows, on_paper=ON_PAPER)
    return [Section(name="moved", title=title, blocks=[*why, table])]


def place_text(line: Json, currency: str) -> str:
    """Where a value stands, in labels: 'Spend · push-openai · month before'."""
    section = line["section"] or line["rows"]
    row = row_text(line["section"], line["row"], currency)
    fields = NOTES if section == "notes" and line["field"] in NOTES else FIELDS
    return " · ".join(filter(None, (label_of(SECTIONS, section), row, label_of(fields, line["field"]))))


def row_text(section: str, row: Json, currency: str) -> str:
    """What a row is called by what names it."""
    if not row:
        return ""
    number = f" ({row['number']})" if "number" in row else ""
    return _row_name(section, row, currency) + number


def _row_name(section: str, row: Json, currency: str) -> str:
    if "key" in row:
        return _key_name(section, row["key"])
    if "signal" in row:
        return label_of(SIGNALS, row["signal"])
    if "measure" in row:
        return measure_title(row["measure"], currency)
    if section == "roadmap_spend" and "kind" in row:
        return label_of(KINDS, row["kind"])
    if section == "money":
        return source_name({"name": "", "category": "", "kind": "", **row})
    if section == "delivery" and "name" not in row:
        return _("Gate of %(phase)s") % {"phase": label_of(PHASES, row["phase"])}
    return str(row.get("name") or row.get("slug") or row.get("on") or ", ".join(row.values()))


def _key_name(section: str, key: str) -> str:
    """A figure, a month, a provider; a cause or decision, in a report of several after whose it is."""
    if section == "providers":
        return _("Entered by hand") if key == BY_HAND else key
    if section in ("year", "notes"):
        return wording.month(date.fromisoformat(f"{key}-01"))
    owner, _colon, code = key.rpartition(":") if section == "movers" else (key.partition(":")[0], "", "")
    if section in ("movers", "decisions"):
        return " · ".join(filter(None, (owner, label_of(CAUSES, code) if code else "")))
    return label_of(FIGURES, key)


def _value_cell(line: Json, which: str) -> Cell:
    value = line[which]
    exact = number if (number := _number(line["field"], value)) is not None else _day(line["field"], value)
    return Cell(text=value_text(line, which), value=exact)


def value_text(line: Json, which: str) -> str:
    """A value in words by what it is: an amount to the cent, a figure, a day, a label, a sentence; a dash for none."""
    field, value = line["field"], line[which]
    if value is None or value in ("", [], {}):
        return str(wording.NO_DATA) if value is None and field in _AMOUNTS | _NUMBERS | _COUNTS else wording.DASH
    if field == "days":
        return _changed_days(line, which)
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    if field in _SHARES:
        return wording.percent(Decimal(value))
    if isinstance(value, int):
        return wording.count(value)
    number = _number(field, value)
    if number is not None:
        return _number_text(field, number, line)
    day = _day(field, value)
    if day is not None:
        return wording.day(day)
    if field == "data_until":
        return wording.moment(moment_of(value))
    if isinstance(value, list):
        return _list_text(value)
    if isinstance(value, dict):
        return _object_text(field, value)
    return _code_text(line, str(value))


def _number_text(field: str, number: Decimal, line: Json) -> str:
    is_money = line["section"] in ("money", "movers", "roadmap_spend") or (
        line["section"] == "headline" and line["row"].get("key") in _MONEY_FIGURES
    )
    if field in _AMOUNTS or field == "forecast" or (is_money and field in _NUMBERS):
        return wording.decimals(number, 2)
    return wording.count(number) if field in _COUNTS else wording.number(number)


def _number(field: str, value: Any) -> Decimal | None:
    is_number = field in _AMOUNTS | _NUMBERS | _COUNTS | _SHARES | {"forecast"} and isinstance(value, str)
    if isinstance(value, int) and not isinstance(value, bool):
        return Decimal(value)
    return Decimal(value) if is_number and value else None


def _day(field: str, value: Any) -> date | None:
    is_day = isinstance(value, str) and value and (field in ("on", "until") or field.endswith("_on"))
    return date.fromisoformat(value) if is_day else None


def _changed_days(line: Json, which: str) -> str:
    """The last point of a course, for all of its days."""
    last = line[which][-1]
    return f"{wording.decimals(Decimal(last['spent']), 2)} ({wording.day(date.fromisoformat(last['on']))})"


def _list_text(value: list[Any]) -> str:
    if all(isinstance(one, dict) and "say" in one for one in value):
        return all_said(value, between="; ")
    if all(isinstance(one, dict) and "amount" in one for one in value):
        return drivers_text(value)
    return in_sentence([_object_text("", one) if isinstance(one, dict) else str(one) for one in value])


def _object_text(field: str, value: Json) -> str:
    if "say" in value:
        return said(value)
    if field == "coverage":
        return coverage(value) or wording.percent(Decimal(value["share"]))
    if field == "freshness":
        return label_of(FRESHNESS, value["state"])
    if field == "window":
        days = [date.fromisoformat(day) if day else None for day in (value["start_on"], value["end_on"])]
        return " – ".join(wording.day(day) for day in days)
    if field == "phase":
        return label_of(PHASES, value["kind"])
    if field == "next_gate":
        return wording.day(date.fromisoformat(value["due_on"])) if value["due_on"] else wording.DASH
    if "missing" in value and "unit" in value:
        return _figure_text(value)
    return ", ".join(str(item) for item in value.values() if item)


def _figure_text(figure: Json) -> str:
    """A figure of a roadmap's row: with its unit, or why it is unknown."""
    if figure["value"] is None:
        return label_of(MISSING, figure["missing"])
    number = Decimal(figure["value"])
    if figure["kind"] == "money":
        return wording.money(number, figure["unit"])
    return " ".join(filter(None, (wording.number(number), figure["unit"])))


_LABELS: dict[str, Callable[[Json], Labels]] = {
    "tone": lambda line: LIGHTS,
    "tone_before": lambda line: LIGHTS,
    "status": lambda line: KPI_STATUSES if line["section"] == "kpis" else STATUSES,
    "status_before": lambda line: STATUSES,
    "outcome": lambda line: OUTCOMES,
    "category": lambda line: RISK_CATEGORIES if line["section"] == "risks" else COST_CATEGORIES,
    "phase": lambda line: PHASES,
    "cause": lambda line: CAUSES,
    "kind": lambda line: KINDS,
    "state": lambda line: MILESTONE_STATES,
}


def _code_text(line: Json, value: str) -> str:
    labels = _LABELS.get(line["field"])
    return label_of(labels(line), value) if labels else value

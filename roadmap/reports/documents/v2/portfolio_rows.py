"""A portfolio's or programme's month in words: a row per roadmap, the months of the year, data notes."""

from __future__ import annotations

from django.utils.translation import gettext as _
from django.utils.translation import ngettext, pgettext

from roadmap.labels import MISSING, PHASES, STATUSES, label_of
from roadmap.reports.document import Bullets, Cell, Column, Json, Section, Table
from roadmap.reports.documents.v2.cells import TONES, amount, coverage, measure_title
from roadmap.reports.documents.v2.values import day_of, number_of
from roadmap.saying import listed
from web import wording

# Names that a note lists.
MOST_NAMES = 8


def roadmaps(value: Json, payload: Json) -> Section:
    """Phase, status with last month's beside it, spend against budget, forecast, value, cost per unit, next gate."""
    currency = payload["currency"]
    rows = [
        [
            Cell(text=row["name"], sub=" · ".join(filter(None, (label_of(PHASES, row["phase"]), row["owner"])))),
            _status(row),
            Cell(
                text=wording.short(number_of(row["phase_spent"])),
                sub=_of_budget(row),
                value=number_of(row["phase_spent"]),
            ),
            _forecast(row),
            _measured(row["value"], currency),
            _measured(row["unit_cost"], currency),
            _next_gate(row["next_gate"]),
        ]
        for row in value["rows"]
    ]
    columns = [
        Column(label=_("Roadmap"), share=2.15),
        Column(label=_("Status"), share=1.6),
        Column(label=_("Spent of budget"), is_numeric=True, share=1.15),
        Column(label=_("Forecast"), is_numeric=True, share=1.35),
        Column(label=_("Value"), is_numeric=True, share=1.25),
        Column(label=_("Cost per unit"), is_numeric=True, share=1.35),
        Column(label=_("Next gate"), is_numeric=True, share=1.15),
    ]
    return Section(
        name="roadmaps",
        title=_("Roadmaps"),
        sub=_("the phase to the month's end, %(currency)s") % {"currency": currency},
        blocks=[Table(label=_("Roadmaps"), columns=columns, rows=rows)],
    )


def _status(row: Json) -> Cell:
    before = label_of(STATUSES, row["status_before"]) if row["status_before"] else _("No update")
    return Cell(
        text=label_of(STATUSES, row["status"]) if row["status"] else _("No update"),
        tone=TONES.get(row["status"], "off"),
        sub=_("before: %(status)s") % {"status": before.lower()},
    )


def _of_budget(row: Json) -> str:
    budget = number_of(row["budget"])
    return _("no budget") if budget is None else _("of %(budget)s") % {"budget": wording.short(budget)}


def _forecast(row: Json) -> Cell:
    figure = row["forecast"]
    value = number_of(figure["value"]) if figure else None
    if value is None:
        return Cell(text=label_of(MISSING, figure["missing"] if figure else "no_data"))
    budget = number_of(row["budget"])
    share = _("%(share)s of budget") % {"share": wording.percent(value / budget)} if budget else ""
    return Cell(text=wording.short(value), sub=share, value=value, tone="amber" if budget and value > budget else "")


def _measured(figure: Json | None, currency: str) -> Cell:
    """A figure of the roadmap's own report: with what it is, and how much of it is known."""
    if figure is None:
        return Cell(text=label_of(MISSING, "no_data"))
    value = number_of(figure["value"])
    name = figure["name"] or (measure_title(figure["measure"], currency) if figure["measure"] else "")
    if value is None:
        return Cell(text=label_of(MISSING, figure["missing"]), sub=name)
    unit = "" if figure["kind"] == "money" else figure["unit"]
    return Cell(
        text=" ".join(filter(None, (wording.number(value), unit))),
        sub="; ".join(filter(None, (name, coverage(figure["coverage"])))),
        value=value,
    )


def _next_gate(gate: Json | None) -> Cell:
    if gate is None:
        return Cell(text=wording.DASH)
    met = _("%(met)s of %(criteria)s met") % {"met": gate["met"], "criteria": gate["criteria"]}
    return Cell(text=wording.day(day_of(gate["due_on"])), sub=met, value=day_of(gate["due_on"]))


def months(value: Json, payload: Json) -> Section:
    """The months of the chart in figures."""
    rows = [
        [
            Cell(text=wording.month(day_of(row["month"]))),
            amount(row["spend"]) if row["spend"] is not None else Cell(text=wording.DASH),
            amount(row["plan"]) if row["plan"] is not None else Cell(text=_("no plan")),
            _share(row),
            amount(row["forecast"]) if row["forecast"] is not None else Cell(text=wording.DASH),
        ]
        for row in value["rows"]
    ]
    title = _("Months of the fiscal year")
    columns = [
        Column(label=_("Month"), share=1.4),
        Column(label=_("Spent"), is_numeric=True),
        Column(label=pgettext("what is planned", "Plan"), is_numeric=True),
        Column(label=_("Share of plan"), is_numeric=True),
        Column(label=_("Forecast"), is_numeric=True),
    ]
    return Section(
        name="months", title=title, sub=payload["currency"], blocks=[Table(label=title, columns=columns, rows=rows)]
    )


def _share(row: Json) -> Cell:
    value = number_of(row["share_of_plan"])
    if value is None:
        return Cell(text=wording.DASH)
    covered = number_of(row["plan_coverage"])
    part = ""
    if covered is not None and covered < 1:
        part = _("of %(share)s of the spend") % {"share": wording.share(covered)}
    return Cell(text=wording.percent(value), sub=part, value=value)


def notes(value: Json, payload: Json) -> Section:
    """What a reader has to know about the figures."""
    currency = payload["currency"]
    found = []
    if value["missing"]:
        text = ngettext(
            "%(count)s roadmap has no report of this month: %(names)s.",
            "%(count)s roadmaps have no report of this month: %(names)s.",
            len(value["missing"]),
        )
        found.append(text % _counted(value["missing"]))
    if value["partial"]:
        text = ngettext(
            "Data of the month was not complete for %(count)s roadmap: %(names)s.",
            "Data of the month was not complete for %(count)s roadmaps: %(names)s.",
            len(value["partial"]),
        )
        found.append(text % _counted(value["partial"]))
    if value["without_plan"]:
        text = ngettext(
            "%(count)s roadmap spent without a budget in this year: %(names)s.",
            "%(count)s roadmaps spent without a budget in this year: %(names)s.",
            len(value["without_plan"]),
        )
        found.append(text % _counted(value["without_plan"]))
    if value["earlier_schema"]:
        found.append(
            _("Made by an earlier version, so that only spend and status are taken over: %(names)s.")
            % _counted(value["earlier_schema"])
        )
    found += [
        _("%(month)s: the published reports say %(published)s, by now it is %(now)s.")
        % {
            "month": wording.month(day_of(one["month"])),
            "published": wording.money_exact(number_of(one["published"]), currency),
            "now": wording.money_exact(number_of(one["now"]), currency),
        }
        for one in value["restated"]
    ]
    found += [
        _("%(name)s: revision %(revision)s of its report.") % {"name": one["name"], "revision": one["revision"]}
        for one in value["revisions"]
    ]
    found += [_("No exchange rate: %(currency)s is in no amount.") % {"currency": name} for name in value["no_rate"]]
    found += [
        _("%(currency)s at the rate of %(day)s.") % {"currency": one["currency"], "day": wording.day(day_of(one["on"]))}
        for one in value["stale_rates"]
    ]
    requests, tokens = number_of(value["not_priced_requests"]), number_of(value["not_priced_tokens"])
    if requests or tokens:
        said = {"requests": wording.short(requests), "tokens": wording.short(tokens)}
        found.append(_("Not priced in the year, and in no amount: %(requests)s requests, %(tokens)s tokens.") % said)
    found += [
        _("Plan: the budgets of the phases, by the day over the phases as they are planned now."),
        _("Share of plan: over the roadmaps that have a plan; how much of the spend they hold stands beside it."),
        _("Forecast: what was spent, the run rate of the last 28 complete days, and the cost entries to come."),
        _("Status, forecast, value and cost per unit of a roadmap are those of its own report."),
    ]
    return Section(name="notes", title=_("Data notes"), blocks=[Bullets(items=found, is_small=True)])


def _counted(names: list[str]) -> dict[str, object]:
    return {"count": len(names), "names": listed(names, most=MOST_NAMES)}

"""A payload of schema version 2 as one side of a comparison."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from django.utils.translation import gettext as _

from roadmap.labels import KPI_STATUSES, PHASES, label_of
from roadmap.reports.comparisons.names import gate_stands, part_labels, signal_light, status_light
from roadmap.reports.comparisons.side import Dated, Item, Light, Scored, Side
from roadmap.reports.document import Json
from roadmap.reports.documents.v2.cells import measure_title, measure_unit
from roadmap.reports.documents.v2.headline import figure_label
from roadmap.reports.documents.v2.money import source_name
from roadmap.reports.documents.v2.values import day_of, number_of
from roadmap.sayings import all_said

MONEY = "money"


def side_of(payload: Json) -> Side:
    """What the payload says; a section that it does not have is None."""
    if payload["scope"] != "roadmap" and "sections" in payload:
        return side_of_several(payload)
    currency = payload["currency"]
    held = {section["name"]: section["value"] for section in payload.get("sections", ())}
    headline, money, delivery = held.get("headline"), held.get("money"), held.get("delivery")
    signals, measured, kpis, risks = (held.get(name) for name in ("signals", "performance", "kpis", "risks"))
    return Side(
        schema_version=payload["schema_version"],
        name=_name(payload),
        month=day_of(payload["month"]),
        revision=payload["revision"],
        dated_on=day_of(payload["dated_on"]),
        currency=currency,
        zone=payload["zone"],
        is_demo=payload["is_demo"],
        figures=total_of(payload, currency) if headline is None else [_figure(row) for row in headline["figures"]],
        lights=None if headline is None and signals is None else _lights(headline, signals),
        sources=None if money is None else [_source(row, currency) for row in money["rows"]],
        parts=None if money is None else parts_of(money, currency),
        performance=None if measured is None else [_measured(row) for row in measured["rows"]],
        kpis=None if kpis is None else [_kpi(row) for row in kpis["rows"]],
        gates=None if delivery is None else [_gate(gate) for gate in delivery["gates"]],
        milestones=None if delivery is None else [_milestone(line) for line in delivery["milestones"]],
        risks=None if risks is None else [scored(row) for row in risks["rows"]],
        risk_count=0 if risks is None else risks["count"],
        roadmaps=None if "rows" not in payload else [roadmap_spend(row, currency) for row in payload["rows"]],
        statuses=None if "rows" not in payload else [roadmap_status(row) for row in payload["rows"]],
    )


def side_of_several(payload: Json) -> Side:
    """A programme or the portfolio: its figures of the month and the fiscal year, by provider and by roadmap."""
    currency = payload["currency"]
    held = {section["name"]: section["value"] for section in payload["sections"]}
    headline, providers, roadmaps = (held.get(name) for name in ("headline", "providers", "roadmaps"))
    month = next((row for row in (headline or {"figures": ()})["figures"] if row["key"] == "month"), None)
    rows = None if roadmaps is None else roadmaps["rows"]
    return Side(
        schema_version=payload["schema_version"],
        name=_name(payload),
        month=day_of(payload["month"]),
        revision=payload["revision"],
        dated_on=day_of(payload["dated_on"]),
        currency=currency,
        zone=payload["zone"],
        is_demo=payload["is_demo"],
        figures=None if headline is None else [_year_figure(row, headline, currency) for row in headline["figures"]],
        parts=None if month is None else parts_of({**month, "total": month["value"]}, currency),
        sources=None if providers is None else [_provider(row, currency) for row in providers["rows"]],
        roadmaps=None if rows is None else [roadmap_spend(row, currency) for row in rows],
        statuses=None if rows is None else [roadmap_status(row) for row in rows],
    )


def parts_of(money: Json, currency: str) -> list[Item]:
    """Billed, estimated, entered by hand, and their total; the same in schema version 1."""
    return [
        Item(key=key, label=label, value=number_of(money[key]), unit=currency, is_money=True)
        for key, label in part_labels().items()
    ]


def scored(row: Json) -> Scored:
    """A risk; the same in schema version 1."""
    return Scored(key=row["name"], label=row["name"], score=row["score"])


def roadmap_spend(row: Json, currency: str) -> Item:
    """A roadmap's spend in a report of several; the same in schema version 1."""
    return Item(key=row["slug"], label=row["name"], value=number_of(row["spend"]), unit=currency, is_money=True)


def total_of(payload: Json, currency: str) -> list[Item] | None:
    """The spend of all roadmaps of a report of several; not known where one of them is not."""
    if "rows" not in payload:
        return None
    spends = [number_of(row["spend"]) for row in payload["rows"]]
    known = [spend for spend in spends if spend is not None]
    value = sum(known, Decimal(0)) if len(known) == len(spends) else None
    return [Item(key="spend", label=figure_label({"key": "spend"}), value=value, unit=currency, is_money=True)]


def roadmap_status(row: Json) -> Light:
    """Its manager's status; the same in schema version 1."""
    return status_light(row["status"], key=row["slug"], label=row["name"])


def interval_of(row: Json) -> tuple[Decimal | None, Decimal | None, Decimal | None]:
    """(value, low, high); where an interval is all that is known, no one value is."""
    low, high = number_of(row["low"]), number_of(row["high"])
    return (number_of(row["value"]) if low is None and high is None else None), low, high


def _name(payload: Json) -> str:
    if payload["scope"] == "roadmap":
        return str(payload["roadmap"]["name"])
    return str(payload["programme"]["name"]) if payload["scope"] == "programme" else _("Portfolio")


def _year_figure(figure: Json, headline: Json, currency: str) -> Item:
    """The month's spend, or the fiscal year's to date or as forecast: of two years they are two figures."""
    labels = {
        "month": figure_label({"key": "spend"}),
        "to_date": _("Spend of the fiscal year to date"),
        "forecast": _("Forecast of the fiscal year"),
    }
    key = "spend" if figure["key"] == "month" else figure["key"]
    return Item(
        key=key,
        label=labels.get(figure["key"]) or str(figure["key"]),
        value=number_of(figure["value"]),
        unit=currency,
        is_money=True,
        of="" if key == "spend" else headline["year"],
    )


def _provider(row: Json, currency: str) -> Item:
    name = row["provider"]
    label = name or _("Entered by hand")
    return Item(key=f"provider/{name}", label=label, value=number_of(row["spend"]), unit=currency, is_money=True)


def _figure(figure: Json) -> Item:
    return Item(
        key=figure["key"],
        label=figure_label(figure),
        value=number_of(figure["value"]),
        unit=figure["unit"],
        is_money=figure["kind"] == MONEY,
        of={"forecast": figure["phase"], "unit_cost": figure["measure"], "value": figure["name"]}.get(
            figure["key"], ""
        ),
    )


def _lights(headline: Json | None, signals: Json | None) -> Sequence[Light]:
    status = [] if headline is None else [status_light(headline["status"], reason=headline["sentence"])]
    rows = signals["rows"] if signals else ()
    return [*status, *(signal_light(row["signal"], row["tone"], all_said(row["reasons"])) for row in rows)]


def _source(row: Json, currency: str) -> Item:
    key = f"{row['kind']}/{row['category'] or row['name']}"
    return Item(key=key, label=source_name(row), value=number_of(row["spend"]), unit=currency, is_money=True)


def _measured(row: Json) -> Item:
    value, low, high = interval_of(row)
    code, currency = row["measure"], row["currency"]
    unit = measure_unit(code, currency)
    return Item(key=code, label=measure_title(code, currency), value=value, low=low, high=high, unit=unit, of=currency)


def _kpi(row: Json) -> Item:
    value, low, high = interval_of(row)
    word = label_of(KPI_STATUSES, row["status"])
    return Item(
        key=row["name"], label=row["name"], value=value, low=low, high=high, unit=row["unit"],
        tone=row["tone"], word=word,
    )  # fmt: skip


def _gate(gate: Json) -> Dated:
    return Dated(
        key=gate["phase"],
        label=_("Gate of %(phase)s") % {"phase": label_of(PHASES, gate["phase"])},
        phase=gate["phase"],
        due_on=day_of(gate["due_on"]),
        done_on=day_of(gate["decided_on"]),
        stands=gate_stands(gate["outcome"], gate["met"], gate["criteria"]),
    )


def _milestone(line: Json) -> Dated:
    return Dated(
        key=f"{line['phase']}/{line['name']}",
        label=line["name"],
        phase=label_of(PHASES, line["phase"]),
        due_on=day_of(line["due_on"]),
        done_on=day_of(line["done_on"]),
        stands="",
    )

"""A payload of schema version 1 as one side of a comparison: its English labels are taken back to codes.

A label that this version does not know stays as it is, and is then a thing of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from django.utils import translation

from roadmap.kpis import BY_NAME
from roadmap.labels import COST_CATEGORIES, OUTCOMES, PHASES, Labels, label_of
from roadmap.reports.comparisons import v2
from roadmap.reports.comparisons.side import Light, Side
from roadmap.reports.document import Json

# Page 1's four figures, in their order.
FIGURES = ("spend", "forecast", "unit_cost", "value")
_FORECAST, _VALUE = "Forecast, ", "Value: "
_IDLE = ", idle"


def side_of(payload: Json) -> Side:
    """What the payload says, read as schema version 2 would have said it."""
    with translation.override("en"):
        as_codes = _as_codes(payload)
    side = v2.side_of(as_codes)
    # Its lights' reasons are sentences.
    reasons = _reasons(payload)
    if side.lights is None or not reasons:
        return side
    lights: list[Light] = [replace(light, reason=reasons.get(light.key, light.reason)) for light in side.lights]
    return replace(side, lights=lights)


def _as_codes(payload: Json) -> Json:
    """The payload with schema version 2's keys and codes, as far as a comparison reads them."""
    currency = payload["currency"]
    if "sections" not in payload:
        return payload
    held = {section["name"]: section["value"] for section in payload["sections"]}
    read = {
        "headline": lambda value: {
            "status": value["status"],
            "sentence": value["sentence"],
            "figures": [_figure(key, figure) for key, figure in zip(FIGURES, value["figures"], strict=True)],
        },
        "signals": lambda value: {"rows": [{**row, "reasons": []} for row in value["rows"]]},
        "money": lambda value: {**value, "rows": [_source(row) for row in value["rows"]]},
        "performance": lambda value: {"rows": [{**row, "currency": currency} for row in value["rows"]]},
        "kpis": lambda value: value,
        "delivery": lambda value: {
            "gates": [
                {**gate, "phase": _code(PHASES, gate["phase"]), "outcome": _code(OUTCOMES, gate["outcome"])}
                for gate in value["gates"]
            ],
            "milestones": [{**line, "phase": _code(PHASES, line["phase"])} for line in value["milestones"]],
        },
        "risks": lambda value: value,
    }
    sections = [{"name": name, "value": read[name](value)} for name, value in held.items() if name in read]
    return {**payload, "sections": sections}


def _figure(key: str, figure: Json) -> Json:
    label: str = figure["label"]
    found = {"phase": "", "name": "", "measure": ""}
    if key == "forecast":
        found["phase"] = _code(PHASES, label.removeprefix(_FORECAST)) if label.startswith(_FORECAST) else ""
    elif key == "value":
        found["name"] = label.removeprefix(_VALUE) if label.startswith(_VALUE) else ""
    elif key == "unit_cost":
        titles: dict[str, str] = {measure.title_in(figure["unit"]): code for code, measure in BY_NAME.items()}
        found["measure"] = titles.get(label, label)
    return {**figure, **found, "key": key}


def _source(row: Json) -> Json:
    name, category = row["name"], ""
    if row["kind"] == "entered":
        name, category = "", _code(COST_CATEGORIES, name)
    elif row["kind"] == "idle":
        name = name.removesuffix(_IDLE)
    return {**row, "name": name, "category": category}


def _reasons(payload: Json) -> Mapping[str, str]:
    rows: list[Any] = [
        row
        for section in payload.get("sections", ())
        if section["name"] == "signals"
        for row in section["value"]["rows"]
    ]
    return {row["signal"]: row["reason"] for row in rows}


def _code(labels: Labels, label: str) -> str:
    """The code with this label, in English, which is in force; the label itself where there is none."""
    return next((code for code in labels if label_of(labels, code) == label), label)

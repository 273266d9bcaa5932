"""Two frozen payloads of the same roadmap, programme or portfolio set against each other, from them alone.

`comparison_of` says what differs, `comparison_document` puts it into words for every output there is, `comparison_json`
gives it to programs. Pure: no database, no clock, no settings.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils import translation

from roadmap.reports.comparisons import side_of
from roadmap.reports.comparisons.rows import (
    NAMED_RISKS,
    DatedRow,
    FigureRow,
    LightRow,
    RiskRow,
    dated_rows,
    figure_rows,
    light_rows,
    paired,
)
from roadmap.reports.comparisons.side import Dated, Item, Light, Side
from roadmap.reports.document import Json
from roadmap.saying import text_of

# The sections that hold figures, in their order.
FIGURES = ("figures", "roadmaps", "parts", "sources", "performance", "kpis")


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What either report says, and how they differ. `figures` by section; one that neither has is left out."""

    first: Side
    second: Side
    figures: Mapping[str, Sequence[FigureRow]]
    lights: Sequence[LightRow]
    statuses: Sequence[LightRow]
    gates: Sequence[DatedRow]
    milestones: Sequence[DatedRow]
    risks: Sequence[RiskRow]

    @property
    def all_figures(self) -> list[FigureRow]:
        """Every figure of every section."""
        return [row for rows in self.figures.values() for row in rows]


def comparison_of(first: Json, second: Json) -> Comparison:
    """The second payload against the first, with labels in the language in force."""
    was, now = side_of(first), side_of(second)
    figures = {name: figure_rows(getattr(was, name), getattr(now, name)) for name in FIGURES}
    return Comparison(
        first=was,
        second=now,
        figures={name: rows for name, rows in figures.items() if rows},
        lights=light_rows(was.lights, now.lights),
        statuses=light_rows(was.statuses, now.statuses),
        gates=dated_rows(was.gates, now.gates),
        milestones=dated_rows(was.milestones, now.milestones),
        risks=_risks(was, now),
    )


def comparison_json(comparison: Comparison, *, first: Json, second: Json) -> Json:
    """The comparison for programs; `first` and `second`: which reports they are. Decimals as text, unknown is null."""
    with translation.override("en"):
        return {
            "first": first,
            "second": second,
            "figures": [{"section": name, **_figure(row)} for name, rows in comparison.figures.items() for row in rows],
            "lights": [_light(row) for row in (*comparison.lights, *comparison.statuses)],
            "gates": [_dated(row) for row in comparison.gates],
            "milestones": [_dated(row) for row in comparison.milestones],
            "risks": [
                {
                    "key": row.key,
                    "first": row.first.score if row.first else None,
                    "second": row.second.score if row.second else None,
                    "change": row.change.value,
                }
                for row in comparison.risks
            ],
        }


def _risks(was: Side, now: Side) -> list[RiskRow]:
    first_names_all = was.risk_count <= max(NAMED_RISKS, len(was.risks or ()))
    second_names_all = now.risk_count <= max(NAMED_RISKS, len(now.risks or ()))
    return [
        RiskRow(key, first, second, first_names_all, second_names_all)
        for key, first, second in paired(was.risks, now.risks)
    ]


def _figure(row: FigureRow) -> dict[str, Any]:
    return {
        "key": row.key,
        "name": row.label,
        "unit": row.unit,
        "first": _item(row.first),
        "second": _item(row.second),
        "difference": text_of(row.difference),
        "ratio": text_of(row.ratio),
        "change": row.change.value,
    }


def _item(item: Item | None) -> Json | None:
    if item is None:
        return None
    return {"value": text_of(item.value), "low": text_of(item.low), "high": text_of(item.high), "unit": item.unit}


def _light(row: LightRow) -> dict[str, Any]:
    return {
        "key": row.key, "name": row.label, "first": _tone(row.first), "second": _tone(row.second),
        "change": row.change.value,
    }  # fmt: skip


def _tone(light: Light | None) -> str | None:
    return light.tone if light else None


def _dated(row: DatedRow) -> dict[str, Any]:
    return {
        "key": row.key, "name": row.label, "first": _day(row.first), "second": _day(row.second), "days": row.days,
        "change": row.change.value,
    }  # fmt: skip


def _day(dated: Dated | None) -> Json | None:
    if dated is None:
        return None
    return {"due_on": dated.due_on.isoformat(), "done_on": dated.done_on.isoformat() if dated.done_on else None}

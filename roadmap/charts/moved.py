"""What moved, as a waterfall from one period's spend to the other's. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from roadmap.charts import frame
from roadmap.charts.frame import plain
from roadmap.rules.moved import Cause, Change
from web import wording
from web.pieces import Chart

ROW = 30


@dataclass(frozen=True, slots=True)
class MovedData:
    """The change, the names of its parts, and both periods in words."""

    change: Change
    currency: str
    before: str
    now: str
    names: Mapping[Cause, str]


def moved_chart(data: MovedData) -> Chart:
    """A bar for each period's total, and between them each part from where the one before ended."""
    change = data.change
    divisor, letter = frame.scale_of(max(abs(change.before), abs(change.now)))
    word = "more" if change.amount >= 0 else "less"
    return Chart(
        id="moved",
        title=f"{wording.money(abs(change.amount), data.currency)} {word} than {data.before}",
        subtitle=f"Parts of the change, {f'{letter} {data.currency}'.strip()}, {data.now} against {data.before}",
        spec=_spec(data, divisor) if change.before or change.now else None,
        table=None,
        label="The parts of the change of spend; the figures stand in the table below.",
        missing="Nothing was spent in either period.",
        width="w12",
    )


def _spec(data: MovedData, divisor: Decimal) -> dict[str, Any]:
    change = data.change
    values = [_bar(data.before, Decimal(0), change.before, "total", data.currency, divisor)]
    at = change.before
    for part in change.parts:
        kind = "more" if part.amount > 0 else "less"
        if part.amount:
            values.append(_bar(data.names[part.cause], at, at + part.amount, kind, data.currency, divisor))
        at += part.amount
    values.append(_bar(data.now, Decimal(0), change.now, "total", data.currency, divisor))
    y = {
        "field": "name",
        "type": "nominal",
        "sort": [value["name"] for value in values],
        "title": None,
        "axis": {"labelLimit": 190, "grid": False},
        "scale": {"paddingInner": 0.35},
    }
    x = {"type": "quantitative", "title": None, "scale": {"zero": True, "nice": True}}
    layers = [
        {
            "mark": {"type": "bar"},
            "encoding": {
                "y": y,
                "x": {**x, "field": "v0"},
                "x2": {"field": "v"},
                "color": {
                    "field": "kind",
                    "type": "nominal",
                    "legend": None,
                    "scale": {"domain": ["total", "more", "less"], "range": ["$line-3", "$c2", "$c1"]},
                },
                "tooltip": [
                    {"field": "name", "type": "nominal", "title": "Part"},
                    {"field": "amount", "type": "nominal", "title": "Amount"},
                ],
            },
        },
        {
            "mark": {"type": "text", "align": "left", "baseline": "middle", "dx": 6, "tooltip": None},
            "encoding": {"y": y, "x": {**x, "field": "end"}, "text": {"field": "text", "type": "nominal"}},
        },
    ]
    return {"width": "container", "height": len(values) * ROW, "data": {"values": values}, "layer": layers}


def _bar(name: str, start: Decimal, end: Decimal, kind: str, currency: str, divisor: Decimal) -> dict[str, Any]:
    amount = end - start
    sign = "+" if kind == "more" else ""
    return {
        "name": name,
        "v0": plain(start / divisor),
        "v": plain(end / divisor),
        "end": plain(max(start, end) / divisor),
        "kind": kind,
        "amount": f"{sign}{wording.money_exact(amount, currency)}",
        "text": f"{sign}{wording.number(amount / divisor)}",
    }

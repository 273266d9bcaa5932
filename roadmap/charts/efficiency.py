"""Work per second and per amount of money, by backend and model, GPU and API on one axis, utilisation beside. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.utils.translation import gettext

from roadmap.charts import frame
from roadmap.charts.frame import Layer, plain
from web import wording
from web.pieces import Chart, Head, Table

ROW_HEIGHT = 46
MOST_ROWS = 10
TWICE = Decimal("1.9")


@dataclass(frozen=True, slots=True)
class EfficiencyRow:
    """One backend (and model). `value`: reserved basis, idle included; `used`: without idle, None where the same.

    `utilisation`: a ratio; None where it is not measured, `is_capacity` then says whether it could be.
    """

    name: str
    note: str
    color: str
    value: Decimal
    coverage: Decimal | None = None
    used: Decimal | None = None
    utilisation: Decimal | None = None
    is_capacity: bool = False


@dataclass(frozen=True, slots=True)
class EfficiencyData:
    """`unit`: 'tokens/s per EUR/h'; `window`: 'last 28 days'; `without`: names whose figure is not known, and why."""

    unit: str
    window: str
    currency: str
    rows: Sequence[EfficiencyRow]
    target: Decimal | None = None
    without: Sequence[tuple[str, str]] = ()


def title_of(data: EfficiencyData) -> str:
    """Which source gives the most for the money."""
    rows = sorted(data.rows, key=lambda row: row.value, reverse=True)
    if not rows:
        return gettext("Work per amount of money is not known")
    work = data.unit.split("/", 1)[0].capitalize()
    if len(rows) == 1:
        return gettext("%(name)s gives %(value)s %(unit)s") % {
            "name": rows[0].name,
            "value": wording.number(rows[0].value),
            "unit": data.unit,
        }
    ratio = rows[0].value / rows[-1].value if rows[-1].value else None
    if ratio is not None and ratio >= TWICE:
        return gettext("%(name)s gives %(ratio)s times the work per %(currency)s of %(other)s") % {
            "name": rows[0].name,
            "ratio": wording.decimals(ratio, 1),
            "currency": data.currency,
            "other": rows[-1].name,
        }
    return gettext("%(work)s per %(currency)s: %(name)s leads") % {
        "work": work,
        "currency": data.currency,
        "name": rows[0].name,
    }


def efficiency_chart(data: EfficiencyData) -> Chart:
    """The chart with its table."""
    rows = sorted(data.rows, key=lambda row: row.value, reverse=True)[:MOST_ROWS]
    subtitle = (
        gettext("%(unit)s, %(window)s. Filled: reserved basis, idle included; dashed: used basis")
        if any(row.used for row in rows)
        else "%(unit)s, %(window)s"
    )
    unit = f"{data.unit[:1].upper()}{data.unit[1:]}"
    return Chart(
        id="efficiency",
        title=title_of(data),
        subtitle=subtitle % {"unit": unit, "window": data.window},
        spec=_spec(data, rows) if rows else None,
        table=_table(data) if data.rows or data.without else None,
        label=", ".join(f"{row.name} {wording.number(row.value)} {data.unit}" for row in rows),
        missing=gettext("Needs output tokens and what they cost, from the same source."),
        width="w6",
    )


def _spec(data: EfficiencyData, rows: Sequence[EfficiencyRow]) -> dict[str, Any]:
    names = [row.name for row in rows]
    values = [
        {
            "name": row.name,
            "v": plain(row.value),
            "used": plain(row.used),
            "note": row.note,
            "text": wording.number(row.value),
            "used_text": wording.number(row.used, missing=""),
            "utilisation": _utilisation(row),
        }
        for row in rows
    ]
    reach = [float(row.used or row.value) for row in rows] + ([float(data.target)] if data.target else [])
    top = max(reach) * 1.12 or 1.0
    y = {
        "field": "name",
        "type": "nominal",
        "sort": names,
        "title": None,
        "axis": {"labelLimit": 150},
        "scale": {"paddingInner": 0.5, "paddingOuter": 0.25},
    }
    x = {"field": "v", "type": "quantitative", "title": None, "scale": {"domain": [0, top], "nice": False}}
    tooltip = [
        {"field": "name", "type": "nominal", "title": gettext("Source")},
        {"field": "note", "type": "nominal", "title": gettext("What")},
        {"field": "text", "type": "nominal", "title": data.unit},
        {"field": "used_text", "type": "nominal", "title": gettext("Used basis")},
        {"field": "utilisation", "type": "nominal", "title": gettext("Utilisation")},
    ]
    layers: list[Layer] = [
        {
            "mark": {"type": "bar", "height": 20},
            "encoding": {
                "y": y,
                "x": {**x, "axis": {"grid": True, "tickCount": 5}},
                "color": {
                    "field": "name",
                    "type": "nominal",
                    "legend": None,
                    "scale": {"domain": names, "range": [row.color for row in rows]},
                },
                "tooltip": tooltip,
            },
        },
        {
            "transform": [{"filter": "isValid(datum.used)"}],
            "mark": {"type": "bar", "height": 20, "style": "ghost", "fill": None, "tooltip": None},
            "encoding": {"y": y, "x": {**x, "field": "v"}, "x2": {"field": "used"}},
        },
        {
            "mark": {"type": "text", "align": "left", "dx": 6, "baseline": "middle", "tooltip": None},
            "encoding": {
                "y": y,
                "x": {**x, "field": "end"},
                "text": {"field": "text", "type": "nominal"},
            },
            "transform": [{"calculate": "isValid(datum.used) ? datum.used : datum.v", "as": "end"}],
        },
        {
            "mark": {"type": "text", "align": "right", "baseline": "middle", "tooltip": None, "style": "note"},
            "encoding": {"y": y, "x": {"value": {"expr": "width + 92"}}, "text": {"field": "utilisation"}},
        },
        {
            "data": {"values": [{"text": "utilisation"}]},
            "mark": {"type": "text", "align": "right", "baseline": "bottom", "tooltip": None, "style": "note"},
            "encoding": {"y": {"value": -4}, "x": {"value": {"expr": "width + 92"}}, "text": {"field": "text"}},
        },
    ]
    if data.target is not None:
        target = [{"v": plain(data.target), "text": f"target {wording.number(data.target)}"}]
        layers += [
            {
                "data": {"values": target},
                "mark": {"type": "rule", "style": "target", "tooltip": None},
                "encoding": {"x": x},
            },
            {
                "data": {"values": target},
                "mark": {"type": "text", "baseline": "bottom", "tooltip": None},
                "encoding": {"x": x, "y": {"value": -4}, "text": {"field": "text"}},
            },
        ]
    spec = frame.figure(layers, height=max(3, len(rows)) * ROW_HEIGHT)
    return {"data": {"values": values}, **spec}


def _utilisation(row: EfficiencyRow) -> str:
    if row.utilisation is not None:
        return wording.percent(row.utilisation)
    return gettext("not measured") if row.is_capacity else gettext("not offered")


def _table(data: EfficiencyData) -> Table:
    rows = [
        [
            row.name,
            row.note or wording.DASH,
            wording.number(row.value),
            wording.number(row.used, missing=wording.DASH),
            _utilisation(row),
            wording.percent(row.coverage, missing=wording.DASH),
        ]
        for row in sorted(data.rows, key=lambda row: row.value, reverse=True)
    ]
    rows += [
        [name, reason, str(wording.NO_DATA), wording.DASH, wording.DASH, wording.DASH] for name, reason in data.without
    ]
    return Table(
        caption=gettext("%(unit)s by source, %(window)s")
        % {"unit": f"{data.unit[:1].upper()}{data.unit[1:]}", "window": data.window},
        heads=[
            Head(gettext("Source")),
            Head(gettext("What")),
            frame.figures_head(gettext("Reserved basis")),
            frame.figures_head(gettext("Used basis")),
            frame.figures_head(gettext("Utilisation")),
            frame.figures_head(gettext("Coverage of spend")),
        ],
        rows=rows,
    )

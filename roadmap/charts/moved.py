"""What moved: the parts of a change of spend as bars to either side. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.utils.translation import gettext, pgettext

from roadmap.charts import frame
from roadmap.charts.frame import plain
from roadmap.labels import CAUSES, label_of
from roadmap.rules.moved import Change
from web import wording
from web.pieces import Chart

ROW = 30


@dataclass(frozen=True, slots=True)
class MovedData:
    """The change, and both periods in words."""

    change: Change
    currency: str
    before: str
    now: str


def moved_chart(data: MovedData) -> Chart:
    """A bar for each part that moved anything, and one for the change."""
    change = data.change
    divisor, letter = frame.scale_of(max(abs(part.amount) for part in change.parts))
    text = (
        gettext("%(amount)s more than %(before)s") if change.amount >= 0 else gettext("%(amount)s less than %(before)s")
    )
    return Chart(
        id="moved",
        title=text % {"amount": wording.money(abs(change.amount), data.currency), "before": data.before},
        subtitle=gettext("Parts of the change, %(unit)s, %(now)s against %(before)s")
        % {"unit": f"{letter} {data.currency}".strip(), "now": data.now, "before": data.before},
        spec=_spec(data, divisor) if change.before or change.now else None,
        table=None,
        label=gettext("The parts of the change of spend; the figures stand in the table below."),
        missing=gettext("Nothing was spent in either period."),
        width="w12",
    )


def _spec(data: MovedData, divisor: Decimal) -> dict[str, Any]:
    """Bars from zero: what made it more to the right, what made it less to the left, the change at the end."""
    change = data.change
    values = [
        _bar(label_of(CAUSES, part.cause), part.amount, data.currency, divisor) for part in change.parts if part.amount
    ]
    values.append(
        _bar(pgettext("from one month to the next", "Change"), change.amount, data.currency, divisor, is_total=True)
    )
    y = {
        "field": "name",
        "type": "nominal",
        "sort": [value["name"] for value in values],
        "title": None,
        "axis": {"labelLimit": 190, "grid": False, "domain": False, "ticks": False},
        "scale": {"paddingInner": 0.35},
    }
    x = {
        "type": "quantitative",
        "title": None,
        "axis": {"tickCount": 5},
        "scale": {"zero": True, "nice": True, "padding": 44},
    }
    text = {"type": "text", "baseline": "middle", "tooltip": None}
    layers: list[dict[str, Any]] = [
        {
            "mark": {"type": "bar"},
            "encoding": {
                "y": y,
                "x": {**x, "field": "v"},
                "color": {
                    "field": "kind",
                    "type": "nominal",
                    "legend": None,
                    "scale": {"domain": ["total", "more", "less"], "range": ["$line-3", "$c2", "$c1"]},
                },
                "tooltip": [
                    {"field": "name", "type": "nominal", "title": gettext("Part")},
                    {"field": "amount", "type": "nominal", "title": gettext("Amount")},
                ],
            },
        },
    ]
    for side, align, dx in (("right", "left", 6), ("left", "right", -6)):
        layers.append(
            {
                "transform": [{"filter": f"datum.side == '{side}'"}],
                "mark": {**text, "align": align, "dx": dx},
                "encoding": {"y": y, "x": {**x, "field": "v"}, "text": {"field": "text", "type": "nominal"}},
            }
        )
    return {"width": "container", "height": max(3, len(values)) * ROW, "data": {"values": values}, "layer": layers}


def _bar(name: str, amount: Decimal, currency: str, divisor: Decimal, *, is_total: bool = False) -> dict[str, Any]:
    sign = "+" if amount > 0 else ""
    return {
        "name": name,
        "v": plain(amount / divisor),
        "side": "right" if amount >= 0 else "left",
        "kind": "total" if is_total else "more" if amount >= 0 else "less",
        "amount": f"{sign}{wording.money_exact(amount, currency)}",
        "text": f"{sign}{wording.number(amount / divisor)}",
    }

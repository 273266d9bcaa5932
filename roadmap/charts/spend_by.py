"""Spend by one or two dimensions: stacked columns over months, or bars, largest first. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.utils.translation import gettext

from roadmap.charts import frame
from roadmap.charts.frame import plain
from roadmap.rules import spending
from roadmap.rules.spending import Cell, Key, Member, folded
from web import wording
from web.pieces import Chart

MOST_COLORS = 6
MOST_BARS = 14
BAR_HEIGHT = 30
_COLORS = {
    spending.IDLE.id: "$idle",
    "idle": "$idle",
    spending.ENTERED.id: "$c8",
    "entered": "$c8",
    spending.UNALLOCATED.id: "$line-3",
    "~rest": "$c6",
}


@dataclass(frozen=True, slots=True)
class SpendByData:
    """Cells by `by` (one or two names of dimensions), and the words for the chart."""

    by: Sequence[str]
    cells: Mapping[Key, Cell]
    names: Mapping[str, str]
    currency: str
    window: str
    title: str


def spend_by_chart(data: SpendByData) -> Chart:
    """The chart; its table stands beside it on the page."""
    cells = {key: cell for key, cell in data.cells.items() if cell.amount}
    over_months = "month" in data.by
    by = list(data.by)
    if over_months:
        # Months along, the other dimension in colours.
        by.sort(key=lambda name: name != "month")
        cells = {tuple(key[data.by.index(name)] for name in by): cell for key, cell in cells.items()}
    else:
        cells, _ = folded(cells, 0, MOST_BARS)
    if len(by) > 1:
        cells, _ = folded(cells, 1, MOST_COLORS)
    largest = max((abs(total) for total in _totals(cells, 0).values()), default=Decimal(0))
    divisor, letter = frame.scale_of(largest)
    words = gettext(" and ").join(str(data.names[name]).lower() for name in data.by)
    return Chart(
        id="spend-by",
        title=data.title,
        subtitle=gettext("By %(words)s, %(unit)s, %(window)s")
        % {"words": words, "unit": f"{letter} {data.currency}".strip(), "window": data.window},
        spec=_spec(by, cells, divisor, data.currency, over_months=over_months) if cells else None,
        table=None,
        label=gettext("%(title)s, by %(words)s. The figures stand in the table below.")
        % {"title": data.title, "words": words},
        missing=gettext("Nothing was spent in this window."),
        width="w12",
    )


def _totals(cells: Mapping[Key, Cell], place: int) -> dict[Member, Decimal]:
    found: dict[Member, Decimal] = {}
    for key, cell in cells.items():
        found[key[place]] = found.get(key[place], Decimal(0)) + (cell.amount or Decimal(0))
    return found


def _spec(
    by: Sequence[str], cells: Mapping[Key, Cell], divisor: Decimal, currency: str, *, over_months: bool
) -> dict[str, Any]:
    first, second = _totals(cells, 0), _totals(cells, 1) if len(by) > 1 else {}
    places = sorted(first) if over_months else sorted(first, key=lambda one: (one.is_special, -first[one], one))
    parts = sorted(second, key=lambda one: (one.is_special, -second[one], one))
    values = [
        {
            "place": key[0].title,
            "part": key[1].title if len(by) > 1 else gettext("Spend"),
            "order": parts.index(key[1]) if len(by) > 1 else 0,
            "v": plain((cell.amount or Decimal(0)) / divisor),
            "amount": wording.money_exact(cell.amount, currency),
            "all": wording.money_exact(first[key[0]], currency),
        }
        for key, cell in sorted(cells.items())
    ]
    along: dict[str, Any] = {
        "field": "place",
        "type": "nominal",
        "sort": [one.title for one in places],
        "title": None,
        "axis": {"labelAngle": 0, "labelOverlap": "greedy"} if over_months else {"labelLimit": 190, "grid": False},
        "scale": {"paddingInner": 0.28, "paddingOuter": 0.2},
    }
    size: dict[str, Any] = {
        "field": "v",
        "type": "quantitative",
        "title": None,
        "stack": "zero",
        "scale": {"zero": True, "nice": True},
    }
    color: dict[str, Any] = {"value": "$c1"}
    if parts:
        color = {
            "field": "part",
            "type": "nominal",
            "title": None,
            "scale": {"domain": [one.title for one in parts], "range": _colors(parts)},
        }
    encoding = {
        ("x" if over_months else "y"): along,
        ("y" if over_months else "x"): size,
        "color": color,
        "order": {"field": "order", "type": "quantitative"},
        "tooltip": [
            {"field": "place", "type": "nominal", "title": gettext("Of")},
            {"field": "part", "type": "nominal", "title": gettext("Part")},
            {"field": "amount", "type": "nominal", "title": gettext("Spend")},
            {"field": "all", "type": "nominal", "title": gettext("All parts")},
        ],
    }
    height = 270 if over_months else max(3, len(places)) * BAR_HEIGHT
    return {
        "width": "container",
        "height": height,
        "data": {"values": values},
        "layer": [{"mark": {"type": "bar"}, "encoding": encoding}],
    }


def _colors(parts: Sequence[Member]) -> list[str]:
    """Series in the order of their size; what is special keeps its own colour."""
    found, taken = [], 0
    for one in parts:
        color = _COLORS.get(one.id)
        if color is None:
            taken += 1
            color = f"$c{min(taken, 7)}"
        found.append(color)
    return found

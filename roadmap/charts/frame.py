"""What the charts share: grain, axes of time, today's line, lettered marks, labels at a line's end. Pure.

Points carry their time as milliseconds of UTC midnight of a local day, and axes use a UTC scale, so that no browser
moves a day by its own zone. Texts of tooltips are written here, not by the browser.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, Literal

from django.utils.translation import gettext

from web.pieces import Head, Mark
from web.wording import SCALES, day, day_short, month_short

Grain = Literal["day", "week", "month"]
Layer = dict[str, Any]
DAY = timedelta(days=1)
# At most about 150 points a line.
LONGEST_BY_DAY = 92
LONGEST_BY_WEEK = 400
# More would cover the drawing; the list below names the days of all that are shown.
MOST_MARKS = 12
HEIGHT = 270
# Letters stand above the drawing, clear of the words on a budget line at its top.
MARKS_Y = -22


@dataclass(frozen=True, slots=True)
class Event:
    """Something that changed on a day: milestone done, gate, new model or price, a typed note."""

    on: date
    text: str
    kind: Literal["milestone", "gate", "price", "model", "note"] = "note"


def grain_for(start_on: date, end_on: date) -> Grain:
    """Day up to 92 days, then weeks to 400 days, then months; for the days [start_on, end_on)."""
    length = (end_on - start_on).days
    if length <= LONGEST_BY_DAY:
        return "day"
    return "week" if length <= LONGEST_BY_WEEK else "month"


def period_start(on: date, grain: Grain) -> date:
    """The first day of the period that holds `on`: itself, the ISO Monday, the first of the month."""
    if grain == "week":
        return on - DAY * on.weekday()
    return on.replace(day=1) if grain == "month" else on


def period_end(start: date, grain: Grain) -> date:
    """The day after the last of the period that starts on `start`."""
    if grain == "week":
        return start + 7 * DAY
    return (start + 32 * DAY).replace(day=1) if grain == "month" else start + DAY


def periods(start_on: date, end_on: date, grain: Grain) -> list[tuple[date, date]]:
    """The periods over [start_on, end_on), the first and last cut to it."""
    found = []
    at = start_on
    while at < end_on:
        after = min(period_end(period_start(at, grain), grain), end_on)
        found.append((at, after))
        at = after
    return found


def period_text(start: date, end: date, grain: Grain) -> str:
    """'3 Nov 2026', 'week of 2 Nov 2026', 'Nov 2026' for the period [start, end)."""
    if grain == "day":
        return day(start)
    if grain == "week":
        return gettext("%(first)s to %(last)s") % {"first": day_short(start), "last": day(end - DAY)}
    return month_short(start)


def stamp(on: date) -> int:
    """Milliseconds since 1970 of the day's midnight, taken as UTC."""
    return int(datetime(on.year, on.month, on.day, tzinfo=UTC).timestamp() * 1000)


def ticks(start_on: date, end_on: date, *, most: int = 10) -> list[int]:
    """Firsts of months, thinned to at most `most`; Mondays where there are too few months."""
    firsts = []
    at = start_on if start_on.day == 1 else (start_on.replace(day=1) + 32 * DAY).replace(day=1)
    while at <= end_on:
        firsts.append(at)
        at = (at + 32 * DAY).replace(day=1)
    if len(firsts) < 3:
        monday = start_on + DAY * (-start_on.weekday() % 7)
        firsts = [monday + 7 * DAY * index for index in range(max(0, (end_on - monday).days // 7 + 1))] or [start_on]
        return [stamp(first) for first in firsts[:: -(-len(firsts) // most) or 1]]
    step = next(size for size in (1, 2, 3, 6, 12, 24, 60, 120) if len(firsts) / size <= most or size == 120)
    kept = [first for first in firsts if (first.month - 1) % min(step, 12) == 0] if step > 1 else firsts
    return [stamp(first) for first in (kept if step <= 12 else kept[:: step // 12])]


def time_axis(start_on: date, end_on: date, *, most: int = 10) -> dict[str, Any]:
    """The x encoding over [start_on, end_on]."""
    values = ticks(start_on, end_on, most=most)
    has_months = (end_on - start_on).days > LONGEST_BY_DAY
    text = "utcFormat(datum.value, '%b')" if has_months else "utcFormat(datum.value, '%-d %b')"
    with_year = "utcFormat(datum.value, '%b %Y')" if has_months else "utcFormat(datum.value, '%-d %b %Y')"
    return {
        "field": "t",
        "type": "temporal",
        "title": None,
        "scale": {"type": "utc", "domain": [stamp(start_on), stamp(end_on)], "nice": False},
        "axis": {
            "values": values,
            "labelExpr": f"datum.value == {values[0]} || utcmonth(datum.value) == 0 && utcdate(datum.value) < 8"
            f" ? {with_year} : {text}",
        },
    }


def amount_axis(title: str = "", *, top: float | None = None) -> dict[str, Any]:
    """The y encoding of amounts, from zero; the unit stands in the subtitle."""
    scale: dict[str, Any] = {"zero": True, "nice": True}
    if top is not None:
        scale["domainMin"] = 0
        scale["domainMax"] = top
    return {"field": "v", "type": "quantitative", "title": title or None, "scale": scale}


def scale_of(largest: Decimal | float) -> tuple[Decimal, str]:
    """(divisor, letter) that make the axis readable: 861,000 -> (1000, 'k'); under 10,000 nothing is scaled."""
    size = abs(Decimal(str(largest)))
    for step, letter in SCALES:
        if size >= step * (10 if letter == "k" else 1):
            return step, letter
    return Decimal(1), ""


def plain(value: Decimal | float | int | None) -> float | None:
    """A number for the drawing. Figures that are read are texts; only the place of a point is a float."""
    return None if value is None else round(float(value), 6)


def lettered(events: Sequence[Event], start_on: date, end_on: date) -> list[tuple[str, Event]]:
    """The latest events in [start_on, end_on] with their letters, in order of time; at most twelve."""
    inside = sorted((event for event in events if start_on <= event.on <= end_on), key=lambda event: event.on)
    return [(chr(ord("A") + index), event) for index, event in enumerate(inside[-MOST_MARKS:])]


def mark_list(marks: Sequence[tuple[str, Event]]) -> list[Mark]:
    """The list under the chart: 'A', '8 Jun 2026, own GPUs connected'."""
    return [Mark(letter, f"{day(event.on)}, {event.text}") for letter, event in marks]


def marks_elsewhere(marks: Sequence[tuple[str, Event]]) -> list[Mark]:
    """A pointer to the chart that lists the marks: they are the same on every chart of a page."""
    return [Mark("", gettext("Marks as in the spend chart"))] if marks else []


def mark_layers(marks: Sequence[tuple[str, Event]], *, apart_days: float) -> list[Layer]:
    """A dotted line and a letter in a box at the top for each mark; boxes stand at least `apart_days` apart."""
    if not marks:
        return []
    places = apart([float(stamp(event.on)) for _, event in marks], apart_days * 86_400_000)
    values = [
        {"t": stamp(event.on), "box": int(place), "letter": letter, "text": event.text, "day": day(event.on)}
        for place, (letter, event) in zip(places, marks, strict=True)
    ]
    tooltip = [
        {"field": "day", "type": "nominal", "title": gettext("Day")},
        {"field": "text", "type": "nominal", "title": gettext("What")},
    ]
    x = {"field": "t", "type": "temporal"}
    return [
        {
            "data": {"values": values},
            "mark": {"type": "rule", "color": "$line-3", "strokeDash": [1, 3]},
            "encoding": {"x": x, "y": {"value": MARKS_Y}, "y2": {"value": "height"}, "tooltip": tooltip},
        },
        {
            "data": {"values": values},
            "mark": {
                "type": "point",
                "shape": "square",
                "size": 200,
                "filled": True,
                "fill": "$surface",
                "stroke": "$line-3",
                "strokeWidth": 1,
                "opacity": 1,
            },
            "encoding": {"x": {**x, "field": "box"}, "y": {"value": MARKS_Y}, "tooltip": tooltip},
        },
        {
            "data": {"values": values},
            "mark": {"type": "text", "style": "event", "baseline": "middle", "tooltip": None},
            "encoding": {
                "x": {**x, "field": "box"},
                "y": {"value": MARKS_Y + 0.5},
                "text": {"field": "letter", "type": "nominal"},
            },
        },
    ]


def today_layers(today: date, start_on: date, end_on: date) -> list[Layer]:
    """Today's full upright line with its word, where it lies on the axis."""
    if not start_on <= today <= end_on:
        return []
    x = {"field": "t", "type": "temporal"}
    values = [{"t": stamp(today)}]
    return [
        {"data": {"values": values}, "mark": {"type": "rule", "style": "today", "tooltip": None}, "encoding": {"x": x}},
        {
            "data": {"values": values},
            "mark": {
                "type": "text",
                "dy": MARKS_Y - 17,
                "baseline": "middle",
                "text": gettext("Today"),
                "tooltip": None,
            },
            "encoding": {"x": x, "y": {"value": 0}},
        },
    ]


def label_layers(t: int, value: float, text: str, *, dx: int = 8, dy: int = 0, style: str = "") -> list[Layer]:
    """A label at a line's end, left-aligned, with a rim of the surface's colour that keeps it readable over lines."""
    label = _label(t, value, text, dx=dx, dy=dy, style=style)
    rim = {**label, "mark": {**label["mark"], "stroke": "$surface", "strokeWidth": 4, "strokeJoin": "round"}}
    return [rim, label]


def _label(t: int, value: float, text: str, *, dx: int, dy: int, style: str) -> Layer:
    mark: dict[str, Any] = {"type": "text", "align": "left", "baseline": "middle", "dx": dx, "dy": dy, "tooltip": None}
    if style:
        mark["style"] = style
    return {
        "data": {"values": [{"t": t, "v": value, "label": text}]},
        "mark": mark,
        "encoding": {
            "x": {"field": "t", "type": "temporal"},
            "y": {"field": "v", "type": "quantitative"},
            "text": {"field": "label", "type": "nominal"},
        },
    }


def level_layers(value: float, text: str, *, style: str, at: int, above: bool = True) -> list[Layer]:
    """A level across the drawing (budget, target) with its words at the start."""
    return [
        {
            "data": {"values": [{"v": value}]},
            "mark": {"type": "rule", "style": style, "tooltip": None},
            "encoding": {"y": {"field": "v", "type": "quantitative"}},
        },
        *label_layers(at, value, text, dx=4, dy=-8 if above else 9),
    ]


def figure(layers: Sequence[Layer], *, height: int = HEIGHT) -> dict[str, Any]:
    """The layers as one spec. Labels beside and above the axes need no padding: the fit counts them."""
    return {
        "width": "container",
        "height": height,
        "layer": list(layers),
    }


def line_layer(
    values: Sequence[Mapping[str, Any]], *, tooltip: Sequence[tuple[str, str]], mark: Mapping[str, Any]
) -> Layer:
    """A line of points {t, v, ...} with a tooltip of (field, title); unknown points (v None) leave a gap."""
    return {
        "data": {"values": list(values)},
        "mark": {"type": "line", "invalid": "break-paths-show-domains", **mark},
        "encoding": {
            "x": {"field": "t", "type": "temporal"},
            "y": {"field": "v", "type": "quantitative"},
            "tooltip": [{"field": name, "type": "nominal", "title": title} for name, title in tooltip],
        },
    }


def apart(places: Sequence[float], gap: float) -> list[float]:
    """The same places, in the order given, moved up so that no two are nearer than `gap` (labels at lines' ends)."""
    order = sorted(range(len(places)), key=lambda index: places[index])
    moved = list(places)
    for before, after in zip(order, order[1:], strict=False):
        moved[after] = max(moved[after], moved[before] + gap)
    return moved


def figures_head(label: str) -> Head:
    """A column of figures."""
    return Head(label, is_number=True)

"""Spend by source, cumulated, against the budget line, with the forecast and its band. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from django.utils.translation import gettext, ngettext

from roadmap.charts import frame
from roadmap.charts.frame import DAY, Event, Grain, Layer, plain, stamp
from roadmap.rules.forecast import Forecast
from web import wording
from web.pieces import Chart, Head, Table

MOST_SOURCES = 6


@dataclass(frozen=True, slots=True)
class Source:
    """A source of spend: amounts by the start of their period, and the token of its colour ('$c1', '$idle')."""

    name: str
    color: str
    amounts: Mapping[date, Decimal]

    @property
    def total(self) -> Decimal:
        return sum(self.amounts.values(), Decimal(0))


@dataclass(frozen=True, slots=True)
class SpendData:
    """What the chart needs. `end_on`: day after the last that is measured; `last_on`: where the axis ends."""

    currency: str
    start_on: date
    end_on: date
    last_on: date
    today: date
    grain: Grain
    sources: Sequence[Source]
    budget: Decimal | None
    forecast: Forecast | None
    events: Sequence[Event]
    is_filtered: bool = False
    note: str = ""


def largest(sources: Sequence[Source]) -> list[Source]:
    """The sources, the smallest beyond six added up under one name."""
    if len(sources) <= MOST_SOURCES:
        return list(sources)
    ordered = sorted(sources, key=lambda source: source.total, reverse=True)
    kept = [source for source in sources if source in ordered[: MOST_SOURCES - 1]]
    rest = [source for source in sources if source not in kept]
    amounts: dict[date, Decimal] = {}
    for source in rest:
        for period, amount in source.amounts.items():
            amounts[period] = amounts.get(period, Decimal(0)) + amount
    return [
        *kept,
        Source(
            ngettext("%(count)s other source", "%(count)s other sources", len(rest)) % {"count": len(rest)},
            "$c6",
            amounts,
        ),
    ]


def title_of(data: SpendData, spent: Decimal) -> str:
    """What the chart shows, in words."""
    if data.is_filtered or data.budget is None or data.budget <= 0:
        return gettext("%(amount)s spent") % {"amount": wording.money(spent, data.currency)}
    crossed = _crossed_on(data)
    if spent > data.budget and crossed is not None:
        return crossed
    if data.forecast is not None and data.forecast.passes_on is not None:
        return gettext("Spend passes the budget on %(day)s") % {"day": wording.day(data.forecast.passes_on)}
    if data.forecast is not None and data.forecast.total is not None:
        left = (data.budget - data.forecast.total) / data.budget
        if not left:
            return gettext("Spend just meets the budget")
        return gettext("Spend stays %(share)s under the budget") % {"share": wording.percent(left)}
    return gettext("%(share)s of the budget is spent") % {"share": wording.percent(spent / data.budget)}


def _crossed_on(data: SpendData) -> str | None:
    """A sentence that names the period in which what was spent first was above the budget."""
    total = Decimal(0)
    for start, end in frame.periods(data.start_on, data.end_on, data.grain):
        total += sum((source.amounts.get(start, Decimal(0)) for source in data.sources), Decimal(0))
        if data.budget is not None and total > data.budget:
            period = {"period": frame.period_text(start, end, data.grain)}
            if data.grain == "day":
                return gettext("Spend passed the budget on %(period)s") % period
            if data.grain == "month":
                return gettext("Spend passed the budget in %(period)s") % period
            return gettext("Spend passed the budget of %(period)s") % period
    return None


def spend_chart(data: SpendData) -> Chart:
    """The chart with its table; without a spec where nothing was spent yet."""
    sources = [source for source in largest(data.sources) if source.amounts]
    spent = sum((source.total for source in sources), Decimal(0))
    highest = [spent, data.budget or Decimal(0)]
    if data.forecast and data.forecast.total is not None:
        highest += [data.forecast.high or data.forecast.total, data.forecast.growth_total or Decimal(0)]
    divisor, letter = frame.scale_of(max(highest))
    unit = f"{letter} {data.currency}".strip()
    subtitle = gettext("Cumulated by source, %(unit)s, %(days)s") % {
        "unit": unit,
        "days": wording.days(data.start_on, max(data.last_on, data.start_on)),
    }
    if data.forecast and data.forecast.run_rate:
        text = (
            gettext("%(text)s; run rate of %(days)s, band 10 to 90%%")
            if data.forecast.low is not None
            else gettext("%(text)s; run rate of %(days)s, no band yet")
        )
        subtitle = text % {"text": subtitle, "days": wording.plural(data.forecast.days_used, "complete day")}
    elif data.forecast is not None and not data.is_filtered:
        subtitle = gettext("%(text)s; too little data for a forecast") % {"text": subtitle}
    marks = frame.lettered(data.events, data.start_on, data.last_on)
    return Chart(
        id="spend",
        title=title_of(data, spent),
        subtitle=subtitle,
        spec=_spec(data, sources, divisor, marks) if sources else None,
        table=_table(data, sources, divisor, unit) if sources else None,
        label=_label(data, spent),
        missing=gettext("Nothing was spent yet. Connect a backend, send usage with its cost, or add a cost entry."),
        marks=frame.mark_list(marks) if sources else (),
        width="w7",
    )


def _label(data: SpendData, spent: Decimal) -> str:
    said = {"amount": wording.money(spent, data.currency)}
    text = gettext("Cumulated spend by source, %(amount)s in all.")
    total = data.forecast.total if data.forecast else None
    if data.budget is not None:
        said["budget"] = wording.money(data.budget, data.currency)
        text = gettext("Cumulated spend by source, %(amount)s in all, against a budget of %(budget)s.")
    if total is not None:
        said["forecast"] = wording.money(total, data.currency)
        text = gettext("Cumulated spend by source, %(amount)s in all, forecast %(forecast)s.")
    if data.budget is not None and total is not None:
        text = gettext(
            "Cumulated spend by source, %(amount)s in all, against a budget of %(budget)s, forecast %(forecast)s."
        )
    return text % said


def _spec(
    data: SpendData, sources: Sequence[Source], divisor: Decimal, marks: Sequence[tuple[str, Event]]
) -> dict[str, Any]:
    def scaled(amount: Decimal | None) -> float | None:
        return plain(None if amount is None else amount / divisor)

    layers: list[Layer] = [_areas(data, sources, divisor)]
    if data.forecast and data.forecast.path and not data.is_filtered:
        layers += _forecast_layers(data, data.forecast, divisor)
    if data.budget and not data.is_filtered:
        label = gettext("Budget %(amount)s") % {"amount": wording.number(data.budget / divisor)}
        layers += frame.level_layers(scaled(data.budget) or 0, label, style="budget", at=stamp(data.start_on))
    layers += frame.today_layers(data.today, data.start_on, data.last_on)
    layers += frame.mark_layers(marks, apart_days=(data.last_on - data.start_on).days * 0.03)
    x = frame.time_axis(data.start_on, data.last_on + DAY)
    layers[0]["encoding"]["x"] = x
    return frame.figure(layers, height=290)


def _areas(data: SpendData, sources: Sequence[Source], divisor: Decimal) -> Layer:
    """The sources stacked here, not in the browser, so that the order is the legend's."""
    values: list[dict[str, Any]] = []
    totals = dict.fromkeys(range(len(sources)), Decimal(0))
    # The first one of the legend lies on top: what is entered by hand carries the rest.
    order = list(range(len(sources)))[::-1]
    names = [f"{source.name} {wording.number(source.total / divisor)}" for source in sources]

    def put(on: date, text: str) -> None:
        base = Decimal(0)
        spent = wording.money(sum(totals.values(), base), data.currency)
        for index in order:
            top = base + totals[index]
            values.append(
                {
                    "t": stamp(on),
                    "v": plain(top / divisor),
                    "v0": plain(base / divisor),
                    "source": names[index],
                    "day": text,
                    "amount": wording.money(totals[index], data.currency),
                    "all": spent,
                }
            )
            base = top

    put(data.start_on, gettext("Start, %(day)s") % {"day": wording.day(data.start_on)})
    for start, end in frame.periods(data.start_on, data.end_on, data.grain):
        for index, source in enumerate(sources):
            totals[index] += source.amounts.get(start, Decimal(0))
        put(min(end, max(data.today, start)), gettext("to %(day)s") % {"day": wording.day(end - DAY)})
    return {
        "data": {"values": values},
        "mark": {"type": "area", "line": False},
        "encoding": {
            "y": frame.amount_axis(),
            "y2": {"field": "v0"},
            "color": {
                "field": "source",
                "type": "nominal",
                "scale": {"domain": names, "range": [source.color for source in sources]},
            },
            "tooltip": [
                {"field": "source", "type": "nominal", "title": gettext("Source")},
                {"field": "day", "type": "nominal", "title": gettext("Day")},
                {"field": "amount", "type": "nominal", "title": gettext("So far")},
                {"field": "all", "type": "nominal", "title": gettext("All sources")},
            ],
        },
    }


def _forecast_layers(data: SpendData, forecast: Forecast, divisor: Decimal) -> list[Layer]:
    """Band, dashed line, the planned growth's line, the day on which the budget ends. Corners only: the lines between
    are straight but for cost entries, so a point a week is enough."""
    layers: list[Layer] = []
    path = [forecast.path[0], *forecast.path[1:-1][6::7], forecast.path[-1]]
    tip = [("day", gettext("Day")), ("amount", gettext("Forecast"))]

    def at(on: date) -> int:
        return stamp(on + DAY)

    if forecast.low is not None:
        band = [
            {"t": at(on), "v": plain((low or 0) / divisor), "v2": plain((high or 0) / divisor)}
            for on, _, low, high in path
        ]
        layers.append(
            {
                "data": {"values": band},
                "mark": {"type": "area", "style": "band", "tooltip": None},
                "encoding": {
                    "x": {"field": "t", "type": "temporal"},
                    "y": {"field": "v", "type": "quantitative"},
                    "y2": {"field": "v2"},
                },
            }
        )
    values = [
        {
            "t": at(on),
            "v": plain(point / divisor),
            "day": wording.day(on),
            "amount": wording.money(point, data.currency),
        }
        for on, point, _, _ in path
    ]
    layers.append(frame.line_layer(values, tooltip=tip, mark={"style": "forecast"}))
    total = forecast.total or Decimal(0)
    end = at(forecast.path[-1][0])
    places = [float(total / divisor)]
    texts = [gettext("Forecast %(amount)s") % {"amount": wording.number(total / divisor)}]
    if forecast.growth_total is not None:
        grown = [
            {
                "t": at(on),
                "v": plain(point / divisor),
                "day": wording.day(on),
                "amount": wording.money(point, data.currency),
            }
            for on, point in [
                forecast.growth_path[0],
                *forecast.growth_path[1:-1][6::7],
                forecast.growth_path[-1],
            ]
        ]
        layers.append(
            frame.line_layer(
                grown,
                tooltip=[("day", gettext("Day")), ("amount", gettext("With growth"))],
                mark={"style": "forecast", "opacity": 0.6},
            )
        )
        places.append(float(forecast.growth_total / divisor))
        texts.append(gettext("With growth %(amount)s") % {"amount": wording.number(forecast.growth_total / divisor)})
    top = max([*places, float((data.budget or Decimal(0)) / divisor)]) or 1.0
    for place, text in zip(frame.apart(places, top * 0.11), texts, strict=True):
        layers += frame.label_layers(end, place, text)
    if forecast.low is not None and forecast.high is not None:
        low, high = wording.number(forecast.low / divisor), wording.number(forecast.high / divisor)
        layers += frame.label_layers(
            end, places[0], gettext("%(low)s to %(high)s") % {"low": low, "high": high}, dy=13, style="note"
        )
    if forecast.passes_on is not None and data.budget is not None:
        layers += _passing(forecast.passes_on, data.budget / divisor)
    return layers


def _passing(on: date, budget: Decimal) -> list[Layer]:
    values = [{"t": stamp(on), "v": plain(budget), "day": wording.day(on), "label": wording.day_short(on)}]
    encoding = {"x": {"field": "t", "type": "temporal"}, "y": {"field": "v", "type": "quantitative"}}
    return [
        {
            "data": {"values": values},
            "mark": {
                "type": "point",
                "fill": "$surface",
                "stroke": "$ink",
                "strokeWidth": 1.5,
                "size": 60,
                "opacity": 1,
            },
            "encoding": {**encoding, "tooltip": [{"field": "day", "type": "nominal", "title": gettext("Budget ends")}]},
        },
        {
            "data": {"values": values},
            "mark": {"type": "text", "align": "right", "baseline": "middle", "dx": -2, "dy": -13, "tooltip": None},
            "encoding": {**encoding, "text": {"field": "label", "type": "nominal"}},
        },
    ]


def _table(data: SpendData, sources: Sequence[Source], divisor: Decimal, unit: str) -> Table:
    """A row per period, a column per source; a dash where a source has nothing in that period."""
    places = 1 if divisor > 1 else 2

    def cell(amount: Decimal | None) -> str:
        return wording.DASH if amount is None else wording.decimals(amount / divisor, places)

    rows = []
    for start, end in frame.periods(data.start_on, data.end_on, data.grain):
        amounts = [source.amounts.get(start) for source in sources]
        known = [amount for amount in amounts if amount is not None]
        whole = sum(known, Decimal(0)) if known else None
        rows.append([frame.period_text(start, end, data.grain), *map(cell, amounts), cell(whole)])
    foot = [gettext("All"), *(cell(source.total) for source in sources)]
    foot.append(cell(sum((source.total for source in sources), Decimal(0))))
    words = {"day": gettext("day"), "week": gettext("week"), "month": gettext("month")}[data.grain]
    return Table(
        caption=gettext("Spend by source and %(period)s, %(unit)s") % {"period": words, "unit": unit},
        heads=[
            frame.figures_head(words.capitalize()),
            *(Head(source.name) for source in sources),
            frame.figures_head(gettext("All")),
        ],
        rows=rows,
        foot=foot,
        note=f"{gettext('A dash: nothing reported.')} {data.note}".strip(),
    )

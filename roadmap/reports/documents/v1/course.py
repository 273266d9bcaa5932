"""The course of a phase's spend, as places on a drawing and as a sentence."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import ROUND_CEILING, Decimal

from roadmap.reports.document import Course, Json, Section
from web import wording
from web.drawings import Axis

_STEPS = (Decimal(1), Decimal(2), Decimal("2.5"), Decimal(5), Decimal(10))
_LEVELS = 4
_CLOSE = 0.04


def course(value: Json, values: Json) -> Section:
    """Past, forecast with its band, and the budget's line."""
    currency = values["currency"]
    past, ahead, budget = value["points"], value["forecast"], value["budget"]
    axis = Axis(value["start_on"], max(value["end_on"], past[-1]["on"]) + timedelta(days=1))
    most = max([budget or Decimal(0), *(one["spent"] for one in past), *(one["high"] or one["spent"] for one in ahead)])
    step = _step(most)
    top = step * max(1, (most / step).to_integral_value(ROUND_CEILING))

    def x(on: date) -> float:
        return axis.at(on + timedelta(days=1)) / 100

    def y(amount: Decimal) -> float:
        return round(float(max(amount, Decimal(0)) / top), 4)

    levels = [(y(step * number), wording.short(step * number)) for number in range(int(top / step) + 1)]
    banded = [one for one in ahead if one["low"] is not None]
    drawn = Course(
        said=_said(value, currency),
        past=[(0.0, 0.0), *((x(one["on"]), y(one["spent"])) for one in past)],
        ahead=[(x(one["on"]), y(one["spent"])) for one in ahead],
        band=[(x(one["on"]), y(one["low"]), y(one["high"])) for one in banded],
        limit=y(budget) if budget else None,
        limit_label=f"Budget {wording.money(budget, currency)}" if budget else "",
        past_label=f"Spent {wording.money(past[-1]['spent'], currency)}",
        ahead_label=f"Forecast {wording.money(ahead[-1]['spent'], currency)}" if ahead else "",
        ticks=[(place / 100, text) for place, text in axis.ticks() if place / 100 < 1 - _CLOSE],
        levels=levels,
    )
    sub = f"{wording.days(value['start_on'], value['end_on'])}, {currency}"
    return Section(name="course", title="Spend against budget", sub=sub, blocks=[drawn])


def _step(most: Decimal) -> Decimal:
    """A round distance between levels, of which about four reach over `most`."""
    if most <= 0:
        return Decimal(1)
    rough = most / _LEVELS
    size = Decimal(1).scaleb(rough.adjusted())
    return next(step * size for step in _STEPS if step * size >= rough)


def _said(value: Json, currency: str) -> str:
    last = value["points"][-1]
    said = f"{wording.money(last['spent'], currency)} were spent by {wording.day(last['on'])}"
    if value["forecast"]:
        end = value["forecast"][-1]
        said += f", {wording.money(end['spent'], currency)} are forecast for {wording.day(end['on'])}"
        if end["low"] is not None:
            low, high = wording.money(end["low"], currency), wording.money(end["high"], currency)
            said += f" ({low} to {high})"
    budget = f"the budget is {wording.money(value['budget'], currency)}" if value["budget"] else "no budget is set"
    return f"{said}; {budget}."

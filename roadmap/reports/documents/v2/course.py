"""The course of a phase's spend, as places on a drawing and as a sentence."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import ROUND_CEILING, Decimal

from django.utils.translation import gettext as _

from roadmap.reports.document import Course, Json, Section
from roadmap.reports.documents.v2.values import day_of, number_of
from web import wording
from web.drawings import Axis

_STEPS = (Decimal(1), Decimal(2), Decimal("2.5"), Decimal(5), Decimal(10))
_LEVELS = 4
_CLOSE = 0.04
# The first one has its year, and is the widest.
_APART = 0.07
_NOTHING = Decimal(0)
Point = tuple[date, Decimal, Decimal | None, Decimal | None]


def course(value: Json, payload: Json) -> Section:
    """Past, forecast with its band, and the budget's line."""
    currency = value["unit"]
    past, ahead, budget = _points(value["points"]), _points(value["forecast"]), number_of(value["budget"])
    start_on, end_on = day_of(value["start_on"]), day_of(value["end_on"])
    axis = Axis(start_on, max(end_on, past[-1][0]) + timedelta(days=1))
    amounts: list[Decimal] = [budget or _NOTHING, *(one[1] for one in past), *(one[3] or one[1] for one in ahead)]
    most = max(amounts)
    step = _step(most)
    top = step * max(Decimal(1), (most / step).to_integral_value(ROUND_CEILING))

    def x(on: date) -> float:
        return axis.at(on + timedelta(days=1)) / 100

    def y(amount: Decimal) -> float:
        return round(float(max(amount, _NOTHING) / top), 4)

    spent = wording.money(past[-1][1], currency)
    ends = wording.band(ahead[-1][2], ahead[-1][3], currency) if ahead else None
    drawn = Course(
        said=_said(past, ahead, budget, currency),
        past=[(0.0, 0.0), *((x(one[0]), y(one[1])) for one in past)],
        ahead=[(x(one[0]), y(one[1])) for one in ahead],
        band=[(x(on), y(low), y(high)) for on, _spent, low, high in ahead if low is not None and high is not None],
        limit=y(budget) if budget else None,
        limit_label=_("Budget %(amount)s") % {"amount": wording.money(budget, currency)} if budget else "",
        past_label=_("Spent %(amount)s") % {"amount": spent},
        ahead_label=_("Forecast %(amount)s") % {"amount": wording.money(ahead[-1][1], currency)} if ahead else "",
        band_label=_("band %(low)s to %(high)s") % ends if ends else "",
        ticks=_ticks(axis),
        levels=[(y(step * number), wording.short(step * number)) for number in range(int(top / step) + 1)],
    )
    sub = f"{wording.days(start_on, end_on)}, {currency}"
    return Section(name="course", title=_("Spend against budget"), sub=sub, blocks=[drawn])


def _ticks(axis: Axis) -> list[tuple[float, str]]:
    """The axis' ticks as fractions, without one that would lie on the first, or hang over the end."""
    ticks = [(place / 100, text) for place, text in axis.ticks() if place / 100 < 1 - _CLOSE]
    return [*ticks[:1], *(tick for tick in ticks[1:] if tick[0] - ticks[0][0] >= _APART)]


def _points(kept: list[Json]) -> list[Point]:
    return [
        (day_of(one["on"]), number_of(one["spent"]) or _NOTHING, number_of(one.get("low")), number_of(one.get("high")))
        for one in kept
    ]


def _step(most: Decimal) -> Decimal:
    """A round distance between levels, of which about four reach over `most`."""
    if most <= 0:
        return Decimal(1)
    rough = most / _LEVELS
    size = Decimal(1).scaleb(rough.adjusted())
    return next(step * size for step in _STEPS if step * size >= rough)


def _said(past: list[Point], ahead: list[Point], budget: Decimal | None, currency: str) -> str:
    """The drawing in a sentence, for whoever does not see it."""
    on, spent, *_rest = past[-1]
    shown = {"spent": wording.money(spent, currency), "day": wording.day(on), "budget": wording.money(budget, currency)}
    if not ahead:
        if budget:
            return _("%(spent)s were spent by %(day)s; the budget is %(budget)s.") % shown
        return _("%(spent)s were spent by %(day)s; no budget is set.") % shown
    end, total, low, high = ahead[-1]
    shown |= {"total": wording.money(total, currency), "end": wording.day(end)}
    band = wording.band(low, high, currency)
    if band is None:
        if budget:
            return (
                _("%(spent)s were spent by %(day)s, %(total)s are forecast for %(end)s; the budget is %(budget)s.")
                % shown
            )
        return _("%(spent)s were spent by %(day)s, %(total)s are forecast for %(end)s; no budget is set.") % shown
    shown |= band
    if budget:
        said = _(
            "%(spent)s were spent by %(day)s, %(total)s are forecast for %(end)s (%(low)s to %(high)s); "
            "the budget is %(budget)s."
        )
    else:
        said = _(
            "%(spent)s were spent by %(day)s, %(total)s are forecast for %(end)s (%(low)s to %(high)s); "
            "no budget is set."
        )
    return said % shown

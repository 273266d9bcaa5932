"""A fiscal year's spend by month against its plan, as bars. Words are those of the language in force."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_CEILING, Decimal

from django.utils.translation import gettext as _
from django.utils.translation import pgettext

from web import wording
from web.pieces import Bar, Bars

_STEPS = (Decimal(1), Decimal(2), Decimal("2.5"), Decimal(5), Decimal(10))
_LEVELS = 4


@dataclass(frozen=True, slots=True)
class YearBar:
    """A month: what was spent, what it is expected to end at, what was planned; None where that is unknown."""

    month: date
    spent: Decimal | None
    forecast: Decimal | None
    plan: Decimal | None


def year_bars(lines: Sequence[YearBar], said: str) -> Bars:
    """The bars of `lines`, in order. `said`: the finding in a sentence. Months of credits alone have no bar."""
    amounts = [value for line in lines for value in (line.spent, line.forecast, line.plan) if value is not None]
    most = max([*amounts, Decimal(0)])
    step = level_step(most)
    top = step * max(Decimal(1), (most / step).to_integral_value(ROUND_CEILING))

    def height(amount: Decimal | None) -> float | None:
        return None if amount is None else round(float(max(amount, Decimal(0)) / top), 4)

    return Bars(
        said=said,
        bars=[
            Bar(
                wording.month_name(line.month.month),
                height(line.spent) or 0.0,
                height(line.forecast),
                height(line.plan),
            )
            for line in lines
        ],
        levels=[(float(step * number / top), wording.short(step * number)) for number in range(int(top / step) + 1)],
        filled_name=_("Spent") if any(line.spent for line in lines) else "",
        outlined_name=_("Forecast") if any(line.forecast for line in lines) else "",
        tick_name=pgettext("what is planned", "Plan") if any(line.plan for line in lines) else "",
    )


def level_step(most: Decimal) -> Decimal:
    """A round distance between levels, of which about four reach over `most`."""
    if most <= 0:
        return Decimal(1)
    rough = most / _LEVELS
    size = Decimal(1).scaleb(rough.adjusted())
    return next(step * size for step in _STEPS if step * size >= rough)

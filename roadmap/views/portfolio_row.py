"""The markup of the portfolio's rows, which this process remembers: a row that is as it was is not drawn again."""

from __future__ import annotations

from typing import Any

from django.template.loader import get_template
from django.utils.safestring import SafeString

from roadmap.queries.portfolio import Portfolio
from roadmap.queries.portfolio_standing import PortfolioRow

TEMPLATE = "roadmap/portfolio.html#row"
MOST_ROWS = 2_000
# By address: everything that a row is drawn from, and its markup.
_drawn: dict[str, tuple[tuple[Any, ...], SafeString]] = {}


def forget() -> None:
    """Empty this process's memory."""
    _drawn.clear()


def row_markup(row: PortfolioRow, found: Portfolio) -> SafeString:
    """The row as the table shows it. It holds nothing of who asks."""
    drawn_from = (row, found.axis, found.today, found.scale)
    held = _drawn.get(row.slug)
    if held is not None and held[0] == drawn_from:
        return held[1]
    context = {"row": row, "axis": found.axis, "today": found.today, "scale": found.scale}
    markup = SafeString(get_template(TEMPLATE).render(context))
    if len(_drawn) >= MOST_ROWS:
        _drawn.clear()
    _drawn[row.slug] = (drawn_from, markup)
    return markup

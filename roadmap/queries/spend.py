"""The Spend page: the organisation's spend by any two dimensions, with its four figures, chart and table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.utils import timezone
from django.utils.translation import gettext

from accounts.access import Asker
from metrics import series
from metrics.windows import local_day
from roadmap.charts.spend_by import SpendByData, spend_by_chart
from roadmap.queries.portfolio_totals import fiscal_year
from roadmap.queries.spend_filters import DEFAULT_BY, DIMENSIONS, SpendFilters, parse_spend_filters
from roadmap.queries.spend_lines import Reading, SpendReader
from roadmap.queries.spend_plan import Choices, Plan, choices_of, plan_of
from roadmap.rules import spending
from roadmap.rules.phases import months_after
from roadmap.rules.spending import ALL, Cell, Grid, Key, Member, folded, grid_of
from web import wording
from web.pieces import Chart

MOST_COLUMNS = 12
MOST_ROWS = 120
# Dimensions whose members have an order of their own; of the others the largest comes first.
IN_ORDER = ("month", "phase", "category", "basis")


@dataclass(frozen=True, slots=True)
class SpendView:
    """What an asker may see of the spend that an address asks for: the reader, the filters checked, what there is."""

    asker: Asker
    plan: Plan
    filters: SpendFilters
    choices: Choices
    reader: SpendReader
    today: date
    currency: str

    @property
    def demo_is_in_totals(self) -> bool:
        return self.plan.include_demo and self.plan.has_demo

    @property
    def has_nothing(self) -> bool:
        """Whether nothing was ever spent or sent that this asker would see."""
        return not self.reader.names and not self.plan.entries


@dataclass(frozen=True, slots=True)
class Figure:
    """One of the figures above: its digits apart from their unit."""

    name: str
    title: str
    figure: str
    unit: str
    note: str

    @property
    def has_digits(self) -> bool:
        """False where words stand in the figure's place."""
        return any(letter.isdigit() for letter in self.figure)


@dataclass(frozen=True, slots=True)
class GridRow:
    """A row of the table, in texts: exact to the cent."""

    name: str
    cells: Sequence[str]
    total: str
    not_priced: str
    is_special: bool


@dataclass(frozen=True, slots=True)
class GridTable:
    """The table of the view. `folded`: how many members stand together in a row or column of others."""

    caption: str
    head: str
    columns: Sequence[str]
    rows: Sequence[GridRow]
    foot: Sequence[str]
    total: str
    not_priced: str
    folded: int


@dataclass(frozen=True, slots=True)
class SpendPage:
    """Everything that the page shows."""

    view: SpendView
    reading: Reading
    sentence: str
    rest: str
    figures: Sequence[Figure]
    facts: Sequence[tuple[str, str]]
    chart: Chart
    table: GridTable | None
    windows: Sequence[tuple[str, str, bool]]

    @property
    def filters(self) -> SpendFilters:
        return self.view.filters

    @property
    def no_rate(self) -> list[str]:
        return sorted(self.reading.no_rate)

    @property
    def stale_rates(self) -> list[tuple[str, date]]:
        return sorted(self.reading.stale_rates.items())


def spend_view(
    asker: Asker, parameters: Mapping[str, Any], *, now: datetime | None = None, **options: Any
) -> SpendView:
    """The view of an address. `options`: as `parse_spend_filters` takes them."""
    today = local_day(now or timezone.now(), settings.REPORTING_ZONE)
    filters = parse_spend_filters(parameters, today=today, **options)
    plan = plan_of(asker)
    names = series.names(None if plan.sees_all else tuple(plan.roadmaps), include_demo=plan.include_demo)
    choices = choices_of(plan, names)
    filters = filters.checked(choices)
    return SpendView(
        asker=asker,
        plan=plan,
        filters=filters,
        choices=choices,
        reader=SpendReader(plan, filters, names, today),
        today=today,
        currency=settings.REPORTING_CURRENCY,
    )


def spend_page(asker: Asker, parameters: Mapping[str, Any], *, now: datetime | None = None) -> SpendPage:
    """The page. The number of queries does not grow with roadmaps, backends, series or months."""
    view = spend_view(asker, parameters, now=now)
    cells, reading = view.reader.cells(view.filters.by)
    total = reading.parts.total.amount
    window = {"window": view.filters.window_text}
    sentence = gettext("No spend is known, %(window)s.") % window
    if total is not None:
        sentence = gettext("%(amount)s was spent, %(window)s.") % {
            "amount": wording.money(total, view.currency),
            **window,
        }
    return SpendPage(
        view=view,
        reading=reading,
        sentence=sentence,
        rest=_largest(view, cells, total),
        figures=figures_of(view, reading),
        facts=facts_of(view, reading),
        chart=spend_by_chart(
            SpendByData(
                by=view.filters.by,
                cells=cells,
                names=DIMENSIONS,
                currency=view.currency,
                window=view.filters.window_text,
                title=_chart_title(view, cells, total),
            )
        ),
        table=table_of(view, cells) if cells else None,
        windows=window_links(view),
    )


# --- Words


def _tops(cells: Mapping[Key, Cell], by: Sequence[str]) -> tuple[Member, Decimal] | None:
    """The largest member of the first dimension that is no month."""
    place = next((index for index, name in enumerate(by) if name != "month"), None)
    if place is None:
        return None
    sums: dict[Member, Decimal] = {}
    for key, cell in cells.items():
        sums[key[place]] = sums.get(key[place], Decimal(0)) + (cell.amount or Decimal(0))
    if not sums:
        return None
    top = max(sorted(sums), key=lambda one: sums[one])
    return top, sums[top]


def _largest(view: SpendView, cells: Mapping[Key, Cell], total: Decimal | None) -> str:
    top = _tops(cells, view.filters.by)
    if top is None or not total or total <= 0 or top[1] <= 0:
        return ""
    return gettext("%(name)s took %(share)s.") % {"name": top[0].title, "share": wording.percent(top[1] / total)}


def _chart_title(view: SpendView, cells: Mapping[Key, Cell], total: Decimal | None) -> str:
    top = _tops(cells, view.filters.by)
    if top is None or not total or total <= 0:
        return gettext("%(amount)s spent") % {"amount": wording.money(total, view.currency)}
    return gettext("%(name)s is the largest with %(amount)s") % {
        "name": top[0].title,
        "amount": wording.money(top[1], view.currency),
    }


def figures_of(view: SpendView, reading: Reading) -> list[Figure]:
    """The four figures above: total, unallocated share, not priced, billed minus estimated."""
    parts = reading.parts
    return [
        _money_figure("total", gettext("Spend"), parts.total.amount, view.currency, view.filters.window_text),
        _unallocated(view, reading),
        _not_priced(parts.total),
        _gap(view, reading),
    ]


def _money_figure(name: str, title: str, amount: Decimal | None, currency: str, note: str) -> Figure:
    if amount is None:
        return Figure(name, title, str(wording.NO_DATA), "", note)
    digits, letter = wording.scaled(amount)
    return Figure(name, title, digits, f"{letter} {currency}".strip(), note)


def _unallocated(view: SpendView, reading: Reading) -> Figure:
    if not view.plan.sees_all:
        return Figure(
            "unallocated",
            gettext("Unallocated"),
            gettext("not yours"),
            "",
            gettext("Usage of no roadmap is shown to admins and executives"),
        )
    share, amount = reading.parts.unallocated_share, reading.parts.unallocated.amount
    note = gettext("%(amount)s of usage spend") % {"amount": wording.money(amount or Decimal(0), view.currency)}
    return Figure(
        "unallocated",
        gettext("Unallocated"),
        wording.percent(share),
        "",
        note if share is not None else gettext("no usage spend"),
    )


def _not_priced(total: Cell) -> Figure:
    tokens, requests = total.tokens, total.requests
    amount, unit = (tokens, gettext("tokens")) if tokens or not requests else (requests, gettext("requests"))
    digits, letter = wording.scaled(Decimal(amount).quantize(Decimal(1)))
    note = (
        gettext("in no total; priced later, they count on their day") if amount else gettext("everything has a price")
    )
    if tokens and requests:
        note = gettext("with %(count)s requests; in no total") % {"count": wording.short(Decimal(requests))}
    return Figure("not_priced", gettext("Not priced"), digits, f"{letter} {unit}".strip(), note)


def _gap(view: SpendView, reading: Reading) -> Figure:
    parts = reading.parts
    if parts.gap is None:
        return Figure("gap", gettext("Billed minus estimated"), str(wording.NO_DATA), "", gettext("no hour has both"))
    digits, letter = wording.scaled(parts.gap)
    sign = "+" if parts.gap > 0 else ""
    ratio = parts.gap_ratio
    note = gettext("over hours with both")
    if ratio is not None:
        share = f"{'+' if ratio > 0 else ''}{wording.percent(ratio)}"
        note = gettext("%(share)s of the estimate; over hours with both") % {"share": share}
    return Figure(
        "gap",
        gettext("Billed minus estimated"),
        f"{sign}{digits}",
        f"{letter} {view.currency}".strip(),
        note,
    )


def facts_of(view: SpendView, reading: Reading) -> list[tuple[str, str]]:
    """What the total is made of: every category, idle always, and by basis."""
    parts = reading.parts
    found = dict(parts.by_category)
    found.setdefault(spending.IDLE_CATEGORY, Cell(Decimal(0)))
    facts = [
        (category.title, wording.money(cell.amount, view.currency))
        for category, cell in sorted(found.items())
        if cell.amount is not None
    ]
    bases = [
        f"{wording.percent(cell.amount / parts.total.amount)} {basis.title.lower()}"
        for basis, cell in sorted(parts.by_basis.items())
        if cell.amount and parts.total.amount
    ]
    return [*facts, (gettext("Basis"), ", ".join(bases))] if bases else facts


# --- The table


def table_of(view: SpendView, cells: Mapping[Key, Cell]) -> GridTable:
    """The first dimension down, the second across; a long second one down where the first is short."""
    by = list(view.filters.by)
    shown: dict[Key, Cell] = dict(cells)
    if len(by) > 1:
        count = [len({key[place] for key in cells}) for place in (0, 1)]
        # Months read best downwards; else the longer dimension does.
        if by[1] == "month" or (by[0] != "month" and count[1] > MOST_COLUMNS >= count[0]):
            by.reverse()
            shown = {(key[1], key[0]): cell for key, cell in cells.items()}
    kept, fewer = shown, 0
    if by[0] != "month":
        kept, fewer = folded(kept, 0, MOST_ROWS)
    if len(by) > 1 and by[1] != "month":
        kept, others = folded(kept, 1, MOST_COLUMNS)
        fewer += others
    return _table(by, kept, grid_of(kept), view.currency, fewer, view.filters.window_text)


def _table(
    by: Sequence[str], cells: Mapping[Key, Cell], grid: Grid, currency: str, fewer: int, window: str
) -> GridTable:
    without: dict[Member, Cell] = {}
    for key, cell in cells.items():
        without.setdefault(key[0], Cell()).add(None, cell.tokens, cell.requests)
    columns = [column for column in grid.columns if column is not ALL]
    rows = [
        GridRow(
            name=row.title,
            cells=[_cell(grid.cells.get((row, column))) for column in columns],
            total=_cell(grid.row_totals.get(row)),
            not_priced=not_priced_text(without[row]),
            is_special=row.is_special,
        )
        for row in (grid.rows if by[0] in IN_ORDER else by_size(grid))
    ]
    words = gettext(" and ").join(str(DIMENSIONS[name]).lower() for name in by)
    return GridTable(
        caption=gettext("Spend by %(words)s, %(currency)s, %(window)s")
        % {"words": words, "currency": currency, "window": window},
        head=DIMENSIONS[by[0]],
        columns=[column.title for column in columns],
        rows=rows,
        foot=[_cell(grid.column_totals.get(column)) for column in columns],
        total=_cell(grid.total),
        not_priced=not_priced_text(spending.totals_of(without.values())),
        folded=fewer,
    )


def by_size(grid: Grid) -> list[Member]:
    """The rows, largest first; what is special last."""
    return sorted(grid.rows, key=lambda row: (row.is_special, -grid.row_totals.get(row, Decimal(0)), row))


def _cell(amount: Decimal | None) -> str:
    return wording.DASH if amount is None else wording.decimals(amount, 2)


def not_priced_text(cell: Cell) -> str:
    """'1.2 M tokens', '40 requests', or a dash."""
    if cell.tokens:
        return gettext("%(count)s tokens") % {"count": wording.short(Decimal(cell.tokens).quantize(Decimal(1)))}
    if cell.requests:
        return gettext("%(count)s requests") % {"count": wording.short(Decimal(cell.requests).quantize(Decimal(1)))}
    return wording.DASH


def window_links(view: SpendView) -> list[tuple[str, str, bool]]:
    """(text, query, is current) of windows that are often asked for; the other filters are kept."""
    today, filters = view.today, view.filters
    month = today.replace(day=1)
    spans = [
        (gettext("This month"), month, today),
        (gettext("Last month"), months_after(month, -1), month.fromordinal(month.toordinal() - 1)),
        (gettext("Fiscal year to date"), fiscal_year(today)[0], today),
        (gettext("12 months"), months_after(month, -11), today),
        (gettext("36 months"), months_after(month, -35), today),
    ]
    by = {} if filters.by == DEFAULT_BY else {"by": ",".join(filters.by)}
    kept = by | {name: value for name, value in filters.values.items() if value}
    return [
        (
            text,
            query_of({"from": first.isoformat(), "to": last.isoformat()} | kept),
            (first, last) == (filters.start_on, filters.last_on),
        )
        for text, first, last in spans
    ]


def query_of(pairs: Mapping[str, str]) -> str:
    """'?a=1&b=2'."""
    return f"?{urlencode(pairs)}" if pairs else ""

"""The rows of a spend view as files have them: each combination with its exact amount, or FOCUS 1.2."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Literal

from django.conf import settings

from metrics.figures import Part, UsageRow
from metrics.money import PLACES, RunningRounder, rounded_parts
from metrics.windows import month_of, next_month, start_of_day
from roadmap.queries.spend import SpendView
from roadmap.queries.spend_filters import DIMENSIONS
from roadmap.queries.spend_lines import Reading, part_lines
from roadmap.rules import spending
from roadmap.rules.focus_rows import COLUMNS, FocusLine, focus_row
from roadmap.rules.spending import Cell, Key, Member
from web.spreadsheets import Column, Value, csv_pieces

DAY = timedelta(days=1)
# Every dimension that a row of FOCUS has something to say of.
FOCUS_DIMENSIONS = ("roadmap", "phase", "provider", "backend", "model", "team")


@dataclass(frozen=True, slots=True)
class SpendRow:
    """One combination: a member for each dimension, its amount at 10 places (None: not known), what is not priced."""

    members: Key
    amount: Decimal | None
    tokens: Decimal | int
    requests: Decimal | int


def spend_rows(cells: Mapping[Key, Cell]) -> list[SpendRow]:
    """Every combination in order. The amounts add up to the total, rounded to 10 places, exactly."""
    keys = sorted(cells)
    known = [key for key in keys if cells[key].amount is not None]
    amounts = dict(
        zip(known, rounded_parts([cells[key].amount or Decimal(0) for key in known], places=PLACES), strict=True)
    )
    return [SpendRow(key, amounts.get(key), cells[key].tokens, cells[key].requests) for key in keys]


def spend_columns(by: Sequence[str], currency: str) -> list[Column]:
    """The columns of a spend file: id and name of each dimension, amount, what is not priced."""
    found = []
    for name in by:
        found += [Column(name), Column(f"{name}_name")] if name != "month" else [Column("month", "day")]
    return [
        *found,
        Column(f"amount_{currency}", "money"),
        Column("not_priced_tokens", "count"),
        Column("not_priced_requests", "count"),
    ]


def spend_values(by: Sequence[str], row: SpendRow) -> list[Value]:
    """A row's cells in the order of `spend_columns`; what is special has a name and no id."""
    found: list[Value] = []
    for name, one in zip(by, row.members, strict=True):
        found += [date.fromisoformat(f"{one.id}-01")] if name == "month" else [one.value or "", one.name]
    return [*found, row.amount, _whole(row.tokens), _whole(row.requests)]


def about(view: SpendView, reading: Reading, title: str) -> list[str]:
    """What a spreadsheet says about itself."""
    filters = [f"{DIMENSIONS[name]}: {value}" for name, value in view.filters.values.items() if value]
    return [
        title,
        f"{view.filters.window_text}, local days of {settings.REPORTING_TIME_ZONE}",
        f"Amounts in {view.currency}, without tax",
        f"Filters: {'; '.join(filters) or 'none'}",
        "Usage without a price is in no amount; it stands in its own columns.",
        *[f"No exchange rate: {currency} is in no amount" for currency in sorted(reading.no_rate)],
        *(["These are the demo's figures."] if view.demo_is_in_totals else []),
    ]


def csv_rows(view: SpendView, cells: Mapping[Key, Cell]) -> Iterator[str]:
    """The view's rows as the pieces of a CSV file."""
    by = view.filters.by
    heads = [column.name for column in spend_columns(by, view.currency)]
    return csv_pieces(heads, (spend_values(by, row) for row in spend_rows(cells)))


def focus_csv(view: SpendView, *, grain: str = "day") -> Iterator[str]:
    """FOCUS 1.2 as the pieces of a CSV file, by the day or by the month."""
    return csv_pieces(COLUMNS, focus_rows(view, grain="month" if grain == "month" else "day"))


def focus_rows(view: SpendView, *, grain: Literal["day", "month"] = "day") -> Iterator[list[Value]]:
    """The rows of FOCUS 1.2, month after month. Their costs add up to the view's total at 10 places."""
    rounder = RunningRounder()
    start = view.filters.start_on
    while start < view.filters.end_on:
        end = min(next_month(start), view.filters.end_on)
        for line in _lines(view, start, end, grain):
            yield focus_row(_rounded(line, rounder))
        start = end


def _rounded(line: FocusLine, rounder: RunningRounder) -> FocusLine:
    return replace(line, amount=rounder.round(line.amount))


def _lines(view: SpendView, start: date, end: date, grain: Literal["day", "month"]) -> Iterator[FocusLine]:
    """Usage, then cost entries, of the days [start, end) of one month."""
    reader = view.reader
    rows = reader.usage_rows(FOCUS_DIMENSIONS, grain="day" if grain == "day" else None, start_on=start, end_on=end)
    for row in rows:
        key = reader.members_of(row)
        if reader.keeps(key):
            first, after = (row.period, row.period + DAY) if row.period else (start, end)
            yield from _of_usage(view, row, key, first, after)
    entered = reader.entered_lines(Reading(), by_month=True, by_phase=True, start_on=start, end_on=end)
    for key, amount, (first, after) in entered:
        yield _line(view, key, spending.ENTERED_BASIS, amount, first, after)


def _of_usage(view: SpendView, row: UsageRow, key: dict[str, Member], first: date, after: date) -> Iterator[FocusLine]:
    """One line for each basis of a row."""
    held: dict[Member, list[Any]] = {}
    for part in row.sums.parts:
        for basis, amount, _, _ in part_lines(part):
            if amount is None or (view.filters.value("basis") and view.filters.value("basis") != basis.id):
                continue
            sums = held.setdefault(basis, [Decimal(0), None, None])
            sums[0] += amount
            sums[1] = _plus(sums[1], _tokens(part))
            sums[2] = _plus(sums[2], part.value("requests"))
    category = str(row.key.get("charge_category") or "Usage")
    for basis, (amount, tokens, requests) in held.items():
        yield _line(view, key, basis, amount, first, after, category, tokens, requests)


def _line(
    view: SpendView,
    key: Mapping[str, Member],
    basis: Member,
    amount: Decimal,
    first: date,
    after: date,
    charge_category: str = "Purchase",
    tokens: Any = None,
    requests: Any = None,
) -> FocusLine:
    month = month_of(first)
    return FocusLine(
        amount=amount,
        currency=view.currency,
        month_start=_midnight(month),
        month_end=_midnight(next_month(month)),
        start=_midnight(first),
        end=_midnight(after),
        category=key["category"],
        basis=basis,
        charge_category=charge_category,
        roadmap=key.get("roadmap", spending.UNALLOCATED),
        phase=key.get("phase", spending.UNALLOCATED),
        team=key["team"],
        provider=key["provider"],
        backend=key["backend"],
        model=key["model"],
        tokens=tokens,
        requests=requests,
    )


def _midnight(on: date) -> datetime:
    return start_of_day(on, settings.REPORTING_ZONE)


def _tokens(part: Part) -> Any:
    known = [value for name in ("input_tokens", "output_tokens") if (value := part.value(name)) is not None]
    return sum(known) if known else None


def _plus(held: Any, more: Any) -> Any:
    if more is None:
        return held
    return more if held is None else held + more


def _whole(value: Decimal | int) -> int:
    return int(Decimal(value).to_integral_value())

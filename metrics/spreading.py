"""Spreads a provider's statements over the usage they cover (measures.md, Money). Pure arithmetic over plain values."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, time
from decimal import Decimal

from metrics.connector import CostStatement
from metrics.counted import model_name
from metrics.money import STEP, split

NOON = time(12)
# FOCUS charge categories that stand for use; the others are shown apart from it.
SPREAD_CATEGORIES = frozenset({"Usage", "Purchase"})
# Amounts are without tax (measures.md).
LEFT_OUT = frozenset({"Tax"})


@dataclass(frozen=True, slots=True)
class UsedHour:
    """What a series did in an hour, as far as money is spread by it. None is unknown."""

    series_id: int
    hour: datetime
    model: str
    project: str | None = None
    estimate: Decimal | None = None
    tokens: Decimal | None = None
    requests: Decimal | None = None
    units: Decimal | None = None
    service_tier: str = "standard"


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a statement. `series_id` None: 'other charges' of the charge category."""

    series_id: int | None
    hour: datetime
    currency: str
    amount: Decimal
    category: str = "Usage"


def spread(statements: Iterable[CostStatement], used: Sequence[UsedHour]) -> list[Part]:
    """Return the parts of the statements, at 10 decimals, added up per series, hour, currency and category.

    The parts add up to the statements, tax aside. By estimate, else tokens, else requests, else units (what a tool does
    is counted in nothing else); where a statement covers no usage it goes to other charges at 12:00 UTC of its first
    day.
    """
    rows = sorted(used, key=lambda row: (row.series_id, row.hour))
    sums: dict[tuple[int | None, datetime, str, str], Decimal] = defaultdict(Decimal)
    for statement in statements:
        if statement.charge_category in LEFT_OUT:
            continue
        amount = statement.amount.quantize(STEP)
        is_spread = statement.charge_category in SPREAD_CATEGORIES
        category = "Usage" if is_spread else statement.charge_category
        covered = _covered(statement, rows) if is_spread else []
        weights = basis(covered)
        if weights is None:
            noon = datetime.combine(statement.start.date(), NOON, tzinfo=statement.start.tzinfo)
            sums[None, noon, statement.currency, category] += amount
            continue
        for row, part in zip(covered, split(amount, weights), strict=True):
            # A statement of nothing is one, too: it takes the place of the estimates.
            if part or not amount:
                sums[row.series_id, row.hour, statement.currency, category] += part
    return [
        Part(series, hour, currency, amount, category) for (series, hour, currency, category), amount in sums.items()
    ]


def basis(rows: Sequence[UsedHour]) -> list[Decimal] | None:
    """Return the weights: the first of estimate, tokens, requests, units that every row knows, else that any knows."""
    ways: tuple[Callable[[UsedHour], Decimal | None], ...] = (
        lambda row: row.estimate,
        lambda row: row.tokens,
        lambda row: row.requests,
        lambda row: row.units,
    )
    for needs_all in (True, False):
        for way in ways:
            values = [way(row) for row in rows]
            if needs_all and any(value is None for value in values):
                continue
            weights = [max(value, Decimal(0)) if value is not None else Decimal(0) for value in values]
            if sum(weights) > 0:
                return weights
    return None


def _covered(statement: CostStatement, rows: Sequence[UsedHour]) -> list[UsedHour]:
    """The rows in its period, of its model, tier and project. Usage that carries no project is covered by any."""
    found = [row for row in rows if statement.start <= row.hour < statement.end]
    if statement.model is not None:
        name = model_name(statement.model)
        found = [row for row in found if model_name(row.model) == name]
    if statement.service_tier is not None:
        found = [row for row in found if row.service_tier == statement.service_tier]
    if statement.project is not None and any(row.project is not None for row in found):
        found = [row for row in found if row.project == statement.project]
    return found

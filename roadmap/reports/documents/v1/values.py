"""Schema version 1's JSON back to exact values, by what its keys are called."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any

from roadmap.reports.document import Json

_DATE_KEYS = ("_on", "month")
_DATES = frozenset({"on"})
_MOMENT_KEYS = frozenset({"data_until"})
_DECIMAL_KEYS = frozenset(
    {
        "amount",
        "one_off",
        "continuing",
        "rest",
        "value",
        "low",
        "high",
        "before",
        "coverage",
        "spend",
        "spent",
        "budget",
        "spend_before",
        "total",
        "total_before",
        "billed",
        "estimated",
        "entered",
        "baseline",
        "target",
        "not_priced_requests",
        "not_priced_tokens",
    }
)


def values_of(value: Any, key: str = "") -> Any:
    """JSON back to Decimal, date and datetime where a key says so by its name; everything else as it is."""
    if isinstance(value, dict):
        # What a revision moved is text, whatever its keys are called.
        return {name: item if name == "moved" else values_of(item, name) for name, item in value.items()}
    if isinstance(value, list):
        return [values_of(item, key) for item in value]
    if not isinstance(value, str):
        return value
    if key in _MOMENT_KEYS:
        return datetime.fromisoformat(value)
    if key in _DATES or key.endswith(_DATE_KEYS):
        return date.fromisoformat(value)
    if key in _DECIMAL_KEYS:
        return Decimal(value)
    return value


def totals_of(rows: list[Json]) -> dict[str, Decimal | None]:
    """The portfolio's sums; None where no roadmap's is known."""
    totals: dict[str, Decimal | None] = {}
    for name in ("spend", "spend_before", "billed", "estimated", "entered"):
        known = [row[name] for row in rows if row[name] is not None]
        totals[name] = sum(known, Decimal(0)) if known else None
    return totals

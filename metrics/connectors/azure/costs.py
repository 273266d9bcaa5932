"""What Azure's Cost Management says that resources cost, by UTC day and meter (query, api-version 2025-03-01)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from metrics.connector import CostStatement
from metrics.connectors.azure import READ, Azure
from metrics.windows import Window

DAY = timedelta(days=1)
VERSION = "2025-03-01"
# A longer range by the day is cut off without a word.
LONGEST_DAYS = 31
CATEGORIES = {"usage": "Usage", "purchase": "Purchase", "tax": "Tax", "credit": "Credit"}
# Words after a model's name that make it another model.
VARIANTS = frozenset({"mini", "nano", "pro", "audio", "realtime", "transcribe", "tts", "image", "codex", "turbo"})


def statements(
    azure: Azure, resources: Sequence[str], window: Window, models: Sequence[str], *, kind: str
) -> Iterator[CostStatement]:
    """Statements of the UTC days that the window touches. `kind`: ActualCost or AmortizedCost. Raises ConnectorError.

    `models`: those seen in the window; a meter that names one of them is charged to it, others to all.
    """
    totals: dict[tuple[date, str | None, str, str, str], Decimal] = {}
    start_on, end_on = window.start.date(), (window.end - timedelta(microseconds=1)).date() + DAY
    for subscription, members in _by_subscription(resources).items():
        first = start_on
        while first < end_on:
            until = min(first + LONGEST_DAYS * DAY, end_on)
            for day, amount, currency, meter, charge in _rows(azure, subscription, members, first, until, kind):
                if first <= day < until:
                    category = CATEGORIES.get(charge.lower(), "Adjustment")
                    if amount < 0 and category == "Usage":
                        category = "Credit"
                    key = (day, model_of(meter, models) if category == "Usage" else None, category, meter, currency)
                    totals[key] = totals.get(key, Decimal(0)) + amount
            first = until
    for (day, model, category, meter, currency), amount in totals.items():
        start = datetime(day.year, day.month, day.day, tzinfo=UTC)
        yield CostStatement(
            start=start,
            end=start + DAY,
            amount=amount,
            currency=currency,
            model=model,
            charge_category=category,
            description=meter[:200],
        )


def _by_subscription(resources: Sequence[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for resource in resources:
        found.setdefault("/".join(resource.split("/")[:3]), []).append(resource)
    return found


def _rows(
    azure: Azure, subscription: str, resources: Sequence[str], start_on: date, end_on: date, kind: str
) -> Iterator[tuple[date, Decimal, str, str, str]]:
    question = {
        "type": kind,
        "timeframe": "Custom",
        # Its end is included.
        "timePeriod": {"from": f"{start_on}T00:00:00Z", "to": f"{end_on - DAY}T23:59:59Z"},
        "dataset": {
            "granularity": "Daily",
            "aggregation": {"totalCost": {"name": "Cost", "function": "Sum"}},
            "grouping": [{"type": "Dimension", "name": "Meter"}, {"type": "Dimension", "name": "ChargeType"}],
            "filter": {"dimensions": {"name": "ResourceId", "operator": "In", "values": list(resources)}},
        },
    }
    place, params = f"{subscription}/providers/Microsoft.CostManagement/query", [("api-version", VERSION)]

    def ask(link: str | None) -> Mapping[str, Any]:
        page = azure.query(link, question) if link else azure.query(place, question, params)
        return READ.mapping(page.get("properties"), "the answer's properties")

    seen: set[tuple[date, str, str, str]] = set()
    for page in READ.pages(ask, more="nextLink", cursor="nextLink"):
        for day, amount, currency, meter, charge in _of_page(page):
            if (day, currency, meter, charge) in seen:
                raise READ.malformed("it gives one row of a day twice")
            seen.add((day, currency, meter, charge))
            yield day, amount, currency, meter, charge


def _of_page(properties: Mapping[str, Any]) -> Iterator[tuple[date, Decimal, str, str, str]]:
    """Rows are positional; which column is which, their names say."""
    columns: dict[str, int] = {}
    for place, told in enumerate(READ.sequence(properties.get("columns"), "the list of columns")):
        columns[str(READ.mapping(told, "a column").get("name")).lower()] = place

    def place_of(*names: str) -> int:
        for name in names:
            if name in columns:
                return columns[name]
        raise READ.malformed(f"it has no column {names[0]}")

    cost, on = place_of("cost", "totalcost", "pretaxcost"), place_of("usagedate", "date")
    currency, meter, charge = place_of("currency"), place_of("meter", "metername"), place_of("chargetype")
    for told in READ.sequence(properties.get("rows"), "the list of rows"):
        row = READ.sequence(told, "a row")
        if len(row) != len(columns):
            raise READ.malformed("a row has not as many values as there are columns")
        yield (
            _day(row[on]),
            READ.amount(row[cost]),
            READ.currency(row[currency]),
            str(row[meter] or "unknown"),
            str(row[charge] or "Usage"),
        )


def _day(value: Any) -> date:
    """20261101 as a number, or a date or time as text."""
    text = str(value)
    text = f"{text[:4]}-{text[4:6]}-{text[6:8]}" if re.fullmatch(r"\d{8}", text) else text[:10]
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise READ.malformed("a day is not a day") from None


def model_of(meter: str, models: Sequence[str]) -> str | None:
    """The model that a meter names: 'gpt 4o mini 0718 Inp glbl Tokens' is gpt-4o-mini; None for the whole resource."""
    words = _words(meter)
    found = []
    for model in models:
        name = _words(model)
        rest = words[len(name) :]
        if name and words[: len(name)] == name and not (rest and rest[0] in VARIANTS):
            found.append((len(name), model))
    return max(found)[1] if found else None


def _words(text: str) -> list[str]:
    return re.findall(r"[a-z0-9.]+", text.lower())

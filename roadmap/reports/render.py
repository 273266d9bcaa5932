"""Drawing a frozen document. Each schema version keeps its renderer, so that an old report looks as it did."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

from roadmap.reports.section import Json

_TEMPLATES = {1: "reports/v1"}
_DATE_KEYS = ("_on", "month")


def template_and_context(payload: Json) -> tuple[str, dict[str, Any]]:
    """The template's name and its context, from the payload alone. KeyError for an unknown schema version."""
    folder = _TEMPLATES[payload["schema_version"]]
    document = values_of(payload)
    context = {"document": document, "sections": {}}
    if payload["scope"] == "roadmap":
        context["sections"] = {section["name"]: section["value"] for section in document["sections"]}
    else:
        context["totals"] = _totals(document["rows"])
    return f"{folder}/{payload['scope']}.html", context


def values_of(value: Any, key: str = "") -> Any:
    """JSON back to Decimal and date where a key says so by its name; everything else as it is."""
    if isinstance(value, dict):
        return {name: values_of(item, name) for name, item in value.items()}
    if isinstance(value, list):
        return [values_of(item, key) for item in value]
    if not isinstance(value, str):
        return value
    if key.endswith(_DATE_KEYS):
        return date.fromisoformat(value)
    if key in _DECIMAL_KEYS:
        return Decimal(value)
    return value


_DECIMAL_KEYS = frozenset(
    {
        "value",
        "low",
        "high",
        "before",
        "coverage",
        "spend",
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


def _totals(rows: list[Json]) -> dict[str, Decimal | None]:
    totals: dict[str, Decimal | None] = {}
    for name in ("spend", "spend_before", "billed", "estimated", "entered"):
        known = [row[name] for row in rows if row[name] is not None]
        totals[name] = sum(known, Decimal(0)) if known else None
    return totals

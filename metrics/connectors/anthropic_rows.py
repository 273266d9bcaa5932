"""What rows of Anthropic's reports say in our measures, classic and analytics alike. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from metrics.answers import Reader
from metrics.connector import CostStatement
from metrics.usage import SeriesKey, UsageCell

READ = Reader("Anthropic")
CENTS = Decimal(100)
# The default workspace has no id; it is one all the same, and no more than one.
DEFAULT_WORKSPACE = "default"
# Tools by their type of cost, under the name that stands for a model.
SERVICES = {"web_search": "web search", "code_execution": "code execution", "session_usage": "session usage"}


@dataclass(frozen=True, slots=True)
class Charge:
    """One row of a cost report: the period, what it says of itself, and the amount as it was written, in cents."""

    start: datetime
    end: datetime
    dimensions: Mapping[str, Any]
    amount: Any
    currency: Any


def usage_cells(dimensions: Mapping[str, Any], counts: Mapping[str, Any], hour: datetime) -> Iterator[UsageCell]:
    """Yield the cells of one row of a usage report.

    The input's parts are disjoint: what was not cached, what was read from the cache, and what was written to it for 5
    minutes or for an hour. Our input tokens hold them all.
    """
    labels = _labels(dimensions)
    key = SeriesKey(
        provider="anthropic",
        model=str(dimensions.get("model") or "unknown"),
        service_tier=str(dimensions.get("service_tier") or "standard"),
        labels=labels,
    )
    sums: dict[str, int | Decimal] = {}
    fresh, cached = _count(counts, "uncached_input_tokens"), _count(counts, "cache_read_input_tokens")
    created = READ.mapping(counts.get("cache_creation") or {}, "cache_creation")
    written = [_count(created, name) for name in ("ephemeral_5m_input_tokens", "ephemeral_1h_input_tokens")]
    known = [part for part in (fresh, cached, *written) if part is not None]
    if known:
        sums["input_tokens"] = sum(known)
    if cached is not None:
        sums["cached_input_tokens"] = cached
    if any(part is not None for part in written):
        sums["cache_write_input_tokens"] = sum(part for part in written if part is not None)
    for field, measure in (("output_tokens", "output_tokens"), ("requests", "requests")):
        count = _count(counts, field)
        if count is not None:
            sums[measure] = count
    yield UsageCell(key=key, hour=hour, sums=sums)
    searches = _count(READ.mapping(counts.get("server_tool_use") or {}, "server_tool_use"), "web_search_requests")
    if searches:
        # In units: the request that searched is counted already.
        tool = SeriesKey("anthropic", SERVICES["web_search"], "web_search", labels=labels)
        yield UsageCell(key=tool, hour=hour, sums={"units": Decimal(searches)})


def statements(charges: Iterable[Charge]) -> Iterator[CostStatement]:
    """Yield one statement per day, model, workspace, tier and description, in major units."""
    totals: dict[tuple[Any, ...], Decimal] = {}
    for charge in charges:
        said = charge.dimensions
        key = (
            charge.start,
            charge.end,
            READ.currency(charge.currency or "USD"),
            _covers(said),
            str(said.get("workspace_id") or DEFAULT_WORKSPACE),
            str(said.get("service_tier")) if said.get("service_tier") else None,
            str(said.get("description") or said.get("cost_type") or ""),
        )
        totals[key] = totals.get(key, Decimal(0)) + READ.amount(charge.amount) / CENTS
    for (start, end, currency, model, workspace, tier, description), amount in totals.items():
        yield CostStatement(
            start=start,
            end=end,
            amount=amount,
            currency=currency,
            model=model,
            project=workspace,
            charge_category="Credit" if amount < 0 else "Usage",
            description=description,
            service_tier=None if model in SERVICES.values() else tier,
        )


def _covers(said: Mapping[str, Any]) -> str | None:
    """The model or tool that a row is charged for; None where it names neither."""
    kind = said.get("cost_type")
    if kind in SERVICES:
        return SERVICES[kind]
    if said.get("model"):
        return str(said["model"])
    return None if kind in (None, "tokens") else str(kind).replace("_", " ")


def _labels(dimensions: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """By name, in order. Use of the Console has no API key."""
    found = [("workspace", str(dimensions.get("workspace_id") or DEFAULT_WORKSPACE))]
    if "api_key_id" in dimensions:
        found.append(("api_key", str(dimensions["api_key_id"] or "console")))
    return tuple(sorted(found))


def _count(row: Mapping[str, Any], field: str) -> int | None:
    return None if row.get(field) is None else READ.count(row[field], field)

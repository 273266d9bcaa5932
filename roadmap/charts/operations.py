"""Agents, tools, retrieval, chat: requests and spend by operation. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from roadmap.charts import frame
from roadmap.charts.frame import plain
from web import wording
from web.pieces import Chart, Head, Table

ROW_HEIGHT = 30
MOST_ROWS = 10

# OpenTelemetry's `gen_ai.operation.name` values, as people say them.
NAMES = {
    "chat": "Chat",
    "generate_content": "Generate content",
    "text_completion": "Text completion",
    "embeddings": "Embeddings",
    "retrieval": "Retrieval",
    "rerank": "Reranking",
    "execute_tool": "Tools",
    "invoke_agent": "Agents",
    "create_agent": "Create agent",
    "invoke_workflow": "Workflows",
}


def name_of(operation: str) -> str:
    """'Agents' for 'invoke_agent'; another operation by its own name."""
    return NAMES.get(operation, operation)


@dataclass(frozen=True, slots=True)
class OperationRow:
    """One operation over the window. Unknown is None."""

    operation: str
    requests: int | Decimal | None
    errors: int | Decimal | None
    tokens: int | Decimal | None
    spend: Decimal | None


def operations_chart(rows: Sequence[OperationRow], *, window: str, currency: str) -> Chart:
    """Requests by operation; the table has errors, tokens and spend beside."""
    ordered = sorted(rows, key=lambda row: row.requests or 0, reverse=True)
    total = sum((row.requests or 0 for row in ordered), 0)
    first = ordered[0]
    share = Decimal(first.requests or 0) / Decimal(total) if total else None
    return Chart(
        id="operations",
        title=f"{name_of(first.operation)} {'are' if name_of(first.operation).endswith('s') else 'is'}"
        f" {wording.percent(share)} of the requests",
        subtitle=f"Requests by operation, {window}",
        spec=_spec(ordered[:MOST_ROWS]),
        table=_table(ordered, window, currency),
        label=", ".join(f"{name_of(row.operation)} {wording.short(row.requests)}" for row in ordered),
        width="w6",
    )


def _spec(rows: Sequence[OperationRow]) -> dict[str, Any]:
    values = [
        {
            "name": name_of(row.operation),
            "v": plain(row.requests or 0),
            "text": wording.short(row.requests),
            "tokens": wording.short(row.tokens),
        }
        for row in rows
    ]
    y = {"field": "name", "type": "nominal", "sort": [value["name"] for value in values], "title": None}
    x = {"field": "v", "type": "quantitative", "title": None, "axis": None}
    layers = [
        {
            "mark": {"type": "bar", "color": "$c1", "height": 16},
            "encoding": {
                "y": y,
                "x": x,
                "tooltip": [
                    {"field": "name", "type": "nominal", "title": "Operation"},
                    {"field": "text", "type": "nominal", "title": "Requests"},
                    {"field": "tokens", "type": "nominal", "title": "Tokens"},
                ],
            },
        },
        {
            "mark": {"type": "text", "align": "left", "dx": 6, "baseline": "middle", "tooltip": None},
            "encoding": {"y": y, "x": x, "text": {"field": "text", "type": "nominal"}},
        },
    ]
    spec = frame.figure(layers, height=max(2, len(rows)) * ROW_HEIGHT)
    return {"data": {"values": values}, **spec}


def _table(rows: Sequence[OperationRow], window: str, currency: str) -> Table:
    return Table(
        caption=f"By operation, {window}",
        heads=[
            Head("Operation"),
            frame.figures_head("Requests"),
            frame.figures_head("Errors"),
            frame.figures_head("Tokens"),
            frame.figures_head(f"Spend, {currency}"),
        ],
        rows=[
            [
                name_of(row.operation),
                wording.count(row.requests),
                wording.count(row.errors),
                wording.count(row.tokens),
                wording.decimals(row.spend, 2),
            ]
            for row in rows
        ],
    )

"""Agents, tools, retrieval, chat: requests and spend by operation. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.utils.translation import gettext, gettext_lazy

from roadmap.charts import frame
from roadmap.charts.frame import plain
from web import wording
from web.pieces import Chart, Head, Table

ROW_HEIGHT = 30
MOST_ROWS = 10

# OpenTelemetry's `gen_ai.operation.name` values, as people say them.
NAMES = {
    "chat": gettext_lazy("Chat"),
    "generate_content": gettext_lazy("Generate content"),
    "text_completion": gettext_lazy("Text completion"),
    "embeddings": gettext_lazy("Embeddings"),
    "retrieval": gettext_lazy("Retrieval"),
    "rerank": gettext_lazy("Reranking"),
    "execute_tool": gettext_lazy("Tools"),
    "invoke_agent": gettext_lazy("Agents"),
    "create_agent": gettext_lazy("Create agent"),
    "invoke_workflow": gettext_lazy("Workflows"),
}


# Those whose name is a plural.
_MANY = {"embeddings", "execute_tool", "invoke_agent", "invoke_workflow"}


def name_of(operation: str) -> str:
    """'Agents' for 'invoke_agent'; another operation by its own name."""
    return str(NAMES.get(operation, operation))


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
        title=(
            gettext("%(operation)s are %(share)s of the requests")
            if first.operation in _MANY
            else gettext("%(operation)s is %(share)s of the requests")
        )
        % {"operation": name_of(first.operation), "share": wording.percent(share)},
        subtitle=gettext("Requests by operation, %(window)s") % {"window": window},
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
                    {"field": "name", "type": "nominal", "title": gettext("Operation")},
                    {"field": "text", "type": "nominal", "title": gettext("Requests")},
                    {"field": "tokens", "type": "nominal", "title": gettext("Tokens")},
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
        caption=gettext("By operation, %(window)s") % {"window": window},
        heads=[
            Head(gettext("Operation")),
            frame.figures_head(gettext("Requests")),
            frame.figures_head(gettext("Errors")),
            frame.figures_head(gettext("Tokens")),
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

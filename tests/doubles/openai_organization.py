"""OpenAI's organization usage, costs and projects, answered from a small ledger of usage.

Shapes from openai-openapi (/organization/usage/*, /organization/costs, /organization/projects) and the types of the
`openai` package, which reads these answers in tests/peers. What was not asked for in `group_by` comes back as null.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from tests.doubles.source_server import Asked, Reply, SourceServer

WIDTHS = {"1m": 60, "1h": 3600, "1d": 86_400}
MOST_BUCKETS = {"1m": 1440, "1h": 168, "1d": 31}
USUAL_BUCKETS = {"1m": 60, "1h": 24, "1d": 7}
DIMENSIONS = {
    "completions": ("project_id", "user_id", "api_key_id", "model", "batch", "service_tier", "api_source"),
    "decisions": ("project_id", "user_id", "api_key_id", "model", "batch", "service_tier", "api_source"),
    "embeddings": ("project_id", "user_id", "api_key_id", "model"),
    "moderations": ("project_id", "user_id", "api_key_id", "model"),
    "images": ("project_id", "user_id", "api_key_id", "model", "size", "source"),
    "audio_speeches": ("project_id", "user_id", "api_key_id", "model"),
    "audio_transcriptions": ("project_id", "user_id", "api_key_id", "model"),
    "vector_stores": ("project_id",),
    "code_interpreter_sessions": ("project_id",),
    "file_search_calls": ("project_id", "user_id", "api_key_id", "vector_store_id"),
    "web_search_calls": ("project_id", "user_id", "api_key_id", "model", "context_level", "api_source"),
    "costs": ("project_id", "user_id", "line_item", "api_key_id", "api_source"),
}
OBJECTS = {"file_search_calls": "file_searches", "web_search_calls": "web_searches"}
COUNTS = {
    "completions": ("input_tokens", "output_tokens", "num_model_requests"),
    "decisions": ("input_tokens", "output_tokens", "num_model_requests"),
    "embeddings": ("input_tokens", "num_model_requests"),
    "moderations": ("input_tokens", "num_model_requests"),
    "images": ("images", "num_model_requests"),
    "audio_speeches": ("characters", "num_model_requests"),
    "audio_transcriptions": ("seconds", "num_model_requests"),
    "vector_stores": ("usage_bytes",),
    "code_interpreter_sessions": ("num_sessions",),
    "file_search_calls": ("num_requests",),
    "web_search_calls": ("num_requests", "num_model_requests"),
}


@dataclass
class Row:
    """One thing that happened: usage of a kind in an hour, or a cost of a day (`kind` 'costs', `amount`)."""

    kind: str
    at: datetime
    dimensions: dict[str, Any]
    counts: dict[str, int] = field(default_factory=dict)
    # As it is written in the answer: a number, or text.
    amount: Any = None
    currency: str = "usd"


class OpenAIOrganization(SourceServer):
    """`rows` is the ledger. `refused`: groupings that this organization answers with 400. `key`: the admin key."""

    def __init__(self, *, key: str) -> None:
        super().__init__()
        self.key = key
        self.rows: list[Row] = []
        self.projects: dict[str, str] = {}
        self.refused: set[frozenset[str]] = set()
        self.missing: set[str] = set()
        self.buckets_a_page: int | None = None
        self.play = self.answer

    def use(self, kind: str, at: datetime, *, counts: dict[str, int], **dimensions: Any) -> Row:
        row = Row(kind, at, dimensions, counts)
        self.rows.append(row)
        return row

    def charge(self, day: datetime, amount: Any, *, currency: str = "usd", **dimensions: Any) -> Row:
        row = Row("costs", day, dimensions, amount=amount, currency=currency)
        self.rows.append(row)
        return row

    def answer(self, asked: Asked) -> Reply:
        sent = {name.lower(): value for name, value in asked.headers.items()}
        if sent.get("authorization") != f"Bearer {self.key}":
            return _error(401, "Incorrect API key provided.")
        path = asked.path.partition("/organization/")[2]
        if path == "projects":
            return self._projects(asked)
        kind = path.removeprefix("usage/")
        if kind not in DIMENSIONS or kind in self.missing or (kind == "costs") == path.startswith("usage/"):
            return _error(404, "Not found.")
        try:
            return self._page(kind, asked)
        except (KeyError, ValueError, TypeError) as error:
            return _error(400, f"Invalid parameter: {error}")

    def _projects(self, asked: Asked) -> Reply:
        names = sorted(self.projects)
        after = asked.value("after")
        start = names.index(after) + 1 if after else 0
        shown = names[start : start + int(asked.value("limit") or 20)]
        data = [
            {
                "id": name,
                "object": "organization.project",
                "name": self.projects[name],
                "created_at": 1_780_000_000,
                "archived_at": None,
                "status": "active",
            }
            for name in shown
        ]
        return _json(
            {
                "object": "list",
                "data": data,
                "first_id": shown[0] if shown else None,
                "last_id": shown[-1] if shown else None,
                "has_more": bool(names[start + len(shown) :]),
            }
        )

    def _page(self, kind: str, asked: Asked) -> Reply:
        width_name = asked.value("bucket_width") or "1d"
        width = WIDTHS[width_name]
        most = 180 if kind == "costs" else MOST_BUCKETS[width_name]
        limit = int(asked.value("limit") or (7 if kind == "costs" else USUAL_BUCKETS[width_name]))
        group_by = tuple(value for name, value in asked.values if name == "group_by[]")
        if kind == "costs" and width_name != "1d":
            raise ValueError("bucket_width")
        if not 1 <= limit <= most:
            raise ValueError("limit")
        if not set(group_by) <= set(DIMENSIONS[kind]):
            raise ValueError("group_by")
        if frozenset(group_by) in self.refused:
            return _error(400, "This combination of group_by is not supported for this organization.")
        start = int(asked.value("start_time") or "") // width * width
        end = int(asked.value("end_time") or "")
        projects = {value for name, value in asked.values if name == "project_ids[]"}
        starts = list(range(start, end, width))
        first = int((asked.value("page") or "page_0").removeprefix("page_"))
        size = min(limit, self.buckets_a_page or limit)
        buckets = [
            {
                "object": "bucket",
                "start_time": at,
                "end_time": at + width,
                "results": self._results(kind, at, at + width, group_by, projects),
            }
            for at in starts[first : first + size]
        ]
        has_more = first + size < len(starts)
        return _json(
            {
                "object": "page",
                "data": buckets,
                "has_more": has_more,
                "next_page": f"page_{first + size}" if has_more else None,
            }
        )

    def _results(
        self, kind: str, start: int, end: int, group_by: tuple[str, ...], projects: set[str]
    ) -> list[dict[str, Any]]:
        grouped: dict[tuple[Any, ...], list[Row]] = defaultdict(list)
        for row in self.rows:
            is_in = row.kind == kind and start <= row.at.timestamp() < end
            if is_in and (not projects or row.dimensions.get("project_id") in projects):
                grouped[tuple(row.dimensions.get(name) for name in group_by)].append(row)
        found = []
        for key, rows in grouped.items():
            result: dict[str, Any] = {"object": f"organization.{_object(kind)}.result"}
            result |= dict.fromkeys(DIMENSIONS[kind])
            result |= dict(zip(group_by, key, strict=True))
            if kind == "costs":
                result["amount"] = {"value": _amount(rows), "currency": rows[0].currency}
                result["quantity"] = result["quantity_unit"] = None
            else:
                names = {name for row in rows for name in row.counts} | set(COUNTS[kind])
                result |= {name: sum(row.counts.get(name, 0) for row in rows) for name in sorted(names)}
            found.append(result)
        return found


def _object(kind: str) -> str:
    return "costs" if kind == "costs" else f"usage.{OBJECTS.get(kind, kind)}"


def _amount(rows: Iterable[Row]) -> Any:
    amounts = [row.amount for row in rows]
    return amounts[0] if len(amounts) == 1 else sum(amounts)


def _json(document: Any) -> Reply:
    return Reply(json.dumps(document), headers={"Content-Type": "application/json"})


def _error(status: int, message: str) -> Reply:
    return Reply(
        json.dumps({"error": {"message": message, "type": "invalid_request_error", "param": None, "code": None}}),
        status=status,
        headers={"Content-Type": "application/json"},
    )

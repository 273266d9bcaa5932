"""OpenRouter's activity of an account, answered from rows. Shapes from the types of the `openrouter` package."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from tests.doubles.source_server import Asked, Reply, SourceServer

KEPT_DAYS = 30
COUNTS = ("requests", "prompt_tokens", "completion_tokens", "reasoning_tokens", "cached_tokens")


@dataclass
class Activity:
    """What one endpoint of a model did on a UTC day for one key of one workspace. Money in USD."""

    on: date
    model: str
    counts: dict[str, int]
    usage: float
    own_keys: float = 0.0
    provider: str = "ProviderA"
    workspace: str = "ws-default"
    key_hash: str = ""


class OpenRouterAccount(SourceServer):
    """`rows` is the ledger; `today` the current UTC day. `key`: the management key."""

    def __init__(self, *, key: str, today: date) -> None:
        super().__init__()
        self.key = key
        self.today = today
        self.rows: list[Activity] = []
        self.has_workspaces = True
        self.play = self.answer

    def answer(self, asked: Asked) -> Reply:
        sent = {name.lower(): value for name, value in asked.headers.items()}
        if sent.get("authorization") != f"Bearer {self.key}":
            return _error(401, "Invalid management key.")
        if asked.path != "/api/v1/activity":
            return _error(404, "Not found.")
        by_workspace = asked.value("group_by") == "workspace"
        if asked.value("group_by") and not (by_workspace and self.has_workspaces):
            return _error(400, "group_by is not supported for this account.")
        first = self.today - timedelta(days=KEPT_DAYS)
        days = {first + timedelta(days=count) for count in range(KEPT_DAYS)}
        if asked.value("date"):
            wanted = date.fromisoformat(asked.value("date") or "")
            if wanted not in days:
                return _error(400, "Date must be within the last 30 (completed) UTC days.")
            days = {wanted}
        key_hash = asked.value("api_key_hash")
        grouped: dict[tuple[Any, ...], list[Activity]] = defaultdict(list)
        for row in self.rows:
            if row.on in days and key_hash in (None, row.key_hash):
                grouped[row.on, row.model, row.provider, row.workspace if by_workspace else None].append(row)
        data = []
        for (on, model, provider, workspace), rows in sorted(grouped.items(), key=repr):
            item: dict[str, Any] = {
                "date": on.isoformat(),
                "model": model,
                "model_permaslug": f"{model}-2026-05-01",
                "endpoint_id": f"550e8400-0000-4000-8000-{abs(hash((model, provider))) % 10**12:012d}",
                "provider_name": provider,
                "usage": sum(row.usage for row in rows),
                "byok_usage_inference": sum(row.own_keys for row in rows),
                **{name: sum(row.counts.get(name, 0) for row in rows) for name in COUNTS},
            }
            if by_workspace:
                item["workspace_id"] = workspace
            data.append(item)
        return Reply(json.dumps({"data": data}), headers={"Content-Type": "application/json"})


def _error(status: int, message: str) -> Reply:
    return Reply(
        json.dumps({"error": {"code": status, "message": message}}),
        status=status,
        headers={"Content-Type": "application/json"},
    )

"""Anthropic's Admin reports, classic and analytics, answered from a small ledger.

The classic shapes are those of Anthropic's documentation (Get Messages Usage Report, Get Cost Report); no client of
theirs reads them. The analytics shapes are the types of the `anthropic` package, which reads these answers in
tests/peers.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from tests.doubles.source_server import Asked, Reply, SourceServer

# The classic reports are documented with the first; the vendor's client sends the second.
VERSIONS = ("2023-06-01", "2026-10-21")
BETA = "analytics-usage-cost-2026-08-24"
WIDTHS = {"1m": timedelta(minutes=1), "1h": timedelta(hours=1), "1d": timedelta(days=1)}
MOST_BUCKETS = {"1m": 1440, "1h": 168, "1d": 31}
USUAL_BUCKETS = {"1m": 60, "1h": 24, "1d": 7}
USAGE_GROUPS = ("api_key_id", "context_window", "inference_geo", "model", "service_tier", "workspace_id")
COST_DETAILS = ("cost_type", "description", "model", "token_type", "context_window", "service_tier", "inference_geo")
ANALYTICS_GROUPS = (*USAGE_GROUPS, "product", "cost_type", "token_type")
COUNTS = ("uncached_input_tokens", "cache_read_input_tokens", "ephemeral_5m", "ephemeral_1h", "output_tokens")


@dataclass
class Used:
    """Usage in an hour. `counts`: COUNTS, `web_search_requests`, `requests`."""

    at: datetime
    dimensions: dict[str, Any]
    counts: dict[str, int] = field(default_factory=dict)


@dataclass
class Charged:
    """A cost of a UTC day, as text in cents."""

    day: datetime
    cents: str
    dimensions: dict[str, Any]
    currency: str = "USD"


class AnthropicOrganization(SourceServer):
    """`used` and `charged` are the ledger. `refreshed_at`: what the analytics reports know all of."""

    def __init__(self, *, key: str) -> None:
        super().__init__()
        self.key = key
        self.used: list[Used] = []
        self.charged: list[Charged] = []
        self.workspaces: dict[str, str] = {}
        self.refreshed_at: datetime | None = None
        self.items_a_page: int | None = None
        self.play = self.answer

    def use(self, at: datetime, counts: dict[str, int], **dimensions: Any) -> Used:
        self.used.append(Used(at, dimensions, counts))
        return self.used[-1]

    def charge(self, day: datetime, cents: str, **dimensions: Any) -> Charged:
        self.charged.append(Charged(day, cents, dimensions))
        return self.charged[-1]

    def answer(self, asked: Asked) -> Reply:
        sent = {name.lower(): value for name, value in asked.headers.items()}
        if self.key not in (sent.get("x-api-key"), sent.get("authorization", "").removeprefix("Bearer ")):
            return _error(401, "authentication_error", "invalid x-api-key")
        if sent.get("anthropic-version") not in VERSIONS:
            return _error(400, "invalid_request_error", "anthropic-version: header is required")
        path = asked.path.partition("/v1/organizations/")[2]
        if path.startswith("analytics/") and BETA not in sent.get("anthropic-beta", ""):
            return _error(404, "not_found_error", "Not found")
        try:
            match path:
                case "usage_report/messages":
                    return self._classic(asked, "1d", self._usage_results)
                case "cost_report":
                    return self._classic(asked, "1d", self._cost_results)
                case "analytics/usage" | "analytics/cost":
                    return self._analytics(asked, path.endswith("cost"))
                case "workspaces":
                    return self._workspaces(asked)
        except (KeyError, ValueError, TypeError) as error:
            return _error(400, "invalid_request_error", f"{error}")
        return _error(404, "not_found_error", "Not found")

    # --- Classic

    def _classic(self, asked: Asked, usual: str, results: Any) -> Reply:
        width_name = asked.value("bucket_width") or usual
        limit = int(asked.value("limit") or USUAL_BUCKETS[width_name])
        if not 1 <= limit <= MOST_BUCKETS[width_name]:
            raise ValueError("limit: out of range")
        start, end = (_moment(asked.value(name) or "") for name in ("starting_at", "ending_at"))
        buckets, width = [], WIDTHS[width_name]
        at = start.replace(minute=0) if width_name != "1d" else start.replace(hour=0, minute=0)
        while at < end:
            found = results(asked, at, at + width)
            buckets.append({"starting_at": _text(at), "ending_at": _text(at + width), "results": found})
            at += width
        return self._paged(asked, buckets, limit)

    def _usage_results(self, asked: Asked, start: datetime, end: datetime) -> list[dict[str, Any]]:
        groups = _groups(asked, USAGE_GROUPS)
        wanted = {value for name, value in asked.values if name == "workspace_ids[]"}
        rows = [
            row
            for row in self.used
            if start <= row.at < end and (not wanted or row.dimensions.get("workspace_id") in wanted)
        ]
        return [
            {**dict.fromkeys(USAGE_GROUPS), **dimensions, **_counts(found)}
            for dimensions, found in _grouped(rows, groups)
        ]

    def _cost_results(self, asked: Asked, start: datetime, end: datetime) -> list[dict[str, Any]]:
        if (asked.value("bucket_width") or "1d") != "1d":
            raise ValueError("bucket_width: only 1d")
        groups = _groups(asked, ("workspace_id", "description"))
        details = COST_DETAILS if "description" in groups else ()
        names = [*(name for name in groups if name == "workspace_id"), *details]
        rows = [row for row in self.charged if start <= row.day < end]
        return [
            {
                **dict.fromkeys(("workspace_id", *COST_DETAILS)),
                **dimensions,
                "amount": str(sum(Decimal(row.cents) for row in found)),
                "currency": found[0].currency,
            }
            for dimensions, found in _grouped(rows, names)
        ]

    # --- Analytics

    def _analytics(self, asked: Asked, is_cost: bool) -> Reply:
        groups = _groups(asked, ANALYTICS_GROUPS)
        if len(groups) > 5:
            raise ValueError("group_by: at most 5")
        limit = int(asked.value("limit") or 20)
        start, end = (_moment(asked.value(name) or "") for name in ("starting_at", "ending_at"))
        if not 1 <= limit <= 1000 or end - start > timedelta(days=31):
            raise ValueError("limit or range: out of range")
        width = WIDTHS[asked.value("time_bucket_width") or ""]
        data, at = [], start
        known: Sequence[Any] = self.charged if is_cost else self.used
        while at < end:
            rows = [row for row in known if at <= (row.day if is_cost else row.at) < at + width]
            for dimensions, found in _grouped(rows, groups):
                group = {**dict.fromkeys(ANALYTICS_GROUPS), **dimensions}
                row: dict[str, Any] = {"starting_at": _text(at), "ending_at": _text(at + width), "group": group}
                if is_cost:
                    amount = str(sum(Decimal(one.cents) for one in found))
                    row["cost"] = {
                        "amount": amount,
                        "list_amount": amount,
                        "currency": found[0].currency,
                        "requests": None,
                    }
                else:
                    counts = _counts(found)
                    total = sum(one.counts.get(name, 0) for one in found for name in COUNTS)
                    requests = sum(one.counts.get("requests", 0) for one in found)
                    row["usage"] = {**counts, "total_tokens": total, "requests": requests}
                data.append(row)
            at += width
        return self._paged(asked, data, limit, data_refreshed_at=self.refreshed_at and _text(self.refreshed_at))

    def _workspaces(self, asked: Asked) -> Reply:
        names = sorted(self.workspaces)
        after = asked.value("after_id")
        start = names.index(after) + 1 if after else 0
        shown = names[start : start + int(asked.value("limit") or 20)]
        data = [{"id": name, "type": "workspace", "name": self.workspaces[name]} for name in shown]
        more = bool(names[start + len(shown) :])
        first, last = (shown[0], shown[-1]) if shown else (None, None)
        return _json({"data": data, "has_more": more, "first_id": first, "last_id": last})

    def _paged(self, asked: Asked, items: list[Any], limit: int, **more: Any) -> Reply:
        first = int((asked.value("page") or "page_0").removeprefix("page_"))
        size = min(limit, self.items_a_page or limit)
        has_more = first + size < len(items)
        next_page = f"page_{first + size}" if has_more else None
        return _json({"data": items[first : first + size], "has_more": has_more, "next_page": next_page, **more})


def _groups(asked: Asked, known: Sequence[str]) -> list[str]:
    groups = [value for name, value in asked.values if name == "group_by[]"]
    if not set(groups) <= set(known):
        raise ValueError("group_by: unknown")
    return groups


def _grouped(rows: Sequence[Any], names: Sequence[str]) -> list[tuple[dict[str, Any], list[Any]]]:
    grouped: dict[tuple[Any, ...], list[Any]] = defaultdict(list)
    for row in rows:
        grouped[tuple(row.dimensions.get(name) for name in names)].append(row)
    return [(dict(zip(names, key, strict=True)), found) for key, found in grouped.items()]


def _counts(rows: Sequence[Used]) -> dict[str, Any]:
    total = {name: sum(row.counts.get(name, 0) for row in rows) for name in (*COUNTS, "web_search_requests")}
    return {
        "uncached_input_tokens": total["uncached_input_tokens"],
        "cache_read_input_tokens": total["cache_read_input_tokens"],
        "cache_creation": {
            "ephemeral_5m_input_tokens": total["ephemeral_5m"],
            "ephemeral_1h_input_tokens": total["ephemeral_1h"],
        },
        "output_tokens": total["output_tokens"],
        "server_tool_use": {"web_search_requests": total["web_search_requests"]},
    }


def _moment(text: str) -> datetime:
    found = datetime.fromisoformat(text)
    if found.tzinfo is None:
        raise ValueError("a time needs a zone")
    return found.astimezone(UTC)


def _text(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def _json(document: Any) -> Reply:
    return Reply(json.dumps(document), headers={"Content-Type": "application/json"})


def _error(status: int, kind: str, message: str) -> Reply:
    return Reply(
        json.dumps({"type": "error", "error": {"type": kind, "message": message}}),
        status=status,
        headers={"Content-Type": "application/json"},
    )

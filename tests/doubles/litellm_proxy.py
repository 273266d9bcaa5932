"""A LiteLLM proxy's spend endpoints, answered from a list of requests.

Shapes recorded from the real proxy (tests/data/litellm_*.json); its own response models read these answers in
tests/peers. Totals of a day are sums of the same requests; deleting logs leaves them, as it does there.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.doubles.source_server import Asked, Reply, SourceServer

COUNT_CAP = 10_000


@dataclass
class Request:
    """One request as the proxy logs it. `first_ms`: of a stream. `spend` 0 with tokens: a model without a price."""

    request_id: str
    started_at: datetime
    model: str = "openai/gpt-x-mini"
    team: str = "claims"
    key_alias: str = "claims-key"
    prompt_tokens: int = 100
    completion_tokens: int = 20
    spend: float = 0.001
    duration_ms: int = 800
    first_ms: int | None = None
    status: str = "success"
    call_type: str = "acompletion"
    provider: str = "openai"
    cache_hit: str = "None"
    tags: tuple[str, ...] = ("User-Agent: python-httpx",)
    cached_tokens: int | None = None
    is_logged: bool = True
    metadata: dict[str, Any] = field(default_factory=dict)

    @property
    def api_key(self) -> str:
        return hashlib.sha256(self.key_alias.encode()).hexdigest()

    @property
    def team_id(self) -> str:
        return f"id-of-{self.team}" if self.team else ""

    def row(self) -> dict[str, Any]:
        end = self.started_at + timedelta(milliseconds=self.duration_ms)
        first = end if self.first_ms is None else self.started_at + timedelta(milliseconds=self.first_ms)
        details = None if self.cached_tokens is None else {"cached_tokens": self.cached_tokens}
        return {
            "request_id": self.request_id,
            "call_type": self.call_type,
            "api_key": self.api_key,
            "spend": self.spend,
            "total_tokens": self.prompt_tokens + self.completion_tokens,
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "startTime": _time(self.started_at),
            "endTime": _time(end),
            "completionStartTime": _time(first),
            "model": self.model,
            "model_group": self.model.rpartition("/")[2],
            "custom_llm_provider": self.provider,
            "user": "person@example.com",
            "end_user": "person@example.com",
            "requester_ip_address": "203.0.113.7",
            "cache_hit": self.cache_hit,
            "request_tags": list(self.tags),
            "team_id": self.team_id,
            "status": self.status,
            "request_duration_ms": self.duration_ms,
            "metadata": {
                "user_api_key_alias": self.key_alias,
                "user_api_key_team_alias": self.team or None,
                "user_api_key_team_id": self.team_id or None,
                "usage_object": {
                    "prompt_tokens": self.prompt_tokens,
                    "completion_tokens": self.completion_tokens,
                    "prompt_tokens_details": details,
                },
                "cost_breakdown": {"service_tier": None},
                **self.metadata,
            },
        }

    def counts(self) -> dict[str, Any]:
        is_error = self.status == "failure"
        return {
            "spend": self.spend,
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "cache_read_input_tokens": self.cached_tokens or 0,
            "cache_creation_input_tokens": 0,
            "total_tokens": self.prompt_tokens + self.completion_tokens,
            "successful_requests": int(not is_error),
            "failed_requests": int(is_error),
            "api_requests": 1,
            "total_response_time_ms": 0 if is_error else self.duration_ms,
            "timed_requests": int(not is_error),
        }


class LiteLLMProxy(SourceServer):
    """`requests` is what it knows; `rows_a_page` caps its pages; `is_admin` False: the key sees nothing but itself."""

    def __init__(self, requests: Iterable[Request] = (), *, key: str = "") -> None:
        super().__init__()
        self.requests = list(requests)
        self.key = key
        self.rows_a_page = 1000
        self.is_admin = True
        self.count_cap = COUNT_CAP
        self.play = self.answer

    def answer(self, asked: Asked) -> Reply:
        if self.key and asked.headers.get("Authorization") != f"Bearer {self.key}":
            return _said(401, "Authentication Error, Invalid proxy server token passed")
        return answer(asked, self.requests, self)


def answer(asked: Asked, requests: list[Request], proxy: LiteLLMProxy | None = None) -> Reply:
    """The answer to one of the three questions. `proxy` None: an admin's key, pages of the asked size."""
    rows_a_page = proxy.rows_a_page if proxy else 1000
    is_admin = proxy.is_admin if proxy else True
    page = int(asked.value("page") or 1)
    if asked.path == "/v2/team/list":
        if not is_admin:
            return _said(401, "Only admin users can query all teams/other teams. Your user role=internal_user")
        teams = sorted({request.team for request in requests if request.team})
        size = min(int(asked.value("page_size") or 10), rows_a_page)
        listed = [{"team_id": f"id-of-{team}", "team_alias": team, "spend": 0.0} for team in teams]
        return _json(
            {
                "teams": listed[(page - 1) * size : page * size],
                "total": len(teams),
                "page": page,
                "page_size": size,
                "total_pages": max(1, -(-len(teams) // size)),
            }
        )
    visible = requests if is_admin else []
    if asked.path == "/spend/logs/v2":
        return _json(_logs(asked, visible, page, rows_a_page, proxy.count_cap if proxy else COUNT_CAP))
    if asked.path == "/user/daily/activity":
        return _json(_days(asked, visible, page, rows_a_page))
    return Reply(status=404, body='{"detail": "Not Found"}')


def _logs(asked: Asked, requests: list[Request], page: int, rows_a_page: int, cap: int) -> dict[str, Any]:
    start, end = (
        datetime.strptime(asked.value(name) or "", "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
        for name in ("start_date", "end_date")
    )
    found = sorted((r for r in requests if r.is_logged and start <= r.started_at <= end), key=lambda r: r.started_at)
    size = min(int(asked.value("page_size") or 50), rows_a_page)
    total = min(len(found), cap)
    return {
        "data": [request.row() for request in found[(page - 1) * size : page * size]],
        "total": total,
        "page": page,
        "page_size": size,
        "total_pages": -(-total // size),
        "total_is_capped": len(found) > cap,
    }


def _days(asked: Asked, requests: list[Request], page: int, rows_a_page: int) -> dict[str, Any]:
    """One database row per day, model and key; a page holds so many of those, and sums them up by the day."""
    first, last = asked.value("start_date") or "", asked.value("end_date") or ""
    held: dict[tuple[str, str, str], list[Request]] = defaultdict(list)
    for request in requests:
        day = request.started_at.date().isoformat()
        if first <= day <= last:
            held[day, request.model, request.api_key].append(request)
    rows = sorted(held.items())
    size = min(int(asked.value("page_size") or 50), rows_a_page)
    results: dict[str, Any] = {}
    for (day, model, key), group in rows[(page - 1) * size : page * size]:
        entry = results.setdefault(
            day, {"date": day, "metrics": {}, "breakdown": {"models": {}, "providers": {}, "api_keys": {}}}
        )
        breakdown = entry["breakdown"]
        _add(entry["metrics"], group)
        provider = breakdown["providers"].setdefault(group[0].provider or "unknown", {"metrics": {}, "metadata": {}})
        _add(provider["metrics"], group)
        of_model = breakdown["models"].setdefault(model, {"metrics": {}, "metadata": {}, "api_key_breakdown": {}})
        _add(of_model["metrics"], group)
        of_key = of_model["api_key_breakdown"].setdefault(
            key, {"metrics": {}, "metadata": {"key_alias": group[0].key_alias, "team_id": group[0].team_id or None}}
        )
        _add(of_key["metrics"], group)
    pages = max(1, -(-len(rows) // size))
    return {
        "results": list(results.values()),
        "metadata": {"page": page, "total_pages": pages, "has_more": page < pages},
    }


def _add(metrics: dict[str, Any], group: Iterable[Request]) -> None:
    for request in group:
        for name, value in request.counts().items():
            metrics[name] = round(metrics.get(name, 0) + value, 10)


def _time(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")


def _json(document: Any) -> Reply:
    return Reply(json.dumps(document))


def _said(status: int, message: str) -> Reply:
    return Reply(status=status, body=json.dumps({"error": {"message": message, "code": str(status)}}))

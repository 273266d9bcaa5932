"""What one row of LiteLLM's spend logs, or one line of its totals of a day, says in our measures."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Self, TypedDict

from metrics.answers import Reader
from metrics.litellm import (
    PERSONAL,
    first_token_ms,
    include_cache,
    model_and_provider,
    name_of,
    operation_of,
    text_of,
    tier_of,
)
from metrics.usage import SeriesKey, UsageCell
from metrics.wildcard import any_of

reader = Reader("LiteLLM")

MILLISECOND = timedelta(milliseconds=1)


class Money(TypedDict, total=False):
    cost: Decimal
    currency: str


@dataclass(frozen=True, slots=True)
class LogRow:
    """One request. `money` is empty where LiteLLM knew no price."""

    request_id: str
    key: SeriesKey
    started_at: datetime
    sums: dict[str, int | Decimal]
    latencies_ms: dict[str, float]
    money: Money

    @classmethod
    def read(cls, row: Mapping[str, Any], tags: re.Pattern[str] | None) -> Self:
        """Raises ConnectorError where a field is not what it has to be."""
        request_id = text_of(row.get("request_id"))
        if not request_id:
            raise reader.malformed("a request has no id")
        metadata = _part(row, "metadata")
        usage = _part(metadata, "usage_object")
        started_at = _moment(row.get("startTime"), "startTime")
        is_error = text_of(row.get("status") or metadata.get("status")) == "failure"
        sums: dict[str, int | Decimal] = {"requests": 1, "errors": int(is_error), **_tokens(row, usage)}
        labels = {
            "team": name_of(metadata.get("user_api_key_team_alias"), row.get("team_id")),
            "api_key_name": name_of(metadata.get("user_api_key_alias"), row.get("api_key"), what="key"),
            "project": name_of(metadata.get("user_api_key_project_alias"), metadata.get("user_api_key_project_id")),
            "tag": _tag(row.get("request_tags"), tags),
        }
        tier = text_of(_part(metadata, "cost_breakdown").get("service_tier") or usage.get("service_tier"))
        return cls(
            request_id=request_id,
            key=series_key(
                text_of(row.get("model")),
                text_of(row.get("custom_llm_provider")),
                labels,
                operation=operation_of(text_of(row.get("call_type"))),
                service_tier=tier,
            ),
            started_at=started_at,
            sums=sums,
            latencies_ms={} if is_error else _latencies(row, started_at, sums),
            money=_money(row.get("spend"), sums, is_cache_hit=text_of(row.get("cache_hit")).lower() == "true"),
        )


def day_cell(
    model: str, provider: str, key_hash: str, part: Mapping[str, Any], noon: datetime, teams: Mapping[str, str]
) -> UsageCell:
    """The day's sums of one model and key, at 12:00 UTC of the day. Raises ConnectorError."""
    metrics, metadata = _part(part, "metrics"), _part(part, "metadata")
    counted = {
        "requests": "api_requests",
        "errors": "failed_requests",
        "input_tokens": "prompt_tokens",
        "cached_input_tokens": "cache_read_input_tokens",
        "cache_write_input_tokens": "cache_creation_input_tokens",
        "output_tokens": "completion_tokens",
        "duration_count": "timed_requests",
    }
    sums: dict[str, int | Decimal] = {
        measure: reader.count(metrics[field], field)
        for measure, field in counted.items()
        if metrics.get(field) is not None
    }
    include_cache(sums)
    if "total_response_time_ms" in metrics and "duration_count" in sums:
        sums["duration_sum_ms"] = reader.amount(metrics["total_response_time_ms"], "total_response_time_ms")
    money = _money(metrics.get("spend"), sums, is_cache_hit=False)
    if "cost" in money:
        sums["estimated_cost"] = money["cost"]
    team = text_of(metadata.get("team_id"))
    labels = {
        "team": name_of(teams.get(team), team),
        "api_key_name": name_of(metadata.get("key_alias"), key_hash, what="key"),
    }
    return UsageCell(series_key(model, provider, labels), noon, sums, currency=money.get("currency", ""))


def series_key(
    model: str, provider: str, labels: Mapping[str, str], *, operation: str = "chat", service_tier: str = ""
) -> SeriesKey:
    """The series of a request: 'openai/gpt-x' is gpt-x of openai, whichever of the two LiteLLM names."""
    model, provider = model_and_provider(model, provider)
    return SeriesKey(
        provider=provider[:100],
        model=model,
        operation=operation,
        service_tier=tier_of(service_tier) or "standard",
        labels=tuple(sorted((name, value) for name, value in labels.items() if value)),
    )


def label_pattern(tags: Iterable[str]) -> re.Pattern[str] | None:
    """What matches the tags to keep; * stands for any ending. None: no tag is kept."""
    patterns = list(tags)
    return re.compile(any_of(patterns), re.DOTALL) if patterns else None


def _part(holder: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    return reader.mapping(holder.get(name) or {}, name)


def _moment(value: Any, field: str) -> datetime:
    """LiteLLM's times are UTC, also where they do not say so."""
    if isinstance(value, str) and not re.search(r"(Z|[+-]\d\d:?\d\d)$", value):
        value = f"{value}+00:00"
    return reader.moment(value, field).astimezone(UTC)


def _tag(tags: Any, kept: re.Pattern[str] | None) -> str:
    if kept is None or not isinstance(tags, list):
        return ""
    found = (text_of(tag) for tag in tags)
    return next((tag[:100] for tag in found if tag and kept.fullmatch(tag) and not PERSONAL.search(tag)), "")


def _tokens(row: Mapping[str, Any], usage: Mapping[str, Any]) -> dict[str, int | Decimal]:
    details = _part(usage, "prompt_tokens_details")
    told = {
        "input_tokens": row.get("prompt_tokens"),
        "output_tokens": row.get("completion_tokens"),
        "cached_input_tokens": _first(details.get("cached_tokens"), usage.get("cache_read_input_tokens")),
        "cache_write_input_tokens": _first(
            usage.get("cache_creation_input_tokens"), details.get("cache_creation_tokens")
        ),
    }
    sums: dict[str, int | Decimal] = {
        measure: reader.count(value, measure) for measure, value in told.items() if value is not None
    }
    include_cache(sums)
    return sums


def _first(*values: Any) -> Any:
    return next((value for value in values if value is not None), None)


def _latencies(row: Mapping[str, Any], started_at: datetime, sums: Mapping[str, int | Decimal]) -> dict[str, float]:
    """In milliseconds. No field says whether it was a stream."""
    if not row.get("endTime"):
        return {}
    duration = (_moment(row["endTime"], "endTime") - started_at) / MILLISECOND
    if duration < 0:
        return {}
    found = {"duration": duration}
    if row.get("completionStartTime"):
        first = (_moment(row["completionStartTime"], "completionStartTime") - started_at) / MILLISECOND
        if first_token_ms(duration, first) is not None:
            found["time_to_first_token"] = first
            tokens = int(sums.get("output_tokens", 0))
            if tokens > 1:
                found["inter_token"] = (duration - first) / (tokens - 1)
    return found


def _money(spend: Any, sums: Mapping[str, int | Decimal], *, is_cache_hit: bool) -> Money:
    """Spend of zero for tokens is a model without a price, unless LiteLLM's own cache answered."""
    if spend is None:
        return {}
    cost = reader.amount(spend, "spend")
    if cost < 0:
        raise reader.malformed("spend is negative")
    has_tokens = bool(sums.get("input_tokens") or sums.get("output_tokens"))
    if not cost and has_tokens and not is_cache_hit:
        return {}
    return {"cost": cost, "currency": "USD"}

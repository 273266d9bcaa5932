"""What a LiteLLM proxy posts of each request through its `generic_api` callback: a list of StandardLoggingPayload.

Written against LiteLLM 1.108 (`litellm/types/utils.py`, `integrations/generic_api/`). It says `application/json`
whatever it sends: a list (`log_format` json_array), one object a line (ndjson) or one object (single). Prompts,
answers, users, addresses and headers stand beside the fields named here; the decoder skips them and nothing is kept.
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec

from metrics.format import MAX_DURATION_MS, Batch, Limits, Record, Rejection, Unreadable, check, fields_given
from metrics.genai import provider_name
from metrics.litellm import (
    first_token_ms,
    include_cache,
    model_and_provider,
    name_of,
    operation_of,
    text_of,
    tier_of,
)

# LiteLLM's estimate is in dollars, of no more digits than are kept.
CURRENCY, PLACES = "USD", Decimal("1e-10")
STOPPED = "guardrail_intervened"
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class _Details(msgspec.Struct):
    cached_tokens: int | None = None
    cache_creation_tokens: int | None = None


class _Usage(msgspec.Struct):
    prompt_tokens_details: _Details | None = None
    cache_read_input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    service_tier: str | None = None


class _Metadata(msgspec.Struct):
    user_api_key_alias: str | None = None
    user_api_key_hash: str | None = None
    user_api_key_team_alias: str | None = None
    user_api_key_team_id: str | None = None
    user_api_key_project_alias: str | None = None
    user_api_key_project_id: str | None = None
    usage_object: _Usage | None = None


class _CostBreakdown(msgspec.Struct):
    service_tier: str | None = None


class _Event(msgspec.Struct):
    """The fields of a StandardLoggingPayload that are read."""

    startTime: float  # noqa: N815 - LiteLLM's spelling
    endTime: float  # noqa: N815
    id: str | None = None
    litellm_call_id: str | None = None
    call_type: str | None = None
    status: str | None = None
    model: str | None = None
    custom_llm_provider: str | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    completionStartTime: float | None = None  # noqa: N815
    response_cost: Decimal | None = None
    cost_breakdown: _CostBreakdown | None = None
    cache_hit: bool | str | None = None
    metadata: _Metadata | None = None
    guardrail_information: Any = None


_EVENT = msgspec.json.Decoder(_Event)
_RAW_LIST = msgspec.json.Decoder(list[msgspec.Raw])


def decode(body: bytes, limits: Limits) -> Batch:
    """The requests of a post. Raises Unreadable."""
    texts = _texts(body)
    if not texts:
        raise Unreadable(400, "empty", "There is no request in the body.")
    if len(texts) > limits.max_records:
        raise Unreadable(
            413, "too_many_records", f"At most {limits.max_records:,} requests a post; lower DEFAULT_BATCH_SIZE."
        )
    records: list[Record] = []
    indexes: list[int] = []
    rejections: list[Rejection] = []
    for index, text in enumerate(texts):
        try:
            record = _record(_EVENT.decode(text))
        except msgspec.ValidationError as error:
            rejections.append(Rejection(index, "wrong_type", _explained(error)))
        except _UNREADABLE:
            rejections.append(Rejection(index, "malformed", "This request is not JSON in UTF-8."))
        except _Refused as refused:
            rejections.append(Rejection(index, refused.code, str(refused)))
        else:
            records.append(record)
            indexes.append(index)
    fields = fields_given(records)
    return check(Batch(records, indexes, fields | {"nul"} if b"\\u0000" in body else fields, rejections), limits)


class _Refused(Exception):  # noqa: N818 - says what is so
    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code


def _texts(body: bytes) -> list[msgspec.Raw | bytes]:
    """Each request as JSON text. Raises Unreadable."""
    start = body.lstrip()
    if not start:
        raise Unreadable(400, "empty", "The body is empty. Send what LiteLLM's generic_api callback sends.")
    if not start.startswith(b"["):
        return [line for line in body.splitlines() if line.strip()]
    try:
        return list(_RAW_LIST.decode(body))
    except _UNREADABLE:
        raise Unreadable(400, "malformed", "The body is not a list of requests as JSON in UTF-8.") from None


def _record(event: _Event) -> Record:
    """Raises _Refused."""
    identity = text_of(event.id) or text_of(event.litellm_call_id)
    if not identity:
        raise _Refused("missing_field", "id: a request without id cannot be told from a repeat.")
    try:
        timestamp = datetime.fromtimestamp(event.endTime, UTC)
    except (OverflowError, ValueError, OSError):
        raise _Refused("bad_timestamp", "endTime: takes seconds since 1970.") from None
    metadata = event.metadata or _Metadata()
    usage = metadata.usage_object or _Usage()
    model, provider = model_and_provider(text_of(event.model), text_of(event.custom_llm_provider))
    is_error = text_of(event.status) == "failure"
    tier = text_of(event.cost_breakdown.service_tier if event.cost_breakdown else "") or text_of(usage.service_tier)
    return Record(
        timestamp=timestamp,
        model=model,
        provider=provider_name(provider)[:60],
        operation=operation_of(text_of(event.call_type)),
        service_tier=tier_of(tier) or None,
        errors=int(is_error),
        blocked=_blocked(event.guardrail_information),
        labels=_labels(metadata),
        # The response's id, or that of the call where it failed; an attempt of its own has a start of its own.
        id=f"{identity[:90]} {event.startTime!r}"[:128],
        **_tokens(event, usage),
        **_cost(event),
        **({} if is_error else _times(event)),
    )


def _tokens(event: _Event, usage: _Usage) -> dict[str, Any]:
    details = usage.prompt_tokens_details or _Details()
    cached = usage.cache_read_input_tokens if details.cached_tokens is None else details.cached_tokens
    written = usage.cache_creation_input_tokens
    tokens = {
        "input_tokens": event.prompt_tokens,
        "output_tokens": event.completion_tokens,
        "cached_input_tokens": cached,
        "cache_write_input_tokens": details.cache_creation_tokens if written is None else written,
    }
    include_cache(tokens)
    for name, value in tokens.items():
        if value is not None and value < 0:
            raise _Refused("out_of_range", f"{name}: {value} is negative, which no count is.")
    return tokens


def _cost(event: _Event) -> dict[str, Any]:
    """LiteLLM writes 0 for a model that it has no price for; an answer out of its own cache costs 0."""
    cost = event.response_cost
    if cost is None:
        return {}
    if not cost.is_finite() or not 0 <= cost <= 10**9:
        raise _Refused("out_of_range", "response_cost: takes 0 to 10^9 dollars.")
    is_cache_hit = event.cache_hit is True or text_of(event.cache_hit).lower() == "true"
    if not cost and (event.prompt_tokens or event.completion_tokens) and not is_cache_hit:
        return {}
    text = f"{cost.quantize(PLACES):f}".rstrip("0").rstrip(".")
    return {"cost": text or "0", "currency": CURRENCY}


def _times(event: _Event) -> dict[str, Any]:
    duration = (event.endTime - event.startTime) * 1000
    if not 0 < duration <= MAX_DURATION_MS:
        return {}
    found = {"duration_ms": duration}
    if event.completionStartTime:
        first = first_token_ms(duration, (event.completionStartTime - event.startTime) * 1000)
        if first is not None:
            found["time_to_first_token_ms"] = first
    return found


def _labels(metadata: _Metadata) -> msgspec.Raw:
    labels = {
        "team": name_of(metadata.user_api_key_team_alias, metadata.user_api_key_team_id),
        "api_key_name": name_of(metadata.user_api_key_alias, metadata.user_api_key_hash, what="key"),
        "project": name_of(metadata.user_api_key_project_alias, metadata.user_api_key_project_id),
    }
    return msgspec.Raw(msgspec.json.encode({name: value for name, value in labels.items() if value}))


def _blocked(guardrails: Any) -> int | None:
    """Whether a guardrail stopped the request; None where none looked at it."""
    told = guardrails if isinstance(guardrails, list) else [guardrails]
    states = [one.get("guardrail_status") for one in told if isinstance(one, dict)]
    return int(STOPPED in states) if states else None


def _explained(error: msgspec.ValidationError) -> str:
    said, _, path = str(error).replace("`", "").partition(" - at $.")
    if said.startswith("Object missing required field"):
        return (
            f"{said.rpartition(' ')[2]}: is missing. Is generic_api_use_v1 on? Only LiteLLM's standard payload is read."
        )
    return f"{path}: {said[:1].lower()}{said[1:]}." if path else "A request is an object with fields."

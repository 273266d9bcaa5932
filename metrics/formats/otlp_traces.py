"""OpenTelemetry spans: one usage record for each call of a model, and one for each step of an agent around them.

Three dialects of attributes are read: OpenTelemetry's own (`gen_ai.provider.name`), the one before it
(`gen_ai.system`, `llm.usage.*`, Traceloop's kinds) and OpenInference's (`llm.*`). What a span says beside the few
attributes named here is never looked at: prompts, answers, tools' arguments, users and sessions end with the request.
docs/push.md has the table.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC
from typing import Any

import msgspec

from metrics.format import ID_DAYS, MAX_DURATION_MS, Batch, Limits, Record, Rejection, Unreadable, check, fields_given
from metrics.genai import OPENINFERENCE_KINDS, OPERATIONS, TRACELOOP_KINDS, provider_name, service_tier
from metrics.otlp import (
    MAX_ROADMAP_CHARACTERS,
    ROADMAP_ATTRIBUTE,
    BadAttribute,
    Values,
    count_of,
    first_of,
    number_of,
    resource_labels,
    text_of,
    time_of,
    wanted_values,
)
from metrics.usage import STEP_OPERATIONS, STEP_TOKEN_OPERATIONS

OPERATION_NAME = "gen_ai.operation.name"
# What the call was answered by, else what it asked for.
MODELS = (
    "gen_ai.response.model",
    "llm.response.model_name",
    "gen_ai.request.model",
    "llm.model_name",
    "llm.request.model_name",
    "embedding.model_name",
)
# A call that failed has no other model than the one in its parameters, JSON, of which nothing else is read.
PARAMETERS = ("llm.invocation_parameters", "embedding.invocation_parameters")
PROVIDERS = ("gen_ai.provider.name", "gen_ai.system", "llm.provider", "llm.system")
TIERS = (
    "openai.response.service_tier",
    "gen_ai.openai.response.service_tier",
    "openai.request.service_tier",
    "gen_ai.openai.request.service_tier",
)
INPUT = ("gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens", "llm.usage.prompt_tokens", "llm.token_count.prompt")
OUTPUT = (
    "gen_ai.usage.output_tokens",
    "gen_ai.usage.completion_tokens",
    "llm.usage.completion_tokens",
    "llm.token_count.completion",
)
CACHED = (
    "gen_ai.usage.cache_read.input_tokens",
    "gen_ai.usage.cache_read_input_tokens",
    "llm.usage.cache_read_input_tokens",
    "llm.token_count.prompt_details.cache_read",
    "llm.token_count.prompt_details.cache_input",
)
CACHE_WRITE = (
    "gen_ai.usage.cache_write.input_tokens",
    "gen_ai.usage.cache_creation.input_tokens",
    "gen_ai.usage.cache_creation_input_tokens",
    "llm.usage.cache_creation_input_tokens",
    "llm.token_count.prompt_details.cache_write",
)
REASONING = (
    "gen_ai.usage.reasoning.output_tokens",
    "gen_ai.usage.reasoning_tokens",
    "llm.usage.reasoning_tokens",
    "llm.token_count.completion_details.reasoning",
)
TOTAL = ("gen_ai.usage.total_tokens", "llm.usage.total_tokens", "llm.token_count.total")
# Seconds, as OpenTelemetry and vLLM say it; else the time of the first event of one of these names.
FIRST_TOKEN_SECONDS = ("gen_ai.response.time_to_first_chunk", "gen_ai.latency.time_to_first_token")
FIRST_TOKEN_EVENTS = frozenset(
    {"First Token Stream Event", "gen_ai.content.completion.chunk", "llm.content.completion.chunk"}
)
ERROR_TYPE = "error.type"
OPENINFERENCE_KIND, TRACELOOP_KIND, REQUEST_TYPE = "openinference.span.kind", "traceloop.span.kind", "llm.request.type"

READ = frozenset(
    {
        OPERATION_NAME,
        OPENINFERENCE_KIND,
        TRACELOOP_KIND,
        REQUEST_TYPE,
        ERROR_TYPE,
        *MODELS,
        *PARAMETERS,
        *PROVIDERS,
        *TIERS,
        *INPUT,
        *OUTPUT,
        *CACHED,
        *CACHE_WRITE,
        *REASONING,
        *TOTAL,
        *FIRST_TOKEN_SECONDS,
    }
)
# An agent, a tool or a workflow that names no model. Its own name stays with the sender.
NO_MODEL = "no model"
STATUS_ERROR = 2
NANOSECONDS_A_MS = 1_000_000
MAX_KIND_CHARACTERS = 100
TRACE_ID_BYTES, SPAN_ID_BYTES = 16, 8


class _Parameters(msgspec.Struct):
    """The parameters of a call, as far as they are read."""

    model: str | None = None


_PARAMETERS = msgspec.json.Decoder(_Parameters)


@dataclass(frozen=True, slots=True)
class Reading:
    """How spans are read: whether steps of agents keep their tokens, whether the resource names the roadmap (where the
    token names none), and which of the resource's attributes are kept as labels."""

    counts_step_tokens: bool = False
    takes_roadmap: bool = True
    kept_labels: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class _Resource:
    roadmap: str | None
    labels: msgspec.Raw


@dataclass(frozen=True, slots=True)
class _Tokens:
    """As the ledger counts them: input includes cached and cache-write, output includes reasoning."""

    input: int | None = None
    cached: int | None = None
    cache_write: int | None = None
    output: int | None = None


def records_of(request: Any, limits: Limits, reading: Reading) -> Batch:
    """The usage of an ExportTraceServiceRequest; `index` is a span's place in it. Raises Unreadable.

    Spans that are not about inference leave no trace in the batch, nor in its rejections.
    """
    batch = Batch([], [], frozenset())
    indexes: list[int] = []
    for index, span, resource in _spans(request, reading, batch):
        values = wanted_values(span.attributes, READ)
        if not values:
            continue
        try:
            operation = _operation(values)
            if operation is None:
                continue
            records = list(_records(span, values, operation, resource, limits, reading))
        except BadAttribute as bad:
            batch.rejections.append(Rejection(index, bad.code, bad.detail))
            continue
        batch.records += records
        indexes += [index] * len(records)
        if len(indexes) > limits.max_records:
            raise Unreadable(
                413, "too_many_records", f"At most {limits.max_records:,} spans of inference a request; export fewer."
            )
    batch.indexes = indexes
    batch.fields = fields_given(batch.records)
    return check(batch, limits)


def holds_usage(request: Any) -> bool:
    """Whether some span is about inference, or tries to be."""
    for group in request.resource_spans:
        for scope in group.scope_spans:
            for span in scope.spans:
                values = wanted_values(span.attributes, READ)
                try:
                    if values and _operation(values) is not None:
                        return True
                except BadAttribute:
                    return True
    return False


def _spans(request: Any, reading: Reading, batch: Batch) -> Iterator[tuple[int, Any, _Resource]]:
    index = 0
    for group in request.resource_spans:
        resource = _resource(group.resource, reading, batch)
        for scope in group.scope_spans:
            for span in scope.spans:
                yield index, span, resource
                index += 1


def _resource(resource: Any, reading: Reading, batch: Batch) -> _Resource:
    values = wanted_values(resource.attributes, {ROADMAP_ATTRIBUTE, *reading.kept_labels})
    labels, dropped = resource_labels(values, reading.kept_labels)
    for name in dropped:
        batch.warn("bad_labels", f"{name}: is no text of at most 200 characters; not kept as a label.")
    roadmap = None
    if reading.takes_roadmap:
        try:
            roadmap = text_of(values, (ROADMAP_ATTRIBUTE,), most=MAX_ROADMAP_CHARACTERS)
        except BadAttribute as bad:
            batch.warn(bad.code, f"{bad.detail} Its spans count for no roadmap.")
    return _Resource(roadmap, labels)


# --- What a span is


def _operation(values: Values) -> str | None:
    """The operation in the design's words; None for a span that is not about inference. Raises BadAttribute."""
    name = text_of(values, (OPERATION_NAME,), most=MAX_KIND_CHARACTERS)
    if name is not None and name.lower() in OPERATIONS:
        return OPERATIONS[name.lower()]
    kind = text_of(values, (OPENINFERENCE_KIND,), most=MAX_KIND_CHARACTERS)
    if kind is not None:
        return OPENINFERENCE_KINDS.get(kind.upper())
    request_type = text_of(values, (REQUEST_TYPE,), most=MAX_KIND_CHARACTERS)
    if request_type is not None:
        return OPERATIONS.get(request_type.lower())
    step = text_of(values, (TRACELOOP_KIND,), most=MAX_KIND_CHARACTERS)
    if step is not None:
        return TRACELOOP_KINDS.get(step.lower())
    if name is None and first_of(values, MODELS) and first_of(values, (*INPUT, *OUTPUT)):
        # A server's own span (vLLM) says model and tokens and no operation.
        return "chat"
    return None


def _records(
    span: Any, values: Values, operation: str, resource: _Resource, limits: Limits, reading: Reading
) -> Iterator[Record]:
    identity = _identity(span)
    duration_ms = _duration(span, limits)
    is_step = operation in STEP_OPERATIONS
    has_failed = span.status.code == STATUS_ERROR or first_of(values, (ERROR_TYPE,)) is not None
    model = _model(values)
    if model is None:
        if not is_step:
            raise BadAttribute("missing_model", f"{MODELS[0]}: is missing, and {MODELS[2]} too; give one of them.")
        model = NO_MODEL
    provider = text_of(values, PROVIDERS, most=60)
    common: dict[str, Any] = {
        "timestamp": time_of(span.end_time_unix_nano),
        "model": model,
        "roadmap": resource.roadmap,
        "provider": provider and provider_name(provider),
        "service_tier": service_tier(text_of(values, TIERS, most=40) or ""),
        "errors": int(has_failed),
        "labels": resource.labels,
    }
    if is_step:
        yield Record(**common, operation=operation, id=identity, duration_ms=None if has_failed else duration_ms)
        tokens = _tokens(values) if reading.counts_step_tokens else _Tokens()
        if tokens != _Tokens():
            # Its time is the step's, and stays there: it would be no inference's.
            name = STEP_TOKEN_OPERATIONS[operation]
            yield Record(**common, operation=name, id=f"{identity}:tokens", **_given(tokens))
        return
    first_ms = None if has_failed else _time_to_first_token(span, values)
    yield Record(
        **common,
        operation=operation,
        id=identity,
        duration_ms=None if has_failed else duration_ms,
        time_to_first_token_ms=first_ms if duration_ms is not None and (first_ms or 0) <= duration_ms else None,
        **_given(_tokens(values)),
    )


def _given(tokens: _Tokens) -> dict[str, Any]:
    return {
        "input_tokens": tokens.input,
        "cached_input_tokens": tokens.cached,
        "cache_write_input_tokens": tokens.cache_write,
        "output_tokens": tokens.output,
    }


def _identity(span: Any) -> str:
    trace_id, span_id = bytes(span.trace_id), bytes(span.span_id)
    if len(trace_id) != TRACE_ID_BYTES or len(span_id) != SPAN_ID_BYTES or not any(trace_id) or not any(span_id):
        raise BadAttribute(
            "bad_id", "traceId and spanId: take 16 and 8 bytes, not all zero; a repeat is told by them. Give both."
        )
    return f"{trace_id.hex()}:{span_id.hex()}"


def _duration(span: Any, limits: Limits) -> float | None:
    """Milliseconds; None where they cannot be known. Raises BadAttribute where the span's times are wrong."""
    start, end = span.start_time_unix_nano, span.end_time_unix_nano
    if not end:
        raise BadAttribute("missing_field", "endTimeUnixNano: is missing; a span is sent once it has ended.")
    if start > end:
        raise BadAttribute("ends_before_start", "endTimeUnixNano: lies before startTimeUnixNano; check the clock.")
    day = time_of(end).astimezone(UTC).date()
    if day < limits.first_id_on:
        raise BadAttribute(
            "too_old_for_id",
            f"endTimeUnixNano: {day} lies {ID_DAYS} days or more back, where a span cannot be told from a repeat. "
            "Send older usage to /api/v1/usage without id.",
        )
    duration_ms = (end - start) / NANOSECONDS_A_MS if start else 0
    return duration_ms if 0 < duration_ms <= MAX_DURATION_MS else None


def _model(values: Values) -> str | None:
    model = text_of(values, MODELS, most=200)
    if model is not None or first_of(values, PARAMETERS) is None:
        return model
    try:
        model = _PARAMETERS.decode(values[first_of(values, PARAMETERS) or ""].string_value).model
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    model = (model or "").strip()
    return model if 0 < len(model) <= 200 and "\0" not in model else None  # noqa: PLR2004 - as in Record


# --- What it used


def _tokens(values: Values) -> _Tokens:
    """Whatever the sender's convention, ours: input includes what was cached, output what was reasoned.

    The conventions of all three dialects say so too. Instrumentations that passed on numbers of a provider who counts
    apart (Anthropic's) did otherwise: that is certain where the parts are more than the whole, or where the stated
    total is the sum with the parts counted beside.
    """
    given, output = count_of(values, INPUT), count_of(values, OUTPUT)
    cached, cache_write = count_of(values, CACHED), count_of(values, CACHE_WRITE)
    reasoning, total = count_of(values, REASONING), count_of(values, TOTAL)
    beside_input, beside_output = (cached or 0) + (cache_write or 0), reasoning or 0
    whole_input, whole_output = given or 0, output or 0
    if given is not None and _is_beside(whole_input, beside_input, total, (whole_output, whole_output + beside_output)):
        given += beside_input
    if output is not None and _is_beside(whole_output, beside_output, total, (whole_input, whole_input + beside_input)):
        output += beside_output
    return _Tokens(given, cached, cache_write, output)


def _is_beside(whole: int, parts: int, total: int | None, others: tuple[int, int]) -> bool:
    """Whether the parts are counted beside the whole. `others`: what may make up the rest of the total."""
    return parts > whole or (parts > 0 and total is not None and total - whole - parts in others)


def _time_to_first_token(span: Any, values: Values) -> float | None:
    seconds = number_of(values, FIRST_TOKEN_SECONDS)
    if seconds is None and span.start_time_unix_nano:
        times = [event.time_unix_nano for event in span.events if event.name in FIRST_TOKEN_EVENTS]
        if times:
            seconds = (min(times) - span.start_time_unix_nano) / NANOSECONDS_A_MS / 1000
    if seconds is None or not 0 < seconds * 1000 <= MAX_DURATION_MS:
        return None
    return seconds * 1000

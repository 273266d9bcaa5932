"""Spans become usage: three dialects, as packages recorded them, and whatever else may arrive. No database."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest

from metrics.format import Limits, Unreadable
from metrics.formats.otlp_traces import Reading, records_of
from tests.metrics.spans import SECOND, add_span, recorded, request_of

DAY_S = 86_400
CHAT = {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.request.model": "m"}


def read(request, *, max_records=10_000, **reading):
    now = datetime.now(UTC)
    limits = Limits(now=now, oldest=now - timedelta(days=1800), max_records=max_records)
    return records_of(request, limits, Reading(**reading))


def one(attributes, *, reading=None, **fields):
    batch = read(request_of(attributes, **fields), **(reading or {}))
    assert batch.rejections == []
    (record,) = batch.records
    return record


def refusal(attributes, **fields):
    batch = read(request_of(attributes, **fields))
    assert batch.records == []
    (rejection,) = batch.rejections
    return rejection.code, rejection.detail


def tokens(record):
    return (
        record.input_tokens,
        record.cached_input_tokens,
        record.cache_write_input_tokens,
        record.output_tokens,
    )


# --- As recorded


@pytest.mark.parametrize("package", ["traceloop", "openinference", "openai-v2"])
def test_what_a_package_records_is_what_its_program_did(package):
    """tests/data/README.md says how they were made: a chat, a streamed one, an embedding and two refusals."""
    batch = read(recorded(package), kept_labels=frozenset({"service.name"}))
    assert (batch.rejections, batch.warnings) == ([], {})
    by_model = {(record.model, record.time_to_first_token_ms is not None): record for record in batch.records}
    assert len(batch.records) == 5
    # openai-v2 says nothing of cached tokens, and nothing of the first piece of a stream.
    knows = package != "openai-v2"
    chats = sorted((record for record in batch.records if record.model.startswith("gpt")), key=lambda r: r.input_tokens)
    assert [tokens(record) for record in chats] == [
        (812, 256 if knows else None, None, 164),
        (1020, 512 if knows else None, None, 48),
    ]
    assert {record.operation for record in batch.records} == {"chat", "embeddings"}
    (embedding,) = (record for record in batch.records if record.operation == "embeddings")
    assert (embedding.model, embedding.input_tokens, embedding.output_tokens) == ("text-embedding-3-small", 33, None)
    failed = [record for record in batch.records if record.errors]
    assert [(record.model, record.duration_ms, record.input_tokens) for record in failed] == [
        ("limited", None, None),
        ("broken", None, None),
    ]
    streamed = chats[1]
    assert 350 < streamed.duration_ms < 400
    assert ((("gpt-4o-mini-2024-07-18"), True) in by_model) is knows
    if knows:
        assert 120 < streamed.time_to_first_token_ms < 140
    assert {record.provider for record in batch.records} == {"openai"}
    assert {bytes(record.labels) for record in batch.records} == {b'{"service.name":"claims-bot"}'}


# --- Dialects


@pytest.mark.parametrize(
    "attributes",
    [
        {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "anthropic",
            "gen_ai.response.model": "claude",
            "gen_ai.usage.input_tokens": 100,
            "gen_ai.usage.cache_read.input_tokens": 30,
            "gen_ai.usage.cache_write.input_tokens": 20,
            "gen_ai.usage.output_tokens": 7,
            "gen_ai.usage.reasoning.output_tokens": 3,
        },
        {
            "gen_ai.system": "Anthropic",
            "llm.request.type": "chat",
            "gen_ai.request.model": "claude",
            "gen_ai.usage.prompt_tokens": 100,
            "gen_ai.usage.cache_read_input_tokens": 30,
            "gen_ai.usage.cache_creation_input_tokens": 20,
            "gen_ai.usage.completion_tokens": 7,
            "llm.usage.total_tokens": 107,
        },
        {
            "openinference.span.kind": "LLM",
            "llm.system": "anthropic",
            "llm.model_name": "claude",
            "llm.token_count.prompt": 100,
            "llm.token_count.prompt_details.cache_read": 30,
            "llm.token_count.prompt_details.cache_write": 20,
            "llm.token_count.completion": 7,
            "llm.token_count.total": 107,
        },
    ],
    ids=["newest", "older", "openinference"],
)
def test_the_same_call_is_the_same_usage_in_each_dialect(attributes):
    record = one(attributes)
    assert (record.provider, record.model, record.operation) == ("anthropic", "claude", "chat")
    assert tokens(record) == (100, 30, 20, 7)


@pytest.mark.parametrize(
    ("attributes", "operation"),
    [
        ({"gen_ai.operation.name": "generate_content"}, "generate_content"),
        ({"gen_ai.operation.name": "text_completion"}, "text_completion"),
        ({"gen_ai.operation.name": "Chat"}, "chat"),
        ({"gen_ai.operation.name": "embeddings"}, "embeddings"),
        ({"gen_ai.operation.name": "invoke_agent"}, "invoke_agent"),
        ({"gen_ai.operation.name": "execute_tool"}, "execute_tool"),
        ({"gen_ai.operation.name": "fancy_new_thing", "traceloop.span.kind": "tool"}, "execute_tool"),
        ({"llm.request.type": "completion"}, "text_completion"),
        ({"llm.request.type": "embedding"}, "embeddings"),
        ({"traceloop.span.kind": "workflow"}, "invoke_workflow"),
        ({"traceloop.span.kind": "agent"}, "invoke_agent"),
        ({"traceloop.span.kind": "task"}, "execute_task"),
        ({"openinference.span.kind": "EMBEDDING"}, "embeddings"),
        ({"openinference.span.kind": "CHAIN"}, "invoke_workflow"),
        ({"openinference.span.kind": "RETRIEVER"}, "retrieval"),
        ({"gen_ai.usage.prompt_tokens": 5, "gen_ai.response.model": "served"}, "chat"),
    ],
)
def test_each_kind_of_span_has_its_operation(attributes, operation):
    assert one({"gen_ai.request.model": "m", **attributes}).operation == operation


@pytest.mark.parametrize(
    "attributes",
    [
        {"http.request.method": "POST", "url.full": "https://x.example"},
        {},
        {"gen_ai.operation.name": "fancy_new_thing", "gen_ai.request.model": "m", "gen_ai.usage.input_tokens": 5},
        {"openinference.span.kind": "GUARDRAIL", "llm.token_count.prompt": 5},
        {"traceloop.span.kind": "unknown"},
        {"gen_ai.request.model": "m"},
    ],
)
def test_what_is_not_about_inference_is_accepted_in_silence(attributes):
    batch = read(request_of(attributes, took_ms=-5))
    assert (batch.records, batch.rejections, batch.warnings) == ([], [], {})


def test_the_model_of_a_failed_call_is_in_its_parameters():
    record = one(
        {
            "openinference.span.kind": "LLM",
            "llm.invocation_parameters": '{"model": "gpt-4o", "user": "u-1", "tools": [{"x": [1]}]}',
        },
        failed=True,
    )
    assert (record.model, record.errors) == ("gpt-4o", 1)
    for odd in ("{", "[1]", '{"model": 5}', '{"model": ""}', "[" * 100_000):
        code, _ = refusal({"openinference.span.kind": "LLM", "llm.invocation_parameters": odd})
        assert code == "missing_model"


def test_providers_have_one_name_each():
    names = {"az.ai.openai": "azure.ai.openai", "AWS": "aws.bedrock", "xai": "x_ai", "vertexai": "gcp.vertex_ai"}
    for given, ours in names.items():
        assert one({**CHAT, "gen_ai.provider.name": given}).provider == ours
    assert one({"gen_ai.operation.name": "chat", "gen_ai.request.model": "m"}).provider is None


def test_the_tier_that_everybody_gets_is_none():
    assert one({**CHAT, "openai.response.service_tier": "default"}).service_tier is None
    assert one({**CHAT, "openai.response.service_tier": "flex"}).service_tier == "flex"


# --- Tokens counted beside one another


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        # The parts are more than the whole: passed on as a provider counts them, who counts them apart.
        ({"input_tokens": 10, "cache_read.input_tokens": 5000, "output_tokens": 3}, (5010, 5000, None, 3)),
        # The total tells it.
        (
            {"input_tokens": 100, "cache_read.input_tokens": 40, "output_tokens": 5, "total_tokens": 145},
            (140, 40, None, 5),
        ),
        (
            {"input_tokens": 100, "cache_read.input_tokens": 40, "output_tokens": 5, "total_tokens": 105},
            (100, 40, None, 5),
        ),
        (
            {"input_tokens": 100, "reasoning.output_tokens": 40, "output_tokens": 50, "total_tokens": 190},
            (100, None, None, 90),
        ),
        (
            {"input_tokens": 100, "reasoning.output_tokens": 40, "output_tokens": 50, "total_tokens": 150},
            (100, None, None, 50),
        ),
        ({"input_tokens": 100, "reasoning.output_tokens": 60, "output_tokens": 50}, (100, None, None, 110)),
        # Nothing tells: the conventions hold.
        ({"input_tokens": 100, "cache_read.input_tokens": 40, "output_tokens": 5}, (100, 40, None, 5)),
        # What is not known stays unknown.
        ({"cache_read.input_tokens": 40}, (None, 40, None, None)),
        ({}, (None, None, None, None)),
    ],
)
def test_input_includes_what_was_cached_and_output_what_was_reasoned(usage, expected):
    assert tokens(one({**CHAT, **{f"gen_ai.usage.{name}": value for name, value in usage.items()}})) == expected


# --- Times


def test_the_end_is_the_time_and_errors_are_not_timed():
    request = request_of(CHAT, took_ms=1500, ended_ago_s=30)
    (record,) = read(request).records
    end = request.resource_spans[0].scope_spans[0].spans[0].end_time_unix_nano
    assert record.timestamp.timestamp() == pytest.approx(end / SECOND, abs=1e-5)
    assert (record.duration_ms, record.errors) == (1500, 0)
    assert one(CHAT, failed=True).duration_ms is None
    assert one({**CHAT, "error.type": "timeout"}).errors == 1


@pytest.mark.parametrize(
    ("attributes", "events", "expected"),
    [
        ({"gen_ai.response.time_to_first_chunk": 0.25}, {}, 250),
        ({"gen_ai.latency.time_to_first_token": 0.25}, {}, 250),
        ({}, {"First Token Stream Event": 125}, 125),
        ({}, {"gen_ai.content.completion.chunk": 100, "llm.content.completion.chunk": 90, "exception": 5}, 90),
        ({}, {"exception": 5}, None),
        ({"gen_ai.response.time_to_first_chunk": 900.0}, {}, None),
        ({"gen_ai.response.time_to_first_chunk": -1.0}, {}, None),
        ({"gen_ai.response.time_to_first_chunk": float("nan")}, {}, None),
        ({"gen_ai.response.time_to_first_chunk": "soon"}, {}, None),
    ],
)
def test_the_first_token(attributes, events, expected):
    record = one({**CHAT, **attributes}, events=events)
    assert record.time_to_first_token_ms == (None if expected is None else pytest.approx(expected))


# --- Agents


def agent_trace():
    """agent > tool > two chats, the sum repeated on tool and agent."""
    request = request_of()
    chat = {**CHAT, "gen_ai.usage.output_tokens": 10}
    both = {"gen_ai.usage.input_tokens": 300, "gen_ai.usage.output_tokens": 20}
    tool_id, agent_id = b"tool-id-", b"agent-id"
    add_span(request, {**chat, "gen_ai.usage.input_tokens": 100}, parent=tool_id)
    add_span(request, {**chat, "gen_ai.usage.input_tokens": 200}, parent=tool_id)
    add_span(request, {"gen_ai.operation.name": "execute_tool", **both}, span_id=tool_id, parent=agent_id, took_ms=2000)
    agent = {"gen_ai.operation.name": "invoke_agent", "gen_ai.request.model": "m", **both}
    add_span(request, agent, span_id=agent_id, took_ms=3000)
    return request


def test_the_tokens_of_an_agents_run_are_those_of_its_calls_once():
    records = read(agent_trace()).records
    assert [(record.operation, record.model, record.input_tokens, record.duration_ms) for record in records] == [
        ("chat", "m", 100, 500),
        ("chat", "m", 200, 500),
        ("execute_tool", "no model", None, 2000),
        ("invoke_agent", "m", None, 3000),
    ]


def test_where_the_token_says_so_steps_keep_theirs_apart():
    records = read(agent_trace(), counts_step_tokens=True).records
    kept = [(one.operation, one.input_tokens, one.output_tokens, one.duration_ms) for one in records[2:]]
    assert kept == [
        ("execute_tool", None, None, 2000),
        ("execute_tool_tokens", 300, 20, None),
        ("invoke_agent", None, None, 3000),
        ("invoke_agent_tokens", 300, 20, None),
    ]
    assert len({one.id for one in records}) == 6


# --- Whose it is


def test_the_resource_names_the_roadmap_unless_the_token_does():
    request = request_of(CHAT, resource={"phaseline.roadmap": "claims", "service.name": "bot", "host.name": "h1"})
    (record,) = read(request, kept_labels=frozenset({"service.name"})).records
    assert (record.roadmap, bytes(record.labels)) == ("claims", b'{"service.name":"bot"}')
    (record,) = read(request, takes_roadmap=False).records
    assert (record.roadmap, bytes(record.labels)) == (None, b"")


def test_a_label_that_is_no_text_is_left_out_and_said():
    request = request_of(CHAT, resource={"service.name": ["a", "secret"], "team": "x" * 500, "phaseline.roadmap": 5})
    batch = read(request, kept_labels=frozenset({"service.name", "team"}))
    assert bytes(batch.records[0].labels) == b""
    assert batch.records[0].roadmap is None
    assert sorted(code for code, _ in batch.warnings) == ["bad_labels", "bad_labels", "wrong_type"]
    assert "secret" not in str(batch.warnings)


def test_a_span_has_one_id_wherever_it_arrives():
    assert one(CHAT, span_id=b"abcdefgh").id == f"{'74' * 16}:6162636465666768"


# --- Bad input


@pytest.mark.parametrize(
    ("changed", "code", "names"),
    [
        ({"gen_ai.usage.input_tokens": -1}, "out_of_range", "gen_ai.usage.input_tokens"),
        ({"gen_ai.usage.input_tokens": 10**13}, "out_of_range", "gen_ai.usage.input_tokens"),
        ({"gen_ai.usage.output_tokens": 1.5}, "wrong_type", "gen_ai.usage.output_tokens"),
        ({"gen_ai.usage.output_tokens": float("nan")}, "wrong_type", "gen_ai.usage.output_tokens"),
        ({"gen_ai.usage.output_tokens": float("inf")}, "wrong_type", "gen_ai.usage.output_tokens"),
        ({"gen_ai.usage.input_tokens": "secret"}, "wrong_type", "got text"),
        ({"gen_ai.usage.input_tokens": True}, "wrong_type", "got true or false"),
        ({"gen_ai.usage.cache_read.input_tokens": ["secret"]}, "wrong_type", "got a list"),
        ({"gen_ai.request.model": ["secret"]}, "wrong_type", "gen_ai.request.model: takes text; got a list."),
        ({"gen_ai.request.model": {"secret": 1}}, "wrong_type", "got a list of pairs"),
        ({"gen_ai.request.model": "secret" * 50}, "bad_length", "gen_ai.request.model"),
        ({"gen_ai.request.model": "m\0secret"}, "bad_text", "gen_ai.request.model"),
        ({"gen_ai.request.model": ""}, "missing_model", "gen_ai.response.model"),
        ({"gen_ai.request.model": None}, "missing_model", "gen_ai.response.model"),
        ({"gen_ai.provider.name": "secret" * 20}, "bad_length", "gen_ai.provider.name"),
        ({"gen_ai.provider.name": b"secret"}, "wrong_type", "got bytes"),
        ({"gen_ai.operation.name": {"secret": "chat"}}, "wrong_type", "gen_ai.operation.name"),
        ({"openai.response.service_tier": "secret" * 20}, "bad_length", "openai.response.service_tier"),
    ],
)
def test_a_bad_attribute_is_named_and_never_quoted(changed, code, names):
    found, detail = refusal({**CHAT, **changed})
    assert found == code
    assert names in detail
    assert "secret" not in detail


@pytest.mark.parametrize(
    ("times", "code"),
    [
        ({"took_ms": -1}, "ends_before_start"),
        ({"ended_ago_s": -600}, "timestamp_in_future"),
        ({"ended_ago_s": 36 * DAY_S}, "too_old_for_id"),
        ({"start": 0, "end": 0}, "missing_field"),
        ({"start": 0, "end": 2**64 - 1}, "timestamp_in_future"),
        ({"start": 5, "end": 6}, "too_old_for_id"),
        ({"span_id": b""}, "bad_id"),
        ({"span_id": bytes(8)}, "bad_id"),
        ({"trace_id": b"short"}, "bad_id"),
    ],
)
def test_a_span_out_of_time_or_without_identity_is_refused(times, code):
    assert refusal(CHAT, **times)[0] == code


def test_a_duration_that_cannot_be_is_unknown():
    now = time.time_ns()
    assert one(CHAT, start=0, end=now).duration_ms is None
    assert one(CHAT, start=now, end=now).duration_ms is None
    assert one(CHAT, took_ms=2 * DAY_S * 1000).duration_ms is None


def test_one_bad_span_loses_no_other():
    request = request_of(CHAT, {**CHAT, "gen_ai.usage.input_tokens": -5}, {"http.route": "/"}, CHAT)
    batch = read(request)
    assert (list(batch.indexes), [rejection.index for rejection in batch.rejections]) == ([0, 3], [1])


def test_a_span_with_a_hundred_thousand_attributes_is_read_like_any_other():
    many = {f"gen_ai.prompt.{number}.content": "planted" for number in range(100_000)}
    request = request_of({**many, **CHAT, "gen_ai.usage.input_tokens": 5})
    began = time.process_time()
    (record,) = read(request).records
    assert time.process_time() - began < 2
    assert record.input_tokens == 5


def test_more_spans_than_a_push_may_hold_are_refused_as_a_whole():
    with pytest.raises(Unreadable) as refused:
        read(request_of(*[CHAT] * 11), max_records=10)
    assert refused.value.status == 413
    # Spans of anything else do not count.
    assert len(read(request_of(CHAT, *[{"http.route": "/"}] * 50), max_records=10).records) == 1


def test_nothing_that_people_wrote_is_in_a_record():
    for package in ("traceloop", "openinference", "openai-v2"):
        request = recorded(package)
        assert b"zebra-contract-4711" in request.SerializeToString()
        batch = read(request, kept_labels=frozenset({"service.name"}))
        assert "zebra" not in repr([(record, bytes(record.labels)) for record in batch.records])

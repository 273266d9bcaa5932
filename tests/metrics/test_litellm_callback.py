"""What a LiteLLM proxy posts through its generic_api callback: counted once, at its cost, without prompts."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from django.db import OperationalError

from metrics.api import intake
from metrics.format import Limits
from metrics.formats import litellm_callback
from metrics.models import Receipt, Series, UsageHour

pytestmark = pytest.mark.django_db
URL = "/api/v1/usage/litellm"
RECORDED = json.loads((Path(__file__).parents[1] / "data" / "litellm_callback.json").read_bytes())
NOW = datetime(2026, 11, 26, 12, 30, tzinfo=UTC)
END = datetime(2026, 11, 26, 11, 20, tzinfo=UTC).timestamp()


def event(number: int = 1, **fields) -> dict:
    """A request of one second that ended at 11:20."""
    return {
        "id": f"chatcmpl-{number}",
        "call_type": "acompletion",
        "status": "success",
        "model": "gpt-4o-mini",
        "custom_llm_provider": "openai",
        "prompt_tokens": 100,
        "completion_tokens": 20,
        "startTime": END - 1,
        "endTime": END,
        "completionStartTime": END,
        "response_cost": 1.35e-05,
        "cache_hit": None,
        "metadata": {"user_api_key_alias": "claims-app", "user_api_key_team_alias": "claims"},
        "messages": [{"role": "user", "content": "PLANTED"}],
        "response": {"choices": [{"message": {"content": "PLANTED"}}]},
        "end_user": "PLANTED",
        "requester_ip_address": "10.0.0.9",
        **fields,
    }


@pytest.fixture
def post(api, alice, claims, monkeypatch):
    monkeypatch.setattr("metrics.actions.usage.timezone.now", lambda: NOW)
    client = api(alice, scopes=["push"], workload=claims)

    def _post(body, content_type="application/json", **more):
        sent = body if isinstance(body, bytes | str) else json.dumps(body)
        return client.post(URL, sent, content_type=content_type, **more)

    _post.client = client
    return _post


def test_a_recorded_post_of_a_real_proxy_counts_what_the_proxy_said(post):
    answer = post(RECORDED)
    assert answer.status_code == 201, answer.content
    assert (answer.json()["accepted"], answer.json()["rejected"]) == (len(RECORDED), [])
    rows = UsageHour.objects.all()
    assert sum(row.requests for row in rows) == len(RECORDED)
    assert sum(row.errors for row in rows) == sum(one["status"] == "failure" for one in RECORDED) == 1
    assert sum(row.input_tokens for row in rows) == sum(one["prompt_tokens"] for one in RECORDED)
    assert sum(row.output_tokens for row in rows) == sum(one["completion_tokens"] for one in RECORDED)
    told = sum(Decimal(str(one["response_cost"] or 0)) for one in RECORDED)
    assert sum(row.estimated_cost or 0 for row in rows) == told.quantize(Decimal("1e-10"))


def test_it_is_measured_at_the_gateway_with_team_and_key(post, claims):
    post([event()])
    series = Series.objects.get()
    assert (series.provider, series.model, series.operation) == ("openai", "gpt-4o-mini", "chat")
    assert (series.measured_at, series.workload) == ("gateway", claims)
    assert series.labels == {"api_key_name": "claims-app", "team": "claims"}


def test_a_post_that_litellm_repeats_counts_once(post):
    first = post([event(1), event(2)])
    assert post([event(1), event(2)]).json() == first.json()
    # The same requests in another batch.
    again = post([event(2), event(3)]).json()
    assert (again["accepted"], again["duplicates"]) == (1, 1)
    assert UsageHour.objects.get().requests == 3


def test_two_attempts_of_one_call_are_two_requests(post):
    post([event(1, status="failure", startTime=END - 3), event(1)])
    row = UsageHour.objects.get()
    assert (row.requests, row.errors) == (2, 1)


@pytest.mark.parametrize(
    "usage",
    [
        {"prompt_tokens_details": {"cached_tokens": 60}, "cache_creation_input_tokens": 30},
        {"cache_read_input_tokens": 60, "cache_creation_input_tokens": 30, "prompt_tokens_details": None},
    ],
    ids=["details", "anthropic"],
)
def test_input_contains_what_came_from_and_went_to_a_cache(post, usage):
    post([event(metadata={"usage_object": usage})])
    row = UsageHour.objects.get()
    assert (row.input_tokens, row.cached_input_tokens, row.cache_write_input_tokens) == (100, 60, 30)


def test_input_that_excludes_its_cache_is_made_to_include_it(post):
    post([event(prompt_tokens=10, metadata={"usage_object": {"cache_read_input_tokens": 90}})])
    assert UsageHour.objects.get().input_tokens == 100


@pytest.mark.parametrize(
    ("fields", "cost"),
    [
        ({"response_cost": 0.0, "model": "house"}, None),
        ({"response_cost": None, "model": "house"}, None),
        ({"response_cost": 0.0, "cache_hit": True}, Decimal(0)),
        ({"response_cost": 1.23456789012345e-05}, Decimal("0.0000123457")),
    ],
    ids=["no price", "not told", "from its cache", "rounded"],
)
def test_no_price_is_not_a_price_of_zero(post, fields, cost):
    post([event(**fields)])
    assert UsageHour.objects.get().estimated_cost == cost


def test_a_stream_has_a_first_token_and_an_answer_in_one_piece_has_none():
    limits = Limits(now=NOW, oldest=datetime(2022, 1, 1, tzinfo=UTC), max_records=10)
    body = json.dumps([event(1), event(2, completionStartTime=END - 0.6), event(3, status="failure")]).encode()
    whole, stream, failed = litellm_callback.decode(body, limits).records
    assert (whole.duration_ms, whole.time_to_first_token_ms) == (pytest.approx(1000), None)
    assert stream.time_to_first_token_ms == pytest.approx(400)
    assert (failed.errors, failed.duration_ms) == (1, None)


def test_a_guardrail_that_stopped_a_request_counts(post):
    post([event(1, guardrail_information=[{"guardrail_status": "guardrail_intervened"}]), event(2)])
    assert UsageHour.objects.get().blocked == 1


def test_a_key_named_like_an_address_is_called_by_its_number(post):
    post([event(metadata={"user_api_key_alias": "ann@example.org", "user_api_key_hash": "0e7cdb9dad567a"})])
    assert Series.objects.get().labels == {"api_key_name": "key 0e7cdb9d"}


def test_prompts_answers_and_users_are_nowhere(post, caplog):
    answer = post([event(1), event(2, prompt_tokens="PLANTED")])
    kept = f"{list(Receipt.objects.values())} {list(Series.objects.values())} {answer.text} {caplog.text}"
    assert "PLANTED" not in kept
    assert "10.0.0.9" not in kept


@pytest.mark.parametrize("separator", ["\n", "\r\n\n"], ids=["lines", "windows lines"])
def test_one_a_line_and_one_alone_are_read_as_well(post, separator):
    assert post(separator.join(json.dumps(event(number)) for number in (1, 2))).json()["accepted"] == 2
    assert post(json.dumps(event(3))).json()["accepted"] == 1


@pytest.mark.parametrize(
    ("bad", "code", "said"),
    [
        (None, "wrong_type", "object"),
        ("text", "wrong_type", "object"),
        ({}, "wrong_type", "startTime: is missing. Is generic_api_use_v1 on?"),
        (event(prompt_tokens="many"), "wrong_type", "prompt_tokens"),
        (event(prompt_tokens=-1), "out_of_range", "input_tokens: -1"),
        (event(response_cost=-1), "out_of_range", "response_cost"),
        (event(response_cost=1e12), "out_of_range", "response_cost"),
        (event(id="", litellm_call_id=None), "missing_field", "id"),
        (event(endTime=1e18), "bad_timestamp", "endTime"),
        (event(endTime=END + 9_000, startTime=END), "timestamp_in_future", "ahead"),
        (event(model="a\0b"), "bad_text", "model"),
        (event(metadata=[]), "wrong_type", "metadata"),
    ],
    ids=["null", "text", "v1", "type", "negative", "credit", "huge", "no id", "no time", "future", "nul", "metadata"],
)
def test_a_bad_request_says_why_and_loses_nobody_else(post, bad, code, said):
    answer = post([bad, event()])
    assert answer.status_code == 201, answer.content
    assert answer.json()["accepted"] == 1
    [rejected] = answer.json()["rejected"]
    assert (rejected["index"], rejected["code"]) == (0, code)
    assert said in rejected["detail"]


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 400, "empty"),
        (b"[]", 400, "empty"),
        (b"[{", 400, "malformed"),
        (b"[\xff]", 400, "malformed"),
        (b"[" * 5_000, 400, "malformed"),
        (b"[" + b"{}," * 10_000 + b"{}]", 413, "too_many_records"),
        (b"not json", 422, "all_rejected"),
    ],
    ids=["empty", "none", "cut", "bytes", "deep", "many", "text"],
)
def test_a_body_that_is_none_is_told_so(post, body, status, code):
    answer = post(body)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_another_content_type_is_told_what_to_send(post):
    assert post([event()], content_type="text/plain").status_code == 415


def test_what_others_are_told_as_429_is_503_since_litellm_repeats_nothing_else(post, monkeypatch):
    monkeypatch.setattr(intake, "MAX_IN_FLIGHT", 1)
    with intake.in_flight(post.client.token.pk):
        answer = post([event()])
    assert answer.status_code == 503
    assert answer.headers["Retry-After"]


def test_a_database_that_is_down_is_503(post, monkeypatch):
    def _fail(*args, **kwargs):
        raise OperationalError

    monkeypatch.setattr("metrics.api.usage.accept_usage", _fail)
    assert post([event()]).status_code == 503


def test_who_may_post(client, api, vera, alice, claims):
    body = json.dumps([event()])
    assert client.post(URL, body, content_type="application/json").status_code == 401
    assert api(alice, scopes=["read"]).post(URL, body, content_type="application/json").status_code == 403
    assert api(vera, scopes=["push"]).post(URL, body, content_type="application/json").status_code == 422

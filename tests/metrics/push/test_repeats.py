"""POST /api/v1/usage: what a repeat does, and ids."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from metrics.models import IdempotencyKey, Receipt, Series
from metrics.new_series import made_with
from tests.metrics.push.pushing import URL, at, hours, record

pytestmark = pytest.mark.django_db


def test_the_same_body_again_is_answered_and_not_counted(push):
    body = json.dumps({"records": [record()]}).encode()
    first, again = push(body=body), push(body=body)
    assert again.status_code == 201
    assert again.json() == first.json()
    assert again["Location"] == first["Location"]
    assert "Idempotency-Replayed" not in first
    assert again["Idempotency-Replayed"] == "true"
    assert hours()["requests"] == 1


def test_two_keys_count_twice(push):
    body = json.dumps({"records": [record()]}).encode()
    for key in ("a", "b", "a"):
        assert push(body=body, **{"Idempotency-Key": key}).status_code == 201
    assert hours()["requests"] == 2


def test_a_key_with_another_body_is_refused(push):
    push(record(), **{"Idempotency-Key": "a"})
    answer = push(record(), record(), **{"Idempotency-Key": "a"})
    assert (answer.status_code, answer.json()["code"]) == (422, "key_reused")
    assert hours()["requests"] == 1


def test_a_key_is_kept_for_24_hours(push):
    body = json.dumps({"records": [record()]}).encode()
    push(body=body)
    IdempotencyKey.objects.update(created_at=timezone.now() - timedelta(hours=24, seconds=1))
    answer = push(body=body)
    assert "Idempotency-Replayed" not in answer
    assert hours()["requests"] == 2


def test_keys_are_those_of_one_token(push, api, bob, claims):
    body = json.dumps({"records": [record()]}).encode()
    push(body=body, **{"Idempotency-Key": "a"})
    other_token = api(bob, scopes=["push"], workload=claims)
    other_token.post(URL, body, content_type="application/json", headers={"Idempotency-Key": "a"})
    assert hours()["requests"] == 2


def test_an_id_counts_once_per_workload_and_day(push, api, alice, claims):
    answers = [
        push(record(id="a"), record(id="b"), record(id="a"), record()).json(),
        push(record(id="a"), record(id="c")).json(),
    ]
    assert [(answer["accepted"], answer["duplicates"]) for answer in answers] == [(3, 1), (1, 1)]
    # A whole day before the others, so that it is another UTC day whenever the test runs.
    yesterday = at(minutes_ago=24 * 60 + 10)
    assert push(record(id="a", timestamp=yesterday)).json()["accepted"] == 1
    unbound = api(alice, scopes=["push"])
    body = json.dumps({"records": [record(id="a"), record(id="a", roadmap="claims")]})
    answer = unbound.post(URL, body, content_type="application/json").json()
    assert (answer["accepted"], answer["duplicates"]) == (1, 1)
    assert hours()["requests"] == 6


def test_a_push_of_duplicates_alone_has_a_receipt(push):
    push(record(id="a"))
    answer = push(record(id="a", output_tokens=7))
    assert answer.status_code == 201
    assert (answer.json()["accepted"], answer.json()["duplicates"]) == (0, 1)
    assert Receipt.objects.filter(uuid=answer.json()["receipt"], accepted=0).exists()
    assert hours()["requests"] == 1


def test_labels_past_the_days_allowance_count_without_them(push, monkeypatch):
    monkeypatch.setattr("metrics.new_series.NEW_SERIES_A_DAY", 3)
    answer = push(*[record(labels={"team": f"team {n}"}) for n in range(5)]).json()
    assert answer["accepted"] == 5
    assert [(row["code"], row["records"]) for row in answer["warnings"]] == [("too_many_series", 2)]
    assert Series.objects.filter(labels={}).count() == 1
    assert Series.objects.count() == 4
    again = push(record(labels={"team": "another"})).json()
    assert [row["code"] for row in again["warnings"]] == ["too_many_series"]
    assert Series.objects.count() == 4
    # Those that were made are known and go on.
    assert not push(*[record(labels=series.labels) for series in Series.objects.exclude(labels={})]).json()["warnings"]
    assert hours()["requests"] == 9


@pytest.mark.django_db(transaction=True)
def test_a_sender_past_the_days_allowance_costs_no_more_than_looking(push, monkeypatch):
    monkeypatch.setattr("metrics.new_series.NEW_SERIES_A_DAY", 3)
    push(*[record(labels={"team": f"team {n}"}) for n in range(5)])
    push(record(labels={"team": "one too many"}))
    recounted = []
    monkeypatch.setattr("metrics.counting.recount", recounted.append)
    with CaptureQueriesContext(connection) as asked:
        answer = push(record(labels={"team": "another"})).json()
    assert [row["code"] for row in answer["warnings"]] == ["too_many_series"]
    # All series of its backends are not looked at again, and no push waits for another's count.
    assert recounted == []
    assert not [query for query in asked.captured_queries if "seriesallowance" in query["sql"]]
    assert hours()["requests"] == 7
    # The next day has its own.
    assert made_with(push.client.token, timezone.now() + timedelta(days=1))(0) == 0

"""Pushes at the same time, and pushes that are cut off: each counts once or not at all."""

from __future__ import annotations

import json
import threading
import time
from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.utils import timezone
from rest_framework.test import APIClient

from accounts.models import Membership, Role, Token, User, Workload
from accounts.tokens import make_token
from metrics import ledger
from metrics.actions import counts
from metrics.models import Backend, IdempotencyKey, Receipt, RecordId, UsageHour

URL = "/api/v1/usage"
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def token() -> str:
    claims = Workload.objects.create(slug="claims", name="Claims")
    owner = User.objects.create_user(username="alice")
    Membership.objects.create(user=owner, workload=claims, role=Role.MANAGER)
    return make_token(name="t", owner=owner, scopes=["push"], workload=claims)[1]


def push(token: str, records: list[dict], key: str | None = None):
    client = APIClient(raise_request_exception=False)
    headers = {"Authorization": f"Bearer {token}"} | ({"Idempotency-Key": key} if key else {})
    return client.post(URL, json.dumps({"records": records}), content_type="application/json", headers=headers)


def records(*ids: str | None) -> list[dict]:
    at = (timezone.now() - timedelta(hours=2)).replace(microsecond=0).isoformat()
    return [{"timestamp": at, "model": "m", **({"id": name} if name else {})} for name in ids]


def at_once(*calls):
    """Runs the calls in threads that start together; their results in order."""
    results: list = [None] * len(calls)
    gate = threading.Barrier(len(calls))

    def run(place: int) -> None:
        try:
            gate.wait(10)
            results[place] = calls[place]()
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(place,)) for place in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return results


def requests_counted() -> int:
    return sum(hour.requests or 0 for hour in UsageHour.objects.all())


def test_a_push_of_known_series_is_fourteen_statements_however_large(token, django_assert_max_num_queries):
    push(token, records(None), key="first")
    for number, key in ((1, "second"), (500, "third")):
        with django_assert_max_num_queries(14):
            assert push(token, records(*[None] * number), key=key).status_code == 201


def test_a_key_in_flight_is_told_to_ask_again(token, monkeypatch):
    inside, go_on = threading.Event(), threading.Event()
    post = ledger.post_push

    def slow_post(*args, **kwargs):
        inside.set()
        assert go_on.wait(10)
        return post(*args, **kwargs)

    monkeypatch.setattr(ledger, "post_push", slow_post)
    body = records(None)
    first: list = []

    def run() -> None:
        try:
            first.append(push(token, body, key="k"))
        finally:
            connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    assert inside.wait(10)
    second = push(token, body, key="k")
    go_on.set()
    thread.join(30)
    assert second.status_code == 409
    assert second["Retry-After"] == "1"
    assert first[0].status_code == 201
    third = push(token, body, key="k")
    assert third["Idempotency-Replayed"] == "true"
    assert third.json() == first[0].json()
    assert requests_counted() == 1


def test_racing_pushes_with_one_key_count_once(token):
    body = records(None)
    answers = at_once(*[lambda: push(token, body, key="k")] * 6)
    assert {answer.status_code for answer in answers} <= {201, 409}
    assert len({answer.json()["receipt"] for answer in answers if answer.status_code == 201}) == 1
    assert requests_counted() == 1
    assert Receipt.objects.count() == 1


def test_racing_pushes_with_the_same_ids_count_each_id_once(token):
    names = [f"id {number}" for number in range(50)]
    answers = at_once(
        lambda: push(token, records(*names), key="a"),
        lambda: push(token, records(*reversed(names)), key="b"),
        lambda: push(token, records(*names[::2]), key="c"),
    )
    assert [answer.status_code for answer in answers] == [201, 201, 201]
    assert sum(answer.json()["accepted"] for answer in answers) == 50
    assert sum(answer.json()["duplicates"] for answer in answers) == 75
    assert requests_counted() == 50


def test_first_pushes_at_once_make_one_backend_and_one_series(token):
    answers = at_once(*[lambda key=key: push(token, records(None), key=key) for key in "abcd"])
    assert [answer.status_code for answer in answers] == [201] * 4
    assert requests_counted() == 4
    assert UsageHour.objects.count() == 1


def test_a_push_that_dies_before_the_commit_left_nothing_and_can_be_sent_again(token, monkeypatch):
    class Killed(BaseException):
        """As if the process went away."""

    remember = "metrics.push_keys.PushKey.remember"
    with monkeypatch.context() as patch:
        patch.setattr(remember, lambda *_: (_ for _ in ()).throw(Killed()))
        with pytest.raises(Killed):
            push(token, records("a", "b"))
    for model in (Receipt, RecordId, IdempotencyKey, UsageHour):
        assert not model.objects.exists(), model
    assert push(token, records("a", "b")).json()["accepted"] == 2


def test_a_push_that_the_database_gives_up_for_a_deadlock_counts_once_all_the_same(token):
    """It holds the hour of its first backend and waits for the second's, whose holder then asks for the first."""
    for slug in ("one", "two"):
        Backend.objects.create(slug=slug, name=slug, connector="openai", provider="openai")
    hour = timezone.now().replace(minute=0, second=0, microsecond=0)
    answers = []

    def push(tokens: int) -> None:
        client = APIClient()
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
        records = [
            {"timestamp": hour.isoformat(), "model": "m", "provider": "x", "backend": slug, "output_tokens": tokens}
            for slug in ("one", "two")
        ]
        answer = client.post(URL, json.dumps({"records": records}), content_type="application/json")
        answers.append(answer.status_code)
        connection.close()

    push(1)
    first, second = UsageHour.objects.order_by("series__backend__slug").values_list("pk", flat=True)
    pushing = threading.Thread(target=push, args=(2,))
    with transaction.atomic(), connection.cursor() as cursor:
        # So that it is the push that finds out, and is given up.
        cursor.execute("SET LOCAL deadlock_timeout = '30s'")
        cursor.execute("SELECT 1 FROM metrics_usagehour WHERE id = %s FOR UPDATE", [second])
        pushing.start()
        for _ in range(500):
            cursor.execute("SELECT pg_stat_clear_snapshot()")
            cursor.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
            )
            if cursor.fetchone()[0]:
                break
            time.sleep(0.02)
        cursor.execute("SELECT 1 FROM metrics_usagehour WHERE id = %s FOR UPDATE", [first])
    pushing.join()
    assert answers == [201, 201]
    assert list(UsageHour.objects.values_list("output_tokens", flat=True)) == [3, 3]


def test_a_token_that_is_deleted_meanwhile_is_told_to_ask_again_and_then_that_it_is_unknown(token, monkeypatch):
    find = counts.find_places

    def find_and_delete(asker, keys):
        places = find(asker, keys)
        elsewhere = threading.Thread(target=delete_token)
        elsewhere.start()
        elsewhere.join()
        return places

    def delete_token() -> None:
        Token.objects.all().delete()
        connection.close()

    monkeypatch.setattr(counts, "find_places", find_and_delete)
    answer = push(token, records(None))
    assert (answer.status_code, answer.json()["code"]) == (409, "changed_meanwhile")
    assert answer["Retry-After"] == "1"
    assert push(token, records(None)).status_code == 401
    assert requests_counted() == 0

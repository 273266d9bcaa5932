"""Receipts of pushes: read, taken back; what a push costs."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from metrics import demo
from metrics.models import Backend, LedgerEntry, Receipt, RecordId, Series
from tests.metrics.push.pushing import URL, hours, record

pytestmark = pytest.mark.django_db


def test_a_push_can_be_taken_back_once_and_corrected(push):
    body = json.dumps({"records": [record(id="a")]}).encode()
    receipt = push(body=body).json()["receipt"]
    answer = push.client.post(f"/api/v1/receipts/{receipt}/reverse")
    assert answer.status_code == 201
    assert answer.json()["reverses"] == receipt
    assert hours()["requests"] == 0
    assert not RecordId.objects.exists()
    again = push.client.post(f"/api/v1/receipts/{receipt}/reverse")
    assert (again.status_code, again.json()["code"]) == (409, "already_reversed")
    corrected = push(body=body)
    assert "Idempotency-Replayed" not in corrected
    assert hours()["requests"] == 1
    assert push.client.get(f"/api/v1/receipts/{receipt}").json()["reversed_by"] == answer.json()["receipt"]


def test_it_is_too_late_after_35_days(push):
    receipt = push(record()).json()["receipt"]
    Receipt.objects.update(created_at=timezone.now() - timedelta(days=36))
    answer = push.client.post(f"/api/v1/receipts/{receipt}/reverse")
    assert (answer.status_code, answer.json()["code"]) == (422, "too_old_to_reverse")
    assert hours()["requests"] == 1


def test_who_may_see_and_take_back(push, api, oscar, vera, erin, bob, adam):
    receipt = push(record()).json()["receipt"]
    seen = {}
    for person in (oscar, vera, erin, bob, adam):
        client = api(person, scopes=["push", "read"])
        read = client.get(f"/api/v1/receipts/{receipt}").status_code
        listed = len(client.get("/api/v1/receipts/").json()["results"])
        seen[person.username] = (read, listed, client.post(f"/api/v1/receipts/{receipt}/reverse").status_code)
    assert seen == {
        "oscar": (404, 0, 404),
        "vera": (200, 1, 403),
        "erin": (200, 1, 403),
        "bob": (200, 1, 201),
        "adam": (200, 2, 409),
    }


def test_a_token_that_only_pushes_reads_its_own_receipts(push, api, alice, claims):
    others = push(record()).json()["receipt"]
    client = api(alice, scopes=["push"], workload=claims)
    answer = client.post(URL, json.dumps({"records": [record(units=2)]}), content_type="application/json")
    assert client.get(answer["Location"]).json()["accepted"] == 1
    assert client.get(f"/api/v1/receipts/{others}").status_code == 404
    assert [row["receipt"] for row in client.get("/api/v1/receipts/").json()["results"]] == [answer.json()["receipt"]]
    assert client.post(f"{answer['Location']}/reverse").status_code == 201


def test_any_number_of_providers_makes_a_bounded_number_of_backends(push, monkeypatch):
    monkeypatch.setattr("metrics.push_places.MAX_PUSH_BACKENDS", 3)
    assert push(*[record(provider=f"provider {n}") for n in range(8)]).json()["accepted"] == 8
    assert Backend.objects.count() == 4
    assert Series.objects.filter(backend__slug="push-unknown").count() == 5


def test_a_push_joins_no_backend_of_the_demo(push):
    Backend.objects.create(slug="demo-gpu", name="Demo", connector="metrics", is_demo=True)
    assert [row["code"] for row in push(record(), record(backend="demo-gpu")).json()["rejected"]] == ["unknown_backend"]


def test_what_is_pushed_to_a_demo_roadmap_goes_with_the_demo_and_nothing_else(api, adam, claims, other):
    other.is_demo = True
    other.save()
    client = api(adam, scopes=["push"])
    body = json.dumps({"records": [record(roadmap="claims"), record(roadmap="other", id="a")]})
    client.post(URL, body, content_type="application/json")
    body = json.dumps({"records": [record(roadmap="other")]})
    client.post(URL, body, content_type="application/json")
    assert hours()["requests"] == 3
    demo.remove()
    other.delete()
    assert Series.objects.get().workload == claims
    assert hours()["requests"] == 1
    assert Receipt.objects.count() == 1


def test_the_list_of_receipts_costs_the_same_however_long(push, django_assert_max_num_queries):
    for number in range(5):
        push(record(id=str(number)))
    with django_assert_max_num_queries(4):
        assert len(push.client.get("/api/v1/receipts/").json()["results"]) == 5


def test_a_small_push_is_few_queries(push, django_assert_max_num_queries):
    push(record(id="first"))
    # Here nothing is committed, so that no process remembers anything (tests/metrics/test_push_races.py).
    with django_assert_max_num_queries(26):
        push(record(id="second"))


def test_entries_are_few_however_many_records(push):
    push(*[record(timestamp=datetime.now(UTC).isoformat()) for _ in range(500)])
    assert LedgerEntry.objects.count() <= 2

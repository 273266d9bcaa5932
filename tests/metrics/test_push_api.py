"""POST /api/v1/usage: what counts, what is answered, what a repeat does."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.db import OperationalError
from django.utils import timezone

from metrics import demo, ledger
from metrics.api import intake
from metrics.api import usage as usage_view
from metrics.ledger import PostedCell
from metrics.models import Allocation, Backend, IdempotencyKey, LedgerEntry, Receipt, RecordId, Series, UsageHour
from metrics.usage import FeedKind
from tests.contracts.bad_records import BAD

URL = "/api/v1/usage"
pytestmark = pytest.mark.django_db


def at(minutes_ago: int = 10) -> str:
    return (timezone.now() - timedelta(minutes=minutes_ago)).strftime("%Y-%m-%dT%H:%M:%SZ")


def record(**fields) -> dict:
    return {
        "timestamp": at(),
        "model": "gpt-4o-mini",
        "provider": "openai",
        "input_tokens": 1000,
        "output_tokens": 100,
        **fields,
    }


@pytest.fixture
def push(api, alice, claims):
    """`push(record, ...)`: pushes with a token of alice's bound to `claims`; `push.client` is its client."""
    client = api(alice, scopes=["push", "read"], workload=claims)

    def _push(*records, content_type="application/json", body=None, **headers):
        data = body if body is not None else json.dumps({"records": records}).encode()
        return client.post(URL, data, content_type=content_type, headers=headers or None)

    _push.client = client
    return _push


def hours() -> dict[str, int | Decimal | None]:
    rows = UsageHour.objects.all()
    return {
        "requests": sum(row.requests or 0 for row in rows),
        "input_tokens": sum(row.input_tokens or 0 for row in rows),
        "estimated_cost": sum(row.estimated_cost or 0 for row in rows),
    }


def test_it_counts_and_says_where_to_look(push, claims):
    answer = push(record(), record())
    assert answer.status_code == 201
    document = answer.json()
    receipt = Receipt.objects.get()
    assert document == {
        "receipt": str(receipt.uuid),
        "accepted": 2,
        "duplicates": 0,
        "rejected": [],
        "warnings": [],
        "not_priced": 0,
        "see": document["see"],
    }
    assert document["see"].startswith("http://testserver/")
    assert answer["Location"] == f"/api/v1/receipts/{receipt.uuid}"
    # 2 x (1,000 x 0.15 + 100 x 0.60) a million
    assert hours() == {"requests": 2, "input_tokens": 2000, "estimated_cost": Decimal("0.00042")}
    series = Series.objects.get()
    assert series.workload == claims
    assert series.is_pushed
    assert series.allocations.get().workload == claims
    assert series.backend.slug == "push-openai"
    assert receipt.note.startswith("Priced by genai-prices")


def test_lines_and_gzip_count_the_same(push):
    body = b"\n".join(json.dumps(record()).encode() for _ in range(3))
    assert (
        push(body=gzip.compress(body), content_type="application/x-ndjson", **{"Content-Encoding": "gzip"}).json()[
            "accepted"
        ]
        == 3
    )
    assert hours()["requests"] == 3


def test_one_bad_record_never_loses_the_others(push):
    records = [record()]
    for extra, _ in BAD.values():
        bad = record(**extra)
        if str(extra.get("timestamp")).startswith("2026-11-22T14:35"):
            bad["timestamp"] = (timezone.now() + timedelta(minutes=6)).isoformat()
        elif str(extra.get("timestamp")).startswith("2021"):
            bad["timestamp"] = "2015-01-01T00:00:00Z"
        elif str(extra.get("timestamp")).startswith("2026-10"):
            bad["timestamp"] = (timezone.now() - timedelta(days=36)).isoformat()
        if "cached_input_tokens" in extra:
            bad["input_tokens"] = 1
        records += [bad, record()]
    answer = push(*records).json()
    assert answer["accepted"] == len(BAD) + 1
    assert [(row["index"], row["code"]) for row in answer["rejected"]] == [
        (2 * place + 1, code) for place, (_, code) in enumerate(BAD.values())
    ]
    assert hours()["requests"] == len(BAD) + 1
    assert Receipt.objects.get().rejected_count == len(BAD)


def test_when_every_record_is_bad_nothing_is_remembered(push):
    answer = push(record(input_tokens=-1), record(model=""))
    assert answer.status_code == 422
    assert answer["Content-Type"] == "application/problem+json"
    document = answer.json()
    assert document["receipt"] is None
    assert [row["code"] for row in document["rejected"]] == ["out_of_range", "bad_length"]
    assert document["errors"][0]["pointer"] == "#/records/0"
    assert not Receipt.objects.exists()
    assert not IdempotencyKey.objects.exists()
    assert not Backend.objects.exists()


# --- Bodies that cannot be read


@pytest.mark.parametrize(
    ("status", "code", "sent"),
    [
        (400, "empty", {"body": b""}),
        (400, "malformed", {"body": b'{"records": [{"timestamp": "2026'}),
        (400, "malformed", {"body": b'{"records": [{"units": NaN}]}'}),
        (400, "malformed", {"body": b"\xff\xfe"}),
        (400, "broken_gzip", {"body": b"no gzip at all", "Content-Encoding": "gzip"}),
        (400, "broken_gzip", {"body": gzip.compress(b'{"records": []}')[:-6], "Content-Encoding": "gzip"}),
        (413, "too_large", {"body": gzip.compress(b" " * (16 * 1024 * 1024 + 1)), "Content-Encoding": "gzip"}),
        (413, "too_large", {"body": b" " * (16 * 1024 * 1024 + 1)}),
        (413, "too_many_records", {"body": b"{}\n" * 10_001, "content_type": "application/x-ndjson"}),
        (415, "unsupported_media_type", {"body": b"a=1", "content_type": "application/x-www-form-urlencoded"}),
        (415, "unsupported_media_type", {"body": b"{}", "content_type": "text/plain"}),
        (415, "unsupported_media_type", {"body": b"{}", "Content-Encoding": "br"}),
        (400, "bad_key", {"body": b"{}", "Idempotency-Key": "k" * 256}),
    ],
)
def test_what_cannot_be_read_is_a_problem_document(push, status, code, sent):
    answer = push(**sent)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer["Content-Type"] == "application/problem+json"
    assert answer.json()["detail"]
    assert not Receipt.objects.exists()


def test_a_sum_too_large_to_keep_is_refused_and_nothing_of_it_stays(push):
    body = json.dumps({"records": [record(requests=10**12, input_tokens=10**12)] * 10_000})
    assert push(body=body.encode()).status_code == 201
    UsageHour.objects.update(input_tokens=2**63 - 1)
    answer = push(body=body.encode(), **{"Idempotency-Key": "again"})
    assert (answer.status_code, answer.json()["code"]) == (422, "sum_out_of_range")
    assert Receipt.objects.count() == 1


def test_a_database_that_does_not_answer_is_a_503_and_never_a_500(push, monkeypatch):
    def fail(*_, **__):
        raise OperationalError("the connection is lost")

    monkeypatch.setattr(usage_view, "accept_usage", fail)
    answer = push(record())
    assert answer.status_code == 503
    assert int(answer["Retry-After"]) > 0
    monkeypatch.setattr("accounts.authentication.find_token", fail)
    assert push(record()).status_code == 503


def test_pushes_of_all_tokens_together_are_bounded(push, monkeypatch):
    monkeypatch.setattr(intake, "MAX_IN_FLIGHT_OF_ALL", 1)
    with usage_view.in_flight(push.client.token.pk + 1):
        answer = push(record())
    assert (answer.status_code, answer.json()["code"], answer["Retry-After"]) == (429, "too_busy", "1")
    assert push(record()).status_code == 201


def test_too_many_at_once_are_asked_to_wait(push, monkeypatch):
    monkeypatch.setattr(intake, "MAX_IN_FLIGHT", 1)
    with usage_view.in_flight(push.client.token.pk):
        answer = push(record())
    assert answer.status_code == 429
    assert answer["Retry-After"] == "1"
    assert push(record()).status_code == 201


# --- Who


def test_without_a_token_it_says_how_to_sign_in(client, db):
    for headers in ({}, {"Authorization": "Bearer nobody"}):
        answer = client.post(URL, b"{}", content_type="application/json", headers=headers)
        assert answer.status_code == 401
        assert answer["WWW-Authenticate"] == "Bearer"


def test_a_session_is_no_token(sign_in, alice):
    assert sign_in(alice).post(URL, b"{}", content_type="application/json").status_code == 401


def test_the_scope_push_is_needed(api, alice, claims):
    for scopes in (["read"], ["manage"]):
        assert api(alice, scopes=scopes).post(URL, b"{}", content_type="application/json").status_code == 403


def test_an_expired_token_is_refused(api, alice):
    client = api(alice, scopes=["push"], expires_at=timezone.now() - timedelta(seconds=1))
    assert client.post(URL, b"{}", content_type="application/json").status_code == 401


def test_a_bound_token_pushes_to_no_other_roadmap(push, other):
    answer = push(record(roadmap="other"), record(roadmap="claims"), record()).json()
    assert answer["accepted"] == 2
    assert [row["code"] for row in answer["rejected"]] == ["roadmap_not_allowed"]


def test_an_unbound_token_pushes_where_its_owner_contributes(api, alice, vera, claims, other):
    records = [record(roadmap="claims"), record(roadmap="clams"), record(roadmap="other"), record()]
    body = json.dumps({"records": records})
    answer = api(alice, scopes=["push"]).post(URL, body, content_type="application/json").json()
    assert answer["accepted"] == 2
    details = {row["index"]: (row["code"], row["detail"]) for row in answer["rejected"]}
    assert details[1] == ("unknown_roadmap", "roadmap: there is no 'clams'. Nearest: claims.")
    # That another roadmap exists is not told to whom it is not shown.
    assert details[2] == ("unknown_roadmap", "roadmap: there is no 'other'.")
    assert set(Series.objects.values_list("workload__slug", flat=True)) == {"claims", None}
    refused = api(vera, scopes=["push"]).post(URL, body, content_type="application/json")
    assert refused.status_code == 422
    assert {row["index"]: row["code"] for row in refused.json()["rejected"]} == {
        0: "roadmap_not_allowed",
        1: "unknown_roadmap",
        2: "unknown_roadmap",
        3: "roadmap_not_allowed",
    }


def test_a_token_ends_with_its_owners_role(push, alice, claims):
    assert push(record()).status_code == 201
    alice.memberships.update(role="viewer")
    assert push(record(output_tokens=7)).json()["rejected"][0]["code"] == "roadmap_not_allowed"
    alice.memberships.all().delete()
    assert push(record(output_tokens=8)).status_code == 422
    assert hours()["requests"] == 1


# --- Which backend


def test_a_push_joins_the_one_backend_of_its_provider(push):
    pulled = Backend.objects.create(slug="openai-eu", name="OpenAI", connector="openai", provider="openai")
    Backend.objects.create(slug="demo", name="Demo", connector="openai", provider="mistral", is_demo=True)
    push(record(), record(provider="mistral"), record(provider=None), record(provider="gcp.vertex_ai"))
    assert set(Series.objects.values_list("provider", "backend__slug")) == {
        ("openai", pulled.slug),
        ("mistral", "push-mistral"),
        ("unknown", "push-unknown"),
        ("gcp.vertex_ai", "push-gcp-vertex-ai"),
    }


def test_two_backends_of_a_provider_leave_the_push_by_itself(push):
    for slug in ("one", "two"):
        Backend.objects.create(slug=slug, name=slug, connector="openai", provider="openai")
    push(record(), record(backend="two"), record(backend="too"))
    assert set(Series.objects.values_list("backend__slug", flat=True)) == {"push-openai", "two"}
    assert Receipt.objects.get().rejected[0]["code"] == "unknown_backend"


def test_a_backend_that_is_not_there_is_answered_with_the_nearest_that_the_sender_may_see(push, claims, other):
    Backend.objects.create(slug="gpu-claims", name="Ours", connector="openai", provider="x", default_workload=claims)
    Backend.objects.create(slug="gpu-secret", name="Theirs", connector="openai", provider="x", default_workload=other)
    push(record(), record(backend="gpu-c"), record(backend="gpu-secre"))
    said = [row["detail"] for row in Receipt.objects.get().rejected]
    assert "Nearest: gpu-claims." in said[0]
    assert "gpu-secret" not in "".join(said)


def test_providers_with_the_same_slug_stay_apart(push):
    push(record(provider="a.b"), record(provider="a-b"))
    assert sorted(Backend.objects.values_list("provider", flat=True)) == ["a-b", "a.b"]
    push(record(provider="a.b"), record(provider="a-b"), record(provider="a-b"))
    assert Backend.objects.count() == 2


def test_what_it_goes_through_is_kept_with_the_series(api, alice, claims):
    gateway = Backend.objects.create(slug="litellm", name="LiteLLM", connector="litellm", measured_at="gateway")
    client = api(alice, scopes=["push"], workload=claims, through="litellm", measured_at="application")
    client.post(URL, json.dumps({"records": [record()]}), content_type="application/json")
    assert Series.objects.get().through == gateway


def test_an_outsiders_push_takes_no_backends_figures_away(api, oscar, other, backend, make_series, claims):
    own = make_series("llama")
    ledger.post(
        Receipt(kind="usage", backend=backend),
        ledger.feed(FeedKind.USAGE, backend),
        [PostedCell(own, timezone.now().replace(minute=0, second=0, microsecond=0), {"requests": 5})],
    )
    client = api(oscar, scopes=["push"], workload=other, through=backend.slug, measured_at="gateway")
    answer = client.post(URL, json.dumps({"records": [record()]}), content_type="application/json").json()
    assert [row["code"] for row in answer["warnings"]] == ["through_not_allowed"]
    assert Series.objects.get(pk=own).uncounted_from_on is None
    Allocation.objects.create(series_id=own, workload=other, share_ratio=1, valid_from_on="2000-01-01")
    client.post(URL, json.dumps({"records": [record(model="llama")]}), content_type="application/json")
    assert Series.objects.get(pk=own).uncounted_from_on is not None


# --- Repeats


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


# --- Receipts


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

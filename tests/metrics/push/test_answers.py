"""POST /api/v1/usage: what counts, what is answered, who may."""

from __future__ import annotations

import gzip
import json
from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import DataError, OperationalError, transaction
from django.utils import timezone

from metrics import days
from metrics.api import intake
from metrics.api import usage as usage_view
from metrics.hours import mark_stale
from metrics.models import Backend, IdempotencyKey, PushProblem, Receipt, Series, UsageHour, UsageMonth
from tests.contracts.bad_records import BAD
from tests.metrics.push.pushing import URL, hours, record

pytestmark = pytest.mark.django_db


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


@pytest.mark.parametrize("content_type", ["application/json", "application/x-ndjson"])
def test_a_byte_order_mark_is_no_mistake(push, content_type):
    text = json.dumps(record()) if content_type.endswith("ndjson") else json.dumps({"records": [record()]})
    assert push(body=text.encode("utf-8-sig"), content_type=content_type).json()["accepted"] == 1


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


def test_why_all_were_rejected_is_kept_whatever_it_quotes(push):
    answer = push(record(**{"a\0b": 1}))
    assert (answer.status_code, answer.json()["rejected"][0]["code"]) == (422, "unknown_field")
    assert PushProblem.objects.get().detail.endswith("'a\N{REPLACEMENT CHARACTER}b' is not a field of a record.")


# --- Bodies that cannot be read


@pytest.mark.parametrize(
    ("status", "code", "sent"),
    [
        (400, "empty", {"body": b""}),
        (400, "malformed", {"body": b'{"records": [{"timestamp": "2026'}),
        (400, "malformed", {"body": b'{"records": [{"units": NaN}]}'}),
        (400, "malformed", {"body": b"\xff\xfe"}),
        (400, "malformed", {"body": b'{"records": [], "a\\u0000b": 1}'}),
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
    answer = push(body=body.encode(), **{"Idempotency-Key": "again"})
    assert (answer.status_code, answer.json()["code"]) == (422, "sum_out_of_range")
    assert Receipt.objects.count() == 1


def test_a_month_of_the_largest_hours_that_are_kept_still_adds_up(push):
    """Days and months are built for all series at once: one that overflowed would stop everybody's pages."""
    october = f"{timezone.now().year - 1}-10-01T00:00:00Z"
    assert push(record(timestamp=october)).status_code == 201
    hour = UsageHour.objects.get()
    hours = [hour.hour + timedelta(hours=number + 1) for number in range(30 * 24)]
    UsageHour.objects.bulk_create(
        [UsageHour(series=hour.series, hour=one, currency="XTS", input_tokens=10**16) for one in hours]
    )
    mark_stale((hour.series_id, one) for one in hours)
    days.rebuild()
    months = UsageMonth.objects.filter(currency="XTS").values_list("input_tokens", flat=True)
    assert sum(months) == 30 * 24 * 10**16
    with pytest.raises(DataError), transaction.atomic():
        UsageHour.objects.filter(pk=hour.pk).update(input_tokens=10**16 + 1)


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
        answer = api(alice, scopes=scopes).post(URL, b"{}", content_type="application/json")
        assert answer.status_code == 403
        assert "lacks the scope 'push'" in answer.json()["detail"]


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

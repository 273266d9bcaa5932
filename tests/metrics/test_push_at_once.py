"""A push of what is known goes in one round trip and as one transaction; whatever is not goes the longer way."""

from __future__ import annotations

import json
import threading
from contextlib import nullcontext
from datetime import timedelta

import pytest
from django.core.management import call_command
from django.db import DatabaseError, connection, transaction
from django.db.models import Sum
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from rest_framework.test import APIClient

from accounts.models import Membership, Role, Token, User, Workload
from accounts.tokens import make_token
from metrics import ledger, push_places
from metrics.models import IdempotencyKey, LedgerEntry, LedgerHistogram, Receipt, UsageHour
from metrics.push_keys import PushKey
from metrics.together import at_once

URL = "/api/v1/usage"
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def token() -> str:
    claims = Workload.objects.create(slug="claims", name="Claims")
    owner = User.objects.create_user(username="alice")
    Membership.objects.create(user=owner, workload=claims, role=Role.MANAGER)
    return make_token(name="t", owner=owner, scopes=["push"], workload=claims)[1]


def push(token: str, *records: dict, key: str | None = None):
    at = (timezone.now() - timedelta(hours=2)).replace(microsecond=0).isoformat()
    body = {"records": [{"timestamp": at, "model": "m", "duration_ms": 100, **one} for one in records]}
    client = APIClient(raise_request_exception=False)
    headers = {"Authorization": f"Bearer {token}"} | ({"Idempotency-Key": key} if key else {})
    return client.post(URL, json.dumps(body), content_type="application/json", headers=headers)


def counted() -> int:
    return UsageHour.objects.aggregate(all=Sum("requests"))["all"] or 0


def begun(queries: CaptureQueriesContext) -> list[str]:
    return [one["sql"] for one in queries if one["sql"].startswith(("BEGIN", "COMMIT", "SAVEPOINT"))]


def test_the_second_push_is_one_transaction_without_a_beginning(token, monkeypatch):
    # A busy machine may take longer for the first than a provider's backend is remembered.
    monkeypatch.setattr(push_places, "REMEMBERED_SECONDS", 600.0)
    with CaptureQueriesContext(connection) as first:
        assert push(token, {}, key="1").status_code == 201
    assert begun(first)
    with CaptureQueriesContext(connection) as second:
        answer = push(token, {}, {"output_tokens": 3}, key="2")
    assert answer.status_code == 201
    assert not begun(second)
    assert len(second) <= 6
    receipt = Receipt.objects.get(uuid=answer.json()["receipt"])
    assert (receipt.accepted, receipt.entries.count()) == (2, 1)
    assert IdempotencyKey.objects.get(receipt=receipt).answer == answer.json()
    assert counted() == 3
    call_command("check_ledger")


def test_a_repeat_is_answered_as_the_first_time(token):
    for key in ("1", "2"):
        push(token, {}, key=key)
    first = push(token, {"output_tokens": 5}, key="3")
    again = push(token, {"output_tokens": 5}, key="3")
    assert (again.status_code, again.json()) == (201, first.json())
    assert again["Idempotency-Replayed"] == "true"
    other = push(token, {"output_tokens": 6}, key="3")
    assert (other.status_code, other.json()["code"]) == (422, "key_reused")
    assert counted() == 3


def test_a_body_that_is_bad_now_is_answered_as_the_first_time_if_it_was_good_then(token, settings):
    push(token, {}, key="1")
    first = push(token, {}, {}, key="2")
    settings.PUSH_MAX_RECORDS = 1
    again = push(token, {}, {}, key="2")
    assert (again.status_code, again.json()) == (201, first.json())
    assert push(token, {}, {}, key="3").status_code == 413


def test_a_key_that_another_request_holds_is_in_flight(token):
    push(token, {}, key="1")
    key = PushKey.of(Token.objects.get(), URL, b"", "2")
    with transaction.atomic():
        key.lock()
        answers = []

        def elsewhere() -> None:
            answers.append(push(token, {}, key="2"))
            connection.close()

        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join(30)
    assert (answers[0].status_code, answers[0].json()["code"]) == (409, "key_in_flight")
    assert push(token, {}, key="2").status_code == 201
    assert counted() == 2


@pytest.mark.parametrize("gone", ["series", "feed"])
def test_what_was_deleted_since_this_process_met_it_is_made_anew_and_nothing_is_left_of_the_attempt(token, gone):
    push(token, {}, key="1")
    push(token, {}, key="2")
    tables = ["ledgerhistogram", "ledgerentry", "idempotencykey", "receipt", "usagehour", "histogramhour"]
    tables += ["staleday", "allocation"]
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL phaseline.allow_ledger_delete = 'on'")
        for table in [*tables, gone]:
            cursor.execute(f"DELETE FROM metrics_{table}")
    answer = push(token, {}, key="3")
    assert answer.status_code == 201
    assert [str(uuid) for uuid in Receipt.objects.values_list("uuid", flat=True)] == [answer.json()["receipt"]]
    assert LedgerEntry.objects.count() == LedgerHistogram.objects.count() == 1
    assert counted() == 1


def test_sums_that_the_hours_cannot_hold_leave_nothing(token):
    push(token, {}, key="1")
    UsageHour.objects.update(output_tokens=10**16 - 10)
    answer = push(token, {"output_tokens": 1000}, key="2")
    assert (answer.status_code, answer.json()["code"]) == (422, "sum_out_of_range")
    assert Receipt.objects.count() == IdempotencyKey.objects.count() == LedgerEntry.objects.count() == 1


def test_warnings_are_told_once_whichever_way_a_push_goes(token):
    push(token, {}, key="1")
    push(token, {}, key="2")
    for labels, key in (({"user_id": "7"}, "3"), ({"user_id": "7", "team": "a"}, "4")):
        answer = push(token, {"labels": labels}, {"labels": labels}, key=key)
        assert [one["records"] for one in answer.json()["warnings"]] == [2]


def test_a_role_that_was_taken_away_ends_the_next_push(token):
    push(token, {}, key="1")
    assert push(token, {}, key="2").status_code == 201
    Membership.objects.update(role=Role.VIEWER)
    answer = push(token, {}, key="3")
    assert answer.json()["rejected"][0]["code"] == "roadmap_not_allowed"
    Membership.objects.all().delete()
    assert push(token, {}, key="4").status_code == 422
    assert counted() == 2


def test_what_goes_wrong_here_half_way_leaves_nothing_and_the_repeat_is_counted(token, monkeypatch):
    """Neither a receipt nor an answer under the key: else the client that sends it again is told that it was kept."""
    push(token, {}, key="1")
    push(token, {}, key="2")

    def no_memory(*told: object) -> None:
        raise MemoryError

    with monkeypatch.context() as broken:
        broken.setattr(ledger, "post_push", no_memory)
        assert push(token, {}, {}, key="3").status_code == 500
    assert Receipt.objects.count() == IdempotencyKey.objects.count() == LedgerEntry.objects.count() == 2
    answer = push(token, {}, {}, key="3")
    assert (answer.status_code, answer.headers.get("Idempotency-Replayed")) == (201, None)
    assert counted() == 4
    call_command("check_ledger")


@pytest.mark.parametrize("wrong", ["here", "not sent", "there", "cut"])
@pytest.mark.parametrize("is_inside", [False, True])
def test_a_block_that_fails_writes_nothing_and_its_connection_goes_on(wrong, is_inside):
    def write() -> None:
        with transaction.atomic() if is_inside else nullcontext(), at_once() as send:
            send("INSERT INTO accounts_workload (slug, name, created_at, is_demo) VALUES ('a', 'A', now(), false)")
            if wrong == "here":
                raise KeyError(wrong)
            if wrong == "not sent":
                send("SELECT %s", ["text with a \0"])
            send("SELECT pg_terminate_backend(pg_backend_pid())" if wrong == "cut" else "SELECT 1 / 0")

    with pytest.raises(KeyError if wrong == "here" else DatabaseError):
        write()
    connection.close_if_unusable_or_obsolete()
    assert not Workload.objects.exists()
    with at_once() as send:
        answer = send("SELECT 7")
    assert answer.fetchone() == (7,)

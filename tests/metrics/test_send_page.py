"""The Send data page: make a token, paste, see it arrive, take it back."""

from __future__ import annotations

import json
import re
import shlex

import pytest

from accounts.models import Token
from metrics.models import Receipt, UsageHour

pytestmark = pytest.mark.django_db


@pytest.fixture
def push(api, alice, claims):
    client = api(alice, scopes=["push", "read"], workload=claims)

    def _push(*records):
        return client.post("/api/v1/usage", json.dumps({"records": records}), content_type="application/json")

    return _push


def record(**fields) -> dict:
    return {"timestamp": "2026-11-20T10:00:00Z", "model": "m", **fields}


@pytest.fixture(autouse=True)
def _at_noon(monkeypatch):
    """The records of these tests are two days old."""
    from datetime import UTC, datetime

    monkeypatch.setattr("metrics.actions.usage.timezone.now", lambda: datetime(2026, 11, 22, 12, tzinfo=UTC))


def test_it_says_that_nothing_has_arrived(sign_in, alice):
    page = sign_in(alice).get("/send/").content.decode()
    assert "Nothing received yet" in page
    assert "Send to Claims assistant" in page
    assert "No receipts yet" in page


def test_a_token_is_shown_once_inside_a_curl_that_works_as_printed(sign_in, alice, claims, client):
    browser = sign_in(alice)
    made = browser.post("/send/token/", {"roadmap": "claims", "name": "claims bot"})
    assert made.status_code == 200
    text = re.search(r"pl_[A-Za-z0-9_-]{20,}", made.content.decode())[0]
    token = Token.objects.get(name="claims bot")
    assert (token.scopes, token.workload) == (["push"], claims)
    assert text not in browser.get("/send/").content.decode()
    command = re.search(r"curl -sS .*?\}\]\}&#x27;", made.content.decode(), re.S)[0]
    words = shlex.split(command.replace("&#x27;", "'").replace("&quot;", '"').replace("\\\n", " "))
    address, body = words[2], words[words.index("-d") + 1]
    headers = dict(words[place + 1].split(": ", 1) for place, word in enumerate(words) if word == "-H")
    assert address == "http://testserver/api/v1/usage"
    client.logout()
    answers = [
        client.post(
            "/api/v1/usage",
            body,
            content_type=headers["Content-Type"],
            headers={"Authorization": headers["Authorization"]},
        )
        for _ in range(2)
    ]
    assert [answer.status_code for answer in answers] == [201, 201]
    # Pasted twice it counts once.
    assert UsageHour.objects.get().requests == 1


def test_the_line_turns_when_something_arrives(sign_in, alice, push):
    browser = sign_in(alice)
    page = browser.get("/send/").content.decode()
    poll = re.search(r'hx-get="([^"]+)"', page)[1].replace("&amp;", "&")
    htmx = {"HX-Request": "true"}
    assert "Nothing received yet" in browser.get(poll, headers=htmx).content.decode()
    push(record(), record(units=-1))
    part = browser.get(poll, headers=htmx).content.decode()
    assert "<html" not in part
    assert "1 record" in part
    assert "see it on the dashboard" in part
    assert "units: takes a number from 0" in part
    # Without htmx the same address is the page.
    assert "<html" in browser.get(poll).content.decode()


def test_a_push_that_counted_nothing_says_why_until_one_counts(sign_in, alice, push):
    browser = sign_in(alice)
    push(record(input_tokens=-1))
    page = browser.get("/send/").content.decode()
    assert "Nothing received yet" not in page
    assert "None of 1 records can count. First: input_tokens: takes a whole number" in page
    push(record())
    assert "None of 1" not in browser.get("/send/").content.decode()


def test_a_receipt_can_be_taken_back_from_the_page(sign_in, alice, push):
    push(record())
    browser = sign_in(alice)
    receipt = Receipt.objects.get()
    assert f"/receipts/{receipt.uuid}/take-back/" in browser.get("/send/").content.decode()
    answer = browser.post(f"/receipts/{receipt.uuid}/take-back/", follow=True)
    assert "Taken back" in answer.content.decode()
    assert UsageHour.objects.filter(requests__gt=0).count() == 0
    again = browser.post(f"/receipts/{receipt.uuid}/take-back/", follow=True).content.decode()
    assert "was taken back already" in again


def test_a_token_is_revoked_from_the_page(sign_in, alice, api, bob):
    other = api(bob, scopes=["push"]).token
    mine = api(alice, scopes=["push"]).token
    browser = sign_in(alice)
    assert browser.post(f"/send/tokens/{other.pk}/revoke/").status_code == 404
    assert browser.post(f"/send/tokens/{mine.pk}/revoke/").status_code == 303
    mine.refresh_from_db()
    other.refresh_from_db()
    assert mine.revoked_at is not None
    assert other.revoked_at is None


def test_who_may_open_it(client, sign_in, vera, oscar, erin, push):
    push(record())
    receipt = Receipt.objects.get()
    assert client.get("/send/").status_code == 302
    assert sign_in(vera).get("/send/").status_code == 403
    assert sign_in(vera).post(f"/receipts/{receipt.uuid}/take-back/").status_code == 403
    outsider = sign_in(oscar)
    assert str(receipt.uuid) not in outsider.get("/send/").content.decode()
    assert outsider.get("/send/?roadmap=claims").status_code == 404
    assert outsider.post("/send/token/", {"roadmap": "claims"}).status_code == 404
    assert outsider.get("/send/received/?roadmap=claims", headers={"HX-Request": "true"}).status_code == 404
    assert outsider.post(f"/receipts/{receipt.uuid}/take-back/").status_code == 404
    reader = sign_in(erin)
    assert reader.get("/send/").status_code == 200
    assert reader.post("/send/token/", {"roadmap": "claims"}).status_code == 403


def test_the_page_costs_the_same_however_many_receipts(sign_in, alice, push, django_assert_max_num_queries):
    browser = sign_in(alice)
    for number in range(6):
        push(record(units=number))
    with django_assert_max_num_queries(22):
        browser.get("/send/")


@pytest.mark.parametrize("address", ["/send/", "/send/received/", "/api/v1/series/?backend=%00"])
def test_a_character_that_the_database_cannot_hold_is_no_failure(address, sign_in, adam):
    answer = sign_in(adam).get(address if "?" in address else f"{address}?roadmap=%00")
    assert answer.status_code in (200, 404)
    made = sign_in(adam).post("/send/token/", {"name": "a\0b"})
    assert made.status_code == 200
    assert Token.objects.get(name="ab")

"""Backends, series, receipts, people and tokens as files, for those who see their pages."""

from __future__ import annotations

import csv
import io
import json
from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from accounts.tokens import make_token
from metrics.actions.prices import set_own_price
from metrics.actions.rules import RuleFields, adding, change_rules

FILES = (
    "/backends/backends.csv",
    "/receipts/receipts.csv",
    "/settings/people/people.csv",
    "/tokens/tokens.csv",
    "/prices/own-prices.csv",
    "/rules/rules.csv",
)
# Of each, in this order.
ANSWERS = {
    "adam": (200, 200, 200, 200, 200, 200),
    "erin": (200, 200, 403, 200, 200, 200),
    "alice": (200, 200, 403, 200, 200, 403),
    "bob": (200, 200, 403, 200, 200, 403),
    "vera": (403, 403, 403, 200, 403, 403),
}


def rows_of(client, address: str) -> list[dict[str, str]]:
    answer = client.get(address)
    assert answer.status_code == 200, address
    return list(csv.DictReader(io.StringIO(answer.getvalue().decode(), newline="")))


@pytest.fixture
def pushed(api, bob, claims):
    """bob pushed one record for claims."""
    record = {"timestamp": (timezone.now() - timedelta(hours=2)).isoformat(), "provider": "vllm", "model": "own"}
    record |= {"input_tokens": 5, "output_tokens": 5}
    body = json.dumps({"records": [record, {"model": 3}]})
    answer = api(bob, scopes=["push"], workload=claims).post("/api/v1/usage", body, content_type="application/json")
    assert answer.status_code == 201, answer.content
    return answer.json()["receipt"]


@pytest.mark.parametrize("person", ANSWERS)
def test_who_gets_which(claims, person, request, sign_in):
    client = sign_in(request.getfixturevalue(person))
    assert tuple(client.get(address).status_code for address in FILES) == ANSWERS[person]


def test_nobody_gets_any(client, db):
    assert [client.get(address).status_code for address in FILES] == [302] * 6


def test_receipts_are_those_that_one_reads(pushed, bob, oscar, sign_in):
    row = rows_of(sign_in(bob), "/receipts/receipts.csv")[0]
    assert (row["receipt"], row["roadmap"], row["accepted"], row["rejected"]) == (pushed, "claims", "1", "1")
    assert row["first_rejection"].startswith("1: ")
    assert row["taken_back"] == "no"
    assert rows_of(sign_in(oscar), "/receipts/receipts.csv") == []


def test_backends_and_series_are_those_that_one_sees(pushed, bob, oscar, adam, sign_in):
    backends = rows_of(sign_in(bob), "/backends/backends.csv")
    slug = backends[0]["backend"]
    assert backends[0]["series"] == "1"
    series = rows_of(sign_in(bob), f"/backends/{slug}/series.csv")
    assert [(row["model"], row["requests"], row["tokens"]) for row in series] == [("own", "1", "10")]
    assert series[0]["belongs_to"] == "claims 100%"
    assert "spend_USD" in series[0]
    client = sign_in(oscar)
    assert rows_of(client, "/backends/backends.csv") == []
    assert client.get(f"/backends/{slug}/series.csv").status_code == 404
    assert len(rows_of(sign_in(adam), f"/backends/{slug}/series.csv")) == 1
    page = sign_in(bob).get(f"/backends/{slug}/").content.decode()
    assert f'href="/backends/{slug}/series.xlsx"' in page


def test_tokens_are_one_s_own_and_their_text_is_in_none(alice, bob, adam, sign_in):
    _, text = make_token(name="mine", owner=alice, scopes=["read"])
    make_token(name="his", owner=bob, scopes=["read"])
    client = sign_in(alice)
    assert [row["token"] for row in rows_of(client, "/tokens/tokens.csv")] == ["mine"]
    assert text not in client.get("/tokens/tokens.csv").getvalue().decode()
    assert len(rows_of(sign_in(adam), "/tokens/tokens.csv")) == 2


def test_people_are_listed_with_their_roles(adam, bob, claims, sign_in):
    rows = {row["person"]: row for row in rows_of(sign_in(adam), "/settings/people/people.csv")}
    assert (rows["bob"]["roles"], rows["bob"]["organisation_role"]) == ("claims: contributor", "member")


def test_prices_and_rules_are_those_of_their_pages(pushed, adam, claims, asker, sign_in):
    today = timezone.localdate()
    price = {"provider": "vllm", "model": "own", "currency": "EUR", "valid_from_on": today}
    set_own_price(asker(adam), **price, input_per_million=Decimal("0.125"), output_per_million=Decimal(9))
    change_rules(asker(adam), adding(RuleFields(shares=[(claims, Decimal("0.6"))], model="own*")))
    client = sign_in(adam)
    row = rows_of(client, "/prices/own-prices.csv")[0]
    assert (row["model"], row["input_per_million"], row["valid_from_on"]) == ("own", "0.125", today.isoformat())
    row = rows_of(client, "/rules/rules.csv")[0]
    assert (row["model"], row["belongs_to"]) == ("own*", "claims 60%")
    for page, file in (("/prices/", "/prices/own-prices.xlsx"), ("/rules/", "/rules/rules.xlsx")):
        assert f'href="{file}"' in client.get(page).content.decode()


def test_the_pages_lead_there(pushed, adam, sign_in):
    client = sign_in(adam)
    for page, address in (
        ("/backends/", "/backends/backends."),
        ("/send/", "/receipts/receipts."),
        ("/settings/people/", "/settings/people/people."),
        ("/tokens/", "/tokens/tokens."),
    ):
        text = client.get(page).content.decode()
        for form in ("csv", "xlsx"):
            assert f'href="{address}{form}"' in text
            assert client.get(f"{address}{form}").status_code == 200

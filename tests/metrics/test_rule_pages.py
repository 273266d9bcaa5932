"""The page and the REST of allocation rules: who may, what is refused, what is shown before it is saved."""

from __future__ import annotations

from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from metrics.actions.rules import RuleFields, adding, change_rules
from metrics.models import Allocation, AllocationRule
from tests.metrics.test_rules import add, admin, by_month, fraud, rows_of, spend

__all__ = ["add", "admin", "fraud", "spend"]
D = Decimal
PAGES = ("/rules/", "/rules/new/", "/rules/{pk}/")
POSTS = ("/rules/new/", "/rules/{pk}/", "/rules/{pk}/move/", "/rules/{pk}/remove/")
API = "/api/v1/rules/"


@pytest.fixture
def rule(add, claims) -> AllocationRule:
    return add({claims: 1}, label_name="team", label_value="claims", note="As agreed in October")


def entered(claims, **fields) -> dict:
    return {"label_name": "team", "label_value": "claims", f"share_{claims.pk}": "60", "do": "save", **fields}


# --- Who


@pytest.mark.parametrize(
    ("who", "reads"),
    [("alice", False), ("bob", False), ("vera", False), ("oscar", False), ("erin", True)],
)
def test_only_those_who_read_everything_see_it_and_only_admins_change(rule, who, reads, request, sign_in, api, claims):
    person = request.getfixturevalue(who)
    client = sign_in(person)
    assert client.get("/rules/").status_code == (200 if reads else 403)
    assert ("Allocation rules" in client.get("/").content.decode()) is reads
    for path in PAGES[1:]:
        assert client.get(path.format(pk=rule.pk)).status_code == 403
    for path in POSTS:
        assert client.post(path.format(pk=rule.pk), entered(claims)).status_code == 403
    rest = api(person, scopes=["manage"])
    assert rest.get(API).status_code == rest.get(f"{API}{rule.pk}/").status_code == (200 if reads else 403)
    assert rest.post(API, {"model": "m"}, format="json").status_code == 403
    assert rest.delete(f"{API}{rule.pk}/").status_code == 403
    for path in ("order", "preview"):
        assert rest.post(f"{API}{path}", {"do": "add"}, format="json").status_code == 403
    assert AllocationRule.objects.count() == 1


def test_nobody_is_sent_to_sign_in(rule, client):
    for path in PAGES:
        assert client.get(path.format(pk=rule.pk)).status_code == 302
    for path in POSTS:
        assert client.post(path.format(pk=rule.pk)).status_code == 302


def test_a_token_of_one_roadmap_and_one_that_reads_do_not_write(rule, api, adam, claims):
    assert api(adam, scopes=["manage"], workload=claims).post(API, {"model": "m"}, format="json").status_code == 403
    reader = api(adam, scopes=["read"])
    assert reader.get(API).status_code == 200
    assert reader.post(API, {"model": "m"}, format="json").status_code == 403


# --- The page


def test_it_lists_the_rules_in_words_and_what_nobody_has(rule, add, spend, claims, fraud, adam, sign_in):
    add({claims: "0.5", fraud: "0.25"}, model="gpt-4o*", provider="openai")
    add({}, project="sandbox")
    spend("llama", amount="12.50")
    page = sign_in(adam).get("/rules/").content.decode()
    for words in (
        "3 rules, the first that matches wins",
        "label team is claims",
        "As agreed in October",
        "model gpt-4o*, provider openai",
        "Claims assistant 50%, Fraud desk 25%, unallocated 25%",
        "stays unallocated",
        "12.50",
        "/rules/new/?backend=gpu-1&amp;model=llama",
    ):
        assert words in page


def test_an_address_prefills_the_match(backend, adam, sign_in):
    page = sign_in(adam).get("/rules/new/?label=team&value=claims&backend=gpu-1&model=llama%2A").content.decode()
    for part in ('value="team"', 'value="claims"', '<option value="gpu-1" selected>', 'value="llama*"'):
        assert part in page
    assert sign_in(adam).get("/rules/new/?label=%00&backend=nope").status_code == 200


@pytest.mark.parametrize("is_htmx", [False, True])
def test_what_would_move_is_shown_before_anything_does(spend, claims, adam, sign_in, is_htmx):
    spend("m1", amount="10", labels=(("team", "claims"),))
    before = by_month()
    headers = {"HX-Request": "true"} if is_htmx else {}
    answer = sign_in(adam).post("/rules/new/", entered(claims, do="preview"), headers=headers)
    text = answer.content.decode()
    assert answer.status_code == 200
    assert ("<h1>" in text) is not is_htmx
    for words in ("1 series would be placed otherwise", "6.00\xa0USD would go to somebody else", "+6.00", "−6.00"):
        assert words in text
    assert by_month() == before
    assert not AllocationRule.objects.exists()


def test_it_saves_says_what_moved_and_changes(spend, claims, fraud, adam, sign_in):
    series_id = spend("m1", labels=(("team", "claims"),))
    client = sign_in(adam)
    answer = client.post("/rules/new/", entered(claims), follow=True)
    assert "The rule is saved. 1 series moved." in answer.content.decode()
    rule = AllocationRule.objects.get()
    assert rows_of(series_id)[0][:2] == ("claims", D("0.6"))
    page = client.get(f"/rules/{rule.pk}/").content.decode()
    assert 'value="60"' in page
    client.post(f"/rules/{rule.pk}/", entered(claims, **{f"share_{fraud.pk}": "40", "valid_from_on": "2026-11-01"}))
    assert {row[0] for row in rows_of(series_id)} == {"claims", "fraud"}


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"label_name": "", "label_value": ""}, "Say what it matches"),
        ({"label_name": ""}, "Name the label that has this value"),
        ({"more": "70"}, "more than 100%"),
        ({"valid_from_on": "31.12.2026"}, "Enter a valid date"),
        ({"model": "x" * 300}, "at most 200 characters"),
        ({"backend": "nope"}, "Select a valid choice"),
    ],
)
@pytest.mark.parametrize("do", ["save", "preview"])
def test_what_is_wrong_is_said_and_nothing_is_lost(fields, words, do, claims, fraud, adam, sign_in):
    given = entered(claims, do=do, **fields)
    if "more" in given:
        given[f"share_{fraud.pk}"] = given.pop("more")
    answer = sign_in(adam).post("/rules/new/", given)
    assert answer.status_code == 422
    assert words in answer.content.decode()
    assert 'value="60"' in answer.content.decode()
    assert not AllocationRule.objects.exists()


def test_moving_and_removing_ask_where_something_moves(rule, spend, add, claims, fraud, adam, sign_in):
    series_id = spend("m1", labels=(("team", "claims"),))
    second = add({fraud: 1}, model="m1")
    client = sign_in(adam)
    answer = client.post(f"/rules/{second.pk}/move/", {"direction": "up"})
    assert "Move rule 2 up?" in answer.content.decode()
    assert rows_of(series_id)[0][0] == "claims"
    client.post(f"/rules/{second.pk}/move/", {"direction": "up", "confirmed": "1"})
    assert rows_of(series_id)[0][0] == "fraud"
    answer = client.post(f"/rules/{second.pk}/move/", {"direction": "up"}, follow=True)
    assert "It is the first already." in answer.content.decode()
    assert "Remove rule 1?" in client.post(f"/rules/{second.pk}/remove/").content.decode()
    client.post(f"/rules/{second.pk}/remove/", {"confirmed": "1"})
    assert rows_of(series_id)[0][0] == "claims"
    assert client.post(f"/rules/{second.pk}/remove/").status_code == 404
    # Where nothing moves nobody is asked.
    third = add({fraud: 1}, model="elsewhere")
    client.post(f"/rules/{third.pk}/remove/")
    assert AllocationRule.objects.count() == 1


def test_the_list_costs_the_same_queries_for_many_rules(add, spend, claims, fraud, adam, sign_in):
    client = sign_in(adam)
    add({claims: 1}, model="a")
    spend("m0")
    client.get("/rules/")
    with CaptureQueriesContext(connection) as few:
        client.get("/rules/")
    for number in range(5):
        add({claims: "0.5", fraud: "0.5"}, model=f"b{number}")
        spend(f"m{number}", labels=(("team", str(number)),))
    client.get("/rules/")
    with CaptureQueriesContext(connection) as many:
        client.get("/rules/")
    assert len(many) == len(few) <= 15


def test_the_backends_page_leads_to_a_rule_and_says_what_a_rule_placed(spend, add, backend, claims, adam, sign_in):
    spend("m1", labels=(("team", "claims"),))
    client = sign_in(adam)
    url = "/rules/new/?backend=gpu-1&amp;model=m1&amp;label=team&amp;value=claims"
    assert url in client.get("/backends/gpu-1/").content.decode()
    add({claims: 1}, model="m1")
    page = client.get("/backends/gpu-1/").content.decode()
    assert url not in page
    assert "by a rule" in page


def test_what_was_said_by_hand_can_be_left_to_the_rules_again(spend, add, claims, fraud, adam, sign_in):
    series_id = spend("m1")
    add({claims: 1}, model="m1")
    client = sign_in(adam)
    client.post(f"/series/{series_id}/allocation/", {f"share_{fraud.pk}": "100"})
    assert rows_of(series_id)[0][0] == "fraud"
    assert "Leave it to the rules again" in client.get(f"/series/{series_id}/allocation/").content.decode()
    client.post(f"/series/{series_id}/by-rules/")
    assert rows_of(series_id)[0][0] == "claims"
    assert Allocation.objects.get().source == "rule"


@pytest.mark.parametrize("who", ["alice", "bob", "vera", "oscar", "erin"])
def test_leaving_it_to_the_rules_is_for_admins(who, spend, request, sign_in, api, claims):
    series_id = spend("m1")
    Allocation.objects.create(series_id=series_id, workload=claims, share_ratio=1, valid_from_on="2026-01-01")
    person = request.getfixturevalue(who)
    expected = (404, 403) if who in ("vera", "oscar") else (403,)
    assert sign_in(person).post(f"/series/{series_id}/by-rules/").status_code in expected
    rest = api(person, scopes=["manage"])
    assert rest.post(f"/api/v1/series/{series_id}/allocation/by-rules").status_code in expected
    assert Allocation.objects.count() == 1


# --- REST


def test_rest_adds_reads_orders_changes_and_removes(make_series, backend, claims, fraud, api, adam):
    series_id = make_series("m1", labels=(("team", "claims"),))
    rest = api(adam, scopes=["manage"])
    body = {"label_name": "team", "label_value": "cl*", "shares": [{"roadmap": "claims", "share": "0.6"}]}
    first = rest.post(API, body, format="json")
    assert first.status_code == 201
    assert first.json()["position"] == 1
    body = {"backend": "gpu-1", "shares": [{"roadmap": "fraud", "share": "1"}], "position": 1}
    second = rest.post(API, body, format="json").json()
    assert rows_of(series_id)[0][0] == "fraud"
    listed = rest.get(API).json()["results"]
    assert [row["id"] for row in listed] == [second["id"], first.json()["id"]]
    order = {"rules": [first.json()["id"], second["id"]]}
    assert [row["position"] for row in rest.post(f"{API}order", order, format="json").json()] == [1, 2]
    assert rows_of(series_id)[0][:2] == ("claims", D("0.6"))
    url = f"{API}{first.json()['id']}/"
    changed = rest.patch(url, {"valid_from_on": "2026-11-01"}, format="json").json()
    assert (changed["label_value"], changed["shares"][0]["roadmap"]) == ("cl*", "claims")
    assert [row[0] for row in rows_of(series_id)] == ["fraud", "claims"]
    assert rest.delete(url).status_code == 204
    assert [row[0] for row in rows_of(series_id)] == ["fraud"]
    assert rest.get(url).status_code == 404
    shown = rest.get("/api/v1/series/").json()["results"][0]["allocations"][0]
    assert (shown["source"], shown["rule"]) == ("rule", second["id"])
    again = rest.post(f"/api/v1/series/{series_id}/allocation/by-rules")
    assert again.json()["allocations"][0]["roadmap"] == "fraud"


def test_rest_previews_every_kind_of_change(spend, claims, fraud, api, adam, add):
    spend("m1", amount="10.00")
    rule, other = add({claims: 1}, model="m1"), add({fraud: 1}, model="m1")
    rest = api(adam, scopes=["manage"])
    before = by_month()
    for body, spends in (
        ({"do": "add", "position": 1, "model": "m1", "shares": [{"roadmap": "fraud", "share": "0.25"}]}, "2.5"),
        ({"do": "change", "rule": rule.pk, "shares": [{"roadmap": "fraud", "share": "1"}]}, "10"),
        ({"do": "remove", "rule": rule.pk}, "10"),
        ({"do": "order", "rules": [other.pk, rule.pk]}, "10"),
    ):
        told = rest.post(f"{API}preview", body, format="json").json()
        assert told["series"] == 1
        row = next(row for row in told["rows"] if row["roadmap"] == "fraud")
        assert (row["spend_before"], D(row["spend_after"])) == (None, D(spends))
    assert by_month() == before


@pytest.mark.parametrize(
    ("path", "body", "status", "pointer"),
    [
        ("", {}, 422, "provider"),
        ("", {"model": "m", "colour": "red"}, 400, "colour"),
        ("", {"model": "m", "backend": "nope"}, 422, "backend"),
        ("", {"model": "m", "shares": [{"roadmap": "nope", "share": "1"}]}, 422, "shares"),
        ("", {"model": "m", "shares": [{"roadmap": "claims", "share": "NaN"}]}, 400, "shares"),
        ("", {"model": "m", "shares": [{"roadmap": "claims", "share": "0"}]}, 422, "shares"),
        ("", {"model": "a\0b"}, 400, "model"),
        ("order", {"rules": [1, 2]}, 422, "rules"),
        ("preview", {"do": "change"}, 422, "rule"),
        ("preview", {"do": "sing"}, 400, "do"),
    ],
)
def test_rest_names_what_is_wrong(path, body, status, pointer, claims, api, adam):
    answer = api(adam, scopes=["manage"]).post(f"{API}{path}", body, format="json")
    assert answer.status_code in (status, 400, 422)
    assert answer["Content-Type"] == "application/problem+json"
    assert pointer in str(answer.json()["errors"])
    assert not AllocationRule.objects.exists()


def test_a_rule_that_somebody_removed_meanwhile_is_said(add, admin, claims, adam, sign_in):
    from metrics.actions.rules import changing, removing
    from metrics.errors import RuleViolation

    rule = add({claims: 1}, model="m")
    change = changing(rule, RuleFields(model="n"))
    change_rules(admin, removing(AllocationRule.objects.get()))
    with pytest.raises(RuleViolation, match="meanwhile"):
        change_rules(admin, change)
    change_rules(admin, adding(RuleFields(model="n")))

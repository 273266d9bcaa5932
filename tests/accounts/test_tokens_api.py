"""Tokens over REST: nobody gets more than they have, or sees what is not theirs."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.models import AuditEvent, Token

pytestmark = pytest.mark.django_db
URL = "/api/v1/tokens/"


def test_a_token_is_made_shown_once_and_works(api, alice, claims):
    client = api(alice, scopes=["manage", "push"])
    answer = client.post(URL, {"name": "bot", "scopes": ["push"], "roadmap": "claims"}, format="json")
    assert answer.status_code == 201
    made = answer.json()
    assert made["token"].startswith("pl_")
    assert made["roadmap"] == "claims"
    listed = client.get(URL).json()["results"]
    assert "token" not in listed[0]
    assert {row["name"] for row in listed} == {"bot", "test"}
    assert client.delete(f"{URL}{made['id']}/").status_code == 204
    assert Token.objects.get(pk=made["id"]).revoked_at is not None


def test_a_token_makes_none_that_may_do_more(api, alice, claims, other):
    client = api(alice, scopes=["manage"], workload=claims, expires_at=timezone.now() + timedelta(days=1))
    wrong = [
        {"name": "x", "scopes": ["push"], "roadmap": "claims"},
        {"name": "x", "scopes": ["read"]},
        {"name": "x", "scopes": ["read"], "roadmap": "claims"},
        {"name": "x", "scopes": ["read"], "roadmap": "other"},
        {"name": "x", "scopes": []},
        {"name": "x", "scopes": ["root"]},
    ]
    for values in wrong:
        assert client.post(URL, values, format="json").status_code == 422, values
    soon = (timezone.now() + timedelta(hours=1)).isoformat()
    fine = {"name": "x", "scopes": ["read"], "roadmap": "claims", "expires_at": soon}
    assert client.post(URL, fine, format="json").status_code == 201


def test_an_end_that_no_zone_can_tell_is_refused(api, alice):
    client = api(alice, scopes=["manage", "read"])
    wanted = {"name": "x", "scopes": ["read"], "expires_at": "9999-12-31T23:59:59Z"}
    answer = client.post(URL, wanted, format="json")
    assert answer.status_code == 422
    assert "up to 2099" in answer.content.decode()


def test_tokens_of_others_are_not_there(api, alice, oscar, adam):
    theirs = api(alice, scopes=["push"]).token
    client = api(oscar, scopes=["manage"])
    assert [row["id"] for row in client.get(URL).json()["results"]] == [client.token.pk]
    assert client.get(f"{URL}{theirs.pk}/").status_code == 404
    assert client.delete(f"{URL}{theirs.pk}/").status_code == 404
    assert api(adam, scopes=["manage"]).delete(f"{URL}{theirs.pk}/").status_code == 204


def test_reading_needs_the_scope(api, alice, client):
    assert api(alice, scopes=["push"]).get(URL).status_code == 403
    assert client.get(URL).status_code == 401


def test_a_viewer_cannot_make_a_token_that_pushes(api, vera, claims):
    client = api(vera, scopes=["manage", "push"])
    answer = client.post(URL, {"name": "x", "scopes": ["push"], "roadmap": "claims"}, format="json")
    assert answer.status_code in (403, 422)
    assert Token.objects.count() == 1


def test_a_token_says_which_signal_counts_and_is_changed_by_who_may(api, alice, bob, vera, oscar, adam, claims, other):
    made = api(bob, scopes=["push"], workload=claims, signal="traces", counts_step_tokens=True).token
    address = f"{URL}{made.pk}/"
    read = api(bob, scopes=["read"]).get(address).json()
    assert (read["signal"], read["counts_step_tokens"]) == ("traces", True)
    for person in (vera, oscar):
        assert api(person, scopes=["manage"]).get(address).status_code == 404
        assert api(person, scopes=["manage"]).patch(address, {"signal": "metrics"}, format="json").status_code == 404
    assert api(bob, scopes=["read"]).patch(address, {"signal": "metrics"}, format="json").status_code == 403
    # A token that is bound elsewhere changes none of this workload, whoever owns it.
    bound = api(adam, scopes=["manage"], workload=other)
    assert bound.patch(address, {"signal": "metrics"}, format="json").status_code == 404
    for person, signal in ((bob, "metrics"), (alice, "traces"), (adam, "metrics")):
        answer = api(person, scopes=["manage"]).patch(address, {"signal": signal}, format="json")
        assert (answer.status_code, answer.json()["signal"]) == (200, signal)
    rows = AuditEvent.objects.filter(action="change_token").order_by("pk")
    assert [(row.actor, row.before, row.after) for row in rows] == [
        (bob, {"signal": "traces"}, {"signal": "metrics"}),
        (alice, {"signal": "metrics"}, {"signal": "traces"}),
        (adam, {"signal": "traces"}, {"signal": "metrics"}),
    ]
    assert api(adam, scopes=["manage"]).patch(address, {"signal": "metrics"}, format="json").status_code == 200
    assert AuditEvent.objects.filter(action="change_token").count() == 3


@pytest.mark.parametrize(
    "values", [{}, {"signal": "logs"}, {"signal": None}, {"counts_step_tokens": "maybe"}, {"name": "x"}, [1], "x"]
)
def test_a_bad_change_of_a_token_is_told_in_words(api, bob, claims, values):
    client = api(bob, scopes=["manage", "push"], workload=claims)
    answer = client.patch(f"{URL}{client.token.pk}/", values, format="json")
    assert answer.status_code in (400, 422), answer.content
    assert Token.objects.get().signal == "metrics"


def test_a_revoked_token_is_changed_no_more(api, bob, claims):
    client = api(bob, scopes=["manage"])
    gone = api(bob, scopes=["push"]).token
    Token.objects.filter(pk=gone.pk).update(revoked_at=timezone.now())
    assert client.patch(f"{URL}{gone.pk}/", {"signal": "traces"}, format="json").status_code == 422


def test_a_token_is_made_with_its_signal(api, alice, claims):
    body = {"name": "bot", "scopes": ["push"], "signal": "traces", "counts_step_tokens": True}
    made = api(alice, scopes=["manage", "push"]).post(URL, body, format="json").json()
    assert (made["signal"], made["counts_step_tokens"]) == ("traces", True)

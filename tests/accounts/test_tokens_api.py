"""Tokens over REST: nobody gets more than they have, or sees what is not theirs."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.models import Token

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

"""Readers of reports over REST: the same rules as on the page."""

from __future__ import annotations

import pytest
from django.urls import reverse

from roadmap.models import Programme, ReportSubscription

LIST = "api_report_subscribers"


@pytest.mark.parametrize(
    ("name", "status"), [("oscar", 404), ("vera", 404), ("erin", 404), ("bob", 404), ("alice", 201)]
)
def test_who_may_add(request, api, plan, name, status):
    client = api(request.getfixturevalue(name), scopes=["manage"])
    body = {"roadmap": plan.slug, "readers": ["ann@board.example", "nobody"]}
    answer = client.post(reverse(LIST), body, format="json")
    assert answer.status_code == status
    assert ReportSubscription.objects.count() == (status == 201)
    if status == 201:
        assert answer.json()["added"] == 1
        assert answer.json()["refused"][0]["reader"] == "nobody"


def test_a_token_that_reads_adds_nothing(api, plan, alice):
    body = {"roadmap": plan.slug, "readers": ["ann@board.example"]}
    assert api(alice, scopes=["read"]).post(reverse(LIST), body, format="json").status_code == 403
    assert not ReportSubscription.objects.exists()


def test_the_portfolios_are_an_admins(api, plan, alice, adam):
    body = {"readers": ["ann@board.example"]}
    assert api(alice, scopes=["manage"]).post(reverse(LIST), body, format="json").status_code == 404
    assert api(adam, scopes=["manage"]).post(reverse(LIST), body, format="json").status_code == 201


def test_a_programmes_are_an_admins(api, plan, alice, adam):
    plan.programme = Programme.objects.create(name="Customer")
    plan.save()
    body = {"programme": "Customer", "readers": ["ann@board.example"]}
    assert api(alice, scopes=["manage"]).post(reverse(LIST), body, format="json").status_code == 404
    assert api(adam, scopes=["manage"]).post(reverse(LIST), body, format="json").status_code == 201
    assert ReportSubscription.objects.get().programme == plan.programme
    client = api(adam, scopes=["read"])
    assert [row["address"] for row in client.get(reverse(LIST), {"programme": "Customer"}).json()] == [
        "ann@board.example"
    ]
    assert client.get(reverse(LIST)).json() == []
    for name in ("Nobody's", "\0"):
        assert client.get(reverse(LIST), {"programme": name}).status_code == 404


def test_one_subject_is_named(api, plan, adam):
    plan.programme = Programme.objects.create(name="Customer")
    plan.save()
    body = {"programme": "Customer", "roadmap": plan.slug, "readers": ["ann@board.example"]}
    answer = api(adam, scopes=["manage"]).post(reverse(LIST), body, format="json")
    assert answer.status_code in (400, 422)
    assert "not both" in answer.content.decode()
    assert not ReportSubscription.objects.exists()


@pytest.mark.parametrize("body", [{}, {"readers": []}, {"readers": "x"}, {"readers": ["a@b.example"], "strange": 1}])
def test_bad_input_is_refused(api, adam, body):
    answer = api(adam, scopes=["manage"]).post(reverse(LIST), body, format="json")
    assert answer.status_code in (400, 422)


def test_listed_and_removed(api, plan, alice, oscar, vera):
    held = ReportSubscription.objects.create(
        scope="roadmap", roadmap=plan, address="ann@board.example", mailbox="ann@board.example"
    )
    client = api(alice, scopes=["read", "manage"])
    [row] = client.get(reverse(LIST), {"roadmap": plan.slug}).json()
    assert (row["address"], row["last_state"]) == ("ann@board.example", None)
    url = reverse("api_report_subscriber", args=[held.uuid])
    for person in (oscar, vera):
        assert api(person, scopes=["manage"]).delete(url).status_code == 404
    assert client.delete(url).status_code == 204
    assert not ReportSubscription.objects.exists()

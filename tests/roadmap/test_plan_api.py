"""The plan over REST: the same actions, problem documents, strict input."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from django.urls import reverse

from accounts.models import AuditEvent
from roadmap.api import plan_urls
from roadmap.models import CostEntry, GateDecision, Milestone, Phase, Reading, Roadmap
from roadmap.rules.gates import sha256_of

DAY = timedelta(days=1)


@pytest.fixture
def client(alice, plan, api):
    return api(alice, scopes=["manage"])


def problem(answer, status, code):
    """Checks that the answer is a problem document and returns it."""
    assert answer.status_code == status, answer.content
    assert answer["Content-Type"].startswith("application/problem+json")
    document = answer.json()
    assert document["code"] == code
    assert document["detail"]
    return document


def test_a_roadmap_is_made_read_and_changed(adam, api, today):
    client = api(adam, scopes=["manage"])
    made = client.post("/api/v1/roadmaps/", {"name": "Claims", "start_on": str(today), "budgets": {"poc": "500.00"}})
    assert made.status_code == 201, made.content
    assert made["Location"].endswith("/api/v1/roadmaps/claims")
    assert client.get(made["Location"]).json()["state"] == "active"
    phases = client.get("/api/v1/phases/?roadmap=claims").json()["results"]
    assert {row["kind"]: row["budget_amount"] for row in phases} == {
        "poc": "500.00",
        "scale_up": None,
        "optimise": None,
    }
    changed = client.patch("/api/v1/roadmaps/claims", {"programme": "Customer", "sponsor": "adam"})
    assert (changed.json()["programme"], changed.json()["sponsor"]) == ("Customer", "adam")
    assert AuditEvent.objects.get(action="change_roadmap").actor_name.endswith("(token test)")


def test_a_roadmap_is_entered_in_the_middle(adam, api, today):
    body = {
        "name": "Old",
        "middle": {
            "kind": "scale_up",
            "started_on": str(today - 10 * DAY),
            "opening_amount": "100.00",
            "passed": [
                {"kind": "poc", "start_on": str(today - 90 * DAY), "end_on": str(today - 11 * DAY), "outcome": "go"}
            ],
        },
    }
    client = api(adam, scopes=["manage"])
    assert client.post("/api/v1/roadmaps/", body).status_code == 201
    assert GateDecision.objects.get().is_recorded_later
    assert CostEntry.objects.get().category == "opening_balance"
    document = problem(client.post("/api/v1/roadmaps/", body | {"start_on": str(today)}), 422, "two_starts")
    assert document["errors"][0]["pointer"] == "#/start_on"


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ([], "#"),
        ({"name": "x", "colour": "red"}, "#/colour"),
        ({"name": 5, "start_on": "tomorrow"}, "#/start_on"),
        ({"name": "x", "owner": "nobody"}, "#/owner"),
        ({"name": "x", "unit_of_work": "hug"}, "#/unit_of_work"),
        ({"name": "x", "months": [6, 12]}, "#/months"),
        ({"name": "x", "budgets": {"poc": "many"}}, "#/budgets/poc"),
        ({"name": "x", "middle": {"kind": "poc"}}, "#/middle/started_on"),
        ({"name": "x", "middle": {"kind": "poc", "started_on": "2026-01-01", "luck": 1}}, "#/middle/luck"),
        ({}, "#/name"),
    ],
)
def test_bad_roadmaps_are_refused_with_a_pointer(adam, api, body, pointer):
    answer = api(adam, scopes=["manage"]).post("/api/v1/roadmaps/", body, format="json")
    document = problem(answer, 422, "invalid")
    assert pointer in [row["pointer"] for row in document["errors"]]
    assert not Roadmap.objects.exists()


def test_a_manager_makes_roadmaps_of_their_own(client, alice, bob, erin):
    problem(client.post("/api/v1/roadmaps/", {"name": "x", "owner": "bob"}), 422, "unknown_person")
    problem(client.post("/api/v1/roadmaps/", {"name": "x", "sponsor": "bob"}), 422, "unknown_person")
    made = client.post("/api/v1/roadmaps/", {"name": "x", "sponsor": "erin"}).json()
    assert (made["owner"], made["sponsor"]) == ("alice", "erin")


def test_a_body_that_is_no_json_is_a_bad_request(client):
    answer = client.post("/api/v1/roadmaps/", "{", content_type="application/json")
    assert answer.status_code == 400
    assert client.post("/api/v1/roadmaps/", "x", content_type="text/plain").status_code == 415


def test_milestones_from_adding_to_dropping(client, poc):
    made = client.post("/api/v1/milestones/", {"phase": poc.pk, "name": "Pilot", "due_on": "2027-01-31"}).json()
    url = f"/api/v1/milestones/{made['id']}"
    assert (made["version"], made["baseline_due_on"], made["state"]) == (1, "2027-01-31", "open")
    moved = client.patch(url, {"due_on": "2027-02-28", "version": 1, "outside_key": "AI-9", "owner": "bob"}).json()
    assert (moved["due_on"], moved["baseline_due_on"], moved["version"]) == ("2027-02-28", "2027-01-31", 2)
    found = client.get("/api/v1/milestones/?outside_key=AI-9").json()["results"]
    assert [row["id"] for row in found] == [made["id"]]
    document = problem(client.patch(url, {"name": "Late", "version": 1}), 409, "conflict_changed_meanwhile")
    assert "due date 2027-02-28 (was 2027-01-31)" in document["detail"]
    assert client.post(f"{url}/tick", {"done_on": "2026-11-01"}).json()["done_on"] == "2026-11-01"
    assert client.post(f"{url}/reopen").json()["state"] == "open"
    assert client.post(f"{url}/drop", {"reason": "Merged"}).json()["dropped_reason"] == "Merged"
    problem(client.post(f"{url}/drop", {}), 422, "invalid")
    assert client.delete(url).status_code == 204
    assert client.get(url).status_code == 404


def test_an_outsider_cannot_be_named(client, poc, oscar):
    body = {"phase": poc.pk, "name": "x", "due_on": "2027-01-31", "owner": "oscar"}
    problem(client.post("/api/v1/milestones/", body), 422, "unknown_person")


def test_kpis_and_one_or_many_readings(client, poc, bob, api):
    made = client.post("/api/v1/kpis/", {"phase": poc.pk, "name": "Hours", "direction": "higher", "combine": "sum"})
    assert made.status_code == 201, made.content
    url = f"/api/v1/kpis/{made.json()['id']}/readings"
    push = api(bob, scopes=["push"])
    one = {"at": "2026-11-01T10:00:00+01:00", "value": "5.5", "note": "first"}
    assert push.post(url, one).json() == {"added": 1, "replaced": 0, "unchanged": 0}
    assert push.post(url, one | {"value": "6"}).json() == {"added": 0, "replaced": 1, "unchanged": 0}
    many = [{"at": f"2026-11-0{day}T09:00:00Z", "value": str(day)} for day in range(1, 4)]
    assert push.post(url, many).json() == {"added": 2, "replaced": 1, "unchanged": 0}
    assert push.post(url, {"readings": many}).json() == {"added": 0, "replaced": 0, "unchanged": 3}
    values = [Decimal(row["value"]) for row in client.get(url).json()["results"]]
    assert values == [3, 2, 1]
    assert Reading.objects.filter(token__isnull=False).count() == 3


@pytest.mark.parametrize(
    "body",
    [
        {"at": "2026-11-01T10:00:00Z"},
        {"at": "2026-11-01T10:00:00Z", "value": "many"},
        {"at": "2026-11-01T10:00:00Z", "value": "NaN"},
        {"at": "2026-11-01T10:00:00Z", "value": "1e40"},
        {"at": "never", "value": "1"},
        {"at": "2126-11-01T10:00:00Z", "value": "1"},
        {"at": "2026-11-01T10:00:00Z", "value": "1", "unit": "h"},
        {"readings": []},
        {"readings": [{"at": "2026-11-01T10:00:00Z", "value": "1"}, {"at": "x", "value": "1"}]},
        {"readings": [{"at": "2026-11-01T10:00:00Z", "value": "1"}] * 2},
        {"readings": "all"},
        [],
        [1],
        "text",
    ],
)
def test_bad_readings_are_refused_and_nothing_is_kept(client, poc, body):
    kpi = poc.kpis.get(is_value=True)
    answer = client.post(reverse("api_readings", args=[kpi.pk]), body, format="json")
    assert answer.status_code == 422, answer.content
    assert answer["Content-Type"].startswith("application/problem+json")
    assert not Reading.objects.exists()


def test_a_computed_kpi_takes_no_reading(client, poc):
    url = reverse("api_readings", args=[poc.kpis.get(measure="quality").pk])
    problem(client.post(url, {"at": "2026-11-01T10:00:00Z", "value": "1"}), 422, "computed")


def test_cost_entries_risks_updates_and_notes(client, plan, poc):
    entry = client.post(
        "/api/v1/cost-entries/",
        {"phase": poc.pk, "name": "People", "category": "people", "amount": "310.00", "start_on": "2026-10-01"},
    ).json()
    url = f"/api/v1/cost-entries/{entry['id']}"
    assert client.patch(url, {"end_on": "2026-10-31"}).json()["end_on"] == "2026-10-31"
    problem(client.patch(url, {"end_on": "2026-09-30"}), 422, "ends_before_it_starts")
    assert client.delete(url).status_code == 204
    risk = {"roadmap": plan.slug, "name": "x", "category": "quality", "likelihood": 5, "impact": 5}
    made = client.post("/api/v1/risks/", risk).json()
    assert made["score"] == 25
    assert client.post(f"/api/v1/risks/{made['id']}/close").json()["state"] == "closed"
    problem(client.post(f"/api/v1/risks/{made['id']}/close"), 409, "already_closed")
    assert client.post(f"/api/v1/risks/{made['id']}/reopen").json()["closed_at"] is None
    update = {"roadmap": plan.slug, "status": "at_risk", "sentence": "Late."}
    assert client.post("/api/v1/updates/", update).json()["author"] == "alice"
    note = client.post("/api/v1/annotations/", {"phase": poc.pk, "on": "2026-11-01", "text": "Build"}).json()
    assert client.delete(f"/api/v1/annotations/{note['id']}").status_code == 204


def test_a_gate_is_prepared_read_and_decided(client, plan, poc, gate, adam, api, today):
    url = f"/api/v1/gates/{gate.pk}"
    for row in client.get(url).json()["criteria"]:
        assert client.delete(f"/api/v1/criteria/{row['id']}").status_code == 204
    milestone = poc.milestones.first()
    body = client.post(f"{url}/criteria", {"milestone": milestone.pk}).json()
    assert [(row["name"], row["result"]) for row in body["criteria"]] == [(milestone.name, "not_met")]
    problem(client.post(f"{url}/criteria", {}), 422, "one_subject")
    problem(client.post(f"{url}/criteria", {"milestone": milestone.pk}), 409, "already_criterion")
    decide = {"outcome": "go", "reason": "All met."}
    assert client.post(f"{url}/decide", decide).status_code == 403
    keeper = api(adam, scopes=["manage"])
    problem(keeper.post(f"{url}/decide", decide), 422, "criteria_not_met")
    problem(keeper.post(f"{url}/decide", {"outcome": "conditional", "reason": "x"}), 422, "conditions_missing")
    problem(keeper.post(f"{url}/decide", {"outcome": "conditional"}), 422, "invalid")
    client.post(f"/api/v1/milestones/{milestone.pk}/tick")
    decided = keeper.post(f"{url}/decide", decide)
    assert decided.status_code == 201, decided.content
    document = decided.json()
    assert document["is_intact"] is True
    assert sha256_of(document["evidence"]) == document["evidence_sha256"]
    problem(keeper.post(f"{url}/decide", decide), 409, "already_decided")
    assert client.get(url).json()["decisions"][0]["id"] == document["id"]
    assert Phase.objects.get(roadmap=plan, kind="scale_up").state == "active"


def test_lists_page_and_filter(client, plan, poc):
    first = client.get(f"/api/v1/milestones/?phase={poc.pk}&page_size=4").json()
    second = client.get(first["next"]).json()
    ids = [row["id"] for row in (*first["results"], *second["results"])]
    assert sorted(ids) == sorted(poc.milestones.values_list("pk", flat=True))
    problem(client.get("/api/v1/milestones/?phase=poc"), 422, "invalid")


def test_every_address_is_in_the_schema(client):
    text = client.get("/api/v1/schema/").content.decode()
    for pattern in plan_urls.urlpatterns:
        route = str(pattern.pattern).replace("<int:pk>", "{id}").replace("<slug:slug>", "{slug}")
        assert f"/api/v1/{route}:" in text or f"/api/v1/{route.replace('{id}', '{pk}')}:" in text, route


def test_lists_cost_the_same_queries_whatever_there_is(client, plan, poc, django_assert_max_num_queries):
    for index in range(40):
        Milestone.objects.create(phase=poc, name=f"m{index}", due_on="2027-01-01", baseline_due_on="2027-01-01")
    for path in ("roadmaps/", "phases/", "milestones/", "kpis/", "checklist/", "risks/", "gates/"):
        with django_assert_max_num_queries(5):
            assert client.get(f"/api/v1/{path}").status_code == 200

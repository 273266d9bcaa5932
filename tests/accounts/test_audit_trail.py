"""The audit trail's page, files and REST address, by role and by filter."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime, timedelta

import pytest
from django.urls import reverse
from openpyxl import load_workbook

from accounts import audit
from accounts.access import Asker
from accounts.models import AuditEvent

PLACES = ("audit", "audit_csv", "audit_xlsx")


@pytest.fixture
def events(claims, other, alice, oscar, adam):
    """One change on claims, one on the other roadmap, one of a person; oscar's looks like a formula."""
    at = datetime(2026, 11, 20, 12, tzinfo=UTC)
    return [
        audit.record(
            Asker(alice), action="change_roadmap", subject=claims, workload=claims, at=at,
            before={"summary": "old words"}, after={"summary": "new words"},
        ),
        audit.record(
            Asker(oscar), action="set_state", subject=other, workload=other, at=at + timedelta(days=1),
            after={"state": "=1+1"},
        ),
        audit.record(Asker(adam), action="reset_password", subject=oscar, at=at + timedelta(days=2)),
    ]  # fmt: skip


SEEN = {"adam": {0, 1, 2}, "erin": {0, 1}, "alice": {0}, "oscar": {1}, "bob": None, "vera": None}


def read_rows(client, place, query=""):
    """(action, subject) of each row of a place."""
    answer = client.get(reverse(place) + query)
    assert answer.status_code == 200, place
    if place == "audit":
        return [(line["event"].action, line["event"].subject_name) for line in answer.context["lines"]]
    if place == "audit_csv":
        rows = list(csv.DictReader(io.StringIO(answer.getvalue().decode())))
        return [(row["action"], row["subject"]) for row in rows]
    sheet = load_workbook(io.BytesIO(answer.content))["Audit trail"]
    return [(row[3], row[6]) for row in sheet.iter_rows(min_row=2, values_only=True)]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("name", SEEN)
def test_who_reads_what(events, place, name, request, sign_in):
    client = sign_in(request.getfixturevalue(name))
    if SEEN[name] is None:
        assert client.get(reverse(place)).status_code == 403
        return
    wanted = [(events[n].action, events[n].subject_name) for n in sorted(SEEN[name], reverse=True)]
    assert read_rows(client, place) == wanted


@pytest.mark.parametrize("name", SEEN)
def test_rest_says_the_same(events, name, request, api):
    answer = api(request.getfixturevalue(name), scopes=["read"]).get("/api/v1/audit/")
    if SEEN[name] is None:
        assert answer.status_code == 403
        return
    assert [row["id"] for row in answer.json()["results"]] == [events[n].pk for n in sorted(SEEN[name], reverse=True)]


def test_a_bound_token_reads_its_roadmap_only(events, adam, claims, api):
    rows = api(adam, scopes=["read"], workload=claims).get("/api/v1/audit/").json()["results"]
    assert [row["id"] for row in rows] == [events[0].pk]


def test_a_token_without_read_is_refused(events, adam, api):
    assert api(adam, scopes=["push"]).get("/api/v1/audit/").status_code == 403


def test_nobody_is_sent_to_sign_in(client, db):
    assert client.get(reverse("audit")).status_code == 302
    assert client.get("/api/v1/audit/").status_code == 401


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
def test_rest_changes_nothing(events, adam, api, method):
    assert getattr(api(adam, scopes=["manage"]), method)("/api/v1/audit/").status_code == 405
    assert AuditEvent.objects.count() == 3


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("?person=alice", {0}),
        ("?person=Admin", {2}),
        ("?roadmap=other", {1}),
        ("?action=reset_password", {2}),
        ("?subject=accounts.user", {2}),
        ("?from=2026-11-21&to=2026-11-21", {1}),
        ("?from=2026-11-21", {1, 2}),
        ("?to=9999-12-31", {0, 1, 2}),
        ("?text=OLD+words", {0}),
        ("?text=new+words&person=oscar", set()),
        ("?text=%25", set()),
    ],
)
def test_filters_are_the_same_everywhere(events, adam, sign_in, api, query, found):
    wanted = [(events[n].action, events[n].subject_name) for n in sorted(found, reverse=True)]
    client = sign_in(adam)
    for place in PLACES:
        assert read_rows(client, place, query) == wanted, place
    rows = api(adam, scopes=["read"]).get(f"/api/v1/audit/{query}").json()["results"]
    assert [(row["action"], row["subject_name"]) for row in rows] == wanted


@pytest.mark.parametrize(
    "query",
    ["?from=yesterday", "?to=2026-02-30", "?from=2026-11-02&to=2026-11-01", "?text=%00", f"?person={'x' * 201}"],
)
def test_a_filter_that_cannot_be_read_is_said_and_shows_nothing(events, adam, sign_in, api, query):
    client = sign_in(adam)
    answer = client.get(reverse("audit") + query)
    assert answer.status_code == 200
    assert answer.context["lines"] == []
    assert 'role="alert"' in answer.content.decode()
    assert client.get(reverse("audit_csv") + query).status_code == 422
    assert client.get(reverse("audit_xlsx") + query).status_code == 422
    assert api(adam, scopes=["read"]).get(f"/api/v1/audit/{query}").status_code == 422


@pytest.mark.parametrize("cursor", ["x", ",", "2026-11-20,1", "2026-11-20T00:00:00+00:00,99999999999999999999", "%00"])
def test_a_broken_cursor_begins_at_the_newest(events, adam, sign_in, cursor):
    assert len(sign_in(adam).get(reverse("audit"), {"before": cursor}).context["lines"]) == 3


def test_pages_hold_each_row_once_also_where_moments_are_equal(adam, claims, sign_in, django_assert_max_num_queries):
    at = datetime(2026, 11, 20, tzinfo=UTC)
    for number in range(120):
        audit.record(Asker(adam), action="x", subject=claims, workload=claims, after={"n": number}, at=at)
    client, seen, address = sign_in(adam), [], reverse("audit") + "?action=x"
    while address:
        with django_assert_max_num_queries(8):
            answer = client.get(address)
        seen += [line["event"].pk for line in answer.context["lines"]]
        older = answer.context["page"].older
        address = reverse("audit") + older if older else ""
    assert seen == sorted(AuditEvent.objects.values_list("pk", flat=True), reverse=True)


def test_a_cell_is_no_formula(events, oscar, sign_in):
    client = sign_in(oscar)
    events_csv = client.get(reverse("audit_csv")).getvalue().decode()
    assert "state: =1+1" in events_csv
    book = load_workbook(io.BytesIO(client.get(reverse("audit_xlsx")).content))
    assert all(cell.data_type != "f" for row in book["Audit trail"].iter_rows() for cell in row)


def test_the_menu_names_it_for_those_who_read_it(alice, vera, sign_in):
    assert reverse("audit") in sign_in(alice).get("/tokens/").content.decode()
    assert reverse("audit") not in sign_in(vera).get("/tokens/").content.decode()


def test_codes_are_said_in_the_readers_language(client, adam, alice, claims, asker):
    """The codes of filter and file stay; one that has no words yet is taken apart."""
    adam.language = "nl"
    adam.save()
    audit.record(asker(adam), action="change_person", subject=alice, after={"email": "new@example.org"})
    audit.record(asker(adam), action="unheard_of", subject=alice)
    client.force_login(adam)
    page = client.get("/settings/audit/").content.decode()
    assert '<option value="change_person">Persoon wijzigen</option>' in page
    assert '<option value="unheard_of">Unheard of</option>' in page
    assert "Persoon: Alice Manager" in page
    assert "change_person" in b"".join(client.get("/settings/audit/audit-trail.csv")).decode()

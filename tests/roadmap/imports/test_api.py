"""A plan from a spreadsheet over REST."""

from __future__ import annotations

import json

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from accounts.models import AuditEvent
from roadmap.models import Milestone, PlanImport, Roadmap
from tests.roadmap.imports.files import csv_of

URL = "/api/v1/plan-imports/"
HEADER = ["Roadmap", "Phase", "Outside key", "Milestone", "Due on"]
GOOD = ["contact-centre", "PoC", "A", "Data released", "2027-02-01"]
BAD = ["contact-centre", "PoC", "B", "Pilot", "soon"]


@pytest.fixture
def send(api, plan, alice):
    """`send(rows, person=alice, **fields)`: the answer."""

    def _send(given, person=None, *, scopes=("manage",), workload=None, name="plan.csv", **fields):
        client = api(person or alice, scopes=list(scopes), workload=workload)
        content = given if isinstance(given, bytes) else csv_of(given)
        return client.post(URL, {"file": SimpleUploadedFile(name, content), **fields}, format="multipart")

    return _send


def test_a_dry_run_changes_nothing_and_an_import_does_it_once(send):
    seen = send([HEADER, GOOD], dry_run="true")
    assert (seen.status_code, seen.json()["counts"]["added"], seen.json()["is_dry_run"]) == (200, 1, True)
    assert not Milestone.objects.filter(outside_key="A").exists()
    done = send([HEADER, GOOD])
    assert (done.status_code, done.json()["words"]) == (201, "1 added")
    kept = PlanImport.objects.get()
    assert done["Location"].endswith(kept.get_absolute_url())
    assert AuditEvent.objects.get(action="import_plan").origin.startswith("REST token test")
    again = send([HEADER, [*GOOD[:4], "2027-03-01"]])
    row = again.json()["sheets"][0]["changed"][0]
    assert (row["line"], row["place"]) == (2, "Contact centre, PoC")
    assert row["changes"] == [{"column": "Due on", "before": "2027-02-01", "after": "2027-03-01"}]
    assert Milestone.objects.filter(outside_key="A").count() == 1


def test_a_refused_row_stops_everything_unless_part_is_wanted(send):
    refused = send([HEADER, GOOD, BAD])
    told = refused.json()
    assert (refused.status_code, told["code"], refused["Content-Type"]) == (
        422,
        "rows_refused",
        "application/problem+json",
    )
    assert told["errors"] == [
        {
            "pointer": "/milestones/3/Due on",
            "code": "not_a_day",
            "detail": "'soon' is not a day such as 2026-12-31 or 31.12.2026.",
        }
    ]
    assert told["result"]["counts"] == {"refused": 1, "added": 1, "changed": 0, "unchanged": 0}
    assert not Milestone.objects.filter(outside_key="A").exists()
    assert not PlanImport.objects.exists()
    assert not AuditEvent.objects.filter(action="import_plan").exists()
    assert send([HEADER, GOOD, BAD], take_part="true").json()["words"] == "1 added, 1 refused"


def test_columns_kind_and_numbers_are_said(send, plan):
    rows = [["Projekt", "Was", "Art", "Betrag", "Tag"], [plan.slug, "Prüfung", "training", "1.234", "3/4/2026"]]
    said = {"Projekt": "roadmap", "Was": "name", "Art": "category", "Betrag": "amount", "Tag": "start_on"}
    content = csv_of(rows, encoding="cp1250", delimiter="\t")
    fields = {"kind": "cost_entries", "encoding": "cp1250", "mapping": json.dumps({"cost_entries": said})}
    asked = send(content, **fields)
    assert (asked.status_code, asked.json()["code"]) == (422, "date_order")
    asked = send(content, **fields, date_order="dmy")
    assert asked.json()["code"] == "decimal_mark"
    done = send(content, **fields, date_order="dmy", decimal_mark=",")
    assert done.json()["words"] == "1 added"
    assert str(plan.cost_entries.get().amount) == "1234.00"


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"kind": "gates"}, "unknown_kind"),
        ({"mapping": "{"}, "not_a_mapping"),
        ({"mapping": "[1]"}, "not_a_mapping"),
        ({"mapping": '{"milestones": {"Nothing": "name"}}'}, "unknown_column"),
        ({"decimal_mark": ";"}, "unknown_choice"),
        ({"colour": "red"}, "invalid"),
        ({"dry_run": "perhaps"}, "invalid"),
    ],
)
def test_bad_fields_are_refused(send, fields, code):
    answer = send([HEADER, GOOD], **fields)
    assert (answer.status_code, answer.json()["code"]) == (422, code)


@pytest.mark.parametrize(
    ("content", "code"), [(b"", "invalid"), (b"%PDF", "another_format"), (b"a\n" * 3 * 1024 * 1024, "too_large")]
)
def test_bad_files_are_refused(send, content, code):
    answer = send(content)
    assert (answer.status_code, answer.json()["code"]) == (422, code)


@pytest.mark.parametrize("person", ["vera", "erin"])
def test_who_changes_nothing_imports_nothing(send, person, request):
    assert send([HEADER, GOOD], request.getfixturevalue(person)).status_code == 403


@pytest.mark.parametrize("scopes", [["read"], ["push"]])
def test_the_token_manages(send, scopes):
    assert send([HEADER, GOOD], scopes=scopes).status_code == 403


def test_a_token_of_one_workload_stays_there(send, adam, other):
    answer = send([HEADER, GOOD], adam, workload=other)
    assert answer.json()["errors"][0]["detail"].startswith("There is no roadmap 'contact-centre'.")
    assert send([["Key", "Name"], ["new-one", "New"]], adam, workload=other).status_code == 422
    assert Roadmap.objects.count() == 1


def test_nobody_imports(client):
    assert client.post(URL).status_code == 401

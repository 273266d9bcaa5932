"""POST /api/v1/imports: a file over REST, its answer, the same rules as the pages."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from metrics.models import Backend, BillingImport
from tests.metrics.billing_files import billed, csv_of, focus_row, run

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("in_november")]

URL = "/api/v1/imports"


def _send(client, data: bytes, name: str = "bill.csv", **fields):
    return client.post(URL, {"file": SimpleUploadedFile(name, data), **fields}, format="multipart")


@pytest.fixture
def admin(api, adam):
    return api(adam, scopes=["manage"])


def test_a_file_is_read_and_counted(admin):
    answer = _send(admin, csv_of([focus_row(BilledCost="4.20"), focus_row(BilledCost="x")]))
    assert answer.status_code == 201, answer.content
    row = answer.json()
    assert row["state"] == "reading"
    assert row["focus_version"] == "1.2"
    one = run(BillingImport.objects.get())
    row = admin.get(answer["Location"]).json()
    assert row["state"] == "done"
    assert row["rows_accepted"] == 1
    assert [(r["index"], r["code"]) for r in row["rejected"]] == [(3, "not_an_amount")]
    assert [(m["month"], m["currency"], Decimal(m["amount"])) for m in row["months"]] == [
        ("2026-10-01", "USD", Decimal("4.20"))
    ]
    assert row["receipt"] == str(one.receipt.uuid)
    assert billed() == Decimal("4.20")


def test_the_same_bytes_again_are_answered_with_the_first(admin):
    data = csv_of([focus_row()])
    first = _send(admin, data)
    run(BillingImport.objects.get())
    again = _send(admin, data, name="other.csv")
    assert again.status_code == 200
    assert again.json()["is_repeat"]
    assert again.json()["id"] == first.json()["id"]
    assert BillingImport.objects.count() == 1


def test_a_preview_counts_when_it_is_confirmed(admin):
    Backend.objects.create(slug="openai", name="OpenAI", connector="openai", provider="openai")
    answer = _send(admin, csv_of([focus_row(BilledCost="2")]), preview="true", pays_for="")
    one = run(BillingImport.objects.get())
    assert one.state == "ready"
    assert one.source.is_decided
    confirmed = admin.post(f"{answer['Location']}/confirm", {"mode": "add", "pays_for": ["openai"]}, format="json")
    assert confirmed.status_code == 202, confirmed.content
    run(one)
    assert billed() == Decimal("2")
    assert [b.slug for b in one.source.pays_for.all()] == ["openai"]
    late = admin.post(f"{answer['Location']}/confirm", {}, format="json")
    assert late.status_code == 422


def test_a_plain_file_needs_its_mapping(admin):
    data = b"day,cost\n2026-10-05,1.50\n"
    refused = _send(admin, data)
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["pointer"].endswith("mapping")
    assert not BillingImport.objects.exists()
    mapping = {"columns": {"time": "day", "amount": "cost"}, "currency": "USD", "provider": "openai"}
    assert _send(admin, data, mapping=json.dumps(mapping), name="costs.csv").status_code == 201
    run(BillingImport.objects.get())
    assert billed() == Decimal("1.50")


@pytest.mark.parametrize(
    ("fields", "where"),
    [
        ({"backend": "nothing"}, "backend"),
        ({"pays_for": "nothing"}, "pays_for"),
        ({"mode": "both"}, "mode"),
        ({"roadmap": "nothing"}, "roadmap"),
        ({"mapping": "{"}, "mapping"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_what_cannot_be_is_said_where_it_was_said(admin, fields, where):
    answer = _send(admin, csv_of([focus_row()]), **fields)
    assert answer.status_code in (400, 422), answer.content
    assert where in json.dumps(answer.json())
    assert not BillingImport.objects.exists()


def test_too_large_is_413(admin, settings):
    settings.IMPORT_MAX_BYTES = 100
    answer = _send(admin, csv_of([focus_row()]))
    assert answer.status_code == 413
    assert "IMPORT_MAX_MIB" in answer.json()["detail"]


def test_who_may(api, alice, bob, vera, oscar, erin, adam, claims):
    data = csv_of([focus_row()])
    for person in (alice, bob, vera, oscar):
        client = api(person, scopes=["manage"])
        assert _send(client, data).status_code == 403
        assert client.get(URL).status_code == 403
    executive = api(erin, scopes=["manage"])
    assert _send(executive, data).status_code == 403
    assert executive.get(URL).status_code == 200
    assert _send(api(adam, scopes=["read"]), data).status_code == 403
    assert _send(api(adam, scopes=["manage"], workload=claims), data).status_code == 403
    assert not BillingImport.objects.exists()


def test_one_that_does_not_count_is_discarded_and_one_that_counts_is_not(admin):
    location = _send(admin, csv_of([focus_row()]), preview="true")["Location"]
    run(BillingImport.objects.get())
    assert admin.delete(location).status_code == 204
    assert admin.get(location).status_code == 404
    location = _send(admin, csv_of([focus_row()]))["Location"]
    run(BillingImport.objects.get())
    assert admin.delete(location).status_code == 422


def test_the_list_and_the_receipt_take_back(admin, api, adam, django_assert_max_num_queries):
    _send(admin, csv_of([focus_row()]))
    one = run(BillingImport.objects.get())
    with django_assert_max_num_queries(8):
        assert [row["id"] for row in admin.get(URL).json()["results"]] == [str(one.uuid)]
    pusher = api(adam, scopes=["push", "read"])
    assert pusher.post(f"/api/v1/receipts/{one.receipt.uuid}/reverse").status_code == 201
    assert billed() is None
    assert admin.get(f"{URL}/{one.uuid}").json()["state"] == "taken_back"

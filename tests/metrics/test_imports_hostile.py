"""Billing files that somebody made to do harm: refused in a sentence, never an error of our own."""

from __future__ import annotations

import json

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from metrics.models import BillingImport
from tests.metrics.billing_files import billed, bring, csv_of, focus_row, run

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("in_november")]
URL = "/api/v1/imports"


@pytest.fixture
def admin(api, adam):
    client = api(adam, scopes=["manage"])
    client.raise_request_exception = False
    return client


def _send(client, data: bytes, name: str = "bill.csv", **fields):
    return client.post(URL, {"file": SimpleUploadedFile(name, data), **fields}, format="multipart")


def _deep(levels: int) -> str:
    return "[" * levels + "]" * levels


@pytest.mark.parametrize(
    "fields",
    [
        {"mapping": _deep(100_000)},
        {"services": _deep(100_000)},
        {"pays_for": _deep(100_000)},
        {"mapping": json.dumps([1])},
        {"mapping": json.dumps("x")},
        {"services": json.dumps(["a\0b"])},
        {"name": "a\0b"},
        {"backend": "a\0b"},
        {"roadmap": "a\0b"},
        {"pays_for": "a\0b"},
    ],
)
def test_no_field_of_an_upload_breaks_it(admin, fields):
    answer = _send(admin, b"day,cost\n2026-10-05,1.50\n", **fields)
    assert answer.status_code in (400, 422), (answer.status_code, answer.content[:300])
    assert not BillingImport.objects.exists()


@pytest.mark.parametrize("provider", ["Open\0AI", "\ud800", "x" * 10_000])
def test_no_provider_of_a_mapping_breaks_it(admin, provider):
    told = {"columns": {"time": "day", "amount": "cost"}, "currency": "EUR", "provider": provider}
    assert _send(admin, b"day,cost\n2026-10-05,1.50\n", mapping=json.dumps(told)).status_code == 201
    assert run(BillingImport.objects.get()).state == BillingImport.State.DONE


@pytest.mark.parametrize(
    "name", ["a\0b.csv", "../../etc/passwd", 'x"\r\nSet-Cookie: a=b.csv', "=cmd|x.csv", "x" * 4000]
)
def test_no_name_of_a_file_breaks_it(admin, name):
    answer = _send(admin, csv_of([focus_row()]), name=name)
    assert answer.status_code < 500, answer.content[:300]


@pytest.mark.parametrize(
    "cells",
    [
        {"BilledCost": "1e-999999"},
        {"BilledCost": "1e-40"},
        {"BilledCost": "1." + "3" * 100_000},
        {"EffectiveCost": "1e-999999"},
        {"ConsumedQuantity": "1e999999"},
        {"ConsumedQuantity": "1e-999999"},
        {"ConsumedUnit": "9" * 50_000 + " Tokens"},
        {"PricingQuantity": "1e999999", "ConsumedQuantity": "", "ConsumedUnit": ""},
        {"PricingUnit": "1e999999 Tokens", "ConsumedQuantity": "", "ConsumedUnit": ""},
        {"SkuId": "m\0x"},
        {"ServiceName": "\0"},
        {"BillingAccountId": "a\0b"},
        {"Tags": _deep(60_000)},
        {"Tags": '{"team": "a\\u0000b"}'},
        {"Tags": '{"team": "\\ud800"}'},
        {"BillingPeriodEnd": "9999-12-31T23:59:59Z"},
        {"BillingPeriodStart": "0001-01-01T00:00:00+14:00"},
        {"ChargePeriodEnd": "9999-12-31T23:59:59-14:00"},
        {"ChargePeriodEnd": "2999-12-31T00:00:00Z"},
    ],
)
def test_no_cell_breaks_a_file(adam, cells):
    """The row next to it counts, and what came of the file is said."""
    one = bring(adam, csv_of([focus_row(BilledCost="2"), focus_row(**cells)]))
    assert one.state == BillingImport.State.DONE, one.problem
    assert billed() >= 2

"""Usage without a price gets its estimate when the price is there: once, and not after it was taken back."""

from __future__ import annotations

import json
from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from metrics import pricing
from metrics.models import OwnPrice, Receipt, UsageHour
from metrics.unpriced import price_unpriced_usage

pytestmark = pytest.mark.django_db


@pytest.fixture
def push(api, alice, claims):
    client = api(alice, scopes=["push", "read"], workload=claims)

    def _push(**fields):
        at = (timezone.now() - timedelta(hours=3)).isoformat()
        record = {"timestamp": at, "model": "own", "provider": "acme", "input_tokens": 1_000_000, "output_tokens": 0}
        body = json.dumps({"records": [{**record, **fields}]})
        return client.post("/api/v1/usage", body, content_type="application/json").json()["receipt"]

    _push.client = client
    return _push


def set_price(amount: str) -> None:
    OwnPrice.objects.create(
        provider="acme",
        model="own",
        currency="EUR",
        input_per_million=Decimal(amount),
        output_per_million=Decimal(0),
        valid_from_on=(timezone.now() - timedelta(days=90)).date(),
    )
    pricing.forget_prices()


@pytest.fixture(autouse=True)
def _forget():
    pricing.forget_prices()
    yield
    pricing.forget_prices()


def spend() -> Decimal:
    return sum((hour.estimated_cost or Decimal(0) for hour in UsageHour.objects.all()), Decimal(0))


def test_it_is_priced_once_when_there_is_a_price(push):
    push()
    assert price_unpriced_usage(timezone.now()) == 0
    set_price("3")
    assert price_unpriced_usage(timezone.now()) == 1
    assert price_unpriced_usage(timezone.now()) == 0
    assert spend() == Decimal(3)
    assert "own price acme own" in Receipt.objects.get(kind="estimate").note


def test_a_cost_that_came_with_the_push_is_not_doubled(push):
    push(cost="7", currency="EUR")
    set_price("3")
    assert price_unpriced_usage(timezone.now()) == 0
    assert spend() == Decimal(7)


def test_after_35_days_it_stays_unpriced(push):
    push()
    set_price("3")
    assert price_unpriced_usage(timezone.now() + timedelta(days=36)) == 0


def test_taking_the_push_back_takes_its_later_estimate_back(push):
    receipt = push()
    push(input_tokens=2_000_000)
    set_price("3")
    price_unpriced_usage(timezone.now())
    assert spend() == Decimal(9)
    assert push.client.post(f"/api/v1/receipts/{receipt}/reverse").status_code == 201
    assert spend() == Decimal(6)

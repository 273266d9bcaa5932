"""What needs a decision about usage, and what marks a chart; each for those who may see it."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from metrics import ledger, series
from metrics.figures import Scope
from metrics.ledger import PostedCell
from metrics.models import Backend, LookAlike, OwnPrice, RateCard, Receipt
from metrics.usage import FeedKind
from metrics.windows import hour_of

DAY = timedelta(days=1)


@pytest.fixture
def post(backend):
    """`post(series, sums, days_ago)`: a push of one cell in the last days."""

    def _post(series_id, sums, *, days_ago=1, currency=""):
        ledger.post(
            Receipt(kind=FeedKind.PUSH, backend=backend),
            ledger.feed(FeedKind.PUSH, backend),
            [PostedCell(series_id, hour_of(timezone.now()) - days_ago * DAY, sums, {}, currency)],
        )

    return _post


def codes(workload_ids):
    return [(item.code, item.subject) for item in series.attention(workload_ids)]


def test_usage_without_a_price_needs_one(make_series, post, claims, other):
    mine = make_series("new-model", is_pushed=True, workload_id=claims.pk)
    post(mine, {"requests": 1234, "output_tokens": 5})
    (item,) = series.attention([claims.pk])
    assert (item.code, item.subject, item.url_args) == ("not_priced", "new-model", ("gpu-1",))
    assert item.detail == "1,234 requests on GPU 1 have no price, so they are in no total."
    assert series.attention([other.pk]) == []
    post(mine, {"estimated_cost": Decimal(1)}, currency="USD")
    assert series.attention([claims.pk]) == []


def test_usage_that_belongs_to_no_roadmap_is_for_those_who_see_all(make_series, post, claims):
    nobodys = make_series("m1", is_pushed=True)
    post(nobodys, {"requests": 1, "estimated_cost": Decimal("12.5")}, currency="USD")
    (item,) = series.attention(None)
    assert (item.code, item.detail) == ("unallocated", "12.50 USD of the last 28 days belongs to no roadmap.")
    assert series.attention([claims.pk]) == []
    assert series.attention([]) == []


def test_a_backend_that_stopped_answering_is_named_to_those_it_serves(backend, make_series, claims, other):
    make_series("m1", is_pushed=True, workload_id=claims.pk)
    Backend.objects.filter(pk=backend.pk).update(problem="The server refused the token.")
    assert codes([claims.pk]) == [("backend_stopped", "GPU 1")]
    assert codes([other.pk]) == []
    Backend.objects.filter(pk=backend.pk).update(is_enabled=False)
    assert codes([claims.pk]) == []


def test_look_alikes_are_shown_to_who_may_see_both(make_series, claims, other):
    first = make_series("m1", is_pushed=True, workload_id=claims.pk)
    second = make_series("m1", is_pushed=True, workload_id=other.pk)
    LookAlike.objects.create(
        first_id=first, second_id=second, model="m1", on=date(2026, 3, 4), first_tokens=1000, second_tokens=1001
    )
    assert codes([claims.pk]) == []
    (item,) = series.attention([claims.pk, other.pk])
    assert item.detail == "Both report m1 with nearly the same tokens on 4 Mar 2026. Link them?"
    LookAlike.objects.update(decision=LookAlike.Decision.DIFFERENT)
    assert series.attention(None) == []


def test_charts_are_marked_with_new_models_prices_and_rate_cards(backend, make_series, post, claims, other):
    post(make_series("first", is_pushed=True, workload_id=claims.pk), {"requests": 1}, days_ago=20)
    post(make_series("second", is_pushed=True, workload_id=claims.pk), {"requests": 1}, days_ago=5)
    today = timezone.now().date()
    common = {"currency": "USD", "valid_from_on": today - 3 * DAY}
    price = {"input_per_million": 1, "output_per_million": 2}
    OwnPrice.objects.create(provider="vllm", model="second", **price, **common)
    OwnPrice.objects.create(provider="vllm", model="somebody else's", **price, **common)
    RateCard.objects.create(backend=backend, kind="rented", units=1, rate_per_unit_hour=2, **common)
    window = {"start_on": today - 10 * DAY, "end_on": today + DAY}
    assert series.chart_marks(Scope(**window, workload_ids=(claims.pk,))) == [
        (today - 5 * DAY, "First use of second"),
        (today - 3 * DAY, "Price of second"),
        (today - 3 * DAY, "Rate card of GPU 1"),
    ]
    assert series.chart_marks(Scope(**window, workload_ids=(other.pk,))) == []

"""A model with tokens and no price: 'not priced' everywhere, in no total as zero; priced later on request."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from metrics import ledger, pricing
from metrics.actions.repricing import reprice
from metrics.identity import SeriesIdentity, forget, series_ids
from metrics.ledger import PostedCell
from metrics.models import Backend, OwnPrice, Receipt
from metrics.usage import FeedKind, SeriesKey
from roadmap.actions.reports import close_month
from roadmap.models import Report
from roadmap.queries.phase_dashboard import phase_dashboard
from roadmap.reports.snapshot import section_value

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _euros(settings):
    settings.REPORTING_CURRENCY = "EUR"
    forget()
    pricing.forget_prices()
    yield
    forget()
    pricing.forget_prices()


@pytest.fixture(autouse=True)
def _third_of_november(monkeypatch):
    """Early in a month, so that the last day of the one before is closed and yet recent on every page."""
    monkeypatch.setattr("django.utils.timezone.now", lambda: datetime(2026, 11, 3, 12, tzinfo=UTC))


@pytest.fixture
def used(poc, today):
    """2,000,000 tokens of a model without a price, on the last day of last month, in nobody knows how many requests."""
    backend = Backend.objects.create(slug="acme", name="Acme", connector="x", provider="acme", default_workload=None)
    identity = SeriesIdentity(SeriesKey(provider="acme", model="house-model"), backend.pk)
    series_id = series_ids([identity])[identity]
    day = today.replace(day=1) - timedelta(days=1)
    hour = datetime(day.year, day.month, day.day, 9, tzinfo=UTC)
    cell = PostedCell(series_id, hour, {"input_tokens": 2_000_000, "output_tokens": 0})
    ledger.post(Receipt(kind=FeedKind.USAGE, backend=backend), ledger.feed(FeedKind.USAGE, backend), [cell])
    backend.series.get().allocations.create(
        workload=poc.roadmap.workload, share_ratio=1, valid_from_on=today - timedelta(days=400)
    )
    return backend, day


def test_it_is_not_priced_everywhere_and_priced_later_on_request(
    used, poc, plan, alice, adam, asker, sign_in, api, today
):
    backend, day = used
    client, rest = sign_in(alice), api(alice, scopes=["read"])
    url = poc.get_absolute_url()

    page = client.get(url).text
    assert "not priced" in page.lower()
    dashboard = phase_dashboard(asker(alice), slug=plan.slug, kind="poc")
    assert (dashboard.money.spent, dashboard.not_priced_tokens) == (None, 2_000_000)
    document = rest.get(f"/api/v1/phases/{poc.pk}/dashboard").json()
    assert document["not_priced_tokens"] == 2_000_000
    assert document["money"]["spent"] is None
    assert "2,000,000 tokens on Acme have no price, so they are in no total." in client.get("/").text
    assert "Not priced" in client.get("/backends/acme/").text
    close_month(asker(adam), month=day.replace(day=1))
    payload = Report.objects.get(roadmap=plan).payload
    assert {"say": "not_priced", "tokens": 2_000_000, "requests": 0} in section_value(payload, "notes")["items"]
    assert Decimal(section_value(payload, "money")["not_priced_tokens"]) == 2_000_000
    assert section_value(payload, "money")["estimated"] is None

    OwnPrice.objects.create(
        provider="acme",
        model="house-model",
        currency="EUR",
        input_per_million=Decimal(3),
        output_per_million=Decimal(0),
        valid_from_on=today - timedelta(days=400),
    )
    (found,) = reprice(asker(adam), from_on=day, until_on=day, backend=backend)
    assert (found.amounts, found.receipt.created_at.date()) == (
        {"EUR": Decimal(6)},
        timezone.now().astimezone(UTC).date(),
    )
    dashboard = phase_dashboard(asker(alice), slug=plan.slug, kind="poc")
    assert (dashboard.money.spent, dashboard.not_priced_tokens) == (Decimal(6), 0)
    assert any("Acme corrected" in change.text and "+6.00 EUR" in change.text for change in dashboard.restated)
    assert "have no price" not in client.get("/").text

"""A backend's page: what went wrong, shares, rate cards, removal, reading back."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
from django.urls import reverse

from metrics import pull as pulling
from metrics.errors import ConnectorError
from metrics.models import Allocation, Backend, RateCard, Series, UsageHour
from tests.metrics.pulling import HOUR, NOW, at

pytestmark = pytest.mark.django_db


def test_a_permanent_failure_says_on_the_page_what_to_do(source, provider, adam, sign_in):
    provider.error = ConnectorError("It does not accept the key.", permanent=True, hint="Make a new key at the source.")
    pulling.pull(source.pk, clock=at(NOW))
    text = sign_in(adam).get(f"/backends/{source.slug}/").text
    assert "Make a new key at the source." in text
    assert "Failed, needs you" in text
    assert "Change the settings" in text


def test_a_transient_failure_says_that_it_is_tried_again(source, provider, adam, sign_in):
    provider.error = ConnectorError("It did not answer in time.", permanent=False)
    pulling.pull(source.pk, clock=at(NOW))
    text = sign_in(adam).get(f"/backends/{source.slug}/").text
    assert "Tried again" in text
    assert "Failed, tried again" in text


def test_a_restatement_is_on_the_page(source, provider, adam, sign_in):
    provider.usage(HOUR, requests=3, input_tokens=100, output_tokens=20)
    pulling.pull(source.pk, clock=at(NOW))
    assert "Restated" not in sign_in(adam).get(f"/backends/{source.slug}/").text
    provider.cells.clear()
    provider.usage(HOUR, requests=3, input_tokens=88, output_tokens=20)
    pulling.pull(source.pk, clock=at(NOW.replace(minute=45)))
    text = sign_in(adam).get(f"/backends/{source.slug}/").text
    assert "Restated" in text
    assert "−12" in text


def test_shares_are_set_in_place(source, provider, claims, other, adam, sign_in):
    provider.usage(HOUR, requests=3)
    pulling.pull(source.pk, clock=at(NOW))
    series = Series.objects.get(kind="usage")
    url = reverse("series_allocation", args=[series.pk])
    client = sign_in(adam)
    assert client.get(url).status_code == 200
    answer = client.post(url, {f"share_{claims.pk}": "62.5", f"share_{other.pk}": "37.5", "from_on": ""})
    assert answer.status_code == 303
    shares = {a.workload: a.share_ratio for a in Allocation.objects.filter(series=series)}
    assert shares == {claims: Decimal("0.625"), other: Decimal("0.375")}
    assert client.post(url, {f"share_{claims.pk}": "62.5", f"share_{other.pk}": "40"}).status_code == 422
    client.post(url, {f"share_{claims.pk}": "10", "from_on": "2026-11-10"})
    rows = Allocation.objects.filter(series=series).order_by("valid_from_on", "workload__slug")
    assert [(a.workload.slug, a.valid_from_on, a.valid_until_on) for a in rows] == [
        ("claims", date(2000, 1, 1), date(2026, 11, 10)),
        ("other", date(2000, 1, 1), date(2026, 11, 10)),
        ("claims", date(2026, 11, 10), None),
    ]


CARD = {
    "kind": "rented",
    "units": "2",
    "unit_name": "H100",
    "currency": "eur",
    "pue": "1",
    "valid_from_on": "2026-11-01",
}


def test_a_rate_card_is_added_and_posted(source, adam, sign_in, started):
    answer = sign_in(adam).post(reverse("rate_card_add", args=[source.slug]), {**CARD, "rate_per_unit_hour": "2.50"})
    assert answer.status_code == 303
    assert RateCard.objects.get().currency == "EUR"
    assert started[-1] == ("metrics.post_capacity", source.pk)
    assert {due.start.isoformat() for due in source.capacity_due.all()} == {"2026-11-01T00:00:00+00:00"}


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"rate_per_unit_hour": "1825"}, "divided by 730"),
        ({}, "is needed"),
        ({"rate_per_unit_hour": "2", "currency": "EURO"}, "at most 3"),
        ({"rate_per_unit_hour": "2", "pue": "0.5"}, "lies from 1 to 3"),
        ({"rate_per_unit_hour": "2", "rated_watts": "700"}, "Energy needs both"),
        (
            {"kind": "owned", "purchase_amount": "60000", "purchased_on": "2026-01-01", "amortisation_months": "3"},
            "not years",
        ),
    ],
)
def test_an_implausible_rate_card_is_refused(source, adam, sign_in, fields, said):
    answer = sign_in(adam).post(reverse("rate_card_add", args=[source.slug]), {**CARD, **fields})
    assert answer.status_code == 422
    assert said in answer.text
    assert not RateCard.objects.exists()


def test_a_new_rate_card_ends_the_one_before(source, adam, sign_in):
    client, url = sign_in(adam), reverse("rate_card_add", args=[source.slug])
    client.post(url, {**CARD, "rate_per_unit_hour": "2.50"})
    client.post(url, {**CARD, "rate_per_unit_hour": "2.20", "valid_from_on": "2026-11-15"})
    assert [c.valid_until_on for c in RateCard.objects.order_by("valid_from_on")] == [date(2026, 11, 15), None]


def test_removing_keeps_what_was_counted_and_forgets_the_secret(source, provider, adam, sign_in):
    provider.usage(HOUR, requests=3)
    pulling.pull(source.pk, clock=at(NOW))
    sign_in(adam).post(reverse("backend_remove", args=[source.slug]))
    source.refresh_from_db()
    assert (source.is_enabled, source.secrets) == (False, None)
    assert UsageHour.objects.get(requests=3)
    assert pulling.pull(source.pk) is None


def test_a_backend_that_has_counted_nothing_is_gone(source, adam, sign_in):
    sign_in(adam).post(reverse("backend_remove", args=[source.slug]))
    assert not Backend.objects.exists()


def test_reading_back_starts_shows_progress_and_stops(in_november, source, adam, sign_in, started):
    client, url = sign_in(adam), reverse("backend_backfill", args=[source.slug])
    assert client.post(url, {"from_on": "2099-01-01"}).status_code == 422
    client.post(url, {"from_on": "2026-10-01"})
    assert started[-1] == ("metrics.hand_out_backfills",)
    assert "Reading back" in client.get(f"/backends/{source.slug}/").text
    client.post(url, {"do": "cancel"})
    source.refresh_from_db()
    assert source.is_backfill_stopped
    page = client.get(f"/backends/{source.slug}/").text
    assert "Stopped by hand; what was read stays." in page
    client.post(url, {"do": "resume"})
    source.refresh_from_db()
    assert not source.is_backfill_stopped
    assert "It waits for its turn" in client.get(f"/backends/{source.slug}/").text

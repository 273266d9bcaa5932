"""The prices page, reserved API capacity, and values that are hardly meant."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from metrics import pricing
from metrics.actions.prices import OddValue, set_own_price, set_rate_card
from metrics.capacity import post_capacity
from metrics.errors import RuleViolation
from metrics.models import Backend, ExchangeRate, OwnPrice, RateCard, Receipt, UsageHour
from tests.metrics.test_capacity import _cost, _idle, _post
from tests.metrics.test_repricing import _forget, again, hour, price, pulled, push, source

__all__ = ["_forget", "again", "hour", "price", "pulled", "push", "source"]
pytestmark = pytest.mark.django_db
D = Decimal
NOW = datetime(2026, 11, 22, 12, 10, tzinfo=UTC)
NINE = NOW.replace(hour=9, minute=0)
DAY = date(2026, 11, 22)
PTU = {
    "kind": "reserved",
    "units": D(50),
    "unit_name": "PTU",
    "model": "gpt-4o",
    "currency": "EUR",
    "rate_per_unit_hour": D(1),
    "valid_from_on": DAY,
}
OWN = {
    "provider": "acme",
    "model": "own",
    "currency": "EUR",
    "input_per_million": D(3),
    "output_per_million": D(9),
    "valid_from_on": DAY,
}


@pytest.fixture
def admin(adam, asker):
    return asker(adam)


@pytest.fixture
def started(monkeypatch):
    from metrics import tasks

    calls: list[tuple] = []
    monkeypatch.setattr(tasks, "enqueue_on_commit", lambda task, *args: calls.append((task.name, *args)))
    return calls


# --- Reserved API capacity


def test_reserved_capacity_pays_its_model_and_no_other(backend, make_series, admin):
    """50 PTU at 1.00: 50.00 an hour, served or not. gpt-4o's tokens are not priced again; those of gpt-4o-mini are."""
    set_rate_card(admin, backend, **PTU)
    served, beside = make_series("gpt-4o"), make_series("gpt-4o-mini")
    for series_id, cost in ((served, "4"), (beside, "0.60")):
        _post(series_id, NINE, currency="EUR", requests=1, input_tokens=1000, output_tokens=100, estimated_cost=D(cost))
    post_capacity(NOW)
    assert (_cost(served), _cost(beside)) == (D(50), D("0.60"))
    assert _cost(_idle(backend).pk, NINE.replace(hour=10)) == D(50)
    pricing.forget_prices()
    assert pricing.has_reserved_capacity(backend.pk, DAY, "gpt-4o")
    assert pricing.has_reserved_capacity(backend.pk, DAY, "openai/GPT-4o")
    assert not pricing.has_reserved_capacity(backend.pk, DAY, "gpt-4o-mini")
    assert not pricing.has_reserved_capacity(backend.pk, DAY - timedelta(days=1), "gpt-4o")


def test_two_models_have_each_their_capacity(backend, make_series, admin):
    set_rate_card(admin, backend, **PTU)
    set_rate_card(admin, backend, **{**PTU, "model": "o3", "units": D(10)})
    first, second = make_series("gpt-4o"), make_series("o3")
    for series_id in (first, second):
        _post(series_id, NINE, requests=1, output_tokens=100)
    post_capacity(NOW)
    assert (_cost(first), _cost(second)) == (D(50), D(10))
    total = sum(row.estimated_cost for row in UsageHour.objects.filter(currency="EUR"))
    assert total == 60 * 12
    held = sum(row.gpu_held_seconds or 0 for row in UsageHour.objects.filter(hour=NINE))
    assert held == 60 * 3600


def test_it_costs_until_the_end_of_its_minimum_term(backend, admin):
    with pytest.raises(RuleViolation, match="22 Dec 2026"):
        set_rate_card(admin, backend, **PTU, minimum_term_months=1, valid_until_on=DAY + timedelta(days=10))
    set_rate_card(admin, backend, **PTU, minimum_term_months=1)
    later = {**PTU, "units": D(80), "valid_from_on": DAY + timedelta(days=10)}
    with pytest.raises(OddValue, match="minimum term until 22 Dec 2026"):
        set_rate_card(admin, backend, **later)
    set_rate_card(admin, backend, is_confirmed=True, **later)
    assert RateCard.objects.count() == 2


def test_gpus_have_neither_model_nor_term(backend, admin):
    card = set_rate_card(admin, backend, **{**PTU, "kind": "rented", "minimum_term_months": 12, "unit_name": "GPU"})
    assert (card.model, card.minimum_term_months) == ("", None)


# --- What is hardly meant


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"kind": "rented", "rate_per_unit_hour": D("0.0034")}, "2.48 EUR a month for one, 124.10 for all 50"),
        ({"kind": "rented", "rate_per_unit_hour": D(1825)}, "divided by 730"),
        ({"rate_per_unit_hour": D(730)}, "532,900.00 EUR a month for one"),
        (
            {"kind": "owned", "purchase_amount": D(60), "purchased_on": DAY, "amortisation_months": 36},
            "is 1.20 for one",
        ),
        ({"kind": "rented", "rated_watts": D("0.7"), "price_per_kwh": D("0.3")}, "not kilowatts"),
        ({"kind": "rented", "rated_watts": D(700), "price_per_kwh": D(30)}, "not in cents"),
    ],
)
def test_an_odd_rate_says_what_it_comes_to_and_is_taken_when_confirmed(backend, admin, fields, said):
    with pytest.raises(OddValue) as caught:
        set_rate_card(admin, backend, **{**PTU, **fields})
    assert said in caught.value.message
    assert caught.value.message.endswith("If it is meant, confirm it.")
    assert set_rate_card(admin, backend, is_confirmed=True, **{**PTU, **fields}).pk


def test_usual_is_of_about_the_currency(backend, admin):
    """400 JPY an hour is about 2.50 EUR."""
    ExchangeRate.objects.create(currency="JPY", on=DAY - timedelta(days=1), per_euro=D(160))
    assert set_rate_card(
        admin, backend, **{**PTU, "kind": "rented", "currency": "JPY", "rate_per_unit_hour": D(400)}
    ).pk


@pytest.mark.parametrize("fields", [{"rate_per_unit_hour": D(0)}, {"units": D(0)}, {"pue": D("0.5")}])
def test_what_cannot_be_is_refused_confirmed_or_not(backend, admin, fields):
    with pytest.raises(RuleViolation) as caught:
        set_rate_card(admin, backend, is_confirmed=True, **{**PTU, **fields})
    assert not isinstance(caught.value, OddValue)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"input_per_million": D("0.000003")}, "Is it per million?"),
        ({"output_per_million": D(900)}, "Is it per million?"),
        (
            {"provider": "openai", "model": "gpt-4o", "input_per_million": D("0.1"), "output_per_million": D(10)},
            "the price list says 2.5 USD",
        ),
    ],
)
def test_an_odd_price_is_asked_about(admin, fields, said):
    with pytest.raises(OddValue) as caught:
        set_own_price(admin, **{**OWN, **fields})
    assert said in caught.value.message
    assert set_own_price(admin, is_confirmed=True, **{**OWN, **fields}).pk
    assert set_own_price(admin, **{**OWN, "input_per_million": D(0), "output_per_million": D(0)}).pk


def test_the_form_asks_and_takes_the_confirmed(backend, adam, sign_in, started):
    client = sign_in(adam)
    card = {**{name: str(value) for name, value in PTU.items()}, "rate_per_unit_hour": "0.001", "pue": "1"}
    answer = client.post("/backends/gpu-1/rate-cards/", card)
    assert answer.status_code == 422
    assert "Yes, that is meant" in answer.text
    assert "0.73 EUR a month for one" in answer.text
    assert client.post("/backends/gpu-1/rate-cards/", {**card, "is_confirmed": "1"}).status_code == 303
    page = client.get("/backends/gpu-1/").text
    assert "reserved for gpt-4o at" in page


def test_rest_takes_the_confirmed(backend, api, adam, started):
    rest = api(adam, scopes=["manage"])
    body = {**{name: str(value) for name, value in PTU.items()}, "rate_per_unit_hour": "0.001"}
    answer = rest.post("/api/v1/backends/gpu-1/rate-cards/", body, format="json")
    assert (answer.status_code, answer.json()["code"]) == (422, "not_plausible")
    answer = rest.post("/api/v1/backends/gpu-1/rate-cards/", {**body, "is_confirmed": True}, format="json")
    assert (answer.status_code, answer.json()["model"]) == (201, "gpt-4o")


# --- The page


def entered(hour, **fields) -> dict[str, str]:
    return {"from_on": str(hour.date()), "until_on": str(hour.date()), **fields}


def test_own_prices_are_added_for_all_and_removed(adam, sign_in, source):
    client = sign_in(adam)
    form = {
        **{name: str(value) for name, value in OWN.items()},
        "service_tier": "batch",
        "cached_input_per_million": "1",
    }
    assert client.post("/prices/add/", form).status_code == 303
    client.post("/prices/add/", {**form, "backend": "acme"})
    assert list(OwnPrice.objects.order_by("pk").values_list("backend__slug", "service_tier")) == [
        (None, "batch"),
        ("acme", "batch"),
    ]
    page = client.get("/prices/").text
    assert "2 own prices" in page
    assert "every one" in page
    assert client.post("/prices/add/", {**form, "input_per_million": "0.000001"}).status_code == 422
    client.post(f"/prices/{OwnPrice.objects.first().pk}/remove/")
    assert OwnPrice.objects.count() == 1


@pytest.mark.parametrize("is_htmx", [False, True])
def test_it_says_what_would_change_then_does_it_and_takes_it_back(pulled, price, hour, adam, sign_in, started, is_htmx):
    price("3")
    pulled(hour, 1_000_000)
    pulled(hour + timedelta(hours=1), 1_000_000, model="unknown")
    price("2", valid_from_on=hour.date())
    client = sign_in(adam)
    headers = {"HX-Request": "true"} if is_htmx else {}
    answer = client.post("/prices/again/", entered(hour, do="preview"), headers=headers)
    for words in ("<strong>Acme</strong>", "−1.00 EUR", "there is no price for their model"):
        assert words in answer.text
    assert not Receipt.objects.filter(kind="reprice").exists()
    answer = client.post("/prices/again/", entered(hour, do="reprice", note="Contract of June"), follow=True)
    assert "1 hour priced again." in answer.text.replace("\xa0", " ")
    for words in ("Contract of June. Priced again by own price acme own", "−1.00 EUR", "Adam Admin"):
        assert words in answer.text
    backend_page = client.get("/backends/acme/").text
    receipt = Receipt.objects.get(kind="reprice")
    assert "Priced again, Adam Admin" in backend_page
    assert str(receipt.uuid) in backend_page
    client.post(f"/prices/again/{receipt.uuid}/take-back/")
    assert "Taken back" in client.get("/prices/").text
    assert UsageHour.objects.get(currency="EUR").estimated_cost == 3


def test_what_is_wrong_is_said(adam, sign_in, hour):
    client = sign_in(adam)
    answer = client.post("/prices/again/", {"from_on": "2026-02-01", "until_on": "2026-01-01", "do": "reprice"})
    assert answer.status_code == 422
    assert "The last day is the first one or later." in answer.text
    assert client.post("/prices/again/", {"do": "reprice"}).status_code == 422
    assert client.post("/prices/again/00000000-0000-0000-0000-000000000000/take-back/").status_code == 404


@pytest.mark.parametrize(
    ("who", "reads"), [("alice", True), ("bob", True), ("vera", False), ("oscar", True), ("erin", True)]
)
def test_only_admins_change_prices(who, reads, request, sign_in, api, hour, source):
    person = request.getfixturevalue(who)
    client = sign_in(person)
    assert client.get("/prices/").status_code == (200 if reads else 403)
    own = OwnPrice.objects.create(**OWN, backend=source)
    if reads and who != "erin":
        # Its backend serves no roadmap of theirs.
        assert "Every price is the public list" in client.get("/prices/").text
    for path in ("add/", "again/", f"{own.pk}/remove/", "again/00000000-0000-0000-0000-000000000000/take-back/"):
        assert client.post(f"/prices/{path}", entered(hour)).status_code == 403
    assert (
        api(person, scopes=["manage"]).post("/api/v1/prices/reprice", entered(hour), format="json").status_code == 403
    )
    client.logout()
    assert client.get("/prices/").status_code == 302


def test_rest_prices_again(pulled, price, hour, api, adam, started):
    price("3")
    pulled(hour, 1_000_000)
    price("2", valid_from_on=hour.date())
    rest = api(adam, scopes=["manage"])
    body = entered(hour, backend="acme", model="own")
    trial = rest.post("/api/v1/prices/reprice", {**body, "is_trial": True}, format="json").json()
    assert trial == [{"backend": "acme", "hours": 1, "amounts": {"EUR": "-1.0000000000"}, "left": {}, "receipt": None}]
    done = rest.post("/api/v1/prices/reprice", body, format="json").json()
    assert done[0]["hours"] == 1
    listed = rest.get("/api/v1/receipts/").json()["results"]
    assert [row["kind"] for row in listed] == ["reprice"]
    push = api(adam, scopes=["push", "read"])
    assert push.post(f"/api/v1/receipts/{done[0]['receipt']}/reverse").status_code == 201
    assert UsageHour.objects.get(currency="EUR").estimated_cost == 3
    assert rest.post("/api/v1/prices/reprice", {**body, "backend": "nope"}, format="json").status_code == 422
    assert api(adam, scopes=["read"]).post("/api/v1/prices/reprice", body, format="json").status_code == 403


def test_the_page_costs_the_same_queries_for_many_prices(pulled, price, hour, adam, sign_in, again):
    client = sign_in(adam)
    price("3")
    pulled(hour, 1_000_000)
    client.get("/prices/")
    with CaptureQueriesContext(connection) as few:
        client.get("/prices/")
    for number in range(4):
        other = Backend.objects.create(slug=f"b{number}", name=f"B{number}", connector="x", provider="acme")
        price(str(number + 4), valid_from_on=hour.date(), on=other)
        price(str(number + 4), valid_from_on=hour.date())
        OwnPrice.objects.filter(input_per_million=3).delete()
        pricing.forget_prices()
        again()
    assert Receipt.objects.filter(kind="reprice").count() >= 2
    with CaptureQueriesContext(connection) as many:
        client.get("/prices/")
    assert len(many) <= len(few) + 1 <= 15

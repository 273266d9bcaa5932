"""Pricing again: only the differences, dated, reversible, told; and usage without a price is nowhere zero."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from io import StringIO

import pytest
from django.core.exceptions import PermissionDenied
from django.core.management import CommandError, call_command
from django.utils import timezone

from accounts.models import AuditEvent
from metrics import ledger, pricing, series
from metrics.actions.imports import Choices
from metrics.actions.repricing import reprice
from metrics.actions.usage import reverse_receipt
from metrics.errors import RuleViolation
from metrics.estimating import Told, estimates_of, restated_estimates
from metrics.figures import Scope
from metrics.ledger import PostedCell
from metrics.models import Backend, OwnPrice, RateCard, Receipt, Restatement, Series, UsageHour
from metrics.unpriced import price_unpriced_usage
from metrics.usage import FeedKind
from metrics.windows import Window
from tests.metrics.billing_files import bring, csv_of, focus_row

pytestmark = pytest.mark.django_db
D = Decimal
MILLION = 1_000_000


@pytest.fixture(autouse=True)
def _forget(settings):
    settings.REPORTING_CURRENCY = "EUR"
    pricing.forget_prices()
    yield
    pricing.forget_prices()


@pytest.fixture
def hour():
    return (timezone.now() - timedelta(days=10)).astimezone(UTC).replace(minute=0, second=0, microsecond=0)


@pytest.fixture
def price():
    """`price("3")`: an own price of 3 EUR for a million input tokens of acme's 'own', in force for long."""

    def _price(amount, *, on=None, model="own", tier="standard", **more):
        OwnPrice.objects.create(
            backend=on,
            provider="acme",
            model=model,
            service_tier=tier,
            currency="EUR",
            input_per_million=D(amount),
            output_per_million=D(0),
            valid_from_on=more.pop("valid_from_on", (timezone.now() - timedelta(days=400)).date()),
            **more,
        )
        pricing.forget_prices()

    return _price


@pytest.fixture
def source(db) -> Backend:
    return Backend.objects.create(slug="acme", name="Acme", connector="x", provider="acme")


@pytest.fixture
def pulled(source, make_series):
    """`pulled(hour, tokens)`: a pull's statement of an hour, estimated as a pull does; returns the series' id."""

    def _pulled(hour, tokens, *, model="own", **sums):
        series_id = make_series(model, on=source)
        window = Window(hour, hour + timedelta(hours=1))
        cells = [PostedCell(series_id, hour, {"requests": 1, "input_tokens": tokens, "output_tokens": 0, **sums})]
        feeds = ledger.feed(FeedKind.USAGE, source), ledger.feed(FeedKind.ESTIMATE, source)
        estimates = restated_estimates(
            source,
            cells,
            window,
            usage_feed=feeds[0],
            estimate_feed=feeds[1],
            series=Series.objects.in_bulk([series_id]),
            told=Told(),
        )
        for feed, some in zip(feeds, (cells, estimates), strict=True):
            receipt = Receipt(kind=FeedKind.USAGE, backend=source)
            ledger.post_statement(receipt=receipt, feed=feed, window=window, cells=some, as_of=timezone.now())
        return series_id

    return _pulled


@pytest.fixture
def push(api, alice, claims, hour):
    client = api(alice, scopes=["push", "read"], workload=claims)

    def _push(**fields):
        at = (hour + timedelta(minutes=5)).isoformat()
        record = {"timestamp": at, "model": "own", "provider": "acme", "input_tokens": MILLION, "output_tokens": 0}
        body = json.dumps({"records": [{**record, **fields}]})
        return client.post("/api/v1/usage", body, content_type="application/json").json()["receipt"]

    _push.client = client
    return _push


@pytest.fixture
def again(adam, asker, hour):
    def _again(**more):
        day = hour.date()
        return reprice(asker(adam), from_on=day - timedelta(days=2), until_on=day + timedelta(days=2), **more)

    return _again


def spend() -> Decimal | None:
    known = [row.estimated_cost for row in UsageHour.objects.all() if row.estimated_cost is not None]
    return sum(known, D(0)) if known else None


# --- What is pulled


def test_only_the_difference_is_posted_and_only_once(pulled, price, again, hour):
    price("3")
    pulled(hour, MILLION)
    price("2", valid_from_on=hour.date())
    assert spend() == 3
    (found,) = again()
    assert (found.hours, dict(found.amounts), spend()) == (1, {"EUR": D(-1)}, D(2))
    assert found.receipt.kind == "reprice"
    assert "Priced again by own price acme own" in found.receipt.note
    assert again() == []
    assert spend() == 2
    call_command("check_ledger", stdout=StringIO())


def test_a_trial_posts_nothing(pulled, price, again, hour):
    price("3")
    pulled(hour, MILLION)
    price("2", valid_from_on=hour.date())
    receipts = Receipt.objects.count()
    (found,) = again(is_trial=True)
    assert (found.hours, dict(found.amounts), found.receipt) == (1, {"EUR": D(-1)}, None)
    assert (Receipt.objects.count(), spend()) == (receipts, D(3))
    assert not AuditEvent.objects.filter(action="reprice").exists()


def test_the_next_pull_keeps_it_and_a_restated_hour_is_estimated_afresh(pulled, price, again, hour):
    price("3")
    pulled(hour, MILLION)
    price("2", valid_from_on=hour.date())
    again()
    pulled(hour, MILLION)
    assert spend() == 2
    pulled(hour, 2 * MILLION)
    assert spend() == 4


def test_it_is_taken_back_whole_and_not_once_others_have_moved_on(pulled, price, again, hour, adam, asker):
    price("3")
    pulled(hour, MILLION)
    price("2", valid_from_on=hour.date())
    first = again()[0].receipt
    price("1", valid_from_on=hour.date())
    second = again()[0].receipt
    assert spend() == 1
    with pytest.raises(RuleViolation, match="Price them again"):
        reverse_receipt(asker(adam), first)
    reverse_receipt(asker(adam), second)
    assert spend() == 2
    with pytest.raises(RuleViolation) as caught:
        reverse_receipt(asker(adam), second)
    assert caught.value.code == "already_reversed"


def test_what_was_not_priced_is_unknown_again_when_it_is_taken_back(pulled, price, again, hour, adam, asker):
    pulled(hour, MILLION)
    assert spend() is None
    price("3")
    receipt = again()[0].receipt
    assert spend() == 3
    reverse_receipt(asker(adam), receipt)
    assert spend() is None


def test_it_is_told_as_a_restatement(pulled, price, again, hour, claims):
    price("3")
    series_id = pulled(hour, MILLION)
    pulled(hour + timedelta(hours=1), MILLION)
    price("2", valid_from_on=hour.date())
    again()
    row = Restatement.objects.get()
    assert (row.series_id, row.first_hour, row.last_hour) == (series_id, hour, hour + timedelta(hours=1))
    assert (row.amount, row.currency) == (D(-2), "EUR")


def test_one_model_and_the_days_asked_for(pulled, price, again, hour):
    for place, model in enumerate(("own", "other")):
        price("3", model=model)
        pulled(hour + timedelta(hours=place), MILLION, model=model)
    pulled(hour - timedelta(days=5), MILLION)
    for model in ("own", "other"):
        price("2", model=model)
    OwnPrice.objects.filter(input_per_million=3).delete()
    pricing.forget_prices()
    (found,) = again(model="own")
    assert dict(found.models) == {("own", "EUR"): D(-1)}
    assert spend() == 8


def test_another_currency_takes_the_old_one_away(pulled, price, again, hour):
    price("3")
    pulled(hour, MILLION)
    OwnPrice.objects.update(currency="USD")
    pricing.forget_prices()
    (found,) = again()
    assert dict(found.amounts) == {"EUR": D(-3), "USD": D(3)}


def test_what_a_source_stated_and_what_a_rate_card_pays_stays(pulled, source, price, again, hour):
    price("3")
    feed = ledger.feed(FeedKind.USAGE, source)
    series_id = pulled(hour, MILLION, model="stated")
    cell = PostedCell(series_id, hour, {"estimated_cost": D(9)}, currency="EUR")
    ledger.post(Receipt(kind=FeedKind.USAGE, backend=source), feed, [cell])
    pulled(hour + timedelta(hours=1), MILLION, model="unknown")
    (found,) = again()
    assert (found.hours, dict(found.left)) == (0, {"stated": 1, "not_priced": 1})
    assert spend() == 9
    RateCard.objects.create(
        backend=source, kind="rented", units=1, currency="EUR", rate_per_unit_hour=1, valid_from_on=hour.date()
    )
    pricing.forget_prices()
    (found,) = again()
    assert dict(found.left) == {"reserved": 2}


def test_a_pulled_sum_takes_the_first_price_step_and_says_so(make_series, source):
    """gemini-2.5-pro: 1.25 USD a million input tokens up to 200,000 in one request, which a sum does not tell."""
    series_id = make_series("gemini-2.5-pro", on=Backend(pk=source.pk, provider="google"))
    cell = PostedCell(series_id, datetime(2026, 3, 4, 10, tzinfo=UTC), {"input_tokens": MILLION, "output_tokens": 0})
    told = Told()
    (found,) = estimates_of(source, [cell], Series.objects.in_bulk([series_id]), told)
    assert found.sums["estimated_cost"] == D("1.25")
    assert "genai-prices" in told.note
    assert told.lines == ["The price depends on the size of a request; sums took its first step: gemini-2.5-pro."]


# --- What is pushed


def test_pushed_usage_is_priced_again_and_stated_costs_stay(push, price, again):
    price("3")
    push()
    push(cost="7", currency="EUR", id="x")
    assert spend() == 10
    OwnPrice.objects.update(input_per_million=2)
    pricing.forget_prices()
    (found,) = again()
    assert (dict(found.amounts), dict(found.left)) == ({"EUR": D(-1)}, {"stated": 1})
    assert spend() == 9
    assert again()[0].hours == 0


def test_a_push_taken_back_takes_its_share_of_the_difference_along(push, price, again):
    price("3")
    receipt = push()
    push(input_tokens=2 * MILLION)
    OwnPrice.objects.update(input_per_million=2)
    pricing.forget_prices()
    again()
    assert spend() == 6
    assert push.client.post(f"/api/v1/receipts/{receipt}/reverse").status_code == 201
    assert spend() == 4


def test_a_bill_taken_back_prices_nothing_again(push, price, again, hour, adam, asker):
    push()
    price("3", valid_from_on=hour.date() - timedelta(days=9))
    again()
    assert spend() == 3
    price("1", valid_from_on=hour.date())
    day = hour.replace(hour=0)
    pushed = Series.objects.get(is_pushed=True).backend
    one = bring(adam, csv_of([focus_row(day=day, SkuId="own")]), choices=Choices(pays_for=[pushed]))
    assert UsageHour.objects.filter(series__is_pushed=True, billed_cost=D("1.25")).exists()
    reverse_receipt(asker(adam), one.receipt)
    assert spend() == 3


def test_a_price_that_depends_on_each_request_is_not_guessed_from_sums(push, again, hour):
    """gemini-2.5-pro costs more above 200,000 input tokens of one request."""
    push(model="gemini-2.5-pro", provider="google", input_tokens=300_000, output_tokens=10)
    before = spend()
    assert before is not None
    (found,) = again()
    assert (found.hours, dict(found.left)) == (0, {"stepped": 1})
    assert spend() == before


# --- Not priced


def test_a_model_without_a_price_is_not_priced_everywhere_and_priced_later_on_request(
    push, price, again, hour, claims, alice, sign_in
):
    """On the API's answer, in the sums, on the backend's page: never zero. Then priced, the difference dated."""
    push()
    scope = Scope(hour.date(), hour.date() + timedelta(days=1), (claims.pk,))
    sums = series.usage(scope)[0].sums
    assert (sums.spend, sums.tokens_without_cost) == (None, MILLION)
    assert [item.code for item in series.attention([claims.pk])] == ["not_priced"]
    assert "Not priced" in sign_in(alice).get("/backends/push-acme/").content.decode()
    price("3")
    (found,) = again()
    sums = series.usage(scope)[0].sums
    assert (sums.spend, sums.tokens_without_cost) == (3, 0)
    assert found.receipt.created_at.date() == timezone.now().astimezone(UTC).date()
    assert series.attention([claims.pk]) == []
    # The nightly trial finds nothing left.
    assert price_unpriced_usage(timezone.now()) == 0


def test_the_nightly_trial_and_the_next_pull_price_an_hour_once(pulled, price, hour):
    pulled(hour, MILLION)
    price("3")
    assert price_unpriced_usage(timezone.now()) == 1
    pulled(hour, MILLION)
    assert spend() == 3
    pulled(hour, 2 * MILLION)
    assert spend() == 6


# --- Own prices


def test_own_prices_by_tier_backend_cache_and_day(source, price):
    days = [(timezone.now() - timedelta(days=back)).date() for back in (30, 10)]
    price("4", valid_from_on=days[0])
    price(
        "2", tier="batch", valid_from_on=days[0], cached_input_per_million=D("0.5"), cache_write_input_per_million=D(5)
    )
    price("3", on=source, valid_from_on=days[1])

    def cost(on, tier="standard", backend_id=None, **sums):
        tokens = {"input_tokens": MILLION, "output_tokens": 0, **sums}
        found = pricing.estimate("acme", "own", tier, on, tokens, backend_id=backend_id)
        return found.amount if found else None

    assert cost(days[0] - timedelta(days=1)) is None
    assert (cost(days[0]), cost(days[0], backend_id=source.pk), cost(days[1], backend_id=source.pk)) == (4, 4, 3)
    # 1 M input of which 200,000 cached and 100,000 written: 700,000 x 2 + 200,000 x 0.5 + 100,000 x 5 a million.
    assert cost(days[1], "batch", cached_input_tokens=200_000, cache_write_input_tokens=100_000) == D("2.0")
    assert cost(days[1], "flex") is None


# --- Who, and the command


@pytest.mark.parametrize("who", ["alice", "bob", "vera", "oscar", "erin"])
def test_only_admins_price_again_and_take_it_back(who, pulled, price, again, hour, request, asker):
    price("3")
    pulled(hour, MILLION)
    price("2", valid_from_on=hour.date())
    person = asker(request.getfixturevalue(who))
    with pytest.raises(PermissionDenied):
        reprice(person, from_on=hour.date(), until_on=hour.date())
    receipt = again()[0].receipt
    with pytest.raises(PermissionDenied):
        reverse_receipt(person, receipt)


def test_the_command_says_what_it_did(pulled, price, hour):
    price("3")
    pulled(hour, MILLION)
    price("2", valid_from_on=hour.date())
    out, days = StringIO(), ["--from", str(hour.date()), "--until", str(hour.date())]
    call_command("reprice", *days, "--dry-run", stdout=out)
    assert "Acme: 1 hours would change -1.00 EUR" in out.getvalue()
    assert spend() == 3
    call_command("reprice", *days, "--backend", "acme", "--model", "own", stdout=out)
    assert "Acme: 1 hours changed -1.00 EUR" in out.getvalue()
    assert spend() == 2
    assert AuditEvent.objects.get(action="reprice").actor_name == "command reprice"
    with pytest.raises(CommandError, match="no backend"):
        call_command("reprice", *days, "--backend", "nope")
    with pytest.raises(CommandError, match="first one or later"):
        call_command("reprice", "--from", "2026-02-01", "--until", "2026-01-01")


def test_days_are_those_of_the_reporting_zone(settings):
    from zoneinfo import ZoneInfo

    from metrics.repricing import window_of

    settings.REPORTING_ZONE = ZoneInfo("Europe/Amsterdam")
    day = datetime(2026, 3, 29, tzinfo=UTC).date()
    found = window_of(day, day)
    assert (found.start, found.end) == (datetime(2026, 3, 28, 23, tzinfo=UTC), datetime(2026, 3, 29, 22, tzinfo=UTC))

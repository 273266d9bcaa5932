"""Where the parts meet: bills, statements, links and capacity, so that money is neither lost nor counted twice."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from accounts.access import Asker
from metrics import backfill, checking, ledger, series, sources
from metrics import pull as pulling
from metrics.actions.backends import remove_backend
from metrics.actions.imports import Choices, set_pays_for
from metrics.actions.links import link_backend
from metrics.capacity import post_capacity
from metrics.figures import Scope
from metrics.identity import SeriesIdentity, series_ids
from metrics.models import Backend, RateCard, Receipt, UncountedStatement, UsageHour
from metrics.usage import FeedKind, MeasuredAt, SeriesKey
from tests.metrics.billing_files import bring, csv_of, focus_row
from tests.metrics.pulling import NOW, Provider, at, backend_of, registered

pytestmark = pytest.mark.django_db

DAY = datetime(2026, 11, 20, tzinfo=UTC)
MINI = SeriesKey(provider="openai", model="gpt-4o-mini")


@pytest.fixture(autouse=True)
def _settings(settings, monkeypatch):
    settings.OUTBOUND_ALLOW = ["127.0.0.0/8"]
    settings.ENCRYPTION_KEYS = ["MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="]
    monkeypatch.setattr(sources, "now", lambda: NOW)


@pytest.fixture
def provider(monkeypatch):
    told = Provider()
    with registered(monkeypatch, told):
        yield told


@pytest.fixture
def connected(provider) -> Backend:
    """A connector that was pulled: two hours of 20 Nov, whose cost report says 9 USD."""
    backend = backend_of("double", name="OpenAI", parameters={"address": "https://example.org"})
    provider.usage(DAY.replace(hour=9), key=MINI, requests=1, input_tokens=100, output_tokens=100)
    provider.usage(DAY.replace(hour=15), key=MINI, requests=3, input_tokens=300, output_tokens=300)
    provider.cost(DAY, "9.00")
    pulling.pull(backend.pk, clock=at(NOW))
    return backend


def bill(*amounts: tuple[str, str]) -> bytes:
    rows = []
    for model, amount in amounts:
        unit = {"SkuId": model} if model else {"SkuId": "", "SkuMeter": "", "ConsumedUnit": "", "PricingUnit": ""}
        rows.append(focus_row(day=DAY, BilledCost=amount, EffectiveCost=amount, **unit))
    return csv_of(rows)


def billed(backend: Backend | None = None) -> Decimal:
    rows = UsageHour.objects.filter(billed_cost__isnull=False)
    rows = rows.filter(series__backend=backend) if backend else rows
    return sum((row.billed_cost for row in rows), Decimal(0))


def read_back(backend: Backend) -> None:
    for _ in range(20):
        if not backfill.step(backend.pk, clock=at(NOW)):
            break


def test_own_statements_come_back_though_the_source_keeps_no_usage_of_that_time(adam, connected, provider):
    one = bring(adam, bill(("gpt-4o-mini", "8.00")), choices=Choices(pays_for=[connected]))
    set_pays_for(Asker(user=adam), one.source, [])
    assert billed(connected) == 0
    # Usage is kept shorter than costs (Azure: 93 days).
    provider.cells.clear()
    provider.dropped_until = DAY.replace(hour=12)
    read_back(connected)
    assert billed(connected) == 9
    assert checking.check() == []


def test_a_days_statement_is_all_of_it_where_a_part_of_the_day_is_kept_no_more(connected, provider):
    provider.statements.clear()
    provider.cost(DAY, "10.00")
    provider.cells = [cell for cell in provider.cells if cell.hour.hour > 10]
    provider.dropped_until = DAY.replace(hour=12)
    pulling.pull(connected.pk, clock=at(NOW))
    assert billed(connected) == 10


def test_a_day_is_kept_whole_where_the_source_keeps_a_part_of_it_and_no_statement(connected, provider):
    provider.statements.clear()
    provider.cells = [cell for cell in provider.cells if cell.hour.hour > 10]
    provider.dropped_until = DAY.replace(hour=12)
    pulling.pull(connected.pk, clock=at(NOW))
    assert billed(connected) == 9


def test_own_statements_come_back_on_the_same_day_where_costs_are_asked_for_once_a_day(adam, connected, monkeypatch):
    monkeypatch.setattr(sources.connector_for("double"), "asks_costs_once_a_day", True)
    one = bring(adam, bill(("gpt-4o-mini", "8.00")), choices=Choices(pays_for=[connected]))
    set_pays_for(Asker(user=adam), one.source, [])
    read_back(connected)
    assert billed(connected) == 9


def test_what_stood_beside_a_bill_stands_beside_none_once_it_pays_for_others(adam, connected):
    one = bring(adam, bill(("gpt-4o-mini", "8.00")), choices=Choices(pays_for=[connected]))
    assert UncountedStatement.objects.exists()
    set_pays_for(Asker(user=adam), one.source, [])
    assert not UncountedStatement.objects.exists()


def _stated(backend: Backend, model: str, amount: str, hour: int = 9) -> int:
    """A gateway that states what a request would cost."""
    identity = SeriesIdentity(SeriesKey(provider="openai", model=model), backend.pk, measured_at=MeasuredAt.GATEWAY)
    series_id = series_ids([identity])[identity]
    cell = ledger.PostedCell(
        series_id,
        DAY.replace(hour=hour),
        {"requests": 1, "input_tokens": 10, "output_tokens": 10, "estimated_cost": Decimal(amount)},
        currency="USD",
    )
    ledger.post(Receipt(kind=FeedKind.USAGE, backend=backend), ledger.feed(FeedKind.USAGE, backend), [cell])
    return series_id


def spend() -> Decimal:
    return series.usage(Scope(date(2026, 11, 1), date(2026, 12, 1), None))[0].sums.spend


def test_a_bill_without_models_does_not_take_the_place_of_what_a_gpu_server_costs(adam, provider, asker):
    gateway = Backend.objects.create(
        slug="litellm", name="LiteLLM", connector="litellm", provider="litellm", measured_at="gateway"
    )
    gpu = Backend.objects.create(slug="gpu", name="GPU", connector="vllm", provider="vllm")
    RateCard.objects.create(
        backend=gpu,
        kind="rented",
        units=1,
        currency="USD",
        rate_per_unit_hour=Decimal(3),
        valid_from_on=date(2026, 11, 20),
    )
    identity = SeriesIdentity(SeriesKey(provider="vllm", model="llama"), gpu.pk)
    own = series_ids([identity])[identity]
    ledger.post(
        Receipt(kind=FeedKind.USAGE, backend=gpu),
        ledger.feed(FeedKind.USAGE, gpu),
        [ledger.PostedCell(own, DAY.replace(hour=9), {"requests": 1, "output_tokens": 10})],
    )
    _stated(gateway, "llama", "0.50")
    _stated(gateway, "gpt-4o", "0.50")
    link_backend(asker(adam), gpu, gateway=gateway, from_on=date(2026, 11, 1))
    post_capacity(DAY + timedelta(days=1))
    assert spend() == 24 * 3 + Decimal("0.50")
    bring(adam, bill(("", "8.00")), choices=Choices(pays_for=[gateway]))
    assert spend() == 24 * 3 + 8


def test_another_choice_with_the_next_file_moves_what_the_files_before_brought(adam, connected, provider):
    other = backend_of("double", slug="other", name="Other", parameters={"address": "https://example.org"})
    pulling.pull(other.pk, clock=at(NOW))
    assert (billed(connected), billed(other)) == (9, 9)
    bring(adam, bill(("gpt-4o-mini", "8.00")), choices=Choices(pays_for=[connected]))
    assert (billed(connected), billed(other)) == (8, 9)
    october = csv_of([focus_row(BilledCost="5.00", EffectiveCost="5.00")])
    bring(adam, october, choices=Choices(pays_for=[other]))
    assert (billed(connected), billed(other)) == (0, 8)
    connected.refresh_from_db()
    read_back(connected)
    assert (billed(connected), billed(other)) == (9, 8)
    assert checking.check() == []


def test_a_bills_money_follows_a_link_at_once_however_long_ago(adam, asker, connected, provider):
    gateway = Backend.objects.create(
        slug="litellm", name="LiteLLM", connector="litellm", provider="litellm", measured_at="gateway"
    )
    teams = [_stated(gateway, "openai/gpt-4o-mini", amount, hour) for amount, hour in (("2.00", 9), ("6.00", 15))]
    bring(adam, bill(("gpt-4o-mini", "8.00")), choices=Choices(pays_for=[connected]))
    assert (billed(connected), billed(gateway)) == (8, 0)
    link_backend(asker(adam), connected, gateway=gateway, from_on=date(2026, 11, 1))
    assert len(set(teams)) == 1
    assert (billed(connected), billed(gateway)) == (0, 8)
    assert spend() == 8
    link_backend(asker(adam), connected, gateway=None)
    assert (billed(connected), billed(gateway)) == (8, 0)
    assert checking.check() == []


@pytest.mark.parametrize("model", ["", "gpt-4o-mini"])
def test_a_statement_pays_for_reserved_capacity_whether_it_was_used_or_not(connected, provider, model):
    """Held for a day at 1.00 an hour, used in two hours; the provider states 24.00 for it, and not 22.00 more."""
    _reserved(connected, "1", model=model)
    post_capacity(DAY + timedelta(days=1))
    provider.statements.clear()
    provider.cost(DAY, "24.00", model=model or None)
    pulling.pull(connected.pk, clock=at(NOW))
    assert spend() == 24


def test_a_cloud_bill_of_a_gpu_server_takes_the_place_of_its_rate_card(adam, connected):
    _reserved(connected, "3")
    post_capacity(DAY + timedelta(days=1))
    bring(adam, bill(("", "70.00")), choices=Choices(pays_for=[connected]))
    assert spend() == 70


def _reserved(backend: Backend, rate: str, model: str = "") -> None:
    day = DAY.date()
    RateCard.objects.create(
        backend=backend,
        kind="reserved",
        units=1,
        currency="USD",
        rate_per_unit_hour=Decimal(rate),
        model=model,
        valid_from_on=day,
        valid_until_on=day + timedelta(days=1),
    )


def test_a_bill_whose_money_is_all_on_others_is_not_gone_when_it_is_removed(adam, asker, connected):
    one = bring(adam, bill(("gpt-4o-mini", "8.00")), choices=Choices(pays_for=[connected]))
    assert not one.source.backend.series.exists()
    assert remove_backend(asker(adam), one.source.backend) is False
    assert (billed(connected), spend()) == (8, 8)

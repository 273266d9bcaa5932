"""A bill and a connector of the same account: one counts, the other stands beside it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from accounts.access import Asker
from metrics import bills, checking, importing, sources
from metrics import pull as pulling
from metrics.actions.imports import Choices, set_pays_for
from metrics.actions.usage import reverse_receipt
from metrics.models import Backend, Receipt, UncountedStatement, UsageHour
from metrics.usage import SeriesKey
from tests.metrics.billing_files import bring, csv_of, focus_row
from tests.metrics.pulling import NOW, Provider, at, backend_of, registered

pytestmark = pytest.mark.django_db

DAY = datetime(2026, 11, 20, tzinfo=UTC)
MINI = SeriesKey(provider="openai", model="gpt-4o-mini")
LARGE = SeriesKey(provider="openai", model="gpt-4o")


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
    """A connector that was pulled: two models on 20 Nov, whose cost report says 9 USD."""
    backend = backend_of("double", name="OpenAI", parameters={"address": "https://example.org"})
    provider.usage(DAY.replace(hour=9), key=MINI, requests=1, input_tokens=100, output_tokens=100)
    provider.usage(DAY.replace(hour=15), key=MINI, requests=3, input_tokens=300, output_tokens=300)
    provider.usage(DAY.replace(hour=9), key=LARGE, requests=1, input_tokens=10, output_tokens=10)
    provider.cost(DAY, "9.00")
    provider.cost(DAY - timedelta(days=1), "1.00")
    pulling.pull(backend.pk, clock=at(NOW))
    return backend


def bill(*amounts: tuple[str, str], day: datetime = DAY) -> bytes:
    """FOCUS rows of (model, amount) on a day; an empty model is a row of the whole account."""
    rows = []
    for model, amount in amounts:
        unit = {"SkuId": model} if model else {"SkuId": "", "SkuMeter": "", "ConsumedUnit": "", "PricingUnit": ""}
        rows.append(focus_row(day=day, BilledCost=amount, EffectiveCost=amount, **unit))
    return csv_of(rows)


def money() -> dict[tuple[str, str, int], Decimal]:
    """(backend, model, hour) -> billed, of what is not zero."""
    return {
        (h.series.backend.name, h.series.model, h.hour.day * 100 + h.hour.hour): h.billed_cost
        for h in UsageHour.objects.select_related("series__backend")
        if h.billed_cost
    }


def total() -> Decimal:
    return sum(money().values(), Decimal(0))


def test_unlinked_both_count_and_the_page_asks(adam, asker, connected):
    one = bring(adam, bill(("gpt-4o-mini", "8.00")))
    assert total() == Decimal("18.00")
    questions = bills.open_questions(asker(adam))
    assert [(q.source.pk, q.names) for q in questions] == [(one.source_id, "OpenAI")]


def test_the_bill_counts_spread_over_the_usage_and_the_own_report_stands_beside(adam, asker, connected):
    one = bring(adam, bill(("gpt-4o-mini", "8.00"), ("gpt-4o", "0.50")), choices=Choices(pays_for=[connected]))
    assert bills.open_questions(asker(adam)) == []
    # By estimate: the second hour had three times the tokens of the first.
    assert money() == {
        ("OpenAI", "gpt-4o-mini", 2009): Decimal("2.0000000000"),
        ("OpenAI", "gpt-4o-mini", 2015): Decimal("6.0000000000"),
        ("OpenAI", "gpt-4o", 2009): Decimal("0.5000000000"),
    } | {key: value for key, value in money().items() if key[2] // 100 == 19}
    # The file's month has not ended: it covers 1 to 20 November, so also the 19th, of which it says nothing.
    assert total() == Decimal("8.50")
    noted = {row.day.day: row.amount for row in UncountedStatement.objects.all()}
    assert noted == {19: Decimal("1.00"), 20: Decimal("9.00")}
    checks = bills.checks_of(one.source)
    assert [(c.billed, c.own) for c in checks] == [(Decimal("8.50"), Decimal("10.00"))]
    assert checking.check() == []


def test_later_pulls_bring_no_statement_of_paid_days_and_go_on_for_others(adam, connected, provider):
    bring(adam, bill(("gpt-4o-mini", "8.00")), choices=Choices(pays_for=[connected]))
    provider.statements.clear()
    provider.cost(DAY, "9.75")
    provider.cost(DAY + timedelta(days=1), "4.00")
    later = NOW + timedelta(days=2)
    connected.refresh_from_db()
    pulling.pull(connected.pk, clock=at(later))
    assert total() == Decimal("12.00")
    assert UncountedStatement.objects.get(day=DAY.date()).amount == Decimal("9.75")
    assert "a billing file pays for" in connected.pulls.first().message


def test_taking_the_bill_back_brings_the_own_statements_back(adam, connected):
    before = money()
    one = bring(adam, bill(("gpt-4o-mini", "8.00")), choices=Choices(pays_for=[connected]))
    reverse_receipt(Asker(user=adam), Receipt.objects.get(pk=one.receipt_id))
    assert money() == before
    assert not UncountedStatement.objects.exists()
    connected.refresh_from_db()
    # What was said meanwhile is asked for.
    assert connected.backfill_cursor is not None
    assert checking.check() == []


def test_said_later_the_money_moves_to_the_usage(adam, connected):
    one = bring(adam, bill(("gpt-4o-mini", "8.00"), ("", "1.00")))
    assert total() == Decimal("19.00")
    set_pays_for(Asker(user=adam), one.source, [connected])
    assert total() == Decimal("9.00")
    assert {key[0] for key in money()} == {"OpenAI"}
    set_pays_for(Asker(user=adam), one.source, [])
    assert {key[:2] for key in money()} == {("openai Example", "gpt-4o-mini"), ("openai Example", "")}
    connected.refresh_from_db()
    assert connected.backfill_cursor is not None
    assert checking.check() == []


def test_what_covers_no_usage_goes_to_the_bills_own_series(adam, connected):
    bring(adam, bill(("gpt-4o-mini", "8.00"), ("o3", "2.00")), choices=Choices(pays_for=[connected]))
    assert money()["openai Example", "o3", 2012] == Decimal("2.00")
    assert total() == Decimal("10.00")


def test_tokens_of_the_bill_are_not_counted_twice(adam, connected):
    before = sum(h.input_tokens or 0 for h in UsageHour.objects.all())
    bring(adam, bill(("gpt-4o-mini", "8.00")), choices=Choices(pays_for=[connected]))
    assert sum(h.input_tokens or 0 for h in UsageHour.objects.all()) == before


def test_usage_that_comes_late_gets_its_share(adam, connected, provider):
    bring(adam, bill(("o3", "6.00")), choices=Choices(pays_for=[connected]))
    assert money()["openai Example", "o3", 2012] == Decimal("6.00")
    provider.usage(DAY.replace(hour=11), key=SeriesKey(provider="openai", model="o3"), requests=1, input_tokens=5)
    pulling.pull(connected.pk, clock=at(NOW))
    assert importing.spread_again(NOW) == 1
    assert money()["OpenAI", "o3", 2011] == Decimal("6.00")
    assert total() == Decimal("6.00")
    # Nothing more to move.
    assert importing.spread_again(NOW) == 0
    assert checking.check() == []


def test_a_bill_cannot_pay_for_a_bill(adam, connected):
    from metrics.errors import RuleViolation

    one = bring(adam, bill(("gpt-4o-mini", "8.00")))
    with pytest.raises(RuleViolation, match="is a bill itself"):
        set_pays_for(Asker(user=adam), one.source, [one.source.backend])

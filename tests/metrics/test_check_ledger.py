"""check_ledger finds every kind of wrong sum; rebuild_usage puts it right."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from io import StringIO

import pytest
from django.core.management import call_command

from metrics import checking, days, ledger
from metrics.ledger import PostedCell
from metrics.models import (
    HistogramDay,
    HistogramHour,
    HistogramMonth,
    HistogramWeek,
    LedgerEntry,
    Receipt,
    UsageDay,
    UsageHour,
    UsageMonth,
)
from metrics.usage import FeedKind

HOUR = datetime(2026, 3, 4, 10, tzinfo=UTC)


@pytest.fixture
def posted(backend, make_series):
    feed = ledger.feed(FeedKind.PUSH, backend)
    sums = {"requests": 5, "estimated_cost": Decimal("0.1")}
    for model in ("m1", "m2"):
        cell = PostedCell(make_series(model), HOUR, sums, {"duration": [100, 1, 4]}, "USD")
        receipts = [ledger.post(Receipt(kind=FeedKind.PUSH), feed, [cell]) for _ in range(2)]
    ledger.reverse(receipts[0])
    days.rebuild()


def test_it_is_silent_where_all_is_right(posted):
    assert checking.check() == []
    out = StringIO()
    call_command("check_ledger", stdout=out)
    assert out.getvalue() == "The ledger and its sums agree.\n"


DAMAGE = {
    "an hour that is wrong": lambda: UsageHour.objects.update(requests=7),
    "an hour with an unknown made known": lambda: UsageHour.objects.update(errors=0),
    "an hour that is missing": lambda: UsageHour.objects.all()[0].delete(),
    "an hour too many": lambda: UsageHour.objects.create(
        series_id=UsageHour.objects.first().series_id, hour=HOUR.replace(hour=3), requests=1
    ),
    "a histogram that is wrong": lambda: HistogramHour.objects.update(window=[100, 1, 5]),
    "a histogram that is missing": lambda: HistogramHour.objects.all()[0].delete(),
    "a day that is wrong": lambda: UsageDay.objects.update(estimated_cost=Decimal(9)),
    "a day that is missing": lambda: UsageDay.objects.all()[0].delete(),
    "a day too many": lambda: UsageDay.objects.create(
        series_id=UsageHour.objects.first().series_id, day="2026-01-01", known_mask=0, hours=1
    ),
    "a month that is wrong": lambda: UsageMonth.objects.update(requests=1),
    "a day's histogram that is wrong": lambda: HistogramDay.objects.update(window=[100, 1, 5]),
    "a month's histogram that is wrong": lambda: HistogramMonth.objects.update(window=[100, 1, 5]),
    "a week's histogram that is wrong": lambda: HistogramWeek.objects.update(window=[100, 1, 5]),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
def test_it_finds_the_damage_and_rebuild_usage_repairs_it(posted, damage):
    damage()
    out = StringIO()
    with pytest.raises(SystemExit) as left:
        call_command("check_ledger", stdout=out)
    assert left.value.code == 1
    assert "series_id" in out.getvalue()
    call_command("rebuild_usage", stdout=StringIO())
    assert checking.check() == []


def test_it_finds_a_reversal_that_does_not_cancel_out(posted):
    entry = LedgerEntry.objects.get(receipt__kind="reversal")
    LedgerEntry.objects.create(
        receipt=entry.receipt, feed=entry.feed, series=entry.series, hour=entry.hour, currency="USD", requests=1
    )
    (finding,) = checking.check()
    assert finding.what == "receipts taken back that do not cancel out"
    assert finding.count == 1

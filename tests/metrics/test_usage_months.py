"""Whole months read at once say what their days say, whatever divides them."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from metrics import days, identity, ledger, series
from metrics.figures import (
    MEASURES,
    Scope,
    Sums,
    WorkloadWindow,
    merged,
)
from metrics.ledger import PostedCell
from metrics.models import Allocation, Backend, ExchangeRate, Receipt, Series, UsageMonth
from metrics.usage import FeedKind, SeriesKey

D = Decimal
DAY = timedelta(days=1)
START, END = date(2026, 1, 15), date(2026, 6, 10)


@pytest.fixture(autouse=True)
def _euros(settings):
    settings.REPORTING_CURRENCY = "EUR"
    identity.forget()
    yield
    identity.forget()


@pytest.fixture
def used(claims, other):
    """Two workloads with a series each and one of nobody's, half a year of days, some money unknown."""
    backend = Backend.objects.create(slug="gateway", name="Gateway", connector="push_only", measured_at="gateway")
    ids = []
    for place, workload in enumerate((claims, other, None)):
        wanted = identity.SeriesIdentity(
            SeriesKey(provider=f"provider-{place}", model="m"),
            backend.pk,
            is_pushed=True,
            workload_id=workload.pk if workload else None,
        )
        series_id = identity.series_ids([wanted])[wanted]
        ids.append(series_id)
        cells = []
        for back in range(0, (END - START).days + 20, 3):
            on = START - 10 * DAY + back * DAY
            sums = {"requests": 100 + back, "input_tokens": 7 * back, "duration_count": 100, "duration_sum_ms": D(back)}
            if back % 2:
                sums |= {"estimated_cost": D(back) / 7, "output_tokens": 11}
            cells.append(
                PostedCell(
                    series_id, datetime(on.year, on.month, on.day, 12, tzinfo=UTC), sums, {"duration": [90, 1]}, "EUR"
                )
            )
        ledger.post(Receipt(kind=FeedKind.PUSH, backend=backend), ledger.feed(FeedKind.PUSH, backend), cells)
    days.refresh()
    return ids


def halve_from_mid_month(ids, other):
    Allocation.objects.filter(series_id=ids[0]).update(valid_until_on=date(2026, 3, 17))
    for workload in (Allocation.objects.get(series_id=ids[0]).workload, other):
        Allocation.objects.create(
            series_id=ids[0], workload=workload, share_ratio=D("0.3"), valid_from_on=date(2026, 3, 17)
        )


def count_elsewhere_from_mid_month(ids, other):
    Series.objects.filter(pk=ids[1]).update(uncounted_from_on=date(2026, 4, 20))


def pay_in_dollars(ids, other):
    ExchangeRate.objects.bulk_create(
        ExchangeRate(currency="USD", on=START - 30 * DAY + back * DAY, per_euro=D(1) + D(back) / 100, source="test")
        for back in range(0, 200, 4)
    )
    backend = Backend.objects.get()
    cells = [
        PostedCell(ids[0], datetime(2026, month, 5, 9, tzinfo=UTC), {"requests": 3, "billed_cost": D(5)}, {}, "USD")
        for month in (2, 4)
    ]
    ledger.post(Receipt(kind=FeedKind.PUSH, backend=backend), ledger.feed(FeedKind.PUSH, backend), cells)


DIVIDED = {
    "nothing": lambda ids, other: None,
    "a share": halve_from_mid_month,
    "another source counts": count_elsewhere_from_mid_month,
    "another currency": pay_in_dollars,
}


def told(sums: Sums) -> dict:
    """Everything that can be asked of sums."""
    found = {name: (sums.total(name), sums.coverage(name)) for name in MEASURES}
    ratio = sums.ratio("spend", "requests")
    return found | {"ratio": (ratio.value, ratio.coverage), "hours": sum(part.hours for part in sums.parts)}


def by_key(rows):
    found = {}
    for row in rows:
        found.setdefault(tuple(sorted(row.key.items(), key=str)), []).append(row.sums)
    return {key: told(merged(sums)) for key, sums in found.items()}


@pytest.mark.parametrize("divide", DIVIDED.values(), ids=DIVIDED.keys())
@pytest.mark.parametrize("whose", ["everything", "one"])
def test_months_say_what_their_days_say(used, claims, other, divide, whose):
    divide(used, other)
    ids = None if whose == "everything" else (claims.pk,)
    for start_on, end_on in ((START, END), (date(2026, 2, 1), date(2026, 5, 1)), (START, date(2026, 2, 20))):
        scope = Scope(start_on, end_on, ids)
        for by in ((), ("workload", "provider")):
            by_day = series.usage(scope, by=by, grain="day")
            assert by_key(series.usage(scope, by=by)) == by_key(by_day)
            assert by_key(series.usage(scope, by=by, grain="month")) == by_key(by_day)
    assert UsageMonth.objects.count() >= 15


@pytest.mark.parametrize("divide", DIVIDED.values(), ids=DIVIDED.keys())
def test_windows_of_workloads_say_what_each_says_alone(used, claims, other, divide):
    divide(used, other)
    windows = [
        WorkloadWindow(claims.pk, START, END),
        WorkloadWindow(claims.pk, date(2026, 3, 10), date(2026, 3, 30)),
        WorkloadWindow(other.pk, date(2026, 2, 1), date(2026, 5, 1)),
    ]
    usage = series.usage_of_windows(windows, by=("provider",))
    latency = series.latency_of_windows(windows)
    for window, rows, timed in zip(windows, usage, latency, strict=True):
        scope = Scope(window.start_on, window.end_on, (window.workload_id,))
        assert by_key(rows) == by_key(series.usage(scope, by=("provider",), grain="day"))
        (alone,), (row,) = series.latency(scope), timed
        per_day = series.latency(scope, grain="day")
        assert (row.histogram, row.mean_ms, row.mean_coverage) == (alone.histogram, alone.mean_ms, alone.mean_coverage)
        assert row.histogram.count == sum(one.histogram.count for one in per_day)


def test_a_month_that_starts_today_is_built_with_its_day(used, claims):
    UsageMonth.objects.all().delete()
    days.drop()
    scope = Scope(START, END, (claims.pk,))
    assert by_key(series.usage(scope)) == by_key(series.usage(scope, grain="day"))


@pytest.mark.parametrize("divide", DIVIDED.values(), ids=DIVIDED.keys())
def test_days_of_many_workloads_cost_what_their_usage_says(used, claims, other, divide):
    divide(used, other)
    found = series.spend_days([claims.pk, other.pk], START, END)
    said = series.usage(Scope(START, END, (claims.pk, other.pk)), by=("workload", "backend"), grain="day")
    assert [(workload, one.day, one.backend_id, one.spend) for workload in found for one in found[workload]] == [
        (row.key["workload"], row.period, row.key["backend"], row.sums.spend)
        for row in sorted(said, key=lambda row: (row.key["workload"], row.period))
    ]
    assert {one.spend is None for one in found[claims.pk]} == {True, False}

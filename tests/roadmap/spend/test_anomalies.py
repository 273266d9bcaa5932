"""Days outside a band, by hand (docs/measures.md), and what no band says."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from roadmap.rules.anomalies import band_of, median, unusual_days

D = Decimal
DAY = timedelta(days=1)
FIRST = date(2026, 3, 1)


def days(*amounts, start=FIRST):
    return {start + DAY * place: D(amount) for place, amount in enumerate(amounts) if amount is not None}


def test_the_worked_example():
    # 28 days, half of them at 9 and half at 11: median 10, every deviation 1. 4 x 1.4826 x 1 = 5.9304.
    band = band_of([D(9), D(11)] * 14)
    assert (band.median, band.low, band.high, band.days) == (10, D("4.0696"), D("15.9304"), 28)
    for value, is_found in (("15.93", False), ("15.94", True), ("4.07", False), ("4.06", True)):
        found = unusual_days(days(*[9, 11] * 14, value), since=FIRST, until=FIRST + 60 * DAY)
        assert [item.on for item in found] == ([FIRST + 28 * DAY] if is_found else [])


def test_a_steady_series_has_a_band_of_a_quarter():
    values = days(*[100] * 20, 125, "125.01", 75, "74.99")
    found = unusual_days(values, since=FIRST, until=FIRST + 60 * DAY)
    assert [item.value for item in found] == [D("125.01"), D("74.99")]
    assert found[0].times == D("1.2501")


def test_under_two_weeks_nothing_is_said_and_a_day_without_a_value_is_unknown():
    assert unusual_days(days(*[10] * 13, 1000), since=FIRST, until=FIRST + 60 * DAY) == []
    values = days(*[10] * 10, *[None] * 10, *[10] * 4, 1000)
    assert [item.value for item in unusual_days(values, since=FIRST, until=FIRST + 60 * DAY)] == [1000]


def test_small_money_is_no_news():
    values = days(*["0.01"] * 20, "0.90")
    assert unusual_days(values, since=FIRST, until=FIRST + 60 * DAY, least=D(1)) == []
    assert len(unusual_days(values, since=FIRST, until=FIRST + 60 * DAY)) == 1


def test_quiet_weekends_are_no_news_but_a_loud_one_is():
    # Six weeks of 100 on working days and 40 on Saturday and Sunday; 1 March 2026 is a Sunday.
    week = [40, 100, 100, 100, 100, 100, 40]
    values = days(*week * 6, *week)
    assert unusual_days(values, since=FIRST + 35 * DAY, until=FIRST + 60 * DAY) == []
    values[FIRST + 48 * DAY] = D(150)
    found = unusual_days(values, since=FIRST + 35 * DAY, until=FIRST + 60 * DAY)
    assert [item.on for item in found] == [FIRST + 48 * DAY]


def test_one_outlier_does_not_hide_the_next_and_a_change_that_lasts_becomes_usual():
    values = days(*[10] * 20, 100, 100, *[30] * 30)
    found = [item.on for item in unusual_days(values, since=FIRST, until=FIRST + 90 * DAY)]
    assert FIRST + 20 * DAY in found
    assert FIRST + 21 * DAY in found
    assert FIRST + 22 * DAY in found
    assert FIRST + 51 * DAY not in found


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.decimals(0, 10**6, places=4), min_size=14, max_size=28))
def test_the_median_lies_in_its_band(values):
    band = band_of(values)
    assert band.low <= median(values) <= band.high
    assert band.low >= 0

"""Run rate, band, out of money, growth: each by hand (docs/measures.md, Forecast)."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import pytest

from roadmap.rules.forecast import complete_days, forecast, nearest_rank, passed_on, run_rate

DAY = timedelta(days=1)
TODAY = date(2026, 3, 1)
D = Decimal


def last_days(count: int) -> list[date]:
    return [TODAY - DAY * back for back in range(count, 0, -1)]


def test_with_six_complete_days_there_is_too_little_data():
    days = last_days(6)
    assert run_rate(dict.fromkeys(days, D(10)), days) is None
    plan = forecast(spent=D(60), rate=None, today=TODAY, end_on=TODAY + 30 * DAY, budget=D(100))
    assert (plan.total, plan.low, plan.passes_on, plan.days_used) == (None, None, None, 0)


def test_from_seven_days_there_is_a_rate_and_from_fourteen_a_band():
    assert run_rate(dict.fromkeys(last_days(7), D(10)), last_days(7)).low is None
    assert run_rate(dict.fromkeys(last_days(13), D(10)), last_days(13)).low is None
    assert run_rate(dict.fromkeys(last_days(14), D(10)), last_days(14)).low == 10


def test_only_the_last_28_days_count():
    days = last_days(40)
    spends = {day: D(1000) if index < 12 else D(10) for index, day in enumerate(days)}
    rate = run_rate(spends, days)
    assert rate.amount == 10
    assert (rate.days[0], len(rate.days)) == (days[12], 28)


def test_a_day_without_usage_is_a_day_without_spend():
    days = last_days(10)
    assert run_rate({days[0]: D(50)}, days).amount == 5


def test_the_band_is_the_10th_and_90th_percentile_of_the_7_day_means():
    """14 days: seven of 10, then seven of 24. Means of 7 days: 10, 12, 14, 16, 18, 20, 22, 24."""
    days = last_days(14)
    rate = run_rate({day: D(10) if index < 7 else D(24) for index, day in enumerate(days)}, days)
    assert rate.amount == 17
    # Nearest rank of 8 values: rank 1 for 10%, rank 8 for 90%.
    assert (rate.low, rate.high) == (10, 24)


def test_the_band_is_widened_to_hold_the_point():
    """Three expensive days at the start lie in one 7-day mean only, which is cut off above: the rate is above it."""
    days = last_days(28)
    rate = run_rate({day: D(100) if index == 0 else D(1) for index, day in enumerate(days)}, days)
    assert rate.amount == D(127) / 28
    assert rate.low == 1
    # 22 means, one of 106/7: the 90th percentile is rank 20, a mean of 1. The point lies above.
    assert rate.high == rate.amount


def test_nearest_rank_takes_a_value_that_is_there():
    values = [D(value) for value in (3, 1, 2, 5, 4)]
    assert nearest_rank(values, D("0.1")) == 1
    assert nearest_rank(values, D("0.9")) == 5
    assert nearest_rank(values, D("0.5")) == 3


def test_it_carries_on_from_the_end_of_yesterday():
    """50 spent, 10 a day, today and nine more: 150; an entry of 20 on the third day: 170."""
    days = last_days(14)
    plan = forecast(
        spent=D(50),
        rate=run_rate(dict.fromkeys(days, D(10)), days),
        today=TODAY,
        end_on=TODAY + 9 * DAY,
        cost_entries={TODAY + 2 * DAY: D(20)},
        budget=D(99),
    )
    assert plan.total == 170
    assert (plan.low, plan.high) == (170, 170)
    assert plan.path[0] == (TODAY - DAY, 50, 50, 50)
    # 60, 70, 100: passed on the third day, by the entry.
    assert plan.passes_on == TODAY + 2 * DAY


def test_a_budget_that_is_just_met_is_not_passed():
    days = last_days(14)
    rate = run_rate(dict.fromkeys(days, D(10)), days)
    plan = forecast(spent=D(0), rate=rate, today=TODAY, end_on=TODAY + 9 * DAY, budget=D(100))
    assert (plan.total, plan.passes_on) == (100, None)


def test_after_the_end_no_day_is_left():
    days = last_days(14)
    rate = run_rate(dict.fromkeys(days, D(10)), days)
    plan = forecast(spent=D(70), rate=rate, today=TODAY, end_on=TODAY - DAY, budget=D(100))
    assert (plan.total, plan.passes_on) == (70, None)


def test_planned_growth_is_a_second_line():
    """10% a month of 30.436875 days: after 30.436875 days the rate is 1.1 times."""
    days = last_days(14)
    rate = run_rate(dict.fromkeys(days, D(100)), days)
    plan = forecast(
        spent=D(0), rate=rate, today=TODAY, end_on=TODAY + 60 * DAY, budget=D(6150), growth_percent_per_month=D(10)
    )
    assert plan.total == 6100
    assert plan.passes_on is None
    # The sum of 100 x q^n for n = 1 to 61 with q = 1.1^(1/30.436875).
    q = D("1.1") ** (1 / D("30.436875"))
    expected = 100 * q * (q**61 - 1) / (q - 1)
    assert plan.growth_total == pytest.approx(expected, rel=D("1e-20"))
    assert plan.growth_passes_on is not None


def test_a_day_is_complete_when_every_source_has_data():
    first, second = set(last_days(10)), set(last_days(10)[:7])
    found = complete_days({"a": first, "b": second}, before=TODAY, since=last_days(10)[2])
    assert found == last_days(10)[2:7]
    assert complete_days({}, before=TODAY, since=TODAY - DAY) == []
    # Today is not over.
    assert complete_days({"a": {TODAY}}, before=TODAY, since=TODAY - DAY) == []


def test_the_day_on_which_the_budget_was_passed():
    cumulated = [(TODAY, D(99)), (TODAY + DAY, D(100)), (TODAY + 2 * DAY, D("100.01"))]
    assert passed_on(cumulated, D(100)) == TODAY + 2 * DAY
    assert passed_on(cumulated, D(101)) is None

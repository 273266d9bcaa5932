"""How a KPI is judged: attainment, limits, the boundary, too little data; and how readings make one value."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from roadmap.kpi import KpiStatus, KpiValue, combine_readings, judge, text_of, value_of_readings

D = Decimal


@pytest.mark.parametrize(
    ("value", "status", "attainment"),
    [
        # From 412 down to 300: half of the way is 356.
        ("300", KpiStatus.ON_TARGET, "1"),
        ("299", KpiStatus.ON_TARGET, None),
        ("356", KpiStatus.AT_RISK, "0.5"),
        ("356.1", KpiStatus.OFF_TARGET, None),
        ("412", KpiStatus.OFF_TARGET, "0"),
        ("500", KpiStatus.OFF_TARGET, None),
    ],
)
def test_it_measures_the_way_from_baseline_to_target(value, status, attainment):
    found = judge(D(value), baseline=D(412), target=D(300), direction="lower")
    assert found.status == status
    assert not found.is_limit
    if attainment is not None:
        assert found.attainment == D(attainment)


@pytest.mark.parametrize(
    ("value", "status", "headroom"),
    [
        ("2.08", KpiStatus.ON_TARGET, "0.48"),
        ("3.6", KpiStatus.ON_TARGET, "0.1"),
        ("3.61", KpiStatus.AT_RISK, "0.0975"),
        ("4", KpiStatus.AT_RISK, "0"),
        ("4.01", KpiStatus.OFF_TARGET, "-0.0025"),
    ],
)
def test_a_baseline_past_its_target_makes_a_limit_with_headroom(value, status, headroom):
    found = judge(D(value), baseline=D("1.6"), target=D(4), direction="lower")
    assert (found.status, found.headroom, found.is_limit) == (status, D(headroom), True)
    assert found.attainment is None


def test_a_limit_on_its_boundary_is_at_risk_and_still_met():
    found = judge(D(4), baseline=D(4), target=D(4), direction="lower")
    assert (found.status, found.is_met) == (KpiStatus.AT_RISK, True)


def test_without_a_baseline_it_is_on_or_off_target():
    assert judge(D("0.9"), baseline=None, target=D("0.88"), direction="higher").status == KpiStatus.ON_TARGET
    off = judge(D("0.87"), baseline=None, target=D("0.88"), direction="higher")
    assert (off.status, off.attainment, off.headroom) == (KpiStatus.OFF_TARGET, None, None)


def test_unknown_is_no_data_and_zero_is_a_value():
    assert judge(None, baseline=D(1), target=D(2), direction="higher").status == KpiStatus.NO_DATA
    assert judge(D(0), baseline=None, target=D(0), direction="lower").status == KpiStatus.ON_TARGET
    assert judge(D(5), baseline=D(1), target=None, direction="higher").status == KpiStatus.NO_TARGET


def test_too_small_a_sample_takes_the_value_away():
    value = KpiValue(value=D("1.5"), unit="s", sample=199)
    few = value.judged(baseline=None, target=D(2), direction="lower", minimum_sample=200)
    assert (few.value, few.judgement.status, few.reason) == (
        None,
        KpiStatus.NO_DATA,
        "199 requests of at least 200",
    )
    one = KpiValue(value=D("1.5"), unit="s", sample=1)
    assert (
        one.judged(baseline=None, target=None, direction="lower", minimum_sample=2).reason == "1 request of at least 2"
    )
    enough = KpiValue(value=D("1.5"), unit="s", sample=200)
    assert enough.judged(baseline=None, target=D(2), direction="lower", minimum_sample=200).value == D("1.5")


def test_readings_combine_as_last_mean_or_sum():
    readings = [(date(2026, 3, 1), D(10)), (date(2026, 3, 8), D(20)), (date(2026, 3, 15), D("33"))]
    assert combine_readings(readings, "last") == 33
    assert combine_readings(readings, "mean") == 21
    assert combine_readings(readings, "sum") == 63
    assert combine_readings([], "sum") is None


def test_a_reading_before_the_window_is_named_and_not_counted():
    value = value_of_readings(
        [(date(2026, 1, 31), D(7))], combine="last", unit="%", start_on=date(2026, 2, 1), end_on=date(2026, 3, 1)
    )
    assert (value.value, value.reason) == (None, "last reading on 31 Jan 2026")
    edge = value_of_readings(
        [(date(2026, 2, 28), D(7)), (date(2026, 3, 1), D(9))],
        combine="sum",
        unit="%",
        start_on=date(2026, 2, 1),
        end_on=date(2026, 3, 1),
    )
    assert (edge.value, edge.basis) == (7, "sum of 1 reading")


@pytest.mark.parametrize(
    ("low", "high", "text"), [("2", "2.5", "2 to 2.50"), (None, "0.3", "under 0.30"), ("10", None, "over 10")]
)
def test_an_interval_is_printed_as_what_it_lies_between(low, high, text):
    ends = [None if end is None else D(end) for end in (low, high)]
    value = KpiValue(value=ends[1] or ends[0], unit="s", low=ends[0], high=ends[1])
    assert text_of(value).replace("2.00", "2") == text

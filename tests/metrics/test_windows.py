"""Windows tile: each hour lies in exactly one local day, whatever the clock does."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics.windows import Window, days, hour_of, local_day, month_of, next_month, start_of_day, week_of

zones = st.sampled_from(
    [
        "UTC",
        "Europe/Amsterdam",
        "America/New_York",
        "Asia/Kolkata",
        "Australia/Lord_Howe",
        "America/Havana",
        "Asia/Beirut",
    ]
).map(ZoneInfo)
dates = st.dates(date(2020, 1, 1), date(2030, 1, 1))


@given(dates, zones)
def test_days_tile_without_gap_or_overlap(day, zone):
    today = Window.of_days(day, day + timedelta(days=1), zone)
    tomorrow = Window.of_days(day + timedelta(days=1), day + timedelta(days=2), zone)
    assert today.end == tomorrow.start
    hours = list(today.hours())
    assert all(local_day(hour, zone) == day for hour in hours)
    assert not set(hours) & set(tomorrow.hours())
    assert len(hours) in (23, 24, 25)


@pytest.mark.parametrize(("day", "hours"), [(date(2026, 3, 29), 23), (date(2026, 10, 25), 25), (date(2026, 6, 1), 24)])
def test_a_day_has_23_24_or_25_hours(day, hours):
    window = Window.of_days(day, day + timedelta(days=1), ZoneInfo("Europe/Amsterdam"))
    assert len(list(window.hours())) == hours
    assert window.seconds == hours * 3600


def test_an_hour_is_a_utc_hour():
    kolkata = ZoneInfo("Asia/Kolkata")
    assert hour_of(datetime(2026, 3, 4, 10, 45, tzinfo=kolkata)) == datetime(2026, 3, 4, 5, tzinfo=UTC)
    with pytest.raises(ValueError):
        hour_of(datetime(2026, 3, 4, 10))
    # An hour belongs to the local day in which it starts: 18:00 UTC is 23:30 in Kolkata.
    assert local_day(datetime(2026, 3, 4, 18, tzinfo=UTC), kolkata) == date(2026, 3, 4)
    assert start_of_day(date(2026, 3, 4), kolkata) == datetime(2026, 3, 3, 18, 30, tzinfo=UTC)


def test_weeks_begin_on_monday_and_months_on_the_first():
    assert week_of(date(2026, 3, 4)) == date(2026, 3, 2)
    assert month_of(date(2026, 12, 31)) == date(2026, 12, 1)
    assert next_month(date(2026, 12, 31)) == date(2027, 1, 1)
    assert list(days(date(2026, 2, 28), date(2026, 3, 2))) == [date(2026, 2, 28), date(2026, 3, 1)]


def test_hours_are_those_that_begin_in_the_window():
    start = datetime(2026, 3, 4, 10, 30, tzinfo=UTC)
    hours = list(Window(start, start + timedelta(hours=2)).hours())
    assert hours == [datetime(2026, 3, 4, hour, tzinfo=UTC) for hour in (11, 12)]

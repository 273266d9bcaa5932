"""Half-open windows of time: UTC hours, and the local days of a zone. Holds no Django, no clock and no settings."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
# The UTC hour that holds what is known of a UTC day only: from UTC-12 to UTC+11 it is the same date.
NOON = 12


@dataclass(frozen=True, slots=True)
class Window:
    """[start, end), aware UTC."""

    start: datetime
    end: datetime

    @classmethod
    def of_days(cls, start_on: date, end_on: date, zone: ZoneInfo) -> Window:
        """The window of the local days [start_on, end_on) of `zone`: 23, 24 or 25 hours a day."""
        return cls(start_of_day(start_on, zone), start_of_day(end_on, zone))

    @property
    def seconds(self) -> int:
        """Whole seconds in the window."""
        return int((self.end - self.start).total_seconds())

    def hours(self) -> Iterator[datetime]:
        """Yield the start of each hour that begins in the window, in order."""
        hour = hour_of(self.start)
        if hour < self.start:
            hour += HOUR
        while hour < self.end:
            yield hour
            hour += HOUR

    def noons(self) -> Iterator[datetime]:
        """Yield 12:00 UTC of each UTC day whose noon begins in the window, in order."""
        return (hour for hour in self.hours() if hour.hour == NOON)


def hour_of(at: datetime) -> datetime:
    """The UTC hour that holds `at`. Raises ValueError for a naive datetime."""
    if at.tzinfo is None:
        raise ValueError("a naive datetime has no hour")
    return at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def start_of_day(day: date, zone: ZoneInfo) -> datetime:
    """The instant, aware UTC, at which a local day starts; where its midnight is skipped, the first one that exists."""
    return datetime.combine(day, time.min, tzinfo=zone).astimezone(UTC)


def local_day(at: datetime, zone: ZoneInfo) -> date:
    """The local day that holds `at`. An hour belongs to the day in which it starts."""
    return at.astimezone(zone).date()


def days(start_on: date, end_on: date) -> Iterator[date]:
    """Yield each day of [start_on, end_on)."""
    day = start_on
    while day < end_on:
        yield day
        day += DAY


def week_of(day: date) -> date:
    """The Monday of the ISO week that holds `day`."""
    return day - timedelta(days=day.weekday())


def month_of(day: date) -> date:
    """The first day of the month that holds `day`."""
    return day.replace(day=1)


def next_month(day: date) -> date:
    """The first day of the month after the one that holds `day`."""
    return (day.replace(day=1) + timedelta(days=32)).replace(day=1)

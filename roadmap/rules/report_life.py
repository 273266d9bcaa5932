"""When a month's report is drafted, provisional and published. Pure.

A report is **provisional** once its figures are all there: its manager said that it is ready, or its provisional day
has come and no source of it ends before the month does. Else it is a **draft**, and the gaps say why.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo

from roadmap.rules.reports import next_month

# So often is a roadmap's report tried before programmes and portfolio are published without it: two days of runs.
MOST_ATTEMPTS = 8
# Managers are asked again so many days before the closing day.
REMIND_DAYS = 2


@dataclass(frozen=True, slots=True)
class Source:
    """How far one source that is read goes; `until` None: nothing was read yet."""

    name: str
    until: datetime | None


def day_of_life(month: date, day: int) -> date:
    """The `day` of the month after `month`, on which something happens to its report."""
    return next_month(month).replace(day=day)


def reminder_on(month: date, close_day: int) -> date:
    """The day on which managers without words are asked again."""
    return day_of_life(month, close_day) - timedelta(days=REMIND_DAYS)


def gaps_of(sources: Iterable[Source], ends_at: datetime, zone: tzinfo) -> list[dict[str, str | None]]:
    """The sources that do not reach the month's end: {"source", "until"}, the last whole local day that they hold."""
    return [
        {"source": source.name, "until": _last_whole_day(source.until, zone)}
        for source in sources
        if source.until is None or source.until < ends_at
    ]


def is_provisional(gaps: Sequence[object], *, is_ready: bool, today: date, provisional_on: date) -> bool:
    """Whether the figures are complete enough to be shown (see above)."""
    return is_ready or (today >= provisional_on and not gaps)


def _last_whole_day(until: datetime | None, zone: tzinfo) -> str | None:
    if until is None:
        return None
    return (until.astimezone(zone).date() - timedelta(days=1)).isoformat()

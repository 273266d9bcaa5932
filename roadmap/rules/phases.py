"""Dates of phases: months from one start, milestones that stretch with their phase. Pure arithmetic over local days."""

from __future__ import annotations

import calendar
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal

from metrics.errors import RuleViolation

DAY = timedelta(days=1)
# A plan further away than this is a typing mistake ('20226' for '2026').
FIRST_DAY, LAST_DAY = date(2000, 1, 1), date(2099, 12, 31)


@dataclass(frozen=True, slots=True)
class Span:
    """Local days from `start_on` to `end_on`, both included."""

    start_on: date
    end_on: date

    @property
    def days(self) -> int:
        return (self.end_on - self.start_on).days + 1


def months_after(day: date, months: int) -> date:
    """The same day of the month `months` later, or the month's last day where it is shorter."""
    index = day.year * 12 + day.month - 1 + months
    year, month = index // 12, index % 12 + 1
    return date(year, month, min(day.day, calendar.monthrange(year, month)[1]))


def spans_from(start_on: date, months: Sequence[int]) -> list[Span]:
    """Phases in a row from one start day, each as many months long, the next starting the day after."""
    spans, total = [], 0
    for length in months:
        first = months_after(start_on, total)
        total += length
        spans.append(Span(first, months_after(start_on, total) - DAY))
    return spans


def day_at(span: Span, share: Decimal) -> date:
    """The day at a share (0 to 1) of the span: 0 its first, 1 its last."""
    offset = (share * (span.days - 1)).to_integral_value(rounding=ROUND_HALF_UP)
    return span.start_on + timedelta(days=int(offset))


def stretched(day: date, before: Span, after: Span) -> date:
    """Where `day` lies when its phase goes from `before` to `after`; one outside keeps its distance to the end."""
    if day < before.start_on:
        return after.start_on - (before.start_on - day)
    if day > before.end_on:
        return after.end_on + (day - before.end_on)
    if before.days == 1:
        return after.end_on
    return day_at(after, Decimal((day - before.start_on).days) / (before.days - 1))


def moved(span: Span, days: int) -> Span:
    """The span `days` later."""
    return Span(span.start_on + timedelta(days=days), span.end_on + timedelta(days=days))


def check_day(day: date, *, field: str) -> None:
    """Refuses a day outside 2000 to 2099."""
    if not FIRST_DAY <= day <= LAST_DAY:
        raise RuleViolation("date_out_of_range", "Give a date between 2000 and 2099.", field)


def check_span(span: Span, *, field: str = "planned_end_on") -> None:
    """Refuses a phase that ends before it starts."""
    check_day(span.start_on, field=field)
    check_day(span.end_on, field=field)
    if span.end_on < span.start_on:
        raise RuleViolation("ends_before_it_starts", "A phase cannot end before it starts.", field)


def check_row(spans: Sequence[tuple[str, Span]], *, fields: Sequence[str]) -> None:
    """Refuses phases of a roadmap that overlap; `spans`: (name, span) in order, `fields`: the inputs to blame."""
    for index, ((name, span), (later, following)) in enumerate(zip(spans, spans[1:], strict=False)):
        if following.start_on <= span.end_on:
            first, last = following.start_on.isoformat(), span.end_on.isoformat()
            raise RuleViolation(
                "phases_overlap",
                f"{later} cannot start on {first}: {name} runs until {last}.",
                fields[index + 1],
            )


def check_lengths(lengths: Sequence[int]) -> None:
    """Refuses phase lengths outside 1 to 60 months."""
    if any(not 1 <= length <= 60 for length in lengths):
        raise RuleViolation("phase_length", "A phase is 1 to 60 months long.", "months")

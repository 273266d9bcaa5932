"""Cost entries of a roadmap in the reporting currency, by the day."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal

from django.conf import settings

from metrics import series
from metrics.money import Rates, total_of
from metrics.windows import days
from roadmap.models import CostEntry
from roadmap.rules.costs import CostSpan, amount_in

DAY = timedelta(days=1)


@dataclass(slots=True)
class Entered:
    """Cost entries and the rates to convert them; a day after `today` is converted at today's rate."""

    entries: Sequence[CostEntry]
    rates: Rates
    today: date
    no_rate: set[str] = field(default_factory=set)

    def amount(self, start_on: date, end_on: date) -> Decimal | None:
        """What falls on the local days [start_on, end_on); None where no entry does, or none can be converted."""
        found = []
        for entry in self.entries:
            if entry.start_on < end_on and (entry.end_on or entry.start_on) >= start_on:
                found.append(self._of_entry(entry, start_on, end_on))
        return total_of(found)

    def by_day(self, start_on: date, end_on: date) -> dict[date, Decimal]:
        """The amounts of each of the local days [start_on, end_on) that has any."""
        found: dict[date, Decimal] = {}
        for entry in self.entries:
            first, last = max(entry.start_on, start_on), min(entry.end_on or entry.start_on, end_on - DAY)
            for day in days(first, last + DAY):
                amount = self._of_entry(entry, day, day + DAY)
                if amount is not None:
                    found[day] = found.get(day, Decimal(0)) + amount
        return found

    def _of_entry(self, entry: CostEntry, start_on: date, end_on: date) -> Decimal | None:
        span = CostSpan(entry.amount, entry.start_on, entry.end_on)
        if entry.currency == self.rates.reporting:
            return amount_in(span, start_on, end_on)
        parts = []
        for day in days(max(start_on, span.start_on), min(end_on, span.last_on + DAY)):
            part = self.rates.convert(amount_in(span, day, day + DAY), entry.currency, min(day, self.today))
            if part is None:
                self.no_rate.add(entry.currency)
            parts.append(part)
        return total_of(parts)


def rates_for(currencies: Iterable[str], start_on: date, end_on: date) -> Rates:
    """The rates of a window; no query where every amount is in the reporting currency already."""
    if all(currency == settings.REPORTING_CURRENCY for currency in currencies):
        return Rates(settings.REPORTING_CURRENCY, {})
    return series.exchange_rates(start_on, end_on)

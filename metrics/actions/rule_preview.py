"""What a change of the allocation rules would move. It is made, read and taken back, so that it is what happens."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

from django.conf import settings
from django.db import transaction

from accounts.access import Asker
from metrics import allocating, days, sources
from metrics import series as read_door
from metrics.actions.rules import Change, apply, require_may_allocate
from metrics.figures import Scope, Sums, UsageRow
from metrics.placing import ALWAYS
from metrics.windows import local_day


@dataclass(frozen=True, slots=True)
class MovedMonth:
    """One roadmap (slug None: unallocated) in one month, before and after. None is unknown, in the money 'not priced'.

    Money in the reporting currency.
    """

    month: date
    name: str
    slug: str | None
    spend_before: Decimal | None
    spend_after: Decimal | None
    tokens_before: Decimal | None
    tokens_after: Decimal | None

    @property
    def spend_change(self) -> Decimal | None:
        return _difference(self.spend_before, self.spend_after)

    @property
    def tokens_change(self) -> Decimal | None:
        return _difference(self.tokens_before, self.tokens_after)


@dataclass(frozen=True, slots=True)
class Preview:
    """`series`: how many are placed otherwise, from `since` on. `rows`: months and roadmaps with another figure.

    `no_rate`: currencies whose money is in no figure.
    """

    series: int
    since: date | None
    rows: list[MovedMonth]
    no_rate: frozenset[str] = frozenset()

    @property
    def spend_moved(self) -> Decimal:
        """How much money changes hands: what those who get more get."""
        return sum((row.spend_change or Decimal(0) for row in self.rows if (row.spend_change or 0) > 0), Decimal(0))


def preview_change(asker: Asker, change: Change) -> Preview:
    """Return what the change would move. Nothing stays of it. Raises PermissionDenied, RuleViolation."""
    require_may_allocate(asker)
    today = local_day(sources.now(), settings.REPORTING_ZONE)
    # What is stale is built before, since what is built inside is taken back, too.
    days.refresh()
    with transaction.atomic():
        allocating.hold_rules()
        before = _by_month(_first_day(), today)
        _, moved = apply(change)
        after = _by_month(_first_day(), today) if moved.series_ids else before
        transaction.set_rollback(True)
    rows = _compared(before, after) if moved.series_ids else []
    no_rate = frozenset().union(*(row.sums.no_rate for row in [*before, *after]))
    return Preview(len(moved.series_ids), _since(moved.since), rows, no_rate)


def _first_day() -> date | None:
    found = read_door.first_and_last_day(None)
    return found[0] if found else None


def _since(day: date | None) -> date | None:
    return None if day is None or day <= ALWAYS else day


def _by_month(first_on: date | None, today: date) -> list[UsageRow]:
    if first_on is None:
        return []
    scope = Scope(first_on, today + timedelta(days=1), None)
    return read_door.usage(scope, by=("workload",), grain="month")


def _compared(before: Iterable[UsageRow], after: Iterable[UsageRow]) -> list[MovedMonth]:
    pairs: dict[tuple[date, int], list[UsageRow | None]] = {}
    for side, rows in enumerate((before, after)):
        for row in rows:
            if row.period is not None:
                pairs.setdefault((row.period, row.key["workload"] or 0), [None, None])[side] = row
    found: list[MovedMonth] = []
    for (month, _), (old, new) in sorted(pairs.items(), key=lambda item: (item[0][0].toordinal() * -1, item[0][1])):
        one = new or old
        assert one is not None  # noqa: S101 - a pair has a side
        moved = MovedMonth(
            month=month,
            name=one.key["workload_name"] or "Unallocated",
            slug=one.key["workload_slug"],
            spend_before=_spend(old),
            spend_after=_spend(new),
            tokens_before=_tokens(old),
            tokens_after=_tokens(new),
        )
        if (moved.spend_before, moved.tokens_before) != (moved.spend_after, moved.tokens_after):
            found.append(moved)
    return found


def _spend(row: UsageRow | None) -> Decimal | None:
    return row.sums.spend if row is not None else None


def _tokens(row: UsageRow | None) -> Decimal | None:
    return None if row is None else _known_tokens(row.sums)


def _known_tokens(sums: Sums) -> Decimal | None:
    known = [value for name in ("input_tokens", "output_tokens") if (value := sums.total(name)) is not None]
    return Decimal(sum(known)) if known else None


def _difference(before: Decimal | None, after: Decimal | None) -> Decimal | None:
    if before is None and after is None:
        return None
    return (after or Decimal(0)) - (before or Decimal(0))

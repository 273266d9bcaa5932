"""Allocations as they follow from the rules: for series that are new, and for all when the rules change.

A person's word wins, then the roadmap that a push named, then the rules, then the backend's default. Every allocation
that is not a person's can be worked out again from these, so that the order in which they came never matters.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

from django.db import connection
from django.db.models import QuerySet

from metrics import placing
from metrics.models import Allocation, AllocationRule, Series
from metrics.placing import ALWAYS, Placed, Rule, Traits
from metrics.usage import SeriesKind

# First key of the advisory lock: shared by whoever makes series, exclusive for whoever changes rules.
RULES_LOCK = 7303
AT_ONCE = 2_000

Source = Allocation.Source
# What tells one allocation from another: workload, share, from, until, source, rule.
_Row = tuple[int, Decimal, date, date | None, str, int | None]


@dataclass(slots=True)
class Moved:
    """What placing changed. `since`: the first day on which something is somebody else's, None where nothing is."""

    series_ids: set[int] = field(default_factory=set)
    since: date | None = None

    def note(self, series_id: int, day: date) -> None:
        self.series_ids.add(series_id)
        self.since = day if self.since is None else min(self.since, day)


def hold_rules() -> None:
    """Keep the rules as they are until the transaction ends. Whoever makes or places single series calls it first."""
    _lock("pg_advisory_xact_lock_shared")


def lock_rules() -> None:
    """Wait for everybody who is placing series, and keep others from it, until the transaction ends."""
    _lock("pg_advisory_xact_lock")


def _lock(function: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {function}(%s)", [RULES_LOCK])  # noqa: S608 - one of our two names


def rules_in_order() -> list[Rule]:
    """The rules as plain values. Two queries, one where there are none."""
    return [
        Rule(
            pk=rule.pk,
            shares=tuple(sorted((share.workload_id, share.share_ratio) for share in rule.shares.all())),
            valid_from_on=rule.valid_from_on or ALWAYS,
            backend_id=rule.backend_id,
            provider=rule.provider,
            model=rule.model,
            label_name=rule.label_name,
            label_value=rule.label_value,
            api_key=rule.api_key,
            project=rule.project,
        )
        for rule in AllocationRule.objects.order_by("position", "pk").prefetch_related("shares")
    ]


def place_all() -> Moved:
    """Place every series again by the rules as they are now. Call it with the rules locked."""
    rules = rules_in_order()
    moved = Moved()
    ids = list(_placeable().order_by("pk").values_list("pk", flat=True))
    for start in range(0, len(ids), AT_ONCE):
        place(Series.objects.filter(pk__in=ids[start : start + AT_ONCE]).order_by("pk"), rules, moved)
    return moved


def place(series: Iterable[Series], rules: Sequence[Rule], moved: Moved | None = None) -> Moved:
    """Bring the allocations of these series, but for those by hand, in line with the rules; return what changed."""
    moved = moved if moved is not None else Moved()
    every = [one for one in series if one.kind != SeriesKind.IDLE or one.is_pushed]
    held: dict[int, set[_Row]] = defaultdict(set)
    rows = Allocation.objects.filter(series__in=every).exclude(source=Source.HAND)
    for one in rows.values_list(
        "series_id", "workload_id", "share_ratio", "valid_from_on", "valid_until_on", "source", "rule_id"
    ):
        held[one[0]].add(one[1:])
    wrong: list[int] = []
    new: list[Allocation] = []
    for one_series in every:
        wanted = _wanted(one_series, rules)
        if held[one_series.pk] == wanted:
            continue
        wrong.append(one_series.pk)
        new += [_allocation(one_series.pk, row) for row in sorted(wanted, key=lambda row: (row[2], row[0]))]
        # Another rule may say the same: then nothing moves.
        differing = {row[:4] for row in held[one_series.pk]} ^ {row[:4] for row in wanted}
        if differing:
            moved.note(one_series.pk, min(row[2] for row in differing))
    if wrong:
        Allocation.objects.filter(series__in=wrong).exclude(source=Source.HAND).delete()
        Allocation.objects.bulk_create(new)
    return moved


def _placeable() -> QuerySet[Series]:
    return Series.objects.exclude(kind=SeriesKind.IDLE, is_pushed=False).filter(is_demo=False)


def _wanted(series: Series, rules: Sequence[Rule]) -> set[_Row]:
    if series.is_pushed and series.workload_id is not None:
        placed, source = [Placed(ALWAYS, None, None, ((series.workload_id, Decimal(1)),))], Source.PUSH
    else:
        traits = Traits(series.backend_id, series.provider, series.model, series.labels)
        placed, source = placing.timeline(traits, rules, series.default_workload_id), Source.DEFAULT
    return {
        (
            workload_id,
            share,
            one.from_on,
            one.until_on,
            str(source if one.rule_id is None else Source.RULE),
            one.rule_id,
        )
        for one in placing.until(placed, series.hand_from_on)
        for workload_id, share in one.shares
    }


def _allocation(series_id: int, row: _Row) -> Allocation:
    workload_id, share, from_on, until_on, source, rule_id = row
    return Allocation(
        series_id=series_id,
        workload_id=workload_id,
        share_ratio=share,
        valid_from_on=from_on,
        valid_until_on=until_on,
        source=source,
        rule_id=rule_id,
    )

"""Many roadmaps to show: plans made by the product's own door, usage put in bulk, from the ledger's entries up.

A day of a series is one busy hour: an entry with its histogram, the hour, and the day, week and month that
`metrics.days` sums from it. `check_ledger` proves that they are each other's sums.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

MONTHS = 18
SERIES = 5
MILESTONES = 40
BACKENDS = 40
PROVIDERS = ("openai", "anthropic", "mistral", "vllm")
KINDS = ("poc", "scale_up", "optimise")
# A year and a half of PoC, so that the phase to date is all there is; the others follow.
PHASE_MONTHS = (20, 6, 6)
DAY = timedelta(days=1)


@dataclass(slots=True)
class Organisation:
    """What is there so far: roadmaps are added, never taken away."""

    admin: Any
    managers: list[Any]
    backends: list[Any]
    today: date
    roadmaps: int = 0


def organisation() -> Organisation:
    """An admin, five managers and forty gateways that every roadmap's series are spread over."""
    from django.conf import settings
    from django.utils import timezone

    from accounts.models import User
    from metrics.models import Backend
    from metrics.windows import local_day

    admin = User.objects.create_user(username="bench", organisation_role="admin")
    managers = [User.objects.create_user(username=f"manager-{number}") for number in range(5)]
    backends = [
        Backend.objects.create(
            slug=f"bench-{number}",
            name=f"Bench {number}",
            connector="push_only",
            provider=PROVIDERS[number % len(PROVIDERS)],
            measured_at="gateway",
        )
        for number in range(BACKENDS)
    ]
    return Organisation(admin, managers, backends, local_day(timezone.now(), settings.REPORTING_ZONE))


def grow(there: Organisation, roadmaps: int) -> int:
    """Add roadmaps with their usage until there are so many; the number of days of series that were written."""
    workloads = []
    while there.roadmaps < roadmaps:
        workloads.append(_make_roadmap(there, there.roadmaps))
        there.roadmaps += 1
    written = _make_usage(there, workloads) if workloads else 0
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    return written


def _make_roadmap(there: Organisation, number: int) -> int:
    """One roadmap, begun a year and a half ago; the id of its workload."""
    from accounts.access import Asker
    from roadmap.actions.roadmaps import make_roadmap
    from roadmap.models import Reading, Update

    start_on = there.today - timedelta(days=round(MONTHS * 30.44) + number % 28)
    roadmap = make_roadmap(
        Asker(there.admin),
        name=f"Use case {number:03}",
        owner=there.managers[number % len(there.managers)],
        start_on=start_on,
        months=PHASE_MONTHS,
        programme=f"Programme {number % 8}",
        business_unit=f"Unit {number % 5}",
        budgets={"poc": Decimal(4_000 + 100 * (number % 20)), "scale_up": Decimal(9_000)},
        example_targets=True,
    )
    _add_milestones(there, roadmap, number)
    if number % 3:
        status = ("on_track", "at_risk", "off_track")[number % 7 % 3]
        at = datetime.now().astimezone() - timedelta(days=number % 40)
        Update.objects.create(
            roadmap=roadmap, status=status, sentence="As planned, one risk.", author=roadmap.owner, created_at=at
        )
    if number % 2:
        _add_costs(there, roadmap, start_on)
    value = roadmap.phases.get(kind="poc").kpis.get(is_value=True)
    at = datetime.now().astimezone()
    Reading.objects.bulk_create(
        Reading(kpi=value, at=at - timedelta(days=30 * month), value=100 + month, author=roadmap.owner)
        for month in range(MONTHS)
    )
    return int(roadmap.workload_id)


def _add_milestones(there: Organisation, roadmap: Any, number: int) -> None:
    """Milestones up to forty, the third of those that are past still open; some moved."""
    from roadmap.models import ChecklistItem, Milestone

    phases = list(roadmap.phases.order_by("position"))
    missing = MILESTONES - Milestone.objects.filter(phase__roadmap=roadmap).count()
    made = []
    for place in range(missing):
        phase = phases[place % len(phases)]
        days = (phase.planned_end_on - phase.planned_start_on).days
        due_on = phase.planned_start_on + timedelta(days=days * (place + 1) // (missing + 1))
        is_done = due_on < there.today and (place + number) % 3 != 0
        made.append(
            Milestone(
                phase=phase,
                name=f"Step {place} of the plan",
                due_on=due_on,
                baseline_due_on=due_on - timedelta(days=7 * (place % 2)),
                state="done" if is_done else "open",
                done_on=due_on if is_done else None,
            )
        )
    Milestone.objects.bulk_create(made)
    ChecklistItem.objects.filter(phase__roadmap=roadmap, position__lt=number % 4).update(is_done=True)


def _add_costs(there: Organisation, roadmap: Any, start_on: date) -> None:
    from roadmap.models import CostEntry

    CostEntry.objects.bulk_create(
        CostEntry(
            roadmap=roadmap,
            name=f"Licences {month}",
            category="licences",
            amount=Decimal(25),
            currency="USD",
            start_on=start_on + timedelta(days=30 * month),
            end_on=start_on + timedelta(days=30 * month + 29),
            author=there.admin,
        )
        for month in range(MONTHS)
    )


# --- Usage

# By place in the day's run of numbers, so that no two days are alike.
_SUMS = {
    "requests": "1000",
    "errors": "(n.day + s.id) %% 4",
    "input_tokens": "900000",
    "cached_input_tokens": "200000",
    "output_tokens": "1000 * (150 + n.day %% 50)",
    "quality_count": "20",
    "quality_sum": "16 + (n.day %% 10) / 10.0",
    "duration_count": "1000",
    "duration_sum_ms": "1200000",
    "estimated_cost": "1.4 + s.id %% 100 / 1000.0",
}
_NAMES = ", ".join(_SUMS)
# 20 buckets of a bell around a place that moves with the day.
_BELL = "ARRAY[230 + (n.day + s.id) %% 30, 1, 3, 7, 15, 28, 47, 70, 93, 110, 116, 110, 93, 70, 47, 28, 15, 7, 3, 1, 1]"


def _make_usage(there: Organisation, workload_ids: Sequence[int]) -> int:
    """Days of the series of these workloads, from eighteen months ago to today."""
    from django.db import connection, transaction

    from metrics import ledger
    from metrics.identity import SeriesIdentity, series_ids
    from metrics.models import Receipt
    from metrics.usage import FeedKind, SeriesKey

    identities = [
        SeriesIdentity(
            SeriesKey(provider=backend.provider, model=f"model-{place}"),
            backend.pk,
            is_pushed=True,
            workload_id=workload,
        )
        for workload in workload_ids
        for place in range(SERIES)
        for backend in [there.backends[(workload * 7 + place) % len(there.backends)]]
    ]
    ids = series_ids(identities)
    feeds = {backend.pk: ledger.feed(FeedKind.PUSH, backend).pk for backend in there.backends}
    receipts = {
        backend.pk: Receipt.objects.create(kind=FeedKind.PUSH, backend=backend, note="benchmark").pk
        for backend in there.backends
    }
    series = [ids[identity] for identity in identities]
    days = round(MONTHS * 30.44) + 28
    start_on = there.today - timedelta(days=days - 1)
    given = {
        "series": series,
        "feeds": [feeds[identity.backend_id] for identity in identities],
        "receipts": [receipts[identity.backend_id] for identity in identities],
        "days": days,
        "start": start_on,
    }
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL synchronous_commit = off")
        # The rows refer to what was made just above; each by itself would be looked up 3 times.
        cursor.execute("SET LOCAL session_replication_role = replica")
        for statement in _STATEMENTS:
            cursor.execute(statement, given)
        _sum_days(cursor, series)
    return len(series) * days


_OF = (
    "FROM unnest(%(series)s::bigint[], %(feeds)s::bigint[], %(receipts)s::bigint[]) AS s (id, feed, receipt), "
    "generate_series(0, %(days)s - 1) AS n (day)"
)
# An hour of the middle of the day: the same local day in every zone that people report in.
_HOUR = "((%(start)s::date + n.day)::timestamp + interval '12 hours') AT TIME ZONE 'UTC'"
_STATEMENTS = (
    f"INSERT INTO metrics_ledgerentry (receipt_id, feed_id, series_id, hour, currency, {_NAMES}) "
    f"SELECT s.receipt, s.feed, s.id, {_HOUR}, 'USD', {', '.join(_SUMS.values())} {_OF}",
    'INSERT INTO metrics_ledgerhistogram (entry_id, measure, "window") '
    f"SELECT s.entry, 1, {_BELL} FROM (SELECT id AS entry, series_id AS id, hour FROM metrics_ledgerentry "
    "WHERE receipt_id = ANY(%(receipts)s::bigint[])) s, "
    "LATERAL (SELECT (s.hour AT TIME ZONE 'UTC')::date - %(start)s::date AS day) n",
    f"INSERT INTO metrics_usagehour (series_id, hour, currency, {_NAMES}) "
    f"SELECT s.id, {_HOUR}, 'USD', {', '.join(_SUMS.values())} {_OF}",
    f'INSERT INTO metrics_histogramhour (series_id, hour, measure, "window") SELECT s.id, {_HOUR}, 1, {_BELL} {_OF}',
)


def _sum_days(cursor: Any, series: Sequence[int]) -> None:
    """The days, weeks and months as `metrics.days` builds them, of all series at once."""
    from metrics import days
    from metrics.rows import literal

    zone = days.zone_name()
    cursor.execute("INSERT INTO metrics_dayzone (id, zone) VALUES (1, %s) ON CONFLICT DO NOTHING", [zone])
    # Bulk of one hour a day: its local day is the day of the hour.
    pairs = (
        "(SELECT series_id, (hour AT TIME ZONE %s)::date AS day FROM metrics_usagehour "
        "WHERE series_id = ANY(%s::bigint[]))"
    )
    named = [zone, literal(series), *[zone] * 3]
    cursor.execute(f"INSERT INTO metrics_usageday ({days._DAY_COLUMNS}) {days.hours_as_days(pairs)}", named)
    cursor.execute(
        'INSERT INTO metrics_histogramday (series_id, day, measure, bounds_id, "window") '
        + days.histogram_hours_as_days(pairs),
        named,
    )
    cursor.execute(
        f"INSERT INTO metrics_usagemonth ({days.MONTH_COLUMNS}) "
        + days.days_as_months("(SELECT * FROM metrics_usageday WHERE series_id = ANY(%s::bigint[])) d"),
        [literal(series)],
    )
    for span in days.HISTOGRAM_SPANS:
        cursor.execute(
            f'INSERT INTO {span.table} (series_id, {span.unit}, measure, bounds_id, "window") '
            f"SELECT series_id, date_trunc('{span.unit}', day::timestamp)::date, measure, bounds_id, "
            'histogram_sum("window") FROM metrics_histogramday WHERE series_id = ANY(%s::bigint[]) '
            "GROUP BY 1, 2, 3, 4",
            [literal(series)],
        )

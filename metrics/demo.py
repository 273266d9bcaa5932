"""Posting the demo's usage, and taking it away again. Everything goes through the ledger, like real usage."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal

from django.db import connection, transaction
from django.db.models import Q

from accounts.models import Workload
from metrics import allocating, capacity, counting, ledger, pricing, settling
from metrics.connector import CostStatement
from metrics.demo_streams import DemoHour, Stream, hours
from metrics.histogram import bucket_of, window_of
from metrics.hours import sum_again
from metrics.identity import SeriesIdentity, forget, series_ids
from metrics.ledger import PostedCell
from metrics.models import (
    Allocation,
    AllocationRule,
    Backend,
    Feed,
    LedgerEntry,
    LedgerHistogram,
    RateCard,
    Receipt,
    RecordId,
    RuleShare,
    Series,
)
from metrics.usage import FeedKind, MeasuredAt, SeriesKey, SeriesKind
from metrics.windows import HOUR, Window

# The invented provider's invoice is this much of the list price.
DISCOUNT = Decimal("0.97")


@dataclass(frozen=True, slots=True)
class DemoBackend:
    """A backend of the demo. `behind`: slug of its gateway. `card`: fields of its rate card."""

    slug: str
    name: str
    connector: str
    provider: str
    measured_at: MeasuredAt
    behind: str = ""
    hardware: str = ""
    parameters: Mapping[str, object] | None = None
    card: Mapping[str, object] | None = None
    purchased_days_ago: int | None = None
    is_billed: bool = False


def is_seeded() -> bool:
    """Whether the demo's backends are there."""
    return Backend.objects.filter(is_demo=True).exists()


@transaction.atomic
def seed(
    backends: Sequence[DemoBackend],
    streams: Sequence[Stream],
    workloads: Mapping[str, Workload],
    shares: Mapping[str, Mapping[str, Decimal]],
    *,
    now: datetime,
) -> None:
    """Makes the backends and posts what the streams did until `now`.

    `shares`: for streams without a workload of their own, by backend slug, the share of each workload slug.
    """
    until = now.replace(minute=0, second=0, microsecond=0)
    first = until - timedelta(days=max(stream.starts_days_ago for stream in streams))
    made = {}
    for item in backends:
        since = until - timedelta(days=max(s.starts_days_ago for s in streams if s.backend == item.slug))
        made[item.slug] = _make_backend(item, since, until)
    for item in backends:
        if item.behind:
            made[item.slug].behind = made[item.behind]
            made[item.slug].behind_from_on = counting.local_day(first)
            made[item.slug].save(update_fields=["behind", "behind_from_on"])
    for item in backends:
        mine = [stream for stream in streams if stream.backend == item.slug]
        for is_pushed in (False, True):
            some = [stream for stream in mine if stream.is_pushed == is_pushed]
            if some:
                _post_streams(made[item.slug], some, workloads, shares.get(item.slug, {}), until, is_pushed=is_pushed)
    counting.recount([backend.pk for backend in made.values()])
    for item in backends:
        if item.is_billed:
            _post_bills(made[item.slug], streams, first, until)
    rated = [made[item.slug].pk for item in backends if item.card]
    capacity.post_capacity(until, backend_ids=rated, since=first.replace(hour=0))
    for item in backends:
        if item.card:
            _allocate_idle(made[item.slug], streams, shares.get(item.slug, {}), workloads, first)
    Receipt.objects.filter(backend__in=made.values()).update(is_demo=True)
    Series.objects.filter(backend__in=made.values()).update(is_demo=True)
    # PostgreSQL knows nothing yet of tables that were filled just now: reading and removing would take minutes.
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")


def _make_backend(item: DemoBackend, since: datetime, until: datetime) -> Backend:
    backend = Backend.objects.create(
        slug=item.slug,
        name=item.name,
        connector=item.connector,
        provider=item.provider,
        measured_at=item.measured_at,
        hardware=item.hardware,
        parameters=dict(item.parameters or {}),
        # It does not exist, so nobody asks it.
        is_enabled=False,
        data_until=until,
        is_demo=True,
    )
    if item.card:
        card = RateCard(backend=backend, valid_from_on=counting.local_day(since), **item.card)
        if item.purchased_days_ago is not None:
            card.purchased_on = counting.local_day(until - timedelta(days=item.purchased_days_ago))
        card.save()
    return backend


def _post_streams(
    backend: Backend,
    streams: Sequence[Stream],
    workloads: Mapping[str, Workload],
    shares: Mapping[str, Decimal],
    until: datetime,
    *,
    is_pushed: bool,
) -> None:
    kind = FeedKind.PUSH if is_pushed else FeedKind.USAGE
    feed = ledger.feed(kind, backend)
    receipt = Receipt(kind=kind, backend=backend, is_demo=True, as_of=until, note="Demo data")
    cells: list[PostedCell] = []
    estimates: list[PostedCell] = []
    for stream in streams:
        workload = workloads[stream.workload] if stream.workload else None
        identity = SeriesIdentity(
            key=SeriesKey(
                provider=stream.provider,
                model=stream.model,
                operation=stream.operation,
                labels=(("team", stream.team),) if stream.team else (),
            ),
            backend_id=backend.pk,
            is_pushed=is_pushed,
            workload_id=workload.pk if workload and is_pushed else None,
            measured_at=MeasuredAt(stream.measured_at),
        )
        series_id = series_ids([identity], is_demo=True)[identity]
        if not is_pushed:
            _allocate(series_id, workload, shares, workloads, until - timedelta(days=stream.starts_days_ago))
        for hour in hours(stream, until):
            cells.append(_cell(series_id, hour))
            if stream.is_priced:
                estimates.extend(_estimate(series_id, stream, hour))
    receipt.accepted = sum(int(cell.sums["requests"]) for cell in cells)
    ledger.post_many(receipt, feed, cells)
    if estimates:
        told = Receipt(kind=FeedKind.ESTIMATE, backend=backend, is_demo=True, as_of=until, note="Demo data")
        ledger.post_many(told, ledger.feed(FeedKind.ESTIMATE, backend), estimates)


def _allocate(
    series_id: int,
    workload: Workload | None,
    shares: Mapping[str, Decimal],
    workloads: Mapping[str, Workload],
    since: datetime,
) -> None:
    parts = {workload.slug: Decimal(1)} if workload else shares
    Allocation.objects.filter(series_id=series_id).delete()
    Allocation.objects.bulk_create(
        Allocation(
            series_id=series_id,
            workload=workloads[slug],
            share_ratio=ratio,
            valid_from_on=counting.local_day(since) - timedelta(days=1),
        )
        for slug, ratio in parts.items()
    )


def _allocate_idle(
    backend: Backend,
    streams: Sequence[Stream],
    shares: Mapping[str, Decimal],
    workloads: Mapping[str, Workload],
    first: datetime,
) -> None:
    """Idle capacity of all months goes where the busy part went."""
    owner = next((stream.workload for stream in streams if stream.backend == backend.slug and stream.workload), None)
    for series in Series.objects.filter(backend=backend, kind=SeriesKind.IDLE):
        _allocate(series.pk, workloads[owner] if owner else None, shares, workloads, first)


def _cell(series_id: int, hour: DemoHour) -> PostedCell:
    sums = dict(hour.sums)
    histograms = {}
    for name, pairs in (
        ("duration", hour.durations_ms),
        ("time_to_first_token", hour.first_tokens_ms),
        ("inter_token", hour.inter_tokens_ms),
    ):
        if not pairs:
            continue
        buckets: dict[int, int] = {}
        for ms, count in pairs:
            buckets[bucket_of(ms)] = buckets.get(bucket_of(ms), 0) + count
        histograms[name] = window_of(buckets)
        sums[f"{name}_count"] = sum(count for _, count in pairs)
        sums[f"{name}_sum_ms"] = Decimal(str(round(sum(ms * count for ms, count in pairs), 3)))
    return PostedCell(series_id, hour.hour, sums, histograms)


def _estimate(series_id: int, stream: Stream, hour: DemoHour) -> Iterator[PostedCell]:
    found = pricing.estimate(
        stream.provider, stream.model, "standard", hour.hour.date(), hour.sums, operation=stream.operation
    )
    if found is not None:
        yield PostedCell(series_id, hour.hour, {"estimated_cost": found.amount}, currency=found.currency)


def _post_bills(backend: Backend, streams: Sequence[Stream], first: datetime, until: datetime) -> None:
    """The provider's daily invoice per model: what it served at the list price, less a discount."""
    billed: dict[tuple[datetime, str], Decimal] = {}
    for stream in streams:
        if stream.backend != backend.slug or not stream.is_priced:
            continue
        for hour in hours(stream, until):
            found = pricing.estimate(stream.provider, stream.model, "standard", hour.hour.date(), hour.sums)
            if found is not None:
                day = datetime.combine(hour.hour.date(), time(), tzinfo=UTC)
                billed[day, stream.model] = billed.get((day, stream.model), Decimal(0)) + found.amount
    statements = [
        CostStatement(
            start=day,
            end=day + 24 * HOUR,
            amount=(amount * DISCOUNT).quantize(Decimal("0.0001")),
            currency="USD",
            model=model,
        )
        for (day, model), amount in sorted(billed.items())
    ]
    window = Window(first.replace(hour=0), until)
    receipt = Receipt(kind=FeedKind.STATEMENT, backend=backend, is_demo=True, as_of=until, note="Demo data")
    settling.post_statements(backend, statements, window, receipt=receipt, as_of=until, settling_hours=24)


@transaction.atomic
def remove() -> None:
    """Deletes the demo's backends with all that was posted for them or pushed to its roadmaps, and nothing else.

    What is real and was tied to them (a link, a rule, an allocation) stands without them from then on.
    """
    allocating.lock_rules()
    backends = Backend.objects.filter(is_demo=True)
    ids = list(backends.values_list("pk", flat=True))
    series = Series.objects.filter(Q(backend__in=ids) | Q(is_demo=True))
    receipts = Receipt.objects.filter(Q(backend__in=ids) | Q(is_demo=True))
    linked = _tied_to(ids)
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL phaseline.allow_ledger_delete = 'on'")
    # What capacity or a statement of the demo has put on a real gateway's series.
    elsewhere = LedgerEntry.objects.filter(Q(feed__backend__in=ids) | Q(receipt__in=receipts)).exclude(
        series__in=series
    )
    touched = list(elsewhere.values_list("series_id", "hour").distinct())
    for entries in (LedgerEntry.objects.filter(series__in=series), elsewhere):
        LedgerHistogram.objects.filter(entry__in=entries)._raw_delete(using="default")
        entries._raw_delete(using="default")
    sum_again(touched)
    RecordId.objects.filter(receipt_id__in=receipts).delete()
    receipts.filter(reverses__isnull=False).delete()
    receipts.delete()
    series.delete()
    Feed.objects.filter(backend__in=ids).delete()
    Backend.objects.filter(behind__in=ids).update(behind=None, behind_from_on=None)
    backends.delete()
    counting.recount(linked)
    _give_back()
    _retire_examples()
    forget()


def _tied_to(ids: Sequence[int]) -> list[int]:
    """The real backends that stand behind one of these, or in front of one, or whose pushes go through one."""
    found = set(Backend.objects.filter(behind__in=ids).values_list("pk", flat=True))
    found |= set(Backend.objects.filter(in_front_of__in=ids).values_list("pk", flat=True))
    found |= set(Series.objects.filter(through__in=ids).values_list("backend_id", flat=True))
    return sorted(found - set(ids))


def _give_back() -> None:
    """What was allocated to the demo's roadmaps and stays is placed by what is said without them."""
    workloads = Workload.objects.filter(is_demo=True)
    shares = RuleShare.objects.filter(workload__in=workloads)
    rules = list(shares.values_list("rule_id", flat=True).distinct().order_by())
    shares.delete()
    # Without shares a rule says that what it matches is nobody's, which nobody has said.
    AllocationRule.objects.filter(pk__in=rules, shares__isnull=True).delete()
    Series.objects.filter(default_workload__in=workloads).update(default_workload=None)
    gone, _ = Allocation.objects.filter(workload__in=workloads).delete()
    if gone or rules:
        allocating.place_all()


def _retire_examples() -> None:
    """The example server goes with the demo: what was made of it is pulled no more, or gone if it counted nothing."""
    for backend in Backend.objects.filter(is_example=True):
        if Series.objects.filter(backend=backend).exists():
            backend.is_enabled, backend.next_pull_at = False, None
            backend.problem, backend.is_problem_permanent, backend.failures_in_a_row = "", False, 0
            backend.save()
        else:
            Feed.objects.filter(backend=backend).delete()
            backend.delete()

"""Usage that nobody had, posted through the ledger as folded hours, so that anyone can check what grows with what.

`manage.py simulate` says how much; everything it makes is marked as demo data and named 'Simulated', and can be taken
away again. A month of a backend is one posting: what was killed goes on at the month that it was in.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from random import Random

from django.db import connection, transaction

from metrics import days, ledger
from metrics.identity import SeriesIdentity, forget, series_ids
from metrics.ledger import PostedCell
from metrics.models import Backend, Feed, Receipt, Series
from metrics.usage import FeedKind, SeriesKey

PREFIX = "simulated-"
PROVIDERS = ("openai", "anthropic", "mistral", "vllm")
# Requests of a working day by UTC hour, busiest first where fewer hours are asked for.
CURVE = (2, 1, 1, 1, 1, 2, 5, 9, 13, 14, 13, 10, 11, 14, 13, 11, 8, 6, 5, 4, 4, 3, 3, 2)
WEEKEND = 0.25
# Dollars per million input and output tokens.
PRICES = (
    (Decimal("2.5"), Decimal(10)),
    (Decimal(3), Decimal(15)),
    (Decimal("0.4"), Decimal(2)),
    (Decimal(1), Decimal(2)),
)
# Latencies are log-normal: this many buckets of ratio 1.04 are one standard deviation of 0.5.
SIGMA_BUCKETS = 12.75
_REACH = 38
SERIES_AT_ONCE = 50
# Everything that is kept by series, in the order in which it may go.
_BY_SERIES = (
    "metrics_ledgerentry",
    "metrics_histogramhour",
    "metrics_usagehour",
    "metrics_staleday",
    "metrics_seriesbuild",
    "metrics_histogramweek",
    "metrics_histogrammonth",
    "metrics_histogramday",
    "metrics_usageday",
    "metrics_usagemonth",
)

TABLES = ("metrics_receipt", "metrics_ledgerhistogram", *_BY_SERIES)

_shapes: dict[int, list[int]] = {}


class OtherPlan(Exception):  # noqa: N818 - says what is there
    """What is there was simulated with other numbers."""


@dataclass(frozen=True, slots=True)
class Plan:
    """So many requests over so many series and months, at the busiest `hours_a_day` UTC hours of each day."""

    months: int
    series: int
    requests: int
    hours_a_day: int = 24
    seed: int = 1

    def windows(self, today: date) -> list[tuple[date, date]]:
        """The months [start, end), oldest first; the last one ends with yesterday."""
        found = []
        end = today
        for _ in range(self.months):
            start = (end - timedelta(days=1)).replace(day=1)
            found.append((start, end))
            end = start
        return found[::-1]

    def hours(self) -> list[int]:
        """The UTC hours of a day that have traffic."""
        return sorted(sorted(range(24), key=lambda hour: -CURVE[hour])[: self.hours_a_day])


def post(plan: Plan, workload_ids: Sequence[int], *, today: date, tell: Callable[[str], None] = lambda _: None) -> int:
    """Post what is not there yet and build the days; return how many hours of series were written.

    `today`: the first day without usage, so that a run that goes on later fills the same days.
    """
    windows = plan.windows(today)
    told = f"{plan.requests:,} requests, {plan.series:,} series, {plan.months} months to {today}, seed {plan.seed}, "
    told += f"{plan.hours_a_day} hours a day"
    there = Receipt.objects.filter(backend__slug__startswith=PREFIX).exclude(note__endswith=told).first()
    if there is not None:
        raise OtherPlan(f"There is other simulated usage: {there.note}.")
    parts = _parts(plan, workload_ids)
    weight = _Weights(plan, windows)
    written = 0
    for number, (backend, mine) in enumerate(parts):
        feed = ledger.feed(FeedKind.PUSH, backend)
        for start, end in windows:
            note = f"Simulated, {start:%b %Y} of {told}"
            if Receipt.objects.filter(backend=backend, note=note).exists():
                continue
            cells = _cells(plan, weight, backend, mine, start, end)
            receipt = Receipt(kind=FeedKind.PUSH, backend=backend, note=note, is_demo=True)
            receipt.accepted = weight.between(mine, start, end)
            ledger.post_many(receipt, feed, cells)
            written += len(mine) * (end - start).days * plan.hours_a_day
            tell(f"Backend {number + 1} of {len(parts)}, {start:%b %Y}")
    tell("Building the days")
    days.rebuild()
    # PostgreSQL knows nothing yet of tables that were filled just now.
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    return written


def remove(*, tell: Callable[[str], None] = lambda _: None) -> int:
    """Take away all that was simulated, some series at a time; return how many series went."""
    backends = Backend.objects.filter(slug__startswith=PREFIX, is_demo=True)
    ids = list(Series.objects.filter(backend__in=backends).order_by("pk").values_list("pk", flat=True))
    for first in range(0, len(ids), SERIES_AT_ONCE):
        some = ids[first : first + SERIES_AT_ONCE]
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET LOCAL phaseline.allow_ledger_delete = 'on'")
            cursor.execute(
                "DELETE FROM metrics_ledgerhistogram g USING metrics_ledgerentry e "
                "WHERE g.entry_id = e.id AND e.series_id = ANY(%s)",
                [some],
            )
            for table in _BY_SERIES:
                cursor.execute(f"DELETE FROM {table} WHERE series_id = ANY(%s)", [some])
        tell(f"{min(first + SERIES_AT_ONCE, len(ids))} of {len(ids)} series taken away")
    with transaction.atomic():
        Receipt.objects.filter(backend__in=backends).delete()
        Series.objects.filter(backend__in=backends).delete()
        Feed.objects.filter(backend__in=backends).delete()
        backends.delete()
        forget()
    return len(ids)


def sizes() -> dict[str, int]:
    """Bytes on disk, indexes included, of the tables that grow with usage."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT name, pg_total_relation_size(name::regclass) FROM unnest(%s::text[]) AS t (name)", [list(TABLES)]
        )
        return dict(cursor.fetchall())


@dataclass(frozen=True, slots=True)
class _Member:
    """A series: its id, its place among all, and its provider's place."""

    pk: int
    place: int
    provider: int


def _parts(plan: Plan, workload_ids: Sequence[int]) -> list[tuple[Backend, list[_Member]]]:
    """The backends with their series, made where they are not there."""
    found = []
    for number, provider in enumerate(PROVIDERS[: min(len(PROVIDERS), plan.series)]):
        backend, _ = Backend.objects.get_or_create(
            slug=f"{PREFIX}{provider}",
            defaults={
                "name": f"Simulated {provider}",
                "connector": "push_only",
                "provider": provider,
                "measured_at": "gateway",
                "is_demo": True,
            },
        )
        places = range(number, plan.series, len(PROVIDERS))
        identities = {
            place: SeriesIdentity(
                SeriesKey(provider, f"simulated-model-{place}"),
                backend.pk,
                is_pushed=True,
                workload_id=workload_ids[place // len(PROVIDERS) % len(workload_ids)] if workload_ids else None,
            )
            for place in places
        }
        ids = series_ids(identities.values(), is_demo=True)
        found.append((backend, [_Member(ids[identity], place, number) for place, identity in identities.items()]))
    return found


class _Weights:
    """Shares out the requests to the last one: series, days and hours each have a weight, in one order."""

    def __init__(self, plan: Plan, windows: Sequence[tuple[date, date]]) -> None:
        self.plan, self.hours = plan, plan.hours()
        first, last = windows[0][0], windows[-1][1]
        self.last = last - timedelta(days=1)
        self.day_weights = {}
        for offset in range((last - first).days):
            day = first + timedelta(days=offset)
            growth = 1 + 2 * offset / max(1, (last - first).days)
            self.day_weights[day] = growth * (WEEKEND if day.weekday() >= 5 else 1.0)  # noqa: PLR2004 - Saturday
        random = Random(plan.seed)  # noqa: S311 - invented figures
        self.series_weights = [0.2 + random.expovariate(1) for _ in range(plan.series)]
        self.hour_shares = [CURVE[hour] / sum(CURVE[hour] for hour in self.hours) for hour in self.hours]
        days_sum, series_sum = math.fsum(self.day_weights.values()), math.fsum(self.series_weights)
        # The first request of each series' day, of all requests put in a row.
        self.day_shares, before = {}, 0.0
        for day, weight in self.day_weights.items():
            self.day_shares[day] = (before / days_sum, (before + weight) / days_sum)
            before += weight
        self.series_starts, before = [], 0.0
        for weight in self.series_weights:
            self.series_starts.append((before / series_sum, (before + weight) / series_sum))
            before += weight

    def at(self, place: int, share: float) -> int:
        """How many of all requests lie before this share of a series' life."""
        low, high = self.series_starts[place]
        is_end = place == self.plan.series - 1 and share >= 1
        return self.plan.requests if is_end else math.floor(self.plan.requests * (low + (high - low) * min(share, 1.0)))

    def of_day(self, place: int, day: date) -> list[int]:
        """The requests of each hour."""
        low, high = self.day_shares[day]
        edges, share = [self.at(place, low)], 0.0
        for number, part in enumerate(self.hour_shares, start=1):
            share += part
            end = low + (high - low) * share
            if number == len(self.hour_shares):
                end = 1.0 if day == self.last else high
            edges.append(self.at(place, end))
        return [after - before for before, after in zip(edges, edges[1:], strict=False)]

    def between(self, members: Sequence[_Member], start: date, end: date) -> int:
        """The requests of these series in the days [start, end)."""
        last = end - timedelta(days=1)
        share = 1.0 if last == self.last else self.day_shares[last][1]
        return sum(self.at(one.place, share) - self.at(one.place, self.day_shares[start][0]) for one in members)


def _cells(
    plan: Plan, weights: _Weights, backend: Backend, members: Sequence[_Member], start: date, end: date
) -> Iterator[PostedCell]:
    random = Random(f"{plan.seed} {backend.slug} {start}")  # noqa: S311 - invented figures
    for one in members:
        price_in, price_out = PRICES[one.provider]
        middle = 215 + one.place * 7 % 40
        for offset in range((end - start).days):
            day = start + timedelta(days=offset)
            for hour, requests in zip(weights.hours, weights.of_day(one.place, day), strict=True):
                if not requests:
                    continue
                errors = int(requests * random.uniform(0, 0.01))
                tokens_in = round(requests * random.uniform(700, 1100))
                tokens_out = round((requests - errors) * random.uniform(120, 260))
                mean_ms = round(math.exp((middle - 230) * 0.0392) * 1000 * random.uniform(0.9, 1.2))
                yield PostedCell(
                    one.pk,
                    datetime.combine(day, time(hour), tzinfo=UTC),
                    {
                        "requests": requests,
                        "errors": errors,
                        "input_tokens": tokens_in,
                        "cached_input_tokens": tokens_in // 5,
                        "output_tokens": tokens_out,
                        "estimated_cost": (tokens_in * price_in + tokens_out * price_out).scaleb(-6),
                        "duration_count": requests,
                        "duration_sum_ms": Decimal(requests * mean_ms),
                    },
                    {"duration": window_of(requests, middle + random.randrange(-3, 4))},
                    "USD",
                )


def window_of(count: int, middle: int) -> list[int]:
    """`count` latencies, log-normal around a bucket, as `metrics.histogram` keeps them."""
    cumulated = _shapes.get(count)
    if cumulated is None:
        cumulated = [
            round(count * (1 + math.erf((place + 0.5) / SIGMA_BUCKETS / math.sqrt(2))) / 2)
            for place in range(-_REACH, _REACH)
        ]
        cumulated.append(count)
        if len(_shapes) > 50_000:  # noqa: PLR2004 - some 60 MB
            _shapes.clear()
        _shapes[count] = cumulated
    counts = [int(after - before) for before, after in zip([0, *cumulated], cumulated, strict=False)]
    first = next(place for place, number in enumerate(counts) if number)
    last = max(place for place, number in enumerate(counts) if number)
    return [middle - _REACH + first, *counts[first : last + 1]]

"""Any mix of pushes, pulls, restatements, races, reversals and readings: the sums hold and equal a naive model."""

from __future__ import annotations

from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import count
from zoneinfo import ZoneInfo

import pytest
from django.db import connection, connections, transaction
from django.utils import timezone
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from metrics import checking, compaction, days, histogram, identity, ledger, series
from metrics.figures import Scope
from metrics.ledger import PostedCell
from metrics.models import Backend, LedgerEntry, Receipt
from metrics.usage import ADDITIVE_MEASURES as MEASURES
from metrics.usage import FeedKind, ForeignHistogram, SeriesKey
from metrics.windows import Window

HOUR = timedelta(hours=1)
# Two days around the end of summer time in Amsterdam, and the edge of a month in UTC.
STARTS = (
    datetime(2026, 10, 24, 20, tzinfo=UTC),
    datetime(2026, 3, 28, 20, tzinfo=UTC),
    datetime(2026, 1, 31, 12, tzinfo=UTC),
)
HOURS = 36
MODELS = ("m1", "m2")
BOUNDS = (100.0, 250.0, 1000.0)
_numbers = count()

counts = st.integers(0, 50)
money = st.integers(0, 10**12).map(lambda nano: Decimal(nano).scaleb(-10))
tenths = st.integers(0, 10**7).map(lambda value: Decimal(value).scaleb(-6))
sums = st.fixed_dictionaries(
    {},
    optional={
        "requests": counts,
        "errors": counts,
        "output_tokens": counts,
        "gpu_busy_seconds": tenths,
        "estimated_cost": money,
        "billed_cost": money,
    },
)
windows = st.lists(st.floats(0.05, 10**8, allow_nan=False), max_size=4).map(histogram.window_of_values)
foreign = st.tuples(*[st.integers(0, 9)] * (len(BOUNDS) + 1)).map(lambda found: ForeignHistogram(BOUNDS, found))
cells = st.fixed_dictionaries(
    {
        "model": st.sampled_from(MODELS),
        "hour": st.integers(0, HOURS - 1),
        "sums": sums,
        "currency": st.sampled_from(["USD", "EUR"]),
        "native": st.none() | windows,
        "foreign": st.none() | foreign,
    }
)
steps = st.one_of(
    st.tuples(st.just("push"), st.lists(cells, min_size=1, max_size=5)),
    st.tuples(st.just("pull"), st.lists(cells, max_size=5), st.integers(0, HOURS - 1), st.integers(1, HOURS)),
    st.tuples(st.just("again"), st.integers(1, 5)),
    st.tuples(st.just("late"), st.lists(cells, max_size=3)),
    st.tuples(st.just("race"), st.lists(cells, min_size=1, max_size=4), st.integers(1, 9)),
    st.tuples(st.just("reverse"), st.integers(0, 20)),
    st.tuples(st.just("read"), st.just(0)),
    st.tuples(st.just("rebuild"), st.just(0)),
    st.tuples(st.just("compact"), st.integers(0, 20)),
)


class Naive:
    """What the ledger must add up to. `stated`: (model, hour, currency) -> measure -> value."""

    def __init__(self):
        self.pushes = []
        # Too old to be taken back.
        self.settled = []
        self.stated = {}
        self.stated_histograms = {}

    def hours(self):
        found = defaultdict(dict)
        for _, batch, _ in [*self.settled, *self.pushes]:
            _add(found, batch)
        _add(found, self.stated)
        return {key: values for key, values in found.items() if values}

    def histograms(self):
        found = defaultdict(list)
        for _, _, held in [*self.settled, *self.pushes]:
            for key, window in held.items():
                found[key] = histogram.add(found[key], window)
        for key, window in self.stated_histograms.items():
            found[key] = histogram.add(found[key], window)
        return found

    def state(self, batch, held, start, end):
        for key in [*self.stated, *batch]:
            if start <= key[1] < end:
                before, now = self.stated.get(key, {}), batch.get(key, {})
                self.stated[key] = {**dict.fromkeys(before, 0), **now}
        for key in [key for key in self.stated_histograms if start <= key[1] < end]:
            del self.stated_histograms[key]
        self.stated_histograms.update(held)


def _add(into, batch):
    for key, values in batch.items():
        for name, value in values.items():
            into[key][name] = into[key].get(name, 0) + value


def added(cells):
    """Cells as the naive model has them."""
    batch, held = defaultdict(dict), defaultdict(list)
    for cell in cells:
        has_money = {"estimated_cost", "billed_cost"} & set(cell["sums"])
        _add(batch, {(cell["model"], cell["hour"], cell["currency"] if has_money else ""): cell["sums"]})
        if cell["native"]:
            key = (cell["model"], cell["hour"], None)
            held[key] = histogram.add(held[key], cell["native"])
        if cell["foreign"]:
            key = (cell["model"], cell["hour"], BOUNDS)
            held[key] = histogram.add(held[key], histogram.window_of_foreign(cell["foreign"]))
    return dict(batch), dict(held)


class World:
    """One backend of its own, so that examples do not meet."""

    def __init__(self, start):
        slug = f"random-{next(_numbers)}"
        self.start = start
        self.backend = Backend.objects.create(slug=slug, name=slug, connector="x", provider=slug)
        wanted = {model: identity.SeriesIdentity(SeriesKey(slug, model), self.backend.pk) for model in MODELS}
        ids = identity.series_ids(wanted.values())
        self.ids = {model: ids[one] for model, one in wanted.items()}
        self.naive = Naive()
        self.as_of = start + timedelta(days=30)
        self.last = ([], 0, HOURS)
        self.adds = ledger.feed(FeedKind.PUSH, self.backend)
        self.states = ledger.feed(FeedKind.USAGE, self.backend)

    def posted(self, cells):
        found = []
        for cell in cells:
            hour = self.start + cell["hour"] * HOUR
            native = {"duration": cell["native"]} if cell["native"] else {}
            found.append(PostedCell(self.ids[cell["model"]], hour, cell["sums"], native, cell["currency"]))
            if cell["foreign"]:
                found.append(PostedCell(self.ids[cell["model"]], hour, {}, {"duration": cell["foreign"]}))
        return found

    def state(self, cells, first, end, as_of):
        return ledger.post_statement(
            receipt=Receipt(kind=FeedKind.USAGE, backend=self.backend),
            feed=self.states,
            window=Window(self.start + first * HOUR, self.start + end * HOUR),
            cells=self.posted(cells),
            as_of=as_of,
        )

    def push(self, cells):
        receipt = ledger.post(Receipt(kind=FeedKind.PUSH, backend=self.backend), self.adds, self.posted(cells))
        self.naive.pushes.append((receipt, *added(cells)))

    def pull(self, cells, first, width):
        end = min(first + width, HOURS)
        named = [cell for cell in cells if first <= cell["hour"] < end]
        self.as_of += HOUR
        self.state(named, first, end, self.as_of)
        self.naive.state(*added(named), first, end)
        self.last = (named, first, end)

    def again(self, times):
        for _ in range(times):
            self.as_of += HOUR
            assert self.state(*self.last, self.as_of) is None

    def late(self, cells):
        named, first, end = self.last
        self.again(1)
        inside = [cell for cell in cells if first <= cell["hour"] < end]
        assert self.state(inside, first, end, self.as_of - HOUR / 2) is None

    def race(self, cells, factor):
        """Two answers of one source arrive at once: the later one stands, whichever is posted first."""
        first_answer, second_answer = cells, [{**cell, "sums": _times(cell["sums"], factor)} for cell in cells]
        self.as_of += 2 * HOUR
        with ThreadPoolExecutor(2) as pool:
            jobs = [
                pool.submit(_apart, self.state, answer, 0, HOURS, as_of)
                for answer, as_of in ((second_answer, self.as_of), (first_answer, self.as_of - HOUR))
            ]
            for job in jobs:
                job.result()
        self.naive.state(*added(second_answer), 0, HOURS)
        self.last = (second_answer, 0, HOURS)

    def reverse(self, position):
        if self.naive.pushes:
            receipt, _, _ = self.naive.pushes.pop(position % len(self.naive.pushes))
            ledger.reverse(receipt)

    def compact(self, position):
        """What was posted up to a receipt grows old, and is merged; each kind of entry of an hour becomes one."""
        mine = Receipt.objects.filter(backend=self.backend).order_by("pk")
        old = list(mine.values_list("pk", flat=True))[: position + 1]
        if not old:
            return
        mine.filter(pk__in=old).update(created_at=timezone.now() - timedelta(days=40))
        self.naive.settled += [push for push in self.naive.pushes if push[0].pk in old]
        self.naive.pushes = [push for push in self.naive.pushes if push[0].pk not in old]
        cursor = {"after": old[0] - 1}
        while not (step := _compacted(cursor)).is_done:
            cursor = step.cursor
        # One that grew old before may come after.
        assert cursor["after"] >= old[-1]
        assert _compacted({"after": old[0] - 1}).removed == 0
        entries = LedgerEntry.objects.filter(receipt__in=old, receipt__is_void=False, receipt__restatements=None)
        kinds = [
            (one.feed_id, one.series_id, one.hour, one.currency, *(getattr(one, name) is None for name in MEASURES))
            for one in entries
        ]
        assert len(kinds) == len(set(kinds))

    def rebuild(self, _):
        checking.rebuild(list(self.ids.values()))

    def read(self, _):
        zone = connection_zone()
        scope = Scope(date(2026, 1, 1), date(2027, 1, 1), None, backend_id=self.backend.pk)
        model_of = {pk: model for model, pk in self.ids.items()}
        found = {
            (model_of[row.key["series"]], row.period): row.sums
            for row in series.usage(scope, by=("series",), grain="day")
        }
        expected = expected_days(self.naive.hours(), self.start, zone)
        assert found.keys() == expected.keys()
        for key, (values, spend) in expected.items():
            sums = found[key]
            for name in ("requests", "errors", "output_tokens", "gpu_busy_seconds"):
                assert sums.total(name) == values.get(name), (key, name)
            assert sums.spend == spend, key
        assert latency_of(self, scope) == expected_latency(self.naive.histograms())


@transaction.atomic
def _compacted(cursor):
    return compaction.merge_step(cursor, timezone.now())


def connection_zone():
    from django.conf import settings as django_settings

    return django_settings.REPORTING_ZONE


def expected_days(hours, start, zone):
    """(model, local day) -> (totals, spend); rates are one to one."""
    by_hour = defaultdict(dict)
    for (model, hour, _), values in hours.items():
        _add({(model, hour): by_hour[model, hour]}, {(model, hour): values})
    found = {}
    for (model, hour), values in by_hour.items():
        day = (start + hour * HOUR).astimezone(zone).date()
        totals, spend = found.setdefault((model, day), ({}, None))
        _add({0: totals}, {0: values})
        cost = values.get("billed_cost", values.get("estimated_cost"))
        if cost is not None:
            found[model, day] = (totals, (spend or 0) + cost)
    return found


def latency_of(world, scope):
    found = {None: {}, BOUNDS: {}}
    for row in series.latency(scope):
        found[None] = {bucket: n for bucket, n in row.histogram.native.items() if n}
        found[BOUNDS] = {bucket: n for bucket, n in row.histogram.foreign.get(BOUNDS, {}).items() if n}
    return found


def expected_latency(held):
    found = {None: defaultdict(int), BOUNDS: defaultdict(int)}
    for (_, _, bounds), window in held.items():
        for bucket, number in histogram.buckets_of(window).items():
            found[bounds][bucket] += number * histogram.SHARE_UNIT
    return {bounds: {bucket: n for bucket, n in buckets.items() if n} for bounds, buckets in found.items()}


def _times(values, factor):
    return {name: value * factor for name, value in values.items()}


def _apart(work, *args):
    """Run in a thread, with its own connection."""
    try:
        return work(*args)
    finally:
        connections.close_all()


@pytest.fixture
def database_zone(transactional_db):
    """`database_zone(name)`: new connections to the database begin in this zone."""
    name = connection.settings_dict["NAME"]

    def _set(zone):
        with connection.cursor() as cursor:
            cursor.execute(f"ALTER DATABASE \"{name}\" SET timezone = '{zone}'")
        connection.close()
        connection.close_pool()

    yield _set
    _set("UTC")


@pytest.mark.parametrize(
    ("database", "reporting"),
    [("UTC", "UTC"), ("Asia/Kolkata", "UTC"), ("America/New_York", "Europe/Amsterdam")],
)
def test_any_mix_of_writes_keeps_the_sums(database_zone, database, reporting, settings):
    settings.REPORTING_ZONE = ZoneInfo(reporting)
    database_zone(database)
    make_currencies_equal()

    @_few_examples
    @given(st.sampled_from(STARTS), st.lists(steps, min_size=1, max_size=12))
    def run(start, taken):
        world = World(start)
        for name, *args in taken:
            getattr(world, name)(*args)
        world.read(None)
        assert checking.check() == []

    run()
    days.refresh()
    assert checking.check() == []


def make_currencies_equal():
    """One euro is one dollar on every day, so that the model needs no rates."""
    from metrics.models import ExchangeRate

    ExchangeRate.objects.bulk_create(
        [
            ExchangeRate(currency="USD", on=date(2026, 1, 1) + timedelta(days=day), per_euro=Decimal(1))
            for day in range(0, 366, 30)
        ]
    )


_few_examples = examples(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example],
)

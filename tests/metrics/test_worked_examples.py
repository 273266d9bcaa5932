"""The examples of docs/measures.md, 'Usage, worked by hand', number by number."""

from __future__ import annotations

import re
import sys
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from accounts.models import Workload
from metrics import histogram, ledger, series
from metrics.actions.links import link_backend
from metrics.actions.rules import RuleFields, adding, change_rules
from metrics.capacity import post_capacity
from metrics.figures import Scope
from metrics.ledger import PostedCell
from metrics.models import Allocation, Backend, ExchangeRate, LedgerEntry, RateCard, Receipt, Series, UsageHour
from metrics.money import split
from metrics.percentiles import PostedPercentile, post_percentiles
from metrics.usage import FeedKind, ForeignHistogram, SeriesKind
from metrics.windows import Window

DAY = date(2026, 3, 4)
TEN = datetime(2026, 3, 4, 10, tzinfo=UTC)
HOUR = timedelta(hours=1)
USD = "USD"


@pytest.fixture
def post(backend):
    """`post(series, sums, hour=TEN, ...)`: a push of one cell."""

    def _post(series_id, sums, *, hour=TEN, currency="", histograms=None):
        return ledger.post(
            Receipt(kind=FeedKind.PUSH, backend=backend),
            ledger.feed(FeedKind.PUSH, backend),
            [PostedCell(series_id, hour, sums, histograms or {}, currency)],
        )

    return _post


@pytest.fixture
def mine(make_series, claims):
    return make_series("m1", is_pushed=True, workload_id=claims.pk)


def scope(claims, *, start=DAY, until=None):
    return Scope(start, until or start + timedelta(days=1), (claims.pk,))


def sums_of(claims, **window):
    rows = series.usage(scope(claims, **window))
    assert len(rows) == 1
    return rows[0].sums


def post_two_hours(post, mine):
    post(
        mine,
        {
            "requests": 100,
            "errors": 2,
            "input_tokens": 20_000,
            "output_tokens": 5_000,
            "estimated_cost": Decimal("1.50"),
        },
        currency=USD,
    )
    post(
        mine, {"requests": 50, "output_tokens": 1_000, "estimated_cost": Decimal("0.30")}, hour=TEN + HOUR, currency=USD
    )


def test_sums(post, mine, claims):
    """Sums and what is unknown in them"""
    post_two_hours(post, mine)
    sums = sums_of(claims)
    totals = [sums.total(name) for name in ("requests", "errors", "input_tokens", "output_tokens", "tokens")]
    assert totals == [150, 2, 20_000, 6_000, 25_000]
    rate = sums.ratio("errors", "requests", weight="requests")
    assert rate.value == Decimal("0.02")
    assert round(rate.coverage, 3) == Decimal("0.667")


def test_ratio(post, mine, claims):
    """A ratio and its coverage"""
    post_two_hours(post, mine)
    ratio = sums_of(claims).ratio("spend", "tokens")
    assert ratio.value * 10**6 == 60
    assert round(ratio.coverage, 2) == Decimal("0.83")
    post(mine, {"estimated_cost": Decimal("3.00")}, hour=TEN + 2 * HOUR, currency=USD)
    covered_by_a_third = sums_of(claims).ratio("spend", "tokens")
    assert covered_by_a_third.value is None
    assert round(covered_by_a_third.coverage, 2) == Decimal("0.31")


def test_shares(post, make_series, claims, other):
    """Shares of a series"""
    shared = make_series("m1", is_pushed=True)
    for workload, share in ((claims, "0.6"), (other, "0.3")):
        Allocation.objects.create(
            series_id=shared, workload=workload, share_ratio=Decimal(share), valid_from_on=date(2026, 1, 1)
        )
    post(shared, {"requests": 150, "estimated_cost": Decimal(10)}, currency=USD)
    rows = series.usage(Scope(DAY, DAY + timedelta(days=1), None), by=("workload",))
    found = {row.key["workload"]: (row.sums.total("requests"), row.sums.spend) for row in rows}
    assert found == {claims.pk: (90, 6), other.pk: (45, 3), None: (15, 1)}


def test_days(post, mine, claims, settings):
    """Days of the reporting zone"""
    settings.REPORTING_ZONE = ZoneInfo("Europe/Amsterdam")
    post(mine, {"requests": 1}, hour=TEN.replace(hour=23))
    assert series.usage(scope(claims)) == []
    assert sums_of(claims, start=date(2026, 3, 5)).total("requests") == 1
    for day, requests in ((date(2026, 3, 29), 23), (date(2026, 10, 25), 25)):
        before = datetime(day.year, day.month, day.day, tzinfo=UTC) - 4 * HOUR
        for hour in range(40):
            post(mine, {"requests": 1}, hour=before + hour * HOUR)
        assert sums_of(claims, start=day).total("requests") == requests


def test_spend(post, mine, claims):
    """Estimated, billed, spend"""
    post(mine, {"estimated_cost": Decimal(5), "billed_cost": Decimal(4)}, currency=USD)
    post(mine, {"estimated_cost": Decimal(3)}, hour=TEN + HOUR, currency=USD)
    sums = sums_of(claims)
    assert (sums.spend, sums.estimated, sums.billed, sums.unsettled) == (7, 8, 4, 3)
    assert (round(100 * sums.billed / sums.spend), round(100 * sums.unsettled / sums.spend)) == (57, 43)


def test_spreading():
    """A statement spread over usage"""
    parts = split(Decimal("10.00"), [Decimal(1), Decimal(2), Decimal(4)])
    assert parts == [Decimal("1.4285714286"), Decimal("2.8571428571"), Decimal("5.7142857143")]
    assert sum(parts) == 10


def test_currency(post, mine, claims, settings):
    """Another currency"""
    settings.REPORTING_CURRENCY = "EUR"
    friday = date(2026, 10, 30)
    ExchangeRate.objects.create(currency=USD, on=friday, per_euro=Decimal("1.25"))
    for day in (friday, date(2026, 11, 2), date(2026, 11, 8), date(2026, 12, 15)):
        noon = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
        post(mine, {"estimated_cost": Decimal(10)}, hour=noon, currency=USD)
    for day, stale in ((friday, {}), (date(2026, 11, 2), {}), (date(2026, 11, 8), {USD: friday})):
        sums = sums_of(claims, start=day)
        assert (sums.spend, sums.stale_rates, sums.no_rate) == (8, stale, frozenset())
    late = sums_of(claims, start=date(2026, 12, 15))
    assert (late.spend, late.no_rate) == (None, {USD})
    together = sums_of(claims, start=friday, until=date(2027, 1, 1))
    assert (together.spend, together.no_rate) == (24, {USD})


def test_not_priced(post, mine, make_series, claims):
    """Not priced"""
    unpriced = make_series("new-model", is_pushed=True, workload_id=claims.pk)
    post(unpriced, {"requests": 40, "input_tokens": 8_000, "output_tokens": 1_000})
    post(mine, {"requests": 60, "estimated_cost": Decimal(3)}, currency=USD)
    sums = sums_of(claims)
    assert sums.spend == 3
    assert sums.ratio("spend", "requests").value * 1000 == 50
    assert (sums.requests_without_cost, sums.tokens_without_cost) == (40, 9_000)


def test_capacity(post, mine, make_series, claims):
    """Capacity on reserved and on used basis"""
    idle = make_series("", is_pushed=True, workload_id=claims.pk, kind=SeriesKind.IDLE)
    post(mine, {"output_tokens": 2_000_000, "estimated_cost": Decimal(6)}, currency=USD)
    post(idle, {"estimated_cost": Decimal(2)}, currency=USD)
    sums = sums_of(claims)
    assert sums.spend == 8
    assert sums.ratio("spend", "output_tokens").value * 10**6 == 4
    assert sums.ratio("spend", "output_tokens", basis="used").value * 10**6 == 3
    assert sums.ratio("spend", "output_tokens").coverage == 1


def test_percentiles(post, mine, claims):
    """Percentiles from single latencies"""
    post(mine, {"requests": 4}, histograms={"duration": histogram.window_of_values([120, 180, 240, 900])})
    (row,) = series.latency(scope(claims))
    assert row.histogram.percentile(50).ms == pytest.approx(180, rel=0.025)
    assert row.histogram.percentile(95).ms == pytest.approx(900, rel=0.025)


def test_percentiles_of_several_series(post, make_series, claims):
    """Percentiles of several series"""
    for model, durations in (("fast", [100] * 9), ("slow", [2_000])):
        one = make_series(model, is_pushed=True, workload_id=claims.pk)
        post(one, {"requests": 1}, histograms={"duration": histogram.window_of_values(durations)})
    (row,) = series.latency(scope(claims))
    assert row.histogram.percentile(90).ms == pytest.approx(100, rel=0.025)
    assert row.histogram.percentile(95).ms == pytest.approx(2_000, rel=0.025)


def test_percentiles_of_foreign_buckets(post, mine, claims):
    """Percentiles from a server's own buckets"""
    reported = ForeignHistogram((300.0, 2_000.0, 2_500.0), (1, 2, 6, 0))
    post(mine, {"requests": 9}, histograms={"duration": reported})
    (row,) = series.latency(scope(claims))
    high, low = row.histogram.percentile(95), row.histogram.percentile(5)
    assert (high.ms, high.low_ms, high.high_ms) == (None, 2_000, 2_500)
    assert (low.ms, low.low_ms, low.high_ms) == (None, None, 300)


def test_mean(post, mine, claims):
    """Where only a mean is known"""
    post(mine, {"requests": 4, "duration_count": 3, "duration_sum_ms": Decimal(600)})
    post(mine, {"requests": 12}, hour=TEN + HOUR)
    (row,) = series.latency(scope(claims))
    assert (row.mean_ms, row.mean_coverage) == (200, Decimal("0.25"))
    assert row.histogram.percentile(95) is None


def test_stated_percentiles(backend, mine, claims):
    """Where the source states the percentile"""
    eleven = TEN + HOUR
    post_percentiles(
        receipt=Receipt(kind=FeedKind.USAGE, backend=backend),
        feed=ledger.feed(FeedKind.PERCENTILE, backend),
        window=Window(eleven, eleven + 2 * HOUR),
        stated=[
            PostedPercentile(mine, eleven + hours * HOUR, eleven + (hours + 1) * HOUR, "duration", Decimal(95), value)
            for hours, value in enumerate((Decimal(4000), Decimal(1200)))
        ],
        as_of=eleven + 2 * HOUR,
    )
    found = series.stated_percentiles(scope(claims))[0]
    assert (found.latest.value_ms, found.latest.start.hour) == (1200, 12)
    assert (found.worst.value_ms, found.worst.start.hour) == (4000, 11)
    assert series.latency(scope(claims)) == []


def test_counted_once(backend, post, make_series, claims):
    """Counted once"""
    gateway = Backend.objects.create(slug="litellm", name="LiteLLM", connector="push_only", measured_at="gateway")
    Backend.objects.filter(pk=backend.pk).update(behind=gateway, behind_from_on=DAY)
    server = make_series("llama", is_pushed=True, workload_id=claims.pk)
    front = make_series("llama", on=gateway, is_pushed=True, workload_id=claims.pk, measured_at="gateway")
    Series.objects.filter(pk=server).update(uncounted_from_on=DAY)
    timed = {"duration": histogram.window_of_values([100])}
    post(server, {"requests": 10, "input_tokens": 300, "output_tokens": 119}, histograms=timed)
    post(front, {"requests": 10, "input_tokens": 300, "output_tokens": 112}, histograms=timed)
    sums = sums_of(claims)
    assert (sums.total("tokens"), sums.total("requests")) == (412, 10)
    (check,) = series.cross_checks(scope(claims))
    assert (check.counted_tokens, check.other_tokens) == (412, 419)
    assert round(100 * check.gap_ratio, 1) == Decimal("1.7")
    assert [row.key["measured_at"] for row in series.latency(scope(claims))] == ["gateway", "server"]


def test_restated(backend, post, mine):
    """Restated and taken back"""

    def state(requests, as_of):
        return ledger.post_statement(
            receipt=Receipt(kind=FeedKind.USAGE, backend=backend),
            feed=ledger.feed(FeedKind.USAGE, backend),
            window=Window(TEN, TEN + HOUR),
            cells=[PostedCell(mine, TEN, {"requests": requests})],
            as_of=as_of,
        )

    state(7, TEN + HOUR)
    restated = state(5, TEN + 2 * HOUR)
    assert LedgerEntry.objects.get(receipt=restated).requests == -2
    assert UsageHour.objects.get().requests == 5
    assert state(5, TEN + 4 * HOUR) is None
    assert state(6, TEN + 3 * HOUR) is None
    wrong = post(mine, {"requests": 70, "blocked": 3})
    assert UsageHour.objects.get().blocked == 3
    ledger.reverse(wrong)
    hour = UsageHour.objects.get()
    assert (hour.requests, hour.blocked) == (5, None)


def test_shared_capacity(shared, claims, other, search, settings):
    """A shared GPU backend"""
    settings.IDLE_ALLOCATION = "unallocated"
    gpu, _ = shared
    post_capacity(datetime(2026, 3, 4, 12, 10, tzinfo=UTC), backend_ids=[gpu.pk], since=TEN.replace(hour=0))
    day = Scope(DAY, DAY + timedelta(days=1), None)
    busy = {row.key["workload_slug"]: row.sums.spend for row in series.usage(day, by=("workload",))}
    assert busy == {
        "claims": Decimal(5),
        "other": Decimal("0.4583333333"),
        "search": Decimal("1.4166666667"),
        None: Decimal("53.125"),
    }
    assert sum(busy.values()) == 60
    settings.IDLE_ALLOCATION = "as_busy"
    post_capacity(datetime(2026, 3, 4, 12, 20, tzinfo=UTC), backend_ids=[gpu.pk])
    spend = {row.key["workload_slug"]: row.sums.spend for row in series.usage(day, by=("workload",))}
    assert sum(spend.values()) == 60
    assert {slug: round(amount, 2) for slug, amount in spend.items()} == {
        "claims": Decimal("43.64"),
        "other": Decimal("4.00"),
        "search": Decimal("12.36"),
    }
    by_model = {row.key["model"]: row.sums.spend for row in series.usage(day, by=("model",))}
    assert by_model == {"llama": Decimal("5.25"), "qwen": Decimal("1.625"), "": Decimal("53.125")}


@pytest.fixture
def search(db):
    return Workload.objects.create(slug="search", name="Search")


@pytest.fixture
def shared(backend, make_series, adam, asker, claims, other, search):
    """GPU 1 with two models behind LiteLLM, which tells three teams apart; rules give each team its roadmap."""
    gateway = Backend.objects.create(slug="gw", name="LiteLLM", connector="x", provider="vllm", measured_at="gateway")
    RateCard.objects.create(
        backend=backend, kind="rented", units=2, currency=USD, rate_per_unit_hour=Decimal("2.50"), valid_from_on=DAY
    )
    for team, workload in (("claims", claims), ("fraud", other), ("search", search)):
        change_rules(asker(adam), adding(RuleFields([(workload, Decimal(1))], label_name="team", label_value=team)))

    def pulled(on, model, hour, team=None, **sums):
        key = {"on": gateway, "measured_at": "gateway", "labels": (("team", team),)} if team else {"on": on}
        feed = ledger.feed(FeedKind.USAGE, key["on"])
        cell = PostedCell(make_series(model, **key), TEN.replace(hour=hour), {"requests": 1, **sums})
        ledger.post(Receipt(kind=FeedKind.USAGE, backend=key["on"]), feed, [cell])

    def tokens(input_tokens, output_tokens):
        return {"input_tokens": input_tokens, "output_tokens": output_tokens}

    pulled(backend, "org/llama", 9, gpu_busy_seconds=Decimal(1800), **tokens(1_000, 400))
    pulled(backend, "org/qwen", 9, gpu_busy_seconds=Decimal(900), **tokens(1_000, 200))
    pulled(None, "llama", 9, "claims", **tokens(1_000, 300))
    pulled(None, "llama", 9, "fraud", **tokens(0, 100))
    pulled(None, "qwen", 9, "fraud", **tokens(500, 50))
    pulled(None, "qwen", 9, "search", **tokens(500, 150))
    pulled(backend, "org/llama", 10, **tokens(2_000, 800))
    pulled(backend, "org/qwen", 10, **tokens(500, 200))
    pulled(None, "llama", 10, "claims", **tokens(2_000, 800))
    pulled(None, "qwen", 10, "search", **tokens(500, 200))
    link_backend(asker(adam), backend, gateway=gateway, from_on=DAY)
    return backend, gateway


def test_each_example_of_the_document_is_a_test():
    text = (Path(__file__).parents[2] / "docs" / "measures.md").read_text()
    chapter = re.split(r"^## ", text.split("## Usage, worked by hand\n", 1)[1], maxsplit=1, flags=re.MULTILINE)[0]
    headings = set(re.findall(r"^### (.+)$", chapter, flags=re.MULTILINE))
    tested = {
        test.__doc__ for name, test in vars(sys.modules[__name__]).items() if name.startswith("test_") and test.__doc__
    }
    assert headings == tested

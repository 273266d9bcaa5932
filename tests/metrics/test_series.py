"""The read door: sums, coverage, shares, money in the reporting currency, latency and freshness."""

from __future__ import annotations

from collections import defaultdict
from contextlib import nullcontext
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from metrics import days, ledger, series
from metrics.figures import (
    MergedHistogram,
    Scope,
    Span,
    roll_up,
)
from metrics.ledger import PostedCell
from metrics.models import (
    Allocation,
    Backend,
    ExchangeRate,
    HistogramMonth,
    HistogramWeek,
    Receipt,
    Series,
    StaleDay,
    UsageDay,
)
from metrics.usage import FeedKind, ForeignHistogram
from metrics.windows import month_of, week_of

DAY = date(2026, 3, 4)
NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
def post(backend):
    """`post(series, sums, hour=NOON, ...)`: a push of one cell."""

    def _post(series_id, sums, *, hour=NOON, currency="", histograms=None):
        return ledger.post(
            Receipt(kind=FeedKind.PUSH, backend=backend),
            ledger.feed(FeedKind.PUSH, backend),
            [PostedCell(series_id, hour, sums, histograms or {}, currency)],
        )

    return _post


def scope(*workloads, start=DAY, end=None, **fields):
    ids = tuple(w.pk for w in workloads) if workloads else None
    return Scope(start, end or start + timedelta(days=1), ids, **fields)


def only(rows):
    assert len(rows) == 1
    return rows[0]


def test_it_sums_what_is_allocated_to_a_workload(make_series, post, claims, other):
    mine = make_series("m1", is_pushed=True, workload_id=claims.pk)
    theirs = make_series("m1", is_pushed=True, workload_id=other.pk)
    post(mine, {"requests": 3, "output_tokens": 30})
    post(theirs, {"requests": 100})
    sums = only(series.usage(scope(claims))).sums
    assert (sums.total("requests"), sums.total("output_tokens"), sums.total("input_tokens")) == (3, 30, None)
    assert only(series.usage(scope())).sums.total("requests") == 103
    assert series.usage(Scope(DAY, DAY + timedelta(days=1), ())) == []


def test_a_posting_is_in_the_next_reading(make_series, post, claims):
    mine = make_series("m1", is_pushed=True, workload_id=claims.pk)
    for expected in (1, 2, 3):
        post(mine, {"requests": 1})
        assert only(series.usage(scope(claims))).sums.total("requests") == expected
        assert not StaleDay.objects.exists()


def test_a_reading_is_right_while_another_process_builds_the_days(make_series, post, claims, monkeypatch):
    mine = make_series("m1", is_pushed=True, workload_id=claims.pk)
    post(mine, {"requests": 1}, histograms={"duration": [100, 1]})
    series.usage(scope(claims))
    post(mine, {"requests": 1}, histograms={"duration": [100, 1]})
    post(mine, {"requests": 5}, hour=NOON + 24 * HOUR)
    monkeypatch.setattr(days, "refresh", lambda *_args, **_more: False)
    both = scope(claims, end=DAY + timedelta(days=2))
    assert only(series.usage(both)).sums.total("requests") == 7
    assert [row.sums.total("requests") for row in series.usage(both, grain="day")] == [2, 5]
    assert only(series.latency(both)).histogram.count == 2
    assert StaleDay.objects.count() == 2


def test_a_month_or_a_workload_more_costs_no_query_more(make_series, post, claims, django_assert_num_queries):
    for number in range(4):
        mine = make_series(f"m{number}", is_pushed=True, workload_id=claims.pk)
        for day in range(0, 300, 20):
            post(mine, {"requests": 1}, hour=NOON + 24 * day * HOUR, histograms={"duration": [100, 1]})
    year = scope(claims, end=DAY + timedelta(days=365))
    series.usage(year)
    with django_assert_num_queries(1):
        assert len(series.usage(year, by=("model", "backend"), grain="month")) == 40
    with django_assert_num_queries(1):
        assert len(series.latency(year, grain="month")) == 10
    with django_assert_num_queries(1):
        series.workloads_spend({claims.pk: (year.start_on, year.end_on)})


def test_periods_are_weeks_from_monday_and_months(make_series, post, claims):
    mine = make_series("m1", is_pushed=True, workload_id=claims.pk)
    for day in range(28):
        post(mine, {"requests": 1}, hour=NOON + 24 * day * HOUR)
    four_weeks = scope(claims, end=DAY + timedelta(days=28))
    weeks = {row.period: row.sums.total("requests") for row in series.usage(four_weeks, grain="week")}
    assert weeks == {
        date(2026, 3, 2): 5,
        date(2026, 3, 9): 7,
        date(2026, 3, 16): 7,
        date(2026, 3, 23): 7,
        date(2026, 3, 30): 2,
    }
    months = {row.period: row.sums.total("requests") for row in series.usage(four_weeks, grain="month")}
    assert months == {date(2026, 3, 1): 28}


def test_shares_add_up_to_the_whole_and_the_rest_is_unallocated(make_series, post, claims, other):
    shared = make_series("m1", is_pushed=True)
    third = Decimal("0.3333333333")
    Allocation.objects.create(series_id=shared, workload=claims, share_ratio=third, valid_from_on=date(2026, 1, 1))
    Allocation.objects.create(series_id=shared, workload=other, share_ratio=third, valid_from_on=date(2026, 1, 1))
    post(shared, {"requests": 100, "estimated_cost": Decimal("0.0000000007")}, currency="USD")
    rows = {row.key["workload"]: row.sums for row in series.usage(scope(), by=("workload",))}
    assert rows[claims.pk].spend == Decimal("0.0000000007") * third
    assert rows[None].spend == Decimal("0.0000000007") * (1 - 2 * third)
    assert sum(sums.spend for sums in rows.values()) == Decimal("0.0000000007")
    assert sum(sums.total("requests") for sums in rows.values()) == 100


def test_a_share_is_valid_until_the_day_before_the_next(make_series, post, claims, other):
    moved = make_series("m1", is_pushed=True)
    change = DAY + timedelta(days=1)
    Allocation.objects.create(
        series_id=moved, workload=claims, share_ratio=1, valid_from_on=date(2026, 1, 1), valid_until_on=change
    )
    Allocation.objects.create(series_id=moved, workload=other, share_ratio=1, valid_from_on=change)
    post(moved, {"requests": 1}, histograms={"duration": [100, 1]})
    post(moved, {"requests": 10}, hour=NOON + 24 * HOUR, histograms={"duration": [100, 10]})
    march = {"start": date(2026, 3, 1), "end": date(2026, 4, 1)}
    assert only(series.usage(scope(claims, **march))).sums.total("requests") == 1
    assert only(series.usage(scope(other, **march))).sums.total("requests") == 10
    # The month's histogram lies on both sides of the change, so it is read by its days.
    assert only(series.latency(scope(claims, **march))).histogram.count == 1
    assert only(series.latency(scope(other, **march), grain="month")).histogram.count == 10


def test_money_is_converted_at_the_rate_of_its_day_else_the_last_before(make_series, post, claims, settings):
    settings.REPORTING_CURRENCY = "EUR"
    mine = make_series("m1", is_pushed=True, workload_id=claims.pk)
    ExchangeRate.objects.create(currency="USD", on=DAY, per_euro=Decimal("1.25"))
    ExchangeRate.objects.create(currency="USD", on=DAY - timedelta(days=1), per_euro=Decimal(2))
    post(mine, {"estimated_cost": Decimal(10)}, currency="USD")
    sums = only(series.usage(scope(claims))).sums
    assert sums.spend == 8
    assert not sums.stale_rates
    post(mine, {"estimated_cost": Decimal(1)}, hour=NOON + 24 * 45 * HOUR, currency="USD")
    later = only(series.usage(scope(claims, start=DAY + timedelta(days=45)))).sums
    assert later.spend == Decimal("0.8")
    assert later.stale_rates == {"USD": DAY}
    post(mine, {"estimated_cost": Decimal(1)}, hour=NOON + 24 * 46 * HOUR, currency="USD")
    too_late = only(series.usage(scope(claims, start=DAY + timedelta(days=46)))).sums
    assert too_late.spend is None
    assert too_late.no_rate == {"USD"}


def test_money_without_a_rate_is_in_no_total_as_zero(make_series, post, claims):
    mine = make_series("m1", is_pushed=True, workload_id=claims.pk)
    post(mine, {"requests": 1, "estimated_cost": Decimal(5)}, currency="XAU")
    post(mine, {"requests": 1, "estimated_cost": Decimal(2)}, currency="USD")
    sums = only(series.usage(scope(claims))).sums
    assert sums.spend == 2
    assert sums.no_rate == {"XAU"}


def test_a_statement_replaces_the_estimate_of_its_hours_only(make_series, post, claims):
    mine = make_series("m1", is_pushed=True, workload_id=claims.pk)
    post(mine, {"requests": 1, "estimated_cost": Decimal(5)}, currency="USD")
    post(mine, {"requests": 1, "estimated_cost": Decimal(3)}, currency="USD", hour=NOON + HOUR)
    post(mine, {"billed_cost": Decimal(4)}, currency="USD")
    sums = only(series.usage(scope(claims))).sums
    assert (sums.spend, sums.billed, sums.estimated, sums.unsettled) == (7, 4, 8, 3)


def test_a_statement_in_another_currency_settles_the_estimate(make_series, post, claims):
    ExchangeRate.objects.create(currency="USD", on=DAY, per_euro=Decimal("1.25"))
    mine = make_series("m1", is_pushed=True, workload_id=claims.pk)
    post(mine, {"requests": 1, "estimated_cost": Decimal(5)}, currency="USD")
    post(mine, {"billed_cost": Decimal(4)}, currency="EUR")
    sums = only(series.usage(scope(claims))).sums
    assert (sums.spend, sums.unsettled) == (5, None)


def test_a_ratio_is_over_the_hours_in_which_both_sides_are_known(make_series, post, claims):
    mine = make_series("m1", is_pushed=True, workload_id=claims.pk)
    post(mine, {"requests": 10, "output_tokens": 1000, "estimated_cost": Decimal(3)}, currency="USD")
    post(mine, {"requests": 5, "estimated_cost": Decimal(1)}, currency="USD", hour=NOON + HOUR)
    post(mine, {"requests": 5, "output_tokens": 9}, hour=NOON + 2 * HOUR)
    sums = only(series.usage(scope(claims))).sums
    ratio = sums.ratio("spend", "output_tokens")
    assert ratio.value == Decimal("0.003")
    assert ratio.coverage == Decimal("0.75")
    assert sums.ratio("errors", "requests").value is None
    assert sums.coverage("output_tokens") == Decimal("0.75")
    assert sums.requests_without_cost == 5
    assert sums.tokens_without_cost == 9
    assert sums.total("spend") == 4


def test_a_ratio_that_covers_less_than_half_has_no_value(make_series, post, claims):
    mine = make_series("m1", is_pushed=True, workload_id=claims.pk)
    post(mine, {"output_tokens": 1000, "estimated_cost": Decimal("4.99")}, currency="USD")
    post(mine, {"estimated_cost": Decimal("5.01")}, currency="USD", hour=NOON + HOUR)
    ratio = only(series.usage(scope(claims))).sums.ratio("spend", "output_tokens")
    assert ratio.value is None
    assert ratio.coverage == Decimal("0.499")


def test_a_source_that_does_not_count_is_in_no_sum_but_keeps_its_latency(make_series, post, claims):
    server = make_series("m1", is_pushed=True, workload_id=claims.pk)
    app = make_series("m1", is_pushed=True, workload_id=claims.pk, measured_at="application")
    Series.objects.filter(pk=app).update(uncounted_from_on=DAY)
    for one, count in ((server, 10), (app, 9)):
        post(
            one,
            {"requests": count, "duration_count": 1, "duration_sum_ms": Decimal(50)},
            histograms={"duration": [150, 1]},
        )
        post(one, {"requests": 1}, hour=NOON - 24 * HOUR)
    assert only(series.usage(scope(claims))).sums.total("requests") == 10
    before = scope(claims, start=DAY - timedelta(days=1))
    assert only(series.usage(before)).sums.total("requests") == 2
    latency = series.latency(scope(claims))
    assert [(row.key["measured_at"], row.histogram.count, row.mean_ms) for row in latency] == [
        ("application", 1, 50),
        ("server", 1, 50),
    ]


def test_latency_tells_native_counts_foreign_counts_and_means_apart(make_series, post, claims):
    native = make_series("native", is_pushed=True, workload_id=claims.pk)
    foreign = make_series("foreign", is_pushed=True, workload_id=claims.pk)
    mean_only = make_series("mean", is_pushed=True, workload_id=claims.pk)
    post(native, {"requests": 4}, histograms={"duration": [200, 2, 2]})
    post(foreign, {"requests": 9}, histograms={"duration": ForeignHistogram((300.0, 2000.0, 2500.0), (1, 2, 6, 0))})
    timed = {"requests": 4, "duration_count": 3, "duration_sum_ms": Decimal(600)}
    post(mean_only, timed)
    post(mean_only, {"requests": 12}, hour=NOON + HOUR)
    rows = {row.key["model"]: row for row in series.latency(scope(claims), by=("model",))}
    assert rows["native"].histogram.percentile(50).ms is not None
    assert rows["native"].mean_ms is None
    high = rows["foreign"].histogram.percentile(95)
    assert (high.ms, high.low_ms, high.high_ms) == (None, 2000.0, 2500.0)
    low = rows["foreign"].histogram.percentile(5)
    assert (low.ms, low.low_ms, low.high_ms) == (None, None, 300.0)
    assert rows["mean"].histogram.percentile(95) is None
    assert (rows["mean"].mean_ms, rows["mean"].mean_coverage) == (200, Decimal("0.25"))


def test_a_percentile_weighs_a_series_by_its_share(make_series, post, claims):
    shared = make_series("shared", is_pushed=True)
    Allocation.objects.create(
        series_id=shared, workload=claims, share_ratio=Decimal("0.25"), valid_from_on=date(2026, 1, 1)
    )
    own = make_series("own", is_pushed=True, workload_id=claims.pk)
    post(shared, {"requests": 8}, histograms={"duration": [300, 8]})
    post(own, {"requests": 3}, histograms={"duration": [200, 3]})
    row = only(series.latency(scope(claims)))
    assert row.histogram.count == 5
    alone = only(series.latency(scope(claims), by=("model",))[:1]).histogram
    assert row.histogram.percentile(60) == alone.percentile(50)
    assert row.histogram.percentile(61) != alone.percentile(50)


@pytest.mark.parametrize(("day", "hours"), [(date(2026, 3, 29), 23), (date(2026, 10, 25), 25), (date(2026, 7, 1), 24)])
def test_a_local_day_has_its_own_hours_when_the_clock_changes(make_series, post, claims, settings, day, hours):
    settings.REPORTING_ZONE = ZoneInfo("Europe/Amsterdam")
    mine = make_series("m1", is_pushed=True, workload_id=claims.pk)
    start = datetime(day.year, day.month, day.day, tzinfo=UTC) - 6 * HOUR
    for hour in range(48):
        post(mine, {"requests": 1}, hour=start + hour * HOUR)
    assert only(series.usage(scope(claims, start=day))).sums.total("requests") == hours


def test_another_reporting_zone_drops_the_caches_and_nothing_else(make_series, post, claims, settings):
    mine = make_series("m1", is_pushed=True, workload_id=claims.pk)
    late = datetime(2026, 3, 4, 23, tzinfo=UTC)
    post(mine, {"requests": 1}, hour=late, histograms={"duration": [100, 1]})
    assert only(series.usage(scope(claims))).sums.total("requests") == 1
    settings.REPORTING_ZONE = ZoneInfo("Europe/Amsterdam")
    assert series.usage(scope(claims)) == []
    assert only(series.usage(scope(claims, start=DAY + timedelta(days=1)))).sums.total("requests") == 1
    assert UsageDay.objects.get().day == DAY + timedelta(days=1)
    assert HistogramMonth.objects.get().window == [100, 1]
    assert HistogramWeek.objects.get().window == [100, 1]


def test_rows_roll_up_to_fewer_dimensions(make_series, post, claims):
    for model in ("m1", "m2"):
        mine = make_series(model, is_pushed=True, workload_id=claims.pk)
        post(mine, {"requests": 1})
        post(mine, {"requests": 2, "errors": 1}, hour=NOON + 24 * HOUR)
    rows = series.usage(scope(claims, end=DAY + timedelta(days=2)), by=("model", "provider"), grain="day")
    assert len(rows) == 4
    whole = only(roll_up(rows)).sums
    assert (whole.total("requests"), whole.total("errors"), whole.coverage("errors")) == (6, 2, Decimal(4) / 6)
    assert [row.key["model"] for row in roll_up(rows, by=("model",))] == ["m1", "m2"]


def test_each_workload_is_read_over_its_own_window(make_series, post, claims, other):
    for workload in (claims, other):
        mine = make_series("m1", is_pushed=True, workload_id=workload.pk)
        for day in range(4):
            post(mine, {"requests": 1, "estimated_cost": Decimal(1)}, currency="USD", hour=NOON + 24 * day * HOUR)
    spent = series.workloads_spend(
        {claims.pk: (DAY, DAY + timedelta(days=1)), other.pk: (DAY + timedelta(days=1), DAY + timedelta(days=4))}
    )
    assert (spent[claims.pk].spend, spent[other.pk].spend) == (1, 3)


def test_cross_checks_compare_what_counts_with_what_does_not(backend, make_series, post, claims):
    gateway = Backend.objects.create(slug="litellm", name="LiteLLM", connector="push_only", measured_at="gateway")
    backend.behind = gateway
    backend.save()
    server = make_series("llama.gguf", is_pushed=True, workload_id=claims.pk)
    front = make_series("Llama", on=gateway, is_pushed=True, workload_id=claims.pk, measured_at="gateway")
    Series.objects.filter(pk=server).update(uncounted_from_on=DAY)
    post(server, {"input_tokens": 300, "output_tokens": 119})
    post(front, {"input_tokens": 300, "output_tokens": 112})
    check = only(series.cross_checks(scope(claims)))
    assert (check.counted_name, check.other_name) == ("LiteLLM", "GPU 1 (pushed)")
    assert (check.counted_tokens, check.other_tokens) == (412, 419)
    assert round(check.gap_ratio, 4) == Decimal("0.0170")


def test_freshness_says_how_far_pulled_and_pushed_data_goes(backend, make_series, post, claims, other):
    backend.data_until = NOON
    backend.save()
    pushed_to = Backend.objects.create(slug="push-acme", name="Acme", connector="push_only", provider="acme")
    make_series("m1", is_pushed=True, workload_id=claims.pk)
    acme = make_series("m1", on=pushed_to, is_pushed=True, workload_id=claims.pk)
    receipt = ledger.post(
        Receipt(kind=FeedKind.PUSH, backend=pushed_to),
        ledger.feed(FeedKind.PUSH, pushed_to),
        [PostedCell(acme, NOON, {"requests": 1})],
    )
    push, pull = series.freshness([claims.pk])
    assert (push.name, push.data_until, push.last_push_at) == ("Acme", NOON + HOUR, receipt.created_at)
    assert push.reports is None
    assert (pull.name, pull.data_until, pull.last_push_at) == ("GPU 1", NOON, None)
    assert series.freshness([other.pk]) == []
    assert len(series.freshness(None)) == 2
    assert series.first_and_last_day([claims.pk]) == (DAY, DAY)
    assert series.first_and_last_day([other.pk]) is None


@pytest.mark.parametrize(
    "window",
    [
        (date(2026, 3, 1), date(2026, 5, 1)),
        (date(2026, 3, 2), date(2026, 4, 30)),
        (date(2026, 2, 10), date(2026, 4, 2)),
        (date(2026, 3, 5), date(2026, 3, 9)),
        (date(2026, 1, 1), date(2027, 1, 1)),
    ],
)
def test_latency_of_a_window_is_that_of_its_days(make_series, post, claims, other, window):
    mine = make_series("m1", is_pushed=True, workload_id=claims.pk)
    moved = make_series("m2", is_pushed=True)
    change = date(2026, 4, 10)
    Allocation.objects.create(
        series_id=moved, workload=claims, share_ratio=1, valid_from_on=date(2026, 1, 1), valid_until_on=change
    )
    Allocation.objects.create(series_id=moved, workload=other, share_ratio=1, valid_from_on=change)
    for day in range(0, 90, 3):
        hour = datetime(2026, 2, 8, 12, tzinfo=UTC) + 24 * day * HOUR
        post(mine, {"requests": 1}, hour=hour, histograms={"duration": [100 + day, 1]})
        post(moved, {"requests": 1}, hour=hour, histograms={"duration": [200 + day, 1]})
    both = {claims.pk: window, other.pk: (date(2026, 4, 1), date(2026, 6, 1))}
    found = {row.key["workload"]: row.histogram for row in series.workloads_latency(both)}
    for workload in (claims, other):
        own = scope(workload, start=both[workload.pk][0], end=both[workload.pk][1])
        by_days = sum((row.histogram for row in series.latency(own, grain="day")), MergedHistogram())
        assert found[workload.pk] == by_days
        assert only(series.latency(own)).histogram == by_days
        assert by_days.count > 0
        for grain, start_of in (("week", week_of), ("month", month_of)):
            by_span = defaultdict(MergedHistogram)
            for row in series.latency(own, grain="day"):
                by_span[start_of(row.period)] += row.histogram
            assert {row.period: row.histogram for row in series.latency(own, grain=grain)} == by_span


def test_spans_read_at_once_are_as_each_read_alone(
    make_series, post, claims, other, backend, django_assert_num_queries, monkeypatch
):
    second = Backend.objects.create(slug="b2", name="B2", connector="push_only", provider="vllm")
    ExchangeRate.objects.create(currency="USD", on=date(2026, 2, 1), per_euro=2, source="t")
    for number, (on, workload) in enumerate([(backend, claims), (second, claims), (backend, other)]):
        pk = make_series(f"m{number}", on=on, is_pushed=True, workload_id=workload.pk)
        for day in range(0, 60, 4):
            sums = {"requests": day + 1, "estimated_cost": Decimal(day), "duration_count": 1, "duration_sum_ms": 9}
            hour = datetime(2026, 2, 8, 12, tzinfo=UTC) + 24 * day * HOUR
            post(pk, sums, hour=hour, currency="EUR", histograms={"duration": [100 + day, 1]})
    spans = [
        Span(date(2026, 2, 1), date(2026, 5, 1), "month"),
        Span(date(2026, 2, 10), date(2026, 3, 10), "day"),
        Span(date(2026, 2, 10), date(2026, 3, 10), "week", backend_id=second.pk),
        Span(date(2026, 2, 20), date(2026, 4, 2), None, model="m0"),
        Span(date(2026, 3, 1), date(2026, 4, 1)),
        Span(date(2027, 1, 1), date(2027, 2, 1)),
    ]
    series.usage(scope(start=spans[0].start_on, end=spans[0].end_on))

    def check() -> None:
        for workloads, mine in (((claims.pk,), (claims,)), (None, ())):
            with django_assert_num_queries(2) if not is_stale else nullcontext():
                usage = series.usage_of_spans(workloads, spans, by=("model", "backend"))
                latency = series.latency_of_spans(workloads, spans)
            for span, of_usage, of_latency in zip(spans, usage, latency, strict=True):
                alone = scope(*mine, start=span.start_on, end=span.end_on, backend_id=span.backend_id, model=span.model)
                assert of_usage == series.usage(alone, by=("model", "backend"), grain=span.grain)
                assert of_latency == series.latency(alone)
            assert usage[0]
            assert not usage[-1]

    is_stale = False
    check()
    monkeypatch.setattr(days, "refresh", lambda *_args, **_more: False)
    post(pk, {"requests": 7}, hour=datetime(2026, 3, 9, 12, tzinfo=UTC), histograms={"duration": [90, 1]})
    is_stale = True
    check()


def test_what_allocations_leave_is_the_whole_without_the_shares(make_series, post, claims, other):
    """Shares that begin, change and end within the window, one series without any and one that is allocated whole."""
    divided, nobodys = make_series("m1"), make_series("m2")
    mine = make_series("m3", is_pushed=True, workload_id=claims.pk)
    for workload, share, first, until in (
        (claims, "0.25", 3, 20),
        (claims, "0.5", 20, None),
        (other, "0.3333333333", 10, 25),
        (other, "0.5", 40, None),
    ):
        Allocation.objects.create(
            series_id=divided,
            workload=workload,
            share_ratio=Decimal(share),
            valid_from_on=DAY + timedelta(days=first),
            valid_until_on=None if until is None else DAY + timedelta(days=until),
        )
    for day in range(60):
        for pk in (divided, nobodys, mine):
            sums = {"requests": day + 1, "estimated_cost": round(Decimal(day) / 7, 10)}
            post(pk, sums, hour=NOON + 24 * day * HOUR, currency="USD")
    window = scope(end=DAY + timedelta(days=60))
    rows = [row for row in series.usage(window, by=("workload", "model"), grain="day") if row.key["workload"] is None]
    assert rows == series.unallocated(window, by=("workload", "model"), grain="day")
    left = {(row.key["model"], row.period): row.sums for row in rows}
    assert {model for model, _ in left} == {"m1", "m2"}
    for day in range(60):
        on = DAY + timedelta(days=day)
        taken = {claims: 0, other: 0}
        if day >= 3:
            taken[claims] = Decimal("0.25") if day < 20 else Decimal("0.5")
        if 10 <= day < 25:
            taken[other] = Decimal("0.3333333333")
        if day >= 40:
            taken[other] = Decimal("0.5")
        share = 1 - sum(taken.values())
        assert left["m2", on].total("requests") == day + 1
        if not share:
            assert ("m1", on) not in left
            continue
        assert left["m1", on].total("requests") == (day + 1) * share
        assert left["m1", on].spend == round(Decimal(day) / 7, 10) * share
    assert series.unallocated(scope(claims), by=("workload",)) == []

"""Percentiles that a source states: kept as they are, replaced by a later answer, never merged."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from accounts.models import Workload
from metrics import ledger, series
from metrics import pull as pulling
from metrics.connector import PercentileStatement
from metrics.figures import Scope
from metrics.models import Allocation, Backend, Receipt, StatedPercentile, StatedWindow
from metrics.percentiles import PostedPercentile, post_percentiles
from metrics.usage import FeedKind, SeriesKey
from metrics.windows import Window
from tests.metrics.pulling import HOUR, KEY, NOW, Provider, at, backend_of, registered

pytestmark = pytest.mark.django_db

D = Decimal
ONE_HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def stated(hour: datetime, value: str, *, percent: str = "95", measure: str = "duration", key: SeriesKey = KEY, **more):
    return PercentileStatement(key, hour, hour + ONE_HOUR, measure, D(percent), D(value), **more)


@pytest.fixture
def provider(monkeypatch):
    told = Provider()
    with registered(monkeypatch, told):
        yield told


@pytest.fixture
def source(provider) -> Backend:
    return backend_of("double", parameters={"address": "https://example.org"})


def pull(source, *percentiles: PercentileStatement, provider: Provider, now: datetime = NOW):
    provider.percentiles[:] = percentiles
    return pulling.pull(source.pk, clock=at(now))


def held() -> dict[tuple[datetime, str], Decimal]:
    return {(row.start, f"{row.percent.normalize():f}"): row.value_ms for row in StatedPercentile.objects.all()}


# --- Written by the pull


def test_a_pull_keeps_what_the_source_states(provider, source):
    provider.usage(HOUR, requests=3)
    found = pull(source, stated(HOUR, "1250.5", count=3), stated(HOUR, "2000", percent="99.9"), provider=provider)
    assert held() == {(HOUR, "95"): D("1250.5"), (HOUR, "99.9"): D(2000)}
    row = StatedPercentile.objects.get(percent=95)
    assert (row.end, row.count, row.series.model, row.feed.kind) == (HOUR + ONE_HOUR, 3, KEY.model, "percentile")
    assert "2 percentiles that the source states" in found.lines[0]


def test_pulled_again_there_is_no_new_receipt(provider, source):
    pull(source, stated(HOUR, "1250.5"), provider=provider)
    receipts = Receipt.objects.count()
    found = pull(source, stated(HOUR, "1250.5000001"), provider=provider, now=NOW + timedelta(minutes=5))
    assert found.receipt is None
    assert Receipt.objects.count() == receipts
    assert source.pulls.first().outcome == "nothing_new"


def test_stated_anew_it_replaces_and_the_receipt_says_when(provider, source):
    pull(source, stated(HOUR, "1250"), stated(HOUR, "900", percent="50"), provider=provider)
    found = pull(source, stated(HOUR, "1300"), provider=provider, now=NOW + timedelta(minutes=5))
    # What is no longer stated is withdrawn.
    assert held() == {(HOUR, "95"): D(1300)}
    assert found.receipt.as_of == NOW + timedelta(minutes=5)


def test_when_nothing_is_stated_any_more_all_is_withdrawn(provider, source):
    pull(source, stated(HOUR, "1250"), provider=provider)
    pull(source, provider=provider, now=NOW + timedelta(minutes=5))
    assert held() == {}


def test_what_the_source_has_dropped_since_stays(provider, source):
    pull(source, stated(HOUR - ONE_HOUR, "1000"), stated(HOUR, "1250"), provider=provider)
    provider.dropped_until = HOUR
    pull(source, stated(HOUR, "1300"), provider=provider, now=NOW + timedelta(minutes=5))
    assert held() == {(HOUR - ONE_HOUR, "95"): D(1000), (HOUR, "95"): D(1300)}


def test_a_source_without_percentiles_has_no_feed_of_them(provider, source):
    provider.usage(HOUR, requests=3)
    pull(source, provider=provider)
    assert not source.feeds.filter(kind="percentile").exists()
    assert not series.freshness()[0].states_percentiles


def test_a_failure_half_way_leaves_what_was_there(provider, source):
    pull(source, stated(HOUR, "1250"), provider=provider)
    provider.error = RuntimeError("broke off")
    assert pull(source, stated(HOUR, "1"), provider=provider, now=NOW + timedelta(minutes=5)) is None
    assert held() == {(HOUR, "95"): D(1250)}


def test_an_older_answer_that_arrives_late_changes_nothing(source, make_series):
    series_id = make_series("m", on=source)
    feed = ledger.feed(FeedKind.PERCENTILE, source)
    window = Window(HOUR, HOUR + 2 * ONE_HOUR)

    def post(as_of: datetime, *values: tuple[datetime, str]):
        rows = [
            PostedPercentile(series_id, hour, hour + ONE_HOUR, "duration", D(95), D(value)) for hour, value in values
        ]
        receipt = Receipt(kind=FeedKind.USAGE, backend=source)
        return post_percentiles(receipt=receipt, feed=feed, window=window, stated=rows, as_of=as_of)

    assert post(NOW, (HOUR, "100"), (HOUR + ONE_HOUR, "200")) is not None
    assert post(NOW - timedelta(minutes=1), (HOUR, "999")) is None
    assert held() == {(HOUR, "95"): D(100), (HOUR + ONE_HOUR, "95"): D(200)}
    # Where only a part was stated later, the other part is taken.
    StatedWindow.objects.update(end=HOUR + ONE_HOUR)
    assert post(NOW - timedelta(seconds=30), (HOUR, "999"), (HOUR + ONE_HOUR, "300")) is not None
    assert held() == {(HOUR, "95"): D(100), (HOUR + ONE_HOUR, "95"): D(300)}


@pytest.mark.parametrize(
    "wrong",
    [
        {"start": HOUR - ONE_HOUR, "end": HOUR},
        {"end": HOUR + DAY},
        {"percent": D(100)},
        {"percent": D(0)},
        {"value_ms": D(-1)},
        {"value_ms": D("NaN")},
    ],
)
def test_what_cannot_be_a_percentile_is_refused(source, make_series, wrong):
    good = {"start": HOUR, "end": HOUR + ONE_HOUR, "measure": "duration", "percent": D(95), "value_ms": D(1)}
    row = PostedPercentile(make_series("m", on=source), **{**good, **wrong})
    with pytest.raises(ValueError, match=r"percent|duration"):
        post_percentiles(
            receipt=Receipt(kind=FeedKind.USAGE, backend=source),
            feed=ledger.feed(FeedKind.PERCENTILE, source),
            window=Window(HOUR, HOUR + ONE_HOUR),
            stated=[row],
            as_of=NOW,
        )


def test_two_values_for_one_period_are_refused(provider, source):
    assert pull(source, stated(HOUR, "1"), stated(HOUR, "2"), provider=provider) is None
    assert held() == {}


# --- Read through the door


def scope(days: int = 1, **more) -> Scope:
    return Scope(HOUR.date() - DAY * (days - 1), HOUR.date() + DAY, None, **more)


def test_it_is_read_as_stated_with_the_latest_and_the_worst(provider, source):
    early = HOUR - 3 * ONE_HOUR
    pull(
        source,
        stated(early, "4100", count=7),
        stated(HOUR - ONE_HOUR, "1000"),
        stated(HOUR, "1200"),
        stated(HOUR, "700", measure="time_to_first_token"),
        provider=provider,
    )
    duration, first_token = series.stated_percentiles(scope())
    assert (duration.measure, first_token.measure) == ("duration", "time_to_first_token")
    assert (duration.backend_name, duration.model, duration.percent) == ("Source", KEY.model, 95)
    assert (duration.latest.start, duration.latest.value_ms) == (HOUR, 1200)
    assert (duration.worst.start, duration.worst.value_ms, duration.worst.count) == (early, 4100, 7)
    assert duration.periods == 3
    assert [value.value_ms for _, value in duration.values] == [4100, 1000, 1200]
    assert series.stated_percentiles(scope(), measures=("inter_token",)) == []


def test_a_long_window_shows_of_each_day_the_worst_hour_as_it_was_stated(provider, source):
    yesterday = HOUR - DAY
    pull(
        source,
        stated(yesterday, "300"),
        stated(yesterday + ONE_HOUR, "900"),
        stated(HOUR - ONE_HOUR, "500"),
        stated(HOUR, "400"),
        provider=provider,
    )
    (found,) = series.stated_percentiles(scope(2), grain="day")
    assert [(day, value.start, value.value_ms) for day, value in found.values] == [
        (yesterday.date(), yesterday + ONE_HOUR, 900),
        (HOUR.date(), HOUR - ONE_HOUR, 500),
    ]
    assert (found.latest.value_ms, found.worst.value_ms, found.periods) == (400, 900, 4)


def test_series_of_one_model_stand_apart(provider, source):
    labelled = SeriesKey(provider="openai", model=KEY.model, labels=(("region", "eu"),))
    pull(source, stated(HOUR, "100"), stated(HOUR, "900", key=labelled), provider=provider)
    found = sorted(series.stated_percentiles(scope()), key=lambda one: one.latest.value_ms)
    assert [(one.latest.value_ms, dict(one.labels)) for one in found] == [(100, {}), (900, {"region": "eu"})]


def test_a_workload_sees_what_is_stated_of_the_whole_series_it_has_a_share_of(provider, source, claims, other):
    pull(source, stated(HOUR, "100"), provider=provider)
    row = StatedPercentile.objects.get()
    Allocation.objects.create(series=row.series, workload=claims, share_ratio=D("0.3"), valid_from_on=date(2026, 1, 1))
    Allocation.objects.create(series=row.series, workload=other, share_ratio=D("0.7"), valid_from_on=date(2026, 11, 23))

    def of(workload: Workload) -> list[Decimal]:
        found = series.stated_percentiles(Scope(HOUR.date(), HOUR.date() + DAY, (workload.pk,)))
        return [one.latest.value_ms for one in found]

    assert of(claims) == [100]
    # Its share begins tomorrow.
    assert of(other) == []
    assert series.stated_percentiles(Scope(HOUR.date(), HOUR.date() + DAY, ())) == []


def test_a_period_belongs_to_the_local_day_in_which_it_starts(provider, source, settings):
    pull(source, stated(datetime(2026, 11, 21, 23, tzinfo=UTC), "100"), provider=provider)
    assert series.stated_percentiles(scope()) == []
    settings.REPORTING_TIME_ZONE, settings.REPORTING_ZONE = "Europe/Berlin", ZoneInfo("Europe/Berlin")
    assert len(series.stated_percentiles(scope())) == 1


def test_reading_takes_one_query_whatever_there_is(provider, source, django_assert_num_queries):
    many = [
        stated(HOUR - ONE_HOUR * back, "100", percent=percent) for back in range(20) for percent in ("50", "95", "99")
    ]
    pull(source, *many, provider=provider)
    with django_assert_num_queries(1):
        assert len(series.stated_percentiles(scope(2))) == 3


def test_percentiles_stay_out_of_the_merged_latency(provider, source):
    pull(source, stated(HOUR, "100"), provider=provider)
    assert series.latency(scope()) == []

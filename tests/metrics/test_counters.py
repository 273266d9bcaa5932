"""From counters to differences: worked examples, and what must hold for any course of events."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics.connector import CounterPoint, Sample
from metrics.counters import counter_differences, spread_over_hours, usage_cells
from metrics.usage import ForeignHistogram, SeriesKey

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
KEY = SeriesKey("vllm", "demo-8b")


def minutes(number):
    return NOON + timedelta(minutes=number)


def sample(at, *, started=None, process="p", **values):
    """A sample at so many minutes past noon, of streams by their measure."""
    start = None if started is None else minutes(started)
    points = (CounterPoint(name, KEY, name, value, minutes(at), start, process) for name, value in values.items())
    return Sample(minutes(at), tuple(points))


def values(previous, current):
    return {d.measure: (d.value, d.is_reset) for d in counter_differences(previous, current)}


def test_the_first_sample_is_a_baseline():
    assert values(None, sample(0, requests=7)) == {}
    assert values({}, sample(0, requests=7)) == {}


def test_the_difference_is_what_was_counted_in_between():
    assert values(sample(0, requests=7), sample(5, requests=10)) == {"requests": (3, False)}
    assert values(sample(0, requests=7), sample(5, requests=7)) == {"requests": (0, False)}


def test_the_same_sample_twice_or_an_older_one_adds_nothing():
    now = sample(5, requests=10)
    assert values(now, now) == {}
    assert values(now, sample(0, requests=3)) == {}


def test_a_lower_value_counts_from_zero_and_is_flagged():
    assert values(sample(0, requests=7), sample(5, requests=2)) == {"requests": (2, True)}


def test_a_later_start_counts_from_zero_even_where_the_value_is_higher():
    before, after = sample(0, started=-60, requests=7), sample(5, started=2, requests=9)
    assert values(before, after) == {"requests": (9, True)}


def test_a_start_that_wavers_with_the_clock_is_no_restart():
    before = sample(0, started=-60, requests=7)
    points = tuple(
        CounterPoint(p.stream, KEY, p.measure, 9, minutes(5), p.started_at + timedelta(seconds=1), "p")
        for p in before.points
    )
    assert values(before, Sample(minutes(5), points)) == {"requests": (2, False)}


def test_an_earlier_start_is_another_server_and_adds_nothing():
    """Two replicas behind one address, answering in turn, would otherwise be counted in full each time."""
    before, after = sample(0, started=-10, requests=50), sample(5, started=-60, requests=900)
    assert values(before, after) == {"requests": (0, True)}


def test_one_counter_that_fell_gives_the_restart_of_its_process_away():
    before, after = sample(0, input_tokens=100, output_tokens=1000), sample(5, input_tokens=150, output_tokens=20)
    assert values(before, after) == {"input_tokens": (150, True), "output_tokens": (20, True)}


def test_another_process_is_not_drawn_into_it():
    one, two = sample(0, process="a", input_tokens=100), sample(0, process="b", output_tokens=1000)
    later_one, later_two = sample(5, process="a", input_tokens=150), sample(5, process="b", output_tokens=20)
    before = Sample(one.at, one.points + two.points)
    after = Sample(later_one.at, later_one.points + later_two.points)
    assert values(before, after) == {"input_tokens": (50, False), "output_tokens": (20, True)}


def test_a_stream_that_began_after_the_last_reading_counts_from_zero():
    before = sample(0, started=-60, requests=7)
    after = Sample(minutes(5), sample(5, started=-60, requests=8).points + sample(5, started=3, errors=2).points)
    assert values(before, after) == {"requests": (1, False), "errors": (2, False)}


def test_a_stream_that_is_merely_new_to_us_is_a_baseline():
    before = sample(0, started=-60, requests=7)
    after = sample(5, started=-60, requests=8, errors=2)
    assert values(before, after) == {"requests": (1, False)}


def test_a_stream_that_was_away_counts_on_from_its_last_point():
    last = {point.stream: point for point in (*sample(0, requests=7).points, *sample(5, errors=1).points)}
    differences = list(counter_differences(last, sample(10, requests=9, errors=1)))
    assert [(d.measure, d.value, d.start) for d in differences] == [
        ("requests", 2, minutes(0)),
        ("errors", 0, minutes(5)),
    ]


def test_histograms_are_differenced_bucket_by_bucket():
    before = sample(0, duration=ForeignHistogram((1.0, 2.0), (5, 3, 1)))
    after = sample(5, duration=ForeignHistogram((1.0, 2.0), (6, 3, 4)))
    assert values(before, after) == {"duration": (ForeignHistogram((1.0, 2.0), (1, 0, 3)), False)}


@pytest.mark.parametrize(
    "histogram", [ForeignHistogram((1.0, 2.0), (4, 9, 9)), ForeignHistogram((1.0, 5.0), (9, 9, 9))]
)
def test_a_bucket_that_fell_and_other_bounds_are_a_restart(histogram):
    before = sample(0, duration=ForeignHistogram((1.0, 2.0), (5, 3, 1)))
    assert values(before, sample(5, duration=histogram)) == {"duration": (histogram, True)}


def test_an_interval_over_an_hours_edge_is_split_in_proportion():
    """11:50 to 12:10 half and half; 7 is 4 and 3, the tie going to the earlier hour."""
    assert spread_over_hours(minutes(-10), minutes(10), 7) == [(NOON - timedelta(hours=1), 4), (NOON, 3)]
    assert spread_over_hours(minutes(-45), minutes(15), Decimal("1")) == [
        (NOON - timedelta(hours=1), Decimal("0.750000000")),
        (NOON, Decimal("0.250000000")),
    ]


def test_an_interval_that_ends_on_the_edge_belongs_to_the_hour_before():
    assert spread_over_hours(minutes(-10), NOON, 7) == [(NOON - timedelta(hours=1), 7)]
    assert spread_over_hours(NOON, minutes(60), 7) == [(NOON, 7)]


def test_nothing_counted_is_a_known_zero_of_the_last_hour():
    assert spread_over_hours(minutes(-10), minutes(10), 0) == [(NOON, 0)]


def test_cells_add_streams_of_a_series_and_keep_other_bounds_apart():
    one = ForeignHistogram((1.0,), (1, 2))
    two = ForeignHistogram((5.0,), (3, 0))
    zero = {
        name: CounterPoint(name, KEY, m, z, NOON)
        for name, m, z in [
            ("a", "requests", 0),
            ("b", "requests", 0),
            ("c", "duration", ForeignHistogram((1.0,), (0, 0))),
            ("d", "duration", ForeignHistogram((1.0,), (0, 0))),
            ("e", "duration", ForeignHistogram((5.0,), (0, 0))),
        ]
    }
    later = [("a", 3), ("b", 4), ("c", one), ("d", one), ("e", two)]
    current = Sample(
        minutes(5), tuple(CounterPoint(name, KEY, zero[name].measure, value, minutes(5)) for name, value in later)
    )
    cells = usage_cells(counter_differences(zero, current))
    assert [(cell.hour, cell.sums) for cell in cells] == [(NOON, {"requests": 7}), (NOON, {})]
    assert [cell.histograms["duration"] for cell in cells] == [ForeignHistogram((1.0,), (2, 4)), two]


counts = st.integers(min_value=0, max_value=10**12)
histograms = st.lists(st.integers(0, 10**6), min_size=4, max_size=4).map(
    lambda found: ForeignHistogram((1.0, 2.0, 3.0), tuple(found))
)


def total(parts):
    if isinstance(parts[0][1], ForeignHistogram):
        return tuple(map(sum, zip(*(part.counts for _, part in parts), strict=True)))
    return sum(part for _, part in parts)


@given(
    value=st.one_of(counts, histograms, st.decimals(0, 10**9, places=12)),
    start=st.integers(0, 400_000),
    seconds=st.integers(1, 30_000),
)
def test_the_parts_of_a_split_are_the_whole_and_never_negative(value, start, seconds):
    begin = NOON + timedelta(seconds=start, microseconds=start % 977)
    parts = spread_over_hours(begin, begin + timedelta(seconds=seconds), value)
    assert total(parts) == (value.counts if isinstance(value, ForeignHistogram) else value)
    for hour, part in parts:
        assert hour.minute == hour.second == 0
        assert begin - timedelta(hours=1) < hour < begin + timedelta(seconds=seconds)
        assert min(part.counts) >= 0 if isinstance(part, ForeignHistogram) else part >= 0


@given(histogram=histograms, start=st.integers(0, 7000), seconds=st.integers(1, 9000))
def test_a_split_histogram_holds_as_many_as_its_split_count(histogram, start, seconds):
    begin = NOON + timedelta(seconds=start)
    end = begin + timedelta(seconds=seconds)
    buckets = dict(spread_over_hours(begin, end, histogram))
    for hour, count in spread_over_hours(begin, end, sum(histogram.counts)):
        assert sum(buckets[hour].counts if hour in buckets else (0,)) == count


@given(
    steps=st.lists(
        st.tuples(st.integers(0, 1000), st.booleans(), st.booleans(), st.integers(1, 5000)), min_size=1, max_size=30
    )
)
def test_differences_add_up_to_what_was_served_over_restarts_and_repeats(steps):
    """A server serves, sometimes restarts right after a reading, and some samples are processed twice."""
    served = posted = value = 0
    at, started = NOON, NOON - timedelta(minutes=1)
    last: dict[str, CounterPoint] = {}
    hours: dict[datetime, int] = {}

    def post(current):
        nonlocal posted
        differences = list(counter_differences(last, current))
        for cell in usage_cells(differences):
            posted += cell.sums["requests"]
            hours[cell.hour] = hours.get(cell.hour, 0) + cell.sums["requests"]
        last.update({point.stream: point for point in current.points})

    post(Sample(at, (CounterPoint("s", KEY, "requests", 0, at, started, "p"),)))
    for amount, restarts, repeats, seconds in steps:
        if restarts:
            started, value = at + timedelta(seconds=seconds / 2), 0
        value += amount
        served += amount
        at += timedelta(seconds=seconds + 5)
        current = Sample(at, (CounterPoint("s", KEY, "requests", value, at, started, "p"),))
        post(current)
        if repeats:
            post(current)
    assert posted == served == sum(hours.values())

"""Histograms add, subtract and merge exactly; percentiles keep their promise."""

from __future__ import annotations

from decimal import Decimal
from itertools import accumulate
from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics import histogram
from metrics.histogram import BUCKETS, OVERFLOW, RATIO, SHARE_UNIT, UNDERFLOW, MergedHistogram
from metrics.usage import ForeignHistogram

latencies = st.lists(st.floats(0.1, 86_399_999, allow_nan=False), min_size=1, max_size=60)
windows = st.dictionaries(st.integers(UNDERFLOW, OVERFLOW), st.integers(-5, 50), max_size=8).map(histogram.window_of)
bounds = st.lists(st.floats(0.001, 10**9, allow_nan=False), min_size=1, max_size=10, unique=True).map(
    lambda found: tuple(sorted(found))
)


@st.composite
def foreign_histograms(draw, *, smallest=0):
    edges = draw(bounds)
    counts = draw(st.lists(st.integers(smallest, 1000), min_size=len(edges) + 1, max_size=len(edges) + 1))
    return ForeignHistogram(edges, tuple(counts))


def nearest_rank(values, q):
    return sorted(values)[ceil(Decimal(str(q)) * len(values) / 100) - 1]


@given(windows, windows, windows)
def test_windows_add_in_any_order_and_subtract_again(first, second, third):
    assert histogram.add(first, second) == histogram.add(second, first)
    left = histogram.add(histogram.add(first, second), third)
    assert left == histogram.add(first, histogram.add(second, third))
    assert histogram.subtract(histogram.add(first, second), second) == histogram.add(first, [])


@given(windows)
def test_a_window_has_no_zeros_at_its_ends(window):
    assert histogram.window_of(histogram.buckets_of(window)) == window
    assert not window or (window[1] and window[-1])


@given(latencies, st.floats(0.1, 100, allow_nan=False))
def test_a_native_percentile_is_within_two_and_a_half_percent(values, q):
    merged = MergedHistogram()
    merged.add_window(histogram.window_of_values(values))
    found = merged.percentile(q)
    assert found.ms == pytest.approx(nearest_rank(values, q), rel=0.025)
    assert merged.count == len(values)


@given(latencies, st.integers(1, 5), st.sampled_from([50, 95, 99]))
def test_a_percentile_is_the_same_for_any_split(values, parts, q):
    split, whole = MergedHistogram(), MergedHistogram()
    for part in range(parts):
        split.add_window(histogram.window_of_values(values[part::parts]))
    whole.add_window(histogram.window_of_values(values))
    assert split.percentile(q) == whole.percentile(q)


@given(st.integers(1, BUCKETS))
def test_each_bucket_holds_its_own_middle_and_is_four_percent_wide(bucket):
    assert histogram.bucket_of(histogram.value_ms(bucket)) == bucket
    assert histogram.upper_edge_ms(bucket) / histogram.lower_edge_ms(bucket) == pytest.approx(RATIO)


def test_the_edges_are_a_tenth_of_a_millisecond_and_a_day():
    assert histogram.bucket_of(0.0999) == UNDERFLOW
    assert histogram.bucket_of(0.1) == 1
    assert histogram.bucket_of(86_399_999) == BUCKETS
    assert histogram.bucket_of(86_400_000) == OVERFLOW


@given(foreign_histograms(smallest=-1000))
def test_foreign_counts_stay_whole_and_keep_their_sum(foreign):
    assert histogram.count_of(histogram.window_of_foreign(foreign)) == sum(foreign.counts)


@given(foreign_histograms())
def test_taking_foreign_counts_back_leaves_nothing(foreign):
    negative = ForeignHistogram(foreign.bounds_ms, tuple(-count for count in foreign.counts))
    assert histogram.add(histogram.window_of_foreign(foreign), histogram.window_of_foreign(negative)) == []


# Wider than one of our buckets each, so that each foreign bucket keeps its own of ours.
wide_bounds = st.lists(st.integers(1, 150), min_size=1, max_size=8, unique=True).map(
    lambda found: tuple(round(0.2 * 1.1**exponent, 6) for exponent in sorted(found))
)


@given(
    wide_bounds.flatmap(
        lambda edges: st.tuples(
            st.just(edges), st.lists(st.integers(0, 500), min_size=len(edges) + 1, max_size=len(edges) + 1)
        )
    ),
    st.sampled_from([1, 50, 90, 99, 100]),
)
def test_a_foreign_percentile_is_the_foreign_bucket_that_it_falls_into(told, q):
    edges, counts = told
    merged = MergedHistogram()
    merged.add_window(histogram.window_of_foreign(ForeignHistogram(edges, tuple(counts))), bounds_ms=edges)
    found = merged.percentile(q)
    if not sum(counts):
        assert found is None
        return
    rank = Decimal(q) * sum(counts) / 100
    position = next(place for place, passed in enumerate(accumulate(counts)) if passed >= rank)
    assert found.ms is None
    assert found.low_ms == (edges[position - 1] if position else None)
    assert found.high_ms == (edges[position] if position < len(edges) else None)


@given(latencies, latencies, st.sampled_from([5, 50, 95]))
def test_a_mixed_percentile_holds_the_true_one_in_its_interval(native, foreign, q):
    edges = (1.0, 10.0, 100.0, 1000.0, 10_000.0, 1_000_000.0)
    counts = [0] * (len(edges) + 1)
    for value in foreign:
        counts[next((place for place, edge in enumerate(edges) if value <= edge), len(edges))] += 1
    merged = MergedHistogram()
    merged.add_window(histogram.window_of_values(native))
    merged.add_window(histogram.window_of_foreign(ForeignHistogram(edges, tuple(counts))), bounds_ms=edges)
    found = merged.percentile(q)
    truth = nearest_rank([*native, *foreign], q)
    if found.ms is not None:
        assert found.ms == pytest.approx(truth, rel=0.025)
    else:
        assert (found.low_ms or 0) <= truth * 1.03
        assert found.high_ms is None or truth <= found.high_ms * 1.03


def test_foreign_counts_spread_evenly_over_the_buckets_they_cover():
    # 100 to 200 ms is ln 2 / ln 1.04 = 17.7 of our buckets; 36 counts are 2 in each of the 18 that it covers.
    window = histogram.window_of_foreign(ForeignHistogram((100.0, 200.0), (0, 36, 0)))
    assert window[0] == histogram.bucket_of(100.0) + 1 or window[0] == histogram.bucket_of(100.0)
    assert set(window[1:]) == {2}
    assert len(window) - 1 == 18


def test_the_first_foreign_bucket_is_put_at_its_upper_bound_and_the_overflow_at_its_lower():
    window = histogram.window_of_foreign(ForeignHistogram((300.0, 10_000.0), (3, 0, 5)))
    buckets = histogram.buckets_of(window)
    (first, low_count), (last, high_count) = sorted(buckets.items())
    assert (low_count, high_count) == (3, 5)
    assert histogram.upper_edge_ms(first) == pytest.approx(300, rel=0.02)
    assert histogram.lower_edge_ms(last) == pytest.approx(10_000, rel=0.02)


def test_a_share_weighs_counts():
    merged = MergedHistogram()
    merged.add_window([10, 4], share=Decimal("0.25"))
    merged.add_window([20, 3])
    assert merged.count == 4
    assert merged.native == {10: SHARE_UNIT, 20: 3 * SHARE_UNIT}
    assert merged.percentile(25).ms == histogram.value_ms(10)
    assert merged.percentile(26).ms == histogram.value_ms(20)


def test_nothing_timed_is_no_percentile():
    assert MergedHistogram().percentile(50) is None
    assert not MergedHistogram()


@pytest.mark.parametrize("edges", [(2.0, 1.0), (1.0, 1.0), (-1.0, 2.0), (1.0, float("inf")), (float("nan"), 2.0)])
def test_it_refuses_bounds_that_are_none(edges):
    with pytest.raises(ValueError):
        histogram.window_of_foreign(ForeignHistogram(edges, (1,) * (len(edges) + 1)))


@pytest.mark.parametrize("q", [0, -1, 100.1])
def test_it_refuses_a_percentile_that_is_none(q):
    with pytest.raises(ValueError):
        MergedHistogram({10: 1}).percentile(q)


@pytest.mark.django_db
@given(first=windows, second=windows)
def test_the_database_adds_as_python_does(django_db_blocker, first, second):
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT histogram_trim(histogram_add(%s::bigint[], %s::bigint[])), "
            "(SELECT histogram_sum(w::bigint[]) FROM unnest(%s::text[]) AS held (w))",
            [first, second, [_literal(first), _literal(second)]],
        )
        added, summed = cursor.fetchone()
    assert added == histogram.add(first, second)
    assert (summed or []) == histogram.add(first, second)


def _literal(window):
    return "{" + ",".join(map(str, window)) + "}"

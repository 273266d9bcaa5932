"""Histograms of large pushes are folded behind them: exactly once, and nothing else is behind."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.db import transaction

from metrics import behind, checking, ledger, series
from metrics.ledger import PostedCell
from metrics.models import Backend, HistogramHour, PendingHistograms, Receipt, UsageHour
from metrics.usage import FeedKind

HOUR = datetime(2026, 11, 20, 9, tzinfo=UTC)
pytestmark = pytest.mark.django_db(transaction=True)


class CutOffError(Exception):
    """A worker that was killed."""


@pytest.fixture(autouse=True)
def _few_cells(monkeypatch):
    monkeypatch.setattr(behind, "CELLS_IN_A_PUSH", 3)


@pytest.fixture
def push(backend, make_series):
    made_series = make_series("m1")

    def post(cells: int = 5, kind: FeedKind = FeedKind.PUSH) -> Receipt:
        made = [
            PostedCell(made_series, HOUR - timedelta(hours=place), {"requests": 2}, {"duration": [100, 2]})
            for place in range(cells)
        ]
        return ledger.post(Receipt(kind=kind), ledger.feed(kind, backend), made)

    return post


def counts() -> int:
    return sum(sum(window[1:]) for window in HistogramHour.objects.values_list("window", flat=True))


def test_a_push_of_many_cells_leaves_its_histograms_and_nothing_else(push):
    push()
    assert PendingHistograms.objects.count() == 1
    assert UsageHour.objects.count() == 5
    assert counts() == 0
    assert checking.check() == []
    assert behind.fold() == 1
    assert counts() == 10
    assert not PendingHistograms.objects.exists()
    assert checking.check() == []


@pytest.mark.parametrize("small_first", [True, False])
def test_a_push_to_several_backends_is_behind_as_a_whole(backend, make_series, small_first):
    """Folding takes all of a receipt: what was added to the hours at once would be added twice."""
    other = Backend.objects.create(slug="other", name="Other", connector="metrics", provider="vllm")
    few = [PostedCell(make_series("few", on=other), HOUR, {"requests": 3}, {"duration": [100, 3]})]
    many = [
        PostedCell(make_series("many"), HOUR - timedelta(hours=place), {"requests": 2}, {"duration": [100, 2]})
        for place in range(5)
    ]
    posted = [(ledger.feed(FeedKind.PUSH, one), ledger.gather(cells)) for one, cells in ((other, few), (backend, many))]
    with transaction.atomic():
        ledger.post_push(Receipt(kind=FeedKind.PUSH), posted if small_first else posted[::-1])
    assert counts() == 0
    assert checking.check() == []
    behind.fold()
    assert counts() == 13
    assert checking.check() == []


def test_a_bulk_posting_is_behind_as_a_whole_or_not_at_all(backend, make_series):
    series_id = make_series("m1")
    cells = [
        PostedCell(series_id, HOUR - timedelta(hours=place), {"requests": 2}, {"duration": [100, 2]})
        for place in range(6)
    ]
    ledger.post_many(Receipt(kind=FeedKind.PUSH), ledger.feed(FeedKind.PUSH, backend), cells, batch=4)
    behind.fold()
    assert counts() == 12
    assert checking.check() == []


def test_freshness_says_so_until_they_are_added(push, backend):
    push(cells=3)
    assert [(one.slug, one.is_latency_behind) for one in series.freshness()] == [(backend.slug, False)]
    push()
    assert [(one.slug, one.is_latency_behind) for one in series.freshness()] == [(backend.slug, True)]
    behind.fold()
    assert [(one.slug, one.is_latency_behind) for one in series.freshness()] == [(backend.slug, False)]


def test_a_push_of_few_cells_and_what_is_pulled_leave_nothing(push):
    push(cells=3)
    push(kind=FeedKind.USAGE)
    assert not PendingHistograms.objects.exists()
    assert counts() == 16


def test_folding_again_adds_nothing(push):
    push()
    push()
    assert behind.fold() == 2
    assert behind.fold() == 0
    assert counts() == 20
    assert checking.check() == []


def test_a_fold_that_is_cut_off_is_done_anew(push):
    push()
    with pytest.raises(CutOffError):
        _fold_and_die()
    assert counts() == 0
    behind.fold()
    assert counts() == 10
    assert checking.check() == []


@transaction.atomic
def _fold_and_die() -> None:
    behind.fold()
    raise CutOffError


def test_summing_again_leaves_what_waits_to_the_fold(push):
    push(cells=3)
    push()
    checking.rebuild()
    assert counts() == 6
    behind.fold()
    assert counts() == 16
    assert checking.check() == []


def test_a_push_that_is_taken_back_is_not_folded(push):
    receipt = push()
    ledger.reverse(receipt)
    assert behind.fold() == 0
    assert counts() == 0
    assert checking.check() == []


def test_a_push_that_was_folded_can_be_taken_back(push):
    receipt = push()
    behind.fold()
    ledger.reverse(receipt)
    assert counts() == 0
    assert checking.check() == []

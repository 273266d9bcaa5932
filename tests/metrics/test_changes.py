"""What changed, as the charts mark it and the page says it: first uses, rate cards, restatements."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from metrics import ledger, series
from metrics.figures import Scope
from metrics.ledger import PostedCell
from metrics.models import Allocation, Receipt
from metrics.usage import FeedKind
from metrics.windows import Window

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


@pytest.fixture
def now():
    return timezone.now().replace(minute=0, second=0, microsecond=0)


@pytest.fixture
def state(backend):
    """`state(series, hour, amount)`: the provider's statement of an hour, now."""

    def _state(series_id, hour, amount):
        return ledger.post_statement(
            receipt=Receipt(kind=FeedKind.STATEMENT, backend=backend),
            feed=ledger.feed(FeedKind.STATEMENT, backend),
            window=Window(hour, hour + HOUR),
            cells=[PostedCell(series_id, hour, {"billed_cost": Decimal(amount)}, {}, "USD")],
            as_of=timezone.now(),
        )

    return _state


def restated(claims, now):
    scope = Scope((now - 30 * DAY).date(), (now + DAY).date(), (claims.pk,))
    return [change.text for change in series.changes(scope) if change.kind == "restated"]


def test_a_statement_that_changes_old_hours_is_told(make_series, state, claims, now):
    mine = make_series("m1")
    Allocation.objects.create(series_id=mine, workload=claims, share_ratio=1, valid_from_on=(now - 60 * DAY).date())
    week_ago = now - 7 * DAY
    state(mine, week_ago, "500")
    assert restated(claims, now) == []
    state(mine, week_ago, "288")
    assert restated(claims, now) == [f"GPU 1 corrected {week_ago:%-d %b %Y} by -212.00 USD."]
    assert series.chart_marks(Scope((now - 30 * DAY).date(), (now + DAY).date(), (claims.pk,))) == []


def test_an_hour_that_settles_is_no_restatement(make_series, state, claims, now):
    mine = make_series("m1")
    Allocation.objects.create(series_id=mine, workload=claims, share_ratio=1, valid_from_on=(now - 60 * DAY).date())
    state(mine, now - 30 * HOUR, "5")
    state(mine, now - 30 * HOUR, "6")
    assert restated(claims, now) == []


def test_another_workloads_restatement_is_not_told(make_series, state, claims, other, now):
    mine = make_series("m1")
    Allocation.objects.create(series_id=mine, workload=other, share_ratio=1, valid_from_on=(now - 60 * DAY).date())
    state(mine, now - 7 * DAY, "5")
    state(mine, now - 7 * DAY, "6")
    assert restated(claims, now) == []
    assert len(restated(other, now)) == 1

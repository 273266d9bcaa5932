"""Spend of every kind for two roadmaps: fixtures of the tests of the Spend page."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from metrics import identity, ledger
from metrics.ledger import PostedCell
from metrics.models import Backend, Receipt
from metrics.usage import FeedKind, SeriesKey, SeriesKind
from roadmap.actions.cost_entries import add_cost_entry
from roadmap.actions.roadmaps import make_roadmap

D = Decimal
DAY = timedelta(days=1)


@pytest.fixture(autouse=True)
def _euros(settings):
    settings.REPORTING_CURRENCY = "EUR"
    identity.forget()
    yield
    identity.forget()


@pytest.fixture
def backend(db) -> Backend:
    return Backend.objects.create(slug="api-1", name="API 1", connector="push_only", provider="openai")


@pytest.fixture
def spend(backend, today):
    """`spend(roadmap or None, amount, days_back, ...)`: what a series cost on a day; None is unallocated."""

    def _spend(
        roadmap,
        amount,
        days_back=1,
        *,
        on=None,
        model="m1",
        team="",
        kind=SeriesKind.USAGE,
        billed=None,
        sums=None,
        is_demo=False,
        charge="",
    ):
        where = on or backend
        labels = (("team", team),) if team else (("charge_category", charge),) if charge else ()
        wanted = identity.SeriesIdentity(
            SeriesKey(
                provider=where.provider,
                model=model if kind == SeriesKind.USAGE else "",
                operation="chat" if kind == SeriesKind.USAGE else str(kind),
                kind=kind,
                labels=labels,
            ),
            where.pk,
            is_pushed=True,
            workload_id=roadmap.workload_id if roadmap else None,
        )
        series_id = identity.series_ids([wanted], is_demo=is_demo)[wanted]
        day = today - DAY * days_back
        found = {"requests": 10, "input_tokens": 700, "output_tokens": 300} if kind == SeriesKind.USAGE else {}
        found |= sums or {}
        if amount is not None:
            found["estimated_cost"] = D(amount)
        if billed is not None:
            found["billed_cost"] = D(billed)
        ledger.post(
            Receipt(kind=FeedKind.PUSH, backend=where),
            ledger.feed(FeedKind.PUSH, where),
            [PostedCell(series_id, datetime(day.year, day.month, day.day, 0, tzinfo=UTC), found, {}, "EUR")],
        )
        return series_id

    return _spend


@pytest.fixture
def second(adam, oscar, asker, today):
    """A second roadmap, of which alice sees nothing."""
    return make_roadmap(asker(adam), name="Secret plan", owner=oscar, start_on=today - 30 * DAY, programme="Labs")


@pytest.fixture
def mixed(plan, poc, second, spend, bob, alice, asker, today):
    """Thirds of cents, two roadmaps, unallocated, idle, a credit, billed and estimated, not priced, a cost entry."""
    spend(plan, "33.3333333333", 3, team="claims", billed="30.0000000001")
    spend(plan, "0.0033333333", 4, model="m2")
    spend(second, "66.6666666667", 5)
    spend(None, "10.005", 6, model="m2")
    spend(None, "4.445", 6, kind=SeriesKind.IDLE)
    spend(None, None, 7, kind=SeriesKind.OTHER_CHARGES, billed="-2.5", charge="Credit")
    spend(plan, None, 2, model="nobody-knows")
    add_cost_entry(
        asker(alice),
        poc,
        name="Labels",
        category="data",
        amount=D("100.00"),
        currency="EUR",
        start_on=today - 9 * DAY,
        end_on=today - 3 * DAY,
    )
    return D("30.0000000001") + D("0.0033333333") + D("66.6666666667") + D("10.005") + D("4.445") - D("2.5") + 100

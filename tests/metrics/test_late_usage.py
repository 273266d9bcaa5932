"""Usage that arrives days late or out of order: an edge server with a rate card whose usage is pushed."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import permutations

import pytest
from django.db import transaction

from metrics import identity, ledger
from metrics.capacity import post_capacity
from metrics.checking import check
from metrics.due import note_since
from metrics.ledger import PostedCell
from metrics.models import Backend, CapacityDue, RateCard, Receipt, Series, UsageHour
from metrics.tasks import post_capacity_since
from metrics.usage import FeedKind

NOW = datetime.now(UTC).replace(minute=10, second=0, microsecond=0)
HOUR = timedelta(hours=1)
LONG_AGO = NOW.replace(minute=0) - timedelta(days=20)
FIRST_DAY = (LONG_AGO - timedelta(days=1)).date()

pytestmark = pytest.mark.django_db


def _push(series_id: int, hour: datetime, **sums) -> Receipt:
    backend = Series.objects.get(pk=series_id).backend
    receipt = Receipt(kind=FeedKind.PUSH, backend=backend)
    return ledger.post(receipt, ledger.feed(FeedKind.PUSH, backend), [PostedCell(series_id, hour, sums)])


def _card(backend: Backend, since: date = FIRST_DAY) -> RateCard:
    card = RateCard.objects.create(
        backend=backend, kind="rented", units=2, currency="EUR", rate_per_unit_hour=Decimal("2.50"), valid_from_on=since
    )
    note_since(backend.pk, datetime.combine(since, datetime.min.time(), tzinfo=UTC))
    return card


def _money() -> dict[tuple[str, str, datetime], Decimal]:
    """Every hour's cost by kind and model; an hour that has none, and one in which it came to nothing, are the same."""
    rows = UsageHour.objects.filter(currency="EUR").select_related("series")
    return {(r.series.kind, r.series.model, r.hour): r.estimated_cost for r in rows if r.estimated_cost}


def _steps(backend, make_series):
    llama, qwen = make_series("llama", is_pushed=True), make_series("qwen", is_pushed=True)
    return {
        "card": lambda: _card(backend),
        "llama": lambda: _push(llama, LONG_AGO, output_tokens=300),
        "qwen": lambda: _push(qwen, LONG_AGO, output_tokens=100),
        "another hour": lambda: _push(qwen, LONG_AGO + 30 * HOUR, output_tokens=7),
    }


def test_any_order_of_arrival_gives_the_same_figures(backend, make_series):
    """All orders of the card and three late pushes, with capacity posted after each of them."""
    found = []
    for order in permutations(["card", "llama", "qwen", "another hour"]):
        with transaction.atomic():
            steps = _steps(backend, make_series)
            for place, name in enumerate(order):
                steps[name]()
                post_capacity(NOW + timedelta(seconds=place))
            found.append(_money())
            transaction.set_rollback(True)
        identity.forget()
    first = found[0]
    assert first["usage", "llama", LONG_AGO] == Decimal("3.75")
    assert first["usage", "qwen", LONG_AGO] == Decimal("1.25")
    assert first["usage", "qwen", LONG_AGO + 30 * HOUR] == Decimal(5)
    assert ("idle", "", LONG_AGO) not in first
    assert first["idle", "", LONG_AGO + HOUR] == Decimal(5)
    assert all(one == first for one in found)


def test_late_usage_is_shared_out_at_the_next_posting_and_only_once(backend, make_series):
    _card(backend)
    llama = make_series("llama", is_pushed=True)
    post_capacity(NOW)
    assert not CapacityDue.objects.exists()
    _push(llama, LONG_AGO, output_tokens=5)
    assert CapacityDue.objects.count() == 1
    assert post_capacity(NOW) == 1
    assert not CapacityDue.objects.exists()
    assert post_capacity(NOW) == 0
    assert check() == []


def test_usage_in_time_needs_no_note(backend, make_series):
    _card(backend)
    CapacityDue.objects.all().delete()
    _push(make_series("llama", is_pushed=True), NOW.replace(minute=0) - 5 * HOUR, output_tokens=5)
    assert not CapacityDue.objects.exists()


def test_a_backend_without_capacity_needs_no_note(backend, make_series):
    _push(make_series("llama", is_pushed=True), LONG_AGO, output_tokens=5)
    assert not CapacityDue.objects.exists()


def test_a_late_push_that_is_taken_back_gives_its_hour_back_to_idle(backend, make_series):
    _card(backend)
    llama = make_series("llama", is_pushed=True)
    receipt = _push(llama, LONG_AGO, output_tokens=5)
    post_capacity(NOW)
    assert _money()["usage", "llama", LONG_AGO] == 5
    ledger.reverse(receipt)
    post_capacity(NOW)
    assert ("usage", "llama", LONG_AGO) not in _money()
    assert _money()["idle", "", LONG_AGO] == 5


def test_late_usage_of_a_gateway_moves_the_cost_of_the_server_behind_it(backend, make_series):
    gateway = Backend.objects.create(slug="gw", name="Gateway", connector="x", measured_at="gateway", provider="vllm")
    backend.behind, backend.behind_from_on = gateway, FIRST_DAY
    backend.save()
    _card(backend)
    post_capacity(NOW)
    _push(make_series("llama", on=gateway, measured_at="gateway"), LONG_AGO, output_tokens=5)
    assert [due.backend for due in CapacityDue.objects.all()] == [backend]


def test_a_worker_that_stood_still_for_days_has_missed_nothing(backend, make_series):
    _card(backend)
    llama = make_series("llama", is_pushed=True)
    post_capacity(NOW - timedelta(days=10))
    CapacityDue.objects.all().delete()
    # In time when it came, and long past when the worker is back.
    _push(llama, LONG_AGO + timedelta(days=9), output_tokens=5)
    CapacityDue.objects.all().delete()
    post_capacity(NOW)
    held = (NOW.replace(minute=0) - datetime.combine(FIRST_DAY, datetime.min.time(), tzinfo=UTC)) // HOUR
    assert sum(_money().values()) == 5 * held
    assert _money()["usage", "llama", LONG_AGO + timedelta(days=9)] == 5


def test_a_card_that_ended_long_ago_is_not_gone_through_every_hour(backend, make_series):
    card = _card(backend)
    card.valid_until_on = (LONG_AGO + timedelta(days=2)).date()
    card.save()
    post_capacity(NOW)
    asked = []
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("metrics.capacity._post_window", lambda backend, window, now: asked.append(window))
        post_capacity(NOW)
    assert [window.seconds for window in asked] == [72 * 3600]


def test_a_broker_that_is_down_delays_a_changed_card_and_loses_nothing(backend, make_series, monkeypatch):
    monkeypatch.setattr("metrics.tasks.enqueue_on_commit", lambda task, *args: None)
    RateCard.objects.create(
        backend=backend, kind="rented", units=2, currency="EUR", rate_per_unit_hour=1, valid_from_on=FIRST_DAY
    )
    post_capacity(NOW)
    RateCard.objects.update(rate_per_unit_hour=Decimal(3))
    post_capacity_since(backend.pk, FIRST_DAY)
    post_capacity(NOW)
    assert set(_money().values()) == {Decimal(6)}

"""Capacity: held hours cost, busy and idle are the whole, and nobody pays twice. Worked by hand."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from metrics import ledger
from metrics.actions.allocations import allocate
from metrics.capacity import post_capacity
from metrics.counting import recount
from metrics.ledger import PostedCell
from metrics.models import Allocation, Backend, RateCard, Receipt, Series, UsageHour
from metrics.sharing import Served, hour_cost, split_hour
from metrics.usage import FeedKind

NOW = datetime(2026, 11, 22, 12, 10, tzinfo=UTC)
NINE = datetime(2026, 11, 22, 9, tzinfo=UTC)
WEIGHT = Decimal("0.1")


def _post(series_id: int, hour: datetime, kind: FeedKind = FeedKind.USAGE, *, currency: str = "", **sums) -> None:
    backend = Series.objects.get(pk=series_id).backend
    receipt = Receipt(kind=kind, backend=backend)
    ledger.post(receipt, ledger.feed(kind, backend), [PostedCell(series_id, hour, sums, currency=currency)])


def _card(backend, **fields) -> RateCard:
    values = {
        "kind": "rented",
        "units": Decimal(2),
        "currency": "EUR",
        "rate_per_unit_hour": Decimal("2.50"),
        "valid_from_on": date(2026, 11, 22),
        **fields,
    }
    return RateCard.objects.create(backend=backend, **values)


def _cost(series_id: int, hour: datetime = NINE) -> Decimal | None:
    row = UsageHour.objects.filter(series=series_id, hour=hour, currency="EUR").first()
    return row.estimated_cost if row else None


def _idle(backend: Backend) -> Series:
    return Series.objects.get(backend=backend, kind="idle")


# --- Arithmetic


def test_a_measured_hour_is_busy_as_far_as_it_was_used():
    """2 GPUs at 2.50: 5.00 an hour, 7,200 seconds held. Busy 1,800 + 900 = 2,700 of them: 37.5% = 1.875.

    By busy seconds 2 to 1: 1.25 and 0.625. Idle 3.125.
    """
    served = [
        Served(1, gpu_busy_seconds=Decimal(1800), requests=Decimal(5)),
        Served(2, gpu_busy_seconds=Decimal(900), requests=Decimal(50)),
    ]
    found = split_hour(Decimal(5), Decimal(7200), served, input_weight=WEIGHT)
    assert [share.amount for share in found.busy] == [Decimal("1.25"), Decimal("0.625")]
    assert found.idle_amount == Decimal("3.125")
    assert [share.held_seconds for share in found.busy] == [1800, 900]
    assert (found.idle_held_seconds, found.idle_busy_seconds) == (4500, 0)


def test_without_utilisation_an_hour_with_traffic_is_all_busy():
    """Weights: 100 + 0.1 x 1,000 = 200 and 300 + 0.1 x 5,000 = 800: one fifth and four fifths of 5.00."""
    served = [
        Served(1, input_tokens=Decimal(1000), output_tokens=Decimal(100)),
        Served(2, input_tokens=Decimal(5000), output_tokens=Decimal(300)),
    ]
    found = split_hour(Decimal(5), Decimal(7200), served, input_weight=WEIGHT)
    assert [share.amount for share in found.busy] == [Decimal(1), Decimal(4)]
    assert found.idle_amount == 0
    assert found.idle_busy_seconds is None


def test_without_tokens_it_goes_by_requests():
    served = [Served(1, requests=Decimal(3)), Served(2, requests=Decimal(1))]
    found = split_hour(Decimal(4), Decimal(3600), served, input_weight=WEIGHT)
    assert [share.amount for share in found.busy] == [Decimal(3), Decimal(1)]


def test_an_hour_without_traffic_is_idle():
    found = split_hour(Decimal(5), Decimal(7200), [Served(1, requests=Decimal(0))], input_weight=WEIGHT)
    assert (found.busy, found.idle_amount) == ([], Decimal(5))


def test_owned_hardware_costs_its_purchase_and_its_energy():
    """72,000 over 36 months from 1 Jan 2026 = 26,304 hours (with the leap day of 2028): 2.7372262774 an hour.

    Energy: 700 W x 2 x 1.5 x 0.30 per kWh = 0.63 an hour.
    """
    card = RateCard(
        kind="owned",
        units=Decimal(2),
        currency="EUR",
        purchase_amount=Decimal(72_000),
        purchased_on=date(2026, 1, 1),
        amortisation_months=36,
        rated_watts=Decimal(700),
        pue=Decimal("1.5"),
        price_per_kwh=Decimal("0.30"),
        valid_from_on=date(2026, 1, 1),
    )
    start = datetime(2026, 1, 1, tzinfo=UTC)
    assert hour_cost(card, start, measured_wh=None, zone=UTC) == Decimal("3.3672262774")
    assert hour_cost(card, start, measured_wh=Decimal(1000), zone=UTC) == Decimal("3.1872262774")
    hours = (datetime(2029, 1, 1, tzinfo=UTC) - start) // timedelta(hours=1)
    assert hours == 26_304
    whole = sum(
        (hour_cost(card, start + timedelta(hours=h), measured_wh=Decimal(0), zone=UTC) for h in range(hours)),
        Decimal(0),
    )
    assert whole == Decimal(72_000)
    # Written off: only the energy is left.
    assert hour_cost(card, datetime(2029, 1, 1, tzinfo=UTC), measured_wh=None, zone=UTC) == Decimal("0.63")


amounts = st.decimals(min_value=0, max_value=10_000, places=10)
seconds = st.none() | st.decimals(min_value=0, max_value=8000, places=6)
counts = st.none() | st.integers(min_value=0, max_value=10**9).map(Decimal)


@given(
    cost=amounts,
    held=st.decimals(min_value=1, max_value=100_000, places=6),
    rows=st.lists(st.tuples(seconds, counts, counts, counts), max_size=6),
)
def test_busy_and_idle_are_the_whole_to_the_tenth_place(cost, held, rows):
    served = [
        Served(place, gpu_busy_seconds=busy, input_tokens=a, output_tokens=b, requests=r)
        for place, (busy, a, b, r) in enumerate(rows)
    ]
    found = split_hour(cost, held, served, input_weight=WEIGHT)
    assert sum((share.amount for share in found.busy), found.idle_amount) == cost
    assert found.idle_amount >= 0
    assert all(share.amount >= 0 for share in found.busy)
    held_by_series = sum((s.held_seconds for s in found.busy if s.held_seconds is not None), Decimal(0))
    assert held_by_series + found.idle_held_seconds == held


# --- Posting


def test_held_hours_cost_whether_used_or_not(backend, make_series):
    _card(backend)
    llama = make_series("llama")
    _post(llama, NINE, requests=3, input_tokens=1000, output_tokens=100)
    assert post_capacity(NOW) == 1
    idle = _idle(backend)
    assert _cost(llama) == Decimal(5)
    assert _cost(idle.pk) == Decimal(0)
    # 12 hours of the day so far, 5.00 each; the day before had no card.
    total = sum(h.estimated_cost for h in UsageHour.objects.filter(currency="EUR"))
    assert total == 12 * Decimal(5)
    assert UsageHour.objects.filter(series=idle, gpu_held_seconds__gt=0).count() == 12


def test_posting_again_adds_nothing_and_late_traffic_moves_the_busy_part(backend, make_series):
    _card(backend)
    llama = make_series("llama")
    post_capacity(NOW)
    assert post_capacity(NOW + timedelta(minutes=5)) == 0
    _post(llama, NINE, requests=3, output_tokens=100)
    post_capacity(NOW + timedelta(minutes=10))
    assert _cost(llama) == Decimal(5)
    assert _cost(_idle(backend).pk) == Decimal(0)


def test_a_card_that_is_gone_takes_its_cost_with_it(backend, make_series):
    card = _card(backend)
    post_capacity(NOW)
    card.delete()
    post_capacity(NOW + timedelta(minutes=5))
    assert _cost(_idle(backend).pk) == Decimal(0)


def test_a_card_while_up_costs_only_hours_in_which_the_server_was_seen(backend, make_series):
    _card(backend, while_up=True)
    _post(make_series("llama"), NINE, requests=0)
    post_capacity(NOW)
    assert {h.hour for h in UsageHour.objects.filter(currency="EUR")} == {NINE}


def test_tokens_served_by_reserved_capacity_are_not_priced_again(backend, make_series):
    _card(backend)
    llama = make_series("llama")
    _post(llama, NINE, requests=3, output_tokens=100)
    _post(llama, NINE, FeedKind.ESTIMATE, currency="USD", estimated_cost=Decimal("0.80"))
    post_capacity(NOW)
    assert _cost(llama) == Decimal(5)
    assert UsageHour.objects.get(series=llama, hour=NINE, currency="USD").estimated_cost == 0


def test_behind_a_gateway_the_gateways_series_of_that_model_bear_the_cost(backend, make_series):
    gateway = Backend.objects.create(slug="gw", name="Gateway", connector="x", measured_at="gateway", provider="vllm")
    backend.behind, backend.behind_from_on = gateway, date(2026, 11, 22)
    backend.save()
    _card(backend)
    own = make_series("org/llama")
    team_a = make_series("llama", on=gateway, measured_at="gateway", labels=(("team", "a"),))
    team_b = make_series("llama", on=gateway, measured_at="gateway", labels=(("team", "b"),))
    other = make_series("gpt-4o", on=gateway, measured_at="gateway")
    _post(own, NINE, requests=4, output_tokens=400)
    _post(team_a, NINE, requests=3, output_tokens=300)
    _post(team_b, NINE, requests=1, output_tokens=100)
    _post(other, NINE, requests=9, output_tokens=900)
    recount([backend.pk])
    post_capacity(NOW)
    assert (_cost(team_a), _cost(team_b)) == (Decimal("3.75"), Decimal("1.25"))
    assert (_cost(own), _cost(other)) == (None, None)


def _behind_a_gateway(backend) -> Backend:
    gateway = Backend.objects.create(slug="gw", name="Gateway", connector="x", measured_at="gateway", provider="vllm")
    backend.behind, backend.behind_from_on = gateway, date(2026, 11, 22)
    backend.save()
    return gateway


def test_what_capacity_serves_behind_a_gateway_is_not_priced_again(backend, make_series):
    gateway = _behind_a_gateway(backend)
    _card(backend)
    own, front = make_series("org/llama"), make_series("llama", on=gateway, measured_at="gateway")
    _post(own, NINE, requests=4, output_tokens=400)
    _post(front, NINE, currency="EUR", requests=4, output_tokens=400, estimated_cost=Decimal("0.80"))
    recount([backend.pk])
    post_capacity(NOW)
    assert _cost(front) == Decimal(5)
    post_capacity(NOW)
    assert _cost(front) == Decimal(5)


def test_where_an_api_serves_the_model_too_its_price_stays(backend, make_series):
    gateway = _behind_a_gateway(backend)
    api = Backend.objects.create(slug="api", name="API", connector="x", provider="p", behind=gateway)
    _card(backend)
    own, front = make_series("llama"), make_series("llama", on=gateway, measured_at="gateway")
    make_series("llama", on=api)
    _post(own, NINE, requests=4, output_tokens=400)
    _post(front, NINE, currency="EUR", requests=4, output_tokens=400, estimated_cost=Decimal("0.80"))
    recount([backend.pk])
    post_capacity(NOW)
    assert _cost(front) == Decimal("5.80")


def test_a_link_from_long_ago_moves_the_cost_of_its_hours(backend, make_series):
    gateway = Backend.objects.create(slug="gw", name="Gateway", connector="x", measured_at="gateway", provider="vllm")
    _card(backend, valid_from_on=date(2026, 10, 1))
    own, front = make_series("llama"), make_series("llama", on=gateway, measured_at="gateway")
    hour = datetime(2026, 10, 5, 9, tzinfo=UTC)
    for series_id in (own, front):
        _post(series_id, hour, requests=1, output_tokens=100)
    post_capacity(NOW, since=datetime(2026, 10, 1, tzinfo=UTC))
    assert (_cost(own, hour), _cost(front, hour)) == (Decimal(5), None)
    backend.behind, backend.behind_from_on = gateway, date(2026, 10, 1)
    backend.save()
    recount([backend.pk])
    post_capacity(NOW + timedelta(minutes=5))
    assert (_cost(own, hour), _cost(front, hour)) == (Decimal(0), Decimal(5))


def test_what_nobody_in_front_reported_stays_in_the_total(backend, make_series):
    gateway = Backend.objects.create(slug="gw", name="Gateway", connector="x", measured_at="gateway", provider="vllm")
    backend.behind, backend.behind_from_on = gateway, date(2026, 11, 22)
    backend.save()
    _card(backend)
    own = make_series("llama")
    _post(own, NINE, requests=4, output_tokens=400)
    _post(make_series("gpt-4o", on=gateway, measured_at="gateway"), NINE, requests=1, output_tokens=1)
    recount([backend.pk])
    post_capacity(NOW)
    other = Series.objects.get(backend=backend, kind="other_charges")
    assert _cost(other.pk) == Decimal(5)


def test_idle_capacity_follows_the_months_busy_part(backend, make_series, claims, other):
    _card(backend)
    one, two = make_series("llama"), make_series("qwen")
    for series, workload in ((one, claims), (two, other)):
        Allocation.objects.create(series_id=series, workload=workload, share_ratio=1, valid_from_on=date(2000, 1, 1))
    _post(one, NINE, requests=3, output_tokens=300)
    _post(two, NINE, requests=1, output_tokens=100)
    post_capacity(NOW)
    shares = {a.workload: a.share_ratio for a in _idle(backend).allocations.filter(valid_from_on=date(2026, 11, 1))}
    assert shares == {claims: Decimal("0.75"), other: Decimal("0.25")}


def test_a_card_from_the_past_allocates_its_idle_months_too(backend, make_series, claims):
    _card(backend, valid_from_on=date(2026, 9, 1))
    one = make_series("llama")
    Allocation.objects.create(series_id=one, workload=claims, share_ratio=1, valid_from_on=date(2000, 1, 1))
    for month in (9, 10):
        _post(one, NINE.replace(month=month), requests=1)
    post_capacity(NOW, backend_ids=[backend.pk], since=datetime(2026, 9, 1, tzinfo=UTC))
    assert [a.valid_from_on.month for a in _idle(backend).allocations.order_by("valid_from_on")] == [9, 10]


def test_idle_capacity_is_never_given_away_twice(backend, make_series, claims, other, adam, asker):
    backend.default_workload = claims
    backend.save()
    _card(backend)
    _post(make_series("llama"), NINE, requests=3, output_tokens=300)
    post_capacity(NOW)
    idle = _idle(backend)
    assert [(a.workload, a.share_ratio, a.valid_from_on) for a in idle.allocations.all()] == [
        (claims, Decimal(1), date(2026, 11, 1))
    ]
    allocate(asker(adam), idle, shares=[(other, Decimal("0.5"))])
    post_capacity(NOW + timedelta(minutes=5))
    assert [(a.workload, a.share_ratio) for a in idle.allocations.all()] == [(other, Decimal("0.5"))]


def test_a_person_who_takes_idle_capacity_back_within_a_month_is_not_overruled(
    backend, make_series, claims, other, adam, asker
):
    _card(backend)
    one = make_series("llama")
    Allocation.objects.create(series_id=one, workload=claims, share_ratio=1, valid_from_on=date(2000, 1, 1))
    _post(one, NINE, requests=3, output_tokens=300)
    post_capacity(NOW)
    idle = _idle(backend)
    allocate(asker(adam), idle, shares=[(other, Decimal(1))])
    allocate(asker(adam), idle, shares=[], from_on=date(2026, 11, 20))
    post_capacity(NOW + timedelta(minutes=5))
    assert [(a.workload, a.valid_until_on) for a in idle.allocations.all()] == [(other, date(2026, 11, 20))]


def test_idle_capacity_stays_unallocated_where_the_setting_says_so(backend, make_series, claims, settings):
    settings.IDLE_ALLOCATION = "unallocated"
    _card(backend)
    one = make_series("llama")
    Allocation.objects.create(series_id=one, workload=claims, share_ratio=1, valid_from_on=date(2000, 1, 1))
    _post(one, NINE, requests=3, output_tokens=300)
    post_capacity(NOW)
    assert not _idle(backend).allocations.exists()

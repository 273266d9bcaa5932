"""GPU use and energy as an exporter measures them of a machine, shared out over what was served on it."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from metrics import ledger
from metrics.capacity import post_capacity
from metrics.checking import check
from metrics.counting import recount
from metrics.figures import Scope
from metrics.identity import SeriesIdentity, series_ids
from metrics.ledger import PostedCell
from metrics.models import Allocation, Backend, LedgerEntry, RateCard, Receipt, Series, UsageHour
from metrics.reads.usage import usage
from metrics.sharing import Machine, Served, split_hour
from metrics.usage import FeedKind, SeriesKey, SeriesKind

NOW = datetime(2026, 11, 22, 12, 10, tzinfo=UTC)
NINE = datetime(2026, 11, 22, 9, tzinfo=UTC)
WEIGHT = Decimal("0.1")
FIFTH = Decimal("0.000001")

pytestmark = pytest.mark.django_db


def _post(series_id: int, hour: datetime = NINE, kind: FeedKind = FeedKind.USAGE, **sums) -> None:
    backend = Series.objects.get(pk=series_id).backend
    ledger.post(Receipt(kind=kind, backend=backend), ledger.feed(kind, backend), [PostedCell(series_id, hour, sums)])


def _gpu(backend: Backend) -> int:
    key = SeriesKey(provider=backend.provider, model="", operation="gpu", kind=SeriesKind.GPU)
    identity = SeriesIdentity(key=key, backend_id=backend.pk)
    return series_ids([identity])[identity]


def _measured(backend: Backend, busy: int, seen: int = 7200, wh: int | None = 500, hour: datetime = NINE) -> None:
    energy = {} if wh is None else {"energy_wh": Decimal(wh)}
    _post(_gpu(backend), hour, gpu_busy_seconds=Decimal(busy), gpu_held_seconds=Decimal(seen), **energy)


def _card(backend: Backend, **fields) -> RateCard:
    values = {"kind": "rented", "units": Decimal(2), "currency": "EUR", "rate_per_unit_hour": Decimal("2.50")}
    return RateCard.objects.create(backend=backend, **{**values, "valid_from_on": date(2026, 11, 22), **fields})


def _hour(series_id: int, hour: datetime = NINE) -> dict[str, Decimal | None]:
    found: dict[str, Decimal | None] = {}
    for row in UsageHour.objects.filter(series=series_id, hour=hour):
        for name in ("estimated_cost", "gpu_busy_seconds", "gpu_held_seconds", "energy_wh"):
            if getattr(row, name) is not None:
                found[name] = getattr(row, name)
    return found


def _idle(backend: Backend) -> Series:
    return Series.objects.get(backend=backend, kind="idle")


# --- Arithmetic


def test_a_machines_use_is_split_by_tokens():
    """2,700 of 7,200 seconds busy: 1.875 of 5.00; by output + 0.1 x input tokens 200 to 100."""
    served = [
        Served(1, input_tokens=Decimal(1000), output_tokens=Decimal(100)),
        Served(2, input_tokens=Decimal(500), output_tokens=Decimal(50)),
    ]
    found = split_hour(Decimal(5), Decimal(7200), served, input_weight=WEIGHT, machine_busy=Decimal(2700))
    assert [share.amount for share in found.busy] == [Decimal("1.25"), Decimal("0.625")]
    assert [share.held_seconds for share in found.busy] == [1800, 900]
    assert (found.idle_amount, found.idle_held_seconds, found.idle_busy_seconds) == (Decimal("3.125"), 4500, 0)


def test_at_work_for_nobody_that_is_known_is_not_idle_time():
    found = split_hour(Decimal(5), Decimal(7200), [], input_weight=WEIGHT, machine_busy=Decimal(2700))
    assert (found.busy, found.idle_amount, found.idle_busy_seconds) == ([], Decimal(5), 2700)


@pytest.mark.parametrize(
    ("busy", "seen", "expected"),
    [
        (1800, 7200, 1800),
        # Seen for half of the time and busy for half of that: so it was for the whole.
        (1800, 3600, 3600),
        # A gap is unknown: under half of what is held, nothing can be said.
        (1800, 3599, None),
        # Eight GPUs seen, two held: their common use.
        (7200, 28800, 1800),
        (0, 7200, 0),
        # Rounded up by a scrape at the edge.
        (7215, 7210, 7200),
    ],
)
def test_what_was_seen_holds_for_what_is_held(busy, seen, expected):
    assert Machine(Decimal(busy), Decimal(seen)).busy_of(Decimal(7200)) == expected


def test_unknown_use_is_not_zero():
    assert Machine(None, None, Decimal(5)).busy_of(Decimal(7200)) is None


# --- Posting


def test_use_energy_and_cost_go_to_what_was_served_and_the_rest_is_idle(backend, make_series):
    """The worked example of docs/connectors/presets.md."""
    _card(backend)
    one, two = make_series("llama"), make_series("qwen")
    _post(one, requests=3, input_tokens=1000, output_tokens=100)
    _post(two, requests=1, input_tokens=500, output_tokens=50)
    _measured(backend, 2700)
    post_capacity(NOW)
    third = Decimal("166.666667")
    assert _hour(one) == {
        "estimated_cost": Decimal("1.25"),
        "gpu_busy_seconds": 1800,
        "gpu_held_seconds": 1800,
        "energy_wh": 500 - third,
    }
    assert _hour(two) == {
        "estimated_cost": Decimal("0.625"),
        "gpu_busy_seconds": 900,
        "gpu_held_seconds": 900,
        "energy_wh": third,
    }
    assert _hour(_idle(backend).pk) == {
        "estimated_cost": Decimal("3.125"),
        "gpu_busy_seconds": 0,
        "gpu_held_seconds": 4500,
    }
    assert set(_hour(_gpu(backend)).values()) == {0}


def test_posting_again_changes_nothing_and_what_is_restated_moves(backend, make_series):
    _card(backend)
    one = make_series("llama")
    _post(one, output_tokens=100)
    _measured(backend, 2700)
    assert post_capacity(NOW) == 1
    assert post_capacity(NOW + timedelta(minutes=5)) == 0
    _measured(backend, 900, seen=0, wh=100)
    assert post_capacity(NOW + timedelta(minutes=10)) == 1
    assert _hour(one)["gpu_busy_seconds"] == 3600
    assert _hour(one)["energy_wh"] == 600
    assert _hour(_idle(backend).pk)["gpu_held_seconds"] == 3600
    assert check() == []


def test_without_a_card_what_was_seen_is_held_and_no_cost_is_known(backend, make_series):
    one = make_series("llama")
    _post(one, output_tokens=100)
    _measured(backend, 1800, seen=3600)
    post_capacity(NOW)
    assert _hour(one) == {"gpu_busy_seconds": 1800, "gpu_held_seconds": 1800, "energy_wh": 500}
    assert _hour(_idle(backend).pk) == {"gpu_busy_seconds": 0, "gpu_held_seconds": 1800}


def test_without_a_card_idle_time_follows_busy_seconds(backend, make_series, claims, other):
    """Tokens 3 to 1 of one roadmap and the other: so are the idle seconds, and each uses half of what it holds."""
    for model, tokens, workload in (("llama", 300, claims), ("qwen", 100, other)):
        series = make_series(model)
        Allocation.objects.create(series_id=series, workload=workload, share_ratio=1, valid_from_on=date(2000, 1, 1))
        _post(series, output_tokens=tokens)
    _measured(backend, 1800, seen=3600)
    post_capacity(NOW)
    shares = {one.workload: one.share_ratio for one in _idle(backend).allocations.all()}
    assert shares == {claims: Decimal("0.75"), other: Decimal("0.25")}
    for workload in (claims, other):
        (found,) = usage(Scope(date(2026, 11, 22), date(2026, 11, 23), (workload.pk,)), (), None)
        use = found.sums.ratio("gpu_busy_seconds", "gpu_held_seconds", weight="gpu_held_seconds")
        assert use.value == Decimal("0.5")


def test_a_gap_leaves_the_hour_unmeasured_and_traffic_busy(backend, make_series):
    _card(backend)
    one = make_series("llama")
    _post(one, output_tokens=100)
    _measured(backend, 100, seen=600, wh=None)
    post_capacity(NOW)
    assert _hour(one) == {"estimated_cost": Decimal(5)}
    assert "gpu_busy_seconds" not in _hour(_idle(backend).pk)


def test_a_card_while_up_holds_what_the_exporter_sees(backend):
    _card(backend, while_up=True)
    _measured(backend, 0)
    post_capacity(NOW)
    assert [row.hour for row in UsageHour.objects.filter(currency="EUR")] == [NINE]


def test_measured_energy_takes_the_place_of_rated_watts(backend, make_series):
    """72,000 over 26,304 hours is 2.7372262774 an hour; 1 kWh x 1.5 x 0.30 = 0.45."""
    owned = {"purchase_amount": Decimal(72_000), "purchased_on": date(2026, 1, 1), "amortisation_months": 36}
    energy = {"rated_watts": Decimal(700), "pue": Decimal("1.5"), "price_per_kwh": Decimal("0.30")}
    _card(backend, kind="owned", rate_per_unit_hour=None, **owned, **energy)
    one = make_series("llama")
    _post(one, output_tokens=100)
    _measured(backend, 7200, wh=1000)
    for _ in range(2):
        post_capacity(NOW)
        assert _hour(one)["estimated_cost"] == Decimal("3.1872262774")


def test_series_that_know_their_own_seconds_keep_them(backend, make_series):
    _card(backend)
    one, two = make_series("llama"), make_series("qwen")
    _post(one, output_tokens=1, gpu_busy_seconds=Decimal(1000))
    _post(two, output_tokens=99, gpu_busy_seconds=Decimal(3000))
    _measured(backend, 2700)
    post_capacity(NOW)
    assert (_hour(one)["gpu_busy_seconds"], _hour(two)["gpu_busy_seconds"]) == (1000, 3000)
    assert set(_hour(_gpu(backend)).values()) == {0}
    total = sum(row.gpu_busy_seconds or 0 for row in UsageHour.objects.filter(hour=NINE))
    assert total == 4000


def test_behind_a_gateway_its_series_bear_energy_and_the_seconds_stay_with_the_server(backend, make_series):
    gateway = Backend.objects.create(slug="gw", name="Gateway", connector="x", measured_at="gateway", provider="vllm")
    backend.behind, backend.behind_from_on = gateway, date(2026, 11, 22)
    backend.save()
    _card(backend)
    own = make_series("org/llama")
    team_a = make_series("llama", on=gateway, measured_at="gateway", labels=(("team", "a"),))
    team_b = make_series("llama", on=gateway, measured_at="gateway", labels=(("team", "b"),))
    _post(own, output_tokens=400)
    _post(team_a, output_tokens=300)
    _post(team_b, output_tokens=100)
    recount([backend.pk])
    _measured(backend, 3600)
    post_capacity(NOW)
    assert (_hour(team_a), _hour(team_b)) == (
        {"estimated_cost": Decimal("1.875"), "energy_wh": 375},
        {"estimated_cost": Decimal("0.625"), "energy_wh": 125},
    )
    idle = _hour(_idle(backend).pk)
    assert (idle["gpu_busy_seconds"], idle["gpu_held_seconds"]) == (3600, 7200)


def test_the_whole_is_what_the_exporter_said_and_the_ratios_come_out(backend, make_series):
    """Twelve hours of the day: two models in one, nobody that is known in another; 4,500 of 12 x 7,200 seconds busy."""
    _card(backend, valid_from_on=date(2026, 11, 22))
    one, two = make_series("llama"), make_series("qwen")
    _post(one, input_tokens=1000, output_tokens=100)
    _post(two, input_tokens=500, output_tokens=50)
    _measured(backend, 2700, wh=500)
    _measured(backend, 1800, wh=100, hour=NINE + timedelta(hours=1))
    for hour in (0, 1, 2, 3, 4, 5, 6, 7, 8, 11):
        _measured(backend, 0, wh=0, hour=NINE.replace(hour=hour))
    post_capacity(NOW)
    rows = list(LedgerEntry.objects.filter(receipt__is_void=False))
    assert sum(row.energy_wh or 0 for row in rows) == 600
    assert sum(row.gpu_busy_seconds or 0 for row in rows) == 4500
    scope = Scope(date(2026, 11, 22), date(2026, 11, 23), None)
    (found,) = usage(scope, (), None)
    use = found.sums.ratio("gpu_busy_seconds", "gpu_held_seconds", weight="gpu_held_seconds")
    assert (use.value, use.coverage) == (Decimal(4500) / 86_400, 1)
    energy = found.sums.ratio("energy_wh", "tokens", weight="tokens")
    assert (energy.value, energy.coverage) == (Decimal(600) / 1650, 1)


def test_the_backends_page_says_use_and_energy_and_lists_no_series_of_the_exporter(adam, sign_in, backend, make_series):
    today = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=2)
    _post(make_series("llama"), today, input_tokens=400, output_tokens=100)
    _measured(backend, 1800, wh=200, hour=today)
    post_capacity(datetime.now(UTC))
    text = sign_in(adam).get("/backends/gpu-1/").text
    assert "25% of the held time" in " ".join(text.split())
    # 0.2 kWh over 500 tokens is 0.4 kWh per 1,000.
    assert re.search(r"0\.2 kWh, 0\.40* per 1,000 tokens", text)
    assert "Other charges" not in text

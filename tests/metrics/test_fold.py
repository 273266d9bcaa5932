"""Records become sums per series and hour; the order and the batching of records change nothing."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from metrics import labels, pricing
from metrics.fold import Folded, Place, fold, place_keys
from metrics.format import Batch, Limits
from metrics.formats.usage_json import decode_document
from metrics.histogram import buckets_of, count_of
from metrics.models import Backend, OwnPrice, RateCard
from metrics.usage import MeasuredAt

NOW = datetime(2026, 11, 22, 14, 30, tzinfo=UTC)
LIMITS = Limits(now=NOW, oldest=NOW - timedelta(days=1800), max_records=10_000)


@pytest.fixture(autouse=True)
def _fresh_prices(db):
    pricing.forget_prices()
    yield
    pricing.forget_prices()


def record(**fields) -> dict:
    return {"timestamp": "2026-11-22T14:00:00Z", "model": "gpt-4o-mini", "provider": "openai", **fields}


def folded(*records: dict, backend_id: int = 1) -> tuple[Folded, dict]:
    """What the records fold to, and the warnings by code."""
    batch = decode_document(json.dumps({"records": records}).encode(), LIMITS)
    assert not batch.rejections
    places = {key: Place(backend_id, 7) for key in place_keys(batch)}
    result = fold(batch, places)
    return result, {code: count for (code, _), count in batch.warnings.items()}


def only_cell(*records: dict, backend_id: int = 1):
    result, _ = folded(*records, backend_id=backend_id)
    (cell,) = result.cells.values()
    return cell


def test_it_adds_up_what_is_known_and_leaves_the_rest_unknown():
    cell = only_cell(
        record(input_tokens=10, output_tokens=5, units=0.5, cost="0.1", currency="USD"),
        record(input_tokens=20, requests=3, errors=1, cost="0.2", currency="USD"),
    )
    assert cell.sums() == {
        "requests": 4,
        "errors": 1,
        "input_tokens": 30,
        "output_tokens": 5,
        "units": Decimal("0.500000"),
        "estimated_cost": Decimal("0.3000000000"),
    }
    assert cell.currency == "USD"
    assert cell.identity.workload_id == 7
    assert cell.identity.measured_at == MeasuredAt.APPLICATION


def test_hours_are_those_of_utc():
    result, _ = folded(
        record(timestamp="2026-11-22T14:59:59.999+01:00"),
        record(timestamp="2026-11-22T13:00:00Z"),
        record(timestamp="2026-11-22T15:00:00+01:00"),
    )
    assert {cell.hour.isoformat(): cell.counts["requests"] for cell in result.cells.values()} == {
        "2026-11-22T13:00:00+00:00": 2,
        "2026-11-22T14:00:00+00:00": 1,
    }


def test_money_in_two_currencies_is_two_cells():
    result, _ = folded(
        record(cost="1", currency="USD"), record(cost="2", currency="EUR"), record(cost="3", currency="EUR")
    )
    assert {cell.currency: cell.sums()["estimated_cost"] for cell in result.cells.values()} == {
        "USD": Decimal("1.0000000000"),
        "EUR": Decimal("5.0000000000"),
    }


def test_latencies_go_into_the_histogram_with_count_and_sum():
    cell = only_cell(record(duration_ms=100), record(duration_ms=250.5), record())
    assert count_of(cell.windows["duration"]) == 2
    assert cell.sums()["duration_count"] == 2
    assert cell.sums()["duration_sum_ms"] == Decimal("350.500000")
    assert "time_to_first_token_count" not in cell.sums()


def test_the_time_between_tokens_follows_from_the_others():
    # (1,100 ms - 100 ms) / (11 - 1 tokens) = 100 ms; a record that says its own keeps it; one token has no interval.
    cell = only_cell(
        record(duration_ms=1100, time_to_first_token_ms=100, output_tokens=11),
        record(duration_ms=1100, time_to_first_token_ms=100, output_tokens=11, inter_token_ms=50),
        record(duration_ms=1100, time_to_first_token_ms=100, output_tokens=1),
    )
    assert cell.sums()["inter_token_count"] == 2
    assert cell.sums()["inter_token_sum_ms"] == Decimal("150.000000")


def test_foreign_buckets_are_kept_by_their_bounds():
    one = {"bounds_ms": [100, 200], "counts": [1, 2, 3]}
    other = {"bounds_ms": [100, 300], "counts": [1, 0, 0]}
    cell = only_cell(*(record(requests=10, duration_histogram=histogram) for histogram in (one, one, other)))
    assert cell.foreign == {("duration", (100.0, 200.0)): [2, 4, 6], ("duration", (100.0, 300.0)): [1, 0, 0]}
    # There is no sum of times, so that nothing of them joins the mean.
    assert "duration_count" not in cell.sums()


def test_single_scores_and_sums_of_scores_add_up():
    cell = only_cell(record(quality=0.5), record(requests=5, quality_sum=3.2, quality_count=4), record())
    assert cell.sums()["quality_sum"] == Decimal("3.700000")
    assert cell.sums()["quality_count"] == 5


# --- Prices. gpt-4o-mini cost 0.15 USD a million input tokens, 0.075 cached, 0.60 output.


def test_tokens_are_priced_by_the_list():
    # (1,000 - 400) x 0.15 + 400 x 0.075 + 100 x 0.60 = 90 + 30 + 60 = 180 a million
    cell = only_cell(record(input_tokens=1000, cached_input_tokens=400, output_tokens=100))
    assert cell.currency == "USD"
    assert cell.sums()["estimated_cost"] == Decimal("0.0001800000")


def test_a_stated_cost_is_kept_and_only_the_others_are_priced():
    result, _ = folded(
        record(input_tokens=1000, output_tokens=100, cost="5", currency="USD"),
        record(input_tokens=1000, output_tokens=100),
    )
    (cell,) = result.cells.values()
    # 1,000 x 0.15 + 100 x 0.60 = 210 a million
    assert cell.sums()["estimated_cost"] == Decimal("5.0002100000")


@pytest.mark.parametrize(
    "fields",
    [
        {"model": "my-own-model"},
        {"provider": "unknown"},
        {"provider": "acme-gateway", "model": "gpt-4o-mini"},
        {"service_tier": "turbo"},
    ],
)
def test_what_has_no_price_is_not_priced_and_never_zero(fields):
    result, _ = folded(record(input_tokens=10, output_tokens=5, **fields))
    (cell,) = result.cells.values()
    assert "estimated_cost" not in cell.sums()
    assert cell.currency == ""
    assert result.not_priced == 1


def test_a_record_with_unknown_output_is_not_priced():
    result, _ = folded(record(input_tokens=10), record(input_tokens=1000, output_tokens=0))
    sums = {cell.currency: cell.sums() for cell in result.cells.values()}
    assert sums["USD"]["estimated_cost"] == Decimal("0.0001500000")
    assert sums["USD"]["input_tokens"] == 1000
    assert "estimated_cost" not in sums[""]
    assert sums[""]["input_tokens"] == 10
    assert result.not_priced == 1


def test_a_record_is_priced_whichever_others_come_with_it():
    """Alone and together, what has a price has it and what has none has none."""
    priced, unpriced = record(input_tokens=1000, output_tokens=0), record(input_tokens=10)
    together, _ = folded(priced, unpriced)
    assert content([together]) == content([folded(priced)[0], folded(unpriced)[0]])


def test_an_embedding_needs_no_output_tokens():
    result, _ = folded(record(model="text-embedding-3-small", operation="embeddings", input_tokens=1_000_000))
    (cell,) = result.cells.values()
    assert cell.sums()["estimated_cost"] == Decimal("0.0200000000")
    assert result.not_priced == 0


def test_an_error_without_tokens_has_nothing_to_price():
    result, _ = folded(record(model="my-own-model", errors=1))
    assert result.not_priced == 0


def test_the_batch_price_is_half():
    cell = only_cell(record(input_tokens=1_000_000, output_tokens=0, service_tier="batch"))
    assert cell.sums()["estimated_cost"] == Decimal("0.0750000000")


def test_a_price_that_depends_on_the_size_of_a_request_is_taken_per_request():
    # gemini-2.5-pro: 1.25 USD a million up to 200,000 input tokens of a request, 2.50 above.
    fields = {"provider": "gcp.gemini", "model": "gemini-2.5-pro", "output_tokens": 0}
    small = only_cell(*[record(input_tokens=100_000, **fields)] * 3)
    large = only_cell(record(input_tokens=300_000, **fields))
    assert small.sums()["estimated_cost"] == Decimal("0.3750000000")
    assert large.sums()["estimated_cost"] == Decimal("0.7500000000")


def test_a_sum_takes_the_first_step_and_says_so():
    result, warnings = folded(
        record(provider="gcp.gemini", model="gemini-2.5-pro", requests=3, input_tokens=300_000, output_tokens=0)
    )
    (cell,) = result.cells.values()
    assert cell.sums()["estimated_cost"] == Decimal("0.3750000000")
    assert warnings == {"first_price_step": 1}


def own_price(backend: Backend | None, start: str, price: str) -> None:
    OwnPrice.objects.create(
        backend=backend,
        provider="openai",
        model="gpt-4o-mini",
        currency="EUR",
        input_per_million=Decimal(price),
        output_per_million=Decimal(0),
        valid_from_on=start,
    )


def test_an_own_price_wins_from_its_day_on_and_the_backends_own_before_all():
    backend = Backend.objects.create(slug="b", name="B", connector="openai", provider="openai")
    own_price(None, "2026-11-21", "1")
    own_price(backend, "2026-11-22", "2")
    work = {"input_tokens": 1_000_000, "output_tokens": 0}
    costs = {}
    for day in (20, 21, 22):
        cell = only_cell(record(timestamp=f"2026-11-{day}T10:00:00Z", **work), backend_id=backend.pk)
        costs[day] = (cell.currency, cell.sums()["estimated_cost"])
    assert costs == {20: ("USD", Decimal("0.15")), 21: ("EUR", Decimal(1)), 22: ("EUR", Decimal(2))}


def test_tokens_of_reserved_capacity_are_not_priced_again():
    backend = Backend.objects.create(slug="gpu", name="GPU", connector="metrics", provider="openai")
    RateCard.objects.create(
        backend=backend, kind="rented", units=1, currency="USD", rate_per_unit_hour=2, valid_from_on="2026-11-22"
    )
    result, _ = folded(record(input_tokens=1000, output_tokens=5), backend_id=backend.pk)
    (cell,) = result.cells.values()
    assert "estimated_cost" not in cell.sums()
    assert result.not_priced == 0


# --- Labels


def test_labels_with_a_great_many_spaces_are_read_and_not_remembered():
    labels._sift.cache_clear()
    padded = b'{"team":' + b" " * 5_000 + b'"claims"}'
    assert labels.kept_labels(padded, Batch([], [], frozenset()), 1) == (("team", "claims"),)
    assert labels._sift.cache_info().currsize == 0


def test_labels_on_the_list_make_a_series_and_others_are_dropped_with_a_warning():
    result, warnings = folded(
        record(labels={"team": "claims", "shoe_size": "42"}),
        record(labels={"shoe_size": "43", "team": "claims"}),
        record(labels={"team": "other"}),
    )
    assert sorted(cell.identity.key.labels for cell in result.cells.values()) == [
        (("team", "claims"),),
        (("team", "other"),),
    ]
    assert warnings == {"label_not_kept": 2}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("user", "x"),
        ("user_id", "x"),
        ("end_user", "x"),
        ("enduser.id", "x"),
        ("session.id", "x"),
        ("client_ip", "x"),
        ("email", "x"),
        ("customer_name", "x"),
        ("team", "jo@example.org"),
        ("team", "192.168.7.1"),
        ("team", "2001:db8:0:1:1:1:1:1"),
    ],
)
def test_what_names_a_person_an_address_or_a_session_is_never_kept(name, value, settings):
    settings.KEPT_LABELS = [*settings.KEPT_LABELS, name]
    result, warnings = folded(record(labels={name: value}))
    (cell,) = result.cells.values()
    assert cell.identity.key.labels == ()
    assert warnings == {"personal_label": 1}


# --- Any order, any batching

AMOUNT = st.integers(0, 10**6)
RECORDS = st.lists(
    st.builds(
        lambda **fields: {name: value for name, value in fields.items() if value is not None},
        timestamp=st.integers(0, 300).map(lambda minutes: (NOW - timedelta(minutes=minutes)).isoformat()),
        model=st.sampled_from(["gpt-4o-mini", "llama"]),
        provider=st.sampled_from(["openai", None]),
        input_tokens=AMOUNT | st.none(),
        output_tokens=AMOUNT | st.none(),
        units=st.floats(0, 1e6) | st.none(),
        duration_ms=st.floats(0.01, 86_400_000) | st.none(),
        quality=st.floats(0, 1) | st.none(),
        energy_wh=st.floats(0, 1e9) | st.none(),
        cost=st.integers(0, 10**12).map(lambda nano: format(Decimal(nano).scaleb(-10), "f")) | st.none(),
        currency=st.sampled_from(["USD", "EUR"]),
        labels=st.sampled_from([None, {"team": "a"}, {"team": "b"}]),
    ),
    min_size=1,
    max_size=12,
)


def content(results: list[Folded]) -> dict:
    """Everything that would be posted, added up over batches."""
    total: dict = {}
    for result in results:
        for key, cell in result.cells.items():
            there = total.setdefault(key, ({}, {}))
            for name, amount in cell.sums().items():
                there[0][name] = there[0].get(name, 0) + amount
            for measure, window in cell.windows.items():
                for bucket, count in buckets_of(window).items():
                    there[1][measure, bucket] = there[1].get((measure, bucket), 0) + count
    return total


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(RECORDS, st.randoms(use_true_random=False), st.integers(1, 5))
def test_any_order_and_any_batching_gives_the_same_cells(records, random, size):
    shuffled = records[:]
    random.shuffle(shuffled)
    batches = [shuffled[start : start + size] for start in range(0, len(shuffled), size)]
    whole = content([folded(*records)[0]])
    assert content([folded(*batch)[0] for batch in batches]) == whole

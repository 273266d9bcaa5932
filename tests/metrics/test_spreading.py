"""Spreading a provider's statement over the usage it covers: the parts are the whole. Worked by hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from metrics.connector import CostStatement
from metrics.spreading import UsedHour, spread

DAY = datetime(2026, 11, 20, tzinfo=UTC)
BASES = ("estimate", "tokens", "requests", "units")


def _statement(amount: str | Decimal, **fields) -> CostStatement:
    return CostStatement(DAY, DAY + timedelta(days=1), Decimal(amount), "USD", **fields)


def _hour(series_id: int, hour: int, **fields) -> UsedHour:
    known = {name: Decimal(value) for name, value in fields.items() if name in BASES}
    rest = {name: value for name, value in fields.items() if name not in known}
    return UsedHour(series_id, DAY + timedelta(hours=hour), **{"model": "m", **rest, **known})


def _amounts(parts) -> dict[int | None, Decimal]:
    found: dict[int | None, Decimal] = {}
    for part in parts:
        found[part.series_id] = found.get(part.series_id, Decimal(0)) + part.amount
    return found


def test_it_goes_by_estimate_first():
    used = [_hour(1, 3, estimate="3", tokens="1"), _hour(2, 4, estimate="1", tokens="999")]
    assert _amounts(spread([_statement("8")], used)) == {1: Decimal(6), 2: Decimal(2)}


def test_then_by_tokens_then_by_requests():
    assert _amounts(spread([_statement("8")], [_hour(1, 3, tokens="3"), _hour(2, 4, tokens="1", estimate="9")])) == {
        1: Decimal(6),
        2: Decimal(2),
    }
    assert _amounts(spread([_statement("8")], [_hour(1, 3, requests="1"), _hour(2, 4, requests="3")])) == {
        1: Decimal(2),
        2: Decimal(6),
    }


def test_what_a_tool_does_is_charged_by_its_units():
    used = [_hour(1, 3, units="1", model="web search"), _hour(2, 4, units="3", model="web search")]
    assert _amounts(spread([_statement("8", model="web search")], used)) == {1: Decimal(2), 2: Decimal(6)}
    # Beside usage with requests a unit weighs nothing: an image and a request cannot be compared.
    mixed = [*used, _hour(3, 3, requests="1")]
    assert _amounts(spread([_statement("8")], mixed)) == {3: Decimal(8)}


def test_a_statement_of_zero_takes_the_place_of_the_estimates():
    used = [_hour(1, 3, estimate="3"), _hour(2, 4, estimate="1")]
    assert _amounts(spread([_statement("0")], used)) == {1: Decimal(0), 2: Decimal(0)}


def test_ten_over_three_ends_at_the_tenth_place_the_first_hour_takes_the_rest():
    used = [_hour(1, hour, requests="1") for hour in (2, 1, 3)]
    parts = {part.hour.hour: part.amount for part in spread([_statement("10")], used)}
    assert parts == {1: Decimal("3.3333333334"), 2: Decimal("3.3333333333"), 3: Decimal("3.3333333333")}


def test_it_covers_the_models_and_projects_that_it_names():
    used = [
        _hour(1, 3, requests="1", model="a", project="p"),
        _hour(2, 3, requests="1", model="a", project="q"),
        _hour(3, 3, requests="1", model="b", project="p"),
    ]
    assert _amounts(spread([_statement("8", model="a", project="q")], used)) == {2: Decimal(8)}
    assert _amounts(spread([_statement("8", model="a")], used)) == {1: Decimal(4), 2: Decimal(4)}
    assert _amounts(spread([_statement("8", model="c")], used)) == {None: Decimal(8)}


def test_it_covers_the_service_tier_that_it_names():
    used = [_hour(1, 3, requests="9", service_tier="priority"), _hour(2, 3, requests="1", service_tier="standard")]
    assert _amounts(spread([_statement("8", service_tier="standard")], used)) == {2: Decimal(8)}
    assert _amounts(spread([_statement("8", service_tier="batch")], used)) == {None: Decimal(8)}
    assert _amounts(spread([_statement("10")], used)) == {1: Decimal(9), 2: Decimal(1)}


def test_usage_without_projects_is_covered_by_any():
    used = [_hour(1, 3, requests="1", model="a")]
    assert _amounts(spread([_statement("8", model="a", project="q")], used)) == {1: Decimal(8)}


def test_a_credit_is_not_spread_and_tax_is_left_out():
    used = [_hour(1, 3, requests="1")]
    parts = spread([_statement("-5", charge_category="Credit"), _statement("2", charge_category="Tax")], used)
    assert [(part.series_id, part.amount, part.category) for part in parts] == [(None, Decimal(-5), "Credit")]


numbers = st.none() | st.decimals(min_value=0, max_value=10**6, places=4)


@given(
    amount=st.decimals(min_value=-(10**6), max_value=10**6, places=10),
    rows=st.lists(st.tuples(st.integers(0, 23), numbers, numbers, numbers), max_size=12),
)
def test_the_parts_are_the_whole(amount, rows):
    used = [
        UsedHour(place, DAY + timedelta(hours=hour), "m", estimate=e, tokens=t, requests=r)
        for place, (hour, e, t, r) in enumerate(rows)
    ]
    assert sum((part.amount for part in spread([_statement(amount)], used)), Decimal(0)) == amount

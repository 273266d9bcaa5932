"""Money is parsed strictly, split to the last place and converted at the right day's rate."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from metrics.money import Rates, RunningRounder, parse_amount, parse_currency, rounded_parts, split, total_of

amounts = st.integers(-(10**20), 10**20).map(lambda units: Decimal(units).scaleb(-10))
weights = st.lists(
    st.integers(0, 10**9) | st.decimals(0, 10**6, places=6, allow_nan=False), min_size=1, max_size=30
).filter(any)
DAY = date(2026, 3, 4)


@given(amounts, weights)
def test_parts_add_up_to_the_total(total, shares):
    parts = split(total, shares)
    assert sum(parts) == total
    whole = sum(Decimal(share) for share in shares)
    for part, share in zip(parts, shares, strict=True):
        assert abs(part - total * Decimal(share) / whole) <= Decimal("1e-9")
        assert part == part.quantize(Decimal("1e-10"))
        assert share or not part


def test_the_largest_remainder_comes_first_and_ties_go_in_order():
    third = Decimal("0.3333333333")
    assert split(Decimal(1), [1, 1, 1]) == [third + Decimal("1e-10"), third, third]
    # 10 units over 1 : 2 : 4 are 1.43, 2.86 and 5.71: the largest remainders are .86 and .71.
    assert split(Decimal(10), [1, 2, 4], places=0) == [1, 3, 6]
    assert split(Decimal(-10), [1, 2, 4], places=0) == [-1, -3, -6]


@pytest.mark.parametrize(
    ("total", "shares"),
    [
        (Decimal(1), []),
        (Decimal(1), [0, 0]),
        (Decimal(1), [1, -1]),
        (Decimal("1e-11"), [1]),
        (Decimal(1), [Decimal("NaN")]),
    ],
)
def test_it_refuses_to_split_what_cannot_be(total, shares):
    with pytest.raises(ValueError):
        split(total, shares)


@given(amounts)
def test_text_becomes_exactly_its_amount(amount):
    assert parse_amount(format(amount, "f")) == amount


@pytest.mark.parametrize(
    "text",
    [
        "",
        " 1",
        "1 ",
        "1,5",
        "1e3",
        "+1",
        "NaN",
        "Infinity",
        ".5",
        "5.",
        "1.12345678901",
        "0x1",
        "1_000",
        "١",
        "--1",
        1.5,
        None,
    ],
)
def test_it_refuses_text_that_is_no_amount(text):
    with pytest.raises(ValueError):
        parse_amount(text)


@pytest.mark.parametrize("text", ["eur", "EU", "EURO", "E1R", "", None])
def test_it_refuses_text_that_is_no_currency(text):
    with pytest.raises(ValueError):
        parse_currency(text)
    assert parse_currency("EUR") == "EUR"


@pytest.fixture
def rates():
    return Rates(
        "EUR", {"USD": {DAY: Decimal("1.25"), DAY - timedelta(days=3): Decimal(2)}, "GBP": {DAY: Decimal("0.5")}}
    )


def test_an_amount_is_converted_at_the_rate_of_its_day_else_the_last_before(rates):
    assert rates.convert(Decimal(10), "USD", DAY) == 8
    assert rates.convert(Decimal(10), "USD", DAY - timedelta(days=1)) == 5
    assert rates.convert(Decimal(10), "EUR", DAY) == 10
    assert rates.factor("USD", DAY + timedelta(days=4)).is_stale is False
    old = rates.factor("USD", DAY + timedelta(days=5))
    assert (old.value, old.rate_on, old.is_stale) == (Decimal("0.8"), DAY, True)


def test_there_is_no_rate_before_the_first_nor_after_45_days(rates):
    assert rates.factor("USD", DAY - timedelta(days=4)) is None
    assert rates.factor("USD", DAY + timedelta(days=45)) is not None
    assert rates.factor("USD", DAY + timedelta(days=46)) is None
    assert rates.convert(Decimal(1), "XXX", DAY) is None


def test_two_currencies_meet_over_the_euro(rates):
    dollars = Rates("USD", rates._per_euro)
    assert dollars.convert(Decimal(10), "GBP", DAY) == 25
    assert dollars.convert(Decimal(10), "EUR", DAY) == Decimal("12.5")


def test_a_total_of_unknowns_is_unknown():
    assert total_of([None, None]) is None
    assert total_of([None, Decimal(2)]) == 2


CENTS = st.decimals(min_value=-(10**6), max_value=10**6, places=10)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(CENTS, max_size=30))
def test_rounded_parts_are_near_and_add_up_to_the_rounded_sum(amounts):
    parts = rounded_parts(amounts)
    assert sum(parts, Decimal(0)) == sum(amounts, Decimal(0)).quantize(Decimal("0.01"))
    assert all(abs(part - amount) <= Decimal("0.01") for part, amount in zip(parts, amounts, strict=True))


def test_rounded_parts_by_hand():
    # 1.004 + 1.004 + 1.004 = 3.012: 3.01, the first of the equal remainders gets the cent.
    assert rounded_parts([Decimal("1.004")] * 3) == [Decimal("1.01"), Decimal("1.00"), Decimal("1.00")]
    assert rounded_parts([Decimal("-1.006"), Decimal("2.000")]) == [Decimal("-1.01"), Decimal("2.00")]
    # Two parts of a row that was rounded up already.
    assert rounded_parts([Decimal("0.333"), Decimal("0.333")], total=Decimal("0.68")) == [
        Decimal("0.34"),
        Decimal("0.34"),
    ]
    assert rounded_parts([]) == []


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(CENTS, max_size=30))
def test_a_stream_that_is_rounded_adds_up_at_any_point(amounts):
    rounder, told, exact = RunningRounder(2), Decimal(0), Decimal(0)
    for amount in amounts:
        told, exact = told + rounder.round(amount), exact + amount
        assert told == exact.quantize(Decimal("0.01"))

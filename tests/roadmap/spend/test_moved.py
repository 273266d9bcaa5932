"""What moved, by hand (docs/measures.md) and for any two periods: the parts are the change, to the cent."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from roadmap.rules.moved import CAUSES, Period, Traffic, moved

D = Decimal
LARGE, SMALL = ("openai", "large"), ("openai", "small")


def parts(change):
    return {part.cause: part.amount for part in change.parts if part.amount}


def test_the_worked_example():
    # September: 1,000 requests, 1 M tokens each of a large and a small model; in USD, 1 USD was 0.90 EUR.
    # October: 1,200 requests, 1 M large and 2 M small; 1 USD is 0.80 EUR, the large one's price fell from 10 to 8 USD.
    before = Period(
        traffic={
            LARGE: Traffic(D("9.00"), D("8.00"), D(1_000_000), "tokens"),
            SMALL: Traffic(D("1.80"), D("1.60"), D(1_000_000), "tokens"),
        },
        units=D(1_000),
        idle=D("4.00"),
        idle_at_new_rates=D("4.00"),
        cost_entries=D("50.00"),
    )
    now = Period(
        traffic={
            LARGE: Traffic(D("6.40"), D("6.40"), D(1_000_000), "tokens"),
            SMALL: Traffic(D("3.20"), D("3.20"), D(2_000_000), "tokens"),
        },
        units=D(1_200),
        idle=D("5.50"),
        idle_at_new_rates=D("5.50"),
        cost_entries=D("20.00"),
        restatements=D("0.75"),
        other_charges=D("-1.00"),
    )
    change = moved(before, now, ended_prices=frozenset({LARGE}))
    assert (change.before, change.now, change.amount) == (D("64.80"), D("34.85"), D("-29.95"))
    assert parts(change) == {
        "exchange_rate": D("-1.20"),
        "price": D("-1.60"),
        # Shares 1/2 and 1/2 become 1/3 and 2/3 of 2 M: 6.40 x -1/3 + 1.60 x 1/3.
        "mix": D("-1.60"),
        # 200 requests more, at 2,000 tokens each: 400,000, of which 1/3 at 6.40 and 2/3 at 1.60 a million.
        "volume": D("1.28"),
        # 1,200 requests, 2,500 tokens each where it was 2,000: 600,000 more.
        "tokens_per_unit": D("1.92"),
        "idle": D("1.50"),
        "cost_entries": D("-30.00"),
        "restatements": D("0.75"),
        "other_charges": D("-1.00"),
    }
    by_cause = {part.cause: part for part in change.parts}
    assert (by_cause["price"].one_off, by_cause["price"].continuing) == (D("-1.60"), D("0.00"))
    assert by_cause["cost_entries"].one_off == D("-30.00")
    assert by_cause["volume"].one_off == 0
    assert by_cause["mix"].drivers[0][0] == LARGE


def test_a_first_period_is_all_volume():
    now = Period(traffic={LARGE: Traffic(D(7), D(7), D(10), "tokens")}, units=D(2))
    assert parts(moved(Period(), now)) == {"volume": D(7)}
    assert parts(moved(now, Period())) == {"volume": D(-7)}


def test_a_model_that_takes_over_is_mix():
    before = Period(traffic={LARGE: Traffic(D(10), D(10), D(100), "tokens")}, units=D(10))
    now = Period(traffic={SMALL: Traffic(D(2), D(2), D(100), "tokens")}, units=D(10))
    assert parts(moved(before, now)) == {"mix": D(-8)}


def test_without_units_of_work_the_quantity_is_the_volume():
    before = Period(traffic={LARGE: Traffic(D(10), D(10), D(100), "tokens")})
    now = Period(traffic={LARGE: Traffic(D(20), D(20), D(200), "tokens")})
    assert parts(moved(before, now)) == {"volume": D(10)}


def test_money_without_a_quantity_is_price():
    before = Period(traffic={LARGE: Traffic(D(10), D(10))}, units=D(5))
    now = Period(traffic={LARGE: Traffic(D(12), D(12), D(100), "tokens")}, units=D(5))
    assert parts(moved(before, now)) == {"price": D(2)}


AMOUNT = st.decimals(0, 10**7, places=10)
QUANTITY = st.none() | st.integers(0, 10**12).map(Decimal)


@st.composite
def traffic(draw):
    return Traffic(
        draw(AMOUNT), draw(AMOUNT), draw(QUANTITY), draw(st.sampled_from(["tokens", "requests", "units", None]))
    )


@st.composite
def a_period(draw):
    keys = st.sampled_from([("a", "1"), ("a", "2"), ("b", "1"), ("c", "9")])
    return Period(
        traffic=draw(st.dictionaries(keys, traffic(), max_size=4)),
        units=draw(QUANTITY),
        idle=draw(AMOUNT),
        idle_at_new_rates=draw(AMOUNT),
        cost_entries=draw(AMOUNT),
        restatements=draw(AMOUNT) - draw(AMOUNT),
        other_charges=-draw(AMOUNT),
    )


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(a_period(), a_period())
def test_the_parts_are_the_change_to_the_cent(before, now):
    change = moved(before, now)
    assert [part.cause for part in change.parts] == list(CAUSES)
    assert sum((part.amount for part in change.parts), D(0)) == change.now - change.before
    assert change.now == now.total.quantize(D("0.01"))
    # What is rounded off is under a cent a part, so the unrounded steps are the change too.
    assert all(abs(part.amount - part.continuing - part.one_off) == 0 for part in change.parts)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(a_period(), a_period())
def test_the_unrounded_steps_are_the_change(before, now):
    from roadmap.rules import moved as rules

    steps = {cause: {} for cause in CAUSES}
    with rules.localcontext() as context:
        context.prec = 60
        rules._traffic(before, now, steps)
        total = sum((amount for held in steps.values() for amount in held.values()), D(0))
        was = sum((one.spend for one in before.traffic.values()), D(0))
        is_now = sum((one.spend for one in now.traffic.values()), D(0))
        assert abs(total - (is_now - was)) < D("1e-20")

"""Formulas over KPIs: what they come to, and every way of writing one that cannot be."""

from __future__ import annotations

import contextlib
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics.errors import RuleViolation
from roadmap.rules.formulas import check_formulas, key_from, read_formula, renamed, users_of

D = Decimal


@pytest.mark.parametrize(
    ("text", "values", "result"),
    [
        ("hours_saved * 42.50 / spend", {"hours_saved": D(120), "spend": D(1000)}, D("5.1")),
        ("0.1 * a + 0.2 * a", {"a": D(1)}, D("0.3")),
        ("-(a - b) * 2", {"a": D(1), "b": D(4)}, D(6)),
        ("min(a, b, 3) + max(a, b) + abs(-a)", {"a": D(2), "b": D(5)}, D(9)),
        ("a / b", {"a": D(1), "b": D(3)}, D(1) / D(3)),
        ("(" * 149 + "a" + ")" * 149, {"a": D(7)}, D(7)),
    ],
)
def test_it_is_worked_out_in_decimals(text, values, result):
    assert read_formula(text).value(values).quantize(D("1e-20")) == result.quantize(D("1e-20"))


def test_a_zero_divisor_is_no_data():
    assert read_formula("a / b").value({"a": D(1), "b": D(0)}) is None
    assert read_formula("a / (b - b)").value({"a": D(0), "b": D(2)}) is None


def test_an_interval_gives_an_interval():
    formula = read_formula("cost / p95")
    assert formula.bounds({"cost": (D(10), D(10)), "p95": (D(2), D("2.5"))}) == (D(4), D(5))
    assert formula.bounds({"cost": (D(10), D(10)), "p95": (D(0), D("2.5"))}) is None


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "formula_empty"),
        ("   ", "formula_empty"),
        ("a +", "formula_unreadable"),
        ("a b", "formula_unreadable"),
        ("a = 3", "formula_unreadable"),
        ("import os", "formula_unreadable"),
        ("a; b", "formula_unreadable"),
        ("-" * 290 + "a", "formula_deep"),
        ("a\0b", "formula_unreadable"),
        ("a ** b", "formula_not_taken"),
        ("9 ** 9 ** 9 * a", "formula_not_taken"),
        ("a % b", "formula_not_taken"),
        ("a // b", "formula_not_taken"),
        ("a < b", "formula_not_taken"),
        ("a if b else c", "formula_not_taken"),
        ("a.real", "formula_not_taken"),
        ("a[0]", "formula_not_taken"),
        ("[a]", "formula_not_taken"),
        ("'text' * a", "formula_not_taken"),
        ("True + a", "formula_not_taken"),
        ("1j * a", "formula_not_taken"),
        ("f'{a}'", "formula_not_taken"),
        ("lambda: a", "formula_not_taken"),
        ("(lambda: a)()", "formula_not_taken"),
        ("open(a)", "formula_not_taken"),
        ("__import__('os')", "formula_not_taken"),
        ("a.__class__()", "formula_not_taken"),
        ("min(a)", "formula_arguments"),
        ("abs(a, b)", "formula_arguments"),
        ("min(*a)", "formula_arguments"),
        ("max(a, key=b)", "formula_not_taken"),
        ("min + a", "formula_unreadable"),
        ("1e999 * a", "formula_too_large"),
        ("1 + 2", "formula_names_none"),
        ("a / 0", "formula_divides_by_zero"),
        ("a / (2 - 2.0)", "formula_divides_by_zero"),
        ("a + " * 80 + "a", "formula_long"),
        ("a+" * 60 + "a", "formula_deep"),
    ],
)
def test_it_refuses_what_a_formula_does_not_take(text, code):
    with pytest.raises(RuleViolation) as refused:
        read_formula(text)
    assert refused.value.code == code
    assert refused.value.field == "formula"


@given(st.text(max_size=310) | st.text("ab+-*/() .0123", max_size=60))
def test_any_text_is_a_formula_or_is_refused_in_words(text):
    with contextlib.suppress(RuleViolation):
        formula = read_formula(text)
        value = formula.value(dict.fromkeys(formula.names, D("1.5")))
        assert value is None or value.is_finite()


def checked(*, keys=("a", "b", "c"), no_divisors=None, **formulas):
    check_formulas(
        {key: read_formula(text) for key, text in formulas.items()},
        keys={*keys, *formulas},
        no_divisors=no_divisors or {},
    )


def test_formulas_stand_on_one_another():
    checked(x="a / b", y="x * 2 + c", z="y + x")


@pytest.mark.parametrize(
    ("formulas", "code", "says"),
    [
        ({"x": "x + 1"}, "formula_names_itself", "The formula of x names itself."),
        ({"x": "y + 1", "y": "z * 2", "z": "x - a"}, "formula_ring", "x > y > z > x"),
        ({"x": "hours_savd * 2"}, "formula_unknown_key", "Did you mean hours_saved?"),
        ({"x": "q * 2"}, "formula_unknown_key", "There are: a, b, c, hours_saved."),
    ],
)
def test_it_refuses_rings_and_unknown_keys(formulas, code, says):
    with pytest.raises(RuleViolation, match=says) as refused:
        checked(keys=("a", "b", "c", "hours_saved"), **formulas)
    assert refused.value.code == code


def test_a_divisor_must_be_a_sum():
    with pytest.raises(RuleViolation, match="divides by b"):
        checked(x="a / (b + 1)", no_divisors={"b": "Its readings combine as the last; a divisor must be a sum."})
    checked(x="b / a", no_divisors={"b": "no"})


def test_keys_come_from_names_and_move_in_formulas():
    assert key_from("Cost per 1,000 documents") == "cost_per_1_000_documents"
    assert key_from("Köln: p95") == "kln_p95"
    assert key_from("95th") == "kpi_95th"
    assert key_from("in") == "kpi_in"
    assert key_from("Max") == "kpi_max"
    assert key_from("中文") == "kpi"
    assert key_from("Spend", ["spend", "spend_2"]) == "spend_3"
    assert len(key_from("x" * 200, ["x" * 56])) <= 60
    assert renamed("a / aa * a_2 + A", {"a": "b", "a_2": "c"}) == "b / aa * c + A"
    assert users_of("a", {"x": read_formula("a + b"), "y": read_formula("b * 2")}) == ["x"]

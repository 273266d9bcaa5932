"""Patterns that people write are matched in a moment, whatever a sender calls its models and labels."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics import wildcard
from metrics.connectors.presets import parse_selector
from metrics.errors import RuleViolation
from metrics.placing import fits


def test_many_stars_take_no_time():
    started = time.monotonic()
    assert not fits("*-*-*-*-*-*-*-*-*-*-*x", "-" * 200)
    assert fits("*-*-*-*-*-*-*-*-*-*-*x", "-" * 200 + "x")
    assert time.monotonic() - started < 1


@given(st.text("ab*", max_size=9), st.text("ab", max_size=12))
def test_a_star_stands_for_any_characters(pattern, text):
    plain = ".*".join(re.escape(piece) for piece in pattern.split("*"))
    assert bool(re.fullmatch(wildcard.expression(pattern), text)) == bool(re.fullmatch(plain, text))
    assert bool(re.fullmatch(wildcard.any_of([pattern, "b*"]), text)) == bool(re.fullmatch(f"{plain}|b.*", text))


@pytest.mark.parametrize(
    "pattern",
    [
        "a{99999999999999999999}",
        "(" * 5000 + ")" * 5000,
        "(a+)+$",
        "(a|a)*b",
        "((a*)b?)*",
        "(?:(?:x|y)z){2,}",
        "([a-z]+)*!",
        "(a)\\\\1",
        "(?=a)b",
        "(?<!a)b",
        "(",
    ],
)
def test_a_pattern_that_takes_for_ever_is_refused_in_words(pattern):
    with pytest.raises(RuleViolation, match="regular expression|Write it without"):
        parse_selector(f'pod=~"{pattern}"', "selector")


@pytest.mark.parametrize(
    "pattern", ["vllm-.*", "5..|4..", "(a|b)-[0-9]+", "(?:llm-)?gpu[*+|]+", "a{2,3}", "(x)+", "(?i)a.*"]
)
def test_usual_patterns_are_taken(pattern):
    assert parse_selector(f'pod=~"{pattern}"', "selector")

"""Days, numbers and choices as spreadsheets hold them; what can be read in two ways is asked."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from metrics.errors import RuleViolation
from roadmap.imports.cells import Choices, Dialect, choice_of, day_of, moment_of, number_of, told_by, yes_of

D = Decimal
COMMA, POINT = Dialect(decimal_mark=","), Dialect(decimal_mark=".")
BERLIN = ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    ("cell", "dialect", "value"),
    [
        ("1.234,56", COMMA, D("1234.56")),
        ("1234,5", COMMA, D("1234.5")),
        ("-0,5", COMMA, D("-0.5")),
        ("1.234.567", COMMA, D(1234567)),
        ("\u22121 234,5 \u20ac", COMMA, D("-1234.5")),
        ("1,234.56", POINT, D("1234.56")),
        ("1'234.5", POINT, D("1234.5")),
        ("$ 12", POINT, D(12)),
        ("95 %", POINT, D(95)),
        (".5", POINT, D("0.5")),
        (D("12.30"), COMMA, D("12.3")),
    ],
)
def test_numbers(cell, dialect, value):
    assert number_of(cell, dialect) == value


@pytest.mark.parametrize("cell", ["", "12a", "1,5", "1.2.3", "12,34,567.0", "1e5", "NaN", "Infinity", "1_000", True])
def test_no_numbers(cell):
    with pytest.raises(RuleViolation, match="is not a number such as"):
        number_of(cell, POINT)


@pytest.mark.parametrize(
    ("cell", "order", "value"),
    [
        ("2026-12-31", "", date(2026, 12, 31)),
        ("31.12.2026", "", date(2026, 12, 31)),
        ("3/4/2026", "dmy", date(2026, 4, 3)),
        ("3/4/2026", "mdy", date(2026, 3, 4)),
        ("3.4.2026", "mdy", date(2026, 4, 3)),
        (datetime(2026, 3, 4, 12), "", date(2026, 3, 4)),
    ],
)
def test_days(cell, order, value):
    assert day_of(cell, Dialect(date_order=order)) == value


@pytest.mark.parametrize("cell", ["31.11.2026", "2026-02-30", "1/2/26", "soon", D(46000), "2026-1-1"])
def test_no_days(cell):
    with pytest.raises(RuleViolation, match="is not a day such as|is a number. Format"):
        day_of(cell, Dialect())


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        ("2026-11-02", "2026-11-02T00:00:00+01:00"),
        ("2026-11-02T10:00:00Z", "2026-11-02T10:00:00+00:00"),
        ("2026-11-02 10:00", "2026-11-02T10:00:00+01:00"),
        ("2.11.2026 9:05", "2026-11-02T09:05:00+01:00"),
        (datetime(2026, 11, 2, 8), "2026-11-02T08:00:00+01:00"),
    ],
)
def test_times_are_local_where_they_do_not_say(cell, text):
    assert moment_of(cell, Dialect(), BERLIN).isoformat() == text


@pytest.mark.parametrize(
    ("numbers", "hint", "mark"),
    [
        (["1.234", "1,5"], "", ","),
        (["1,234", "0.5"], "", "."),
        (["1.234.567,0", "1.234"], "", ","),
        (["1.234"], ",", ","),
        (["12", "7"], ",", ""),
        (["1,234,567"], "", "."),
    ],
)
def test_a_file_says_its_decimal_mark(numbers, hint, mark):
    assert told_by([], numbers, Choices(), hint=hint).decimal_mark == mark


@pytest.mark.parametrize(
    ("days", "numbers", "field"),
    [
        (["3/4/2026"], [], "date_order"),
        (["13/4/2026", "4/13/2026"], [], "date_order"),
        ([], ["1.234"], "decimal_mark"),
        ([], ["1,5", "2.5"], "decimal_mark"),
    ],
)
def test_what_can_be_read_in_two_ways_is_asked(days, numbers, field):
    with pytest.raises(RuleViolation) as asked:
        told_by(days, numbers, Choices())
    assert asked.value.field == field
    told = told_by(days, numbers, Choices(date_order="dmy", decimal_mark=","))
    assert (told.date_order, told.decimal_mark) == ("dmy", ",")


@pytest.mark.parametrize(
    ("days", "order"), [(["13/4/2026", "3/4/2026"], "dmy"), (["4-13-2026"], "mdy"), (["5/5/2026"], "")]
)
def test_a_file_says_its_order_of_days(days, order):
    assert told_by(days, [], Choices()).date_order == order


def test_choices_by_value_or_label():
    choices = {"scale_up": "Scale-up", "poc": "PoC"}
    assert [choice_of(text, choices) for text in ("Scale up", "POC", "scale_up")] == ["scale_up", "poc", "scale_up"]
    with pytest.raises(RuleViolation, match="'later' is none of: Scale-up, PoC"):
        choice_of("later", choices)
    assert [yes_of(cell) for cell in ("Yes", "x", True, "no", D(0))] == [True, True, True, False, False]
    with pytest.raises(RuleViolation):
        yes_of("maybe")


@pytest.mark.parametrize(
    "given",
    [[], {"columns": []}, {"columns": {"kpis": "x"}}, {"date_order": "ymd"}, {"decimal_mark": ";"}, {"colour": 1}],
)
def test_what_is_no_mapping_is_refused(given):
    with pytest.raises(RuleViolation):
        Choices.of(given)


def test_a_mapping_reads_back():
    said = Choices(kind="kpis", date_order="mdy", columns={"kpis": {"Ziel": "target", "x": ""}})
    assert Choices.of(said.as_json()) == said

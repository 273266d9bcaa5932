"""Dates, money by the day, and what a gate allows: arithmetic by hand."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics.errors import RuleViolation
from roadmap.kpis import BY_NAME
from roadmap.rules.costs import CostSpan, amount_in, cut_after
from roadmap.rules.gates import (
    Outcome,
    Result,
    Standing,
    canonical_json,
    check_outcome,
    kpi_result,
    plain,
    sha256_of,
)
from roadmap.rules.phases import Span, check_row, check_span, day_at, months_after, spans_from, stretched
from roadmap.template_files import find_template, read_template

DAY = timedelta(days=1)


def test_it_adds_months_to_the_end_of_short_months():
    assert months_after(date(2026, 8, 31), 6) == date(2027, 2, 28)
    assert months_after(date(2027, 8, 31), 6) == date(2028, 2, 29)
    assert months_after(date(2026, 11, 22), 14) == date(2028, 1, 22)


def test_it_lays_three_phases_in_a_row():
    assert spans_from(date(2026, 1, 1), (6, 12, 18)) == [
        Span(date(2026, 1, 1), date(2026, 6, 30)),
        Span(date(2026, 7, 1), date(2027, 6, 30)),
        Span(date(2027, 7, 1), date(2028, 12, 31)),
    ]


@given(st.dates(date(2001, 1, 1), date(2080, 1, 1)), st.lists(st.integers(1, 60), min_size=3, max_size=3))
def test_phases_from_one_start_always_touch_and_never_overlap(start, months):
    spans = spans_from(start, months)
    assert spans[0].start_on == start
    for before, after in zip(spans, spans[1:], strict=False):
        assert after.start_on == before.end_on + DAY
        assert before.days >= 1


def test_milestones_stretch_with_their_phase():
    before, after = Span(date(2026, 1, 1), date(2026, 1, 11)), Span(date(2026, 2, 1), date(2026, 2, 21))
    assert stretched(date(2026, 1, 1), before, after) == date(2026, 2, 1)
    assert stretched(date(2026, 1, 6), before, after) == date(2026, 2, 11)
    assert stretched(date(2026, 1, 11), before, after) == date(2026, 2, 21)
    # One promised three days after the phase's end stays three days after it.
    assert stretched(date(2026, 1, 14), before, after) == date(2026, 2, 24)
    assert stretched(date(2025, 12, 31), before, after) == date(2026, 1, 31)


def test_a_day_of_a_phase_by_its_share():
    span = Span(date(2026, 1, 1), date(2026, 1, 11))
    assert [day_at(span, Decimal(share)).day for share in ("0", "0.5", "1")] == [1, 6, 11]


def test_it_refuses_a_phase_that_ends_before_it_starts_or_overlaps():
    with pytest.raises(RuleViolation, match="cannot end before it starts"):
        check_span(Span(date(2026, 5, 2), date(2026, 5, 1)))
    with pytest.raises(RuleViolation, match="Scale-up cannot start on 2026-06-30: PoC runs until 2026-06-30"):
        check_row(
            [
                ("PoC", Span(date(2026, 1, 1), date(2026, 6, 30))),
                ("Scale-up", Span(date(2026, 6, 30), date(2026, 7, 1))),
            ],
            fields=["a", "b"],
        )


def test_a_cost_entry_counts_by_the_day():
    # 310 EUR over the 31 days of January: 10 EUR a day.
    january = CostSpan(Decimal(310), date(2026, 1, 1), date(2026, 1, 31))
    assert amount_in(january, date(2026, 1, 10), date(2026, 1, 15)) == 50
    assert amount_in(january, date(2025, 1, 1), date(2026, 1, 2)) == 10
    assert amount_in(january, date(2026, 2, 1), date(2026, 3, 1)) == 0
    one_day = CostSpan(Decimal("99.99"), date(2026, 1, 5))
    assert amount_in(one_day, date(2026, 1, 5), date(2026, 1, 6)) == Decimal("99.99")
    assert amount_in(one_day, date(2026, 1, 6), date(2026, 1, 7)) == 0


@given(
    st.decimals(Decimal("0.01"), Decimal(10**9), places=2),
    st.dates(date(2020, 1, 1), date(2030, 1, 1)),
    st.integers(0, 800),
    st.lists(st.integers(-50, 900), max_size=8),
)
def test_windows_that_tile_a_period_add_up_to_the_entry(amount, start, days, cuts):
    span = CostSpan(amount, start, start + timedelta(days=days))
    edges = sorted({start, span.last_on + DAY, *(start + timedelta(days=cut) for cut in cuts)})
    edges = [start - DAY, *edges, max(edges) + DAY]
    assert sum(amount_in(span, a, b) for a, b in zip(edges, edges[1:], strict=False)) == amount


def test_a_stop_ends_an_entry_with_what_fell_until_then():
    year = CostSpan(Decimal(365), date(2026, 1, 1), date(2026, 12, 31))
    assert cut_after(year, date(2026, 1, 10)) == CostSpan(Decimal("10.00"), date(2026, 1, 1), date(2026, 1, 10))
    assert cut_after(year, date(2025, 12, 31)) is None
    assert cut_after(year, date(2027, 1, 1)) == year


@pytest.mark.parametrize(
    ("value", "on_target", "measured_only", "has_target", "result"),
    [
        (None, None, False, True, Result.NO_DATA),
        (None, None, True, False, Result.NO_DATA),
        (Decimal(1), None, True, False, Result.MET),
        (Decimal(1), False, True, True, Result.MET),
        (Decimal(1), True, False, True, Result.MET),
        (Decimal(1), False, False, True, Result.NOT_MET),
        (Decimal(1), None, False, False, Result.NOT_MET),
    ],
)
def test_a_kpi_criterion(value, on_target, measured_only, has_target, result):
    found = kpi_result(value=value, is_on_target=on_target, needs_measurement_only=measured_only, has_target=has_target)
    assert found == result


def test_outcomes_ask_for_what_they_need():
    today = date(2026, 11, 22)
    unmet = [Standing("Quality", True, Result.NO_DATA), Standing("Routing", False, Result.NOT_MET)]
    met = [Standing("Quality", True, Result.MET), Standing("Routing", False, Result.NOT_MET)]
    allowed = {"condition_count": 0, "new_due_on": None, "today": today}
    check_outcome(Outcome.GO, met, **allowed)
    check_outcome(Outcome.STOP, unmet, **allowed)
    check_outcome(Outcome.CONDITIONAL, unmet, **allowed | {"condition_count": 1})
    check_outcome(Outcome.HOLD, unmet, **allowed | {"new_due_on": today + DAY})
    for outcome, fields, code in (
        (Outcome.GO, {}, "criteria_not_met"),
        (Outcome.CONDITIONAL, {}, "conditions_missing"),
        (Outcome.STOP, {"condition_count": 1}, "conditions_unused"),
        (Outcome.HOLD, {}, "new_date_missing"),
        (Outcome.HOLD, {"new_due_on": today}, "new_date_in_past"),
    ):
        with pytest.raises(RuleViolation) as refused:
            check_outcome(outcome, unmet, **allowed | fields)
        assert refused.value.code == code


def test_evidence_has_one_text_and_one_hash():
    document = {"b": Decimal("1.50"), "a": [date(2026, 1, 2), None, True], "c": {"é": datetime(2026, 1, 2, tzinfo=UTC)}}
    text = '{"a":["2026-01-02",null,true],"b":"1.5","c":{"é":"2026-01-02T00:00:00+00:00"}}'
    assert canonical_json(document) == text
    assert canonical_json(plain(document)) == text
    # sha256sum of the text above.
    assert sha256_of(document) == sha256_of(plain(document))
    assert sha256_of({**document, "b": Decimal("1.51")}) != sha256_of(document)
    assert sha256_of({}) == "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"


def test_the_general_template_is_what_the_design_asks_for():
    template = find_template("general")
    assert template.months == (6, 12, 18)
    for phase in template.phases:
        measures = {kpi.measure for kpi in phase.kpis if kpi.measure}
        assert measures <= set(BY_NAME)
        assert {"quality", "duration_p95"} <= measures
        assert sum(kpi.is_value for kpi in phase.kpis) == 1
        assert {item.category for item in phase.checklist} == {
            "data",
            "guardrails",
            "privacy",
            "monitoring",
            "portability",
        }
    poc = template.phases[0]
    assert [item.subject for item in poc.criteria if item.is_must] == [
        "owner_named",
        "data_named",
        "quality",
        "cost",
        "cost_per_requests",
        "cost_per_units",
        "latency",
    ]
    assert all(kpi.minimum_sample == 200 for kpi in poc.kpis if kpi.measure)
    assert {risk.category for risk in template.risks} == {
        "supply",
        "lock_in",
        "safety",
        "privacy",
        "quality",
        "adoption",
    }


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "not YAML"),
        ("[1]", "mapping"),
        ("format: 3\nname: x\nphases: []", "of a newer Phaseline; this one reads formats up to 2"),
        ("format: 1\nname: x\nphases: []", "has the phases"),
        ("format: 1\nname: x", "has the phases"),
        ("format: 1\nphases: []", "incomplete"),
        ("format: 1\nname: x\nphases: [{kind: poc, months: 6, kpis: [{key: a, name: b, colour: red}]}]", "unknown"),
        (
            "format: 1\nname: x\nphases: [{kind: poc, months: 6, criteria: [{subject: nothing}]}, "
            "{kind: scale_up, months: 1}, {kind: optimise, months: 1}]",
            "asks for 'nothing'",
        ),
    ],
)
def test_it_says_what_is_wrong_with_a_template(text, says):
    with pytest.raises(RuleViolation, match=says):
        read_template(text, slug="x")

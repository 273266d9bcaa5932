"""Coordinates of the small drawings, worked out by hand."""

from datetime import date

from web.drawings import Axis, draw_gauge, draw_plan, draw_spark, draw_timeline
from web.pieces import GateMark, Gauge, Lane, MilestoneMark, PhaseSpan

YEAR = Axis(date(2026, 1, 1), date(2027, 1, 1))


def test_an_axis_lays_days_over_a_hundred_and_clips():
    assert YEAR.at(date(2026, 1, 1)) == 0
    assert YEAR.at(date(2026, 7, 2)) == 49.86  # 182 of 365 days
    assert YEAR.at(date(2031, 1, 1)) == 100
    assert YEAR.at(date(2020, 1, 1)) == 0


def test_a_gauge_fills_to_the_value_and_marks_the_overshoot():
    # Limit at five sixths: 820 of 984. Spent 498.3 = 50.64%, forecast 861 passes by 41 = 4.17%.
    drawing = draw_gauge(Gauge(498.3, 820, "x", forecast=861))
    assert (drawing.fill, drawing.more, drawing.tick) == (50.64, 83.33, 83.33)
    assert (drawing.over_forecast, drawing.over_value) == (4.17, 0)


def test_a_gauge_far_over_its_limit_stays_inside():
    drawing = draw_gauge(Gauge(500, 100, "x"))
    assert drawing.fill + drawing.over_value <= 100
    assert drawing.over_value > 0


def test_passing_a_target_that_wants_more_is_not_an_overshoot():
    drawing = draw_gauge(Gauge(16, 15, "x", higher_is_better=True))
    assert drawing.over_value == 0
    assert drawing.fill > drawing.tick


def test_a_gauge_without_a_limit_is_not_drawn():
    assert draw_gauge(Gauge(5, 0, "x")) is None


def test_a_trend_leaves_a_gap_where_nothing_is_known():
    drawing = draw_spark([1, None, 3, 2], 3)
    assert drawing.path == "M0.0 32.0M66.7 4.0L100.0 18.0"
    assert drawing.target == 4.0
    assert draw_spark([None, 1]) is None


def test_a_running_phase_is_filled_to_today_and_pale_after():
    phase = PhaseSpan("PoC", "active", date(2026, 1, 1), date(2027, 1, 1))
    plan = draw_plan([phase], [GateMark(date(2026, 12, 31), "open", "PoC gate")], YEAR, date(2026, 7, 2), "x")
    assert [bar.kind for bar in plan.bars] == ["active", "ahead"]
    assert plan.bars[1].x == plan.today == 49.86
    assert plan.gates[0].name.endswith("31\u00a0Dec\u00a02026")


def test_an_overdue_phase_is_filled_to_its_end_only():
    phase = PhaseSpan("PoC", "active", date(2026, 1, 1), date(2026, 4, 1))
    plan = draw_plan([phase], [], YEAR, date(2026, 7, 2), "x")
    assert [bar.kind for bar in plan.bars] == ["active"]
    assert plan.bars[0].x + plan.bars[0].width <= YEAR.at(date(2026, 4, 1))


def test_a_moved_phase_and_milestone_show_what_was_promised():
    phase = PhaseSpan("PoC", "planned", date(2026, 3, 1), date(2026, 9, 1), date(2026, 1, 1), date(2026, 7, 1))
    mark = MilestoneMark(date(2026, 5, 1), "late", "Runbook", date(2026, 4, 1))
    drawing = draw_timeline([Lane(phase, None, [mark])], YEAR, date(2026, 6, 1), "x")
    lane = drawing.lanes[0]
    assert (lane.ghost.x, lane.ghost.width) == (0, 49.59)
    assert lane.dots[0].promised < lane.dots[0].x
    assert "first promised" in lane.dots[0].name


def test_ticks_are_quarters_for_three_years_and_never_crowd():
    axis = Axis.of_months([date(2025, 10, 1), date(2028, 9, 30)])
    texts = [text for _, text in axis.ticks()]
    assert texts[:3] == ["Oct 2025", "Jan 2026", "Apr"]
    assert len(texts) == 12
    assert len(Axis.of_years([date(2016, 1, 1), date(2035, 1, 1)]).ticks()) <= 13


def test_the_axis_of_no_length_does_not_divide_by_zero():
    assert Axis(date(2026, 1, 1), date(2026, 1, 1)).at(date(2026, 1, 1)) == 0

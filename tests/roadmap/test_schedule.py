"""What moves with a milestone, and which dependencies close a ring: worked by hand, and properties."""

from __future__ import annotations

from datetime import date, timedelta

from hypothesis import given
from hypothesis import strategies as st

from roadmap.rules.schedule import Step, moves, ring_through

FIRST = date(2026, 3, 1)


def day(number: int) -> date:
    return FIRST + timedelta(days=number)


def step(number: int, due: int, *waits_for: int, is_open: bool = True) -> Step:
    return Step(number, day(due), frozenset(waits_for), is_open)


def days(steps, moved, due) -> dict[int, int]:
    return {move.id: move.days for move in moves(steps, moved, day(due))}


CHAIN = [step(1, 10), step(2, 20, 1), step(3, 30, 2), step(4, 25, 1)]


def test_everything_that_waits_moves_later_by_as_many_days():
    assert days(CHAIN, 1, 17) == {2: 7, 4: 7, 3: 7}
    assert [move.new_due_on for move in moves(CHAIN, 2, day(21))] == [day(31)]


def test_the_same_day_moves_nothing():
    assert moves(CHAIN, 1, day(10)) == []
    assert moves(CHAIN, 3, day(99)) == []


def test_earlier_stops_at_what_else_it_waits_for():
    steps = [step(1, 10), step(2, 18), step(3, 20, 1, 2), step(4, 30, 3)]
    # Three waits for two as well, due on day 18: it moves two days, and what waits for it two.
    assert days(steps, 1, 3) == {3: -2, 4: -2}


def test_one_that_is_due_before_what_it_waits_for_does_not_move_earlier():
    assert days([step(1, 10), step(2, 5, 1), step(3, 12), step(4, 11, 1, 3)], 1, 8) == {}


def test_what_is_done_stays_and_passes_nothing_on():
    steps = [step(1, 10), step(2, 20, 1, is_open=False), step(3, 30, 2)]
    assert days(steps, 1, 20) == {}


def test_a_ring_is_named_in_its_order():
    assert ring_through(1, {1: {2}, 2: {3}, 3: {1}}) == [1, 2, 3, 1]
    assert ring_through(1, {1: {2}, 2: {3}}) == []
    assert ring_through(1, {1: {1}}) == [1, 1]
    # A ring elsewhere is none through this one.
    assert ring_through(1, {1: {2}, 2: {3}, 3: {2}}) == []


@st.composite
def plans(draw):
    """Milestones where each waits only for ones before it in the list, so that there is no ring."""
    size = draw(st.integers(2, 8))
    return [
        step(
            number,
            draw(st.integers(0, 60)),
            *draw(st.sets(st.integers(0, number - 1), max_size=3)) if number else (),
            is_open=draw(st.booleans()) or number == 0,
        )
        for number in range(size)
    ]


@given(plans(), st.integers(-30, 30))
def test_distances_only_shrink_towards_what_is_waited_for(steps, by):
    start = steps[0].due_on
    moved = {move.id: move.days for move in moves(steps, 0, start + timedelta(days=by))} | {0: by}
    by_id = {item.id: item for item in steps}
    for item in steps[1:]:
        shift = moved.get(item.id, 0)
        assert 0 <= shift <= by or by <= shift <= 0
        for before in item.depends_on:
            other = by_id[before]
            was = (item.due_on - other.due_on).days
            now = was + shift - moved.get(before, 0)
            # Who was due after what it waits for still is, where it could move.
            if item.is_open and was >= 0:
                assert now >= 0

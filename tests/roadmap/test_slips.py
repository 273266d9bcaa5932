"""What slipped and what was added: around the ends of months, in the reporting zone, however a date was changed."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from roadmap.actions.milestones import add_milestone, change_milestone, tick_milestone
from roadmap.actions.phases import change_phase
from roadmap.models import MilestoneDate
from roadmap.queries.slips import months_of_plan
from roadmap.rules.slips import Entry, Track, month_of_plan, months_back

JUNE, JULY = date(2026, 6, 1), date(2026, 7, 1)
LATER = date(2026, 12, 1)


def track(*entries, is_planned=True) -> Track:
    return Track(1, "a", [Entry(on, due, state) for on, due, state in entries], is_planned)


PLANNED = (date(2026, 1, 5), date(2026, 6, 20), "open")


def test_a_move_counts_in_the_month_of_its_day():
    moved = track(PLANNED, (date(2026, 6, 30), date(2026, 8, 1), "open"))
    june, july = (month_of_plan([moved], month, today=LATER) for month in (JUNE, JULY))
    assert [(slip.was_due_on, slip.due_on, slip.days) for slip in june.slipped] == [
        (date(2026, 6, 20), date(2026, 8, 1), 42)
    ]
    assert july.is_quiet
    moved = track(PLANNED, (date(2026, 7, 1), date(2026, 8, 1), "open"))
    assert not month_of_plan([moved], JUNE, today=LATER).slipped
    assert month_of_plan([moved], JULY, today=LATER).slipped[0].days == 42


def test_to_and_fro_within_a_month_is_nothing():
    there = track(PLANNED, (date(2026, 6, 2), date(2026, 9, 1), "open"), (date(2026, 6, 3), date(2026, 6, 20), "open"))
    assert not month_of_plan([there], JUNE, today=LATER).slipped


def test_earlier_added_dropped_done_and_overdue():
    assert (
        month_of_plan([track(PLANNED, (date(2026, 6, 2), date(2026, 6, 10), "open"))], JUNE, today=LATER)
        .earlier[0]
        .days
        == -10
    )
    added = track((date(2026, 6, 9), date(2026, 9, 1), "open"), is_planned=False)
    assert [slip.name for slip in month_of_plan([added], JUNE, today=LATER).added] == ["a"]
    assert month_of_plan([added], JULY, today=LATER).is_quiet
    dropped = track(PLANNED, (date(2026, 6, 2), date(2026, 6, 20), "dropped"))
    june = month_of_plan([dropped], JUNE, today=LATER)
    assert june.dropped
    assert not june.overdue
    done = month_of_plan([track(PLANNED, (date(2026, 6, 19), date(2026, 6, 20), "done"))], JUNE, today=LATER)
    assert done.done
    assert not done.overdue
    assert month_of_plan([track(PLANNED)], JUNE, today=LATER).overdue[0].days == 10
    # The month that runs is judged by today's evening.
    assert not month_of_plan([track(PLANNED)], JUNE, today=date(2026, 6, 20)).overdue


def test_a_plan_made_this_month_and_moved_since_has_slipped_not_grown():
    moved = track((date(2026, 6, 2), date(2026, 6, 20), "open"), (date(2026, 6, 9), date(2026, 6, 25), "open"))
    june = month_of_plan([moved], JUNE, today=LATER)
    assert (len(june.added), june.slipped[0].days) == (0, 5)


def test_months_back_over_the_turn_of_a_year():
    assert months_back(date(2026, 1, 31), 3) == [date(2026, 1, 1), date(2025, 12, 1), date(2025, 11, 1)]


@pytest.mark.parametrize(("zone", "month"), [("UTC", JUNE), ("Europe/Berlin", JULY)])
def test_the_month_is_that_of_the_reporting_zone(plan, poc, alice, asker, settings, zone, month):
    settings.REPORTING_ZONE = ZoneInfo(zone)
    milestone = poc.milestones.first()
    change_milestone(asker(alice), milestone, due_on=milestone.due_on + timedelta(days=3))
    first, last = milestone.dates.order_by("pk")
    MilestoneDate.objects.filter(pk=first.pk).update(at=datetime(2026, 1, 1, tzinfo=UTC))
    # Half past ten in the evening of 30 June in UTC is past midnight in Berlin.
    MilestoneDate.objects.filter(pk=last.pk).update(at=datetime(2026, 6, 30, 22, 30, tzinfo=UTC))
    plan.created_at = datetime(2026, 1, 1, tzinfo=UTC)
    slipped = {
        row.month: [slip.days for slip in row.slipped] for row in months_of_plan(plan, [JUNE, JULY], today=LATER)
    }
    assert slipped == {JUNE: [], JULY: []} | {month: [3]}


def test_every_way_of_moving_one_is_kept(plan, poc, alice, asker, today):
    a = asker(alice)
    first = add_milestone(a, poc, name="a", due_on=today + timedelta(days=9))
    later = add_milestone(a, poc, name="b", due_on=today + timedelta(days=19), depends_on=[first])
    change_milestone(a, first, due_on=today + timedelta(days=11), move_successors="all")
    change_phase(a, poc, planned_end_on=poc.planned_end_on + timedelta(days=60), move_later=True)
    tick_milestone(a, later)
    assert first.dates.count() == 3
    assert list(later.dates.values_list("state", flat=True)) == ["open", "open", "open", "done"]
    change_milestone(a, first, name="renamed")
    assert first.dates.count() == 3


class TestPageAndRest:
    def test_the_page_tells_this_month(self, plan, poc, alice, asker, today, sign_in):
        plan.created_at -= timedelta(days=400)
        plan.save()
        MilestoneDate.objects.update(at=plan.created_at)
        milestone = poc.milestones.filter(due_on__gt=today).first()
        change_milestone(asker(alice), milestone, due_on=milestone.due_on + timedelta(days=5))
        add_milestone(asker(alice), poc, name="Brand new", due_on=today + timedelta(days=50))
        text = sign_in(alice).get(plan.get_absolute_url()).content.decode()
        section = text[text.index('id="slips"') :]
        section = section[: section.index("</section>")]
        assert milestone.name in section
        assert "5 d to" in section
        assert "Brand new" in section

    def test_rest(self, plan, poc, alice, asker, today, api):
        plan.created_at -= timedelta(days=400)
        plan.save()
        MilestoneDate.objects.update(at=plan.created_at)
        milestone = poc.milestones.filter(due_on__gt=today).first()
        change_milestone(asker(alice), milestone, due_on=milestone.due_on + timedelta(days=5))
        client = api(alice, scopes=["read"])
        months = client.get(f"/api/v1/roadmaps/{plan.slug}/slips").json()["months"]
        assert len(months) == 12
        assert months[0]["slipped"][0]["days"] == 5
        asked = client.get(f"/api/v1/roadmaps/{plan.slug}/slips?from={today:%Y-%m}&to=2099-01").json()["months"]
        assert asked == months[:1]

    @pytest.mark.parametrize(
        "query",
        [
            "from=2026-01",
            "from=x&to=2026-02",
            "from=2026-03&to=2026-02",
            "from=2001-01&to=2026-02",
            "from=1900-01&to=2026-02",
        ],
    )
    def test_bad_input(self, plan, alice, api, query):
        answer = api(alice, scopes=["read"]).get(f"/api/v1/roadmaps/{plan.slug}/slips?{query}")
        assert answer.status_code == 422

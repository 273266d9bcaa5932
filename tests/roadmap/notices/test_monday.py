"""The Monday mail: My week by mail at 07:00, once, and nothing where nothing waits."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from roadmap.actions.comments import add_comment
from roadmap.actions.milestones import add_milestone
from roadmap.actions.occasions import note_mondays
from roadmap.actions.roadmaps import make_roadmap
from roadmap.deliver import spread
from roadmap.models import Delivery, Milestone, Notice

DAY = timedelta(days=1)


@pytest.fixture
def monday(plan, today) -> datetime:
    """07:00 UTC of the Monday of this week or, on Mondays before, of the last."""
    Notice.objects.update(spread_at=timezone.now())
    day = today - timedelta(days=today.isoweekday() - 1)
    return datetime(day.year, day.month, day.day, 7, tzinfo=UTC)


def monday_mails(mails):
    return {str(mail["To"]): mail for mail in mails.mails if str(mail["Subject"]).startswith("My week")}


def test_each_gets_their_own_week_once(plan, poc, alice, bob, vera, asker, today, monday, mails, deliver):
    Milestone.objects.all().delete()
    add_milestone(asker(alice), poc, name="Label <data>", due_on=today - DAY, owner=bob)
    for _ in range(3):
        note_mondays(monday)
        note_mondays(monday + timedelta(minutes=5))
        deliver()
    found = monday_mails(mails)
    # Nothing waits for vera, who is told nothing.
    assert set(found) == {"alice@example.org", "bob@example.org"}
    assert len([mail for mail in mails.mails if str(mail["Subject"]).startswith("My week")]) == 2
    mail = found["bob@example.org"]
    assert mail["Subject"] == "My week: 1 thing to do, 1 late"
    text = mail.get_body(("plain",)).get_content()
    assert "- Label <data> (Contact centre, 1 day late)" in text
    assert "Label &lt;data&gt;" in mail.get_body(("html",)).get_content()
    assert "Post an update" in found["alice@example.org"].get_body(("plain",)).get_content()
    assert Delivery.objects.get(person=vera, kind="monday").state == Delivery.State.DROPPED
    note_mondays(monday + 7 * DAY)
    deliver()
    assert Notice.objects.filter(key__startswith=f"monday:{bob.pk}:").count() == 2


def test_only_on_mondays_from_seven_and_only_who_wants_it(plan, alice, bob, choose, monday, told):
    assert note_mondays(monday - timedelta(minutes=1)) == 0
    assert note_mondays(monday + DAY) == 0
    choose(alice, monday=[])
    choose(bob, monday=["mail"], zone="Asia/Seoul")
    note_mondays(monday - timedelta(hours=9))
    assert {key.split(":")[1] for key in Notice.objects.filter(kind="monday").values_list("key", flat=True)} == {
        str(bob.pk)
    }
    note_mondays(monday)
    assert not Notice.objects.filter(key__startswith=f"monday:{alice.pk}:").exists()


def test_it_comes_alone_and_not_with_what_else_waits(plan, alice, bob, asker, poc, today, monday, mails, deliver):
    add_milestone(asker(alice), poc, name="x", due_on=today, owner=bob)
    add_comment(asker(alice), plan, text="@bob")
    note_mondays(monday)
    spread(timezone.now())
    deliver()
    subjects = sorted(str(mail["Subject"]) for mail in mails.mails if "bob" in str(mail["To"]))
    assert len(subjects) == 2
    assert [subject.startswith("My week") for subject in subjects].count(True) == 1


def test_a_roadmap_that_is_no_longer_seen_is_in_no_week(
    plan, adam, alice, bob, asker, poc, today, monday, mails, deliver
):
    make_roadmap(asker(adam), name="Elsewhere", owner=alice)
    add_milestone(asker(alice), poc, name="Hidden", due_on=today, owner=bob)
    note_mondays(monday)
    spread(timezone.now())
    bob.memberships.all().delete()
    deliver()
    assert "bob@example.org" not in monday_mails(mails)

"""From an action to what people hear: once, in one transaction, and never about what they did themselves."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import transaction
from django.utils import timezone

from accounts.models import AuditEvent
from roadmap.actions.comments import add_comment, change_comment, delete_comment
from roadmap.actions.gates import Condition, change_gate, decide_gate
from roadmap.actions.milestones import add_milestone, change_milestone, tick_milestone
from roadmap.actions.phases import change_phase
from roadmap.actions.reports import close_month
from roadmap.actions.roadmaps import change_roadmap, make_roadmap
from roadmap.actions.undoing import undo_decision
from roadmap.deliver import spread
from roadmap.models import Delivery, Notice
from roadmap.queries.kpi_values import kpi_values

DAY = timedelta(days=1)


@pytest.fixture(autouse=True)
def _everything(plan):
    """What making the plan told is told."""
    spread(timezone.now())
    Delivery.objects.all().delete()


def people_told(found, kind):
    return sorted(person for person, told_as, _, _ in found if told_as == kind)


def test_who_is_mentioned_hears_of_it_once_however_often_the_comment_is_changed(plan, alice, bob, vera, asker, told):
    comment = add_comment(asker(alice), plan, text="@bob look")
    assert told() == [("bob", "mention", "mail", "Alice Manager mentions you in Contact centre")]
    change_comment(asker(alice), comment, text="@bob look, @vera too, and @alice")
    assert people_told(told(), "mention") == ["bob", "vera"]


def test_a_comment_that_is_gone_before_is_not_told(plan, alice, asker, told):
    delete_comment(asker(alice), add_comment(asker(alice), plan, text="@bob oops"))
    assert told() == []


def test_what_is_not_committed_is_not_told(plan, alice, asker, told):
    with transaction.atomic():
        add_comment(asker(alice), plan, text="@bob")
        transaction.set_rollback(True)
    assert told() == []


def test_what_becomes_somebody_s_is_told_to_them_alone(plan, poc, gate, alice, bob, vera, erin, asker, told, today):
    a = asker(alice)
    milestone = add_milestone(a, poc, name="Data", due_on=today, owner=bob)
    add_milestone(a, poc, name="Mine", due_on=today, owner=alice)
    change_milestone(a, milestone, owner=vera)
    change_milestone(a, milestone, name="Data set")
    change_gate(a, gate, gatekeeper=erin)
    change_phase(a, poc, owner=bob)
    change_roadmap(a, plan, owner=bob)
    assert [(person, title) for person, _, _, title in told()] == [
        ("vera", "'Data set' of Contact centre is yours"),
        ("erin", "You decide the PoC gate of Contact centre"),
        ("bob", "PoC of Contact centre is yours"),
        ("bob", "Contact centre is yours"),
    ]


def test_a_roadmap_that_somebody_made_for_another(adam, alice, asker, told):
    make_roadmap(asker(adam), name="Other one", owner=alice)
    make_roadmap(asker(adam), name="Own", owner=adam)
    assert told() == [("alice", "ownership", "mail", "Other one is yours")]


def test_a_decision_is_told_to_those_whose_roadmap_it_is(plan, poc, gate, alice, adam, bob, vera, asker, told, today):
    gate.criteria.all().delete()
    conditions = [Condition("Sign the contract", today + DAY, bob), Condition("Ask legal", today + DAY, bob)]
    decide_gate(
        asker(adam),
        gate,
        outcome="conditional",
        reason="Good enough.",
        values_of=lambda phase: kpi_values(phase, now=timezone.now()),
        conditions=conditions,
    )
    found = told()
    assert people_told(found, "decision") == ["alice", "bob", "vera"]
    assert ("bob", "ownership", "mail", "PoC gate of Contact centre: 2 conditions is yours") not in found
    assert ("bob", "ownership", "mail", "PoC gate of Contact centre: 2 conditions are yours") in found
    one = Delivery.objects.filter(kind="decision").first()
    assert one.title == "PoC gate of Contact centre: conditional go"
    assert one.text == "Adam Admin: Good enough."
    undo_decision(
        asker(adam),
        gate,
        reason="Too early.",
        new_due_on=today + 30 * DAY,
        values_of=lambda phase: kpi_values(phase, now=timezone.now()),
    )
    assert told()[-1][3] == "PoC gate of Contact centre: the conditional go is taken back"


def test_a_published_report_is_told_to_who_asked_for_it(plan, adam, vera, asker, told, choose, today):
    choose(vera, report=["mail"])
    last = (today.replace(day=1) - DAY).replace(day=1)
    plan.phases.filter(kind="poc").update(started_on=last)
    close_month(asker(adam), last)
    assert people_told(told(), "report") == ["vera"]


def test_one_row_of_the_outbox_for_each_audit_row_that_matters(plan, poc, alice, asker, today):
    milestone = add_milestone(asker(alice), poc, name="x", due_on=today, owner=alice)
    add_milestone(asker(alice), poc, name="nobody's", due_on=today)
    tick_milestone(asker(alice), milestone)
    change_milestone(asker(alice), milestone, name="y")
    last = Notice.objects.get(spread_at=None)
    assert last.key == f"audit:{AuditEvent.objects.get(action='add_milestone', subject_name='x').pk}"


def test_the_demo_and_its_people_are_told_nothing(plan, alice, bob, asker, told):
    add_comment(asker(alice), plan, text="@bob")
    type(bob).objects.filter(pk=bob.pk).update(is_demo=True)
    assert told() == []
    type(bob).objects.filter(pk=bob.pk).update(is_demo=False)
    plan.workload.is_demo = True
    plan.workload.save()
    add_comment(asker(alice), plan, text="@bob again")
    assert told() == []


def test_a_notice_that_cannot_be_said_keeps_no_other_back(plan, alice, asker, told, caplog):
    Notice.objects.create(key="milestone_late:1:2026-01-01", kind="milestone_late", details={"nonsense": 1})
    add_comment(asker(alice), plan, text="@bob")
    assert people_told(told(), "mention") == ["bob"]
    assert "milestone_late:1:2026-01-01" in caplog.text
    assert not Notice.objects.filter(spread_at=None).exists()


def test_who_chose_another_channel_hears_there_and_who_chose_none_hears_nothing(
    plan, alice, bob, vera, asker, told, choose, address
):
    address(bob, "slack")
    choose(bob, mention=["slack", "teams"])
    choose(vera, mention=[])
    add_comment(asker(alice), plan, text="@bob @vera")
    assert [(person, channel) for person, _, channel, _ in told()] == [("bob", "slack")]

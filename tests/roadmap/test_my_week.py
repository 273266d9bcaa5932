"""My week: what waits for one person, and for nobody else."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from django.urls import reverse
from django.utils import timezone

from config.checks import check_settings
from roadmap.actions.kpis import add_kpi, record_reading
from roadmap.actions.milestones import add_milestone, tick_milestone
from roadmap.actions.roadmaps import set_state
from roadmap.actions.updates import post_update
from roadmap.models import Milestone, Update
from roadmap.queries.my_week import my_week

DAY = timedelta(days=1)


@pytest.fixture
def week(asker, today):
    return lambda person: my_week(asker(person), today=today)


def names(items) -> list[str]:
    return [item.name for item in items]


def test_milestones_of_the_next_fourteen_days_are_their_owner_s(plan, poc, alice, bob, asker, week, today):
    Milestone.objects.all().delete()
    for name, days, owner in (
        ("late", -3, bob),
        ("now", 0, bob),
        ("soon", 14, bob),
        ("far", 15, bob),
        ("open", 2, None),
    ):
        add_milestone(asker(alice), poc, name=name, due_on=today + days * DAY, owner=owner)
    assert names(week(bob).milestones) == ["late", "now", "soon"]
    assert [item.words for item in week(bob).milestones] == ["3 days late", "today", "in 14 days"]
    assert [item.is_late for item in week(bob).milestones] == [True, False, False]
    assert names(week(alice).milestones) == ["open"]
    tick_milestone(asker(bob), Milestone.objects.get(name="late"))
    assert names(week(bob).milestones) == ["now", "soon"]


def test_a_gate_waits_for_who_prepares_and_who_decides(plan, poc, gate, alice, erin, vera, week, today):
    gate.gatekeeper = erin
    gate.due_on = today + 30 * DAY
    gate.save()
    assert names(week(erin).gates) == ["Decide the PoC gate"]
    assert names(week(alice).gates) == ["Prepare the PoC gate"]
    assert week(vera).gates == []
    gate.due_on = today + 31 * DAY
    gate.save()
    assert week(erin).gates == week(alice).gates == []


def test_an_update_is_asked_for_when_the_last_is_old(plan, alice, bob, asker, week, settings):
    assert [item.words for item in week(alice).updates] == ["never yet"]
    assert week(bob).updates == []
    post_update(asker(alice), plan, status="on_track", sentence="Fine.")
    assert week(alice).updates == []
    Update.objects.update(created_at=timezone.now() - 14 * DAY)
    assert [item.words for item in week(alice).updates] == ["the last 14 days ago"]
    settings.UPDATE_EVERY_DAYS = 30
    assert week(alice).updates == []


def test_a_reading_is_asked_for_once_its_window_is_empty(plan, poc, alice, asker, week):
    poc.kpis.all().delete()
    kpi = add_kpi(asker(alice), poc, name="Hours saved", direction="higher", window_days=7)
    assert names(week(alice).readings) == ["Record Hours saved"]
    record_reading(asker(alice), kpi, at=timezone.now() - 6 * DAY, value=Decimal(1))
    assert week(alice).readings == []
    kpi.readings.update(at=timezone.now() - 8 * DAY)
    assert [(item.words, item.is_late) for item in week(alice).readings] == [("the last 8 days ago", True)]


def test_a_paused_roadmap_asks_for_nothing(plan, alice, asker, week):
    set_state(asker(alice), plan, state="paused")
    assert week(alice).count == 0


def test_who_no_longer_belongs_to_it_is_asked_for_nothing(plan, poc, bob, alice, asker, week, today):
    add_milestone(asker(alice), poc, name="x", due_on=today, owner=bob)
    bob.memberships.all().delete()
    assert week(bob).count == 0


def test_page_and_rest_say_the_same(plan, alice, vera, sign_in, api):
    page = sign_in(alice).get(reverse("my_week")).content.decode()
    answer = api(alice, scopes=["read"]).get("/api/v1/me").json()
    assert answer["updates"][0]["name"] == "Post an update"
    for part in ("milestones", "gates", "updates", "readings"):
        for item in answer[part]:
            assert item["url"] in page
    assert "Nothing waits for you" in sign_in(vera).get(reverse("my_week")).content.decode()


def test_a_bound_token_sees_its_roadmap_s_part(plan, other, alice, api):
    assert api(alice, scopes=["read"], workload=other).get("/api/v1/me").json()["updates"] == []
    assert api(alice, scopes=["push"]).get("/api/v1/me").status_code == 403


def test_it_asks_for_signing_in(client, db):
    assert client.get(reverse("my_week")).status_code == 302
    assert client.get("/api/v1/me").status_code == 401


def test_it_costs_five_queries_however_much_waits(plan, poc, alice, asker, week, today, django_assert_num_queries):
    for number in range(30):
        add_milestone(asker(alice), poc, name=f"m{number}", due_on=today)
        add_kpi(asker(alice), poc, name=f"k{number}", direction="higher")
    with django_assert_num_queries(5):
        assert week(alice).count > 60


def test_the_menu_leads_there(vera, sign_in):
    assert 'href="/me/"' in sign_in(vera).get("/tokens/").content.decode()


def test_a_wrong_rhythm_is_said_at_the_start(settings):
    settings.UPDATE_EVERY_DAYS = 0
    assert "phaseline.E022" in {found.id for found in check_settings(None)}

"""Comments, My week and the audit trail in a browser: looked at, in place with htmx, without violation."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from accounts.access import Asker
from accounts.models import OrganisationRole, User
from roadmap.actions.comments import add_comment
from roadmap.actions.milestones import add_milestone, change_milestone
from roadmap.actions.roadmaps import make_roadmap

DAY = timedelta(days=1)
WIDTHS = (390, 720, 1440)


@pytest.fixture
def people(transactional_db):
    fields = {"password": "correct horse battery", "organisation_role": OrganisationRole.ADMIN}
    ada = User.objects.create_user("ada", first_name="Ada", last_name="Admin", **fields)
    sanne = User.objects.create_user("sanne", first_name="Sanne", last_name="Visser", **fields)
    return ada, sanne


@pytest.fixture
def plan(people):
    ada, sanne = people
    today = timezone.localdate()
    found = make_roadmap(Asker(ada), name="Claims assistant", owner=ada, start_on=today - 60 * DAY)
    phase = found.phases.get(kind="poc")
    pilot = add_milestone(Asker(ada), phase, name="Pilot with two teams", due_on=today + 3 * DAY, owner=ada)
    change_milestone(Asker(sanne), pilot, due_on=today + 9 * DAY)
    text = "@ada the pilot waits for the data contract: https://example.org/contracts/17\nWho signs it?"
    add_comment(Asker(sanne), found, text=text, about=pilot)
    return found


def test_the_pages_are_looked_at(plan, people, page_as, picture, accessible):
    page = page_as(people[0])
    places = {
        "talk-roadmap": plan.get_absolute_url(),
        "comments": f"{plan.get_absolute_url()}comments/",
        "activity": f"{plan.get_absolute_url()}activity/",
        "my-week": "/me/",
        "audit-trail": "/settings/audit/",
    }
    for name, address in places.items():
        assert page.goto(address).status == 200, address
        picture(page, name)
        accessible(page)
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 900})
            assert page.evaluate("document.documentElement.scrollWidth") <= width, f"{address} at {width}"


def test_a_comment_is_added_in_place(plan, people, page_as):
    page = page_as(people[0])
    page.goto(f"{plan.get_absolute_url()}comments/")
    page.get_by_role("link", name="Add a comment").click()
    page.get_by_label("Comment", exact=True).fill("Legal signs it on Friday.")
    page.get_by_role("button", name="Add", exact=True).click()
    expect(page.get_by_text("Legal signs it on Friday.")).to_be_visible()
    expect(page.get_by_text("Comment added.")).to_be_visible()


def test_the_trail_is_filtered_in_place(plan, people, page_as):
    page = page_as(people[0])
    page.goto("/settings/audit/")
    page.get_by_label("Action").select_option("change_milestone")
    page.wait_for_url("**action=change_milestone**")
    expect(page.get_by_role("row")).to_have_count(2)

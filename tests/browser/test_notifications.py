"""Notifications in a browser: choices, an address, a test; the mails as a mailbox shows them. Without violation."""

from __future__ import annotations

from datetime import timedelta
from email import message_from_bytes, policy
from uuid import uuid4

import pytest
from django.core import mail
from django.utils import timezone
from playwright.sync_api import expect

from accounts.access import Asker
from accounts.models import OrganisationRole, PersonAddress, User
from metrics.webhooks import seal_address
from roadmap.actions.comments import add_comment
from roadmap.actions.milestones import add_milestone
from roadmap.actions.roadmaps import make_roadmap
from roadmap.models import Delivery, Notice
from tests.outbox import work_off_by_day

DAY = timedelta(days=1)
WIDTHS = (390, 720, 1440)


@pytest.fixture
def people(transactional_db):
    fields = {"password": "correct horse battery", "organisation_role": OrganisationRole.ADMIN}
    ada = User.objects.create_user("ada", "ada@example.org", first_name="Ada", last_name="Admin", **fields)
    sanne = User.objects.create_user("sanne", "sanne@example.org", first_name="Sanne", last_name="Visser", **fields)
    return ada, sanne


@pytest.fixture
def plan(people):
    ada, sanne = people
    today = timezone.localdate()
    found = make_roadmap(Asker(sanne), name="Claims assistant", owner=ada, start_on=today - 60 * DAY)
    phase = found.phases.get(kind="poc")
    add_milestone(Asker(sanne), phase, name="Pilot with two teams", due_on=today - 3 * DAY, owner=ada)
    add_milestone(Asker(sanne), phase, name="Data contract signed", due_on=today + 9 * DAY, owner=ada)
    work_off_by_day()
    text = "@ada the pilot waits for the data contract: https://example.org/contracts/17\nWho signs it?"
    add_comment(Asker(sanne), found, text=text)
    work_off_by_day()
    sealed, _ = seal_address("https://8.8.8.8/services/T0/B0/secret", may_be_private=False)
    PersonAddress.objects.create(person=ada, channel="slack", sealed=sealed, shown="hooks.slack.com")
    last = Notice.objects.latest("pk")
    for person in people:
        Delivery.objects.create(
            notice=last,
            kind="mention",
            person=person,
            channel="slack",
            title="Tom Jansen mentions you in Claims assistant",
            url=f"{found.get_absolute_url()}comments/",
            state=Delivery.State.FAILED,
            attempts=1,
            batch=uuid4(),
            problem="hooks.slack.com answered with status 410. The channel is archived. Make a webhook of another.",
        )
    return found


def html_of(sent) -> str:
    return message_from_bytes(sent.message().as_bytes(), policy=policy.default).get_body(("html",)).get_content()


def test_the_page_is_looked_at(plan, people, page_as, picture, accessible):
    page = page_as(people[0])
    for name, address in {"notifications": "/me/notifications/", "undelivered": "/settings/notifications/"}.items():
        assert page.goto(address).status == 200
        picture(page, name)
        accessible(page)
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 900})
            assert page.evaluate("document.documentElement.scrollWidth") <= width, f"{address} at {width}"


def test_choices_and_an_address_are_kept(plan, people, page_as, accessible):
    page = page_as(people[0])
    page.goto("/me/notifications/")
    page.get_by_label("A budget runs out: Slack").check()
    page.get_by_label("Time zone").select_option("Europe/Amsterdam")
    page.locator("form").filter(has=page.get_by_label("Time zone")).get_by_role("button", name="Save").click()
    expect(page.get_by_text("Your choices are saved.")).to_be_visible()
    expect(page.get_by_label("A budget runs out: Slack")).to_be_checked()
    page.get_by_text("Set up Webhook").click()
    place = page.locator("#webhook")
    place.get_by_label("Address").fill("https://8.8.8.8/hook")
    place.get_by_role("button", name="Save").click()
    expect(page.get_by_text("whsec_")).to_be_visible()
    accessible(page)
    page.locator("#mail").get_by_role("button", name="Send a test").click()
    expect(page.get_by_text("A test is sent to ada@example.org.")).to_be_visible()


def test_the_mails_are_looked_at(plan, people, page_as, picture, accessible):
    ada, _ = people
    page = page_as(ada)
    Notice.objects.create(
        key="monday:test",
        kind="monday",
        details={"told_as": "monday", "title": "My week", "url": "/me/", "people": [ada.pk]},
    )
    work_off_by_day()
    sent = {one.subject.partition(":")[0]: one for one in mail.outbox if one.to == ["ada@example.org"]}
    pictures = {
        "mail-mention": "Sanne Visser mentions you in Claims assistant",
        "mail-several": "Claims assistant is yours and 2 more",
        "mail-monday": "My week",
    }
    for name, subject in pictures.items():
        page.set_content(html_of(sent[subject]))
        picture(page, name)
        accessible(page)
        page.set_viewport_size({"width": 390, "height": 900})
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, name

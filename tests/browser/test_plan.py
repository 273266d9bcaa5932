"""The plan in a real browser: in place with htmx, the same without JavaScript, readable for everybody."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.conf import settings
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from playwright.sync_api import expect

from accounts.access import Asker
from roadmap.actions.roadmaps import make_roadmap
from roadmap.models import GateDecision, Milestone, Roadmap

DAY = timedelta(days=1)


@pytest.fixture
def plan(transactional_db, adam, erin) -> Roadmap:
    """A roadmap whose PoC runs since 40 days, owned by adam; erin, the executive, keeps its first gate."""
    made = make_roadmap(
        Asker(adam), name="Contact centre", owner=adam, start_on=timezone.localdate() - 40 * DAY, currency="USD"
    )
    gate = made.phases.get(kind="poc").gate
    gate.gatekeeper = erin
    gate.save()
    return made


@pytest.fixture
def plain_page(browser, live_server, transactional_db):
    """`plain_page(person)`: a page without JavaScript."""
    contexts = []

    def open_page(person):
        context = browser.new_context(base_url=live_server.url, java_script_enabled=False, locale="en-GB")
        contexts.append(context)
        client = Client()
        client.force_login(person)
        cookie = client.cookies[settings.SESSION_COOKIE_NAME]
        context.add_cookies([{"name": cookie.key, "value": cookie.value, "url": live_server.url}])
        return context.new_page()

    yield open_page
    for context in contexts:
        context.close()


def test_a_milestone_is_added_ticked_and_deleted_in_place(plan, page):
    page.goto("/roadmaps/contact-centre/poc/")
    page.evaluate("window.isTheSamePage = true")
    page.click("#milestones >> text=Add a milestone")
    page.wait_for_selector("#milestones form.form--grid")
    assert page.evaluate("document.activeElement.name") == "name"
    page.fill("#milestones [name=name]", "Pilot signed")
    page.fill("#milestones [name=due_on]", str(timezone.localdate() + 9 * DAY))
    page.press("#milestones [name=due_on]", "Enter")
    row = page.locator("#milestones tr", has_text="Pilot signed")
    row.wait_for()
    tick = row.locator(".tick")
    tick.focus()
    page.keyboard.press("Space")
    page.wait_for_selector("#milestones tr:has-text('Pilot signed') .tick[aria-pressed=true]")
    # Who works by keyboard stays where they are.
    assert page.evaluate("document.activeElement.getAttribute('aria-label')") == "Done: Pilot signed"
    assert "is done" in page.inner_text("#messages")
    row.locator("text=Edit").click()
    page.wait_for_selector("#milestones form.form--grid")
    page.click("#milestones >> text=Cancel")
    page.wait_for_selector("#milestones form.form--grid", state="detached")
    assert page.evaluate("window.isTheSamePage") is True
    page.locator("#milestones tr", has_text="Pilot signed").locator("text=Edit").click()
    page.click("#milestones .form__more summary:has-text('Delete')")
    page.click("#milestones .form__more form button")
    page.wait_for_selector("#milestones tr:has-text('Pilot signed')", state="detached")
    assert not Milestone.objects.filter(name="Pilot signed").exists()


def test_the_checklist_moves_the_gate_beside_it(plan, page):
    page.goto("/roadmaps/contact-centre/poc/")
    assert "0 of 6 criteria met" in page.inner_text("#gate")
    page.click("#checklist .tick >> nth=0")
    page.wait_for_selector("#gate:has-text('1 of 6 criteria met')")


def test_the_same_walk_without_javascript(plan, adam, erin, plain_page):
    page = plain_page(adam)
    page.goto("/roadmaps/contact-centre/poc/")
    page.click("#milestones >> text=Add a milestone")
    page.fill("[name=name]", "Pilot signed")
    page.fill("[name=due_on]", str(timezone.localdate() + 9 * DAY))
    page.click("main form button[data-kind=main]")
    assert page.url.endswith("/roadmaps/contact-centre/poc/#milestones")
    page.locator("#milestones tr", has_text="Pilot signed").locator(".tick").click()
    assert Milestone.objects.get(name="Pilot signed").state == "done"
    page.click("#costs >> text=Add a cost entry")
    page.fill("[name=name]", "People")
    page.select_option("[name=category]", "people")
    page.fill("[name=amount]", "-1")
    page.fill("[name=start_on]", str(timezone.localdate()))
    page.click("main form button[data-kind=main]")
    assert "Give an amount above zero." in page.inner_text("main")
    page.fill("[name=amount]", "310")
    page.click("main form button[data-kind=main]")
    assert "310.00" in page.inner_text("#costs").replace("\u00a0", " ")
    keeper = plain_page(erin)
    keeper.goto(plan.phases.get(kind="poc").gate.get_absolute_url())
    keeper.check("input[value=conditional]")
    keeper.fill("[name=reason]", "Good enough to go on.")
    keeper.fill("[name=condition_1_name]", "Quality on 200 requests")
    keeper.select_option("[name=condition_1_owner]", label="Adam Admin")
    keeper.fill("[name=condition_1_due_on]", str(timezone.localdate() + 30 * DAY))
    keeper.click("#decide button[data-kind=main]")
    assert GateDecision.objects.get().evidence_sha256 in keeper.inner_text("main")
    assert "Evidence matches its hash" in keeper.inner_text("main")
    assert plan.phases.get(kind="scale_up").state == "active"


def test_the_pages_of_the_plan_are_readable(plan, page_as, adam, erin, accessible, picture):
    gate = plan.phases.get(kind="poc").gate
    for person, name, url in (
        (adam, "plan-roadmap", plan.get_absolute_url()),
        (adam, "plan-new", reverse("roadmap_new") + "?way=middle"),
        (adam, "plan-settings", reverse("roadmap_settings", args=[plan.slug])),
        (adam, "plan-milestone", reverse("milestone_new", args=[gate.phase_id])),
        (erin, "plan-gate", gate.get_absolute_url()),
    ):
        page = page_as(person)
        page.goto(url)
        accessible(page)
        picture(page, name)
        page.set_viewport_size({"width": 390, "height": 844})
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, name
        page.context.close()


def test_many_readings_are_looked_at_and_recorded(plan, page_as, adam, picture, accessible):
    kpi = plan.phases.get(kind="poc").kpis.get(is_value=True)
    page = page_as(adam)
    page.goto(reverse("readings_many", args=[kpi.pk]))
    picture(page, "readings-many")
    today = timezone.localdate()
    rows = "".join(f"{today - n * DAY};{n * 7},5;{40 + n};\n" for n in range(1, 6))
    page.get_by_label("Paste rows").fill(f"Day;Value;Sample count;Note\n{rows}{today - 9 * DAY};many;;\n")
    page.get_by_role("button", name="Look at it").click()
    expect(page.get_by_text("'many' is not a number")).to_be_visible()
    picture(page, "readings-many-looked-at")
    accessible(page)
    page.get_by_role("button", name="Record the others").click()
    expect(page.get_by_text("5 readings recorded.")).to_be_visible()
    picture(page, "readings-many-recorded")
    accessible(page)

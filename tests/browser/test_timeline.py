"""The timeline in a real browser: a milestone with three successors moved by mouse, by keyboard, without JavaScript."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.access import Asker
from roadmap.actions.gates import Condition, decide_gate
from roadmap.actions.milestones import add_milestone, change_milestone, tick_milestone
from roadmap.actions.phases import change_phase
from roadmap.actions.roadmaps import make_roadmap
from roadmap.models import Milestone, Roadmap
from roadmap.queries.kpi_values import kpi_values
from tests.browser.conftest import PICTURES
from tests.browser.test_plan import plain_page  # noqa: F401 (a fixture)

DAY = timedelta(days=1)


@pytest.fixture
def plan(transactional_db, adam, erin) -> Roadmap:
    """A roadmap in its PoC since 130 days; 'Data released' has three successors, one of them in scale-up."""
    asker = Asker(adam)
    today = timezone.localdate()
    made = make_roadmap(asker, name="Claims triage", owner=adam, start_on=today - 130 * DAY, currency="EUR")
    poc, scale_up = made.phases.get(kind="poc"), made.phases.get(kind="scale_up")
    for item in poc.milestones.order_by("due_on")[:3]:
        tick_milestone(asker, item, done_on=item.due_on + 6 * DAY)
    late = poc.milestones.filter(state="open").order_by("due_on").first()
    change_milestone(asker, late, due_on=today + 3 * DAY)
    first = add_milestone(asker, poc, name="Data released", due_on=today + 12 * DAY)
    second = add_milestone(asker, poc, name="Pilot begins", due_on=today + 25 * DAY, depends_on=[first])
    add_milestone(asker, poc, name="Pilot judged", due_on=today + 44 * DAY, depends_on=[second])
    add_milestone(asker, scale_up, name="Second team joins", due_on=today + 120 * DAY, depends_on=[second])
    change_phase(asker, poc, planned_end_on=poc.planned_end_on + 40 * DAY, move_later=True)
    return made


def due() -> dict[str, int]:
    """Days from today by name."""
    names = ["Data released", "Pilot begins", "Pilot judged", "Second team joins"]
    today = timezone.localdate()
    return {item.name: (item.due_on - today).days for item in Milestone.objects.filter(name__in=names)}


def test_a_milestone_is_moved_in_place_and_some_that_wait_for_it(plan, page_as, adam):
    page = page_as(adam, wants_errors=True)
    before = due()
    page.goto("/roadmaps/claims-triage/")
    page.evaluate("window.isTheSamePage = true")
    page.get_by_role("link", name="Move Data released").first.click()
    page.wait_for_selector("#timeline form")
    new = Milestone.objects.get(name="Data released").due_on + 9 * DAY
    page.fill("#timeline [name=due_on]", str(new))
    page.click("#timeline button[data-kind=main]")
    page.wait_for_selector("#timeline [name=successors]")
    assert page.locator("#timeline [name=successors]:checked").count() == 3
    assert due() == before
    page.get_by_role("checkbox", name="Pilot judged").uncheck()
    page.click("#timeline button[data-kind=main]")
    page.wait_for_selector("#timeline form[method=post]", state="detached")
    assert page.evaluate("window.isTheSamePage") is True
    moved = {name: days - before[name] for name, days in due().items()}
    assert moved == {"Data released": 9, "Pilot begins": 9, "Pilot judged": 0, "Second team joins": 9}
    assert "2 milestones moved along" in page.inner_text("#messages")


def test_the_same_by_keyboard_alone(plan, page_as, adam):
    page = page_as(adam, wants_errors=True)
    before = due()
    page.goto("/roadmaps/claims-triage/")
    for _ in range(80):
        page.keyboard.press("Tab")
        if (page.evaluate("document.activeElement.getAttribute('aria-label')") or "").startswith("Move Data released"):
            break
    page.keyboard.press("Enter")
    page.wait_for_selector("#timeline form")
    assert page.evaluate("document.activeElement.name") == "due_on"
    new = Milestone.objects.get(name="Data released").due_on + 5 * DAY
    page.keyboard.type(f"{new:%m%d%Y}")
    page.keyboard.press("Enter")
    page.wait_for_selector("#timeline [name=successors]")
    page.focus("#timeline [name=due_on]")
    page.keyboard.press("Enter")
    page.wait_for_selector("#timeline form[method=post]", state="detached")
    assert {name: days - before[name] for name, days in due().items()} == dict.fromkeys(before, 5)


def test_the_same_without_javascript(plan, adam, plain_page):  # noqa: F811
    page = plain_page(adam)
    before = due()
    page.goto("/roadmaps/claims-triage/")
    page.get_by_role("link", name="Move Data released").first.click()
    new = Milestone.objects.get(name="Data released").due_on + 7 * DAY
    page.fill("[name=due_on]", str(new))
    page.click("main button[data-kind=main]")
    assert "moves 3 milestones that wait for this one" in page.inner_text("main")
    page.click("main button[data-kind=main]")
    assert page.url.endswith("/roadmaps/claims-triage/#timeline")
    assert {name: days - before[name] for name, days in due().items()} == dict.fromkeys(before, 7)


def test_it_is_readable_in_every_look(plan, page, adam, erin, accessible, picture):
    gate = plan.phases.get(kind="poc").gate
    gate.gatekeeper = erin
    gate.save()
    condition = {"name": "Overrides fall", "owner": adam, "due_on": timezone.localdate() + 60 * DAY}
    decide_gate(
        Asker(erin),
        gate,
        outcome="conditional",
        reason="Good.",
        conditions=[Condition(**condition)],
        values_of=kpi_values,
    )
    page.goto("/roadmaps/claims-triage/")
    accessible(page)
    picture(page, "timeline")
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.set_viewport_size({"width": 1440, "height": 900})
    page.emulate_media(media="print")
    page.pdf(path=PICTURES / "timeline.pdf", prefer_css_page_size=True)

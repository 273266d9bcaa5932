"""Every main page filled with the demo: light, dark and phone width, no console error, no serious violation."""

import json

import pytest
from django.core.management import call_command
from playwright.sync_api import expect

from accounts.models import User
from roadmap.models import Gate, Report

WIDTHS = (390, 720, 1440)


@pytest.fixture
def demo(transactional_db, settings, tmp_path):
    """The demo, with sign-ins of this test's own."""
    settings.VAR_DIR = tmp_path
    names = ("admin", "sanne", "femke", "joris")
    (tmp_path / "demo-sign-ins.json").write_text(json.dumps(dict.fromkeys(names, "correct horse battery")))
    call_command("seed_demo")


def addresses() -> dict[str, str]:
    """The pages by the name of their pictures."""
    gate = Gate.objects.filter(phase__roadmap__workload__slug="contact-centre-assistant").order_by("due_on")[1]
    report = Report.objects.filter(roadmap__isnull=False).first()
    return {
        "portfolio": "/",
        "roadmap": "/roadmaps/contact-centre-assistant/",
        "phase": "/roadmaps/contact-centre-assistant/scale_up/",
        "gate": f"/gates/{gate.pk}/",
        "spend": "/spend/",
        "spend-moved": "/spend/moved/",
        "spend-reconcile": "/spend/reconcile/",
        "spend-unallocated": "/spend/unallocated/",
        "spend-idle": "/spend/idle/",
        "spend-prices": "/spend/prices/",
        "spend-anomalies": "/spend/anomalies/",
        "backends": "/backends/",
        "backend": "/backends/demo-vllm-ams-1/",
        "add-a-backend": "/backends/new/",
        "backend-form": "/backends/new/metrics_endpoint/",
        "send-data": "/send/",
        "reports": "/reports/",
        "report": f"/reports/{report.uuid}/",
        "demo": "/settings/demo/",
        "activity": "/roadmaps/contact-centre-assistant/activity/",
        "audit-trail": "/settings/audit/",
        "my-week": "/me/",
    }


def test_every_page_is_filled_in_light_dark_and_on_a_phone(demo, page_as, picture, accessible):
    page = page_as(User.objects.get(username="admin"))
    for name, address in addresses().items():
        answer = page.goto(address)
        assert answer.status == 200, address
        expect(page.locator("a.tag.demo")).to_be_visible()
        picture(page, name)
        accessible(page)
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 900})
            assert page.evaluate("document.documentElement.scrollWidth") <= width, f"{address} at {width}"


def test_the_demo_is_filtered_ticked_and_removed(demo, page_as, subtests):
    """One demo for all of it, as making it takes longer than walking through it; the removal comes last."""
    with subtests.test("the dashboard is filtered in place and draws its charts again"):
        the_dashboard_is_filtered_in_place(page_as)
    with subtests.test("a milestone is ticked on a phone"):
        a_milestone_is_ticked_on_a_phone(page_as)
    with subtests.test("an executive reads without a button that changes"):
        an_executive_reads_without_a_button_that_changes(page_as)
    with subtests.test("the demo goes with one click"):
        the_demo_goes_with_one_click(page_as)


def the_dashboard_is_filtered_in_place(page_as):
    page = page_as(User.objects.get(username="sanne"))
    page.goto("/roadmaps/contact-centre-assistant/scale_up/")
    page.wait_for_function("() => document.querySelectorAll('figure[data-drawn]').length > 2")
    page.get_by_label("Backend").select_option(label="vllm-ams-1")
    page.wait_for_url("**backend=**")
    page.wait_for_function("() => document.querySelectorAll('figure[data-drawn] svg').length > 1")
    expect(page.get_by_label("Backend")).to_have_value(page.get_by_label("Backend").input_value())
    assert page.get_by_text("could not be drawn").count() == 0


def a_milestone_is_ticked_on_a_phone(page_as):
    page = page_as(User.objects.get(username="joris"))
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto("/roadmaps/contact-centre-assistant/scale_up/")
    tick = page.get_by_role("button", name="Done: Runbook written and tried")
    expect(tick).to_have_attribute("aria-pressed", "false")
    tick.click()
    expect(tick).to_have_attribute("aria-pressed", "true")
    page.reload()
    expect(tick).to_have_attribute("aria-pressed", "true")


def an_executive_reads_without_a_button_that_changes(page_as):
    page = page_as(User.objects.get(username="femke"))
    page.goto("/roadmaps/contact-centre-assistant/scale_up/")
    assert page.get_by_role("link", name="Add a milestone").count() == 0
    assert page.locator("button.tick").count() == 0


def the_demo_goes_with_one_click(page_as):
    page = page_as(User.objects.get(username="admin"))
    page.goto("/settings/demo/")
    page.locator("details.confirm summary").click()
    page.locator("details.confirm button").click()
    expect(page.locator("a.tag.demo")).to_have_count(0)

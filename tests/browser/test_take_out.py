"""What leaves Phaseline, in a browser: calendar addresses, files of tables, evidence."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from accounts.access import Asker
from roadmap.actions.calendars import make_calendar_address
from roadmap.actions.cost_entries import add_cost_entry
from roadmap.actions.roadmaps import make_roadmap

DAY = timedelta(days=1)


@pytest.fixture
def plan(adam):
    return make_roadmap(Asker(adam), name="Claims assistant", owner=adam, start_on=timezone.localdate() - 60 * DAY)


def test_the_links_of_files_are_looked_at(plan, adam, page, picture, accessible):
    add_cost_entry(
        Asker(adam), plan.phases.get(kind="poc"), name="Labels", category="data", amount=Decimal(900),
        start_on=timezone.localdate(),
    )  # fmt: skip
    for name, url in (
        ("files-roadmap", plan.get_absolute_url()),
        ("files-phase", f"{plan.get_absolute_url()}poc/"),
        ("files-portfolio", "/"),
        ("files-tokens", "/settings/people/"),
    ):
        page.goto(url)
        picture(page, name)
        accessible(page)
    page.goto(plan.get_absolute_url())
    with page.expect_download() as found:
        page.get_by_role("link", name="XLSX of the phases").click()
    assert found.value.suggested_filename.endswith(".xlsx")


def test_a_file_is_added_and_looked_at(plan, page, picture, accessible, tmp_path):
    milestone = plan.phases.get(kind="poc").milestones.first()
    report = tmp_path / "Prüfbericht der ersten Fälle, zweite Fassung.pdf"
    report.write_bytes(b"%PDF-1.7 the report")
    page.goto(f"{plan.get_absolute_url()}poc/")
    page.get_by_role("link", name=f"Files of {milestone.name}").click()
    page.get_by_label("File", exact=True).set_input_files(report)
    page.get_by_role("button", name="Add").click()
    expect(page.get_by_role("link", name=report.name)).to_be_visible()
    picture(page, "evidence")
    accessible(page)
    with page.expect_download() as found:
        page.get_by_role("link", name=report.name).click()
    assert found.value.suggested_filename == report.name
    page.goto(f"{plan.get_absolute_url()}poc/#milestones")
    expect(page.get_by_role("link", name=f"1 file of {milestone.name}")).to_be_visible()
    picture(page, "evidence-phase")


def test_a_calendar_address_is_made_and_looked_at(plan, adam, page, picture, accessible):
    make_calendar_address(Asker(adam), roadmap=plan)
    page.goto("/me/calendar/")
    page.get_by_role("button", name="Make it").click()
    expect(page.get_by_role("heading", name="The address is ready")).to_be_visible()
    expect(page.get_by_text(".ics").first).to_be_visible()
    picture(page, "calendar")
    accessible(page)
    page.goto("/me/")
    page.get_by_role("link", name="In your calendar").click()
    expect(page.get_by_role("rowheader", name="Every roadmap you see")).to_be_visible()

"""What leaves Phaseline, in a browser: calendar addresses, files of tables, evidence."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from accounts.access import Asker
from roadmap.actions.calendars import make_calendar_address
from roadmap.actions.roadmaps import make_roadmap

DAY = timedelta(days=1)


@pytest.fixture
def plan(adam):
    return make_roadmap(Asker(adam), name="Claims assistant", owner=adam, start_on=timezone.localdate() - 60 * DAY)


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

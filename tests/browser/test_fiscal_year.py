"""The fiscal year's page: filled, in both languages, filtered in place; no serious violation."""

from datetime import timedelta

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from metrics import identity
from tests.roadmap.many_roadmaps import many_roadmaps, spend_daily


@pytest.fixture
def year(transactional_db, settings, adam):
    """Twelve roadmaps that spend up to yesterday, and what belongs to none."""
    settings.REPORTING_CURRENCY = "EUR"
    today = timezone.localdate()
    first = (today.replace(day=1) - timedelta(days=70)).replace(day=1)
    settings.FISCAL_YEAR_START_MONTH = (first - timedelta(days=40)).month
    identity.forget()
    found = many_roadmaps(adam, 12, first=first, last=today - timedelta(days=1))
    spend_daily(None, 12, today - timedelta(days=20), today - timedelta(days=1))
    yield found
    identity.forget()


def test_the_year_is_read_filtered_and_printed(year, adam, page_as, picture, accessible):
    page = page_as(adam)
    page.goto("/reports/year/")
    assert page.locator("svg.bars .filled").count() > 1
    assert page.locator("table thead th[scope=col]").count() >= 12
    picture(page, "fiscal-year")
    accessible(page)
    for width in (390, 720, 1440):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.get_by_label("Roadmap", exact=True).select_option(label="Claims triage")
    page.wait_for_url("**roadmap=claims-triage**")
    expect(page.locator("section", has=page.locator("#by-roadmap")).locator("tbody tr")).to_have_count(1)
    levels = page.evaluate("[...document.querySelectorAll('main :is(h1, h2, h3)')].map(one => Number(one.tagName[1]))")
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in zip(levels, levels[1:], strict=False))
    adam.language = "nl"
    adam.save()
    page.goto("/reports/year/")
    expect(page.locator("html")).to_have_attribute("lang", "nl")
    picture(page, "fiscal-year-nl")
    accessible(page)

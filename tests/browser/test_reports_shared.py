"""A private link and a comparison in a browser: made, opened by somebody without an account, read by axe."""

from __future__ import annotations

import itertools
from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from accounts.access import Asker
from roadmap.actions.cost_entries import add_cost_entry
from roadmap.actions.reports import close_month
from roadmap.actions.roadmaps import make_roadmap
from roadmap.models import Report
from roadmap.rules.reports import previous_month


@pytest.fixture
def months(adam):
    """The last two months of a roadmap with people at work."""
    today = timezone.localdate()
    last = previous_month(today.replace(day=1))
    before = previous_month(last)
    plan = make_roadmap(
        Asker(adam), name="Claims assistant", owner=adam, start_on=before, budgets={"poc": Decimal(9000)}
    )
    add_cost_entry(
        Asker(adam), plan.phases.get(kind="poc"), name="Team", category="people", amount=Decimal(900),
        start_on=before, end_on=last + timedelta(days=20),
    )  # fmt: skip
    for month in (before, last):
        close_month(Asker(adam), month)
    return [Report.objects.get(roadmap=plan, month=month) for month in (before, last)]


def test_a_link_is_made_opened_and_revoked(months, page, browser, live_server, picture, accessible):
    report = months[1]
    page.goto(report.get_absolute_url())
    page.get_by_role("link", name="Private links").click()
    page.get_by_label("For whom").fill("The board")
    page.get_by_role("button", name="Make it").click()
    expect(page.get_by_role("heading", name="The link for 'The board' is ready")).to_be_visible()
    picture(page, "report-links")
    accessible(page)
    address = page.locator(".copy code").inner_text()
    path = "/r/" + address.partition("/r/")[2]
    # Nobody is signed in here.
    context = browser.new_context(base_url=live_server.url)
    reader = context.new_page()
    reader.goto(path)
    expect(reader.get_by_role("heading", level=1)).to_contain_text("Claims assistant")
    picture(reader, "report-linked")
    accessible(reader)
    assert context.cookies() == []
    with reader.expect_download() as found:
        reader.get_by_role("link", name="PDF").click()
    assert found.value.suggested_filename.endswith("-revision-1.pdf")
    page.goto(f"{report.get_absolute_url()}links/")
    row = page.get_by_role("row").filter(has=page.get_by_role("rowheader", name="The board"))
    expect(row).to_contain_text("2 times")
    row.get_by_text("Revoke", exact=True).click()
    row.get_by_role("button", name="Revoke it").click()
    expect(row).to_contain_text("Revoked")
    assert reader.goto(path).status == 404
    expect(reader.get_by_role("heading", name="This link does not work any more")).to_be_visible()
    accessible(reader)
    context.close()


def test_two_months_are_set_side_by_side(months, page, picture, accessible):
    page.goto(months[1].get_absolute_url())
    page.get_by_role("link", name="another").click()
    page.get_by_label("Compare", exact=True).select_option(str(months[0].uuid))
    page.get_by_role("button", name="Compare").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Claims assistant")
    expect(page.get_by_role("columnheader", name="Difference").first).to_be_visible()
    picture(page, "report-comparison")
    accessible(page)
    page.set_viewport_size({"width": 390, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    accessible(page)
    with page.expect_download() as found:
        page.get_by_role("link", name="XLSX").click()
    assert found.value.suggested_filename.endswith(".xlsx")


def test_reports_and_their_list_are_read_by_axe_on_paper_and_on_a_phone(months, page, picture, accessible):
    portfolio = Report.objects.get(scope=Report.Scope.PORTFOLIO, month=months[1].month)
    addresses = {
        "list": "/reports/",
        "roadmap": months[1].get_absolute_url(),
        "portfolio": portfolio.get_absolute_url(),
    }
    for name, address in addresses.items():
        page.goto(address)
        picture(page, f"reports-{name}")
        accessible(page)
        levels = page.locator("main :is(h1, h2, h3, h4)").evaluate_all("all => all.map(one => Number(one.tagName[1]))")
        assert levels[0] == 1
        assert all(after - before <= 1 for before, after in itertools.pairwise(levels))
        assert page.locator("main th:not([scope])").count() == 0
        labels = page.locator("main :is(section, [role=region])").evaluate_all(
            "all => all.map(one => one.ariaLabel ?? document.getElementById(one.getAttribute('aria-labelledby'))?.id)"
        )
        assert len(labels) == len(set(labels)), labels
        page.set_viewport_size({"width": 390, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        accessible(page)
        page.set_viewport_size({"width": 1440, "height": 900})
    page.goto("/reports/")
    page.get_by_role("link", name="The fiscal year, month by month").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Fiscal year")

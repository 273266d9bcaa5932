"""Each kind of chart is drawn by the browser, under the policy, in light, dark and on a phone."""

import pytest
from playwright.sync_api import expect

from tests.browser.chart_page import charts


@pytest.fixture(autouse=True)
def _urls(settings):
    settings.ROOT_URLCONF = "tests.browser.chart_page"


def test_it_draws_every_chart_with_its_table(page, picture, accessible):
    page.goto("/charts/")
    picture(page, "charts")
    expect(page.locator("figure.chart .canvas svg")).to_have_count(len(charts()))
    expect(page.locator("figure.chart details.data table")).to_have_count(len(charts()))
    assert not page.get_by_text("could not be drawn").count()
    accessible(page)


def test_a_chart_stays_inside_its_figure(page):
    page.goto("/charts/")
    page.wait_for_function("() => document.querySelectorAll('figure[data-drawn]').length >= 4")
    for width in (1440, 390):
        page.set_viewport_size({"width": width, "height": 900})
        page.wait_for_timeout(300)
        widths = "canvas => [canvas.querySelector('svg').clientWidth, canvas.clientWidth]"
        for drawn, room in page.locator(".canvas").evaluate_all(f"all => all.map({widths})"):
            assert drawn <= room + 1

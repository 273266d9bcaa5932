"""The look in a real browser: every component, under the strict policy, in each theme, without an error."""

import pytest
from playwright.sync_api import expect

from tests.browser import style_page
from tests.browser.conftest import charts_drawn


@pytest.fixture(autouse=True)
def _style(settings):
    settings.ROOT_URLCONF = "tests.browser.style_page"
    pages = {"style.html": style_page.TEMPLATE}
    options = {**settings.TEMPLATES[0]["OPTIONS"]}
    files = settings.TEMPLATES[0]["DIRS"]
    options["loaders"] = [
        ("template_partials.loader.Loader", [
            ("django.template.loaders.locmem.Loader", pages),
            ("django.template.loaders.filesystem.Loader", files),
            "django.template.loaders.app_directories.Loader",
        ])
    ]  # fmt: skip
    settings.TEMPLATES = [{**settings.TEMPLATES[0], "APP_DIRS": False, "OPTIONS": options}]


def test_it_shows_every_component_in_light_dark_and_on_a_phone(page, picture):
    page.goto("/style/")
    picture(page, "style")
    expect(page.locator("figure.chart .canvas svg")).to_have_count(1)
    expect(page.locator(".tile")).to_have_count(4)
    expect(page.locator("svg.timeline .ms")).to_have_count(4)


def test_it_has_no_serious_violation(page, accessible):
    page.goto("/style/")
    accessible(page)


def test_it_does_not_scroll_sideways_on_a_phone_or_at_double_zoom(page):
    page.goto("/style/")
    for width in (390, 720):
        page.set_viewport_size({"width": width, "height": 800})
        charts_drawn(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_it_keeps_the_chosen_theme_and_draws_charts_again(page):
    page.goto("/style/")
    charts_drawn(page)
    page.locator(".usermenu summary").click()
    page.get_by_role("button", name="Dark").click()
    charts_drawn(page)
    assert page.locator("figure[data-spec-id]").get_attribute("data-drawn") == "dark"
    page.reload()
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"


def test_it_swaps_in_a_form_with_mistakes_that_are_linked_to_their_fields(page_as, adam):
    # A 422 is written to the console as an error by the browser itself.
    page = page_as(adam, wants_errors=True)
    page.goto("/style/")
    page.locator("#id_name").fill("Runbook")
    page.locator("#id_amount").fill("many")
    page.get_by_label("One").check()
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#id_amount_error")).to_contain_text("Enter a number")
    assert "id_amount_error" in page.locator("#id_amount").get_attribute("aria-describedby")
    expect(page.locator("#id_name")).to_have_value("Runbook")


def test_it_saves_by_htmx_and_says_so(page):
    page.goto("/style/")
    page.locator("#id_name").fill("Runbook")
    page.locator("#id_amount").fill("12.50")
    page.get_by_label("One").check()
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#messages")).to_contain_text("Saved.")


def test_it_works_without_javascript(browser, live_server, adam, chart_bundle, transactional_db):
    from django.conf import settings
    from django.test import Client

    client = Client()
    client.force_login(adam)
    cookie = client.cookies[settings.SESSION_COOKIE_NAME]
    context = browser.new_context(base_url=live_server.url, java_script_enabled=False)
    context.add_cookies([{"name": cookie.key, "value": cookie.value, "url": live_server.url}])
    page = context.new_page()
    page.goto("/style/")
    page.locator("#id_name").fill("Runbook")
    page.locator("#id_amount").fill("12.50")
    page.get_by_label("One").check()
    page.get_by_role("button", name="Save").click()
    assert "Saved." in page.locator("#messages").inner_text()
    page.locator("details.data summary").click()
    assert page.get_by_role("cell", name="19.7").is_visible()
    context.close()


def test_it_copies_and_asks_once_before_it_deletes(page):
    page.goto("/style/")
    expect(page.get_by_role("button", name="Copy", exact=True)).to_be_visible()
    question = page.get_by_text("Delete the milestone 'Runbook'?")
    expect(question).to_be_hidden()
    page.locator("details.confirm summary").click()
    expect(question).to_be_visible()
    page.keyboard.press("Escape")
    expect(question).to_be_hidden()


def test_a_page_in_dark_is_printed_in_light(page):
    page.emulate_media(color_scheme="dark")
    page.goto("/style/")
    charts_drawn(page)
    page.emulate_media(media="print", color_scheme="dark")
    label = "figure.chart .canvas text"
    assert page.evaluate(f"getComputedStyle(document.querySelector('{label}')).fill") == "rgb(95, 106, 112)"
    assert page.locator("header.bar").is_hidden()


def test_it_keeps_marks_visible_in_forced_colours(page):
    page.emulate_media(forced_colors="active")
    page.goto("/style/")
    charts_drawn(page)
    mark = "getComputedStyle(document.querySelector('.status[data-tone=red]'), '::before').backgroundColor"
    surface = "getComputedStyle(document.body).backgroundColor"
    assert page.evaluate(mark) != page.evaluate(surface)

"""A real browser: Chromium by Playwright against Django's live server, with the content security policy on.

`page` is signed in as adam (an admin); `page_as(person)` gives a page of somebody else. A page that writes an error to
its console fails the test when it ends. `picture(page, name)` draws the page in light, dark and on a phone; with
PICTURES=1 in the environment it writes each to var/screenshots/. `accessible(page)` fails on what axe calls serious
or critical.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.conf import settings as django_settings
from django.contrib.staticfiles import finders
from django.test import Client
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from accounts.models import User
from web.charts import build_bundle

PICTURES = Path(django_settings.VAR_DIR) / "screenshots"
DESKTOP = {"width": 1440, "height": 900}
PHONE = {"width": 390, "height": 844}

# Playwright's loop is seen by Django as an async context; the tests themselves are plain functions.
os.environ.setdefault("DJANGO_ALLOW_ASYNC_UNSAFE", "true")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "tests/browser/" in str(item.path):
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def chart_bundle() -> None:
    """The chart library, where a run of its own has not built it."""
    build_bundle()
    if django_settings.CHART_BUILD_DIR not in django_settings.STATICFILES_DIRS:
        django_settings.STATICFILES_DIRS.append(django_settings.CHART_BUILD_DIR)
        finders.get_finder.cache_clear()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One Chromium for the whole run."""
    path = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        pytest.fail("No Chromium. Install it (Debian: apt-get install chromium) or set CHROMIUM to its path.")
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=arguments)
        yield chromium
        chromium.close()


@pytest.fixture
def page_as(browser: Browser, live_server, chart_bundle, transactional_db) -> Iterator[Callable[[User | None], Page]]:
    """`page_as(person)`: a page signed in as the person, `page_as(None)` as nobody. Console errors fail the test."""
    contexts: list[BrowserContext] = []
    problems: list[str] = []

    def open_page(person: User | None, *, wants_errors: bool = False, has_script: bool = True) -> Page:
        context = browser.new_context(
            base_url=live_server.url,
            viewport=DESKTOP,
            locale="en-GB",
            timezone_id="UTC",
            java_script_enabled=has_script,
        )
        contexts.append(context)
        if person is not None:
            client = Client()
            client.force_login(person)
            cookie = client.cookies[django_settings.SESSION_COOKIE_NAME]
            context.add_cookies([{"name": cookie.key, "value": cookie.value, "url": live_server.url}])
        page = context.new_page()
        if not wants_errors:
            page.on(
                "console", lambda line: problems.append(f"{page.url}: {line.text}") if line.type == "error" else None
            )
            page.on("pageerror", lambda error: problems.append(f"{page.url}: {error}"))
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert problems == []


@pytest.fixture
def page(page_as, adam) -> Page:
    """A page signed in as adam, the admin."""
    return page_as(adam)


@pytest.fixture
def picture() -> Callable[[Page, str], None]:
    """`picture(page, name)`: every chart drawn in each look; with PICTURES=1 also written, the whole page, to
    var/screenshots/<name>-{light,dark,phone}.png. They are for eyes and take longer than all that is asserted.
    """
    PICTURES.mkdir(parents=True, exist_ok=True)
    is_written = bool(os.environ.get("PICTURES"))

    def take(page: Page, name: str) -> None:
        for look, scheme, size in (("light", "light", DESKTOP), ("dark", "dark", DESKTOP), ("phone", "light", PHONE)):
            page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            page.set_viewport_size(size)
            charts_drawn(page)
            if is_written:
                page.screenshot(path=PICTURES / f"{name}-{look}.png", full_page=True)
        page.emulate_media(color_scheme="light")
        page.set_viewport_size(DESKTOP)

    return take


@pytest.fixture
def accessible() -> Callable[[Page], None]:
    """`accessible(page)`: no violation that axe calls serious or critical, in light and in dark."""

    def check(page: Page) -> None:
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            charts_drawn(page)
            found = Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
            grave = [
                f"{scheme} {row['id']}: {node['target']} {node.get('failureSummary', '')}"
                for row in found
                if row["impact"] in ("serious", "critical")
                for node in row["nodes"]
            ]
            assert grave == []
        page.emulate_media(color_scheme="light")

    return check


def charts_drawn(page: Page) -> None:
    """Waits until every chart of the page is drawn in the present theme."""
    page.wait_for_load_state("load")
    page.wait_for_function(
        """() => {
            const look = document.documentElement.dataset.theme
              ?? (matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light');
            const figures = [...document.querySelectorAll('figure[data-spec-id]')];
            return figures.every((figure) => figure.dataset.drawn === look);
        }"""
    )

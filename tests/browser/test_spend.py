"""The Spend page in a browser: readable in light, dark and on a phone, filtered in place, and without JavaScript."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from accounts.access import Asker
from metrics import identity, ledger
from metrics.ledger import PostedCell
from metrics.models import Backend, Receipt
from metrics.usage import FeedKind, SeriesKey, SeriesKind
from roadmap.actions.roadmaps import make_roadmap

D = Decimal
DAY = timedelta(days=1)
TABS = ("", "moved/", "reconcile/", "unallocated/", "idle/", "prices/", "anomalies/")


@pytest.fixture
def spent(transactional_db, adam, alice, settings):
    """Two models over 40 days, one of them unallocated, idle capacity, a bill, and one day of ten times the usual."""
    settings.REPORTING_CURRENCY = "EUR"
    identity.forget()
    today = timezone.localdate()
    roadmap = make_roadmap(Asker(adam), name="Contact centre", owner=alice, start_on=today - 60 * DAY, currency="EUR")
    backend = Backend.objects.create(slug="api-1", name="API 1", connector="push_only", provider="openai")
    for kind, model, workload, amount in (
        (SeriesKind.USAGE, "gpt-4.1", roadmap.workload_id, "10"),
        (SeriesKind.USAGE, "nobody-knows", None, None),
        (SeriesKind.IDLE, "", None, "2"),
    ):
        wanted = identity.SeriesIdentity(
            SeriesKey(provider="openai", model=model, operation="chat" if model else "idle", kind=kind),
            backend.pk,
            is_pushed=True,
            workload_id=workload,
        )
        series_id = identity.series_ids([wanted])[wanted]
        cells = []
        for back in range(1, 60):
            day = today - DAY * back
            times = 10 if back == 5 and kind == SeriesKind.USAGE else 1
            sums = {"requests": 100 * times, "input_tokens": 9_000, "output_tokens": 900} if model else {}
            if amount:
                sums["estimated_cost"] = D(amount) * times
            if amount and model and back > 30:
                sums["billed_cost"] = D(amount) - 1
            cells.append(PostedCell(series_id, datetime(day.year, day.month, day.day, tzinfo=UTC), sums, {}, "EUR"))
        ledger.post(Receipt(kind=FeedKind.PUSH, backend=backend), ledger.feed(FeedKind.PUSH, backend), cells)
    yield roadmap
    identity.forget()


def test_every_tab_is_readable_in_light_dark_and_on_a_phone(spent, page, picture, accessible):
    for tab in TABS:
        answer = page.goto(f"/spend/{tab}")
        assert answer.status == 200, tab
        picture(page, f"spend-{tab.strip('/') or 'page'}")
        accessible(page)
        for width in (390, 720, 1440):
            page.set_viewport_size({"width": width, "height": 900})
            assert page.evaluate("document.documentElement.scrollWidth") <= width, f"{tab} at {width}"


def test_it_is_filtered_in_place_and_the_address_says_so(spent, page):
    page.goto("/spend/")
    page.evaluate("window.isTheSamePage = true")
    page.select_option("#by-second", "model")
    expect(page.locator("#spend table")).to_contain_text("gpt-4.1")
    page.click("summary:has-text('Filter')")
    page.select_option("#model", "gpt-4.1")
    page.wait_for_url("**model=gpt-4.1*")
    assert page.evaluate("window.isTheSamePage") is True
    page.click(".tabs >> text=Anomalies")
    expect(page.locator("#spend .lede")).to_contain_text("unusual")
    assert "model=gpt-4.1" in page.url


def test_the_same_without_javascript(spent, browser, live_server, adam, client):
    client.force_login(adam)
    context = browser.new_context(base_url=live_server.url, java_script_enabled=False)
    cookie = client.cookies["sessionid"]
    context.add_cookies([{"name": cookie.key, "value": cookie.value, "url": live_server.url}])
    page = context.new_page()
    page.goto("/spend/")
    page.select_option("#by-first", "category")
    page.select_option("#by-second", "")
    page.click("summary:has-text('Filter')")
    page.select_option("#basis", "billed")
    page.click("text=Apply")
    assert "261.00" in page.inner_text("#spend tfoot")
    with page.expect_download() as download:
        page.click(".linkrow >> text=CSV")
    assert download.value.suggested_filename.startswith("spend-")
    context.close()

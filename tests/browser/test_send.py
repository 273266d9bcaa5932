"""The Send data page and the API's pages in a real browser, under the content security policy."""

from __future__ import annotations

import re

from playwright.sync_api import expect
from rest_framework.test import APIClient


def _push(live_server, curl: str) -> int:
    """Sends what the printed command would."""
    token = re.search(r"Bearer (pl_[\w-]+)", curl)[1]
    body = re.search(r"-d '(.*)'", curl, re.S)[1]
    client = APIClient()
    headers = {"Authorization": f"Bearer {token}"}
    return client.post("/api/v1/usage", body, content_type="application/json", headers=headers).status_code


def test_a_first_record_is_sent_and_seen_to_arrive(page_as, alice, claims, live_server, picture, accessible):
    page = page_as(alice)
    page.goto("/send/")
    expect(page.get_by_text("Nothing received yet")).to_be_visible()
    picture(page, "send-empty")
    page.get_by_role("button", name="Make a token").click()
    expect(page.get_by_text("shown this once")).to_be_visible()
    curl = page.locator("pre").first.inner_text()
    assert _push(live_server, curl) == 201
    arrived = page.locator("#received")
    expect(arrived).to_contain_text("Received", timeout=10_000)
    expect(arrived).to_contain_text("1 record")
    expect(arrived.get_by_role("link", name="see it on the dashboard")).to_be_visible()
    accessible(page)
    page.goto("/send/")
    expect(page.get_by_role("row", name=re.compile("Push to Claims"))).to_have_count(2)
    picture(page, "send")
    accessible(page)
    page.get_by_text("Take back", exact=True).last.click()
    page.get_by_role("button", name="Take it back").click()
    expect(page.get_by_text("Taken back", exact=True)).to_be_visible()


def test_the_api_pages_draw_every_operation(page_as, alice, picture):
    page = page_as(alice)
    page.goto("/api/v1/docs/")
    expect(page.get_by_text("Push usage records").first).to_be_visible(timeout=20_000)
    page.get_by_text("Push usage records").first.click()
    expect(page.get_by_text("One bad record never loses the others").first).to_be_visible()
    picture(page, "api-docs")

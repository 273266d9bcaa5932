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


def test_a_file_is_looked_at_before_it_counts(page_as, alice, claims, picture, accessible, tmp_path):
    rows = "".join(
        f"2026-11-20 {hour:02}:30;openai;gpt-4o-mini;{hour + 1}00;{hour}5000;0,25;USD\r\n" for hour in range(9)
    )
    text = (
        "Timestamp;Provider;Model;Requests;Input tokens;Cost;Currency\r\n"
        f"{rows}20.11.2026 10:00;openai;gpt-4o;12;many;;\r\n2026-11-20 11:00;anthropic;claude-sonnet-4-5;12;5000;;\r\n"
    )
    file = tmp_path / "usage Müller.csv"
    file.write_bytes(text.encode("cp1252"))
    page = page_as(alice)
    page.goto("/send/")
    page.get_by_label("CSV file", exact=True).set_input_files(file)
    page.get_by_label("Times without a zone").select_option("UTC")
    page.get_by_role("button", name="Upload and look at it").click()
    expect(page.get_by_role("button", name="Count 10 rows")).to_be_visible()
    picture(page, "usage-file")
    accessible(page)
    page.get_by_role("button", name="Count 10 rows").click()
    expect(page.get_by_text("10 records counted")).to_be_visible()
    picture(page, "usage-file-counted")
    accessible(page)
    page.goto("/send/file/")
    page.get_by_label("CSV file", exact=True).set_input_files(file)
    page.get_by_role("button", name="Upload and look at it").click()
    expect(page.get_by_text("is counted already, as usage Müller.csv: nothing was added")).to_be_visible()
    page.get_by_text("Take back", exact=True).click()
    page.get_by_role("button", name="Take it back").click()
    expect(page.get_by_text("It was taken back")).to_be_visible()
    page.goto("/send/file/")
    picture(page, "usage-file-new")

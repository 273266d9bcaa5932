"""Adding a backend in a real browser: the example server, from 'What do you have?' to the first tokens."""

from __future__ import annotations

import threading
import time
from decimal import Decimal

import pytest
from playwright.sync_api import expect

from accounts.models import Workload
from metrics import identity, pull
from metrics.example_server import make_server
from metrics.models import Backend, LookAlike, RateCard, Series


@pytest.fixture
def example(settings):
    # Ids that other tests' rows had.
    identity.forget()
    server = make_server(0)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    settings.EXAMPLE_SERVER_URL = f"http://127.0.0.1:{server.server_address[1]}"
    settings.OUTBOUND_ALLOW = ["127.0.0.0/8"]
    settings.ENCRYPTION_KEYS = ["MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="]
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def pulled(example, settings, db) -> Backend:
    """A backend with its first tokens."""
    backend = Backend.objects.create(
        slug="gpu-box",
        name="GPU box",
        connector="metrics_endpoint",
        provider="vllm",
        hardware="2 x H100",
        parameters={"addresses": [settings.EXAMPLE_SERVER_URL], "preset": "vllm"},
    )
    pull.pull(backend.pk)
    time.sleep(4)
    pull.pull(backend.pk)
    return backend


def test_the_example_server_is_added_tested_pulled_and_shows_tokens(page, example, picture, accessible):
    Workload.objects.create(slug="demo", name="Demo", is_demo=True)
    Workload.objects.create(slug="my-first-roadmap", name="My first roadmap")
    page.goto("/backends/")
    expect(page.get_by_role("heading", name="Backends")).to_be_visible()
    expect(page.locator("tbody tr:not(.group)").first).to_contain_text("Example server")
    picture(page, "backends-empty")
    accessible(page)
    page.get_by_role("link", name="Add Example server").click()
    page.get_by_role("button", name="Test connection").click()
    expect(page.locator("#result")).to_contain_text("It works.")
    picture(page, "backend-form")
    accessible(page)
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Example server")
    backend = Backend.objects.get(is_example=True)
    pull.pull(backend.pk)
    time.sleep(4)
    pull.pull(backend.pk)
    # The page looks again by itself; what stands below its live part comes with the next visit.
    expect(page.locator("#live")).to_contain_text("Counted since the last reading", timeout=15_000)
    page.reload()
    expect(page.get_by_role("region", name="Series, table")).to_contain_text("My first roadmap")


def test_the_page_of_one_backend(page, pulled, picture, accessible):
    one = Series.objects.get(backend=pulled)
    RateCard.objects.create(
        backend=pulled,
        kind="rented",
        units=2,
        currency="USD",
        rate_per_unit_hour=Decimal("2.5"),
        valid_from_on="2026-01-01",
    )
    claims = Workload.objects.create(slug="claims", name="Claims assistant")
    pushed = Series.objects.create(
        digest=b"0" * 16, provider="vllm", backend=pulled, model=one.model, is_pushed=True, workload=claims,
        measured_at="application",
    )  # fmt: skip
    LookAlike.objects.create(
        first=one, second=pushed, model=one.model, on="2026-11-21", first_tokens=41_900, second_tokens=41_200
    )
    page.goto("/backends/gpu-box/")
    expect(page.get_by_text("Link them?")).to_be_visible()
    picture(page, "backend")
    accessible(page)
    page.locator("tr", has_text="Unallocated").first.locator("summary").click()
    page.get_by_label("Claims assistant").first.fill("40")
    page.locator("form", has_text="Shares in percent").get_by_role("button", name="Save").click()
    expect(page.get_by_text("Claims assistant 40%")).to_be_visible()


def test_it_does_not_scroll_sideways_on_a_phone(page, pulled):
    page.set_viewport_size({"width": 390, "height": 800})
    for url in ("/backends/", "/backends/new/", "/backends/new/prometheus/", "/backends/gpu-box/"):
        page.goto(url)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, url


def test_what_is_wrong_is_said_beside_the_field(page_as, adam, example):
    page = page_as(adam, wants_errors=True)
    page.goto("/backends/new/metrics_endpoint/")
    page.get_by_label("Name", exact=True).fill("Box")
    page.get_by_label("Addresses").fill("10.0.0.5:8000")
    page.get_by_role("button", name="Save").click()
    expect(page.locator(".wrong")).to_contain_text("starts with http://")

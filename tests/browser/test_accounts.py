"""Coming in, people and tokens, in a real browser."""

import re

import pytest
from playwright.sync_api import expect

from accounts.tokens import find_token, make_setup_link


def test_one_signs_in_and_out(page_as, alice):
    page = page_as(None)
    page.goto("/tokens/")
    page.get_by_label("User name or e-mail").fill("alice")
    page.get_by_label("Password").fill("correct horse battery")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Tokens", level=1)).to_be_visible()
    page.locator(".usermenu summary").click()
    page.get_by_role("button", name="Sign out").click()
    page.goto("/tokens/")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


def test_the_first_admin_comes_in_by_the_link(page_as, db, accessible):
    page = page_as(None)
    page.goto(f"/setup/{make_setup_link()}/")
    accessible(page)
    page.get_by_label("User name").fill("ada")
    page.get_by_label("Password", exact=True).fill("a long password 7")
    page.get_by_label("Password again").fill("a long password 7")
    page.get_by_role("button", name=re.compile("Make the admin")).click()
    expect(page.locator("#messages")).to_contain_text("You are the admin now")


def test_a_token_is_made_copied_and_revoked(page, picture, accessible):
    page.goto("/tokens/")
    page.get_by_label("Name").fill("ci")
    page.get_by_role("button", name="Make it").click()
    text = page.locator("[data-copy] code").inner_text()
    assert find_token(text)
    picture(page, "tokens")
    page.get_by_role("button", name="Copy the token").click()
    page.locator("details.confirm summary").click()
    page.get_by_role("button", name="Revoke it").click()
    expect(page.locator("#messages")).to_contain_text("revoked")
    assert find_token(text) is None
    accessible(page)


@pytest.mark.parametrize("address", ["/settings/people/", "/accounts/password/change/"])
def test_pages_have_no_serious_violation(page, accessible, picture, address):
    page.goto(address)
    accessible(page)
    picture(page, address.strip("/").replace("/", "-"))


def test_the_api_page_draws_itself_under_the_policy(page):
    page.goto("/api/v1/docs/")
    expect(page.locator("#swagger-ui .info .title")).to_contain_text("Phaseline")

"""The product in Dutch, as a person meets it: the choice at the sign-in page, their own pages, charts, a phone."""

import json
import re

import pytest
from django.core.management import call_command
from playwright.sync_api import expect

from accounts.models import User

PASSWORD = "correct horse battery"
# A person's own pages and those they look at first; each has its first head in Dutch.
PAGES = {
    "me": ("/me/", "Mijn week"),
    "notifications": ("/me/notifications/", "Meldingen"),
    "language": ("/language/", "Taal"),
    "tokens": ("/tokens/", "Tokens"),
    "password": ("/accounts/password/change/", "Wachtwoord wijzigen"),
    "people": ("/settings/people/", "Personen en rollen"),
    "audit": ("/settings/audit/", "Auditlog"),
    "portfolio": ("/", "Portfolio"),
}


@pytest.fixture
def demo(transactional_db, settings, tmp_path):
    """The demo, with sign-ins of this test's own."""
    settings.VAR_DIR = tmp_path
    names = ("admin", "sanne", "femke", "joris")
    (tmp_path / "demo-sign-ins.json").write_text(json.dumps(dict.fromkeys(names, PASSWORD)))
    call_command("seed_demo")


def test_it_is_chosen_at_the_sign_in_page_without_script(page_as, alice):
    """`alice` has chosen nothing and her browser asks for English."""
    page = page_as(None, has_script=False)
    page.goto("/accounts/login/?next=/me/notifications/")
    expect(page.locator("html")).to_have_attribute("lang", "en-gb")
    page.get_by_role("button", name="Nederlands").click()
    expect(page.locator("html")).to_have_attribute("lang", "nl")
    expect(page.get_by_role("heading", name="Aanmelden")).to_be_visible()
    page.get_by_label("Gebruikersnaam of e-mail").fill("alice")
    page.get_by_label("Wachtwoord").fill("not hers")
    page.get_by_role("button", name="Aanmelden").click()
    # Of django-allauth's own catalogue.
    expect(page.get_by_text("Gebruikersnaam en/of wachtwoord zijn incorrect")).to_be_visible()
    page.get_by_label("Gebruikersnaam of e-mail").fill("alice")
    page.get_by_label("Wachtwoord").fill(PASSWORD)
    page.get_by_role("button", name="Aanmelden").click()
    expect(page.get_by_role("heading", name="Meldingen", exact=True)).to_be_visible()


def test_the_pages_are_in_the_language_that_a_person_chose(demo, page_as, picture, accessible):
    admin = User.objects.get(username="admin")
    page = page_as(admin)
    page.goto("/language/")
    page.get_by_label("Nederlands").check()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("De taal is ingesteld.")).to_be_visible()
    admin.refresh_from_db()
    assert admin.language == "nl"
    for name, (address, title) in PAGES.items():
        page.goto(address)
        expect(page.locator("html")).to_have_attribute("lang", "nl")
        expect(page.get_by_role("heading", level=1)).to_have_text(title)
        picture(page, f"nl-{name}")
        accessible(page)
        for width in (390, 720, 1440):
            page.set_viewport_size({"width": width, "height": 900})
            assert page.evaluate("document.documentElement.scrollWidth") <= width, f"{address} at {width}"


def test_charts_write_months_and_figures_as_dutch_does(demo, page_as):
    admin = User.objects.get(username="admin")
    admin.language = "nl"
    admin.save()
    page = page_as(admin)
    page.goto("/roadmaps/contact-centre-assistant/scale_up/")
    page.wait_for_function("document.querySelector('figure[data-drawn] svg text') !== null")
    axes = " ".join(page.locator("figure svg text").all_text_contents())
    assert re.search(r"\b(mrt|mei|okt)\b", axes), axes[:500]
    assert not re.search(r"\b(Mar|May|Oct)\b", axes), axes[:500]

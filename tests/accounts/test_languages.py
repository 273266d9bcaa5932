"""Which language a page is in, and how a person chooses it."""

import pytest
from django.test import Client
from django.utils import translation

from accounts.actions import choose_language
from accounts.errors import AccessViolation
from accounts.languages import language_of
from accounts.models import AuditEvent
from config.checks import check_settings

SIGN_IN = "/accounts/login/"
DUTCH = {"HTTP_ACCEPT_LANGUAGE": "nl-BE,nl;q=0.8,en;q=0.5"}


@pytest.mark.parametrize(
    ("wanted", "language"),
    [
        ("", "en-gb"),
        ("nl-BE,nl;q=0.8,en;q=0.5", "nl"),
        ("en-US,en;q=0.9,nl;q=0.1", "en-gb"),
        ("xx,nl;q=0.3", "nl"),
        ("xx", "en-gb"),
        ("*;q=nonsense,,\x00", "en-gb"),
    ],
)
def test_the_browser_is_asked(client, db, wanted, language):
    page = client.get(SIGN_IN, HTTP_ACCEPT_LANGUAGE=wanted) if wanted else client.get(SIGN_IN)
    assert f'<html lang="{language}">' in page.content.decode()
    assert page.headers["Content-Language"] == language
    assert {"Accept-Language", "Cookie"} <= {name.strip() for name in page.headers["Vary"].split(",")}


def test_an_organisation_may_have_dutch_as_its_own(client, db, settings):
    settings.LANGUAGE_CODE = "nl"
    assert '<html lang="nl">' in client.get(SIGN_IN).content.decode()
    assert '<html lang="en-gb">' in client.get(SIGN_IN, HTTP_ACCEPT_LANGUAGE="en").content.decode()


def test_the_choice_of_a_visitor_is_a_cookie_and_brings_them_back(client, db):
    answer = client.post("/language/", {"language": "nl", "next": f"{SIGN_IN}?next=/me/"})
    assert (answer.status_code, answer.url) == (303, f"{SIGN_IN}?next=/me/")
    page = client.get(answer.url, HTTP_ACCEPT_LANGUAGE="en")
    assert '<html lang="nl">' in page.content.decode()
    assert "Aanmelden" in page.content.decode()
    assert AuditEvent.objects.count() == 0
    client.post("/language/", {"language": ""})
    assert '<html lang="en-gb">' in client.get(SIGN_IN).content.decode()


@pytest.mark.parametrize("address", ["https://evil.example/", "//evil.example/", "javascript:alert(1)", ""])
def test_nobody_is_led_away(client, db, address):
    assert client.post("/language/", {"language": "nl", "next": address}).url == "/language/"


@pytest.mark.parametrize("language", ["xx", "nl-BE", "../nl", "nl\x00"])
def test_an_unknown_language_is_refused(client, alice, asker, language):
    client.force_login(alice)
    assert client.post("/language/", {"language": language}).status_code == 422
    alice.refresh_from_db()
    assert alice.language == ""
    with pytest.raises(AccessViolation):
        choose_language(asker(alice), language)


def test_a_persons_choice_wins_and_is_audited_once(client, alice):
    client.force_login(alice)
    client.post("/language/", {"language": "nl"})
    client.post("/language/", {"language": "nl"})
    alice.refresh_from_db()
    assert alice.language == "nl"
    event = AuditEvent.objects.get(action="choose_language")
    assert (event.before, event.after) == ({"language": None}, {"language": "nl"})
    other_browser = Client()
    other_browser.force_login(alice)
    page = other_browser.get("/language/", HTTP_ACCEPT_LANGUAGE="en")
    assert '<html lang="nl">' in page.content.decode()
    assert "Accept-Language" not in page.headers["Vary"]


def test_a_choice_of_a_language_that_is_gone_is_none(client, alice):
    alice.language = "tlh"
    alice.save()
    client.force_login(alice)
    assert '<html lang="nl">' in client.get("/language/", **DUTCH).content.decode()
    assert language_of(alice) == "en-gb"


def test_programs_are_answered_in_english(client, alice):
    alice.language = "nl"
    alice.save()
    client.force_login(alice)
    answer = client.get("/api/v1/audit/?from=nonsense", **DUTCH)
    assert "Content-Language" not in answer.headers
    assert "Accept-Language" not in answer.headers.get("Vary", "")
    assert client.get("/healthz", **DUTCH).status_code == 200


@pytest.mark.parametrize("address", ["/tokens/tokens.csv", "/settings/people/people.csv", "/spend/spend.csv"])
def test_a_table_as_a_file_is_the_same_for_everybody(client, adam, address):
    client.force_login(adam)
    english = b"".join(client.get(address, HTTP_ACCEPT_LANGUAGE="en"))
    adam.language = "nl"
    adam.save()
    answer = client.get(address)
    assert answer.status_code == 200
    assert b"".join(answer) == english


@pytest.mark.parametrize(("language", "is_wrong"), [("nl", False), ("en-gb", False), ("tlh", True), ("", True)])
def test_a_wrong_default_language_is_said(settings, language, is_wrong):
    settings.DEFAULT_LANGUAGE = language
    assert ["phaseline.E026" for one in check_settings(None) if one.id == "phaseline.E026"] == [
        "phaseline.E026"
    ] * is_wrong


def test_nothing_is_left_of_a_language_when_the_answer_is_sent(client, db):
    client.get(SIGN_IN, **DUTCH)
    assert translation.get_language() == "en-gb"

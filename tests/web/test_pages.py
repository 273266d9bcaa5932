"""What every page has: the policy, the menu of the person, errors in words, no inline style or script."""

import re
from pathlib import Path

import pytest
from django.conf import settings
from django.db import OperationalError
from django.template import Context, Template

from accounts.models import Workload
from web.views import server_error

FOLDER = settings.BASE_DIR / "templates"
MAILS = sorted((FOLDER / "emails").rglob("*.html"))
TEMPLATES = sorted(set(FOLDER.rglob("*.html")) - set(MAILS))


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: str(path.relative_to(settings.BASE_DIR)))
def test_no_template_has_what_the_policy_forbids(path: Path):
    text = path.read_text()
    assert not re.search(r"""\sstyle\s*=\s*["']""", text)
    assert not re.search(r"\son[a-z]+\s*=", text)
    assert "<style" not in text
    assert not re.search(r"<script(?![^>]*\bsrc=)(?![^>]*application/json)", text)
    assert "http://" not in text.replace("http://www.w3.org", "") or "copy_block" in text or "{{" in text


@pytest.mark.parametrize("path", MAILS, ids=lambda path: str(path.relative_to(settings.BASE_DIR)))
def test_a_mail_brings_its_look_along_and_runs_and_loads_nothing(path: Path):
    """No policy travels with it: a mailbox shows it among other people's pages."""
    text = path.read_text()
    # A picture that the mail itself carries is no request.
    text = re.sub(r'<img class="picture" src="cid:\{\{ block\.cid \}\}"', "<picture", text)
    assert not re.search(r"""\sstyle\s*=\s*["']|\son[a-z]+\s*=|\ssrc\s*=|<(script|link|img|iframe|form)\b""", text)
    assert not re.search(r"url\(|@import|@font-face|https?://", text)


def test_every_page_carries_the_policy(client, db):
    policy = client.get("/accounts/login/").headers["Content-Security-Policy"]
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy


def test_a_viewer_sees_portfolio_and_reports_only(sign_in, vera):
    assert [item["text"] for item in sign_in(vera).get("/tokens/").context["menu"]] == ["Portfolio", "Reports"]


def test_a_contributor_sees_spend_backends_and_send_data(sign_in, bob):
    menu = [item["text"] for item in sign_in(bob).get("/tokens/").context["menu"]]
    assert menu == ["Portfolio", "Spend", "Backends", "Send data", "Reports"]


def test_every_page_says_that_demo_data_is_here(sign_in, adam, claims):
    client = sign_in(adam)
    assert "Demo data" not in client.get("/tokens/").content.decode()
    Workload.objects.create(slug="demo", name="Demo", is_demo=True)
    assert '<a class="tag demo" href="/settings/demo/">Demo data</a>' in client.get("/tokens/").content.decode()


def test_a_missing_page_says_what_to_do(sign_in, vera):
    answer = sign_in(vera).get("/nothing-here/")
    assert answer.status_code == 404
    assert "ask them or an admin to make you a member" in answer.content.decode()


def test_a_forbidden_page_gives_the_reason(sign_in, vera):
    answer = sign_in(vera).get("/settings/people/")
    assert answer.status_code == 403
    assert "People and roles are set by admins." in answer.content.decode()


def test_an_old_form_is_answered_in_words(vera):
    from django.test import Client

    client = Client(enforce_csrf_checks=True)
    client.force_login(vera)
    answer = client.post("/tokens/", {})
    assert answer.status_code == 403
    assert "This form is too old" in answer.content.decode()


def test_the_page_of_a_failure_needs_no_database(rf):
    # Without the db mark a query would raise here.
    answer = server_error(rf.get("/"))
    assert answer.status_code == 500
    assert "Something went wrong here" in answer.content.decode()


def test_a_database_that_does_not_answer_is_a_503_that_says_when_to_come_back(sign_in, vera, monkeypatch):
    client = sign_in(vera)
    client.raise_request_exception = False

    def lost(*args, **kwargs):
        raise OperationalError("server closed the connection")

    monkeypatch.setattr("django.contrib.sessions.backends.db.SessionStore.load", lost)
    for address in ("/", "/tokens/", "/api/v1/tokens/"):
        answer = client.get(address)
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
        assert "The database does not answer" in answer.content.decode()


def test_text_of_people_is_escaped():
    html = Template('{% load ui %}{% status "amber" word %}{% empty %}{{ word }}{% endempty %}').render(
        Context({"word": "<b>&"})
    )
    assert "<b>" not in html
    assert html.count("&lt;b&gt;&amp;") == 2

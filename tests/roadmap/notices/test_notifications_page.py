"""`/me/notifications/`: everybody's own choices and addresses, and nobody else's."""

from __future__ import annotations

import re

import pytest
from django.urls import reverse

from accounts.models import AuditEvent, PersonAddress
from roadmap import notice_urls
from roadmap.models import Delivery, Notice, NoticeSettings
from tests.doubles.source_server import Reply

PAGE = "/me/notifications/"
HOOK = "https://8.8.8.8/services/T00/very-secret-path"


def page_of(client) -> str:
    answer = client.get(PAGE)
    assert answer.status_code == 200
    return answer.content.decode()


def ticked(html: str) -> set[tuple[str, str]]:
    return set(re.findall(r'name="(\w+)" value="(\w+)" aria-label="[^"]*" checked', html))


@pytest.mark.parametrize("url", notice_urls.urlpatterns, ids=lambda url: url.name)
def test_who_is_not_signed_in_gets_nowhere(client, db, url):
    values = {name: 1 if name == "pk" else "slack" for name in url.pattern.converters}
    address = reverse(url.name, kwargs=values)
    for ask in (client.get, client.post):
        answer = ask(address)
        assert answer.status_code in (302, 405)
        if answer.status_code == 302:
            assert "/accounts/login/" in answer["Location"]


def test_the_defaults_are_calm(sign_in, vera):
    html = page_of(sign_in(vera))
    assert ticked(html) == {
        (kind, "mail") for kind in ("mention", "ownership", "decision", "words", "source", "monday")
    }
    assert "vera@example.org" in html
    assert '<a href="/me/notifications/">Notifications</a>' in html


def test_choices_are_saved_and_what_is_not_ticked_is_off(sign_in, vera):
    client = sign_in(vera)
    answer = client.post(PAGE, {"mention": ["slack", "mail"], "zone": "Asia/Seoul"})
    assert (answer.status_code, answer["Location"]) == (303, PAGE)
    html = page_of(client)
    assert ticked(html) == {("mention", "mail"), ("mention", "slack")}
    assert '<option value="Asia/Seoul" selected>' in html
    event = AuditEvent.objects.latest("id")
    assert event.action == "choose_notices"
    assert event.after["mention"] == "mail, slack"
    assert event.after["decision"] == "nothing"
    assert "gate" not in event.after


@pytest.mark.parametrize(
    "data", [{"mention": ["fax"]}, {"zone": "Mars/Olympus"}, {"mention": ["mail"], "zone": "Etc/GMT+1"}]
)
def test_a_choice_that_is_none_is_refused(sign_in, vera, data):
    assert sign_in(vera).post(PAGE, data).status_code == 422
    assert not NoticeSettings.objects.exists()


def test_an_address_is_kept_as_a_secret(sign_in, bob):
    client = sign_in(bob)
    answer = client.post(f"{PAGE}slack/", {"address": HOOK})
    assert answer.status_code == 303
    html = page_of(client)
    assert "8.8.8.8" in html
    assert "very-secret-path" not in html
    row = PersonAddress.objects.get()
    assert (row.person, row.channel) == (bob, "slack")
    assert b"very-secret" not in bytes(row.sealed)
    assert AuditEvent.objects.latest("id").after == {"channel": "slack", "host": "8.8.8.8"}
    client.post(f"{PAGE}slack/remove/")
    assert not PersonAddress.objects.exists()
    assert "There is no address" in client.post(f"{PAGE}slack/remove/", follow=True).content.decode()


def test_a_webhook_s_secret_is_shown_once(sign_in, bob):
    client = sign_in(bob)
    answer = client.post(f"{PAGE}webhook/", {"address": HOOK})
    assert answer.status_code == 200
    assert "no-store" in answer["Cache-Control"]
    [secret] = set(re.findall(r"whsec_[\w+/=]+", answer.content.decode()))
    assert secret not in page_of(client)
    assert secret not in str(AuditEvent.objects.latest("id").after)


@pytest.mark.parametrize(
    ("channel", "address", "status", "words"),
    [
        ("slack", "", 422, "required"),
        ("slack", "http://127.0.0.1:9/", 422, "this machine itself"),
        ("teams", "https://169.254.169.254/", 422, "never called"),
        ("mail", HOOK, 404, ""),
        ("fax", HOOK, 404, ""),
    ],
    ids=str,
)
def test_an_address_that_is_none_is_refused(sign_in, bob, channel, address, status, words):
    answer = sign_in(bob).post(f"{PAGE}{channel}/", {"address": address})
    assert answer.status_code == status
    assert words in answer.content.decode()
    assert not PersonAddress.objects.exists()


def test_a_test_says_how_it_went(sign_in, adam, mails, hooks):
    client = sign_in(adam)
    assert "A test is sent to adam@example.org." in client.post(f"{PAGE}mail/test/", follow=True).content.decode()
    assert [mail["Subject"] for mail in mails.mails] == ["A test from Phaseline"]
    assert "Enter an address first." in client.post(f"{PAGE}teams/test/", follow=True).content.decode()
    client.post(f"{PAGE}teams/", {"address": hooks.url + "/secret-path"})
    assert "A test is sent to 127.0.0.1." in client.post(f"{PAGE}teams/test/", follow=True).content.decode()
    hooks.play = lambda asked: Reply(status=410, body='{"error": "gone"}')
    html = client.post(f"{PAGE}teams/test/", follow=True).content.decode()
    assert "The test did not arrive." in html
    assert "Make a workflow" in html
    assert "secret-path" not in html
    assert client.post(f"{PAGE}fax/test/").status_code == 404


def test_what_was_not_delivered_is_seen_by_its_person_and_by_admins(sign_in, bob, vera, adam, claims):
    notice = Notice.objects.create(key="audit:1", kind="add_comment", workload=claims)
    one = Delivery.objects.create(
        notice=notice,
        kind="mention",
        person=bob,
        channel="mail",
        title="Alice mentions you",
        state="failed",
        problem="The mail server refuses the mail: 550 no.",
        attempts=1,
        batch="6f0d3d0e-8c1c-4f9e-9d39-6c1e7a5a0b11",
    )
    assert "550 no." in page_of(sign_in(bob))
    assert "550 no." not in page_of(sign_in(vera))
    assert sign_in(vera).get("/settings/notifications/").status_code == 403
    assert sign_in(vera).post(f"/settings/notifications/{one.pk}/retry/").status_code == 404
    html = sign_in(adam).get("/settings/notifications/").content.decode()
    assert "550 no." in html
    assert "Bob Builder" in html
    assert sign_in(adam).post(f"/settings/notifications/{one.pk}/retry/").status_code == 303
    one.refresh_from_db()
    assert (one.state, one.attempts) == ("waiting", 0)
    assert "still tried" in sign_in(adam).post(f"/settings/notifications/{one.pk}/retry/", follow=True).content.decode()


def test_without_a_mail_server_the_page_says_so(sign_in, bob, settings):
    assert "sends no mail yet" not in page_of(sign_in(bob))
    settings.EMAIL_BACKEND = "django.core.mail.backends.console.EmailBackend"
    assert "sends no mail yet" in page_of(sign_in(bob))


def test_what_was_not_told_for_want_of_access_is_not_shown_either(sign_in, vera, claims, other):
    for workload, state in ((claims, "sent"), (claims, "dropped"), (other, "failed")):
        key = f"{workload.slug}:{state}"
        notice = Notice.objects.create(key=key, kind="add_comment", workload=workload)
        Delivery.objects.create(notice=notice, kind="mention", person=vera, channel="mail", title=key, state=state)
    html = page_of(sign_in(vera))
    assert "claims:sent" in html
    assert "claims:dropped" not in html
    assert "other:failed" not in html

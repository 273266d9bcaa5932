"""Who gets reports: each page by role, bad input, and one audit row for each change."""

from __future__ import annotations

import pytest
from django.core.exceptions import PermissionDenied
from django.urls import reverse

from accounts.models import AuditEvent
from metrics.errors import RuleViolation
from roadmap.actions.report_mails import queue, send_report_mails_again
from roadmap.actions.report_subscriptions import (
    add_report_subscribers,
    remove_report_subscriber,
    subscribe_to_reports,
)
from roadmap.mailing.compose import unsubscribe_url
from roadmap.models import ReportMail, ReportSubscription
from roadmap.queries.report_mail import PORTFOLIO, Subject

ROLES = ("oscar", "vera", "erin", "bob", "alice", "adam")


@pytest.fixture
def people(request):
    return {name: request.getfixturevalue(name) for name in ROLES}


@pytest.fixture
def letters(plan) -> Subject:
    return Subject("roadmap", roadmap=plan)


def of(plan) -> list[str]:
    return ["roadmap", plan.slug]


PORTFOLIO_PAGE = ["portfolio", "all"]


@pytest.mark.parametrize(
    ("name", "method", "wanted"),
    [
        ("report_mail", "get", (404, 200, 200, 200, 200, 200)),
        ("report_mail_mine", "post", (404, 303, 303, 303, 303, 303)),
        ("report_mail_add", "post", (404, 403, 403, 403, 422, 422)),
    ],
)
def test_who_may_what_of_a_roadmaps(client, people, plan, name, method, wanted):
    for person, status in zip(ROLES, wanted, strict=True):
        client.force_login(people[person])
        assert getattr(client, method)(reverse(name, args=of(plan))).status_code == status, person


@pytest.mark.parametrize(
    ("name", "method", "wanted"),
    [
        ("report_mail", "get", (404, 404, 200, 404, 404, 200)),
        ("report_mail_mine", "post", (404, 404, 303, 404, 404, 303)),
        ("report_mail_add", "post", (404, 404, 403, 404, 404, 422)),
    ],
)
def test_who_may_what_of_the_portfolios(client, people, plan, name, method, wanted):
    for person, status in zip(ROLES, wanted, strict=True):
        client.force_login(people[person])
        assert getattr(client, method)(reverse(name, args=PORTFOLIO_PAGE)).status_code == status, person


@pytest.mark.parametrize(
    ("name", "method", "wanted"),
    [
        ("report_mailing", "get", (404, 404, 404, 404, 200, 200)),
        ("report_mailing_again", "post", (404, 404, 404, 404, 303, 303)),
        ("report_mail_shown", "get", (404, 200, 200, 200, 200, 200)),
        ("report_mail_file", "get", (404, 200, 200, 200, 200, 200)),
    ],
)
def test_who_may_what_of_a_reports_mails(client, people, report, name, method, wanted):
    for person, status in zip(ROLES, wanted, strict=True):
        client.force_login(people[person])
        assert getattr(client, method)(reverse(name, args=[report.uuid])).status_code == status, person


@pytest.mark.parametrize("place", [["roadmap", "nothing"], ["portfolio", "x"], ["programme", "9"], ["other", "x"]])
def test_a_place_that_there_is_none_of(sign_in, adam, place):
    assert sign_in(adam).get(reverse("report_mail", args=place)).status_code == 404


def test_each_bad_address_of_a_long_list_is_named(sign_in, alice, plan):
    good = [f"member{number}@board.example" for number in range(500)]
    bad = ["no-such-user", "ann@", "two words@x.example"]
    pasted = "\n".join([*good[:250], *bad, *good[250:], "Member0@Board.Example"])
    answer = sign_in(alice).post(reverse("report_mail_add", args=of(plan)), {"readers": pasted})
    assert answer.status_code == 422
    page = answer.content.decode()
    assert "500 added, 0 were on the list." in page
    assert "There is no such user name, and it is no mail address." in page
    assert "it has no name or no domain around an @" in page
    assert ReportSubscription.objects.count() == 500
    assert AuditEvent.objects.filter(action="add_report_subscribers").count() == 500


def test_a_header_cannot_be_smuggled_in(sign_in, alice, plan):
    pasted = "ann@board.example%0aBcc:eve@x.example\rBcc: eve@x.example"
    assert sign_in(alice).post(reverse("report_mail_add", args=of(plan)), {"readers": pasted}).status_code == 422
    assert not ReportSubscription.objects.exists()


def test_an_account_is_taken_for_the_person_and_asked_what_it_sees(asker, alice, vera, oscar, letters):
    added = add_report_subscribers(asker(alice), letters, readers=["VERA@example.org", "vera", "oscar@example.org"])
    assert [one.person for one in added.added] == [vera]
    assert added.refused == [("oscar@example.org", "This person does not see these reports. Give them a role first.")]


def test_too_many_at_once_are_refused(asker, alice, letters):
    with pytest.raises(RuleViolation, match="at most 1000"):
        add_report_subscribers(asker(alice), letters, readers=[f"a{n}@x.example" for n in range(1001)])


def test_who_does_not_see_it_cannot_subscribe(asker, oscar, vera, letters):
    for person, subject in ((oscar, letters), (vera, PORTFOLIO)):
        with pytest.raises(PermissionDenied):
            subscribe_to_reports(asker(person), subject)
    assert not AuditEvent.objects.filter(action="subscribe_to_reports").exists()


def test_an_unknown_language_is_refused(asker, vera, letters):
    with pytest.raises(RuleViolation, match="languages"):
        subscribe_to_reports(asker(vera), letters, language="xx")


def test_the_link_in_a_mail_ends_it_without_signing_in(client, report, subscribe, plan, asker, alice, letters):
    held = subscribe(report, "ann@board.example")
    url = unsubscribe_url(held).replace("http://127.0.0.1:8000", "")
    page = client.get(url)
    assert page.status_code == 200
    assert "ann@board.example" in page.content.decode()
    held.refresh_from_db()
    assert held.is_on
    # As a mail program does it: no cookie, no token.
    assert client.post(url, {"List-Unsubscribe": "One-Click"}).status_code == 200
    held.refresh_from_db()
    assert not held.is_on
    event = AuditEvent.objects.get(action="end_report_subscription")
    assert (event.actor, event.actor_name) == (None, "the link in a mail")
    # Pressed again, it says the same and notes nothing; and no list that is pasted brings the address back.
    assert client.post(url).status_code == 200
    assert AuditEvent.objects.filter(action="end_report_subscription").count() == 1
    added = add_report_subscribers(asker(alice), letters, readers=["ann@board.example"])
    assert (len(added.added), len(added.refused)) == (0, 1)
    with pytest.raises(RuleViolation):
        remove_report_subscriber(asker(alice), held)


def test_the_page_that_ends_them_speaks_the_language_of_the_mail(report, subscribe, client):
    held = subscribe(report, "ann@board.example", language="nl")
    url = unsubscribe_url(held).replace("http://127.0.0.1:8000", "")
    for answer in (client.get(url, headers={"accept-language": "en"}), client.post(url)):
        assert (answer.status_code, answer.headers["Content-Language"]) == (200, "nl")
        assert '<html lang="nl"' in answer.content.decode()
    assert "niet meer" in answer.content.decode()


@pytest.mark.parametrize(
    "change", [lambda url: url[:-2] + "/", lambda url: url.replace("unsubscribe/", "unsubscribe/0")]
)
def test_a_link_that_was_changed_ends_nothing(client, report, subscribe, change):
    held = subscribe(report, "ann@board.example")
    url = change(unsubscribe_url(held).replace("http://127.0.0.1:8000", ""))
    assert client.post(url).status_code == 404
    held.refresh_from_db()
    assert held.is_on


def test_another_may_not_change_ones_subscription(sign_in, report, subscribe, vera, bob):
    held = subscribe(report, vera)
    assert sign_in(bob).post(reverse("report_subscriber_change", args=[held.uuid]), {"what": "off"}).status_code == 404
    held.refresh_from_db()
    assert held.is_on


def test_the_page_says_how_many_arrived_and_why_not(sign_in, alice, report, subscribe):
    for number in range(3):
        subscribe(report, f"m{number}@board.example")
    queue(report)
    report.mails.update(state="sent")
    report.mails.filter(recipient="m1@board.example").update(state="failed", problem="550 no such mailbox")
    page = sign_in(alice).get(reverse("report", args=[report.uuid])).content.decode()
    assert "Mailed to 2 of 3." in page
    assert "1 failed." in page
    assert "550 no such mailbox" in page


def test_those_that_failed_are_sent_again_and_no_others(sign_in, alice, report, subscribe):
    for state in ("sent", "failed", "unknown"):
        subscribe(report, f"{state}@board.example")
    queue(report)
    for mail in report.mails.all():
        ReportMail.objects.filter(pk=mail.pk).update(state=mail.recipient.partition("@")[0])
    sign_in(alice).post(reverse("report_mailing_again", args=[report.uuid]))
    assert set(report.mails.values_list("recipient", "state")) == {
        ("sent@board.example", "sent"),
        ("failed@board.example", "waiting"),
        ("unknown@board.example", "unknown"),
    }
    event = AuditEvent.objects.get(action="send_report_mails_again")
    assert event.after == {"mails": "1"}


def test_a_viewer_sends_nothing_again(asker, vera, report):
    with pytest.raises(PermissionDenied):
        send_report_mails_again(asker(vera), report)


def test_the_mail_is_shown_where_it_can_do_nothing(sign_in, vera, report):
    answer = sign_in(vera).get(reverse("report_mail_shown", args=[report.uuid]))
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "sandbox" in policy
    assert "unsubscribe.invalid" not in answer.content.decode()


def test_its_file_is_the_one_that_was_kept(sign_in, vera, report):
    kept = report.files.get(kind="mail", language="en")
    answer = sign_in(vera).get(reverse("report_mail_file", args=[report.uuid]))
    assert b"".join(answer) if answer.streaming else answer.content == bytes(kept.content)
    assert "attachment" in answer.headers["Content-Disposition"]


def test_the_list_is_read_in_as_many_queries_however_long(
    sign_in, alice, plan, report, subscribe, django_assert_max_num_queries
):
    client = sign_in(alice)
    for number in range(30):
        subscribe(report, f"m{number}@board.example")
    with django_assert_max_num_queries(14):
        client.get(reverse("report_mail", args=of(plan)))

"""What waits is sent once: two workers, a kill, a server that is down, a person who no longer sees the roadmap."""

from __future__ import annotations

import json
import threading
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from accounts.models import AuditEvent, Membership
from roadmap.actions.comments import add_comment
from roadmap.actions.notices import retry_delivery
from roadmap.deliver import CLAIMED_FOR, claim, send, spread, work_off
from roadmap.models import Delivery, Notice
from roadmap.rules.notices import MOST_ATTEMPTS
from tests.doubles.source_server import Reply

State = Delivery.State


@pytest.fixture
def mention(plan, alice, asker):
    """`mention("bob")`: alice names people in a comment, and it is spread."""
    spread(timezone.now())
    Delivery.objects.all().delete()

    def _mention(*names: str, text: str = "look at this") -> None:
        add_comment(asker(alice), plan, text=" ".join(f"@{name}" for name in names) + f" {text}")
        spread(timezone.now())

    return _mention


def make_due() -> None:
    Delivery.objects.filter(state=State.WAITING).update(due_at=timezone.now())


def test_a_mail_says_what_happened_and_where_to_choose(mention, mails, deliver, settings):
    settings.BASE_URL = "https://phaseline.example"
    settings.DEFAULT_FROM_EMAIL = "Phaseline <phaseline@example.org>"
    mention("bob", text="<b>bold</b> & more")
    deliver()
    deliver()
    [mail] = mails.mails
    assert mails.recipients == [["bob@example.org"]]
    assert mail["Subject"] == "Alice Manager mentions you in Contact centre"
    assert mail["Message-ID"] == f"<{Delivery.objects.get().batch}@example.org>"
    assert mail["Auto-Submitted"] == "auto-generated"
    text = mail.get_body(("plain",)).get_content()
    html = mail.get_body(("html",)).get_content()
    assert "@bob <b>bold</b> & more" in text
    assert "&lt;b&gt;bold&lt;/b&gt; &amp; more" in html
    for body in (text, html):
        assert "https://phaseline.example/roadmaps/contact-centre/comments/" in body
        assert "https://phaseline.example/me/notifications/" in body
    assert Delivery.objects.get().state == State.SENT


def test_several_things_at_once_are_one_message(mention, mails, deliver):
    mention("bob", text="one")
    mention("bob", text="two")
    mention("bob", "vera", text="three")
    deliver()
    assert sorted(mail["Subject"] for mail in mails.mails) == [
        "Alice Manager mentions you in Contact centre",
        "Alice Manager mentions you in Contact centre and 2 more",
    ]
    assert Delivery.objects.filter(state=State.SENT).count() == 4


def test_who_no_longer_sees_the_roadmap_hears_nothing_of_it(mention, mails, deliver, vera, bob):
    mention("vera", "bob")
    Membership.objects.filter(user=vera).delete()
    bob.is_active = False
    bob.save()
    deliver()
    assert mails.mails == []
    assert set(Delivery.objects.values_list("state", flat=True)) == {State.DROPPED}


def test_who_chose_otherwise_meanwhile_hears_nothing(mention, mails, deliver, bob, choose):
    mention("bob")
    choose(bob, mention=[])
    deliver()
    assert mails.mails == []


def test_killed_between_claim_and_send_it_is_sent_once_later(mention, mails, deliver):
    mention("bob")
    now = timezone.now()
    taken = claim(now)
    # Its worker is dead now. Nobody else takes it before the claim is over.
    deliver()
    assert mails.mails == []
    assert claim(now + CLAIMED_FOR - timedelta(seconds=1)) is None
    again = claim(now + CLAIMED_FOR)
    assert again.id == taken.id
    send(again)
    # The worker was not dead but slow: what it says of the claim that it lost counts no more.
    send_late = Delivery.objects.get()
    assert (send_late.state, send_late.attempts) == (State.SENT, 2)
    deliver()
    assert [mail["Message-ID"].split("@")[0] for mail in mails.mails] == [f"<{taken.id}"]


@pytest.mark.django_db(transaction=True)
def test_workers_at_once_send_each_thing_once(mention, mails):
    for number in range(4):
        mention("bob", "vera", text=str(number))

    def work() -> None:
        try:
            work_off()
        finally:
            connection.close()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert set(Delivery.objects.values_list("state", "attempts")) == {(State.SENT, 1)}
    assert len(mails.mails) == 2
    assert len({mail["Message-ID"] for mail in mails.mails}) == 2


def test_a_server_that_is_busy_is_tried_again_under_the_same_id(mention, mails, deliver):
    mails.refuse = ["451 greylisted"]
    mention("bob")
    deliver()
    one = Delivery.objects.get()
    assert (one.state, one.attempts) == (State.WAITING, 1)
    assert "451 greylisted" in one.problem
    assert one.due_at > timezone.now() + timedelta(seconds=50)
    make_due()
    deliver()
    [mail] = mails.mails
    assert str(one.batch) in mail["Message-ID"]
    done = Delivery.objects.get()
    assert (done.state, done.problem) == (State.SENT, "")


def test_a_refusal_for_good_is_given_up_and_can_be_tried_again(mention, mails, deliver, bob, vera, asker):
    mails.refuse = ["550 no such mailbox"]
    mention("bob")
    deliver()
    one = Delivery.objects.get()
    assert one.state == State.FAILED
    assert "550 no such mailbox" in one.problem
    with pytest.raises(Exception, match="Only whom it is for"):
        retry_delivery(asker(vera), one)
    retry_delivery(asker(bob), one)
    assert AuditEvent.objects.latest("id").action == "retry_delivery"
    deliver()
    assert len(mails.mails) == 1


def test_a_server_that_stays_away_is_given_up_after_a_day(mention, deliver, settings):
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 1
    mention("bob")
    for _ in range(MOST_ATTEMPTS):
        make_due()
        deliver()
    one = Delivery.objects.get()
    assert (one.state, one.attempts) == (State.FAILED, MOST_ATTEMPTS)
    assert "cannot be reached" in one.problem


def test_chats_and_webhooks_get_theirs(mention, hooks, deliver, adam, choose, address):
    for channel in ("slack", "teams", "webhook"):
        address(adam, channel)
    choose(adam, mention=["slack", "teams", "webhook"])
    mention("adam")
    deliver()
    assert sorted(asked.path for asked in hooks.asked) == [
        "/slack/secret-path",
        "/teams/secret-path",
        "/webhook/secret-path",
    ]
    bodies = {asked.path.split("/")[1]: json.loads(asked.body) for asked in hooks.asked}
    assert "mentions you" in bodies["slack"]["text"]
    assert bodies["teams"]["attachments"][0]["content"]["type"] == "AdaptiveCard"
    assert bodies["webhook"]["data"]["notices"][0]["roadmap"] == "contact-centre"


def test_a_chat_that_asks_for_time_gets_it(mention, hooks, deliver, adam, choose, address):
    address(adam, "slack")
    choose(adam, mention=["slack"])
    hooks.play = lambda asked: Reply(status=429, headers={"Retry-After": "1800"})
    mention("adam")
    deliver()
    one = Delivery.objects.get()
    assert one.state == State.WAITING
    assert one.due_at > timezone.now() + timedelta(seconds=1700)
    assert "secret-path" not in one.problem


def test_a_member_s_address_inside_the_network_is_never_called(mention, hooks, deliver, bob, choose, address):
    address(bob, "slack")
    choose(bob, mention=["slack"])
    mention("bob")
    deliver()
    assert hooks.asked == []
    assert Delivery.objects.get().state == State.FAILED


def test_what_goes_wrong_here_is_told_and_tried_again(mention, mails, deliver, monkeypatch):
    monkeypatch.setattr("roadmap.deliver.notices_message", lambda *args, **kwargs: 1 / 0)
    mention("bob")
    deliver()
    assert Delivery.objects.get().problem == "Something went wrong here (ZeroDivisionError); the log says what."
    monkeypatch.undo()
    make_due()
    # The server of `mails` was set before and is undone with the rest of the settings at the end.
    deliver()
    assert len(mails.mails) == 1


def test_spreading_again_adds_nothing(mention):
    mention("bob")
    Notice.objects.update(spread_at=None)
    spread(timezone.now())
    assert Delivery.objects.filter(kind="mention").count() == 1

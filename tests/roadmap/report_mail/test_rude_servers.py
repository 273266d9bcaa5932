"""Mail servers that refuse, answer rubbish, fall silent or hang up: no mail twice, none lost, no worker kept."""

from __future__ import annotations

import time
from contextlib import contextmanager
from datetime import timedelta

import pytest
from django.utils import timezone

from config.mail import mail_settings
from roadmap.actions.report_mails import queue
from roadmap.mailing import hand_over, post
from roadmap.models import ReportMail
from roadmap.rules.notices import MOST_ATTEMPTS
from tests.doubles.rude_mail_server import HANGS_UP, SILENCE, rude_mail_server

State = ReportMail.State


@pytest.fixture
def queued(report, subscribe, vera, alice):
    """The mails to vera and alice, in the order in which they are sent."""
    subscribe(report, vera)
    subscribe(report, alice)
    queue(report)
    return list(report.mails.order_by("due_at", "pk"))


@pytest.fixture
def through(settings, monkeypatch):
    """`with through({"RCPT": "450 later"}) as server:` mails go through a server that answers so; it is waited for
    shortly."""
    monkeypatch.setattr(hand_over, "ANSWER_SECONDS", 1)

    @contextmanager
    def _through(answers, scheme="smtp://"):
        with rude_mail_server(answers) as server:
            settings.EMAIL_URL = server.address.replace("smtp://", scheme)
            for name, value in mail_settings(settings.EMAIL_URL).items():
                setattr(settings, name, value)
            settings.EMAIL_TIMEOUT = 1
            yield server

    return _through


def states() -> list[tuple[str, int]]:
    return sorted(ReportMail.objects.values_list("state", "attempts"))


def due_now() -> None:
    ReportMail.objects.filter(state=State.WAITING).update(due_at=timezone.now())


# What is answered before the server has the last line: nothing went, and no other mail would fare better.
AWAY = {
    "busy": {"GREETING": "421 too busy"},
    "does not let in": {"GREETING": "554 not you"},
    "speaks HTTP": {"GREETING": "HTTP/1.1 400 Bad Request"},
    "no text": {"GREETING": "\xff\xfe\x00\x01"},
    "never greets": {"GREETING": SILENCE},
    "greets and falls silent": {"EHLO": SILENCE},
    "silent at the sender": {"MAIL": SILENCE},
    "rubbish at the recipient": {"RCPT": "abc"},
    "hangs up at the recipient": {"RCPT": HANGS_UP},
    "421 at the recipient": {"RCPT": "421 closing"},
    "a line without end": {"RCPT": "250 " + "x" * 20_000},
    "hangs up before the body": {"DATA": HANGS_UP},
}


@pytest.mark.parametrize("case", AWAY)
def test_a_server_in_trouble_costs_one_mail_one_attempt_and_the_others_wait(queued, through, case):
    with through(AWAY[case]) as server:
        began = time.monotonic()
        assert post.work_off() == 0
        assert time.monotonic() - began < 20
        # The next run, seconds later: nobody is sent to wait for the same server.
        before = server.connections
        assert post.work_off() == 0
        assert server.connections == before
    assert states() == [(State.WAITING, 0), (State.WAITING, 1)]
    assert all(mail.due_at > timezone.now() for mail in ReportMail.objects.all())
    with through({}) as polite:
        due_now()
        assert post.work_off() == 2
    assert len(polite.bodies) == 2


@pytest.mark.parametrize(
    ("scheme", "answers"),
    [
        ("smtp+tls://", {}),
        ("smtp+tls://", {"EHLO": "250-here\r\n250 STARTTLS", "STARTTLS": "220 go on"}),
        ("smtp+ssl://", {}),
        ("smtp://user:secret@", {"EHLO": "250-here\r\n250 AUTH PLAIN", "AUTH": "535 who are you"}),
        ("smtp://user:secret@", {"EHLO": "250-here\r\n250 AUTH CRAM-MD5", "AUTH": "334 a=b"}),
    ],
    ids=["no TLS offered", "no TLS spoken", "plain where TLS is expected", "not let in", "a challenge that is none"],
)
def test_without_the_tls_or_the_sign_in_that_was_set_nothing_goes(queued, through, scheme, answers):
    with through(answers, scheme) as server:
        assert post.work_off() == 0
    assert server.bodies == []
    assert states() == [(State.WAITING, 0), (State.WAITING, 1)]
    assert "secret" not in "".join(ReportMail.objects.values_list("problem", flat=True))


@pytest.mark.parametrize(
    ("answers", "state"),
    [
        ({"MAIL": "550 not this sender"}, State.WAITING),
        ({"RCPT": "450 greylisted"}, State.WAITING),
        ({"RCPT": "550 no such mailbox"}, State.FAILED),
        ({"DATA": "452 disk full"}, State.WAITING),
        ({"DATA": "250 what"}, State.WAITING),
        ({"DATA": "552 too large"}, State.FAILED),
        ({".": "451 later"}, State.WAITING),
        ({".": "554 spam"}, State.FAILED),
    ],
)
def test_a_refusal_is_of_one_mail_and_the_next_one_is_tried(queued, through, answers, state):
    with through(answers):
        assert post.work_off() == 0
    assert states() == [(state, 1), (state, 1)]


@pytest.mark.parametrize("answer", [SILENCE, HANGS_UP, "abc", "", "354 go on", "220 here", "250 " + "x" * 20_000])
def test_what_is_neither_a_yes_nor_a_refusal_leaves_one_unknown_and_it_is_not_sent_again(queued, through, answer):
    with through({".": answer}) as server:
        assert post.work_off() == 0
        assert post.work_off() == 0
        assert len(server.bodies) == 1
    assert states() == [(State.UNKNOWN, 1), (State.WAITING, 0)]
    with through({}) as server:
        due_now()
        assert post.work_off() == 1
        assert len(server.bodies) == 1
    assert states() == [(State.SENT, 1), (State.UNKNOWN, 1)]


def test_421_after_the_last_line_is_a_refusal_and_it_is_sent_again(queued, through):
    with through({".": "421 closing"}) as server:
        assert post.work_off() == 0
        assert len(server.bodies) == 1
    assert states() == [(State.WAITING, 0), (State.WAITING, 1)]


def test_what_takes_its_worker_along_each_time_is_given_up(queued, through):
    """Out of memory, say: no worker lives to note that it went wrong."""
    first, second = queued
    for attempt in range(1, MOST_ATTEMPTS + 1):
        ReportMail.objects.filter(pk=second.pk).update(due_at=timezone.now() + timedelta(days=1))
        post.give_up_on_left_behind(timezone.now())
        claim = post.claim_one(timezone.now())
        assert claim is not None
        assert (claim.mail.pk, claim.mail.attempts) == (first.pk, attempt)
        ReportMail.objects.filter(pk=first.pk).update(claimed_until=timezone.now())
    with through({}) as server:
        due_now()
        assert post.work_off() == 1
    assert len(server.bodies) == 1
    first.refresh_from_db()
    assert first.state == State.FAILED
    assert "stopped" in first.problem

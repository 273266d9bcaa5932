"""What a mail server gets, and what it does to a mail."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from django.utils import timezone

from config.mail import mail_settings
from roadmap.actions.report_mails import queue
from roadmap.mailing import post
from roadmap.mailing.compose import letter_of
from roadmap.models import Programme, Report, ReportMail
from tests.doubles.mail_server import mail_server

State = ReportMail.State


@pytest.fixture
def mails(settings):
    """A real SMTP server, which this installation sends through."""
    with mail_server() as server:
        settings.EMAIL_URL = server.address
        for name, value in mail_settings(server.address).items():
            setattr(settings, name, value)
        yield server


@pytest.fixture
def queued(report, subscribe, vera):
    """One mail of the report, to vera."""
    subscribe(report, vera)
    queue(report)
    return report.mails.get()


def text_of(mail) -> str:
    return mail.get_body(("plain",)).get_content().replace("\r\n", "\n")


def again(mail) -> ReportMail:
    """The row, after the waiting is over."""
    ReportMail.objects.filter(state=State.WAITING).update(due_at=timezone.now())
    post.work_off()
    mail.refresh_from_db()
    return mail


def test_the_mail_holds_text_html_and_the_pdf(queued, mails):
    assert post.work_off() == 1
    [mail] = mails.mails
    assert mails.recipients == [["vera@example.org"]]
    assert mail["To"] == "vera@example.org"
    assert mail["Subject"].startswith("AI report Contact centre, October 2026")
    assert mail["Message-ID"] == f"<{queued.uuid}@localhost>"
    assert text_of(mail).startswith("Contact centre, October 2026\n")
    assert "<h1>Contact centre, October 2026</h1>" in mail.get_body(("html",)).get_content()
    [pdf] = list(mail.iter_attachments())
    assert pdf.get_filename() == "contact-centre-2026-10-revision-1.pdf"
    assert pdf.get_content() == bytes(queued.report.files.get(kind="pdf", language="en").content)
    queued.refresh_from_db()
    assert (queued.state, queued.attempts, queued.answer) == (State.SENT, 1, "250 OK")


def test_it_is_sent_once(queued, mails):
    post.work_off()
    post.work_off()
    assert len(mails.mails) == 1


def test_a_refusal_that_may_pass_is_tried_again_later(queued, mails):
    mails.refuse = ["451 come back later"]
    post.work_off()
    queued.refresh_from_db()
    assert (queued.state, queued.attempts) == (State.WAITING, 1)
    assert queued.due_at > timezone.now()
    assert "451 come back later" in queued.problem
    assert again(queued).state == State.SENT
    assert len(mails.mails) == 1


def test_a_refusal_for_good_is_kept_with_its_reason(queued, mails):
    mails.refuse = ["550 no such mailbox"]
    post.work_off()
    queued.refresh_from_db()
    assert queued.state == State.FAILED
    assert "550 no such mailbox" in queued.problem
    assert again(queued).state == State.FAILED
    assert mails.mails == []


def test_one_that_is_refused_holds_up_no_other(report, queued, subscribe, alice, mails):
    subscribe(report, alice)
    queue(report)
    mails.refuse = ["550 no such mailbox"]
    assert post.work_off() == 1
    assert sorted(report.mails.values_list("state", flat=True)) == [State.FAILED, State.SENT]


def test_without_a_mail_server_it_waits(queued, settings):
    settings.EMAIL_URL = ""
    settings.EMAIL_BACKEND = "django.core.mail.backends.console.EmailBackend"
    assert post.work_off() == 0
    queued.refresh_from_db()
    assert (queued.state, queued.attempts) == (State.WAITING, 0)


def test_a_server_that_is_away_costs_one_attempt_of_one_mail(report, queued, subscribe, alice, settings):
    subscribe(report, alice)
    queue(report)
    settings.EMAIL_URL = "smtp://127.0.0.1:1"
    for name, value in mail_settings(settings.EMAIL_URL).items():
        setattr(settings, name, value)
    assert post.work_off() == 0
    assert sorted(report.mails.values_list("state", "attempts")) == [(State.WAITING, 0), (State.WAITING, 1)]


def test_who_no_longer_sees_the_roadmap_gets_none(queued, mails, vera):
    vera.memberships.all().delete()
    post.work_off()
    queued.refresh_from_db()
    assert queued.state == State.DROPPED
    assert mails.mails == []


@pytest.mark.parametrize("change", ["off", "gone", "left"])
def test_who_ended_it_gets_none(queued, mails, vera, change):
    if change == "off":
        queued.subscription.is_on = False
        queued.subscription.save()
    elif change == "gone":
        queued.subscription.delete()
    else:
        vera.is_active = False
        vera.save()
    post.work_off()
    queued.refresh_from_db()
    assert queued.state == State.DROPPED
    assert mails.mails == []


def test_a_worker_that_slept_through_its_claim_stops_before_the_last_line(queued, mails, monkeypatch):
    offer = post.Line.offer

    def slow(self, address, content):
        finish = offer(self, address, content)
        # Somebody else has taken it up and sent it.
        monkeypatch.setattr(post.Line, "offer", offer)
        ReportMail.objects.update(claimed_until=timezone.now() - timedelta(seconds=1))
        post.work_off()
        return finish

    monkeypatch.setattr(post.Line, "offer", slow)
    post.work_off()
    assert len(mails.mails) == 1
    queued.refresh_from_db()
    assert (queued.state, queued.attempts) == (State.SENT, 2)


def test_an_answer_that_nobody_heard_leaves_it_unknown(queued, mails):
    mails.hangs_up = True
    post.work_off()
    queued.refresh_from_db()
    assert queued.state == State.UNKNOWN
    assert again(queued).state == State.UNKNOWN
    assert len(mails.mails) == 1


def test_what_a_dead_worker_was_handing_over_is_not_sent_again(queued, mails):
    ReportMail.objects.update(state=State.HANDING, claimed_until=timezone.now())
    post.work_off()
    queued.refresh_from_db()
    assert queued.state == State.UNKNOWN
    assert mails.mails == []


def test_lines_that_begin_with_a_dot_arrive_whole(queued, mails, monkeypatch):
    letter_of = post.letter_of

    def dotted(*args):
        letter = letter_of(*args)
        return replace(letter, stored=replace(letter.stored, text=".hidden\n..\n.\nend\n"))

    monkeypatch.setattr(post, "letter_of", dotted)
    post.work_off()
    [mail] = mails.mails
    assert text_of(mail) == ".hidden\n..\n.\nend\n"


def test_the_pdf_of_a_programme_has_its_name(report, adam, plan):
    plan.programme = Programme.objects.create(name="Customer & claims")
    plan.save()
    programme = Report.objects.create(
        scope="programme", programme=plan.programme, month=report.month, payload=report.payload, schema_version=2
    )
    assert letter_of(programme.pk, "en").attached.get_filename() == "customer-claims-2026-10-revision-1.pdf"

"""The database goes away while a report is mailed: nobody gets two, and nothing stays in hand."""

from __future__ import annotations

import pytest
from django.db import DatabaseError, connection
from django.utils import timezone

from config.mail import mail_settings
from roadmap.actions.report_mails import queue
from roadmap.mailing import post
from roadmap.mailing.hand_over import Line
from roadmap.models import ReportMail
from tests.doubles.mail_server import mail_server

State = ReportMail.State
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def mails(settings):
    with mail_server() as server:
        settings.EMAIL_URL = server.address
        for name, value in mail_settings(server.address).items():
            setattr(settings, name, value)
        yield server


@pytest.fixture
def queued(report, subscribe, vera):
    subscribe(report, vera)
    queue(report)
    return report.mails.get()


def cut() -> None:
    """The server ends this connection, as its restart does."""
    with connection.cursor() as cursor, pytest.raises(DatabaseError):
        cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")


@pytest.mark.parametrize("is_handed_over", [False, True])
def test_the_mail_is_not_sent_twice_and_goes_on_once_its_time_in_hand_is_over(
    queued, mails, monkeypatch, is_handed_over
):
    offer = Line.offer

    def then_cut(self, address, content):
        finish = offer(self, address, content)
        if not is_handed_over:
            cut()
            return finish

        def finished() -> str:
            said = finish()
            cut()
            return said

        return finished

    with monkeypatch.context() as broken:
        broken.setattr(Line, "offer", then_cut)
        with pytest.raises(DatabaseError):
            post.work_off()
    # As Celery does between two tasks.
    connection.close_if_unusable_or_obsolete()
    held = ReportMail.objects.get(pk=queued.pk)
    assert held.state == (State.HANDING if is_handed_over else State.SENDING)
    assert post.work_off() == 0
    assert len(mails.mails) == int(is_handed_over)
    # Its minutes pass.
    ReportMail.objects.update(claimed_until=timezone.now())
    assert post.work_off() == int(not is_handed_over)
    held.refresh_from_db()
    assert held.state == (State.UNKNOWN if is_handed_over else State.SENT)
    assert len(mails.mails) == 1

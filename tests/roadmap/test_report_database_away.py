"""The database goes away while a report is published, and while somebody reads one by a private link."""

from __future__ import annotations

import pytest
from django.db import OperationalError, connection
from django.test import Client
from django.urls import reverse

from accounts.access import Asker
from accounts.models import AuditEvent
from metrics.errors import RuleViolation
from roadmap.actions import report_publishing
from roadmap.actions.report_drafts import make_drafts
from roadmap.actions.report_links import make_report_link
from roadmap.actions.report_publishing import publish_now
from roadmap.actions.reports import close_month
from roadmap.models import Report, ReportFile, ReportLink
from roadmap.tasks import advance_report
from tests.roadmap.test_reports import MONTH, NOW, roadmap

__all__ = ["roadmap"]
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _november(monkeypatch):
    monkeypatch.setattr("django.utils.timezone.now", lambda: NOW)


def cut() -> None:
    """The server ends this connection, as its restart does."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")


@pytest.fixture
def draft(roadmap) -> Report:
    make_drafts(MONTH)
    return Report.objects.get(roadmap=roadmap, month=MONTH)


@pytest.mark.parametrize("step", ["fresh", "pdf_of", "note"])
def test_a_report_whose_publishing_is_cut_stays_a_draft_and_the_next_run_publishes_it(draft, monkeypatch, step):
    real = getattr(report_publishing, step)
    left = [1]

    def then_cut(*args: object, **more: object) -> object:
        done = real(*args, **more)
        if left and left.pop():
            cut()
        return done

    monkeypatch.setattr(report_publishing, step, then_cut)
    with pytest.raises(RuleViolation, match="could not be published"):
        publish_now("the schedule", draft.pk)
    held = Report.objects.get(pk=draft.pk)
    assert (held.state, held.attempts, held.sha256) == (Report.State.DRAFT, 1, "")
    assert "OperationalError" in held.problem
    assert not ReportFile.objects.exists()
    assert not AuditEvent.objects.filter(action="publish_report").exists()
    assert publish_now("the schedule", draft.pk).is_published
    assert AuditEvent.objects.filter(action="publish_report").count() == 1
    assert Report.objects.get(pk=draft.pk).problem == ""


def test_a_worker_whose_report_is_cut_says_so_and_takes_the_next_task(draft, monkeypatch, caplog):
    Report.objects.filter(pk=draft.pk).update(asked_at=NOW)
    with monkeypatch.context() as broken:
        broken.setattr(report_publishing, "pdf_of", lambda *told: cut())
        advance_report(draft.pk)
    assert "could not be published" in caplog.text
    advance_report(draft.pk)
    assert Report.objects.get(pk=draft.pk).is_published


def test_a_private_link_is_answered_503_and_works_again(draft, adam, monkeypatch):
    close_month(Asker(adam), MONTH)
    link, secret = make_report_link(Asker(adam), Report.objects.get(pk=draft.pk), label="The board")
    client = Client(raise_request_exception=False)

    def away(*told: object) -> None:
        raise OperationalError("the server closed the connection unexpectedly")

    for place in ("open_report_link", "linked_report", "count_use", "later_revision"):
        with monkeypatch.context() as broken:
            broken.setattr(f"roadmap.views.linked_report.{place}", away)
            answer = client.get(reverse("linked_report", args=[secret]))
        assert (answer.status_code, answer["Retry-After"]) == (503, "5")
        assert secret not in answer.content.decode()
        assert answer["Referrer-Policy"] in ("same-origin", "no-referrer")
        assert not answer.cookies
    before = ReportLink.objects.get(pk=link.pk).uses
    assert client.get(reverse("linked_report", args=[secret])).status_code == 200
    assert ReportLink.objects.get(pk=link.pk).uses == before + 1

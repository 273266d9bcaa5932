"""Two at the same moment publish once."""

from __future__ import annotations

import threading

import pytest
from django.db import close_old_connections, connection

from accounts.models import AuditEvent
from roadmap.actions import report_publishing
from roadmap.actions.report_publishing import publish_now
from roadmap.actions.reports import close_month
from roadmap.models import Report, ReportFile
from tests.roadmap.report_life.common import draft_of
from tests.roadmap.test_reports import MONTH


@pytest.mark.django_db(transaction=True)
class TestAtOnce:
    def test_two_closings_make_one_of_each(self, roadmap, second, adam):
        problems: list[BaseException] = []

        def close() -> None:
            try:
                close_month("the schedule", MONTH)
            except BaseException as error:  # noqa: BLE001
                problems.append(error)
            finally:
                connection.close()
                close_old_connections()

        threads = [threading.Thread(target=close) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        close_month("the schedule", MONTH)
        assert problems == []
        assert Report.objects.filter(state="published").count() == Report.objects.count() == 3
        assert AuditEvent.objects.filter(action="publish_report").count() == 3
        assert ReportFile.objects.filter(report__scope="roadmap", kind="pdf").count() == 4

    def test_a_kill_between_leaves_nothing_half_and_the_next_run_goes_on(self, roadmap, monkeypatch):
        report = draft_of(roadmap)

        class Killed(BaseException):
            """As SIGKILL does: no handler runs, the connection goes and with it the transaction."""

        def die(published):
            raise Killed

        monkeypatch.setattr(report_publishing.report_mails, "queue", die)
        with pytest.raises(Killed):
            publish_now("the schedule", report.pk)
        left = Report.objects.get(pk=report.pk)
        assert (left.state, left.attempts, left.sha256) == ("draft", 1, "")
        assert not ReportFile.objects.exists()
        assert not AuditEvent.objects.filter(action="publish_report").exists()
        monkeypatch.undo()
        assert publish_now("the schedule", report.pk).is_published
        assert publish_now("the schedule", report.pk) is None

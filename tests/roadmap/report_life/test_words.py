"""The manager's words in a report."""

from __future__ import annotations

from datetime import date

import pytest
from django.db import DatabaseError, transaction
from django.urls import reverse

from accounts.access import Asker
from accounts.models import AuditEvent, Membership, Role
from metrics.errors import RuleViolation
from roadmap.actions.report_publishing import publish_report
from roadmap.actions.report_words import give_words
from roadmap.models import Report, ReportWords
from roadmap.queries.report_words_due import report_words_wanted
from roadmap.reports.snapshot import section_value
from tests.roadmap.report_life.common import OCTOBER, draft_of
from tests.roadmap.test_report_files import text_of
from tests.roadmap.test_reports import push


class TestWords:
    def test_they_stand_in_the_payload_with_the_next_actions(self, roadmap, mia, adam):
        push(roadmap, OCTOBER, requests=10, cost="40.00")
        report = draft_of(roadmap)
        give_words(
            Asker(mia), report, text="Pilot went live.\n\nSpend follows.", next_actions={"volume": "Cap the queue."},
            is_ready=True, version=0,
        )  # fmt: skip
        assert Report.objects.get(pk=report.pk).state == "provisional"
        published = publish_report(Asker(mia), report)
        words = section_value(published.payload, "words")
        assert (words["text"], words["author"]) == ("Pilot went live.\n\nSpend follows.", "Alice Manager")
        rows = section_value(published.payload, "movers")["rows"]
        assert {row["cause"]: row["next_action"] for row in rows}.get("volume") in ("Cap the queue.", None)
        assert "Pilot went live." in text_of(bytes(published.files.get(kind="pdf", language="en").content))

    def test_two_who_write_at_once_lose_nothing(self, roadmap, mia, adam, sign_in):
        report = draft_of(roadmap)
        address = reverse("report_words", args=[report.uuid])
        give_words(Asker(adam), report, text="Adam's words", next_actions={}, is_ready=False, version=0)
        client = sign_in(mia)
        answer = client.post(address, {"text": "Alice's words", "version": "0"})
        said = answer.content.decode()
        assert answer.status_code == 422
        assert "Adam&#x27;s words" in said
        assert "Alice&#x27;s words" in said
        assert ReportWords.objects.get().text == "Adam's words"
        assert client.post(address, {"text": "Both", "version": "1"}).status_code == 303
        assert ReportWords.objects.get().text == "Both"

    def test_each_change_is_audited_once_and_stops_with_publishing(self, roadmap, mia):
        report = draft_of(roadmap)
        give_words(Asker(mia), report, text="One", next_actions={}, is_ready=False, version=0)
        event = AuditEvent.objects.get(action="give_report_words")
        assert (event.before["text"], event.after["text"]) == ("", "One")
        publish_report(Asker(mia), report)
        with pytest.raises(RuleViolation, match="stay as they are"):
            give_words(Asker(mia), report, text="Two", next_actions={}, is_ready=False, version=1)
        with pytest.raises(DatabaseError, match="cannot be changed"), transaction.atomic():
            ReportWords.objects.update(text="Two")
        with pytest.raises(DatabaseError, match="cannot be deleted"), transaction.atomic():
            ReportWords.objects.all().delete()

    @pytest.mark.parametrize(
        ("given", "code"),
        [
            pytest.param({"text": "x" * 1501}, "too_long", id="long"),
            pytest.param({"next_actions": {"weather": "x"}}, "unknown_cause", id="cause"),
            pytest.param({"next_actions": {"volume": "x" * 301}}, "too_long", id="long-action"),
        ],
    )
    def test_what_cannot_be_kept_is_refused(self, roadmap, mia, given, code):
        report = draft_of(roadmap)
        with pytest.raises(RuleViolation) as caught:
            give_words(Asker(mia), report, **{"text": "", "next_actions": {}, "is_ready": False, "version": 0, **given})
        assert caught.value.code == code
        assert not ReportWords.objects.exists()

    def test_managers_are_asked_when_it_is_made_and_again_two_days_before(self, roadmap, mia, adam, clock):
        report = draft_of(roadmap)
        first = report_words_wanted(date(2026, 11, 1))
        assert [one.key for one in first] == [f"report_words_wanted:{report.pk}"]
        assert first[0].details["people"] == [adam.pk, mia.pk]
        assert first[0].details["url"] == reverse("report_words", args=[report.uuid])
        assert [one.key for one in report_words_wanted(date(2026, 11, 3))] == [f"report_words_again:{report.pk}"]
        assert report_words_wanted(date(2026, 11, 5)) == []
        give_words(Asker(mia), report, text="Said", next_actions={}, is_ready=False, version=0)
        assert report_words_wanted(date(2026, 11, 3)) == []

    def test_members_read_them_and_outsiders_do_not(self, roadmap, mia, vera, bob, oscar, erin, sign_in):
        Membership.objects.create(user=vera, workload=roadmap.workload, role=Role.VIEWER)
        report = draft_of(roadmap)
        give_words(Asker(mia), report, text="For members", next_actions={}, is_ready=False, version=0)
        address = reverse("report_words", args=[report.uuid])
        got = {p.username: sign_in(p).get(address).status_code for p in (mia, vera, bob, oscar, erin)}
        assert got == {"alice": 200, "vera": 200, "bob": 404, "oscar": 404, "erin": 404}
        assert sign_in(vera).post(address, {"text": "x", "version": "1"}).status_code == 403

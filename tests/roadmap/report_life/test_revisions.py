"""A correction is the next revision."""

from __future__ import annotations

import pytest
from django.urls import reverse

from accounts.access import Asker
from metrics.errors import RuleViolation
from roadmap.actions.report_publishing import publish_report, revise_report
from roadmap.actions.report_words import give_words
from roadmap.actions.reports import advance_report, close_month, due_reports, following
from roadmap.models import Report
from roadmap.reports.snapshot import section_value
from tests.roadmap.report_life.common import OCTOBER, draft_of
from tests.roadmap.test_report_files import text_of
from tests.roadmap.test_reports import MONTH, push


class TestRevision:
    def test_it_lists_what_moved_and_why_and_the_first_stays(self, roadmap, mia, sign_in):
        push(roadmap, OCTOBER, requests=10, cost="40.00")
        report = draft_of(roadmap)
        give_words(Asker(mia), report, text="As it was", next_actions={}, is_ready=False, version=0)
        first = publish_report(Asker(mia), report)
        files = {file.language: bytes(file.content) for file in first.files.all()}
        page = sign_in(mia).get(reverse("report", args=[first.uuid])).content.decode()
        assert revise_report(Asker(mia), first, why="A look") is None
        push(roadmap, OCTOBER.replace(day=5), requests=1, cost="5.00")
        second = revise_report(Asker(mia), first, why="OpenAI corrected October")
        assert (second.revision, second.why, second.payload["why"]) == (
            2, "OpenAI corrected October", "OpenAI corrected October",
        )  # fmt: skip
        assert section_value(second.payload, "words")["text"] == "As it was"
        total = [line for line in second.payload["moved"] if line["section"] == "money" and line["field"] == "total"]
        assert [(line["before"], line["after"]) for line in total] == [("40", "45")]
        assert not [line for line in second.payload["moved"] if line["before"] == line["after"]]
        again = Report.objects.get(pk=first.pk)
        assert (again.payload, again.sha256) == (first.payload, first.sha256)
        assert {file.language: bytes(file.content) for file in again.files.all()} == files
        now = sign_in(mia).get(reverse("report", args=[first.uuid])).content.decode()
        assert "Superseded by revision 2" in now
        assert "Superseded" not in page
        sheet = "<article"
        assert now[now.index(sheet) :] == page[page.index(sheet) :]
        paper = text_of(bytes(second.files.get(kind="pdf", language="en").content))
        assert "OpenAI corrected October" in paper

    def test_the_portfolio_follows_a_roadmaps_revision(self, roadmap, second, adam, clock):
        push(roadmap, OCTOBER, requests=10, cost="40.00")
        close_month(Asker(adam), MONTH)
        push(roadmap, OCTOBER.replace(day=5), requests=1, cost="5.00")
        clock(6)
        revision = revise_report(Asker(adam), Report.objects.get(roadmap=roadmap), why="Corrected")
        portfolio = Report.objects.get(scope="portfolio")
        assert following(revision) == [portfolio.pk]
        assert portfolio.pk in due_reports()
        advance_report(portfolio.pk)
        latest = Report.objects.filter(scope="portfolio").latest("revision")
        assert (latest.revision, "Letters (2) Corrected" in latest.why) == (2, True)
        assert following(revision) == []

    def test_a_reason_is_wanted(self, roadmap, mia, sign_in):
        first = publish_report(Asker(mia), draft_of(roadmap))
        address = reverse("report_revise", args=[first.uuid])
        assert sign_in(mia).post(address, {"why": " "}).status_code == 422
        with pytest.raises(RuleViolation, match="reason"):
            revise_report(Asker(mia), first, why=" ")
        answer = sign_in(mia).post(address, {"why": "To see"}, follow=True)
        assert "nothing was published" in answer.content.decode()
        assert Report.objects.filter(roadmap=roadmap).count() == 1

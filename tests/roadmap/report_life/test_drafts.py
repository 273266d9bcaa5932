"""A draft: when it is made, what it waits for, who sees it."""

from __future__ import annotations

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

from django.urls import reverse

from accounts.access import Asker
from accounts.models import Membership, Role
from roadmap.actions.report_drafts import make_drafts, refresh_draft
from roadmap.actions.reports import due_reports
from roadmap.models import Programme, Report
from roadmap.queries.reports import visible_reports
from roadmap.rules.report_life import Source, gaps_of, is_provisional
from tests.roadmap.report_life.common import OCTOBER, draft_of
from tests.roadmap.test_report_files import text_of
from tests.roadmap.test_reports import MONTH, push


class TestDraft:
    def test_the_schedule_makes_one_for_each_roadmap_its_programme_and_the_portfolio(self, roadmap, second):
        roadmap.programme = Programme.objects.create(name="Service")
        roadmap.save()
        ids = due_reports()
        assert due_reports() == ids
        rows = Report.objects.all()
        assert sorted((row.scope, str(row.subject), row.state) for row in rows) == [
            ("portfolio", "None", "draft"), ("programme", "Service", "draft"),
            ("roadmap", "Calls", "draft"), ("roadmap", "Letters", "draft"),
        ]  # fmt: skip
        scopes = [Report.objects.get(pk=pk).scope for pk in ids]
        assert scopes[:2] == ["roadmap", "roadmap"]
        assert {row.sha256 for row in rows} == {""}

    def test_it_shows_the_figures_of_now_and_says_that_it_is_none_yet(self, roadmap, adam, sign_in):
        report = draft_of(roadmap)
        page = reverse("report", args=[report.uuid])
        client = sign_in(adam)
        push(roadmap, OCTOBER, requests=1, cost="40.00")
        refresh_draft(report.pk)
        assert "40.00" in client.get(page).content.decode()
        push(roadmap, OCTOBER.replace(day=4), requests=1, cost="2.00")
        said = client.get(page).content.decode()
        assert "42.00" in said
        assert "Not published" in said
        assert "Published 3 Nov" not in said
        for kind in ("pdf", "xlsx", "csv", "json"):
            answer = client.get(reverse("report_file", args=[report.uuid, kind]))
            assert answer.status_code == 200
            assert f"2026-10-provisional.{kind}" in answer["Content-Disposition"]
            if kind == "pdf":
                assert "Not published" in text_of(answer.content)
            if kind == "csv":
                assert "Not published" in answer.content.decode()
            if kind == "json":
                assert answer.json()["state"] in ("draft", "provisional")

    def test_it_is_provisional_once_every_source_that_is_read_reaches_the_end(self):
        ends_at = datetime(2026, 10, 31, 23, tzinfo=UTC)
        zone = ZoneInfo("Europe/Amsterdam")
        late = Source("OpenAI", datetime(2026, 10, 29, 23, tzinfo=UTC))
        gaps = gaps_of([late, Source("Langfuse", None), Source("Bedrock", ends_at)], ends_at, zone)
        assert gaps == [{"source": "OpenAI", "until": "2026-10-29"}, {"source": "Langfuse", "until": None}]
        day = {"today": date(2026, 11, 2), "provisional_on": date(2026, 11, 2)}
        assert is_provisional([], is_ready=False, **day)
        assert not is_provisional(gaps, is_ready=False, **day)
        assert is_provisional(gaps, is_ready=True, **day)
        assert not is_provisional([], is_ready=False, today=date(2026, 11, 1), provisional_on=date(2026, 11, 2))

    def test_a_source_that_lags_keeps_it_a_draft_and_is_named(self, roadmap, adam, sign_in, monkeypatch):
        from metrics.figures import SourceFreshness

        until = datetime(2026, 10, 30, tzinfo=UTC)
        lagging = SourceFreshness(1, "openai", "OpenAI", "openai", until, None, "", False, frozenset(), {})  # noqa: FBT003
        monkeypatch.setattr("roadmap.queries.month.series.freshness", lambda *args: [lagging])
        report = draft_of(roadmap)
        assert refresh_draft(report.pk).state == "draft"
        said = sign_in(adam).get(reverse("reports")).content.decode()
        assert "OpenAI: data until 29 Oct 2026." in said.replace("\u00a0", " ")
        monkeypatch.setattr("roadmap.queries.month.series.freshness", lambda *args: [])
        assert refresh_draft(report.pk).state == "provisional"

    def test_drafts_are_for_managers_and_admins_provisional_ones_for_readers(
        self, roadmap, mia, erin, vera, oscar, adam
    ):
        Membership.objects.create(user=vera, workload=roadmap.workload, role=Role.VIEWER)
        report = draft_of(roadmap)
        seen = {p.username for p in (mia, erin, vera, oscar, adam) if report in visible_reports(Asker(p))}
        assert seen == {"alice", "adam"}
        Report.objects.filter(pk=report.pk).update(state="provisional")
        seen = {p.username for p in (mia, erin, vera, oscar, adam) if report in visible_reports(Asker(p))}
        assert seen == {"alice", "adam", "erin", "vera"}

    def test_a_programmes_is_for_those_who_see_all_of_its_roadmaps(self, roadmap, second, vera, bob, erin, oscar):
        programme = Programme.objects.create(name="Service")
        for one in (roadmap, second):
            one.programme = programme
            one.save()
        Membership.objects.create(user=vera, workload=roadmap.workload, role=Role.VIEWER)
        for one in (roadmap, second):
            Membership.objects.create(user=bob, workload=one.workload, role=Role.VIEWER)
        make_drafts(MONTH)
        report = Report.objects.get(scope="programme")
        assert set(report.covers.all()) == {roadmap, second}
        assert report not in visible_reports(Asker(bob))
        Report.objects.filter(pk=report.pk).update(state="provisional")
        seen = {p.username for p in (vera, bob, erin, oscar) if report in visible_reports(Asker(p))}
        assert seen == {"bob", "erin"}

"""Publishing: when, by whom, and what happens when it fails."""

from __future__ import annotations

import pytest
from django.core.exceptions import PermissionDenied
from django.core.management import CommandError, call_command
from django.db import DatabaseError, transaction
from django.urls import reverse

from accounts.access import Asker
from accounts.models import AuditEvent, Membership, Role
from metrics.errors import RuleViolation
from roadmap.actions import report_publishing
from roadmap.actions.report_drafts import make_drafts
from roadmap.actions.report_publishing import publish_now, publish_report
from roadmap.actions.reports import advance_report, close_month, due_reports
from roadmap.models import Report
from roadmap.queries.report_parts import waits_for
from roadmap.reports.documents.v2.moved import place_text
from roadmap.reports.snapshot import hash_of, section_value
from roadmap.rules.report_life import MOST_ATTEMPTS
from tests.roadmap.report_life.common import draft_of
from tests.roadmap.test_reports import MONTH


class TestPublishing:
    def test_a_manager_publishes_the_roadmaps_own_and_an_admin_the_others(self, roadmap, mia, vera, adam):
        Membership.objects.create(user=vera, workload=roadmap.workload, role=Role.VIEWER)
        report, portfolio = draft_of(roadmap), draft_of()
        for person, one in ((vera, report), (mia, portfolio)):
            with pytest.raises(PermissionDenied):
                publish_report(Asker(person), one)
        published = publish_report(Asker(mia), report)
        assert (published.state, published.published_by, published.sha256) == (
            "published", mia, hash_of(published.payload),
        )  # fmt: skip
        assert {file.language for file in published.files.all()} == {"en", "nl"}
        with pytest.raises(RuleViolation, match="published already"):
            publish_report(Asker(mia), published)
        assert section_value(publish_report(Asker(adam), portfolio).payload, "roadmaps")["rows"][0]["name"] == "Letters"

    def test_every_column_of_it_is_frozen(self, roadmap, mia):
        published = publish_report(Asker(mia), draft_of(roadmap))
        for change in ({"why": "x"}, {"published_by_name": "Somebody"}, {"schema_version": 9}, {"problem": "x"},
                       {"uuid": "00000000-0000-4000-8000-000000000000"}):  # fmt: skip
            with pytest.raises(DatabaseError, match="cannot be changed"), transaction.atomic():
                Report.objects.filter(pk=published.pk).update(**change)
        with pytest.raises(DatabaseError, match="covers cannot be deleted"), transaction.atomic():
            published.covers.clear()

    def test_the_schedule_waits_for_the_day_and_then_publishes_each_by_itself(self, roadmap, second, clock, started):
        for pk in due_reports():
            assert advance_report(pk) == []
        assert not Report.objects.filter(state="published").exists()
        clock(5)
        ids = due_reports()
        portfolio = draft_of()
        assert advance_report(portfolio.pk) == []
        follow = [advance_report(pk) for pk in ids if pk != portfolio.pk]
        assert follow == [[], [portfolio.pk]]
        assert advance_report(portfolio.pk) == []
        assert Report.objects.filter(state="published").count() == 3
        assert advance_report(ids[0]) == []
        assert Report.objects.count() == 3

    def test_one_that_fails_stops_no_other_and_says_so(self, roadmap, second, adam, monkeypatch, sign_in, clock):
        real = report_publishing.fresh

        def broken(report, **kwargs):
            if report.roadmap_id == roadmap.pk:
                raise ValueError("no rate for SEK")
            return real(report, **kwargs)

        monkeypatch.setattr(report_publishing, "fresh", broken)
        closed = close_month(Asker(adam), MONTH)
        assert [str(one.roadmap) for one in closed.published] == ["Calls"]
        assert [(str(one.roadmap), "no rate for SEK" in why) for one, why in closed.failed] == [("Letters", True)]
        assert [one.scope for one in closed.waiting] == ["portfolio"]
        said = sign_in(adam).get(reverse("reports")).content.decode()
        assert "ValueError: no rate for SEK" in said
        with pytest.raises(CommandError, match="1 could not be published"):
            call_command("close_month", "2026-10")
        # The cause is mended: the next run publishes it, and the portfolio.
        monkeypatch.setattr(report_publishing, "fresh", real)
        clock(5)
        for pk in due_reports():
            advance_report(pk)
        assert Report.objects.filter(state="published").count() == 3
        assert Report.objects.get(roadmap=roadmap).problem == ""

    def test_the_portfolio_goes_without_one_that_fails_for_days_and_names_it(self, roadmap, second, adam, clock):
        clock(5)
        make_drafts(MONTH)
        letters = Report.objects.filter(roadmap=roadmap)
        letters.update(attempts=MOST_ATTEMPTS - 1, problem="x")
        close_month_of = Report.objects.get(roadmap=second)
        publish_now("the schedule", close_month_of.pk)
        portfolio = draft_of()
        waited_for = waits_for(portfolio)
        assert [str(one.roadmap) for one in waited_for] == ["Letters"]
        # It is asked after each of the month's reports: what the others say stays in the database.
        assert {"payload"} == waited_for[0].get_deferred_fields()
        letters.update(attempts=MOST_ATTEMPTS)
        advance_report(portfolio.pk)
        first = Report.objects.get(pk=portfolio.pk)
        assert first.state == "published"
        assert section_value(first.payload, "notes")["missing"] == ["Letters"]
        assert [row["name"] for row in section_value(first.payload, "roadmaps")["rows"]] == ["Calls"]
        # Late, but there: the portfolio is corrected.
        clock(6)
        assert advance_report(letters.get().pk) == [portfolio.pk]
        advance_report(portfolio.pk)
        corrected = Report.objects.get(scope="portfolio", revision=2)
        places = [place_text(line, "USD") for line in corrected.payload["moved"]]
        assert places.count("Data notes · Without a report") == 1
        assert not any("why unknown" in place for place in places)
        assert [row["name"] for row in section_value(corrected.payload, "roadmaps")["rows"]] == ["Calls", "Letters"]
        assert "Letters (1)" in corrected.why

    def test_an_admin_asks_for_a_month_and_sees_how_far_it_is(self, roadmap, second, adam, sign_in, started):
        client = sign_in(adam)
        assert client.post(reverse("report_close"), {"month": "2026-10"}).status_code == 303
        assert sorted(started) == sorted(Report.objects.values_list("pk", flat=True))
        assert AuditEvent.objects.filter(action="close_month").count() == 1
        assert "0 of 3 reports" in client.get(reverse("reports")).content.decode()
        advance_report(started[0])
        polled = client.get(reverse("reports"), headers={"HX-Request": "true", "HX-Target": "closing"})
        assert "1 of 3 reports" in polled.content.decode()
        assert "<h1>" not in polled.content.decode()
        for pk in started[1:]:
            advance_report(pk)
        assert Report.objects.get(roadmap=roadmap).published_by == adam
        assert "of 3 reports" not in client.get(reverse("reports")).content.decode()

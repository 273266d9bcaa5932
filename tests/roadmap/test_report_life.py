"""From draft to provisional to published to revised: by whom, when, once, and without holding up the others."""

from __future__ import annotations

import threading
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest
from django.core.exceptions import PermissionDenied
from django.core.management import CommandError, call_command
from django.db import DatabaseError, close_old_connections, connection, transaction
from django.urls import reverse

from accounts.access import Asker
from accounts.models import AuditEvent, Membership, Role
from metrics.errors import RuleViolation
from roadmap.actions import report_publishing
from roadmap.actions.report_drafts import make_drafts, refresh_draft
from roadmap.actions.report_publishing import publish_now, publish_report, revise_report
from roadmap.actions.report_words import give_words
from roadmap.actions.reports import advance_report, close_month, due_reports, following
from roadmap.actions.roadmaps import make_roadmap
from roadmap.models import Programme, Report, ReportFile, ReportWords
from roadmap.queries.report_parts import waits_for
from roadmap.queries.report_words_due import report_words_wanted
from roadmap.queries.reports import visible_reports
from roadmap.reports.documents.v2.moved import place_text
from roadmap.reports.snapshot import hash_of, section_value
from roadmap.rules.report_life import MOST_ATTEMPTS, Source, gaps_of, is_provisional
from tests.roadmap.test_report_files import text_of
from tests.roadmap.test_reports import MONTH, push, roadmap

__all__ = ["roadmap"]
NOW = datetime(2026, 11, 3, 12, tzinfo=UTC)
OCTOBER = datetime(2026, 10, 3, 10, tzinfo=UTC)


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    """3 November, two days before the closing day; `clock(day)` moves it."""
    moment = [NOW]
    monkeypatch.setattr("django.utils.timezone.now", lambda: moment[0])

    def move(day: int) -> None:
        moment[0] = NOW.replace(day=day)

    return move


@pytest.fixture(autouse=True)
def started(monkeypatch):
    """What is handed to workers, instead of a broker."""
    found: list[int] = []
    monkeypatch.setattr("roadmap.tasks.advance_report.apply_async", lambda args, **kwargs: found.extend(args))
    return found


@pytest.fixture
def second(adam):
    """'Calls', beside 'Letters'."""
    return make_roadmap(Asker(adam), name="Calls", owner=adam, start_on=date(2026, 9, 1))


@pytest.fixture
def mia(roadmap, alice):
    """A manager of 'Letters' who is no admin."""
    Membership.objects.create(user=alice, workload=roadmap.workload, role=Role.MANAGER)
    return alice


def draft_of(roadmap=None) -> Report:
    make_drafts(MONTH)
    return Report.objects.get(roadmap=roadmap, month=MONTH, **({} if roadmap else {"scope": "portfolio"}))


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
        assert [str(one.roadmap) for one in waits_for(portfolio)] == ["Letters"]
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


class TestByRole:
    PEOPLE = ("oscar", "vera", "erin", "bob", "alice", "adam")
    MAY = {"bob": 403, "vera": 403, "erin": 403, "oscar": 404, "alice": 200, "adam": 200}

    @pytest.fixture
    def report(self, claims_roadmap):
        report = draft_of(claims_roadmap)
        Report.objects.filter(pk=report.pk).update(state="provisional")
        return report

    @pytest.fixture
    def claims_roadmap(self, roadmap, alice, bob, vera):
        for person, role in ((alice, Role.MANAGER), (bob, Role.CONTRIBUTOR), (vera, Role.VIEWER)):
            Membership.objects.create(user=person, workload=roadmap.workload, role=role)
        return roadmap

    @pytest.mark.parametrize("person", PEOPLE)
    def test_page_and_rest_agree(self, report, person, request, client, api, started):
        user = request.getfixturevalue(person)
        client.force_login(user)
        rest, may = api(user, scopes=["manage"]), self.MAY[person]
        base = f"/api/v1/reports/{report.uuid}"
        words = {"text": "x", "version": 0}
        assert rest.get(f"{base}/words/").status_code == (404 if may == 404 else 200)
        assert rest.put(f"{base}/words/", words).status_code == may
        assert rest.put(f"{base}/words/", words).status_code == (409 if may == 200 else may)
        page = client.post(reverse("report_words", args=[report.uuid]), {"text": "y", "version": "1"})
        assert page.status_code == (303 if may == 200 else may)
        assert api(user, scopes=["read"]).post(f"{base}/publish/").status_code == 403
        if person == "alice":
            assert client.post(reverse("report_publish", args=[report.uuid])).status_code == 303
            assert rest.post(f"{base}/publish/").status_code == 409
        else:
            assert rest.post(f"{base}/publish/").status_code == may
            done = client.post(reverse("report_publish", args=[report.uuid]))
            assert done.status_code == (303 if may == 200 else may)
        revised = rest.post(f"{base}/revise/", {"why": "To see"})
        if may == 200:
            assert (revised.status_code, revised.json()) == (200, {"revision": None})
        else:
            assert revised.status_code == may
            assert client.get(reverse("report_revise", args=[report.uuid])).status_code == may
        assert Report.objects.get(pk=report.pk).is_published == (may == 200)
        closing = rest.post("/api/v1/reports/close/", {"month": "2026-10-01"}).status_code
        assert closing == (202 if person == "adam" else 403)

    def test_a_token_of_another_roadmap_gets_nothing(self, report, alice, claims, api):
        rest = api(alice, scopes=["manage"], workload=claims)
        assert rest.post(f"/api/v1/reports/{report.uuid}/publish/").status_code == 404
        assert rest.put(f"/api/v1/reports/{report.uuid}/words/", {"text": "", "version": 0}).status_code == 404


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

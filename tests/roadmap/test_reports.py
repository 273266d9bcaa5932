"""The month's report: built once, frozen, visible to whom it may be."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from django.core.exceptions import PermissionDenied
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection, transaction
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from accounts.access import Asker
from accounts.models import Membership, Role
from metrics import ledger
from metrics.errors import RuleViolation
from metrics.identity import SeriesIdentity, series_ids
from metrics.ledger import PostedCell
from metrics.models import Backend, Receipt
from metrics.usage import FeedKind, MeasuredAt, SeriesKey
from roadmap.actions.reports import close_due_months, close_month
from roadmap.actions.roadmaps import make_roadmap
from roadmap.models import CostEntry, Report, ReportFile, Roadmap
from roadmap.reports.snapshot import hash_of, section_value
from roadmap.rules.reports import moved_figures, next_month, previous_month

MONTH = date(2026, 10, 1)
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _november(monkeypatch):
    monkeypatch.setattr("django.utils.timezone.now", lambda: NOW)


def make_letters(owner) -> Roadmap:
    return make_roadmap(
        Asker(owner), name="Letters", owner=owner, start_on=date(2026, 9, 1), budgets={"poc": Decimal(6000)}
    )


@pytest.fixture
def roadmap(adam) -> Roadmap:
    """'Letters', its PoC running since 1 September 2026, owned by adam."""
    return make_letters(adam)


def push(roadmap, hour: datetime, *, requests: int, cost: str, backend_slug: str = "push-openai") -> Receipt:
    """Posts an hour of a push to the roadmap's workload through the ledger."""
    backend, _ = Backend.objects.get_or_create(
        slug=backend_slug, defaults={"name": backend_slug, "connector": "push_only", "provider": "openai"}
    )
    identity = SeriesIdentity(
        key=SeriesKey("openai", "gpt-4.1"),
        backend_id=backend.pk,
        is_pushed=True,
        workload_id=roadmap.workload_id,
        measured_at=MeasuredAt.APPLICATION,
    )
    series_id = series_ids([identity])[identity]
    sums = {
        "requests": requests,
        "errors": 0,
        "input_tokens": requests * 1000,
        "output_tokens": requests * 100,
        "estimated_cost": Decimal(cost),
    }
    receipt = Receipt(kind=FeedKind.PUSH, workload=roadmap.workload, accepted=requests)
    return ledger.post(
        receipt, ledger.feed(FeedKind.PUSH, backend), [PostedCell(series_id, hour, sums, currency="USD")]
    )


def roadmap_report(roadmap) -> Report:
    return Report.objects.filter(roadmap=roadmap, month=MONTH).latest("revision")


def test_it_says_what_the_month_cost(roadmap, adam):
    # By hand: 40.00 and 2.50 in October, 9.00 in September; an entry of 310.00 over the 31 days of October.
    push(roadmap, datetime(2026, 10, 3, 10, tzinfo=UTC), requests=10, cost="40.00")
    push(roadmap, datetime(2026, 10, 31, 23, tzinfo=UTC), requests=5, cost="2.50")
    push(roadmap, datetime(2026, 9, 30, 23, tzinfo=UTC), requests=1, cost="9.00")
    push(roadmap, datetime(2026, 11, 1, 0, tzinfo=UTC), requests=1, cost="100.00")
    CostEntry.objects.create(
        roadmap=roadmap, name="Licences", category="licences", amount=Decimal("310.00"), currency="USD",
        start_on=date(2026, 10, 1), end_on=date(2026, 10, 31),
    )  # fmt: skip

    close_month(Asker(adam), MONTH)

    money = section_value(roadmap_report(roadmap).payload, "money")
    assert money["total"] == "352.5"
    assert money["estimated"] == "42.5"
    assert money["entered"] == "310"
    assert money["billed"] is None
    assert money["total_before"] == "9"
    assert money["not_priced_requests"] == "0"


def test_the_parts_of_the_spend_are_its_total(roadmap, adam):
    push(roadmap, datetime(2026, 10, 3, 10, tzinfo=UTC), requests=10, cost="40.1234567891")
    push(roadmap, datetime(2026, 10, 4, 10, tzinfo=UTC), requests=10, cost="0.0000000009", backend_slug="push-2")
    close_month(Asker(adam), MONTH)
    money = section_value(roadmap_report(roadmap).payload, "money")
    assert sum(Decimal(row["spend"]) for row in money["rows"]) == Decimal(money["total"])


def test_it_counts_units_of_cost_over_what_is_known(roadmap, adam):
    # 15,000 input + 1,500 output tokens for 33.00: 33 / 16,500 x 10^6 = 2000 a million.
    push(roadmap, datetime(2026, 10, 3, 10, tzinfo=UTC), requests=15, cost="33.00")
    close_month(Asker(adam), MONTH)
    rows = section_value(roadmap_report(roadmap).payload, "performance")["rows"]
    assert next(row["value"] for row in rows if row["measure"] == "cost_per_million_tokens") == "2000"


def test_unknown_stays_unknown(roadmap, adam):
    close_month(Asker(adam), MONTH)
    payload = roadmap_report(roadmap).payload
    assert section_value(payload, "money")["total"] is None
    rows = section_value(payload, "performance")["rows"]
    assert {row["value"] for row in rows} == {None}


def test_closing_twice_publishes_once(roadmap, adam):
    first = close_month(Asker(adam), MONTH)
    again = close_month(Asker(adam), MONTH)
    assert (len(first.published), len(again.published), again.unchanged) == (2, 0, 2)
    assert Report.objects.count() == 2


def test_late_usage_leaves_the_published_report_as_it_was(roadmap, adam):
    push(roadmap, datetime(2026, 10, 3, 10, tzinfo=UTC), requests=10, cost="40.00")
    close_month(Asker(adam), MONTH)
    report = roadmap_report(roadmap)
    push(roadmap, datetime(2026, 10, 4, 10, tzinfo=UTC), requests=10, cost="5.00")
    close_month(Asker(adam), MONTH)
    same = Report.objects.get(pk=report.pk)
    assert (same.payload, same.sha256) == (report.payload, report.sha256)
    assert Report.objects.filter(roadmap=roadmap).count() == 1


def test_a_revision_lists_what_moved(roadmap, adam):
    push(roadmap, datetime(2026, 10, 3, 10, tzinfo=UTC), requests=10, cost="40.00")
    close_month(Asker(adam), MONTH)
    push(roadmap, datetime(2026, 10, 4, 10, tzinfo=UTC), requests=10, cost="5.00")
    closed = close_month(Asker(adam), MONTH, revise=True)
    assert {report.revision for report in closed.revised} == {2}
    moved = roadmap_report(roadmap).payload["moved"]
    total = next(line for line in moved if (line["section"], line["field"]) == ("money", "total"))
    assert (total["before"], total["after"]) == ("40", "45")


def test_a_revision_without_a_change_is_not_published(roadmap, adam):
    push(roadmap, datetime(2026, 10, 3, 10, tzinfo=UTC), requests=10, cost="40.00")
    close_month(Asker(adam), MONTH)
    assert close_month(Asker(adam), MONTH, revise=True).revised == ()


def test_the_portfolio_adds_up_its_roadmaps(roadmap, adam):
    second = make_roadmap(Asker(adam), name="Calls", owner=adam, start_on=date(2026, 9, 1))
    push(roadmap, datetime(2026, 10, 3, 10, tzinfo=UTC), requests=10, cost="40.00")
    push(second, datetime(2026, 10, 3, 10, tzinfo=UTC), requests=10, cost="2.25")
    close_month(Asker(adam), MONTH)
    rows = section_value(Report.objects.get(scope="portfolio").payload, "roadmaps")["rows"]
    assert [(row["name"], row["spend"]) for row in rows] == [("Calls", "2.25"), ("Letters", "40")]


def test_a_month_that_is_not_over_is_refused(adam):
    with pytest.raises(RuleViolation, match="not over"):
        close_month(Asker(adam), date(2026, 11, 1))


def test_only_admins_close_a_month(alice):
    with pytest.raises(PermissionDenied):
        close_month(Asker(alice), MONTH)


def test_the_schedule_waits_for_the_closing_day(roadmap, settings):
    settings.REPORT_CLOSE_DAY = 23
    assert close_due_months() is None
    settings.REPORT_CLOSE_DAY = 22
    assert close_due_months().published


def test_the_database_refuses_to_change_a_published_report(roadmap, adam):
    close_month(Asker(adam), MONTH)
    report = roadmap_report(roadmap)
    with pytest.raises(DatabaseError, match="cannot be changed"), transaction.atomic():
        Report.objects.filter(pk=report.pk).update(payload={"schema_version": 1})
    with pytest.raises(DatabaseError, match="cannot be deleted"), transaction.atomic():
        report.delete()


def test_verify_reports_finds_a_document_that_was_changed(roadmap, adam, capsys):
    close_month(Asker(adam), MONTH)
    call_command("verify_reports")
    # A roadmap's in English and Dutch; the portfolio's in as many languages as its schema has words in.
    files = ReportFile.objects.count()
    assert files >= 3
    assert f"2 reports and {files} files match their hash" in capsys.readouterr().out
    right = roadmap_report(roadmap)
    wrong = {**right.payload, "currency": "EUR"}
    Report.objects.create(
        scope="roadmap", roadmap=roadmap, month=date(2026, 9, 1), state="published", payload=wrong, sha256=right.sha256
    )
    with pytest.raises(CommandError, match="1 of 3"):
        call_command("verify_reports")


def test_the_command_names_a_bad_month():
    with pytest.raises(CommandError, match="write it as 2026-10"):
        call_command("close_month", "October")


def test_the_hash_is_over_the_document(roadmap, adam):
    close_month(Asker(adam), MONTH)
    report = roadmap_report(roadmap)
    assert hash_of(report.payload) == report.sha256


class TestWhoSeesIt:
    @pytest.fixture
    def reports(self, roadmap, adam, vera):
        Membership.objects.create(user=vera, workload=roadmap.workload, role=Role.VIEWER)
        close_month(Asker(adam), MONTH)
        return roadmap_report(roadmap), Report.objects.get(scope="portfolio")

    def test_a_member_reads_the_roadmaps_report_only(self, reports, vera, sign_in):
        mine, portfolio = reports
        client = sign_in(vera)
        page = client.get(reverse("report", args=[mine.uuid]))
        assert page.status_code == 200
        assert "Letters, October 2026" in page.content.decode()
        assert mine.sha256 in page.content.decode()
        assert client.get(reverse("report", args=[portfolio.uuid])).status_code == 404
        listed = client.get(reverse("reports")).content.decode()
        assert str(mine.uuid) in listed
        assert str(portfolio.uuid) not in listed

    def test_each_field_of_the_list_has_a_name_of_its_own(self, reports, adam, sign_in):
        listed = sign_in(adam).get(reverse("reports")).content.decode()
        ids = re.findall(r'\sid="([^"]+)"', listed)
        assert {"id_month", "close-month"} <= set(ids)
        assert len(ids) == len(set(ids))

    def test_an_outsider_sees_neither(self, reports, oscar, sign_in, api):
        client = sign_in(oscar)
        for report in reports:
            assert client.get(reverse("report", args=[report.uuid])).status_code == 404
            assert api(oscar, scopes=["read"]).get(f"/api/v1/reports/{report.uuid}/").status_code == 404
        assert "No report yet" in client.get(reverse("reports")).content.decode()

    def test_an_executive_reads_both(self, reports, erin, sign_in):
        client = sign_in(erin)
        for report in reports:
            assert client.get(reverse("report", args=[report.uuid])).status_code == 200

    def test_nobody_is_asked_to_sign_in(self, reports, client):
        answer = client.get(reverse("report", args=[reports[0].uuid]))
        assert answer.status_code == 302
        assert "/login/" in answer["Location"]

    def test_only_an_admin_closes_in_the_browser(self, reports, vera, adam, sign_in):
        assert sign_in(vera).post(reverse("report_close"), {"month": "2026-10"}).status_code == 403
        assert sign_in(adam).post(reverse("report_close"), {"month": "2026-10"}).status_code == 303

    def test_a_bad_month_is_said_at_its_field(self, reports, adam, sign_in):
        answer = sign_in(adam).post(reverse("report_close"), {"month": "soon"})
        assert answer.status_code == 422
        assert "Write the month as 2026-10." in answer.content.decode()

    def test_the_api_gives_the_frozen_document(self, reports, vera, api):
        mine, _ = reports
        answer = api(vera, scopes=["read"]).get(f"/api/v1/reports/{mine.uuid}/")
        assert answer.status_code == 200
        assert answer.json()["payload"] == mine.payload
        assert hash_of(answer.json()["payload"]) == answer.json()["sha256"]

    def test_a_token_bound_to_a_roadmap_sees_no_portfolio(self, reports, erin, roadmap, api):
        _, portfolio = reports
        client = api(erin, scopes=["read"], workload=roadmap.workload)
        assert client.get(f"/api/v1/reports/{portfolio.uuid}/").status_code == 404

    def test_the_list_takes_no_more_queries_for_more_reports(self, reports, adam, roadmap, sign_in):
        client = sign_in(adam)
        client.get(reverse("reports"))
        with CaptureQueriesContext(connection) as few:
            client.get(reverse("reports"))
        close_month(Asker(adam), date(2026, 9, 1))
        with CaptureQueriesContext(connection) as more:
            client.get(reverse("reports"))
        assert len(more) == len(few)


def test_months_follow_each_other():
    assert next_month(date(2026, 12, 1)) == date(2027, 1, 1)
    assert next_month(date(2024, 1, 1)) == date(2024, 2, 1)
    assert previous_month(date(2026, 1, 1)) == date(2025, 12, 1)
    for months in range(24):
        month = date(2024 + months // 12, months % 12 + 1, 1)
        assert previous_month(next_month(month)) == month


def test_rows_are_compared_with_themselves():
    before = {"rows": [{"name": "A", "spend": "1"}, {"name": "B", "spend": "2"}], "dated_on": "2026-11-05"}
    after = {"rows": [{"name": "B", "spend": "2"}, {"name": "A", "spend": "3"}], "dated_on": "2026-11-06"}
    place = {"section": "", "rows": "rows", "row": {"name": "A"}, "field": "spend"}
    assert moved_figures(before, after) == [{**place, "before": "1", "after": "3"}]


def test_a_month_is_cut_at_the_reporting_zone(roadmap, adam, settings):
    from zoneinfo import ZoneInfo

    settings.REPORTING_ZONE = ZoneInfo("Europe/Amsterdam")
    settings.TIME_ZONE = settings.REPORTING_TIME_ZONE = "Europe/Amsterdam"
    # 30 September 23:00 UTC is 1 October 01:00 in Amsterdam; 31 October 23:00 UTC is November there.
    push(roadmap, datetime(2026, 9, 30, 23, tzinfo=UTC), requests=1, cost="1.00")
    push(roadmap, datetime(2026, 10, 31, 23, tzinfo=UTC), requests=1, cost="64.00")
    close_month(Asker(adam), MONTH)
    assert section_value(roadmap_report(roadmap).payload, "money")["total"] == "1"

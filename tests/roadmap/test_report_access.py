"""Each form of a report x each person and token: page, files, REST, links, comparison. Who sees it not, gets none.

`letters` is a roadmap that alice manages, to which bob contributes and which vera views; its programme has a second
roadmap, which of them alice alone sees. oscar is the outsider to both, erin the executive, adam the admin.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from django.test import Client
from django.urls import URLPattern, reverse

from accounts.access import Asker
from accounts.models import Membership, Role
from roadmap import report_mail_urls, urls
from roadmap.actions.report_links import make_report_link
from roadmap.actions.reports import close_month
from roadmap.actions.roadmaps import make_roadmap
from roadmap.api import urls as api_urls
from roadmap.models import Programme, Report
from roadmap.reports.snapshot import hash_of
from tests.cast import person
from tests.roadmap.test_reports import MONTH, NOW, push

KINDS = ("pdf", "xlsx", "csv", "json")
PEOPLE = ("oscar", "vera", "bob", "alice", "erin", "adam")
SEES = {
    "roadmap": {"vera", "bob", "alice", "erin", "adam"},
    "programme": {"alice", "erin", "adam"},
    "portfolio": {"erin", "adam"},
}
SCOPES = tuple(SEES)
MONTHS = (date(2026, 9, 1), MONTH)


@pytest.fixture(autouse=True)
def _november(monkeypatch):
    monkeypatch.setattr("django.utils.timezone.now", lambda: NOW)


@pytest.fixture(scope="module")
def published(lasting) -> None:
    """September's and October's report of each scope."""
    with lasting(NOW):
        adam, alice, bob, vera = (person(name) for name in ("adam", "alice", "bob", "vera"))
        letters, calls = (make_roadmap(Asker(adam), name=name, owner=adam, start_on=date(2026, 9, 1)) for name in "LC")
        for who, role in ((alice, Role.MANAGER), (bob, Role.CONTRIBUTOR), (vera, Role.VIEWER)):
            Membership.objects.create(user=who, workload=letters.workload, role=role)
        Membership.objects.create(user=alice, workload=calls.workload, role=Role.VIEWER)
        push(letters, datetime(2026, 10, 3, 10, tzinfo=UTC), requests=10, cost="42.50")
        programme = Programme.objects.create(name="Customer contact")
        for month in MONTHS:
            close_month(Asker(adam), month)
            _programme_report(programme, Report.objects.get(roadmap=letters, month=month), (letters, calls))


@pytest.fixture
def reports(published, db) -> dict[str, tuple[Report, Report]]:
    """September's and October's report of each scope, by its name."""
    of = {
        "roadmap": {"roadmap__workload__name": "L"},
        "programme": {"scope": "programme"},
        "portfolio": {"scope": "portfolio"},
    }
    return {scope: tuple(Report.objects.get(month=month, **wanted) for month in MONTHS) for scope, wanted in of.items()}


def _programme_report(programme, like: Report, roadmaps) -> None:
    """What it says is a roadmap's; who sees it is what is asked here."""
    made = Report.objects.create(
        scope=Report.Scope.PROGRAMME, programme=programme, month=like.month, state=Report.State.DRAFT,
        schema_version=like.schema_version, payload=like.payload,
    )  # fmt: skip
    made.covers.set(roadmaps)
    made.state, made.sha256, made.published_at = Report.State.PUBLISHED, hash_of(like.payload), NOW
    made.save()


def pages(report: Report, before: Report) -> list[str]:
    """Each address at which a browser gets something of the report."""
    compared = f"?a={before.uuid}&b={report.uuid}"
    return [
        reverse("report", args=[report.uuid]),
        *(reverse("report_file", args=[report.uuid, kind]) for kind in KINDS),
        f"{reverse('report_comparison')}{compared}",
        f"{reverse('report_comparison')}?b={report.uuid}",
        *(f"{reverse('report_comparison_file', args=[kind])}{compared}" for kind in KINDS),
    ]


def addresses(report: Report, before: Report) -> list[str]:
    """Each address at which a program does."""
    compared = f"?a={before.uuid}&b={report.uuid}"
    return [
        reverse("api_report", args=[report.uuid]),
        *(reverse("api_report_file", args=[report.uuid, kind]) for kind in KINDS),
        f"{reverse('api_report_comparison')}{compared}",
        *(f"{reverse('api_report_comparison_file', args=[kind])}{compared}" for kind in KINDS),
    ]


def statuses(client, asked) -> set[int]:
    return {client.get(address).status_code for address in asked}


@pytest.mark.parametrize("person", PEOPLE)
def test_people(reports, person, request, client, api):
    who = request.getfixturevalue(person)
    client.force_login(who)
    rest = api(who, scopes=["read"])
    told = {row["id"] for row in rest.get(reverse("api_reports")).json()["results"]}
    listed = client.get(reverse("reports")).content.decode()
    for scope, (before, report) in reports.items():
        expected = 200 if person in SEES[scope] else 404
        assert statuses(client, pages(report, before)) == {expected}, scope
        assert statuses(rest, addresses(report, before)) == {expected}, scope
        for one in (before, report):
            assert (str(one.uuid) in told) == (expected == 200), scope
            assert (str(one.uuid) in listed) == (expected == 200), scope


@pytest.mark.parametrize("person", PEOPLE)
def test_a_list_names_no_roadmap_and_no_month_that_one_does_not_see(reports, person, request, client):
    client.force_login(request.getfixturevalue(person))
    page = client.get(reverse("reports")).content.decode()
    sees_any = person != "oscar"
    assert ("2026-10-01" in page) == sees_any
    if person not in SEES["programme"]:
        assert "Customer contact" not in page
    if not sees_any:
        assert all(str(one.uuid) not in page for pair in reports.values() for one in pair)


@pytest.mark.parametrize("scope", SCOPES)
def test_nobody_who_is_not_signed_in(reports, scope, client):
    before, report = reports[scope]
    for address in pages(report, before):
        answer = client.get(address)
        assert answer.status_code == 302, address
        assert "login" in answer["Location"]
    assert statuses(client, addresses(report, before)) == {401}


@pytest.mark.parametrize("scope", SCOPES)
def test_tokens(reports, scope, adam, alice, other, api):
    """Of another roadmap, of pushing alone, of yesterday, revoked, of somebody who left."""
    before, report = reports[scope]
    asked = addresses(report, before)
    assert statuses(api(adam, scopes=["read"]), asked) == {200}
    assert statuses(api(adam, scopes=["read"], workload=other), asked) == {404}
    assert statuses(api(adam, scopes=["push"]), asked) == {403}
    assert statuses(api(adam, scopes=["read"], expires_at=NOW), asked) == {401}
    assert statuses(api(adam, scopes=["read"], expires_at=NOW + timedelta(seconds=1)), asked) == {200}
    revoked = api(adam, scopes=["read"])
    revoked.token.revoked_at = NOW
    revoked.token.save()
    assert statuses(revoked, asked) == {401}
    left = api(alice, scopes=["read"])
    alice.is_active = False
    alice.save()
    assert statuses(left, asked) == {401}


def test_a_token_of_the_roadmap_reads_its_report_and_no_other_s(reports, adam, api):
    before, report = reports["roadmap"]
    bound = api(adam, scopes=["read"], workload=report.roadmap.workload)
    assert statuses(bound, addresses(report, before)) == {200}
    for scope in ("programme", "portfolio"):
        # An admin's even: it is bound to one of the roadmaps that these are about.
        assert statuses(bound, addresses(*reversed(reports[scope]))) == {404}, scope
    assert {row["id"] for row in bound.get(reverse("api_reports")).json()["results"]} == {
        str(report.uuid),
        str(before.uuid),
    }


def test_who_loses_the_roadmap_loses_its_reports_at_once(reports, vera, client, api):
    before, report = reports["roadmap"]
    client.force_login(vera)
    rest = api(vera, scopes=["read"])
    assert statuses(client, pages(report, before)) == {200}
    Membership.objects.filter(user=vera).delete()
    assert statuses(client, pages(report, before)) == {404}
    assert statuses(rest, addresses(report, before)) == {404}


def test_who_loses_one_roadmap_of_a_programme_loses_its_report(reports, alice, client):
    before, report = reports["programme"]
    client.force_login(alice)
    assert statuses(client, pages(report, before)) == {200}
    Membership.objects.filter(user=alice).exclude(workload=reports["roadmap"][0].roadmap.workload).delete()
    assert statuses(client, pages(report, before)) == {404}


def test_who_may_not_sign_in_any_more(reports, vera, client):
    client.force_login(vera)
    vera.is_active = False
    vera.save()
    before, report = reports["roadmap"]
    assert statuses(client, pages(report, before)) == {302}


@pytest.mark.parametrize("scope", SCOPES)
def test_a_private_link_opens_one_report_and_none_of_the_others(reports, scope, adam):
    _, report = reports[scope]
    secret = make_report_link(Asker(adam), report, label="x")[1]
    client = Client()
    page = client.get(f"/r/{secret}/")
    assert page.status_code == 200
    assert report.sha256 in page.content.decode()
    for one in (one for pair in reports.values() for one in pair):
        assert str(one.uuid) not in page.content.decode()
    # It is no key to anything else.
    assert statuses(client, pages(*reversed(reports[scope]))) == {302}
    client.credentials = None
    for scheme in ("Bearer", "Token"):
        asked = addresses(*reversed(reports[scope]))
        assert {client.get(one, headers={"authorization": f"{scheme} {secret}"}).status_code for one in asked} == {401}


def test_nothing_is_changed_by_a_report_s_addresses(reports, adam, client, api):
    client.force_login(adam)
    rest = api(adam, scopes=["manage"])
    for before, report in reports.values():
        for method in ("post", "put", "patch", "delete"):
            for address in pages(report, before):
                assert getattr(client, method)(address).status_code == 405, (method, address)
            for address in addresses(report, before):
                assert getattr(rest, method)(address).status_code == 405, (method, address)


def test_there_are_four_kinds_of_files(reports, adam, client, api):
    client.force_login(adam)
    rest = api(adam, scopes=["read"])
    for kind in ("exe", "PDF", "html", "pdf.pdf", "%00", "x" * 300):
        for before, report in reports.values():
            assert client.get(f"/reports/{report.uuid}/report.{kind}").status_code == 404
            assert rest.get(f"/api/v1/reports/{report.uuid}/report.{kind}").status_code == 404
            compared = f"comparison.{kind}?a={before.uuid}&b={report.uuid}"
            assert client.get(f"/reports/compare/{compared}").status_code == 404
            assert rest.get(f"/api/v1/reports/compare/{compared}").status_code == 404


def addresses_of(report: Report, *lists) -> dict[str, str]:
    """Each address of one report by its name, out of the URL lists, so that a new one cannot be forgotten."""
    values = {"uuid": report.uuid, "pk": 1, "kind": "pdf"}
    return {
        one.name: reverse(one.name, kwargs={name: values[name] for name in one.pattern.converters})
        for urlpatterns in lists
        for one in urlpatterns
        if isinstance(one, URLPattern) and str(one.pattern).startswith("reports/<uuid:uuid>/")
    }


def test_every_address_of_a_report_is_closed_to_outsiders(reports, oscar, client, api):
    """Whether it is read or changed there: as if there were no such report."""
    browser = Client()
    rest = api(oscar, scopes=["read", "manage"])
    client.force_login(oscar)
    for _before, report in reports.values():
        pages_of = addresses_of(report, urls.urlpatterns, report_mail_urls.urlpatterns)
        rest_of = addresses_of(report, api_urls.urlpatterns)
        assert {"report_publish", "report_links", "report_mail_file"} < set(pages_of)
        assert {"api_report_words", "api_report_revise", "api_report_link"} < set(rest_of)
        for name, address in pages_of.items():
            told = {client.get(address).status_code, client.post(address).status_code}
            assert 404 in told, name
            assert told <= {404, 405}, name
            asked = {browser.get(address).status_code, browser.post(address).status_code}
            assert 302 in asked, name
            assert asked <= {302, 405}, name
        for name, address in rest_of.items():
            methods = ("get", "post", "put", "patch", "delete")
            told = {getattr(rest, method)(address).status_code for method in methods}
            assert 404 in told, name
            assert told <= {404, 405}, name
            assert {getattr(browser, method)(address).status_code for method in methods} == {401}, name


DRAFTS = (("draft", date(2026, 7, 1)), ("provisional", date(2026, 8, 1)))


@pytest.mark.parametrize("person", PEOPLE)
def test_drafts_and_provisional_ones(reports, person, request, client, api):
    """A draft is for who publishes it, and neither is for a link or a comparison."""
    who = request.getfixturevalue(person)
    client.force_login(who)
    rest = api(who, scopes=["read"])
    for scope, (before, like) in reports.items():
        for state, month in DRAFTS:
            report = Report.objects.create(
                scope=like.scope, roadmap=like.roadmap, programme=like.programme, month=month, state=state,
                schema_version=like.schema_version, payload=like.payload,
            )  # fmt: skip
            report.covers.set(like.covers.all())
            sees = person in SEES[scope]
            if state == Report.State.DRAFT:
                sees = person == "adam" or (person == "alice" and scope == "roadmap")
            if not sees:
                assert statuses(client, pages(report, before)) == {404}, (scope, state)
                assert statuses(rest, addresses(report, before)) == {404}, (scope, state)
            compared = f"?a={before.uuid}&b={report.uuid}"
            assert client.get(f"{reverse('report_comparison')}{compared}").status_code == 404
            assert rest.get(f"{reverse('api_report_comparison')}{compared}").status_code == 404
            links = rest.get(reverse("api_report_links", args=[report.uuid])).status_code
            assert links in ((200, 403) if sees else (404,)), (scope, state)

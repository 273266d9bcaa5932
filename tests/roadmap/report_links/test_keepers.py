"""Who makes, sees and revokes private links."""

from __future__ import annotations

import pytest
from django.urls import reverse

from accounts.access import Asker
from roadmap.actions.report_links import make_report_link
from roadmap.models import Report, ReportLink
from tests.roadmap.report_links.common import PEOPLE, read
from tests.roadmap.test_reports import NOW


@pytest.mark.parametrize("person", PEOPLE)
@pytest.mark.parametrize("scope", ["roadmap", "portfolio"])
def test_the_page_by_role(report, portfolio, person, scope, request, client):
    asked = report if scope == "roadmap" else portfolio
    address = reverse("report_links", args=[asked.uuid])
    client.force_login(request.getfixturevalue(person))
    sees = {"roadmap": PEOPLE[1:], "portfolio": ("erin", "adam")}[scope]
    keeps = {"roadmap": ("alice", "adam"), "portfolio": ("adam",)}[scope]
    expected = 200 if person in keeps else 403 if person in sees else 404
    form = {"label": "The board", "last_on": "2026-12-01"}
    assert client.get(address).status_code == expected
    assert client.post(address, form).status_code == expected
    assert ReportLink.objects.count() == (1 if person in keeps else 0)
    page = client.get(reverse("report", args=[asked.uuid]))
    assert (address in page.content.decode()) == (person in keeps)


@pytest.mark.parametrize("person", PEOPLE)
def test_revoking_by_role(report, secret, person, request, client):
    link = ReportLink.objects.get()
    client.force_login(request.getfixturevalue(person))
    answer = client.post(reverse("report_link_revoke", args=[report.uuid, link.pk]))
    expected = 404 if person == "oscar" else 303 if person in ("alice", "adam") else 403
    assert answer.status_code == expected
    assert read(secret).status_code == (404 if expected == 303 else 200)


@pytest.mark.parametrize("person", PEOPLE)
@pytest.mark.parametrize("scope", ["roadmap", "portfolio"])
def test_rest_by_role(report, portfolio, adam, person, scope, request, api):
    asked = report if scope == "roadmap" else portfolio
    held, _ = make_report_link(Asker(adam), asked, label="Held")
    address = reverse("api_report_links", args=[asked.uuid])
    sees = {"roadmap": PEOPLE[1:], "portfolio": ("erin", "adam")}[scope]
    keeps = {"roadmap": ("alice", "adam"), "portfolio": ("adam",)}[scope]
    client = api(request.getfixturevalue(person), scopes=["manage"])
    refused = None if person in keeps else 403 if person in sees else 404
    assert client.get(address).status_code == (refused or 200)
    assert client.post(address, {"label": "New"}).status_code == (refused or 201)
    assert client.delete(f"{address}{held.pk}").status_code == (refused or 204)


def test_tokens_of_another_roadmap_of_less_or_of_yesterday_keep_none(report, adam, alice, other, api, roadmap):
    address = reverse("api_report_links", args=[report.uuid])
    bound = api(adam, scopes=["manage"], workload=other)
    assert (bound.get(address).status_code, bound.post(address, {"label": "x"}).status_code) == (404, 404)
    reads = api(alice, scopes=["read"])
    assert (reads.get(address).status_code, reads.post(address, {"label": "x"}).status_code) == (200, 403)
    pushes = api(alice, scopes=["push"])
    assert (pushes.get(address).status_code, pushes.post(address, {"label": "x"}).status_code) == (403, 403)
    over = api(alice, scopes=["manage"], expires_at=NOW)
    assert over.get(address).status_code == 401
    # A token of one roadmap, an admin's even, keeps no link to the portfolio.
    portfolio = Report.objects.get(scope=Report.Scope.PORTFOLIO)
    mine = api(adam, scopes=["manage"], workload=roadmap.workload)
    assert mine.post(address, {"label": "x"}).status_code == 201
    assert mine.post(reverse("api_report_links", args=[portfolio.uuid]), {"label": "x"}).status_code == 404


def test_a_link_of_another_report_is_not_found(report, portfolio, secret, adam, sign_in, api):
    link = ReportLink.objects.get()
    assert sign_in(adam).post(reverse("report_link_revoke", args=[portfolio.uuid, link.pk])).status_code == 404
    client = api(adam, scopes=["manage"])
    assert client.delete(reverse("api_report_link", args=[portfolio.uuid, link.pk])).status_code == 404
    assert client.delete(reverse("api_report_link", args=[report.uuid, 10**18])).status_code == 404
    assert read(secret).status_code == 200


def test_nobody_who_is_not_signed_in_makes_one(report, client):
    assert client.get(reverse("report_links", args=[report.uuid])).status_code == 302
    assert client.get(reverse("api_report_links", args=[report.uuid])).status_code == 401

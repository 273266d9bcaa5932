"""Who may do what to a report."""

from __future__ import annotations

import pytest
from django.urls import reverse

from accounts.models import Membership, Role
from roadmap.models import Report
from tests.roadmap.report_life.common import draft_of


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

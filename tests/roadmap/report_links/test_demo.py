"""Private links to a demo report."""

from __future__ import annotations

from datetime import date

from django.urls import reverse

from accounts.access import Asker
from roadmap.actions.report_links import make_report_link
from roadmap.actions.reports import close_month
from roadmap.actions.roadmaps import make_roadmap
from roadmap.models import ReportLink
from tests.roadmap.report_links.common import read
from tests.roadmap.test_reports import MONTH, roadmap_report


def test_the_demo_s_links_are_labelled_and_go_with_it(adam, client):
    demo = make_roadmap(Asker(adam), name="Shown", owner=adam, start_on=date(2026, 9, 1))
    demo.workload.is_demo = True
    demo.workload.save()
    close_month(Asker(adam), MONTH)
    report = roadmap_report(demo)
    secret = make_report_link(Asker(adam), report, label="A visitor")[1]
    assert report.is_demo
    assert "Demo data" in read(secret).content.decode()
    client.force_login(adam)
    assert "demo" in client.get(reverse("report_links", args=[report.uuid])).content.decode()
    # A demo report can be deleted, and its links go along.
    demo.delete()
    assert not ReportLink.objects.exists()
    assert read(secret).status_code == 404

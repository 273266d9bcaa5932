"""What a private link opens, and in which language."""

from __future__ import annotations

import json
import re
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from accounts.access import Asker
from accounts.models import AuditEvent
from roadmap.actions.report_links import make_report_link
from roadmap.actions.reports import close_month
from roadmap.models import Report, ReportLink
from tests.roadmap.report_links.common import KINDS, move_to, page_of, read
from tests.roadmap.test_reports import MONTH, NOW, push, roadmap_report


def test_it_opens_the_report_without_signing_in(report, secret):
    answer = read(secret)
    page = answer.content.decode()
    assert answer.status_code == 200
    assert report.sha256 in page
    assert "42.50" in page
    assert answer.cookies == {}


def test_the_page_leads_nowhere_but_to_its_files(report, secret, portfolio):
    page = read(secret).content.decode()
    links = set(re.findall(r'href="([^"]*)"', page))
    beyond = {link for link in links if not link.startswith(("/static/", "#"))}
    assert beyond == {"?lang=nl", *(f"/r/{secret}/report.{kind}?lang=en" for kind in KINDS)}
    assert "<script" not in page
    assert "<form" not in page
    assert "csrf" not in page
    # Who made it, who published it and for whom it is are not the reader's to know.
    for text in ("Alice", "The board", str(report.uuid), str(portfolio.uuid), "Sign in", "Sign out"):
        assert text not in page


def test_who_published_stands_on_the_report_s_own_page_alone(report, secret, adam, sign_in):
    assert "by Adam Admin" in sign_in(adam).get(reverse("report", args=[report.uuid])).content.decode()
    assert "by Adam Admin" not in read(secret).content.decode()


@pytest.mark.parametrize("kind", KINDS)
def test_the_files_are_those_of_the_report(report, secret, kind, adam, sign_in):
    mine = sign_in(adam).get(reverse("report_file", args=[report.uuid, kind]))
    theirs = Client().get(reverse("linked_report_file", args=[secret, kind]))
    assert theirs.status_code == 200
    assert theirs["Content-Disposition"] == mine["Content-Disposition"]
    assert theirs["Content-Type"] == mine["Content-Type"]
    assert theirs.content == mine.content


@pytest.mark.parametrize("path", ["", "report.pdf", "report.json", "report.exe", "anything/else"])
@pytest.mark.parametrize("works", [True, False])
def test_no_other_site_cache_or_search_engine_learns_the_address(secret, path, works):
    answer = Client().get(f"/r/{secret if works else 'x' * 43}/{path}")
    assert answer["Referrer-Policy"] == "no-referrer"
    assert answer["X-Robots-Tag"].startswith("noindex")
    assert "no-store" in answer["Cache-Control"]
    assert "private" in answer["Cache-Control"]
    assert answer["Cross-Origin-Resource-Policy"] == "same-origin"
    assert answer["X-Frame-Options"] == "DENY"
    policy = answer["Content-Security-Policy"]
    for rule in ("default-src 'none'", "form-action 'none'", "base-uri 'none'", "frame-ancestors 'none'"):
        assert rule in policy
    assert "script-src" not in policy
    assert "unsafe" not in policy


def test_being_signed_in_changes_nothing(report, secret, oscar, adam, sign_in):
    alone = read(secret).content
    for person in (oscar, adam):
        assert sign_in(person).get(page_of(secret)).content == alone


def test_it_opens_only_its_own_revision_and_says_that_there_is_a_later_one(report, secret, roadmap, adam, alice):
    assert "corrected report" not in read(secret).content.decode()
    push(roadmap, datetime(2026, 10, 4, 10, tzinfo=UTC), requests=1, cost="7.50")
    close_month(Asker(adam), MONTH, revise=True)
    second = roadmap_report(roadmap)
    page = read(secret).content.decode()
    assert second.revision == 2
    assert "A corrected report of this month was published on 22\u00a0Nov\u00a02026." in page
    assert report.sha256 in page
    for text in (second.sha256, str(second.uuid), "50.00"):
        assert text not in page
    later = make_report_link(Asker(alice), second, label="The board")[1]
    page = read(later).content.decode()
    assert "corrected report" not in page
    assert second.sha256 in page


def test_a_use_leaves_a_count_and_a_moment_and_nobody(secret, monkeypatch):
    rows = AuditEvent.objects.count()
    read(secret)
    later = NOW + timedelta(minutes=1)
    move_to(monkeypatch, later)
    Client().get(reverse("linked_report_file", args=[secret, "csv"]))
    # What only asks whether it is there has read nothing.
    assert Client().head(page_of(secret)).status_code == 200
    link = ReportLink.objects.get()
    assert (link.uses, link.last_used_at) == (2, later)
    assert AuditEvent.objects.count() == rows


def test_a_page_costs_the_same_queries_however_many_links_there_are(report, secret, alice):
    with CaptureQueriesContext(
        connection,
    ) as few:
        read(secret)
    for number in range(20):
        make_report_link(Asker(alice), report, label=f"Reader {number}")
    with CaptureQueriesContext(connection) as many:
        read(secret)
    assert len(many) == len(few) <= 4


def test_nothing_is_changed_at_it(secret):
    for method in ("post", "put", "patch", "delete"):
        assert getattr(Client(), method)(page_of(secret)).status_code == 405


# --- In which language ------------------------------------------------------------------------------------------------


def test_it_speaks_the_language_asked_for(secret):
    english, dutch = Client().get(page_of(secret)), Client().get(page_of(secret), {"lang": "nl"})
    assert '<html lang="en">' in english.content.decode()
    assert '<html lang="nl">' in dutch.content.decode()
    assert (english["Content-Language"], dutch["Content-Language"]) == ("en", "nl")
    assert "Letters, oktober" in dutch.content.decode().replace("\u00a0", " ")
    # Each of the two leads to the other, and to the files in its own.
    assert 'href="?lang=nl"' in english.content.decode()
    assert 'href="?lang=en"' in dutch.content.decode()
    assert f"/r/{secret}/report.pdf?lang=nl" in dutch.content.decode()
    files = [Client().get(f"/r/{secret}/report.csv", {"lang": language}).content for language in ("en", "nl")]
    assert files[0] != files[1]
    assert b"oktober" in Client().get(f"/r/{secret}/report.csv", {"lang": "nl"}).content or b"Uitgaven" in files[1]
    # What is hashed has no language.
    assert len({Client().get(f"/r/{secret}/report.json", {"lang": one}).content for one in ("en", "nl", "x")}) == 1


def test_the_browser_s_language_is_the_reader_s(secret):
    assert '<html lang="nl">' in Client().get(page_of(secret), headers={"accept-language": "nl-BE"}).content.decode()
    assert '<html lang="nl">' in Client().get("/r/x/", headers={"accept-language": "nl"}).content.decode()
    assert "Deze link werkt niet meer" in Client().get("/r/x/", {"lang": "nl"}).content.decode()


@pytest.mark.parametrize("value", ["de", "", "nl-BE", "x" * 5000, "%00", "../nl", "<script>"])
def test_a_language_that_is_not_spoken_is_english(secret, value):
    answer = Client().get(page_of(secret), {"lang": value})
    assert answer.status_code == 200
    assert '<html lang="en">' in answer.content.decode()
    assert "<script" not in answer.content.decode()


def test_a_report_of_version_1_is_english_alone(report, alice):
    kept = json.loads((Path(__file__).parents[2] / "data" / "reports" / "v1_october.json").read_text())
    old = Report.objects.create(
        scope=Report.Scope.ROADMAP, roadmap=report.roadmap, month=date(2026, 8, 1), state=Report.State.PUBLISHED,
        payload=kept, schema_version=1, sha256="0" * 64, published_at=NOW,
    )  # fmt: skip
    secret = make_report_link(Asker(alice), old, label="x")[1]
    page = Client().get(page_of(secret), {"lang": "nl"}).content.decode()
    assert '<html lang="en">' in page
    assert "?lang=" not in page
    for kind in KINDS:
        assert Client().get(f"/r/{secret}/report.{kind}", {"lang": "nl"}).status_code == 200
